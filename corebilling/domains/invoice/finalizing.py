"""Finalizing: drafts become invoices that are owed, with a number, in the books and announced."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from billing.event.v1 import event_pb2 as eventv1
from billing_db import invoice as invoice_sql
from billing_db.models import Invoice
from google.protobuf.message import Message

from corebilling.db.tenant import TenantProfile
from corebilling.db.transaction import Transaction
from corebilling.domains.credit.service import NewCredit, grant
from corebilling.domains.invoice import records
from corebilling.domains.invoice.model import (
    InvoiceState,
    decide_finalization,
    invoice_number,
    number_year,
)
from corebilling.domains.ledger.deferral_service import NewDeferral
from corebilling.domains.ledger.model import Source, sale
from corebilling.domains.ledger.service import LedgerService, Posting
from corebilling.values.credit import CreditKind
from corebilling.values.tax import TaxBehavior


@dataclass(frozen=True, slots=True)
class InvoicePolicy:
    """How invoices are numbered (`INV-2026-000001`), and how many days the customer has to pay."""

    number_prefix: str
    due_days: int


class Finalizer:
    """Posts, numbers and opens drafts, of any number of customers at once."""

    def __init__(self, ledger: LedgerService, policy: InvoicePolicy) -> None:
        self._ledger = ledger
        self._policy = policy

    async def finalize(
        self,
        tx: Transaction,
        invoices: Sequence[Invoice],
        tenant: TenantProfile,
        causes: Mapping[str, eventv1.Event],
        deferred: Sequence[NewDeferral],
    ) -> dict[str, list[Message]]:
        """Posts, numbers and opens drafts; what is to be announced, by the invoice's id.

        The rows are left to be written, right after this: the numbers come last, for their counter is locked
        until the commit.
        """
        decided = [
            decide_finalization(
                InvoiceState(invoice.state),
                due_minor=invoice.amount_due_minor,
                now=tenant.now,
                due_days=self._policy.due_days,
            )
            for invoice in invoices
        ]
        for invoice in invoices:
            if invoice.amount_due_minor < 0:
                await _credit_below_zero(tx, invoice, tenant.now, causes.get(invoice.id))
        put_off: Counter[str] = Counter()
        for one in deferred:
            put_off[one.invoice_id] += one.deferral.remaining_minor
        await self._ledger.post(
            tx,
            [
                sold
                for invoice in invoices
                if (sold := _sale(invoice, tenant, causes.get(invoice.id), put_off[invoice.id])).entries
            ],
        )
        year = number_year(tenant.now, tenant.timezone)
        last = await invoice_sql.upsert_invoice_counter(
            tx, tenant_id=tx.tenant_id, year=year, count=len(invoices)
        )
        announced: dict[str, list[Message]] = {}
        for ordinal, (invoice, step) in enumerate(
            zip(invoices, decided, strict=True), start=last - len(invoices) + 1
        ):
            invoice.number = invoice_number(self._policy.number_prefix, year, ordinal)
            invoice.state = step.opened.new
            invoice.finalized_at = tenant.now
            invoice.due_at = step.due_at
            announced[invoice.id] = [records.status_changed(invoice, step.opened)]
            if step.paid:
                announced[invoice.id] += records.settle(invoice, step.paid, tenant.now)
        return announced


async def _credit_below_zero(
    tx: Transaction, invoice: Invoice, now: datetime, cause: eventv1.Event | None
) -> None:
    """What the invoice gives back becomes a prepaid credit: nothing is due, to neither side."""
    new = NewCredit(
        customer_id=invoice.customer_id,
        kind=CreditKind.PREPAID,
        currency=invoice.currency,
        amount_minor=-invoice.amount_due_minor,
        valid_from=now,
        description="Given back by an invoice",
    )
    credit = await grant(tx, new, cause)
    invoice.prepaid_minor += invoice.amount_due_minor
    invoice.credits = [
        *invoice.credits,
        {
            "credit_id": credit.id,
            "kind": "CREDIT_KIND_PREPAID",
            "amount_minor": invoice.amount_due_minor,
        },
    ]
    invoice.amount_due_minor = 0


def _sale(
    invoice: Invoice, tenant: TenantProfile, cause: eventv1.Event | None, deferred_minor: int
) -> Posting:
    """What finalizing the invoice enters into the books."""
    inclusive = invoice.tax_behavior == TaxBehavior.INCLUSIVE
    contained_minor = invoice.tax_minor if inclusive else 0
    entries = sale(
        due_minor=invoice.amount_due_minor,
        credited_minor=invoice.credit_minor + invoice.prepaid_minor,
        tax_minor=invoice.tax_minor,
        revenue_minor=invoice.subtotal_minor - invoice.discount_minor - contained_minor,
        currency=invoice.currency,
        deferred_minor=deferred_minor,
    )
    return Posting(
        Source.INVOICE_FINALIZED, invoice.id, invoice.customer_id, entries, tenant.now, cause=cause
    )
