from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.quota.model import (
    Candidate,
    Counting,
    Notice,
    NoticeKind,
    Quota,
    QuotaPeriod,
    Scope,
    Threshold,
    Window,
    calendar_window,
    due_notices,
    percent_used,
    refusal_notices,
    refuse_excess,
    room_after,
)
from corebilling.errors import BillingError
from corebilling.values.period import BillingCalendar, local_date

ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "Pacific/Apia"]
START = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
EPSILON = timedelta(microseconds=1)

moments = st.integers(0, 18 * 366 * 86_400).map(
    lambda seconds: datetime(2011, 12, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
quantities = st.decimals("0", "20", places=2)


def quota(
    name: str = "quo_a",
    limit: str = "10",
    *,
    hard: bool = True,
    counting: Counting = Counting.SUM,
    period: QuotaPeriod = QuotaPeriod.BILLING_PERIOD,
    thresholds: Sequence[Threshold] = (),
) -> Quota:
    calendar = BillingCalendar(START, "month", 1, "UTC", START)
    return Quota(
        id=name,
        scope=Scope.SUBSCRIPTION,
        subscription_id="sub_a",
        customer_id="cus_a",
        meter_code="calls",
        counting=counting,
        period=period,
        limit=Decimal(limit),
        hard=hard,
        calendar=calendar,
        timezone="UTC",
        tenant_id="ten_a",
        thresholds=thresholds,
    )


def window_of(one: Quota, at: datetime = START) -> Window:
    window = one.window(at)
    assert window is not None
    return window


@given(moments, st.sampled_from(ZONES), st.sampled_from([QuotaPeriod.DAY, QuotaPeriod.MONTH]))
def test_calendar_windows_follow_one_another_in_every_time_zone(
    at: datetime, zone: str, period: QuotaPeriod
) -> None:
    window = calendar_window(period, at, zone)
    assert at in window
    assert calendar_window(period, window.end, zone).start == window.end
    assert calendar_window(period, window.start - EPSILON, zone).end == window.start
    for moment in (window.start, window.end - EPSILON):
        assert calendar_window(period, moment, zone) == window


@given(moments, st.sampled_from(ZONES))
def test_a_window_begins_with_its_day_or_with_the_hour_that_has_its_midnight(at: datetime, zone: str) -> None:
    start = calendar_window(QuotaPeriod.DAY, at, zone).start
    assert local_date(start - EPSILON, zone) != local_date(start + timedelta(hours=1) - EPSILON, zone)


@given(moments, st.timedeltas(timedelta(0), timedelta(days=40)), st.sampled_from(list(QuotaPeriod)))
def test_windows_of_a_span_cover_it_without_gaps(
    first: datetime, span: timedelta, period: QuotaPeriod
) -> None:
    one = quota(period=period)
    first = max(first, START)
    found = [window.period for window in one.windows(first, first + span)]
    assert first in found[0]
    assert first + span in found[-1]
    assert [window.end for window in found[:-1]] == [window.start for window in found[1:]]


def test_nothing_is_limited_before_the_subscription_runs() -> None:
    assert quota().window(START - EPSILON) is None
    assert list(quota().windows(START - EPSILON, START)) == []


@given(
    st.lists(st.tuples(quantities, st.sets(st.sampled_from("abc"), min_size=1)), max_size=30),
    st.dictionaries(st.sampled_from("abc"), quantities),
    st.sampled_from(list(Counting)),
)
def test_records_are_refused_exactly_when_they_do_not_fit(
    given_records: list[tuple[Decimal, set[str]]], before: dict[str, Decimal], counting: Counting
) -> None:
    quotas = {name: quota(name, "15", hard=name != "c", counting=counting) for name in "abc"}
    windows = {name: window_of(one) for name, one in quotas.items()}
    used = {windows[name]: Fraction(quantity) for name, quantity in before.items()}
    candidates = [
        Candidate(index, str(quantity), [(quotas[name], windows[name]) for name in sorted(names)])
        for index, (quantity, names) in enumerate(given_records)
    ]
    decision = refuse_excess(candidates, used, {})
    refused, taken = decision.refused, decision.taken

    held = {name: Fraction(before.get(name, 0)) for name in "abc"}
    for index, (quantity, names) in enumerate(given_records):
        amount = Fraction(1) if counting is Counting.COUNT else Fraction(quantity)
        after = {
            name: max(held[name], amount) if counting is Counting.MAX else held[name] + amount
            for name in names
        }
        needs = {name: amount if counting is Counting.MAX else after[name] for name in names - {"c"}}
        assert (index in refused) == any(need > 15 for need in needs.values())
        if index not in refused:
            held |= after
    for name, window in windows.items():
        if window in taken and counting is not Counting.MAX:
            assert taken[window] == held[name] - Fraction(before.get(name, 0))
    assert all(error.reason == "QUOTA_EXCEEDED" for error in refused.values())


def test_a_refusal_tells_what_was_used_by_then() -> None:
    one = quota(limit="10.50")
    pair = (one, window_of(one))
    candidates = [Candidate(0, "3", [pair]), Candidate(1, "3.000000000001", [pair])]
    decision = refuse_excess(candidates, {pair[1]: Fraction(9, 2)}, {})
    (error,) = decision.refused.values()
    assert decision.full == {pair[1]: (one, Fraction(15, 2))}
    assert isinstance(error, BillingError)
    assert error.facts == {
        "quota_id": "quo_a",
        "meter_code": "calls",
        "limit": "10.5",
        "used": "7.5",
        "period_end": "2026-02-28T09:30:00Z",
    }


def test_less_room_than_was_read_is_believed() -> None:
    one = quota()
    pair = (one, window_of(one))
    candidates = [Candidate(index, "2", [pair]) for index in range(3)]
    decision = refuse_excess(candidates, {pair[1]: Fraction(3)}, {pair[1]: Fraction(3)})
    assert (sorted(decision.refused), decision.taken) == ([1, 2], {pair[1]: Fraction(2)})


@given(quantities, quantities, st.booleans(), st.sampled_from(list(Counting)))
def test_room_is_what_was_left_before(
    before: Decimal, added: Decimal, hard: bool, counting: Counting
) -> None:
    room = room_after(quota(hard=hard, counting=counting), before + added, Fraction(added))
    if hard and counting is not Counting.MAX and before + added > 10:
        assert room == 10 - Fraction(before)
    else:
        assert room is None


@given(quantities, st.lists(st.decimals("0.01", "300", places=2), max_size=5))
def test_notices_are_those_whose_threshold_is_reached(used: Decimal, percents: list[Decimal]) -> None:
    thresholds = [Threshold(percent, None) for percent in percents]
    notices = due_notices(quota(thresholds=thresholds), used)
    assert (Notice(NoticeKind.WARNING, Decimal(8)) in notices) == (used >= 8)
    assert (Notice(NoticeKind.EXCEEDED, Decimal(10)) in notices) == (used >= 10)
    own = {notice.at for notice in notices if notice.kind is NoticeKind.THRESHOLD}
    assert own == {percent / 10 for percent in percents if used >= percent / 10 and used}
    assert len(set(notices)) == len(notices)
    assert [notice.at for notice in notices] == sorted(notice.at for notice in notices)


@given(quantities)
def test_a_refusal_tells_of_a_quota_with_little_left(used: Decimal) -> None:
    exceeded = [Notice(NoticeKind.EXCEEDED, Decimal(10))]
    assert refusal_notices(quota(), used) == (exceeded if used >= 8 else [])


@pytest.mark.parametrize(
    ("limit", "used", "percent"), [("100", "99.99", 99), ("0", "1", 100), ("3", "1", 33), ("1", "25", 2500)]
)
def test_percent_used_is_rounded_down(limit: str, used: str, percent: int) -> None:
    assert percent_used(Decimal(limit), Decimal(used)) == percent


def test_largest_limits_are_exact() -> None:
    limit = "9" * 20 + "." + "9" * 12
    almost = Decimal("9" * 20 + "." + "9" * 11 + "8")
    assert [notice.kind for notice in due_notices(quota(limit=limit), almost)] == [NoticeKind.WARNING]
    assert len(due_notices(quota(limit=limit), Decimal(limit))) == 2
