"""Use cases of price corrections: what was invoiced with a wrong price is rated again, and the difference
invoiced at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.rating.v1 import rating_events_pb2, rating_pb2
from billing_db import invoice as invoice_sql
from billing_db import price_override as override_sql
from billing_db import rating as rating_sql
from billing_db import rerating as rerating_sql
from billing_db import tax as tax_sql
from billing_db.models import BillingCycle, Invoice, ReratedCharge

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.invoice import draft, records
from corebilling.domains.invoice.making import InvoiceMaker
from corebilling.domains.invoice.model import InvoiceState, check_line
from corebilling.domains.invoice.reckoning import Settled
from corebilling.domains.rating.prices import price_of
from corebilling.domains.rating.rerating import (
    Rerated,
    charges_at,
    check_correction,
    negotiated,
    rate_again,
    rated_credit_minor,
)
from corebilling.domains.schedule.model import CycleState
from corebilling.domains.schedule.rows import find_cycle
from corebilling.errors import FailedPrecondition, NotFound
from corebilling.events import outbox
from corebilling.mapping import to_message
from corebilling.values.money import major_units
from corebilling.values.page import decode_page_token, next_page, ordinal_of, page_limit
from corebilling.values.price import Price


@dataclass(frozen=True, slots=True)
class _Correction:
    """What a corrected price makes of a cycle."""

    cycle: BillingCycle
    price: Price
    rerated: Sequence[Rerated]
    lines: Sequence[draft.DraftLine]


class ReratingService:
    """Rates invoiced cycles again, once per correction: the new rows say what charges are rated with now."""

    def __init__(self, maker: InvoiceMaker) -> None:
        self._maker = maker

    async def rerate_cycle(self, tx: Transaction, request: rpc.RerateCycleRequest) -> rpc.RerateCycleResponse:
        await tx.lock((await find_cycle(tx, request.cycle_id)).customer_id)
        made = await _decide(tx, request)
        tenant = await tenant_profile(tx)
        invoice = None
        if made.lines:
            invoice = await self._maker.make(
                tx, _occasion(made), made.lines, tenant, finalize=tenant.auto_finalize
            )
        rows = _rows(tx, made, request.reason, tenant, invoice)
        await _insert(tx, made, rows)
        await _announce(tx, made, request.price_id, invoice)
        return rpc.RerateCycleResponse(
            charges=map(_message, rows), invoice=await records.message(tx, invoice) if invoice else None
        )

    async def preview_rerating(
        self, tx: Transaction, request: rpc.PreviewReratingRequest
    ) -> rpc.PreviewReratingResponse:
        made = await _decide(tx, request)
        tenant = await tenant_profile(tx)
        invoice = None
        if made.lines:
            invoice = await self._maker.preview(tx, _occasion(made), made.lines, tenant)
        rows = _rows(tx, made, "", tenant, None)
        return rpc.PreviewReratingResponse(charges=map(_message, rows), invoice=invoice)

    async def list_rerated_charges(
        self, tx: Transaction, request: rpc.ListReratedChargesRequest
    ) -> rpc.ListReratedChargesResponse:
        limit = page_limit(request.page_size)
        item_id, kind, revision = decode_page_token(request.page_token, 3)
        rows = await rerating_sql.list_rerated_charges(
            tx,
            tenant_id=tx.tenant_id,
            cycle_id=request.cycle_id,
            after_item_id=item_id,
            after_kind=kind,
            after_revision=ordinal_of(revision),
            limit_rows=limit + 1,
        )
        page, token = next_page(
            rows, limit, key=lambda row: (row.subscription_item_id, row.kind, str(row.revision))
        )
        return rpc.ListReratedChargesResponse(charges=map(_message, page), next_page_token=token)


async def _decide(
    tx: Transaction, request: rpc.RerateCycleRequest | rpc.PreviewReratingRequest
) -> _Correction:
    cycle = await find_cycle(tx, request.cycle_id)
    _check_whole(cycle)
    await _check_invoiced(tx, cycle)
    _check_commitment(cycle)
    wanted = [request.price_id, request.corrected_price_id]
    found = {
        row.id: row for row in await rating_sql.list_rated_prices(tx, tenant_id=tx.tenant_id, ids=wanted)
    }
    for price_id in wanted:
        if price_id not in found:
            raise NotFound("PRICE_NOT_FOUND", "There is no such price.", {"price_id": price_id})
    rows = await rerating_sql.list_billed_charges(tx, tenant_id=tx.tenant_id, cycle_id=cycle.id)
    charges = charges_at(request.price_id, rows, cycle.id)
    if any(one.awaits_invoice for one in charges):
        raise _not_reratable(cycle, CycleState.RATED)
    wrong, corrected = (price_of(found[price_id], charges[0].currency) for price_id in wanted)
    intervals = {(found[price_id].interval_unit, found[price_id].interval_count) for price_id in wanted}
    check_correction(wrong, corrected, same_interval=len(intervals) == 1)
    await _check_negotiated(tx, cycle, corrected)
    rerated = [rate_again(charge, corrected) for charge in charges]
    categories = await tax_sql.list_tax_categories(tx, tenant_id=tx.tenant_id, price_ids=[corrected.id])
    category = next((row.tax_category for row in categories), "")
    lines = [
        _line(one, corrected, cycle.subscription_id, category)
        for one in rerated
        if one.difference_minor or one.discount_minor
    ]
    return _Correction(cycle, corrected, rerated, lines)


def _check_whole(cycle: BillingCycle) -> None:
    """What a threshold billed is a part of what its period comes to: the own cycle of that bills the rest."""
    if cycle.threshold_minor:
        raise FailedPrecondition(
            "RERATING_PROGRESSIVE",
            "The cycle bills what was used until a threshold; rate its period's own cycle again once that is "
            "invoiced.",
            {"cycle_id": cycle.id},
        )


async def _check_invoiced(tx: Transaction, cycle: BillingCycle) -> None:
    invoice = await invoice_sql.find_cycle_invoice(tx, tenant_id=tx.tenant_id, cycle_id=cycle.id)
    if invoice is None or invoice.state not in (InvoiceState.OPEN, InvoiceState.PAID):
        raise _not_reratable(cycle, invoice.state if invoice else cycle.state)


def _not_reratable(cycle: BillingCycle, state: str) -> FailedPrecondition:
    return FailedPrecondition(
        "CYCLE_NOT_RERATABLE",
        _NOT_RERATABLE.get(state, _NOT_INVOICED),
        {"cycle_id": cycle.id, "state": state},
    )


_NOT_INVOICED = "The cycle is not invoiced yet; rate it again once it is."
_NOT_RERATABLE: dict[str, str] = {
    CycleState.RATED: "Usage of the period is on its way to an invoice; rate it again once that is there.",
    CycleState.INVOICED: "The cycle's invoice was voided, or had nothing on it: there is nothing to correct. "
    "Invoice what is due with CreateInvoice.",
    InvoiceState.DRAFT: "The cycle's invoice is a draft; rate the cycle again once it is finalized.",
    InvoiceState.UNCOLLECTIBLE: "The cycle's invoice was written off: nothing of it is given back. "
    "Rate the cycle again if it is paid all the same.",
}


def _check_commitment(cycle: BillingCycle) -> None:
    """An earlier part has no minimum itself: that of its period stands with the last one, trued up there."""
    if cycle.minimum_minor or (cycle.minimum_minor is not None and cycle.period_end < cycle.full_period_end):
        raise FailedPrecondition(
            "RERATING_COMMITTED",
            "The period is held to a minimum commitment, whose true-up would not follow; issue a credit note "
            "or a one-off invoice instead.",
            {"cycle_id": cycle.id},
        )


async def _check_negotiated(tx: Transaction, cycle: BillingCycle, corrected: Price) -> None:
    overrides = await override_sql.list_overrides_of_subscriptions(
        tx,
        tenant_id=tx.tenant_id,
        subscription_ids=[cycle.subscription_id],
        price_ids=[corrected.id],
    )
    for one in overrides:
        begun = one.valid_from < cycle.full_period_end
        if begun and (one.valid_until is None or one.valid_until > cycle.full_period_start):
            raise negotiated(cycle.id, corrected.id)


def _occasion(made: _Correction) -> draft.Occasion:
    return draft.Occasion(
        customer_id=made.cycle.customer_id,
        currency=made.price.currency,
        period_start=made.cycle.period_start,
        period_end=made.cycle.period_end,
        subscription_id=made.cycle.subscription_id,
        description="Price correction",
    )


def _line(one: Rerated, corrected: Price, subscription_id: str, tax_category: str) -> draft.DraftLine:
    """The difference as one unit, for the charge's period: the rerated charge has how it came about."""
    charge, settled = one.charge, None
    if one.discount_minor is not None:
        settled = Settled(one.discount_minor, charge.taxes, charge.tax_exemption or "")
    return draft.DraftLine(
        type="one_time",
        description=f"{charge.description} (price corrected)",
        period_start=charge.period_start,
        period_end=charge.period_end,
        quantity=Decimal(1),
        unit_amount=major_units(one.difference_minor, charge.currency),
        unit_size=Decimal(1),
        amount_minor=check_line(one.difference_minor),
        price_id=corrected.id,
        subscription_item_id=charge.subscription_item_id,
        tiers=[],
        steps=[],
        tax_category=tax_category if settled is None or charge.taxes is None else charge.tax_category or "",
        subscription_id=subscription_id,
        settled=settled,
        evidence={**_discounted(one), "rerated_revision": charge.revision + 1},
    )


