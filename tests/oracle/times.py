"""Periods and their parts, on the wall clock of a customer."""

import calendar
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from functools import cache
from zoneinfo import ZoneInfo

BEGINNING = datetime(1900, 1, 1, tzinfo=UTC)
FOREVER = datetime(8000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, order=True)
class Span:
    """From `start` up to but without `end`."""

    start: datetime
    end: datetime

    def meets(self, other: "Span") -> "Span":
        """What both have in common; without length if that is nothing."""
        start = max(self.start, other.start)
        return Span(start, max(start, min(self.end, other.end)))

    @property
    def microseconds(self) -> int:
        return (self.end - self.start) // timedelta(microseconds=1)


def boundary(anchor: datetime, interval: tuple[str, int], n: int, zone: str) -> datetime:
    """When period n begins: n intervals after the anchor, at its time of the day, on its day of the month or
    the last one of a shorter month."""
    unit, count = interval
    local = anchor.astimezone(ZoneInfo(zone))
    if unit in ("day", "week"):
        day = local.date() + timedelta(days=n * count * (7 if unit == "week" else 1))
    else:
        months = local.year * 12 + local.month - 1 + n * count * (12 if unit == "year" else 1)
        year, month = months // 12, months % 12 + 1
        day = date(year, month, min(local.day, calendar.monthrange(year, month)[1]))
    wall = datetime.combine(day, local.time().replace(fold=0), ZoneInfo(zone))
    return wall.astimezone(UTC)


@cache
def period_at(anchor: datetime, interval: tuple[str, int], at: datetime, zone: str) -> Span:
    """The period that holds a moment at or after the anchor: by counting."""
    n = 0
    while boundary(anchor, interval, n + 1, zone) <= at:
        n += 1
    return Span(boundary(anchor, interval, n, zone), boundary(anchor, interval, n + 1, zone))


def share(part: Span, whole: Span, grain: str, zone: str, service_end: datetime) -> Fraction:
    """How much of a whole period a part of it is. By the day, the last day of service counts as served."""
    if grain == "none":
        return Fraction(part.end > part.start)
    if grain == "second":
        return Fraction(part.microseconds, whole.microseconds)
    days = _day(part.end, zone) - _day(part.start, zone)
    if part.end == service_end and part.start < part.end < whole.end:
        days = min(days + timedelta(days=1), _day(whole.end, zone) - _day(part.start, zone))
    return Fraction(days.days, (_day(whole.end, zone) - _day(whole.start, zone)).days)


def _day(at: datetime, zone: str) -> date:
    return at.astimezone(ZoneInfo(zone)).date()
