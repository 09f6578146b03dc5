"""Billing periods: half-open spans of time, computed from an anchor and never from one another.

Period n starts at `anchor + n intervals` on the wall clock of the subscription's time zone, clamped to the
end of short months: a subscription of January 31 renews on February 28 and again on March 31.
"""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from corebilling.errors import InvalidArgument

IntervalUnit = Literal["day", "week", "month", "year"]

_DAYS_PER_UNIT = {"day": 1, "week": 7}
_MONTHS_PER_UNIT = {"month": 1, "year": 12}


@dataclass(frozen=True, slots=True)
class Period:
    """`start` belongs to the period, `end` to the next one. Both are aware UTC instants."""

    start: datetime
    end: datetime

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    def share_of(self, full: "Period") -> Fraction:
        """How much of `full` this period spans, to the microsecond; 0 for an empty one."""
        whole = full.end - full.start
        part = self.end - self.start
        return Fraction(part // _MICROSECOND, whole // _MICROSECOND) if whole else Fraction(0)


_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Segment:
    """The billing period that a moment of a subscription falls in."""

    period: Period
    trial: bool


@lru_cache(maxsize=1024)
def time_zone(name: str) -> ZoneInfo:
    """The IANA zone of this name.

    Raises:
        InvalidArgument: TIMEZONE_UNKNOWN.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise InvalidArgument(
            "TIMEZONE_UNKNOWN",
            f"'{name}' is no IANA time zone; use a name as in Europe/Berlin.",
            {"timezone": name},
        ) from None


@dataclass(frozen=True, slots=True)
class BillingCalendar:
    """Which period a moment belongs to, over the whole life of a subscription.

    A trial is one period of its own, from `start_at` to `trial_end_at`; billed periods count from
    `anchor_at`. Nothing lies before `start_at`, nor at or after `ended_at`.
    """

    anchor_at: datetime
    interval_unit: IntervalUnit
    interval_count: int
    timezone: str
    start_at: datetime
    trial_end_at: datetime | None = None
    ended_at: datetime | None = None

    def boundary(self, n: int) -> datetime:
        """When billed period `n` starts, and period `n - 1` ends."""
        zone = time_zone(self.timezone)
        anchor = self.anchor_at.astimezone(zone).replace(tzinfo=None)
        steps = n * self.interval_count
        if self.interval_unit in _MONTHS_PER_UNIT:
            day = _add_months(anchor.date(), steps * _MONTHS_PER_UNIT[self.interval_unit])
        else:
            day = anchor.date() + timedelta(days=steps * _DAYS_PER_UNIT[self.interval_unit])
        return datetime.combine(day, anchor.time()).replace(tzinfo=zone).astimezone(UTC)

    def period(self, n: int) -> Period:
        """Billed period `n`, counted from 0 at the anchor."""
        return Period(self.boundary(n), self.boundary(n + 1))

    def index(self, instant: datetime) -> int:
        """The number of the billed period that holds `instant` (negative before the anchor)."""
        n = self._estimate(instant)
        while self.boundary(n) > instant:
            n -= 1
        while self.boundary(n + 1) <= instant:
            n += 1
        return n

    def containing(self, instant: datetime) -> Period:
        """The billed period that holds `instant`."""
        return self.period(self.index(instant))

    def segment(self, instant: datetime) -> Segment | None:
        """The trial or billed period that holds `instant`; None when nothing ran then."""
        if instant < self.start_at or (self.ended_at is not None and instant >= self.ended_at):
            return None
        if self.trial_end_at is not None and instant < self.trial_end_at:
            return Segment(Period(self.start_at, self.trial_end_at), trial=True)
        return Segment(self.containing(instant), trial=False)

    def _estimate(self, instant: datetime) -> int:
        if self.interval_unit in _MONTHS_PER_UNIT:
            months = (instant.year - self.anchor_at.year) * 12 + instant.month - self.anchor_at.month
            return months // (self.interval_count * _MONTHS_PER_UNIT[self.interval_unit])
        return (instant - self.anchor_at).days // (self.interval_count * _DAYS_PER_UNIT[self.interval_unit])


def _add_months(day: date, months: int) -> date:
    year, month0 = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month0 + 1)[1]
    return date(year, month0 + 1, min(day.day, last))
