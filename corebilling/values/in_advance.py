"""Prices that are charged before they are served: what changing and ending them gives back and charges anew.

No subscription's fee is: each is due when its period is over, for what it served. What is charged ahead is
items of one-off invoices, and how much of such a price is unused is worked out here, by whoever credits it.
Nothing is written: these are answers, exact until an amount is rounded, once per line.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from corebilling.values.money import Rounding, round_number
from corebilling.values.period import BillingCalendar, Period, calendar_month
from corebilling.values.proration import Grain, Proration, Share

_DAY_SECONDS = 86_400


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


@dataclass(frozen=True, slots=True)
class UnusedService:
    """What ending a service gives back of what was charged ahead for it, in minor units.

    Args:
        used_minor: What the part that was used costs, with its tax.
        refund_minor: What goes back to where the payment came from.
        credit_minor: What stays as a credit: it was never paid.
    """

    subtotal_minor: int
    tax_minor: int
    used_minor: int
    refund_minor: int
    credit_minor: int

    @property
    def total_minor(self) -> int:
        return self.subtotal_minor + self.tax_minor


def credit_unused_service(
    fee_minor: int,
    *,
    unused: Fraction,
    tax_percent: Fraction,
    used: Fraction = Fraction(0),
    paid_minor: int = 0,
    rounding: Rounding = Rounding.HALF_UP,
) -> UnusedService:
    """Gives back the unused share of a fee; of what was paid, that beyond what was used is refunded.

    Args:
        fee_minor: Charged for the whole period, without its tax.
        unused: The share of the period without service.
        used: The share with it.
    """
    subtotal_minor = round_number(fee_minor * unused, rounding)
    tax_minor = round_number(subtotal_minor * tax_percent / 100, rounding)
    used_fee_minor = round_number(fee_minor * used, rounding)
    used_minor = used_fee_minor + round_number(used_fee_minor * tax_percent / 100, rounding)
    refund_minor = min(max(0, paid_minor - used_minor), subtotal_minor + tax_minor)
    credit_minor = subtotal_minor + tax_minor - refund_minor
    return UnusedService(subtotal_minor, tax_minor, used_minor, refund_minor, credit_minor)


@dataclass(frozen=True, slots=True)
class Repair:
    """What time without service gives back of a prepaid price, in minor units, and leaves of the next one."""

    amount_minor: int
    next_due_minor: int


def repair(price_minor: int, blocked: Fraction, rounding: Rounding = Rounding.HALF_UP) -> Repair:
    """Gives back the blocked share of a price as a credit, which the next invoice of that price uses."""
    amount_minor = round_number(price_minor * blocked, rounding)
    return Repair(amount_minor, max(0, price_minor - amount_minor))
