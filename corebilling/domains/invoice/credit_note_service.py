"""Use cases of credit notes: giving back some of an invoice, or all of it."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from billing.invoice.v1 import invoice_events_pb2 as events
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing_db import invoice as invoice_sql
from billing_db.models import CreditNote as CreditNoteRow
from billing_db.models import Invoice, InvoiceLine
from google.protobuf.message import Message

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.credit.service import NewCredit, give_back, grant
from corebilling.domains.invoice import records
from corebilling.domains.invoice.crediting import Room, notes_of, room_of
from corebilling.domains.invoice.model import (
    Crediting,
    InvoiceState,
    decide_crediting,
    invoice_number,
    number_year,
)
from corebilling.domains.ledger.deferral_service import DeferralService
from corebilling.domains.ledger.model import Source, reverse, sale
from corebilling.domains.ledger.service import LedgerService, Posting
from corebilling.errors import InvalidArgument
from corebilling.events import outbox
from corebilling.mapping import to_message
from corebilling.values.credit import CreditKind, part_of
from corebilling.values.credit_note import (
    CreditNote,
    Invoiced,
    InvoicedLine,
    credit_invoice,
    creditable,
)
from corebilling.values.ids import new_id
from corebilling.values.money import round_number
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.tax import TaxBehavior

NUMBER_PREFIX = "CN"


class CreditNoteService:
    """Issues credit notes, and keeps invoices, credits and the ledger in step."""

    def __init__(self, ledger: LedgerService) -> None:
        self._ledger = ledger
        self._deferrals = DeferralService(ledger)

    async def issue_credit_note(
        self, tx: Transaction, request: rpc.IssueCreditNoteRequest
    ) -> rpc.IssueCreditNoteResponse:
        """Gives back what the items say, or all that is left.

        What is still due is no more; what was paid becomes a prepaid credit; credits that were used after tax
        are the customer's again.

        Raises:
            FailedPrecondition: INVOICE_NOT_CREDITABLE.
            InvalidArgument: CREDIT_EXCEEDS_INVOICE, also when nothing is left, or corrections gave it back.
        """
        invoice = await records.find_locked(tx, request.invoice_id)
        lines = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
        earlier = await invoice_sql.list_credit_notes_of_invoice(
            tx, tenant_id=tx.tenant_id, invoice_id=invoice.id
        )
        notes = notes_of(earlier)
        note = _decide_note(invoice, lines, notes, await room_of(tx, lines, notes), request)
        crediting = decide_crediting(
            InvoiceState(invoice.state),
            amount_due_minor=invoice.amount_due_minor,
            refundable_minor=_refundable(invoice, earlier),
            note_minor=note.total_minor,
        )
        tenant = await tenant_profile(tx)
        credit_id = None
        if crediting.refunded_minor:
            credit_id = (await grant(tx, _prepaid(invoice, crediting, tenant))).id
        note_id = new_id("crn")
        deferred_minor = await self._deferrals.give_back(tx, invoice.id, _revenue(invoice, lines, note))
        await self._post(tx, note_id, invoice, note, crediting, tenant, deferred_minor)
        await give_back(
            tx,
            self._ledger,
            _returned(invoice, earlier, crediting),
            invoice_id=invoice.id,
            occasion_id=note_id,
            now=tenant.now,
        )
        invoice.amount_due_minor -= crediting.due_minor
        invoice.credited_minor += note.total_minor
        announced: list[Message] = [_credited(invoice, note_id, note)]
        if crediting.change:
            announced += records.settle(invoice, crediting.change, tenant.now)
        saved = await records.save(tx, invoice, announced)
        row = await _insert(tx, note_id, invoice, note, crediting, tenant, request.reason, credit_id)
        return rpc.IssueCreditNoteResponse(
            credit_note=to_message(row, pb.CreditNote), invoice=await records.message(tx, saved)
        )

    async def list_credit_notes(
        self, tx: Transaction, request: rpc.ListCreditNotesRequest
    ) -> rpc.ListCreditNotesResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await invoice_sql.list_credit_notes(
            tx,
            tenant_id=tx.tenant_id,
            invoice_id=request.invoice_id,
            customer_id=request.customer_id,
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListCreditNotesResponse(
            credit_notes=(to_message(row, pb.CreditNote) for row in page), next_page_token=token
        )

    async def _post(
        self,
        tx: Transaction,
        note_id: str,
        invoice: Invoice,
        note: CreditNote,
        crediting: Crediting,
        tenant: TenantProfile,
        deferred_minor: int,
    ) -> None:
        """The part of the sale that is given back, turned round: what was not earned yet comes first."""
        sold = sale(
            due_minor=crediting.due_minor,
            credited_minor=crediting.refunded_minor + crediting.returned_minor,
            tax_minor=note.tax_minor,
            revenue_minor=note.subtotal_minor,
            currency=invoice.currency,
            deferred_minor=deferred_minor,
        )
        if sold:
            posting = Posting(
                Source.CREDIT_NOTE_ISSUED, note_id, invoice.customer_id, reverse(sold), tenant.now
            )
            await self._ledger.post(tx, [posting])


def _decide_note(
    invoice: Invoice,
    lines: Sequence[InvoiceLine],
    earlier: Sequence[CreditNote],
    room: Room,
    request: rpc.IssueCreditNoteRequest,
) -> CreditNote:
    invoiced = _invoiced(invoice, lines)
    items = {item.invoice_line_id: item.amount_minor for item in request.items}
    if len(items) < len(request.items):
        raise InvalidArgument("REQUEST_INVALID", "Name each line of the invoice once.")
    if not items:
        items = room.fit(creditable(invoiced, earlier))
    note = credit_invoice(invoiced, earlier, items)
    room.check(items)
    if not note.total_minor:
        raise InvalidArgument(
            "CREDIT_EXCEEDS_INVOICE",
            "The invoice charged nothing for this that no other note or correction gave back.",
            {"line_id": "", "creditable_minor": "0"},
        )
    return note


def _refundable(invoice: Invoice, earlier: Sequence[CreditNoteRow]) -> int:
    """What was paid for the invoice, prepaid credits among it, and no note gave back yet."""
    return (
        invoice.amount_paid_minor + max(0, invoice.prepaid_minor) - sum(row.refunded_minor for row in earlier)
    )


def _returned(invoice: Invoice, earlier: Sequence[CreditNoteRow], crediting: Crediting) -> Mapping[str, int]:
    """What the note returns of the credits that were used after tax, by the credit's id."""
    used = {
        use["credit_id"]: int(use["amount_minor"])
        for use in invoice.credits
        if use["kind"] != "CREDIT_KIND_PREPAID"
    }
    before_minor = sum(row.returned_minor for row in earlier)
    return part_of(used, after_minor=before_minor, amount_minor=crediting.returned_minor)


