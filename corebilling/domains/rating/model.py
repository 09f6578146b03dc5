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
from corebilling.values.period import Period


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


@dataclass(frozen=True, slots=True)
class PricedItem:
    """A subscription item; a metered one has no quantity of its own."""

    id: str
    price: Price
    quantity: Decimal | None


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
) -> list[Charge]:
    """All that a cycle is charged for: fees, usage, and what other periods turned out to cost more.

    Args:
        period: The cycle's period; fees are prorated when it was cut shorter than `full_period`.
        full_period: A closing cycle's is empty: it has neither fees nor usage of its own.
        usage: The period's quantities by metered item; an item without any used nothing.
        late: Of periods that no other cycle bills.
    """
    by_id = {item.id: item for item in items}
    adjustments = [_adjustment(by_id[total.item_id], total, period) for total in late]
    if full_period.start == full_period.end:
        return adjustments
    share = period.share_of(full_period)
    charges = [
        _usage_charge(item, usage.get(item.id, Decimal(0)), period)
        if item.price.metered
        else _recurring_charge(item, period, share)
        for item in items
    ]
    return charges + adjustments


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
    when = "late usage" if late.period.start < period.start else "usage ahead"
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
