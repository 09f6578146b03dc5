"""Use cases of invoices: from a rated cycle to money received."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from billing.event.v1 import event_pb2 as eventv1
from billing.invoice.v1 import invoice_events_pb2 as events
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing_db import customer as customer_sql
from billing_db import invoice as invoice_sql
from billing_db import rating as rating_sql
from billing_db import schedule as schedule_sql
from billing_db import subscription as subscription_sql
from billing_db.models import BillingCycle, Charge, Customer, Invoice, InvoicePayment
from google.protobuf.message import Message

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.invoice import draft
from corebilling.domains.invoice.model import (
    InvoiceState,
    StatusChange,
    decide_finalization,
    decide_settlement,
    decide_void,
    invoice_number,
    number_year,
)
from corebilling.domains.ledger.model import AccountType, Source, transfer
from corebilling.domains.ledger.service import LedgerService, Posting
from corebilling.domains.rating.service import RatingService
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import enum_number, enum_text, to_message
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit


@dataclass(frozen=True, slots=True)
class InvoicePolicy:
    """How invoices are numbered (`INV-2026-000001`), and how many days the customer has to pay."""

    number_prefix: str
    due_days: int


@dataclass(frozen=True, slots=True)
class InvoiceFacts:
    """All that a printed invoice shows. The customer is looked up when it is printed, never copied."""

    invoice: pb.Invoice
    seller: str
    customer: Customer


class InvoiceService:
    """Drafts, finalizes, settles and withdraws invoices, and keeps the ledger in step."""

    def __init__(self, rating: RatingService, ledger: LedgerService, policy: InvoicePolicy) -> None:
        self._rating = rating
        self._ledger = ledger
        self._policy = policy

    async def generate(self, tx: Transaction, causes: Mapping[str, eventv1.Event]) -> None:
        """Invoices rated cycles of the tenant, once each; finalizes the invoices if the tenant wants that.

        Args:
            causes: What each cycle is invoiced for, by the cycle's id.

        The caller holds the customers' locks.
        """
        cycles = await invoice_sql.claim_rated_cycles(tx, tenant_id=tx.tenant_id, ids=list(causes))
        if not cycles:
            return
        charges = await _charges(tx, [cycle.id for cycle in cycles])
        # A period that was paused from beginning to end has nothing to be invoiced.
        drafts = [draft.new_draft(tx, cycle, charges[cycle.id]) for cycle in cycles if charges[cycle.id]]
        if not drafts:
            return
        invoices = [made.invoice for made in drafts]
        announced = {invoice.id: [_generated(invoice)] for invoice in invoices}
        tenant = await tenant_profile(tx)
        if tenant.auto_finalize:
            for invoice_id, steps in (await self._finalize(tx, invoices, tenant, causes)).items():
                announced[invoice_id] += steps
        for invoice in invoices:
            invoice.version = len(announced[invoice.id])
        await draft.insert(tx, drafts)
        for invoice in invoices:
            _announce(tx, invoice, announced[invoice.id], first=1, cause=causes[invoice.cycle_id])

    async def get_invoice(self, tx: Transaction, request: rpc.GetInvoiceRequest) -> rpc.GetInvoiceResponse:
        invoice = await _find(tx, request.invoice_id)
        return rpc.GetInvoiceResponse(invoice=await _message(tx, invoice))

    async def list_invoices(
        self, tx: Transaction, request: rpc.ListInvoicesRequest
    ) -> rpc.ListInvoicesResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await invoice_sql.list_invoices(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=request.customer_id,
            subscription_id=request.subscription_id,
            state=enum_text(pb.InvoiceState, request.state) if request.state else "",
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListInvoicesResponse(
            invoices=(to_message(row, pb.Invoice) for row in page), next_page_token=token
        )

    async def preview_invoice(
        self, tx: Transaction, request: rpc.PreviewInvoiceRequest
    ) -> rpc.PreviewInvoiceResponse:
        """The invoice of the newest period if no more were used in it: its whole fees, and the usage so far.

        Raises:
            NotFound: SUBSCRIPTION_NOT_FOUND, or BILLING_CYCLE_NOT_FOUND when all periods are invoiced.
        """
        subscription = await subscription_sql.find_subscription(
            tx, tenant_id=tx.tenant_id, id=request.subscription_id
        )
        if subscription is None:
            raise NotFound(
                "SUBSCRIPTION_NOT_FOUND",
                "There is no such subscription.",
                {"subscription_id": request.subscription_id},
            )
        cycle = await _current_cycle(tx, subscription.id)
        charges = [] if cycle.trial else (await self._rating.charges_of(tx, [cycle]))[cycle.id]
        return rpc.PreviewInvoiceResponse(invoice=draft.preview(cycle, charges, subscription.currency))

    async def finalize_invoice(
        self, tx: Transaction, request: rpc.FinalizeInvoiceRequest
    ) -> rpc.FinalizeInvoiceResponse:
        invoice = await _find_locked(tx, request.invoice_id)
        announced = await self._finalize(tx, [invoice], await tenant_profile(tx), causes={})
        invoice = await _save(tx, invoice, announced[invoice.id])
        return rpc.FinalizeInvoiceResponse(invoice=await _message(tx, invoice))

    async def void_invoice(self, tx: Transaction, request: rpc.VoidInvoiceRequest) -> rpc.VoidInvoiceResponse:
        invoice = await _find_locked(tx, request.invoice_id)
        change = decide_void(InvoiceState(invoice.state), amount_paid_minor=invoice.amount_paid_minor)
        now = (await tenant_profile(tx)).now
        await self._ledger.reverse(
            tx,
            posted=Source.INVOICE_FINALIZED,
            source_type=Source.INVOICE_VOIDED,
            source_id=invoice.id,
            posted_at=now,
        )
        invoice.state = change.new
        invoice.amount_due_minor = 0
        invoice.voided_at = now
        voided = events.InvoiceVoided(invoice_id=invoice.id, number=invoice.number or "")
        invoice = await _save(tx, invoice, [_status_changed(invoice, change), voided])
        return rpc.VoidInvoiceResponse(invoice=await _message(tx, invoice))

    async def record_payment(
        self, tx: Transaction, request: rpc.RecordPaymentRequest
    ) -> rpc.RecordPaymentResponse:
        invoice = await _find_locked(tx, request.invoice_id)
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
        entries = transfer(
            payment.amount_minor, payment.currency, debit=AccountType.CASH, credit=AccountType.RECEIVABLE
        )
        posting = Posting(Source.PAYMENT_RECORDED, payment.id, invoice.customer_id, entries, now)
        await self._ledger.post(tx, [posting])
        invoice.amount_paid_minor = settlement.amount_paid_minor
        invoice.amount_due_minor = settlement.amount_due_minor
        announced: list[Message] = [_payment_recorded(invoice, payment)]
        if settlement.change:
            announced += _settle(invoice, settlement.change, now)
        invoice = await _save(tx, invoice, announced)
        return rpc.RecordPaymentResponse(
            payment=to_message(payment, pb.InvoicePayment), invoice=await _message(tx, invoice)
        )

    async def read_facts(self, tx: Transaction, request: rpc.RenderInvoiceRequest) -> InvoiceFacts:
        """What RenderInvoice prints; it is printed when the transaction is over."""
        invoice = await _find(tx, request.invoice_id)
        customer = await customer_sql.find_customer(tx, tenant_id=tx.tenant_id, id=invoice.customer_id)
        assert customer is not None, "an invoice refers to its customer"
        seller = await invoice_sql.get_seller_name(tx, tenant_id=tx.tenant_id)
        return InvoiceFacts(await _message(tx, invoice), seller, customer)

    async def _finalize(
        self,
        tx: Transaction,
        invoices: Sequence[Invoice],
        tenant: TenantProfile,
        causes: Mapping[str, eventv1.Event],
    ) -> dict[str, list[Message]]:
        """Posts, numbers and opens drafts; what is to be announced, by the invoice's id.

        The rows are left to be written, right after this: the numbers come last, for their counter is locked
        until the commit.
        """
        decided = [
            decide_finalization(
                InvoiceState(invoice.state),
                total_minor=invoice.total_minor,
                now=tenant.now,
                due_days=self._policy.due_days,
            )
            for invoice in invoices
        ]
        await self._ledger.post(
            tx,
            [
                _sale(invoice, tenant, causes.get(invoice.cycle_id))
                for invoice in invoices
                if invoice.total_minor
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
            announced[invoice.id] = [_status_changed(invoice, step.opened)]
            if step.paid:
                announced[invoice.id] += _settle(invoice, step.paid, tenant.now)
        return announced


def _sale(invoice: Invoice, tenant: TenantProfile, cause: eventv1.Event | None) -> Posting:
    """What finalizing the invoice enters into the books."""
    entries = transfer(
        invoice.total_minor, invoice.currency, debit=AccountType.RECEIVABLE, credit=AccountType.REVENUE
    )
    return Posting(
        Source.INVOICE_FINALIZED, invoice.id, invoice.customer_id, entries, tenant.now, cause=cause
    )


def _settle(invoice: Invoice, change: StatusChange, now: datetime) -> list[Message]:
    """Nothing is due any more."""
    invoice.state = change.new
    invoice.paid_at = now
    paid = events.InvoicePaid(
        invoice_id=invoice.id,
        number=invoice.number or "",
        currency=invoice.currency,
        amount_paid_minor=invoice.amount_paid_minor,
    )
    return [_status_changed(invoice, change), paid]


async def _save(tx: Transaction, invoice: Invoice, announced: Sequence[Message]) -> Invoice:
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
        finalized_at=invoice.finalized_at,
        due_at=invoice.due_at,
        paid_at=invoice.paid_at,
        voided_at=invoice.voided_at,
    )
    assert saved is not None, "the customer's lock keeps the version"
    _announce(tx, saved, announced, first=invoice.version + 1)
    return saved


def _announce(
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


def _generated(invoice: Invoice) -> Message:
    return events.InvoiceGenerated(
        invoice_id=invoice.id,
        customer_id=invoice.customer_id,
        subscription_id=invoice.subscription_id,
        cycle_id=invoice.cycle_id,
        currency=invoice.currency,
        total_minor=invoice.total_minor,
    )


def _status_changed(invoice: Invoice, change: StatusChange) -> events.InvoiceStatusChanged:
    # `from` is a keyword of Python's.
    states: dict[str, Any] = {"from": _state(change.old), "to": _state(change.new)}
    return events.InvoiceStatusChanged(invoice_id=invoice.id, number=invoice.number or "", **states)


def _payment_recorded(invoice: Invoice, payment: InvoicePayment) -> events.InvoicePaymentRecorded:
    return events.InvoicePaymentRecorded(
        invoice_id=invoice.id,
        payment_id=payment.id,
        currency=payment.currency,
        amount_minor=payment.amount_minor,
        amount_due_minor=invoice.amount_due_minor,
    )


def _state(state: str) -> pb.InvoiceState:
    return cast("pb.InvoiceState", enum_number(pb.InvoiceState, state))


async def _charges(tx: Transaction, cycle_ids: Sequence[str]) -> dict[str, list[Charge]]:
    charges: dict[str, list[Charge]] = defaultdict(list)
    for row in await rating_sql.list_charges(tx, tenant_id=tx.tenant_id, cycle_ids=cycle_ids):
        charges[row.cycle_id].append(row)
    return charges


async def _current_cycle(tx: Transaction, subscription_id: str) -> BillingCycle:
    newest = await schedule_sql.list_billing_cycles(
        tx, tenant_id=tx.tenant_id, subscription_id=subscription_id, after="", limit_rows=1
    )
    if not newest or newest[0].state in ("rated", "invoiced"):
        raise NotFound(
            "BILLING_CYCLE_NOT_FOUND",
            "The subscription has ended, and all its periods are billed: see ListInvoices.",
            {"cycle_id": newest[0].id if newest else ""},
        )
    return newest[0]


async def _find(tx: Transaction, invoice_id: str) -> Invoice:
    invoice = await invoice_sql.find_invoice(tx, tenant_id=tx.tenant_id, id=invoice_id)
    if invoice is None:
        raise NotFound("INVOICE_NOT_FOUND", "There is no such invoice.", {"invoice_id": invoice_id})
    return invoice


async def _find_locked(tx: Transaction, invoice_id: str) -> Invoice:
    """The invoice as it stays until the transaction ends: its customer's lock is held."""
    await tx.lock((await _find(tx, invoice_id)).customer_id)
    return await _find(tx, invoice_id)


async def _message(tx: Transaction, invoice: Invoice) -> pb.Invoice:
    lines = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
    return to_message(invoice, pb.Invoice, lines=[to_message(line, pb.InvoiceLine) for line in lines])
