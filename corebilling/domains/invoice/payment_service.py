"""Use cases of what invoices are owed: money that is received, credit set off, and what will not come."""

from datetime import datetime

from billing.invoice.v1 import invoice_events_pb2 as events
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing_db import invoice as invoice_sql
from billing_db.models import Invoice, InvoicePayment
from google.protobuf.message import Message

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.credit.service import find_prepaid, use
from corebilling.domains.invoice import draft, records
from corebilling.domains.invoice.crediting import notes_of, room_of
from corebilling.domains.invoice.model import (
    InvoiceState,
    Settlement,
    decide_application,
    decide_settlement,
    decide_write_off,
)
from corebilling.domains.ledger.model import AccountType, Source, application, reverse, transfer, write_off
from corebilling.domains.ledger.service import LedgerService, Posting
from corebilling.errors import FailedPrecondition
from corebilling.mapping import moment_object, to_message
from corebilling.values.credit import use_credits
from corebilling.values.ids import new_id


class PaymentService:
    """Settles invoices, by money or credits, and writes them off."""

    def __init__(self, ledger: LedgerService) -> None:
        self._ledger = ledger

    async def record_payment(
        self, tx: Transaction, request: rpc.RecordPaymentRequest
    ) -> rpc.RecordPaymentResponse:
        invoice = await records.find_locked(tx, request.invoice_id)
        settlement = decide_settlement(
            InvoiceState(invoice.state),
            amount_paid_minor=invoice.amount_paid_minor,
            amount_due_minor=invoice.amount_due_minor,
            currency=invoice.currency,
            payment_minor=request.amount_minor,
            payment_currency=request.currency,
        )
        now = (await tenant_profile(tx)).now
        payment = await invoice_sql.insert_payment(
            tx,
            tenant_id=tx.tenant_id,
            id=new_id("pay"),
            invoice_id=invoice.id,
            amount_minor=request.amount_minor,
            currency=request.currency,
            reference=request.reference,
            received_at=now,
        )
        await self._ledger.post(tx, _payment_postings(invoice, payment, settlement, now))
        invoice.amount_paid_minor = settlement.amount_paid_minor
        invoice.amount_due_minor = settlement.amount_due_minor
        announced: list[Message] = [_payment_recorded(invoice, payment, settlement)]
        if settlement.change:
            announced += records.settle(invoice, settlement.change, now)
        invoice = await records.save(tx, invoice, announced)
        return rpc.RecordPaymentResponse(
            payment=to_message(payment, pb.InvoicePayment), invoice=await records.message(tx, invoice)
        )

    async def apply_credits(
        self, tx: Transaction, request: rpc.ApplyCreditsRequest
    ) -> rpc.ApplyCreditsResponse:
        """Sets the customer's prepaid credits off against what is due.

        Raises:
            FailedPrecondition: INVOICE_TRANSITION_INVALID when the invoice is not open,
                PREPAID_CREDIT_MISSING when there is no credit.
        """
        invoice = await records.find_locked(tx, request.invoice_id)
        paid = decide_application(InvoiceState(invoice.state))
        now = (await tenant_profile(tx)).now
        held = await find_prepaid(tx, invoice.customer_id, invoice.currency, now)
        uses = use_credits(held, invoice.amount_due_minor)
        if not uses:
            raise _credit_missing(invoice)
        used_minor = sum(one.amount_minor for one in uses)
        await use(tx, uses, invoice.id)
        await self._ledger.post(tx, [_application_posting(invoice, used_minor, now)])
        invoice.prepaid_minor += used_minor
        invoice.amount_due_minor -= used_minor
        at = moment_object(now)
        invoice.credits = [*invoice.credits, *(draft.credit_object(one) | {"applied_at": at} for one in uses)]
        announced: list[Message] = [_credits_applied(invoice, used_minor)]
        if not invoice.amount_due_minor:
            announced += records.settle(invoice, paid, now)
        invoice = await records.save(tx, invoice, announced)
        return rpc.ApplyCreditsResponse(invoice=await records.message(tx, invoice))

    async def write_off_invoice(
        self, tx: Transaction, request: rpc.WriteOffInvoiceRequest
    ) -> rpc.WriteOffInvoiceResponse:
        invoice = await records.find_locked(tx, request.invoice_id)
        now = (await tenant_profile(tx)).now
        held = await find_prepaid(tx, invoice.customer_id, invoice.currency, now)
        change = decide_write_off(
            InvoiceState(invoice.state),
            invoice_id=invoice.id,
            amount_due_minor=invoice.amount_due_minor,
            left_minor=await _left(tx, invoice),
            credit_minor=sum(credit.remaining_minor for credit in held),
        )
        entries = write_off(invoice.amount_due_minor, invoice.currency)
        posting = Posting(Source.INVOICE_WRITTEN_OFF, invoice.id, invoice.customer_id, entries, now)
        await self._ledger.post(tx, [posting])
        invoice.state = change.new
        invoice.written_off_at = now
        written_off = events.InvoiceWrittenOff(
            invoice_id=invoice.id,
            number=invoice.number or "",
            currency=invoice.currency,
            amount_minor=invoice.amount_due_minor,
        )
        invoice = await records.save(tx, invoice, [records.status_changed(invoice, change), written_off])
        return rpc.WriteOffInvoiceResponse(invoice=await records.message(tx, invoice))


