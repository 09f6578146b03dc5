"""From what a period's totals hold to the quantity that is billed.

totals -> aggregated -> transformed (divided, rounded to whole blocks) -> quantity
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Protocol

from corebilling.values.aggregation import Aggregation, QuantityRounding, Totals, Transform, quantity_of
from corebilling.values.money import exact_amount, round_half_up

TransformTerms = Mapping[str, str]
"""As rows keep it: a `billing.catalog.v1.MeterTransform` in JSON."""

_ROUNDINGS = {
    "QUANTITY_ROUNDING_UP": QuantityRounding.CEIL,
    "QUANTITY_ROUNDING_DOWN": QuantityRounding.FLOOR,
    "QUANTITY_ROUNDING_HALF_UP": QuantityRounding.HALF_UP,
}


FROM_RECORDS = frozenset({Aggregation.UNIQUE, Aggregation.LATEST, Aggregation.TIME_WEIGHTED})
"""What totals do not hold: these quantities are worked out from the records."""

_STEPS = 10**12
_NO_QUANTITY = Decimal(0)


def rounded_quantity(quantity: Fraction) -> Decimal:
    """With the twelve decimals that quantities have: what is billed is what the invoice says."""
    return exact_amount(Fraction(round_half_up(quantity * _STEPS), _STEPS))


def metered_quantity(
    aggregation: str,
    transform: TransformTerms | None,
    *,
    count: int,
    summed: Decimal,
    largest: Decimal,
    smallest: Decimal,
) -> Decimal | None:
    """What such a meter bills of a period (or an hour) with these totals; None if only its records say."""
    match aggregation:  # What nearly every meter does goes first: a billing run asks for each item.
        case Aggregation.SUM:
            quantity = summed
        case Aggregation.COUNT:
            quantity = Decimal(count)
        case Aggregation.MAX:
            quantity = largest
        case _ if aggregation in FROM_RECORDS:
            return None
        case _:
            totals = Totals(count, Fraction(summed), Fraction(largest), Fraction(smallest))
            quantity = rounded_quantity(quantity_of(Aggregation(aggregation), totals))
    return quantity if transform is None else transformed(quantity, transform)


class MeteredTotal(Protocol):
    """What a row holds of a period: as usage keeps it, and whoever reads that."""

    @property
    def aggregation(self) -> str: ...

    @property
    def transform(self) -> TransformTerms | None: ...

    @property
    def record_count(self) -> int: ...

    @property
    def quantity_sum(self) -> Decimal: ...

    @property
    def quantity_max(self) -> Decimal: ...

    @property
    def quantity_min(self) -> Decimal | None: ...


def quantity_of_total(total: MeteredTotal) -> Decimal | None:
    """What its meter bills of the period; None if only its records say."""
    return metered_quantity(
        total.aggregation,
        total.transform,
        count=total.record_count,
        summed=total.quantity_sum,
        largest=total.quantity_max,
        smallest=total.quantity_min or _NO_QUANTITY,
    )


def transformed(quantity: Decimal, terms: TransformTerms) -> Decimal:
    """A period's aggregated quantity as the meter's transform leaves it."""
    return rounded_quantity(_transform(terms).apply(Fraction(quantity)))


def most_before(terms: TransformTerms | None, most: Decimal | None) -> Decimal | None:
    """What a quantity may be so that, transformed, it is not more than `most`; None is no limit."""
    if terms is None or most is None:
        return most
    transform = _transform(terms)
    # Rounding adds less than a block.
    room = max(Fraction(most) - Fraction(transform.block_size or 0), Fraction(0))
    return exact_amount(room * Fraction(transform.divide_by))


def _transform(terms: TransformTerms) -> Transform:
    rounding = _ROUNDINGS.get(terms.get("rounding", ""))
    return Transform(
        divide_by=Decimal(terms.get("divide_by") or 1),
        block_size=None if rounding is None else Decimal(terms.get("block_size") or 1),
        rounding=rounding or QuantityRounding.NONE,
    )