def _discounted(one: Rerated) -> dict[str, int]:
    """What the line's discount follows from, if it is not that of the discounts in force."""
    charge = one.charge
    if one.discount_minor is None:
        return {}
    before = {"invoiced_minor": charge.billed_minor, "uncharged_minor": charge.uncharged_minor}
    if charge.rated_minor <= 0:
        return before
    return before | {
        "rated_minor": charge.rated_minor,
        "rated_uncharged_minor": charge.rated_uncharged_minor,
        "rated_credit_minor": rated_credit_minor(charge),
        "later_credit_minor": charge.later_credit_minor,
    }


def _rows(
    tx: Transaction, made: _Correction, reason: str, tenant: TenantProfile, invoice: Invoice | None
) -> list[ReratedCharge]:
    return [
        ReratedCharge(
            tenant_id=tx.tenant_id,
            subscription_item_id=one.charge.subscription_item_id,
            kind=one.charge.kind,
            period_start=one.charge.period_start,
            period_end=one.charge.period_end,
            revision=one.charge.revision + 1,
            cycle_id=made.cycle.id,
            price_id=one.charge.corrected_price_id or one.charge.price_id,
            corrected_price_id=made.price.id,
            quantity=one.quantity,
            currency=made.price.currency,
            billed_minor=one.charge.billed_minor,
            amount_minor=one.amount_minor,
            difference_minor=one.difference_minor,
            billed_line_ids=list(one.charge.line_ids),
            invoice_id=invoice.id if invoice and one.difference_minor else None,
            reason=reason,
            actor=tx.caller.actor,
            rerated_at=tenant.now,
        )
        for one in made.rerated
    ]


