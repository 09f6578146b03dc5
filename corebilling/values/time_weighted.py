"""Quantities of what is held rather than used up: levels by how long they were held, members by their days.

100 GB held for half of a month are 50 GB-months. Time is counted to the microsecond, or in whole days of a
calendar where a day that has begun counts.

Of a meter's records, the database weighs the levels where they are (`sql/queries/metering.sql`), as
`weighted_levels` says it. The others take what is held as changes, or by day: forecasts of what no meter
reports.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from corebilling.values.period import Period

_MICROSECOND = timedelta(microseconds=1)
_NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Change:
    """The level rises or falls by `delta`, from this moment on."""

    at: datetime
    delta: Decimal


@dataclass(frozen=True, slots=True)
class Held:
    """`quantity` is the level's average over the period; the next period opens with `closing_level`."""

    quantity: Fraction
    closing_level: Fraction


@dataclass(frozen=True, slots=True)
class HeldTotals:
    """Changes of one period as totals: what they add to its level, and to its average.

    Unlike levels, changes can be merged in any order and taken out again: each adds its own delta for the
    rest of the period, whatever the level was.
    """

    level: Fraction = _NOTHING
    quantity: Fraction = _NOTHING

    def merged(self, other: "HeldTotals") -> "HeldTotals":
        return HeldTotals(self.level + other.level, self.quantity + other.quantity)


def held_totals(changes: Iterable[Change], period: Period) -> HeldTotals:
    """What changes add to a period. One before it counts for all of it, one from its end on for none."""
    totals = HeldTotals()
    for change in changes:
        if change.at < period.end:
            rest = Period(max(change.at, period.start), period.end).share_of(period)
            delta = Fraction(change.delta)
            totals = totals.merged(HeldTotals(delta, delta * rest))
    return totals


def weighted_sum(opening_level: Decimal | Fraction, changes: Iterable[Change], period: Period) -> Held:
    """The average level of a period that starts at `opening_level`."""
    totals = held_totals(changes, period)
    return Held(Fraction(opening_level) + totals.quantity, Fraction(opening_level) + totals.level)


def weighted_levels(opening_level: Decimal | Fraction, levels: Iterable[Change], period: Period) -> Held:
    """The same where each record sets the level (its `delta`) rather than changes it; in any order.

    Of two at the same instant the later in the list counts. Before the period only the last one matters.
    """
    level, at, area = Fraction(opening_level), period.start, _NOTHING
    for reading in sorted(levels, key=lambda reading: reading.at):
        if reading.at >= period.end:
            break
        until = max(reading.at, period.start)
        area += level * Period(at, until).share_of(period)
        level, at = Fraction(reading.delta), until
    return Held(area + level * Period(at, period.end).share_of(period), level)


def average_level(segments: Iterable[tuple[Decimal, Decimal]], whole: Decimal) -> Fraction:
    """The average of levels, each held for so much of `whole`; 0 for the rest. Any unit of time."""
    area = sum((Fraction(level) * Fraction(length) for level, length in segments), _NOTHING)
    return area / Fraction(whole)


@dataclass(frozen=True, slots=True)
class Days:
    """Whole days of a calendar, from `start` up to `end`, which no longer counts."""

    start: date
    end: date

    def __len__(self) -> int:
        return max((self.end - self.start).days, 0)

    def __contains__(self, day: date) -> bool:
        return self.start <= day < self.end

    def overlap(self, other: "Days") -> "Days":
        return Days(max(self.start, other.start), min(self.end, other.end))


@dataclass(frozen=True, slots=True)
class HeldByDay:
    """`quantity` is prorated by days, `full_quantity` is not; `counted` is how many changes fell in."""

    quantity: Fraction
    full_quantity: Fraction
    counted: int


def prorated_sum(
    opening_quantity: Decimal | Fraction, changes: Sequence[tuple[date, Decimal]], days: Days
) -> HeldByDay:
    """What was held over the days: what came in at the start in full, each change from its own day on.

    Changes outside the days are left out: earlier ones are part of `opening_quantity`.
    """
    inside = [(day, Fraction(delta)) for day, delta in changes if day in days]
    opening = Fraction(opening_quantity)
    prorated = sum((delta * Fraction(len(Days(day, days.end)), len(days)) for day, delta in inside), _NOTHING)
    return HeldByDay(opening + prorated, opening + sum((delta for _, delta in inside), _NOTHING), len(inside))


@dataclass(frozen=True, slots=True)
class Stay:
    """A member's first and last day, which both count; no last day while it stays."""

    member: str
    first: date
    last: date | None


def prorated_unique_count(stays: Iterable[Stay], days: Days) -> Fraction:
    """How many different members there were, each for the part of the days that it was there."""
    present: dict[str, set[int]] = {}
    for stay in stays:
        leaves = days.end if stay.last is None else stay.last + timedelta(days=1)
        inside = Days(stay.first, leaves).overlap(days)
        present.setdefault(stay.member, set()).update(
            range(inside.start.toordinal(), inside.start.toordinal() + len(inside))
        )
    return _member_days(present) / len(days)


def _member_days(present: Mapping[str, set[int]]) -> Fraction:
    return Fraction(sum(len(days) for days in present.values()))
