"""What quantities cost: prices applied exactly, with the evidence of every part.

Amounts are fractions until they become a charge: nothing is rounded on the way, and whatever is billed in
parts adds up to the whole. Every model is a list of tiers, in which each quantity has one place:

    flat        the amount once, whatever the quantity
    per_unit    each unit (or part of `unit_size` units) at one amount
    graduated   each unit at the price of the tier it falls in
    volume      all units at the price of the tier that the last one reaches
    package     started packages of `unit_size` units

but for those that look at single records (`BY_RECORD`): of them, `settle` alone is of use here.

A tier may sell whole blocks, and may have a most that it charges. Shares of money are units too: 1.5 % is a
`unit_amount` of 1.5 for a `unit_size` of 100. What a price includes is its first tier, at nothing. On top of
that come, in this order, a discount, a cap, and a minimum: see `settle`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import ceil
from typing import Protocol

from corebilling.values.money import exact, plus
from corebilling.values.price_matrix import Cell
from corebilling.values.price_percentage import Percentage

_NOTHING = Fraction(0)
_WHOLE = Fraction(1)


class PriceModel(StrEnum):
    FLAT = "flat"
    PER_UNIT = "per_unit"
    GRADUATED = "graduated"
    VOLUME = "volume"
    PACKAGE = "package"
    MATRIX = "matrix"
    PERCENTAGE = "percentage"


BY_RECORD = frozenset({PriceModel.MATRIX, PriceModel.PERCENTAGE})
"""What these charge does not follow from a quantity alone: see `price_matrix` and `price_percentage`."""


@dataclass(frozen=True, slots=True)
class Tier:
    """Quantities in `(previous up_to, up_to]`. The last tier holds all that lies above the one before it.

    `flat_amount` is due once, as soon as the tier is entered. With a `block_size`, `unit_amount` is for each
    started block of so many units. The tier never charges more than `maximum_amount`.
    """

    up_to: Decimal | None
    unit_amount: Decimal
    flat_amount: Decimal = Decimal(0)
    block_size: Decimal | None = None
    maximum_amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """What is charged for a quantity. Amounts in major units, each for `unit_size` units.

    A graduated or volume price has tiers and no `unit_amount`; the others the reverse. The first
    `included_quantity` units cost nothing, and tiers count from there. `maximum_amount` and `minimum_amount`
    are what a whole period is charged at most and at least, after `discount_percent` is taken off.
    """

    id: str
    description: str
    currency: str
    model: PriceModel
    metered: bool
    unit_amount: Decimal | None = None
    unit_size: Decimal = Decimal(1)
    tiers: tuple[Tier, ...] = ()
    included_quantity: Decimal = Decimal(0)
    maximum_amount: Decimal | None = None
    minimum_amount: Decimal | None = None
    discount_percent: Decimal = Decimal(0)
    one_time: bool = False
    cells: tuple[Cell, ...] = ()
    """Of a matrix; the last one takes what no other does."""
    percentage: Percentage | None = None
    override_id: str = ""
    """The negotiated amounts that it has instead of its own."""
    zero_usage_flat_fee: bool = True
    """Whether the first tier's flat amount is due even when there is nothing to charge for."""


@dataclass(slots=True)  # Not frozen: that takes three times as long, and each invoice has many.
class TierCharge:
    """The part of a quantity that fell into one tier, and its exact price.

    `amount` is `unit_amount` x `units` + `flat_amount`, or the tier's `maximum_amount` if that is less.
    `units` is how many times the unit amount is due: the quantity by the unit size, or the started blocks.
    """

    from_quantity: Decimal
    up_to: Decimal | None
    quantity: Fraction
    unit_amount: Decimal
    flat_amount: Decimal
    amount: Fraction
    units: Fraction = _NOTHING
    block_size: Decimal | None = None


class StepKind(StrEnum):
    PERCENT_DISCOUNT = "percent_discount"
    CAP = "cap"
    MINIMUM = "minimum"
    BILLED = "billed"
    """What was billed before of what is rated as a whole."""


@dataclass(frozen=True, slots=True)
class Step:
    """What a rule on top of the tiers adds; discounts and caps are negative."""

    kind: StepKind
    amount: Fraction


@dataclass(frozen=True, slots=True)
class Rated:
    """An exact amount in major units, and where it comes from: it is the sum of its tiers and its steps."""

    amount: Fraction
    tiers: tuple[TierCharge, ...] = ()
    steps: tuple[Step, ...] = ()

    def step(self, kind: StepKind) -> Fraction:
        """What the steps of this kind add; 0 when there are none."""
        return sum((step.amount for step in self.steps if step.kind is kind), _NOTHING)


