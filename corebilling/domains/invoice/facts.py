"""What a printed invoice shows."""

from dataclasses import dataclass, replace

from billing.branding.v1.branding_pb2 import Branding
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.types.v1 import language_pb2
from billing_db import customer as customer_sql
from billing_db import invoice as invoice_sql
from billing_db.models import Customer

from corebilling.db.transaction import Transaction
from corebilling.domains.branding.service import find_branding
from corebilling.domains.invoice import records
from corebilling.mapping import enum_number


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """All that a printed invoice shows.

    Who buys and sells is looked up when it is printed; of an erased customer, the invoice itself says who.
    """

    invoice: pb.Invoice
    seller: str
    customer: Customer
    branding: Branding
    language: int
    """A `billing.types.v1.Language`, never unspecified."""


async def read_facts(tx: Transaction, request: rpc.RenderInvoiceRequest) -> InvoiceFacts:
    """What RenderInvoice prints; it is printed when the transaction is over.

    Raises NotFound (INVOICE_NOT_FOUND).
    """
    invoice = await records.find(tx, request.invoice_id)
    customer = await customer_sql.find_customer(tx, tenant_id=tx.tenant_id, id=invoice.customer_id)
    assert customer is not None, "an invoice refers to its customer"
    if invoice.bill_to is not None:
        customer = replace(customer, **invoice.bill_to)
    branding = await find_branding(tx)
    return InvoiceFacts(
        await records.message(tx, invoice),
        branding.display_name or await invoice_sql.get_seller_name(tx, tenant_id=tx.tenant_id),
        customer,
        branding,
        _language(request.language, enum_number(language_pb2.Language, customer.language), branding.language),
    )


def _language(*wishes: int) -> int:
    """The first that is specified; else English."""
    return next(filter(None, wishes), language_pb2.LANGUAGE_EN)
