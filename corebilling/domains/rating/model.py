"""What a billing cycle is charged: fees, usage, and what other periods turned out to cost more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from corebilling.values.commitment import Committed, due_minor
from corebilling.values.money import exact_amount
from corebilling.values.period import ALWAYS, Period, next_midnight
from corebilling.values.price import (
    BY_RECORD,
    Price,
    PriceModel,
    Rated,
    Step,
    StepKind,
    TierCharge,
    prorate,
    rate,
    rate_increase,
    settle,
)
from corebilling.values.price_matrix import CellCharge
from corebilling.values.price_percentage import RatedTransactions
from corebilling.values.proration import Grain, Proration


class ChargeKind(StrEnum):
    RECURRING = "recurring"
    USAGE = "usage"
    ADJUSTMENT = "adjustment"
    ONE_TIME = "one_time"


_BY_THE_SECOND = Proration()
_WHOLE = Fraction(1)
_NO_RECORDS: "Mapping[str, RatedRecords]" = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Negotiated:
    """A price with negotiated amounts, and when they are in force."""

    price: Price
    valid: Period


@dataclass(frozen=True, slots=True)
class PricedItem:
    """A subscription item; a metered one has no quantity of its own.

    `served` is when usage counts for it, `billed` when its fee is due. Of the `negotiated`, the first that is
    in force goes before the others and the price.
    """

    id: str
    price: Price
    quantity: Decimal | None
    served: Period = ALWAYS
    billed: Period = ALWAYS
    aggregation: str = ""
    """Of a metered one's meter."""
    negotiated: tuple[Negotiated, ...] = ()


@dataclass(frozen=True, slots=True)
class LateUsage:
    """Usage outside the cycle's own period: all of it, and what was billed.

    Of an earlier, settled period that grew since; or, when service ends, of the period that would have
    come: there it was reported ahead of the clock.
    """

    item_id: str
    period: Period
    quantity: Decimal
    billed_quantity: Decimal
    full_period: Period
    """That it lies in. One without length, or after the end of service, never came."""
    billed_amount: Decimal = Decimal(0)
    records: "RatedRecords | None" = None
    """Of a price that looks at single records: what all of it comes to."""


@dataclass(frozen=True, slots=True)
class RatedRecords:
    """What a price that looks at single records charges for those of a period, before cap and minimum, and
    where that comes from."""

    amount: Fraction = Fraction(0)
    cells: tuple[CellCharge, ...] = ()
    transactions: RatedTransactions | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """A span of a full period, and the share of the full period that is due for it."""

    span: Period
    share: Fraction