async def _insert(tx: Transaction, made: _Correction, rows: Sequence[ReratedCharge]) -> None:
    first = rows[0]
    await rerating_sql.insert_rerated_charges(
        tx,
        tenant_id=tx.tenant_id,
        cycle_id=first.cycle_id,
        price_id=first.price_id,
        corrected_price_id=first.corrected_price_id,
        currency=first.currency,
        reason=first.reason,
        actor=first.actor,
        rerated_at=first.rerated_at,
        subscription_item_ids=[row.subscription_item_id for row in rows],
        kinds=[row.kind for row in rows],
        period_starts=[row.period_start for row in rows],
        period_ends=[row.period_end for row in rows],
        revisions=[row.revision for row in rows],
        quantities=[row.quantity for row in rows],
        amounts=[one.amount for one in made.rerated],
        billed_minors=[row.billed_minor for row in rows],
        amounts_minor=[row.amount_minor for row in rows],
        differences_minor=[row.difference_minor for row in rows],
        billed_line_ids=[",".join(row.billed_line_ids) for row in rows],
        invoice_ids=[row.invoice_id or "" for row in rows],
    )


async def _announce(tx: Transaction, made: _Correction, price_id: str, invoice: Invoice | None) -> None:
    cycle = made.cycle
    version = await rerating_sql.mark_cycle_rerated(tx, tenant_id=tx.tenant_id, id=cycle.id)
    assert version is not None, "the cycle is there: its charges were read"
    outbox.append(
        tx,
        rating_events_pb2.BillingCycleRerated(
            cycle_id=cycle.id,
            subscription_id=cycle.subscription_id,
            customer_id=cycle.customer_id,
            price_id=price_id,
            corrected_price_id=made.price.id,
            invoice_id=invoice.id if invoice else "",
            currency=made.price.currency,
            difference_minor=sum(one.difference_minor for one in made.rerated),
        ),
        resource_id=cycle.id,
        resource_version=version,
        ordering_key=cycle.customer_id,
    )


def _message(row: ReratedCharge) -> rating_pb2.ReratedCharge:
    return to_message(row, rating_pb2.ReratedCharge)
