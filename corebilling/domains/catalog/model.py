"""What is sold: prices that hold together.

plan: active -> deprecated
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import floor

from corebilling.errors import InvalidArgument
from corebilling.values.money import MAX_MINOR, exact_amount, major_units

_QUANTITY_STEPS = 10**12  # quantities have twelve decimals


class Aggregation(StrEnum):
    SUM = "sum"
    COUNT = "count"
    MAX = "max"


class PriceModel(StrEnum):
    FLAT = "flat"
    PER_UNIT = "per_unit"
    GRADUATED = "graduated"


class PriceUsage(StrEnum):
    LICENSED = "licensed"
    METERED = "metered"


class PlanStatus(StrEnum):
    ACTIVE = "active"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class Tier:
    """Quantities in `(previous up_to, up_to]`; `up_to` None is open-ended."""

    up_to: Decimal | None
    unit_amount: Decimal
    flat_amount: Decimal


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """What makes a price: how it charges, and for what."""

    model: PriceModel
    usage: PriceUsage
    meter_id: str | None
    unit_amount: Decimal | None
    unit_size: Decimal
    tiers: Sequence[Tier]


def check_price_terms(terms: PriceTerms) -> None:
    """Refuses a price that contradicts itself.

    Raises:
        InvalidArgument: PRICE_INVALID, naming what is wrong.
    """
    if (terms.usage is PriceUsage.METERED) != (terms.meter_id is not None):
        raise _invalid("a metered price names a meter_id, a licensed one does not")
    if terms.model is PriceModel.FLAT and terms.usage is PriceUsage.METERED:
        raise _invalid("a flat price is licensed: it does not depend on usage")
    if (terms.model is PriceModel.GRADUATED) != (terms.unit_amount is None):
        raise _invalid("graduated prices have tiers, all others a unit_amount")
    if (terms.model is PriceModel.GRADUATED) != bool(terms.tiers):
        raise _invalid("graduated prices have tiers, and only they")
    if terms.unit_size <= 0:
        raise _invalid("unit_size is above zero")
    _check_tiers(terms.tiers)


def check_price_amounts(terms: PriceTerms, currency: str) -> None:
    """Refuses a price of which a single amount is more than an invoice line can hold.

    Raises:
        InvalidArgument: VALUE_OUT_OF_RANGE, naming the field and what it may be.
    """
    amounts = {"unit_amount": terms.unit_amount or Decimal(0)}
    for position, tier in enumerate(terms.tiers):
        amounts[f"tiers[{position}].unit_amount"] = tier.unit_amount
        amounts[f"tiers[{position}].flat_amount"] = tier.flat_amount
    limit = major_units(MAX_MINOR, currency)
    for field, amount in amounts.items():
        if amount > limit:
            raise InvalidArgument(
                "VALUE_OUT_OF_RANGE",
                f"{field} is more than an invoice line can hold; lower it to {limit} {currency} at most.",
                {"field": field, "limit": str(limit)},
            )


def max_quantity(terms: PriceTerms, currency: str) -> Decimal | None:
    """The largest quantity of one period that an invoice line can hold the price of; None when any can be."""
    if terms.model is PriceModel.FLAT:
        return None
    tiers = terms.tiers or (Tier(None, terms.unit_amount or Decimal(0), Decimal(0)),)
    left = Fraction(major_units(MAX_MINOR, currency))
    start = Fraction(0)
    for tier in tiers:
        left -= Fraction(tier.flat_amount)
        if left < 0:
            return exact_amount(start)
        cost = Fraction(tier.unit_amount) / Fraction(terms.unit_size)
        end = None if tier.up_to is None else Fraction(tier.up_to)
        if cost and (end is None or start + left / cost < end):
            return exact_amount(Fraction(floor((start + left / cost) * _QUANTITY_STEPS), _QUANTITY_STEPS))
        if end is None:
            break
        left -= cost * (end - start)
        start = end
    return None


def _check_tiers(tiers: Sequence[Tier]) -> None:
    previous = Decimal(0)
    for position, tier in enumerate(tiers, start=1):
        last = position == len(tiers)
        if (tier.up_to is None) != last:
            raise _invalid("the last tier is open (empty up_to), and no other")
        if tier.up_to is not None and tier.up_to <= previous:
            raise _invalid("the tiers' up_to ascend from above zero")
        previous = tier.up_to or previous


def _invalid(detail: str) -> InvalidArgument:
    return InvalidArgument("PRICE_INVALID", f"The price contradicts itself: {detail}.", {"detail": detail})