@dataclass(frozen=True, slots=True)
class Basis:
    """What a charge was worked out from, beside its price and quantity: kept as its evidence.

    `before` is what earlier parts of the same period were charged for.
    """

    full_period: Period
    due: Due
    terms: Proration
    before: Due | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What one price comes to in one cycle. `amount` is exact, in major units of the price's currency.

    `amount_before` is what earlier parts of the same period came to, for the same fee.
    """

    item_id: str
    kind: ChargeKind
    price: Price
    description: str
    period: Period
    quantity: Decimal
    amount: Decimal
    tiers: tuple[TierCharge, ...]
    basis: Basis
    steps: tuple[Step, ...] = ()
    amount_before: Decimal = Decimal(0)
    records: RatedRecords | None = None


def decide_charges(
    period: Period,
    full_period: Period,
    items: Sequence[PricedItem],
    usage: Mapping[str, Decimal],
    late: Sequence[LateUsage],
    terms: Proration = _BY_THE_SECOND,
    *,
    service: Period = ALWAYS,
    records: Mapping[str, RatedRecords] = _NO_RECORDS,
) -> list[Charge]:
    """All that a cycle is charged for: fees, usage, and what other periods turned out to cost more.

    Args:
        period: The cycle's period; fees are prorated when it is shorter than `full_period`, and where items
            began or ended within it.
        items: Those that are charged once were not charged yet.
        full_period: A closing cycle's is empty: it has neither fees nor usage of its own.
        usage: The full period's quantities so far, by metered item; an item without any used nothing.
        late: Of periods that no other cycle bills.
        terms: How fees are prorated.
        service: From the subscription's first paid moment to its end.
        records: What usage comes to by prices that look at single records, by item.
    """
    adjustments = [_adjustment(_item(items, total, service), total, period, terms, service) for total in late]
    if full_period.start == full_period.end:
        return adjustments
    items = [with_amounts(item, items, full_period, service) for item in items]
    due = {
        item.id: _common(period, item.billed)
        for item in items
        if _touches(item.billed, period) and not item.price.one_time
    }
    last = max((span.end for span in due.values()), default=period.end)
    charges: list[Charge] = []
    for item in items:
        if item.price.one_time:
            if _is_due_once(item, period, service):
                charges.append(_one_time_charge(item, terms, service))
        elif item.price.metered:
            if item.id in usage or is_usage_due(item, period, full_period, service):
                quantity = usage.get(item.id, Decimal(0))
                looked_at = records.get(item.id)
                charges.append(_usage_charge(item, quantity, looked_at, period, full_period, terms, service))
        elif item.id in due:
            span = due[item.id]
            if terms.grain is Grain.NONE:  # What there is at the end is due for all of it.
                basis = Basis(full_period, Due(span, Fraction(period.start < span.end == last)), terms)
            else:
                before = _due_before(item, period, full_period, terms, service)
                basis = Basis(full_period, _due(span, full_period, terms, service), terms, before)
            if basis.due.share or span.start == span.end:
                charges.append(_recurring_charge(item, span, basis))
    return charges + adjustments


def with_amounts(
    item: PricedItem, items: Sequence[PricedItem], full_period: Period, service: Period
) -> PricedItem:
    """The item as it is priced in a full period: with the amounts that are in force when its price is first
    served there, by this item or another."""
    if not item.negotiated:
        return item
    if item.price.one_time:
        moment = max(item.served.start, service.start)
    else:
        begun = max(full_period.start, service.start)
        same = (other.served for other in items if other.price.id == item.price.id)
        moment = min((max(span.start, begun) for span in same if span.end > begun), default=begun)
    price = next((one.price for one in item.negotiated if moment in one.valid), item.price)
    return replace(item, price=price)


def _item(items: Sequence[PricedItem], late: LateUsage, service: Period) -> PricedItem:
    item = next(item for item in items if item.id == late.item_id)
    return with_amounts(item, items, late.full_period, service)


def decide_minimum(
    period: Period,
    full_period: Period,
    committed: Sequence[Committed],
    terms: Proration = _BY_THE_SECOND,
    *,
    service: Period = ALWAYS,
) -> int:
    """What the full period comes to at least, in minor units: 0 unless the cycle's period is its last part.

    Each commitment is due for the share that a fee would be due for.
    """
    if full_period.start == full_period.end or period.end < min(full_period.end, service.end):
        return 0
    served = _common(full_period, service)
    last = max((_common(served, one.span).end for one in committed), default=served.end)

    def share(span: Period) -> Fraction:
        part = _common(served, span)
        if terms.grain is Grain.NONE:
            return Fraction(part.start < part.end == last)
        return _due(part, full_period, terms, service).share

    return due_minor(committed, share, terms.rounding)


def goes_on(item: PricedItem, period: Period, full_period: Period, service: Period) -> bool:
    """Whether the item serves in a later part of the full period: its usage is billed there, all together."""
    return period.end < min(full_period.end, service.end, item.served.end)


def served_span(item: PricedItem, period: Period, service: Period) -> Period:
    """What of the period the item served."""
    return _common(_common(period, service), item.served)


def is_usage_due(item: PricedItem, period: Period, full_period: Period, service: Period) -> bool:
    """Whether this cycle bills the item's usage though there be none."""
    return (
        _touches(item.served, Period(full_period.start, period.end))
        and item.served.end > period.start
        and not goes_on(item, period, full_period, service)
    )


def _is_due_once(item: PricedItem, period: Period, service: Period) -> bool:
    """Whether the item was added by the period's end, and not taken back in the same instant or while nothing
    was due."""
    served = item.served
    return served.start <= period.end and max(served.start, service.start) < served.end


def _common(period: Period, span: Period) -> Period:
    start = max(period.start, min(span.start, period.end))
    return Period(start, max(start, min(period.end, span.end)))


def _touches(span: Period, period: Period) -> bool:
    """Some of the span lies in the period; of one without length, it lies around it."""
    return (
        span.start < span.end
        and span.end > period.start
        and (span.start < period.end or span.start == period.start)
    )


def _due(span: Period, full_period: Period, terms: Proration, service: Period) -> Due:
    """The share of a full period's fee, cap or minimum that is due for a span of it."""
    last_day_counts = span.end == service.end and terms.grain is Grain.DAY
    if last_day_counts and span.start < span.end < full_period.end:
        span = Period(span.start, min(next_midnight(span.end, terms.timezone), full_period.end))
    return Due(span, terms.share(span, full_period).factor)


def _due_before(
    item: PricedItem, period: Period, full_period: Period, terms: Proration, service: Period
) -> Due | None:
    """The share of the item's fee that earlier parts of the full period were charged, if any."""
    earlier = Period(max(full_period.start, service.start), period.start)
    if earlier.start >= earlier.end:
        return None
    due = _due(_common(earlier, item.billed), full_period, terms, service)
    return due if due.share else None


