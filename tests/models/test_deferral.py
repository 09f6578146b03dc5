"""Revenue put off is recognized to the last unit, whatever is given back meanwhile."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.ledger.deferral import MAX_SERVICE, Deferral, Spread, check_service, defer
from corebilling.errors import InvalidArgument
from corebilling.values.period import Period, local_date
from corebilling.values.proration import Grain

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = Period(JANUARY, datetime(2027, 1, 1, tzinfo=UTC))

instants = st.integers(-731, 2922).flatmap(
    lambda day: st.timedeltas(timedelta(), timedelta(days=1)).map(
        lambda rest: JANUARY + timedelta(day) + rest
    )
)
lengths = st.timedeltas(timedelta(microseconds=1), MAX_SERVICE)
amounts = st.integers(-(10**15), 10**15)
spreads = st.builds(
    Spread.of,
    st.sampled_from(Grain),
    st.sampled_from(["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Kiritimati", "Africa/Cairo"]),
)
services = st.builds(lambda start, length: Period(start, start + length), instants, lengths)


@given(amounts, services, instants, spreads)
def test_what_is_earned_at_once_and_month_by_month_adds_up_to_what_was_invoiced(
    revenue: int, service: Period, now: datetime, spread: Spread
) -> None:
    deferral = defer(revenue, service, now, spread)
    parts = list(deferral.schedule()) if deferral else []
    deferred = deferral.remaining_minor if deferral else 0
    assert sum(part.amount_minor for part in parts) == deferred
    assert 0 <= deferred * (1 if revenue >= 0 else -1) <= abs(revenue)
    assert all(part.amount_minor * revenue >= 0 for part in parts)
    if now >= service.end:
        assert not deferral


@given(st.integers(1, 10**15), services, instants, spreads)
def test_parts_follow_one_another_and_end_with_months_of_the_tenants_time(
    revenue: int, service: Period, now: datetime, spread: Spread
) -> None:
    deferral = defer(revenue, service, now, spread)
    parts = list(deferral.schedule()) if deferral else []
    for earlier, later in pairwise(parts):
        assert earlier.period.end == later.period.start
        assert local_date(earlier.period.end, spread.timezone).day == 1
        assert local_date(earlier.posted_at, spread.timezone).day > 27
    for part in parts:
        assert part.period.start < part.period.end <= service.end
        assert part.period.end > now
        assert part.period.days(spread.timezone) <= 31
    assert len(parts) <= 122


@given(st.data())
def test_whatever_is_given_back_meanwhile_deferred_recognized_and_reversed_agree(data: st.DataObject) -> None:
    revenue = data.draw(amounts)
    deferral = defer(revenue, data.draw(services), data.draw(instants), data.draw(spreads))
    if deferral is None:
        return
    recognized = reversed_ = 0
    deferred, rest = deferral.remaining_minor, deferral
    while (part := rest.next) is not None:
        given_back = rest.reversible(data.draw(st.just(0) | amounts))
        rest = Deferral(rest.remaining_minor - given_back, rest.service, rest.spread)
        reversed_ += given_back
        part = rest.next
        if part is not None:
            rest = rest.after(part)
            recognized += part.amount_minor
        assert deferred == recognized + reversed_ + rest.remaining_minor
        assert 0 <= rest.remaining_minor * (1 if deferred > 0 else -1) <= abs(deferred)
    assert deferred == recognized + reversed_


@pytest.mark.parametrize(
    ("grain", "parts"),
    [
        (Grain.DAY, [3100, 2800, 3100, 3000, 3100, 3000, 3100, 3100, 3000, 3100, 3000, 3100]),
        (Grain.NONE, [3100, 2800, 3100, 3000, 3100, 3000, 3100, 3100, 3000, 3100, 3000, 3100]),
    ],
)
def test_a_year_paid_ahead_is_earned_by_the_days_of_its_months(grain: Grain, parts: list[int]) -> None:
    deferral = defer(36500, YEAR, JANUARY, Spread.of(grain, "UTC"))
    assert deferral is not None
    assert [part.amount_minor for part in deferral.schedule()] == parts


def test_what_lies_behind_is_earned_at_once() -> None:
    service = Period(JANUARY, JANUARY + timedelta(days=10))
    deferral = defer(1000, service, JANUARY + timedelta(days=4, hours=12), Spread.of(Grain.SECOND, "UTC"))
    assert deferral is not None
    assert (deferral.remaining_minor, [part.amount_minor for part in deferral.schedule()]) == (550, [550])
    by_day = defer(1000, service, JANUARY + timedelta(days=4, hours=12), Spread.of(Grain.DAY, "UTC"))
    assert by_day is not None
    assert by_day.remaining_minor == 600


def test_three_units_of_a_currency_without_parts_are_spread_over_a_year_as_whole_ones() -> None:
    deferral = defer(3, YEAR, JANUARY, Spread.of(Grain.SECOND, "Asia/Tokyo"))
    assert deferral is not None
    assert sum(part.amount_minor for part in deferral.schedule()) == 3


def test_a_month_ends_where_the_tenant_is() -> None:
    start = datetime(2026, 1, 15, tzinfo=UTC)
    deferral = defer(
        100, Period(start, datetime(2026, 3, 1, tzinfo=UTC)), start, Spread.of(Grain.SECOND, "Asia/Tokyo")
    )
    assert deferral is not None
    assert [part.period.end for part in deferral.schedule()] == [
        datetime(2026, 1, 31, 15, tzinfo=UTC),
        datetime(2026, 2, 28, 15, tzinfo=UTC),
        datetime(2026, 3, 1, tzinfo=UTC),
    ]


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (JANUARY, JANUARY),
        (JANUARY, JANUARY - timedelta(seconds=1)),
        (JANUARY, JANUARY + MAX_SERVICE + timedelta(seconds=1)),
        (datetime(1969, 12, 31, tzinfo=UTC), datetime(1970, 2, 1, tzinfo=UTC)),
        (datetime(2199, 12, 31, tzinfo=UTC), datetime(2200, 1, 2, tzinfo=UTC)),
    ],
)
def test_a_service_that_cannot_be_spread_is_refused(start: datetime, end: datetime) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_service(Period(start, end))
    assert refused.value.reason == "SERVICE_PERIOD_INVALID"
