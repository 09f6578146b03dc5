"""Shares of a price: what a part of a billing period costs.

A share is exact until an amount is rounded, once per line. Times are compared as they are (to the
microsecond), by days of the customer's time zone, or not at all: see `Grain`.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from corebilling.values.money import Rounding, minor_units, round_to
from corebilling.values.period import Period, calendar_month, local_date


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
        return round_to(factor, self.factor_scale, self.rounding)
