"""Shares of a price: what a part of a billing period costs, and what changes within one come to.

A share is exact until an amount is rounded, once per line. Times are compared as they are (to the
microsecond), by days of the customer's time zone, or not at all: see `Grain`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from corebilling.values.exact import Fraction
from corebilling.values.money import Rounding, minor_units, round_number
from corebilling.values.period import BillingCalendar, Period, calendar_month, local_date

_DAY_SECONDS = 86_400


class Grain(StrEnum):
    """What a period is counted in. `NONE` counts nothing: a part costs as much as the whole."""

    SECOND = "second"
    DAY = "day"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Share:
    """So many `units`, seconds or days, `of` a full period's. `factor` is what a price is multiplied by."""

    units: Fraction
    of: Fraction
    factor: Fraction


@dataclass(frozen=True, slots=True)
class Proration:
    """How prices follow the length of what they pay for.

    Attributes:
        timezone: Whose days count.
        fixed_days: Every full period has so many days, and a part that reaches into another month gives the
            days beyond them that its first month has. None counts real days.
        factor_scale: Decimals that the factor is rounded to before it meets a price. None keeps it exact.
        capped: A part longer than the full period costs no more than that.
    """

    grain: Grain = Grain.SECOND
    timezone: str = "UTC"
    fixed_days: int | None = None
    factor_scale: int | None = None
    rounding: Rounding = Rounding.HALF_UP
    capped: bool = True

    def share(self, part: Period, full: Period) -> Share:
        """How much of the full period the part is; nothing if either has no length."""
        units, of = self._units(part), self._full_units(full)
        factor = units / of if of > 0 else Fraction(0)
        if self.capped:
            factor = min(factor, Fraction(1))
        return Share(units, of, self._scaled(factor))

    def minor(self, amount: Decimal | Fraction, currency: str) -> int:
        """An exact amount in major units, rounded to minor ones."""
        return minor_units(amount, currency, self.rounding)

    def _units(self, part: Period) -> Fraction:
        match self.grain:
            case Grain.SECOND:
                return part.seconds
            case Grain.DAY:
                return max(Fraction(part.days(self.timezone) - self._excess_days(part)), Fraction(0))
            case Grain.NONE:
                return Fraction(part.seconds > 0)

    def _full_units(self, full: Period) -> Fraction:
        if self.grain is Grain.DAY and self.fixed_days is not None:
            return Fraction(self.fixed_days)
        return self._units(full)

    def _excess_days(self, part: Period) -> int:
        """What the part's first month has beyond the fixed days (less than nothing in a short one)."""
        first, end = local_date(part.start, self.timezone), local_date(part.end, self.timezone)
        if self.fixed_days is None or (first.year, first.month) == (end.year, end.month):
            return 0
        return calendar_month(part.start, self.timezone).days(self.timezone) - self.fixed_days

    def _scaled(self, factor: Fraction) -> Fraction:
        if self.factor_scale is None:
            return factor
        steps = 10**self.factor_scale
        return Fraction(round_number(factor * steps, self.rounding), steps)


def segment_shares(segments: Sequence[Period], full: Period, terms: Proration) -> list[Share]:
    """What segments that follow one another, in order, have of the full period; of a whole one, 1 in sum.

    Where nothing is prorated, the terms that a period ends with are those of all of it: the last segment
    that has a length takes what all of them have together.
    """
    shares = [terms.share(segment, full) for segment in segments]
    if terms.grain is not Grain.NONE:
        return shares
    last = max((place for place, share in enumerate(shares) if share.units), default=None)
    nothing = Share(Fraction(0), Fraction(1), Fraction(0))
    return [share if place == last else nothing for place, share in enumerate(shares)]


def component_share(
    rest: Period, period: Period, terms: Proration, *, nominal_days: int, tolerance: Fraction = Fraction(1, 4)
) -> Share:
    """The share of a price whose interval is not the period's: the days left of its own interval.

    `nominal_days` are the interval's. A period within the tolerance of them (a part of those days) is such
    an interval, and is counted as it really is.
    """
    length = _days(period, terms)
    if abs(length - nominal_days) <= nominal_days * tolerance:
        return terms.share(rest, period)
    left = _days(rest, terms)
    return Share(left, Fraction(nominal_days), min(left / nominal_days, Fraction(1)))


def _days(period: Period, terms: Proration) -> Fraction:
    if terms.grain is Grain.DAY:
        return Fraction(period.days(terms.timezone))
    return period.seconds / _DAY_SECONDS


class Direction(StrEnum):
    CREDIT = "credit"
    CHARGE = "charge"


@dataclass(frozen=True, slots=True)
class ChangeLine:
    """What a change takes back or adds: a price for the full period, in major units, times a quantity.

    A one-time price is due in full, whenever it comes.
    """

    direction: Direction
    price: Decimal
    quantity: Decimal = Decimal(1)
    one_time: bool = False


@dataclass(frozen=True, slots=True)
class PricedChangeLine:
    """A line and what it comes to; credits are negative. `amount` is exact."""

    line: ChangeLine
    share: Share
    amount: Fraction
    amount_minor: int


@dataclass(frozen=True, slots=True)
class PricedChange:
    """What a change costs. Neither side is negative; the net amount is, if more is given back than added."""

    lines: tuple[PricedChangeLine, ...]
    credit_minor: int
    charge_minor: int

    @property
    def net_minor(self) -> int:
        return self.charge_minor - self.credit_minor