def rate(
    price: Price,
    quantity: Decimal | Fraction,
    *,
    tier_quantity: Decimal | Fraction | None = None,
    final: bool = True,
    share: Fraction = _WHOLE,
) -> Rated:
    """What the quantity costs. Tiers with a flat amount bill the first one's even for nothing.

    Args:
        quantity: All that was used in a period so far.
        tier_quantity: What a volume price finds its tier by, if that is another quantity: of units that ran
            for a part of the period, the whole ones decide what each of them costs.
        final: Whether the period is over: the minimum is due only then.
        share: The part of its full length that the period ran. Cap and minimum are due for that part.
    """
    used = rate_tiers(price, exact(quantity), None if tier_quantity is None else exact(tier_quantity))
    return settle(price, used, final=final, share=share)


def rate_increase(
    price: Price, before: Decimal | Fraction, after: Decimal | Fraction, *, share: Fraction = _WHOLE
) -> Rated:
    """What a quantity that changed costs more than it did: price(after) - price(before), tier by tier."""
    return difference(rate(price, after, share=share), rate(price, before, share=share))


def rate_more(
    price: Price,
    before: Decimal | Fraction,
    added: Decimal | Fraction,
    *,
    billed: Decimal | Fraction | None = None,
    final: bool = True,
) -> Rated:
    """What a further part of a period's usage costs, where `before` was rated earlier and `billed` for it.

    The tiers go on where they stopped; cap and minimum hold for the period, so what was billed counts. By
    default that is what `before` comes to.

    For whoever knows no more than that. Invoices bill what all of the period comes to, less what was billed.
    """
    before = Fraction(before)
    used = difference(rate_tiers(price, before + Fraction(added)), rate_tiers(price, before))
    net = rate(price, before, final=False).amount if billed is None else Fraction(billed)
    return settle(price, used, billed=net, final=final)


def difference(new: Rated, old: Rated) -> Rated:
    """What the new is more than the old, evidence included; tiers and steps that did not change are left out.

    A tier that only the old has is taken back, flat amount and all.
    """
    known = {tier.from_quantity: tier for tier in old.tiers}
    kept = {tier.from_quantity for tier in new.tiers}
    left = [_negative(tier) for tier in old.tiers if tier.from_quantity not in kept]
    grown = [_tier_increase(known.get(tier.from_quantity), tier) for tier in new.tiers]
    steps = (Step(kind, new.step(kind) - old.step(kind)) for kind in StepKind)
    return Rated(
        new.amount - old.amount,
        tuple(tier for tier in (*left, *grown) if tier.quantity or tier.amount),
        tuple(step for step in steps if step.amount),
    )


def prorate(rated: Rated, share: Fraction) -> Rated:
    """The same for a part of a period, evidence included."""
    return Rated(
        rated.amount * share,
        tuple(replace(tier, amount=tier.amount * share) for tier in rated.tiers),
        tuple(replace(step, amount=step.amount * share) for step in rated.steps),
    )


def settle(
    price: Price,
    used: Rated,
    *,
    billed: Fraction = _NOTHING,
    final: bool = True,
    share: Fraction = _WHOLE,
) -> Rated:
    """Takes the discount off, holds the period's charges below its cap, and at the end above its minimum.

    Args:
        used: What the tiers charge.
        billed: What the same period was billed before, net of discounts: it counts towards both.
    """
    steps: list[Step] = []
    amount = used.amount

    def add(kind: StepKind, change: Fraction) -> Fraction:
        if not change:
            return amount
        steps.append(Step(kind, change))
        return amount + change

    if price.discount_percent:
        amount = add(StepKind.PERCENT_DISCOUNT, -amount * exact(price.discount_percent) / 100)
    if price.maximum_amount is not None:
        room = max(exact(price.maximum_amount) * share - billed, _NOTHING)
        amount = add(StepKind.CAP, min(room - amount, _NOTHING))
    if price.minimum_amount is not None and final:
        missing = exact(price.minimum_amount) * share - billed - amount
        amount = add(StepKind.MINIMUM, max(missing, _NOTHING))
    return Rated(amount, used.tiers, tuple(steps))


def rate_tiers(price: Price, quantity: Fraction, tier_quantity: Fraction | None = None) -> Rated:
    """What the tiers charge for the quantity, before any discount, cap and minimum."""
    included = exact(price.included_quantity)
    beyond = quantity - included if included else quantity
    charged = beyond if beyond.numerator > 0 else _NOTHING
    if price.model is PriceModel.FLAT:
        charges: tuple[TierCharge, ...] = (_tier_charge(price, tiers_of(price)[0], Decimal(0), _NOTHING),)
    elif not charged and not price.zero_usage_flat_fee:
        charges = ()
    elif price.model is PriceModel.VOLUME:
        reached = quantity if tier_quantity is None else tier_quantity
        charges = (_reached(price, charged, reached - included),)
    else:
        charges = _entered(price, charged)
    if included:
        charges = (
            _included(price, min(quantity, included)),
            *(one for one in charges if one.units or one.amount),
        )
    return Rated(_sum([tier.amount for tier in charges]), charges)


