import itertools
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.errors import InvalidArgument
from corebilling.values.period import (
    BillingCalendar,
    Period,
    Segment,
    calendar_month,
    local_date,
    midnight,
    next_midnight,
    runs_that_bill,
    time_zone,
    trial_end,
)


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


@given(
    anchor=anchors,
    unit=st.sampled_from(["month", "year"]),
    count=st.integers(1, 6),
    timezone=zones,
    billing_day=st.integers(1, 31),
    offset=st.timedeltas(timedelta(0), timedelta(days=4000)),
)
def test_a_billing_day_tiles_time_from_a_partial_first_period_on(
    anchor, unit, count, timezone, billing_day, offset
):
    tiled = calendar(anchor, unit, count, timezone, billing_day=billing_day)
    n = tiled.index(anchor)
    served = tiled.served(n)
    assert served is not None
    assert served.start == anchor
    assert served.end == tiled.period(n + 1).start
    held = tiled.segment(anchor + offset)
    assert held is not None
    assert anchor + offset in held.period
    assert held.period == tiled.served(tiled.index(anchor + offset))
    day = local_date(tiled.whole(held).end, timezone).day
    assert day == billing_day or (day < billing_day and local_date(held.period.end, timezone).day == day)


@pytest.mark.parametrize(
    ("start", "billing_day", "count", "first_boundaries"),
    [
        (utc(2024, 1, 10), 1, 3, ["2024-04-01", "2024-07-01"]),
        (utc(2024, 1, 10), 15, 3, ["2024-01-15", "2024-04-15"]),
        (utc(2024, 4, 30), 31, 1, ["2024-04-30", "2024-05-31"]),
        (utc(2024, 1, 31), 30, 1, ["2024-02-29", "2024-03-30"]),
    ],
)
def test_the_first_boundary_is_the_billing_day_not_before_the_start(
    start, billing_day, count, first_boundaries
):
    running = calendar(start, count=count, billing_day=billing_day)
    first = next(
        boundary
        for boundary in map(running.boundary, itertools.count(running.index(start)))
        if boundary >= start
    )
    assert [first.date().isoformat(), running.containing(first).end.date().isoformat()] == first_boundaries


def test_a_billed_period_after_a_trial_begins_with_the_trials_end():
    start, trial_end_at = utc(2025, 1, 10), utc(2025, 1, 24)
    trialed = calendar(start, trial_end_at=trial_end_at, billing_day=1)
    first = trialed.segment(trial_end_at)
    assert first == Segment(Period(trial_end_at, utc(2025, 2, 1)), trial=False)
    assert trialed.whole(first) == Period(utc(2025, 1, 1), utc(2025, 2, 1))


def test_a_cut_calendar_serves_no_longer_than_it_runs():
    ended = calendar(utc(2025, 1, 1), ended_at=utc(2025, 2, 10))
    assert ended.served(1) == Period(utc(2025, 2, 1), utc(2025, 2, 10))
    assert ended.served(2) is None


def test_a_skipped_midnight_begins_the_day_at_the_first_moment_there_is():
    assert midnight(date(2018, 11, 4), "America/Sao_Paulo") == utc(2018, 11, 4, 3)
    assert local_date(midnight(date(2018, 11, 4), "America/Sao_Paulo"), "America/Sao_Paulo") == date(
        2018, 11, 4
    )


@given(instant=anchors, timezone=zones)
def test_an_instant_lies_in_its_local_day_and_month(instant, timezone):
    day = local_date(instant, timezone)
    assert midnight(day, timezone) <= instant < next_midnight(instant, timezone)
    month = calendar_month(instant, timezone)
    assert instant in month
    assert local_date(month.start, timezone) == day.replace(day=1)
    assert 28 <= month.days(timezone) <= 31


@given(
    start=anchors,
    first=st.timedeltas(timedelta(0), timedelta(days=90)),
    second=st.timedeltas(timedelta(0), timedelta(days=90)),
    timezone=zones,
)
def test_days_of_adjoining_periods_add_up(start, first, second, timezone):
    """A day that a boundary cuts is counted once, with the later period."""
    middle, end = start + first, start + first + second
    parts = Period(start, middle).days(timezone) + Period(middle, end).days(timezone)
    assert parts == Period(start, end).days(timezone)


@given(
    day=st.dates(date(2000, 1, 1), date(2035, 1, 1)),
    offsets=st.lists(st.timedeltas(timedelta(days=-3), timedelta(days=3))),
    timezone=zones,
)
def test_a_day_is_billed_once_however_often_the_run_comes(day, offsets, timezone):
    runs = sorted(midnight(day, timezone) + offset for offset in offsets)
    due = [run for run in runs if local_date(run, timezone) == day]
    billed = [run for run, bills in zip(runs, runs_that_bill(day, runs, timezone), strict=True) if bills]
    assert billed == due[:1]


@given(start=anchors, days=st.integers(0, 730))
def test_a_trial_lasts_whole_days_of_24_hours(start, days):
    assert Period(start, trial_end(start, days)).seconds == days * 86400