def _invoiced(invoice: Invoice, lines: Sequence[InvoiceLine]) -> Invoiced:
    """What was charged for the lines: not what discounts, and credits before tax, took off.

    Of amounts that contain their tax, the tax stands apart. Credits used after tax paid for them.
    """
    inclusive = invoice.tax_behavior == TaxBehavior.INCLUSIVE
    shares = [
        line.discount_minor + line.credit_minor + (line.tax_minor if inclusive else 0) for line in lines
    ]
    return Invoiced(
        tuple(
            InvoicedLine(line.id, line.amount_minor, Fraction(share), Fraction(line.tax_minor))
            for line, share in zip(lines, shares, strict=True)
        ),
        sum(shares),
        invoice.tax_minor,
    )


def _revenue(invoice: Invoice, lines: Sequence[InvoiceLine], note: CreditNote) -> dict[str, int]:
    """What the note gives back of each line's revenue."""
    return {
        line.id: round_number((line.amount_minor - line.discount) * part / line.amount_minor)
        for line in _invoiced(invoice, lines).lines
        if (part := note.items.get(line.id))
    }


def _credited(invoice: Invoice, note_id: str, note: CreditNote) -> events.InvoiceCredited:
    return events.InvoiceCredited(
        invoice_id=invoice.id,
        credit_note_id=note_id,
        currency=invoice.currency,
        amount_minor=note.total_minor,
        amount_due_minor=invoice.amount_due_minor,
    )


def _prepaid(invoice: Invoice, crediting: Crediting, tenant: TenantProfile) -> NewCredit:
    return NewCredit(
        customer_id=invoice.customer_id,
        kind=CreditKind.PREPAID,
        currency=invoice.currency,
        amount_minor=crediting.refunded_minor,
        valid_from=tenant.now,
        description=f"Credit note for {invoice.number}",
    )


async def _insert(
    tx: Transaction,
    note_id: str,
    invoice: Invoice,
    note: CreditNote,
    crediting: Crediting,
    tenant: TenantProfile,
    reason: str,
    credit_id: str | None,
) -> CreditNoteRow:
    """Writes and announces the note; its number comes last, for the counter is locked until the commit."""
    items: list[dict[str, Any]] = [
        {"invoice_line_id": line_id, "amount_minor": amount} for line_id, amount in note.items.items()
    ]
    year = number_year(tenant.now, tenant.timezone)
    ordinal = await invoice_sql.upsert_credit_note_counter(tx, tenant_id=tx.tenant_id, year=year)
    row = await invoice_sql.insert_credit_note(
        tx,
        tenant_id=tx.tenant_id,
        id=note_id,
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        number=invoice_number(NUMBER_PREFIX, year, ordinal),
        reason=reason,
        currency=invoice.currency,
        items=items,
        discount_minor=note.discount_minor,
        subtotal_minor=note.subtotal_minor,
        tax_minor=note.tax_minor,
        total_minor=note.total_minor,
        due_minor=crediting.due_minor,
        refunded_minor=crediting.refunded_minor,
        returned_minor=crediting.returned_minor,
        credit_id=credit_id,
        issued_at=tenant.now,
    )
    issued = events.CreditNoteIssued(
        credit_note_id=row.id,
        invoice_id=row.invoice_id,
        customer_id=row.customer_id,
        number=row.number,
        currency=row.currency,
        total_minor=row.total_minor,
        refunded_minor=row.refunded_minor,
        returned_minor=row.returned_minor,
    )
    outbox.append(tx, issued, resource_id=row.id, resource_version=1, ordering_key=row.customer_id)
    return row
