"""Invoices, read through the RPCs."""

from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub

from tests.support.platform import Platform


async def invoices_of(platform: Platform, subscription_id: str) -> list[pb.Invoice]:
    """Oldest first, with their lines."""
    stub = platform.stub(InvoiceServiceStub)
    listed = await stub.ListInvoices(rpc.ListInvoicesRequest(subscription_id=subscription_id))
    return [
        (await stub.GetInvoice(rpc.GetInvoiceRequest(invoice_id=one.id))).invoice
        for one in reversed(listed.invoices)
    ]
