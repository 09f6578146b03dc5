"""What quantities cost: prices applied to a billing cycle, exactly.

Amounts are fractions until they become a charge: nothing is rounded on the way, and whatever is billed in
parts adds up to the whole.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from corebilling.values.money import exact_amount
from corebilling.values.period import ALWAYS, Period, next_midnight
from corebilling.values.proration import Grain, Proration


class PriceModel(StrEnum):
    FLAT = "flat"
    PER_UNIT = "per_unit"
    GRADUATED = "graduated"


class ChargeKind(StrEnum):
    RECURRING = "recurring"
    USAGE = "usage"
    ADJUSTMENT = "adjustment"


@dataclass(frozen=True, slots=True)
class Tier:
    """Quantities in `(previous up_to, up_to]`; `up_to` None is open-ended.

    `flat_amount` is due once, as soon as the tier is entered.
    """

    up_to: Decimal | None
    unit_amount: Decimal
    flat_amount: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Price:
    """What is charged for a quantity. Amounts in major units, each for `unit_size` units.

    A graduated price has tiers and no `unit_amount`; the others the reverse.
    """

    id: str
    description: str
    currency: str
    model: PriceModel
    metered: bool
    unit_amount: Decimal | None = None
    unit_size: Decimal = Decimal(1)
    tiers: tuple[Tier, ...] = ()


@dataclass(frozen=True, slots=True)
class TierCharge:
    """The part of a quantity that fell into one tier, and its exact price."""

    from_quantity: Decimal
    up_to: Decimal | None
    quantity: Fraction
    unit_amount: Decimal
    flat_amount: Decimal
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Rated:
    """An exact amount in major units; of graduated prices also what each tier contributed."""

    amount: Fraction
    tiers: tuple[TierCharge, ...] = ()


def rate(price: Price, quantity: Decimal | Fraction) -> Rated:
    """What the quantity costs. A graduated price bills its first tier's flat amount even for nothing."""
    units = Fraction(quantity)
    match price.model:
        case PriceModel.FLAT:
            return Rated(Fraction(_unit_amount(price)))
        case PriceModel.PER_UNIT:
            return Rated(Fraction(_unit_amount(price)) * units / Fraction(price.unit_size))
        case PriceModel.GRADUATED:
            tiers = _rate_tiers(price, units)
            return Rated(sum((tier.amount for tier in tiers), Fraction(0)), tiers)


def rate_increase(price: Price, before: Decimal, after: Decimal) -> Rated:
    """What a quantity that grew costs more than it did: price(after) - price(before), tier by tier."""
    old, new = rate(price, before), rate(price, after)
    known = {tier.from_quantity: tier for tier in old.tiers}
    grown = tuple(_tier_increase(known.get(tier.from_quantity), tier) for tier in new.tiers)
    return Rated(new.amount - old.amount, tuple(tier for tier in grown if tier.quantity or tier.amount))


def prorate(rated: Rated, share: Fraction) -> Rated:
    """The same for a part of a period, evidence included."""
    tiers = tuple(replace(tier, amount=tier.amount * share) for tier in rated.tiers)
    return Rated(rated.amount * share, tiers)


def _rate_tiers(price: Price, units: Fraction) -> tuple[TierCharge, ...]:
    """The tiers that the quantity enters, the first one always."""
    charges: list[TierCharge] = []
    start = Decimal(0)
    for tier in price.tiers:
        if charges and units <= start:
            break
        end = units if tier.up_to is None else min(units, Fraction(tier.up_to))
        inside = end - Fraction(start)
        cost = Fraction(tier.unit_amount) * inside / Fraction(price.unit_size)
        charges.append(
            TierCharge(
                from_quantity=start,
                up_to=tier.up_to,
                quantity=inside,
                unit_amount=tier.unit_amount,
                flat_amount=tier.flat_amount,
                amount=cost + Fraction(tier.flat_amount),
            )
        )
        start = start if tier.up_to is None else tier.up_to
    return tuple(charges)


def _tier_increase(old: TierCharge | None, new: TierCharge) -> TierCharge:
    if old is None:
        return new
    return replace(
        new, quantity=new.quantity - old.quantity, amount=new.amount - old.amount, flat_amount=Decimal(0)
    )


def _unit_amount(price: Price) -> Decimal:
    assert price.unit_amount is not None, "only graduated prices have none"
    return price.unit_amount


_BY_THE_SECOND = Proration()


