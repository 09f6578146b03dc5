"""Rating again what was billed before: what all usage costs now, less what it was billed.

Prices are worked out from the whole every time, never from what was added: late, corrected and withdrawn
usage all come to the same difference, which may be a credit. A period's usage is billed in one of two ways:
as runs of one quantity that grows, or period by period, where what comes late is billed for the period in
which it was used.

All runs are looked at here at once, as a forecast of them does. The platform bills run by run, from rows that
keep what each period was billed; `domains/rating` takes the same differences of `price.rate`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction

from corebilling.values.period import BillingCalendar
from corebilling.values.price import Price, Rated, StepKind, rate

RoundAmount = Callable[[Fraction], Fraction]
"""To what is owed, in major units: rounded to whole minor ones, or left as it is."""

_NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class UnitLine:
    """So many units at one amount. A fee is one unit; a minimum's true-up is one unit of what is missing."""

    quantity: Fraction
    unit_amount: Fraction


@dataclass(frozen=True, slots=True)
class Run:
    """What one run bills: more, nothing, or a credit, and the units it bills by their amount."""

    total_amount: Fraction
    lines: tuple[UnitLine, ...]


def rerate(price: Price, quantities: Sequence[Decimal | Fraction], rounded: RoundAmount) -> tuple[Run, ...]:
    """What each run bills of one period's usage.

    Args:
        quantities: All usage as known at each run. The last run is the period's final one: it alone brings
            the period up to its minimum.
    """
    runs: list[Run] = []
    billed, billed_units = _NOTHING, Units()
    for position, quantity in enumerate(quantities):
        now = rate(price, quantity, final=position == len(quantities) - 1)
        total, units = rounded(now.amount), Units.of(now)
        runs.append(Run(total - billed, units.less(billed_units)))
        billed, billed_units = total, units
    return tuple(runs)


def rerate_by_period(
    price: Price, runs: Sequence[Sequence[Decimal | Fraction]], rounded: RoundAmount
) -> tuple[tuple[Fraction, ...], ...]:
    """What each run bills for each period, where periods follow one another under one price.

    Args:
        runs: For each run, the usage up to the end of each period so far, as known then: tiers, caps and
            what is included go on from period to period. Only the last run is final.
    """
    billed: list[Fraction] = []
    amounts: list[tuple[Fraction, ...]] = []
    for position, cumulative in enumerate(runs):
        final = position == len(runs) - 1
        now = _by_period(price, cumulative, rounded, final)
        before = [*billed, *[_NOTHING] * (len(now) - len(billed))]
        amounts.append(tuple(one - other for one, other in zip(now, before, strict=True)))
        billed = now
    return tuple(amounts)


def _by_period(
    price: Price, cumulative: Sequence[Decimal | Fraction], rounded: RoundAmount, final: bool
) -> list[Fraction]:
    """What each period costs: its end's price less the price at its start. A minimum is the last one's."""
    amounts: list[Fraction] = []
    before = _NOTHING
    for position, quantity in enumerate(cumulative):
        last = final and position == len(cumulative) - 1
        total = rounded(rate(price, quantity, final=last).amount)
        amounts.append(total - before)
        before = total
    return amounts


@dataclass(frozen=True, slots=True)
class Units:
    """Units that are charged, by their amount; fees apart, since a fee is no unit at that amount."""

    units: tuple[tuple[tuple[bool, Fraction], Fraction], ...] = ()

    @classmethod
    def of(cls, rated: Rated) -> "Units":
        found: dict[tuple[bool, Fraction], Fraction] = {}
        for tier in rated.tiers:
            _add(found, (False, Fraction(tier.unit_amount)), tier.units)
            _add(found, (True, Fraction(tier.flat_amount)), Fraction(1))
        _add(found, (True, rated.step(StepKind.MINIMUM)), Fraction(1))
        return cls(tuple(found.items()))

    def less(self, other: "Units") -> tuple[UnitLine, ...]:
        """What these are more than the others: what was billed at another amount is taken back first."""
        found: dict[tuple[bool, Fraction], Fraction] = {}
        now = dict(self.units)
        gone = [(key, count) for key, count in other.units if key not in now]
        for key, count in gone:
            _add(found, key, -count)
        known = dict(other.units)
        for key, count in self.units:
            _add(found, key, count - known.get(key, _NOTHING))
        return tuple(UnitLine(count, amount) for (_, amount), count in found.items() if count)


def _add(found: dict[tuple[bool, Fraction], Fraction], key: tuple[bool, Fraction], count: Fraction) -> None:
    if key[1]:
        found[key] = found.get(key, _NOTHING) + count


@dataclass(frozen=True, slots=True)
class InvoicedPeriod:
    """Days of service from `start` up to `end`, and what invoices hold for their usage so far."""

    start: date
    end: date
    invoiced: Fraction


@dataclass(frozen=True, slots=True)
class LateLine:
    """What a period's usage comes to beyond what was invoiced; below zero it is a credit."""

    period: InvoicedPeriod
    quantity: Fraction
    amount: Fraction


def reach_back(invoiced_through: date, months: int) -> date:
    """The start of the earliest period that an invoice still bills late usage for.

    Args:
        invoiced_through: Where the last invoice ended; its day no longer counts.
    """
    end = datetime(invoiced_through.year, invoiced_through.month, invoiced_through.day, tzinfo=UTC)
    return BillingCalendar(end, "month", 1, "UTC", end).boundary(-months).date()


def late_lines(
    price: Price,
    periods: Iterable[InvoicedPeriod],
    usage: Iterable[tuple[date, Decimal]],
    earliest: date,
    rounded: RoundAmount,
) -> tuple[LateLine, ...]:
    """What the next invoice adds for each period in which usage was dated, whenever it came in.

    Args:
        usage: By the day it was used, in the customer's time zone.
        earliest: How far back an invoice reaches: periods that started before are settled for good, and
            usage of theirs is left out.
    """
    used = list(usage)
    lines: list[LateLine] = []
    for period in periods:
        if period.start < earliest:
            continue
        inside = (Fraction(quantity) for day, quantity in used if period.start <= day < period.end)
        quantity = sum(inside, _NOTHING)
        amount = rounded(rate(price, quantity).amount) - period.invoiced
        if amount:
            lines.append(LateLine(period, quantity, amount))
    return tuple(lines)
