"""What is sold: prices that hold together.

plan: active -> deprecated
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from corebilling.errors import InvalidArgument


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
