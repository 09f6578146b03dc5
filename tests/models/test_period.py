from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.errors import InvalidArgument
from corebilling.values.period import BillingCalendar, Period, Segment, time_zone


def calendar(anchor: datetime, unit="month", count=1, timezone="UTC", **rest) -> BillingCalendar:
    return BillingCalendar(
        anchor_at=anchor,
        interval_unit=unit,
        interval_count=count,
        timezone=timezone,
        start_at=rest.pop("start_at", anchor),
        **rest,
    )


def utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def test_month_end_anchor_is_clamped_and_never_chained():
    monthly = calendar(utc(2025, 1, 31))
    starts = [monthly.boundary(n).date().isoformat() for n in range(5)]
    assert starts == ["2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30", "2025-05-31"]


def test_yearly_from_the_leap_day_returns_to_it():
    yearly = calendar(utc(2024, 2, 29), unit="year")
    starts = [yearly.boundary(n).date().isoformat() for n in range(5)]
    assert starts == ["2024-02-29", "2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


def test_periods_keep_the_wall_clock_across_daylight_saving():
    monthly = calendar(utc(2025, 2, 28, 23), timezone="Europe/Berlin")  # midnight of March 1 in Berlin
    assert monthly.boundary(1) == utc(2025, 3, 31, 22)  # midnight of April 1, now at summer time


def test_a_boundary_instant_belongs_to_the_period_that_starts_there():
    monthly = calendar(utc(2025, 1, 1))
    assert monthly.containing(utc(2025, 2, 1)) == Period(utc(2025, 2, 1), utc(2025, 3, 1))
    assert monthly.containing(utc(2025, 2, 1) - timedelta(microseconds=1)).end == utc(2025, 2, 1)


def test_a_trial_is_a_segment_of_its_own_and_billing_counts_from_its_end():
    start, trial_end = utc(2025, 1, 10), utc(2025, 1, 24)
    trialed = calendar(trial_end, start_at=start, trial_end_at=trial_end)
    trial = trialed.segment(utc(2025, 1, 23))
    first = trialed.segment(trial_end)
    assert trial == Segment(Period(start, trial_end), trial=True)
    assert first == Segment(Period(trial_end, utc(2025, 2, 24)), trial=False)


def test_nothing_runs_before_the_start_or_from_the_end_on():
    ended = calendar(utc(2025, 1, 1), ended_at=utc(2025, 2, 10))
    assert ended.segment(utc(2024, 12, 31)) is None
    assert ended.segment(utc(2025, 2, 10)) is None
    assert ended.segment(utc(2025, 2, 9)) is not None


def test_unknown_time_zone_is_refused_by_name():
    with pytest.raises(InvalidArgument) as refused:
        time_zone("Mars/Olympus")
    assert refused.value.reason == "TIMEZONE_UNKNOWN"


def test_share_of_a_period_cut_in_half():
    full = Period(utc(2025, 4, 1), utc(2025, 5, 1))
    assert Period(full.start, utc(2025, 4, 16)).share_of(full) == Fraction(1, 2)
    assert Period(full.start, full.start).share_of(full) == 0


anchors = st.timedeltas(timedelta(0), timedelta(days=14600)).map(lambda span: utc(2000, 1, 1) + span)
zones = st.sampled_from(
    ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia", "Asia/Tokyo"]
)


@given(
    anchor=anchors,
    unit=st.sampled_from(["day", "week", "month", "year"]),
    count=st.integers(1, 13),
    timezone=zones,
    offset=st.timedeltas(timedelta(0), timedelta(days=4000)),
)
def test_periods_tile_time(anchor, unit, count, timezone, offset):
    """Every instant lies in exactly one period, and each period ends where the next begins."""
    tiled = calendar(anchor, unit, count, timezone)
    n = tiled.index(anchor + offset)
    assert anchor + offset in tiled.period(n)
    assert anchor + offset not in tiled.period(n - 1)
    assert anchor + offset not in tiled.period(n + 1)
    assert tiled.period(n).end == tiled.period(n + 1).start
    assert tiled.period(n).start < tiled.period(n).end