async def _left(tx: Transaction, invoice: Invoice) -> int:
    """The most that is due of the invoice, as credit notes and corrections left it."""
    lines = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
    notes = await invoice_sql.list_credit_notes_of_invoice(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
    room = await room_of(tx, lines, notes_of(notes))
    return room.left_of(invoice.total_minor - invoice.credited_minor)


def _credit_missing(invoice: Invoice) -> FailedPrecondition:
    return FailedPrecondition(
        "PREPAID_CREDIT_MISSING",
        f"The customer has no prepaid credit in {invoice.currency} that can be used now; grant one, or "
        "record a payment.",
        {"customer_id": invoice.customer_id, "currency": invoice.currency},
    )


def _payment_postings(
    invoice: Invoice, payment: InvoicePayment, settlement: Settlement, now: datetime
) -> list[Posting]:
    """The money received; what had been written off of it is owed again first."""
    entries = transfer(
        payment.amount_minor, payment.currency, debit=AccountType.CASH, credit=AccountType.RECEIVABLE
    )
    received = Posting(Source.PAYMENT_RECORDED, payment.id, invoice.customer_id, entries, now)
    if not settlement.recovered:
        return [received]
    owed = reverse(write_off(payment.amount_minor, payment.currency))
    return [Posting(Source.INVOICE_RECOVERED, payment.id, invoice.customer_id, owed, now), received]


def _application_posting(invoice: Invoice, used_minor: int, now: datetime) -> Posting:
    """An invoice can have several: its version tells them apart."""
    entries = application(used_minor, invoice.currency)
    source_id = f"{invoice.id}/{invoice.version}"
    return Posting(Source.CREDITS_APPLIED, source_id, invoice.customer_id, entries, now)


def _credits_applied(invoice: Invoice, used_minor: int) -> events.InvoiceCreditsApplied:
    return events.InvoiceCreditsApplied(
        invoice_id=invoice.id,
        number=invoice.number or "",
        currency=invoice.currency,
        amount_minor=used_minor,
        amount_due_minor=invoice.amount_due_minor,
    )


def _payment_recorded(
    invoice: Invoice, payment: InvoicePayment, settlement: Settlement
) -> events.InvoicePaymentRecorded:
    return events.InvoicePaymentRecorded(
        invoice_id=invoice.id,
        payment_id=payment.id,
        currency=payment.currency,
        amount_minor=payment.amount_minor,
        amount_due_minor=invoice.amount_due_minor,
        recovered=settlement.recovered,
    )
