"""What a billing cycle is charged: fees, usage, and what other periods turned out to cost more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from corebilling.values.money import exact_amount
from corebilling.values.period import Period
from corebilling.values.price import Price, PriceModel, Rated, Step, TierCharge, prorate, rate, rate_increase


class ChargeKind(StrEnum):
    RECURRING = "recurring"
    USAGE = "usage"
    ADJUSTMENT = "adjustment"


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
    served: Fraction = Fraction(1)
    """The part of its full length that the period ran: as much of a cap and a minimum holds. Of a period that
    never came, neither does."""


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
    steps: tuple[Step, ...] = ()


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
        _usage_charge(item, usage.get(item.id, Decimal(0)), period, share)
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


def _usage_charge(item: PricedItem, quantity: Decimal, period: Period, share: Fraction) -> Charge:
    rated = rate(item.price, quantity, share=share)
    return _charge(item, ChargeKind.USAGE, item.price.description, period, quantity, rated)


def _adjustment(item: PricedItem, late: LateUsage, period: Period) -> Charge:
    price = item.price if late.served else replace(item.price, minimum_amount=None, maximum_amount=None)
    rated = rate_increase(price, late.billed_quantity, late.quantity, share=late.served)
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
        tiers=evidence(item.price, rated),
        steps=rated.steps,
    )


def evidence(price: Price, rated: Rated) -> tuple[TierCharge, ...]:
    """The tiers that explain an amount; none where quantity and unit amount already do."""
    explains_itself = price.model in (PriceModel.FLAT, PriceModel.PER_UNIT) and not price.included_quantity
    return () if explains_itself else rated.tiers
