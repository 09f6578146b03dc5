"""Use cases of what invoices are owed: money that is received, and what will not come."""

from datetime import datetime

from billing.invoice.v1 import invoice_events_pb2 as events
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing_db import invoice as invoice_sql
from billing_db.models import Invoice, InvoicePayment
from google.protobuf.message import Message

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.invoice import records
from corebilling.domains.invoice.model import (
    InvoiceState,
    Settlement,
    decide_settlement,
    decide_write_off,
)
from corebilling.domains.ledger.model import AccountType, Source, reverse, transfer, write_off
from corebilling.domains.ledger.service import LedgerService, Posting
from corebilling.mapping import to_message
from corebilling.values.ids import new_id


class PaymentService:
    """Settles invoices, and writes them off."""

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

    async def write_off_invoice(
        self, tx: Transaction, request: rpc.WriteOffInvoiceRequest
    ) -> rpc.WriteOffInvoiceResponse:
        invoice = await records.find_locked(tx, request.invoice_id)
        change = decide_write_off(InvoiceState(invoice.state))
        now = (await tenant_profile(tx)).now
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