@dataclass(frozen=True, slots=True)
class PricedItem:
    """A subscription item; a metered one has no quantity of its own.

    `served` is when usage counts for it, `billed` when its fee is due.
    """

    id: str
    price: Price
    quantity: Decimal | None
    served: Period = ALWAYS
    billed: Period = ALWAYS


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


@dataclass(frozen=True, slots=True)
class Charge:
    """What one price comes to in one cycle. `amount` is exact, in major units of the price's currency."""

    item_id: str
    kind: ChargeKind
    price: Price
    description: str
    period: Period
    quantity: Decimal
    amount: Decimal
    tiers: tuple[TierCharge, ...]


def decide_charges(
    period: Period,
    full_period: Period,
    items: Sequence[PricedItem],
    usage: Mapping[str, Decimal],
    late: Sequence[LateUsage],
    terms: Proration = _BY_THE_SECOND,
    *,
    ended: bool = False,
) -> list[Charge]:
    """All that a cycle is charged for: fees, usage, and what other periods turned out to cost more.

    Args:
        period: The cycle's period; fees are prorated when it is shorter than `full_period`, and where items
            began or ended within it.
        full_period: A closing cycle's is empty: it has neither fees nor usage of its own.
        usage: The period's quantities by metered item; an item without any used nothing.
        late: Of periods that no other cycle bills.
        terms: How fees are prorated.
        ended: Service ended with the period, so that its last day counts.
    """
    by_id = {item.id: item for item in items}
    adjustments = [_adjustment(by_id[total.item_id], total, period) for total in late]
    if full_period.start == full_period.end:
        return adjustments
    due = {item.id: _common(period, item.billed) for item in items if _touches(item.billed, period)}
    last = max((span.end for span in due.values()), default=period.end)
    charges: list[Charge] = []
    for item in items:
        if item.price.metered:
            span = _common(period, item.served)
            # What an invoice holds the first part of goes on as late usage: it is priced together.
            continued = full_period.start < period.start and item.served.start < period.start
            if item.id in usage or (_touches(item.served, period) and not continued):
                charges.append(_usage_charge(item, usage.get(item.id, Decimal(0)), span))
        elif item.id in due:
            span = due[item.id]
            if terms.grain is Grain.NONE:  # What there is at the end is due for all of it.
                share = Fraction(period.start < span.end == last)
            else:
                share = _fee_share(span, period, full_period, terms, ended=ended)
            if share or span.start == span.end:
                charges.append(_recurring_charge(item, span, share))
    return charges + adjustments


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


def _fee_share(
    span: Period, period: Period, full_period: Period, terms: Proration, *, ended: bool
) -> Fraction:
    """The share of a full period's fee that is due for a span of the period."""
    last_day_counts = ended and terms.grain is Grain.DAY and span.end == period.end
    if last_day_counts and span.start < span.end < full_period.end:
        span = Period(span.start, min(next_midnight(span.end, terms.timezone), full_period.end))
    return terms.share(span, full_period).factor


def _recurring_charge(item: PricedItem, period: Period, share: Fraction) -> Charge:
    price = item.price
    # A flat fee is due once, whatever the quantity.
    quantity = Decimal(1) if price.model is PriceModel.FLAT else item.quantity or Decimal(0)
    description = price.description if share == 1 else f"{price.description} (prorated)"
    rated = prorate(rate(price, quantity), share)
    return _charge(item, ChargeKind.RECURRING, description, period, quantity, rated)


def _usage_charge(item: PricedItem, quantity: Decimal, period: Period) -> Charge:
    rated = rate(item.price, quantity)
    return _charge(item, ChargeKind.USAGE, item.price.description, period, quantity, rated)


def _adjustment(item: PricedItem, late: LateUsage, period: Period) -> Charge:
    rated = rate_increase(item.price, late.billed_quantity, late.quantity)
    when = "usage ahead" if late.period.start >= period.start else "late usage"
    if late.period.start < period.start < late.period.end:
        when = "usage since"  # The same period goes on: its first part is invoiced.
    description = f"{item.price.description} ({when})"
    added = exact_amount(Fraction(late.quantity) - Fraction(late.billed_quantity))
    return _charge(item, ChargeKind.ADJUSTMENT, description, late.period, added, rated)


def _charge(
    item: PricedItem, kind: ChargeKind, description: str, period: Period, quantity: Decimal, rated: Rated
) -> Charge:
    return Charge(
        item_id=item.id,
        kind=kind,
        price=item.price,
        description=description,
        period=period,
        quantity=quantity,
        amount=exact_amount(rated.amount),
        tiers=rated.tiers,
    )
