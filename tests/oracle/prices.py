"""What a quantity costs, by the table of prices in docs/money.md: exact, in major units."""

from fractions import Fraction
from math import ceil, floor

from tests.oracle.world import Meter, Price, Tier

NOTHING = Fraction(0)


def amount_of(price: Price, quantity: Fraction) -> Fraction:
    """Before any minimum and cap."""
    if price.model == "flat":
        return Fraction(price.unit_amount)
    beyond = max(NOTHING, quantity - number(price.included_quantity))
    if price.model == "per_unit":
        return beyond / number(price.unit_size) * number(price.unit_amount)
    if price.model == "package":
        return ceil(beyond / number(price.unit_size)) * number(price.unit_amount)
    if not beyond and price.no_flat_amount_when_unused:
        return NOTHING
    if price.model == "volume":
        below = NOTHING
        for tier in price.tiers:
            if not tier.up_to or below <= beyond <= number(tier.up_to):
                return _in_tier(price, tier, beyond)
            below = number(tier.up_to)
    total = below = NOTHING
    for place, tier in enumerate(price.tiers):
        if place == 0 or beyond > below:
            top = min(beyond, number(tier.up_to)) if tier.up_to else beyond
            total += _in_tier(price, tier, top - below)
        below = number(tier.up_to)
    return total


def period_amount(price: Price, quantity: Fraction, share: Fraction) -> Fraction:
    """A period's usage, held between its cap and minimum, which are due for the share of it that was served;
    what served no time has no minimum, and all of its cap."""
    amount = amount_of(price, quantity)
    if price.maximum_amount:
        amount = min(amount, number(price.maximum_amount) * (share or 1))
    if price.minimum_amount and share:
        amount = max(amount, number(price.minimum_amount) * share)
    return amount


def transformed(meter: Meter, quantity: Fraction) -> Fraction:
    """What is billed for what a meter measured: it has twelve decimals, before and after."""
    quantity = _cut(quantity)
    if not meter.divide_by:
        return quantity
    quantity /= number(meter.divide_by)
    if meter.rounding:
        size = number(meter.block_size)
        rounding = {"up": ceil, "down": floor, "half_up": lambda blocks: floor(blocks + Fraction(1, 2))}
        quantity = rounding[meter.rounding](quantity / size) * size
    return _cut(quantity)


def _cut(quantity: Fraction) -> Fraction:
    return Fraction(floor(quantity * 10**12 + Fraction(1, 2)), 10**12)


def number(text: str) -> Fraction:
    return Fraction(text or 0)


def _in_tier(price: Price, tier: Tier, inside: Fraction) -> Fraction:
    if tier.block_size:
        times = Fraction(ceil(inside / number(tier.block_size)))
    else:
        times = inside / number(price.unit_size)
    amount = number(tier.flat_amount) + times * number(tier.unit_amount)
    return min(amount, number(tier.maximum_amount)) if tier.maximum_amount else amount
