"""How the records of a period become one quantity.

Each aggregation reads its quantity from `Totals`, which can be merged in any order and grouping: records may
come in batches, late, and on many machines. Quantities that depend on how long a level was held are in
`time_weighted`.

The database adds totals up as records come in. Of records at hand, as a forecast has them, `counted_records`
and `totals_of` say the same.

    records -> those of the period, once per key, that the filters let through
            -> aggregated -> transformed (divided, rounded up to blocks) -> quantity
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor

from corebilling.values.money import round_half_up
from corebilling.values.period import Period

_NOTHING = Fraction(0)


class Aggregation(StrEnum):
    SUM = "sum"
    COUNT = "count"
    UNIQUE = "unique"
    """The number of different members."""
    MAX = "max"
    MIN = "min"
    LATEST = "latest"
    """The value of the last record by time; of those at the same instant, the last to come in."""
    AVERAGE = "average"
    TIME_WEIGHTED = "time_weighted"
    """The level that records set, by how long each was held. Needs the records in order, not totals."""


@dataclass(frozen=True, slots=True)
class Record:
    """One measurement. `sequence` says in which order records came in; an empty `key` is like no other."""

    at: datetime
    value: Decimal
    key: str = ""
    sequence: int = 0
    member: str = ""
    """What UNIQUE counts; the value, unless it is given."""
    properties: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Totals:
    """What aggregations need of the records they saw. The starting point of all merging is `Totals()`."""

    count: int = 0
    sum: Fraction = _NOTHING
    largest: Fraction | None = None
    smallest: Fraction | None = None
    last: tuple[datetime, int, Fraction] | None = None
    """Time, sequence and value of the latest record."""
    members: frozenset[str] = frozenset()
    """Kept for UNIQUE alone: it grows with what it counts."""

    def merged(self, other: "Totals") -> "Totals":
        """Of the records of both. Neither order nor grouping matters."""
        return Totals(
            self.count + other.count,
            self.sum + other.sum,
            _of_both(max, self.largest, other.largest),
            _of_both(min, self.smallest, other.smallest),
            max(filter(None, (self.last, other.last)), default=None),
            self.members | other.members,
        )


def totals_of(records: Iterable[Record], *, unique: bool = False) -> Totals:
    """The totals of these records, with their members if they are to be counted."""
    totals = Totals()
    for record in records:
        value = Fraction(record.value)
        members = frozenset({record.member or str(value)}) if unique else frozenset()
        last = (record.at, record.sequence, value)
        totals = totals.merged(Totals(1, value, value, value, last, members))
    return totals


def quantity_of(aggregation: Aggregation, totals: Totals) -> Fraction:
    """The quantity that the totals come to; 0 when there were no records."""
    match aggregation:
        case Aggregation.SUM:
            return totals.sum
        case Aggregation.COUNT:
            return Fraction(totals.count)
        case Aggregation.UNIQUE:
            return Fraction(len(totals.members))
        case Aggregation.MAX:
            return totals.largest or _NOTHING
        case Aggregation.MIN:
            return totals.smallest or _NOTHING
        case Aggregation.LATEST:
            return totals.last[2] if totals.last else _NOTHING
        case Aggregation.AVERAGE:
            return totals.sum / totals.count if totals.count else _NOTHING
        case Aggregation.TIME_WEIGHTED:
            raise ValueError("the time that a level was held is not in the totals: see time_weighted.py")


@dataclass(frozen=True, slots=True)
class PropertyFilter:
    """Lets records through whose property has one of these values."""

    name: str
    values: frozenset[str]

    def holds(self, properties: Mapping[str, str] | None) -> bool:
        return properties is not None and properties.get(self.name) in self.values


def counted_records(
    records: Iterable[Record], period: Period | None = None, filters: Sequence[PropertyFilter] = ()
) -> list[Record]:
    """The records of the period that all filters let through, each key once: the first to come in counts."""
    seen: set[str] = set()
    counted: list[Record] = []
    for record in records:
        if record.key and record.key in seen:
            continue
        seen.add(record.key)
        if (period is None or record.at in period) and all(one.holds(record.properties) for one in filters):
            counted.append(record)
    return counted


class QuantityRounding(StrEnum):
    """Which neighbour a quantity becomes. Floor and ceiling go down and up even below zero."""

    NONE = "none"
    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    FLOOR = "floor"
    CEIL = "ceil"


def round_quantity(quantity: Decimal | Fraction, rounding: QuantityRounding, decimals: int = 0) -> Fraction:
    """The quantity with so many decimals: 1501 to -2 is 1500, or 1600 by ceiling.

    The caller says when: each record as it is stored, or the period's quantity once it is aggregated.
    """
    if rounding is QuantityRounding.NONE:
        return Fraction(quantity)
    to_integer: Mapping[QuantityRounding, Callable[[Fraction], int]] = {
        QuantityRounding.HALF_UP: round_half_up,
        QuantityRounding.HALF_EVEN: round,
        QuantityRounding.FLOOR: floor,
        QuantityRounding.CEIL: ceil,
    }
    scale = Fraction(10) ** decimals
    return to_integer[rounding](Fraction(quantity) * scale) / scale


@dataclass(frozen=True, slots=True)
class Transform:
    """What becomes of a period's quantity before it is priced: divided, then rounded to whole blocks."""

    divide_by: Decimal = Decimal(1)
    block_size: Decimal | None = None
    """Units in a block: 1500 by 1000 become 2000, since a started block counts whole unless `rounding` says
    otherwise."""
    rounding: QuantityRounding = QuantityRounding.CEIL

    def apply(self, quantity: Fraction) -> Fraction:
        divided = quantity / Fraction(self.divide_by)
        if self.block_size is None:
            return divided
        size = Fraction(self.block_size)
        return round_quantity(divided / size, self.rounding) * size


def convert(parts: Iterable[tuple[Decimal, Decimal]], divide_by: Decimal = Decimal(1)) -> Fraction:
    """Several measurements as one quantity: each part is a count and what each of it is worth."""
    total = sum((Fraction(count) * Fraction(each) for count, each in parts), _NOTHING)
    return Transform(divide_by).apply(total)


def _of_both(
    choose: Callable[[Fraction, Fraction], Fraction], one: Fraction | None, other: Fraction | None
) -> Fraction | None:
    if one is None or other is None:
        return other if one is None else one
    return choose(one, other)