def price_change(
    lines: Sequence[ChangeLine], change_at: datetime, period: Period, currency: str, terms: Proration
) -> PricedChange:
    """A change within a period: credit for the unused rest of the old, charge for that of the new.

    The moment of the change, with day grain its whole day, belongs to the new. Every line is rounded.
    """
    rest = Period(min(max(change_at, period.start), period.end), period.end)
    share = terms.share(rest, period)
    whole = Share(Fraction(1), Fraction(1), Fraction(1))
    priced = tuple(_price_line(line, whole if line.one_time else share, currency, terms) for line in lines)
    return PricedChange(
        lines=priced,
        credit_minor=-sum(line.amount_minor for line in priced if line.line.direction is Direction.CREDIT),
        charge_minor=sum(line.amount_minor for line in priced if line.line.direction is Direction.CHARGE),
    )


def _price_line(line: ChangeLine, share: Share, currency: str, terms: Proration) -> PricedChangeLine:
    sign = -1 if line.direction is Direction.CREDIT else 1
    amount = sign * Fraction(line.price) * Fraction(line.quantity) * share.factor
    return PricedChangeLine(line, share, amount, terms.minor(amount, currency))


@dataclass(frozen=True, slots=True)
class PrepaidSwitch:
    """A prepaid price replaced by another: what the rest costs anew, less what was paid for it before."""

    charge_minor: int
    credit_minor: int

    @property
    def net_minor(self) -> int:
        return self.charge_minor - self.credit_minor


def switch_prepaid(old_minor: int, new_minor: int, rest: Share, rounding: Rounding) -> PrepaidSwitch:
    """Each side is rounded by itself, for each is a line; prices are those of the full period."""
    return PrepaidSwitch(
        charge_minor=round_number(new_minor * rest.factor, rounding),
        credit_minor=round_number(old_minor * rest.factor, rounding),
    )


def upgrade_credit(
    old_minor: int, unused: Share, rounding: Rounding, *, invoiced_minor: int | None, tax_rate: Fraction
) -> int:
    """What is given back of a prepaid price, with the tax that was paid on it, in minor units.

    `invoiced_minor` is the net fee that was invoiced: no more of it can be unused. None sets no limit.
    Rounded once, after tax.
    """
    net = old_minor * unused.factor
    if invoiced_minor is not None:
        net = min(net, Fraction(invoiced_minor))
    return round_number(net * (1 + tax_rate), rounding)


@dataclass(frozen=True, slots=True)
class TrueUp:
    """A commitment or cap for the part of a period that was served, the fee for it, and the difference."""

    limit_minor: int
    fee_minor: int
    amount_minor: int


def commitment_true_up(
    commitment_minor: int, fee_minor: int, other_fees_minor: Sequence[int], active: Share, rounding: Rounding
) -> TrueUp:
    """What is missing to the commitment; never below zero.

    Commitment and fee are a full period's and shrink by the same days; other fees are as they are billed.
    """
    commitment, fee = (round_number(full * active.factor, rounding) for full in (commitment_minor, fee_minor))
    return TrueUp(commitment, fee, max(commitment - fee - sum(other_fees_minor), 0))


def cap_relief(
    cap_minor: int, fee_minor: int, other_fees_minor: Sequence[int], active: Share, rounding: Rounding
) -> TrueUp:
    """What fees come to above a cap, which is to be taken off; as for a commitment, never below zero."""
    cap, fee = (round_number(full * active.factor, rounding) for full in (cap_minor, fee_minor))
    return TrueUp(cap, fee, max(fee + sum(other_fees_minor) - cap, 0))


def fee_after_trial(price_minor: int, ended_at: datetime, terms: Proration) -> tuple[Share, int]:
    """What a calendar month costs in which a trial ended: the rest of it, and the fee in minor units.

    With day grain the day on which the trial ends is the first to be billed.
    """
    month = calendar_month(ended_at, terms.timezone)
    share = terms.share(Period(ended_at, month.end), month)
    return share, round_number(price_minor * share.factor, terms.rounding)


def cycles_started(calendar: BillingCalendar, through: datetime, terms: Proration) -> Fraction:
    """How many periods billed in advance began up to `through`, itself included.

    Those that the calendar's start or end cut count as the share that is left of them.
    """
    cycles = Fraction(0)
    n = calendar.index(calendar.billed_from)
    while (served := calendar.served(n)) is not None and served.start <= through:
        cycles += terms.share(served, calendar.period(n)).factor
        n += 1
    return cycles


@dataclass(frozen=True, slots=True)
class PricedPeriod:
    """A period and its price in major units."""

    period: Period
    amount: Decimal


def price_phases(calendar: BillingCalendar, amount: Decimal, count: int) -> list[PricedPeriod]:
    """The trial, which is a phase at no price, if there is one, and so many paid periods after it."""
    phases: list[PricedPeriod] = []
    if calendar.trial_end_at is not None:
        phases.append(PricedPeriod(Period(calendar.start_at, calendar.trial_end_at), Decimal(0)))
    first = calendar.index(calendar.billed_from)
    served = (calendar.served(first + n) for n in range(count))
    return phases + [PricedPeriod(period, amount) for period in served if period is not None]
