"""Billing periods: half-open spans of time, computed from an anchor and never from one another.

Period n starts at `anchor + n intervals` on the wall clock of the subscription's time zone, clamped to the
end of short months: a subscription of January 31 renews on February 28 and again on March 31.
"""

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from functools import lru_cache
from typing import Literal, Protocol, cast
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

    @classmethod
    def of_days(cls, first: date, end: date, timezone: str) -> "Period":
        """From the midnight that begins `first` to the one that begins `end`, in the time zone."""
        return cls(midnight(first, timezone), midnight(end, timezone))

    @classmethod
    def through(cls, first: date, last: date, timezone: str) -> "Period":
        """The same with both days included."""
        return cls.of_days(first, last + timedelta(days=1), timezone)

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end

    @property
    def seconds(self) -> Fraction:
        """How long it really is, to the microsecond, whatever clocks did meanwhile; 0 if it ends first."""
        return max(Fraction((self.end - self.start) // _MICROSECOND, 10**6), Fraction(0))

    def days(self, timezone: str) -> int:
        """How many days of the time zone it holds. A day belongs to what starts in it: of two periods that
        meet at noon, the later one has that day."""
        return max((local_date(self.end, timezone) - local_date(self.start, timezone)).days, 0)

    def share_of(self, full: "Period") -> Fraction:
        """How much of `full` this period spans, to the microsecond; 0 for an empty one."""
        whole = full.end - full.start
        part = self.end - self.start
        return Fraction(part // _MICROSECOND, whole // _MICROSECOND) if whole else Fraction(0)


_MICROSECOND = timedelta(microseconds=1)

ALWAYS = Period(datetime(1000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC))
"""Longer than any business: of what neither began nor ends by itself."""


@dataclass(frozen=True, slots=True)
class Segment:
    """The billing period that a moment of a subscription falls in; a first one may begin late."""

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


def local_date(instant: datetime, timezone: str) -> date:
    """The day that the clocks of the time zone show."""
    return instant.astimezone(time_zone(timezone)).date()


def midnight(day: date, timezone: str) -> datetime:
    """When the day begins in the time zone: where clocks skip midnight, at the first moment after it."""
    return datetime.combine(day, time.min).replace(tzinfo=time_zone(timezone)).astimezone(UTC)


def next_midnight(instant: datetime, timezone: str) -> datetime:
    """When the day of the time zone that holds the instant is over."""
    return midnight(local_date(instant, timezone) + timedelta(days=1), timezone)


def anchor_on(day: int, instant: datetime, timezone: str) -> datetime:
    """The last midnight up to the instant on which this day of the month begins, in a month that has it.

    Boundaries that count from there fall on that day; where a month is too short, on its last one.
    """
    month = local_date(instant, timezone).replace(day=1)
    while True:
        if day <= calendar.monthrange(month.year, month.month)[1]:
            anchor = midnight(month.replace(day=day), timezone)
            if anchor <= instant:
                return anchor
        month = (month - timedelta(days=1)).replace(day=1)


def calendar_month(instant: datetime, timezone: str) -> Period:
    """The month of the time zone that holds the instant."""
    first = local_date(instant, timezone).replace(day=1)
    return Period.of_days(first, _on_day(first, 1, 1), timezone)


def trial_end(start: datetime, days: int) -> datetime:
    """Trials last whole days of 24 hours from the original start, whatever clocks or plans do meanwhile."""
    return start + timedelta(days=days)


def runs_that_bill(billing_day: date, run_times: Sequence[datetime], timezone: str) -> list[bool]:
    """Which billing runs make the invoice of a day: the first one on that day where the customer is.

    For those who bill once a day. The platform's scheduler wakes for each cycle instead, when it falls due.
    """
    due = [local_date(run_at, timezone) == billing_day for run_at in run_times]
    return [is_due and True not in due[:place] for place, is_due in enumerate(due)]


class CalendarRow(Protocol):
    """A row that says when a subscription's periods are; its `billing_day` is in the anchor."""

    @property
    def anchor_at(self) -> datetime: ...

    @property
    def interval_unit(self) -> str: ...

    @property
    def interval_count(self) -> int: ...

    @property
    def timezone(self) -> str: ...

    @property
    def start_at(self) -> datetime: ...

    @property
    def trial_end_at(self) -> datetime | None: ...

    @property
    def ended_at(self) -> datetime | None: ...


@dataclass(frozen=True, slots=True)
class BillingCalendar:
    """Which period a moment belongs to, over the whole life of a subscription.

    A trial is one period of its own, from `start_at` to `trial_end_at`; billed periods count from
    `anchor_at`. Nothing lies before `start_at`, nor at or after `ended_at`.

    Boundaries of months and years fall on the anchor's day of the month, or on `billing_day` (1 to 31) if
    there is one; where a month is too short, on its last day. The first billed period is then a part of a
    whole one, from the start to the first boundary after it.
    """

    anchor_at: datetime
    interval_unit: IntervalUnit
    interval_count: int
    timezone: str
    start_at: datetime
    trial_end_at: datetime | None = None
    ended_at: datetime | None = None
    billing_day: int | None = None

    @classmethod
    def of(cls, row: CalendarRow) -> "BillingCalendar":
        return cls(
            anchor_at=row.anchor_at,
            interval_unit=cast("IntervalUnit", row.interval_unit),
            interval_count=row.interval_count,
            timezone=row.timezone,
            start_at=row.start_at,
            trial_end_at=row.trial_end_at,
            ended_at=row.ended_at,
        )

    def boundary(self, n: int) -> datetime:
        """When billed period `n` starts, and period `n - 1` ends."""
        zone = time_zone(self.timezone)
        anchor = self.anchor_at.astimezone(zone).replace(tzinfo=None)
        steps = n * self.interval_count
        if self.interval_unit in _MONTHS_PER_UNIT:
            months = steps * _MONTHS_PER_UNIT[self.interval_unit]
            day = _on_day(anchor.date(), months, self.billing_day or anchor.day)
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
        return Segment(self._clipped(self.containing(instant)), trial=False)

    def served(self, n: int) -> Period | None:
        """Billed period `n` as far as service ran in it; None when it did not."""
        period = self._clipped(self.period(n))
        end = period.end if self.ended_at is None else min(period.end, self.ended_at)
        return Period(period.start, end) if period.start < end else None

    def whole(self, segment: Segment) -> Period:
        """What the segment would span had nothing cut it: a share of its price is a share of this."""
        return segment.period if segment.trial else self.containing(segment.period.start)

    @property
    def billed_from(self) -> datetime:
        """When the first billed period begins."""
        return self.trial_end_at or self.start_at

    def _clipped(self, period: Period) -> Period:
        return Period(max(period.start, self.billed_from), period.end)

    def _estimate(self, instant: datetime) -> int:
        if self.interval_unit in _MONTHS_PER_UNIT:
            months = (instant.year - self.anchor_at.year) * 12 + instant.month - self.anchor_at.month
            return months // (self.interval_count * _MONTHS_PER_UNIT[self.interval_unit])
        return (instant - self.anchor_at).days // (self.interval_count * _DAYS_PER_UNIT[self.interval_unit])


def _on_day(month: date, later: int, day: int) -> date:
    """That day of the month which lies so many months later; its last one if it has no such day."""
    year, month0 = divmod(month.year * 12 + month.month - 1 + later, 12)
    return date(year, month0 + 1, min(day, calendar.monthrange(year, month0 + 1)[1]))
