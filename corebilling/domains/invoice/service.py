"""Use cases of invoices: read, made by hand, finalized, withdrawn and issued again."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing.invoice.v1 import invoice_events_pb2 as events
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing_db import invoice as invoice_sql
from billing_db.models import Invoice

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.credit.service import give_back
from corebilling.domains.customer.rows import find_present_customer
from corebilling.domains.invoice import ahead, draft, reckoning, records
from corebilling.domains.invoice.crediting import room_of
from corebilling.domains.invoice.finalizing import Finalizer
from corebilling.domains.invoice.making import InvoiceMaker
from corebilling.domains.invoice.model import (
    InvoiceState,
    StatusChange,
    check_line,
    decide_void,
)
from corebilling.domains.ledger.deferral import check_service
from corebilling.domains.ledger.deferral_service import DeferralService
from corebilling.domains.ledger.model import Source, application
from corebilling.domains.ledger.service import LedgerService, Posting
from corebilling.mapping import enum_text, instant, to_message
from corebilling.values.money import minor_units
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.period import Period


class InvoiceService:
    """Reads invoices; creates, finalizes and withdraws them, and keeps the ledger in step."""

    def __init__(self, ledger: LedgerService, maker: InvoiceMaker, finalizer: Finalizer) -> None:
        self._ledger = ledger
        self._deferrals = DeferralService(ledger)
        self._maker = maker
        self._finalizer = finalizer

    async def get_invoice(self, tx: Transaction, request: rpc.GetInvoiceRequest) -> rpc.GetInvoiceResponse:
        invoice = await records.find(tx, request.invoice_id)
        return rpc.GetInvoiceResponse(invoice=await records.message(tx, invoice))

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

    async def create_invoice(
        self, tx: Transaction, request: rpc.CreateInvoiceRequest
    ) -> rpc.CreateInvoiceResponse:
        await tx.lock(request.customer_id)
        customer = await find_present_customer(tx, request.customer_id)
        tenant = await tenant_profile(tx)
        occasion = draft.Occasion(
            customer_id=customer.id,
            currency=customer.currency,
            period_start=tenant.now,
            period_end=tenant.now,
            description=request.description,
        )
        lines = [_one_time_line(item, customer.currency, tenant.now) for item in request.items]
        invoice = await self._maker.make(tx, occasion, lines, tenant, finalize=request.finalize)
        return rpc.CreateInvoiceResponse(invoice=await records.message(tx, invoice))

    async def finalize_invoice(
        self, tx: Transaction, request: rpc.FinalizeInvoiceRequest
    ) -> rpc.FinalizeInvoiceResponse:
        invoice = await records.find_locked(tx, request.invoice_id)
        tenant = await tenant_profile(tx)
        lines = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
        deferred = ahead.of_rows(invoice, lines, tenant)
        announced = await self._finalizer.finalize(tx, [invoice], tenant, causes={}, deferred=deferred)
        invoice = await records.save(tx, invoice, announced[invoice.id])
        await self._deferrals.defer(tx, deferred, tenant)
        return rpc.FinalizeInvoiceResponse(invoice=await records.message(tx, invoice))

    async def void_invoice(self, tx: Transaction, request: rpc.VoidInvoiceRequest) -> rpc.VoidInvoiceResponse:
        invoice = await records.find_locked(tx, request.invoice_id)
        change = _decide_void(invoice)
        lines = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
        room = await room_of(tx, lines, earlier=())
        room.check_uncorrected()
        room.check_corrects_nothing()
        invoice = await self._void(tx, invoice, change, (await tenant_profile(tx)).now)
        return rpc.VoidInvoiceResponse(invoice=await records.message(tx, invoice))

    async def reissue_invoice(
        self, tx: Transaction, request: rpc.ReissueInvoiceRequest
    ) -> rpc.ReissueInvoiceResponse:
        tenant = await tenant_profile(tx)
        found = await records.find_locked(tx, request.invoice_id)
        change = _decide_void(found)
        rows = await invoice_sql.list_invoice_lines(tx, tenant_id=tx.tenant_id, invoice_id=found.id)
        (await room_of(tx, rows, earlier=())).check_uncorrected()
        voided = await self._void(tx, found, change, tenant.now)
        occasion = draft.Occasion(
            customer_id=voided.customer_id,
            currency=voided.currency,
            period_start=voided.period_start,
            period_end=voided.period_end,
            subscription_id=voided.subscription_id or "",
            cycle_id=voided.cycle_id or "",
            description=voided.description,
            replaces_invoice_id=voided.id,
        )
        lines = draft.copied_lines(rows)
        invoice = await self._maker.make(tx, occasion, lines, tenant, finalize=request.finalize)
        await invoice_sql.copy_invoice_cycles(
            tx, tenant_id=tx.tenant_id, from_invoice_id=voided.id, to_invoice_id=invoice.id
        )
        return rpc.ReissueInvoiceResponse(
            voided=await records.message(tx, voided), invoice=await records.message(tx, invoice)
        )

    async def _void(self, tx: Transaction, invoice: Invoice, change: StatusChange, now: datetime) -> Invoice:
        """Withdraws an invoice; what it used of discounts and credits can be used again."""
        await self._ledger.reverse(
            tx,
            posted=Source.INVOICE_FINALIZED,
            source_type=Source.INVOICE_VOIDED,
            source_id=invoice.id,
            posted_at=now,
        )
        await self._deferrals.void(tx, invoice.id, now)
        await self._return_applied(tx, invoice, now)
        invoice.state = change.new
        invoice.amount_due_minor = 0
        invoice.voided_at = now
        await give_back(
            tx,
            self._ledger,
            _used(invoice.credits),
            invoice_id=invoice.id,
            occasion_id=invoice.id,
            now=now,
        )
        await reckoning.give_back_discounts(tx, invoice)
        await invoice_sql.void_invoice_cycles(tx, tenant_id=tx.tenant_id, invoice_id=invoice.id)
        voided = events.InvoiceVoided(invoice_id=invoice.id, number=invoice.number or "")
        return await records.save(tx, invoice, [records.status_changed(invoice, change), voided])

    async def _return_applied(self, tx: Transaction, invoice: Invoice, now: datetime) -> None:
        """Takes back in the books what credits paid once the invoice was open."""
        applied = _used(use for use in invoice.credits if "applied_at" in use)
        if applied:
            entries = application(-applied.total(), invoice.currency)
            posting = Posting(Source.CREDITS_RETURNED, invoice.id, invoice.customer_id, entries, now)
            await self._ledger.post(tx, [posting])


def _decide_void(invoice: Invoice) -> StatusChange:
    return decide_void(
        InvoiceState(invoice.state),
        amount_paid_minor=invoice.amount_paid_minor,
        credited_minor=invoice.credited_minor,
    )


def _used(uses: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """What uses of credits, as rows keep them, took of each credit."""
    used: Counter[str] = Counter()
    for use in uses:
        used[use["credit_id"]] += int(use["amount_minor"])
    return used


def _one_time_line(item: rpc.OneTimeItem, currency: str, now: datetime) -> draft.DraftLine:
    quantity, unit_amount = Decimal(item.quantity or 1), Decimal(item.unit_amount)
    period = _service_period(item, now)
    return draft.DraftLine(
        type="one_time",
        description=item.description,
        period_start=period.start,
        period_end=period.end,
        quantity=quantity,
        unit_amount=unit_amount,
        unit_size=Decimal(1),
        amount_minor=check_line(minor_units(Fraction(quantity) * Fraction(unit_amount), currency)),
        price_id="",
        subscription_item_id="",
        tiers=[],
        steps=[],
        tax_category=item.tax_category,
    )


def _service_period(item: rpc.OneTimeItem, now: datetime) -> Period:
    if not item.HasField("service_period"):
        return Period(now, now)
    return check_service(Period(instant(item.service_period.start), instant(item.service_period.end)))