def _sum(amounts: Sequence[Fraction]) -> Fraction:
    return sum(amounts[1:], amounts[0]) if amounts else _NOTHING


class Tiered(Protocol):
    """What tiers follow from; a `Price`, for one."""

    @property
    def model(self) -> PriceModel: ...
    @property
    def unit_amount(self) -> Decimal | None: ...
    @property
    def unit_size(self) -> Decimal: ...
    @property
    def tiers(self) -> Sequence[Tier]: ...


def tiers_of(price: Tiered) -> Sequence[Tier]:
    """The tiers that a price has, or comes to."""
    amount = Decimal(0) if price.unit_amount is None else price.unit_amount
    match price.model:
        case PriceModel.FLAT:
            return (Tier(None, Decimal(0), flat_amount=amount),)
        case PriceModel.PER_UNIT:
            return (Tier(None, amount),)
        case PriceModel.PACKAGE:
            return (Tier(None, amount, block_size=price.unit_size),)
        case PriceModel.GRADUATED | PriceModel.VOLUME:
            return price.tiers
        case PriceModel.MATRIX | PriceModel.PERCENTAGE:
            raise ValueError("a price that looks at single records has no tiers")


def _entered(price: Price, units: Fraction) -> tuple[TierCharge, ...]:
    """The tiers that the quantity enters, the first one always."""
    charges: list[TierCharge] = []
    tiers, start = tiers_of(price), Decimal(0)
    for position, tier in enumerate(tiers):
        last = tier.up_to is None or position == len(tiers) - 1
        entered_last = last or tier.up_to is None or units <= exact(tier.up_to)
        end = units if entered_last or tier.up_to is None else exact(tier.up_to)
        charges.append(_tier_charge(price, tier, start, end - exact(start) if start else end))
        if entered_last:
            break
        start = tier.up_to or start
    return tuple(charges)


def _reached(price: Price, units: Fraction, tier_units: Fraction) -> TierCharge:
    """All units, in the tier that so many of them reach."""
    start = Decimal(0)
    for tier in price.tiers[:-1]:
        if tier.up_to is None or tier_units <= exact(tier.up_to):
            return _tier_charge(price, tier, start, units)
        start = tier.up_to
    return _tier_charge(price, price.tiers[-1], start, units)


def tier_amount(tier: Tier, inside: Fraction, unit_size: Decimal) -> tuple[Fraction, Fraction]:
    """How many times a tier that holds so much is charged, and what it comes to."""
    size = exact(tier.block_size or unit_size)
    units = inside if size == 1 else inside / size
    if tier.block_size is not None:
        units = Fraction(ceil(units))
    amount = exact(tier.unit_amount) * units
    if tier.flat_amount:
        amount += exact(tier.flat_amount)
    return units, amount if tier.maximum_amount is None else min(amount, exact(tier.maximum_amount))


def _tier_charge(price: Price, tier: Tier, start: Decimal, inside: Fraction) -> TierCharge:
    units, amount = tier_amount(tier, inside, price.unit_size)
    return TierCharge(
        from_quantity=_beyond_included(price, start),
        up_to=None if tier.up_to is None else _beyond_included(price, tier.up_to),
        quantity=inside,
        unit_amount=tier.unit_amount,
        flat_amount=tier.flat_amount,
        amount=amount,
        units=units,
        block_size=tier.block_size,
    )


def _beyond_included(price: Price, bound: Decimal) -> Decimal:
    return plus(bound, price.included_quantity) if price.included_quantity else bound


def _included(price: Price, inside: Fraction) -> TierCharge:
    nothing = Decimal(0)
    return TierCharge(nothing, price.included_quantity, inside, nothing, nothing, _NOTHING)


def _tier_increase(old: TierCharge | None, new: TierCharge) -> TierCharge:
    if old is None:
        return new
    return replace(
        new,
        quantity=new.quantity - old.quantity,
        amount=new.amount - old.amount,
        flat_amount=Decimal(0),
        units=new.units - old.units,
    )


def _negative(tier: TierCharge) -> TierCharge:
    return replace(
        tier, quantity=-tier.quantity, amount=-tier.amount, flat_amount=-tier.flat_amount, units=-tier.units
    )