def _recurring_charge(item: PricedItem, period: Period, basis: Basis) -> Charge:
    price, share = item.price, basis.due.share
    quantity, whole = _rate_licensed(item)
    description = price.description if share == 1 else f"{price.description} (prorated)"
    rated = prorate(whole, share)
    charge = _charge(item, ChargeKind.RECURRING, description, period, quantity, rated, basis)
    if basis.before is None:
        return charge
    # Cut to its decimals together with what was charged before: the parts of a whole price add up to it.
    amount_before = exact_amount(whole.amount * basis.before.share)
    so_far = exact_amount(whole.amount * (basis.before.share + share))
    amount = exact_amount(Fraction(so_far) - Fraction(amount_before))
    return replace(charge, amount=amount, amount_before=amount_before)


def _one_time_charge(item: PricedItem, terms: Proration, service: Period) -> Charge:
    at = max(item.served.start, service.start)
    moment = Period(at, at)
    basis = Basis(moment, Due(moment, _WHOLE), terms)
    quantity, rated = _rate_licensed(item)
    return _charge(item, ChargeKind.ONE_TIME, item.price.description, moment, quantity, rated, basis)


def _rate_licensed(item: PricedItem) -> tuple[Decimal, Rated]:
    # A flat fee is due once, whatever the quantity.
    quantity = Decimal(1) if item.price.model is PriceModel.FLAT else item.quantity or Decimal(0)
    return quantity, rate(item.price, quantity)


def _usage_charge(
    item: PricedItem,
    quantity: Decimal,
    records: RatedRecords | None,
    period: Period,
    full_period: Period,
    terms: Proration,
    service: Period,
) -> Charge:
    served = served_span(item, Period(full_period.start, period.end), service)
    price, basis = _capped(item, full_period, terms, service)
    if price.model in BY_RECORD:
        records = records or RatedRecords()
        rated = settle(price, Rated(records.amount), share=basis.due.share)
    else:
        rated = rate(price, quantity, share=basis.due.share)
    charge = _charge(item, ChargeKind.USAGE, price.description, served, quantity, rated, basis)
    return replace(charge, records=records)


def _adjustment(
    item: PricedItem, late: LateUsage, period: Period, terms: Proration, service: Period
) -> Charge:
    price, basis = _capped(item, late.full_period, terms, service)
    if late.records is None:
        rated = rate_increase(price, late.billed_quantity, late.quantity, share=basis.due.share)
    else:
        whole = settle(price, Rated(late.records.amount), share=basis.due.share)
        rated = _less_billed(whole, Fraction(late.billed_amount))
    when = "late usage" if late.period.start < period.start else "usage ahead"
    description = f"{price.description} ({when})"
    added = exact_amount(Fraction(late.quantity) - Fraction(late.billed_quantity))
    charge = _charge(item, ChargeKind.ADJUSTMENT, description, late.period, added, rated, basis)
    return replace(charge, records=late.records)


def _less_billed(whole: Rated, billed: Fraction) -> Rated:
    steps = (*whole.steps, Step(StepKind.BILLED, -billed)) if billed else whole.steps
    return Rated(whole.amount - billed, whole.tiers, steps)


def _capped(item: PricedItem, full_period: Period, terms: Proration, service: Period) -> tuple[Price, Basis]:
    """The item's price in a full period, and the share of its cap and minimum that is due there: as much as
    it served. Where it served no time, as in a period that never came, there is no minimum, but all of the
    cap: a part of it, nothing, would make usage free."""
    served = served_span(item, full_period, service)
    due = _due(served, full_period, terms, service)
    if due.share:
        return item.price, Basis(full_period, due, terms)
    return replace(item.price, minimum_amount=None), Basis(full_period, replace(due, share=_WHOLE), terms)


def _charge(
    item: PricedItem,
    kind: ChargeKind,
    description: str,
    period: Period,
    quantity: Decimal,
    rated: Rated,
    basis: Basis,
) -> Charge:
    return Charge(
        item_id=item.id,
        kind=kind,
        price=item.price,
        description=description,
        period=period,
        quantity=quantity,
        amount=exact_amount(rated.amount),
        tiers=evidence(item.price, rated),
        basis=basis,
        steps=rated.steps,
    )


def evidence(price: Price, rated: Rated) -> tuple[TierCharge, ...]:
    """The tiers that explain an amount; none where quantity and unit amount already do."""
    explains_itself = price.model in (PriceModel.FLAT, PriceModel.PER_UNIT) and not price.included_quantity
    return () if explains_itself else rated.tiers
