"""Invoices, read through the RPCs."""

from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub

from tests.support.platform import Platform


async def invoices_of(
    platform: Platform, subscription_id: str = "", *, customer_id: str = ""
) -> list[pb.Invoice]:
    """Oldest first, with their lines; the tenant's if neither is named."""
    stub = platform.stub(InvoiceServiceStub)
    request = rpc.ListInvoicesRequest(subscription_id=subscription_id, customer_id=customer_id)
    return [
        (await stub.GetInvoice(rpc.GetInvoiceRequest(invoice_id=one.id))).invoice
        for one in reversed((await stub.ListInvoices(request)).invoices)
    ]


async def lines_of(platform: Platform) -> list[list[tuple[int, str, int]]]:
    """Of each invoice, oldest first: what its lines are, how much of it, and for how much."""
    return [
        [(line.type, line.quantity, line.amount_minor) for line in invoice.lines]
        for invoice in await invoices_of(platform)
    ]
