"""Rows of invoices: found, written, announced and shown."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, cast

from billing.event.v1 import event_pb2 as eventv1
from billing.invoice.v1 import invoice_events_pb2 as events
from billing.invoice.v1 import invoice_pb2 as pb
from billing_db import invoice as invoice_sql
from billing_db.models import Invoice
from google.protobuf.message import Message

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice.model import StatusChange
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import enum_number, to_message


async def find(tx: Transaction, invoice_id: str) -> Invoice:
    invoice = await invoice_sql.find_invoice(tx, tenant_id=tx.tenant_id, id=invoice_id)
    if invoice is None:
        raise NotFound("INVOICE_NOT_FOUND", "There is no such invoice.", {"invoice_id": invoice_id})
    return invoice


async def find_locked(tx: Transaction, invoice_id: str) -> Invoice:
    """The invoice as it stays until the transaction ends: its customer's lock is held."""
    await tx.lock((await find(tx, invoice_id)).customer_id)
    return await find(tx, invoice_id)


async def message(tx: Transaction, invoice: Invoice) -> pb.Invoice:
    lines = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
    return to_message(invoice, pb.Invoice, lines=[to_message(line, pb.InvoiceLine) for line in lines])


async def save(tx: Transaction, invoice: Invoice, announced: Sequence[Message]) -> Invoice:
    """Writes the invoice, and appends its events; each is a version of its own."""
    saved = await invoice_sql.mark_invoice(
        tx,
        tenant_id=tx.tenant_id,
        id=invoice.id,
        version=invoice.version,
        new_version=invoice.version + len(announced),
        state=invoice.state,
        number=invoice.number,
        amount_paid_minor=invoice.amount_paid_minor,
        amount_due_minor=invoice.amount_due_minor,
        credited_minor=invoice.credited_minor,
        prepaid_minor=invoice.prepaid_minor,
        credits=invoice.credits,
        finalized_at=invoice.finalized_at,
        due_at=invoice.due_at,
        paid_at=invoice.paid_at,
        voided_at=invoice.voided_at,
        written_off_at=invoice.written_off_at,
    )
    assert saved is not None, "the customer's lock keeps the version"
    announce(tx, saved, announced, first=invoice.version + 1)
    return saved


def announce(
    tx: Transaction,
    invoice: Invoice,
    announced: Sequence[Message],
    *,
    first: int,
    cause: eventv1.Event | None = None,
) -> None:
    """Appends the invoice's events; each is a version of its own, counted from `first`."""
    for version, payload in enumerate(announced, start=first):
        outbox.append(
            tx,
            payload,
            resource_id=invoice.id,
            resource_version=version,
            ordering_key=invoice.customer_id,
            cause=cause,
        )


def settle(invoice: Invoice, change: StatusChange, now: datetime) -> list[Message]:
    """Nothing is due any more."""
    invoice.state = change.new
    invoice.paid_at = now
    paid = events.InvoicePaid(
        invoice_id=invoice.id,
        number=invoice.number or "",
        currency=invoice.currency,
        amount_paid_minor=invoice.amount_paid_minor,
    )
    return [status_changed(invoice, change), paid]


def generated(invoice: Invoice) -> Message:
    return events.InvoiceGenerated(
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        subscription_id=invoice.subscription_id or "",
        cycle_id=invoice.cycle_id or "",
        currency=invoice.currency,
        total_minor=invoice.total_minor,
    )


def status_changed(invoice: Invoice, change: StatusChange) -> events.InvoiceStatusChanged:
    # `from` is a keyword of Python's.
    states: dict[str, Any] = {"from": _state(change.old), "to": _state(change.new)}
    return events.InvoiceStatusChanged(invoice_id=invoice.id, number=invoice.number or "", **states)


def _state(state: str) -> pb.InvoiceState:
    return cast("pb.InvoiceState", enum_number(pb.InvoiceState, state))
