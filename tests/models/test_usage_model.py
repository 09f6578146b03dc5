from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.usage.form import UsageRecords, check_form, microseconds, months_of, stored_keys
from corebilling.domains.usage.model import decide_acceptance, usage_total_id
from corebilling.domains.usage.placement import (
    Placement,
    UsageItem,
    UsagePeriod,
    UsageWindow,
    decide_placement,
)
from corebilling.values.period import BillingCalendar, Period

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
START = datetime(2026, 1, 15, tzinfo=UTC)
BACK, AHEAD = timedelta(days=35), timedelta(minutes=5)
WINDOW = UsageWindow.around(NOW, back=BACK, ahead=AHEAD)


def item(
    *,
    trial_end_at: datetime | None = None,
    ended_at: datetime | None = None,
    name: str = "a",
) -> UsageItem:
    calendar = BillingCalendar(
        anchor_at=trial_end_at or START,
        interval_unit="month",
        interval_count=1,
        timezone="UTC",
        start_at=START,
        trial_end_at=trial_end_at,
        ended_at=ended_at,
    )
    return UsageItem(f"sit_{name}", "calls", "sum", f"sub_{name}", "cus_1", None, calendar)


def records(*times: datetime, keys: Sequence[str] = (), quantities: Sequence[str] = ()) -> UsageRecords:
    return UsageRecords(
        keys=keys or [f"key {number}" for number in range(len(times))],
        subscription_ids=["sub_a"] * len(times),
        meter_codes=["calls"] * len(times),
        quantities=quantities or ["1"] * len(times),
        recorded_us=[microseconds(time) for time in times],
    )


def place(
    given: UsageRecords, known_item: UsageItem, memory: dict[str, UsagePeriod] | None = None
) -> Placement:
    return decide_placement(
        given, {("sub_a", "calls"): [known_item]}, WINDOW, {} if memory is None else memory
    )


def reasons(placement: Placement) -> dict[int, str]:
    return {index: error.reason for index, error in placement.refused.items()}


def test_record_at_a_boundary_belongs_to_the_period_that_starts_there() -> None:
    boundary = datetime(2026, 2, 15, tzinfo=UTC)
    placed = place(records(boundary - timedelta(microseconds=1), boundary), item())
    starts = [placed.periods[number - 1].period.start for number in placed.places]
    assert starts == [START, boundary]


def test_window_limits_are_allowed_and_what_lies_beyond_is_refused_by_name() -> None:
    step = timedelta(microseconds=1)
    times = (NOW - BACK, NOW - BACK - step, NOW + AHEAD, NOW + AHEAD + step)
    placed = place(records(*times), item())
    assert reasons(placed) == {1: "USAGE_TOO_OLD", 3: "USAGE_IN_FUTURE"}
    assert [bool(number) for number in placed.places] == [True, False, True, False]
    assert placed.refused[1].facts["earliest"] == "2026-02-03T12:00:00Z"
    assert placed.refused[3].facts["latest"] == "2026-03-10T12:05:00Z"


def test_record_after_the_end_of_service_is_refused_though_its_period_goes_on() -> None:
    ended_at = NOW - timedelta(days=1)
    placed = place(records(ended_at - timedelta(seconds=1), ended_at), item(ended_at=ended_at))
    assert reasons(placed) == {1: "USAGE_OUTSIDE_SUBSCRIPTION"}


def test_a_late_record_of_an_item_that_ended_is_placed_in_what_the_item_had_of_the_period() -> None:
    ended_at, begun = NOW - timedelta(days=3), datetime(2026, 2, 15, tzinfo=UTC)
    ended = replace(item(), ends_at=ended_at)
    placed = place(records(ended_at - timedelta(hours=1), ended_at), ended)
    assert reasons(placed) == {1: "USAGE_OUTSIDE_SUBSCRIPTION"}
    assert [found.period for found in placed.periods] == [Period(begun, ended_at)]


def test_usage_in_a_trial_is_set_apart() -> None:
    trial_end = datetime(2026, 2, 20, tzinfo=UTC)
    placed = place(records(trial_end - timedelta(seconds=1), trial_end), item(trial_end_at=trial_end))
    trial, billed = (placed.periods[number - 1] for number in placed.places)
    assert (trial.excluded, trial.period.start, trial.period.end) == (True, START, trial_end)
    assert (billed.excluded, billed.period.start) == (False, trial_end)


def test_remembered_period_is_forgotten_when_the_subscription_changes() -> None:
    memory: dict[str, UsagePeriod] = {}
    place(records(NOW), item(), memory)
    placed = place(records(NOW), item(ended_at=NOW - timedelta(days=1)), memory)
    assert reasons(placed) == {0: "USAGE_OUTSIDE_SUBSCRIPTION"}


def test_unknown_item_spoils_no_other_record() -> None:
    given = UsageRecords(
        ["x", "y"], ["sub_a", "sub_b"], ["calls", "calls"], ["1", "1"], [microseconds(NOW)] * 2
    )
    placed = place(given, item())
    assert placed.places == [1, 0]
    assert placed.refused[1].facts == {"subscription_id": "sub_b", "meter_code": "calls"}


@given(
    st.lists(
        st.tuples(
            st.integers(0, 90 * 86_400_000_000).map(
                lambda us: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)
            ),
            st.sampled_from(["sub_a", "sub_b", "sub_none"]),
        ),
        max_size=40,
    )
)
def test_each_record_is_placed_in_the_period_that_holds_it_or_refused(
    given_records: list[tuple[datetime, str]],
) -> None:
    trial_end = datetime(2026, 2, 20, tzinfo=UTC)
    items = {
        ("sub_a", "calls"): item(name="a", trial_end_at=trial_end),
        ("sub_b", "calls"): item(name="b", ended_at=datetime(2026, 3, 1, tzinfo=UTC)),
    }
    count = len(given_records)
    times = [microseconds(time) for time, _ in given_records]
    subscriptions = [subscription for _, subscription in given_records]
    keys = [str(number) for number in range(count)]
    placed = decide_placement(
        UsageRecords(keys, subscriptions, ["calls"] * count, ["1"] * count, times),
        {pair: [named] for pair, named in items.items()},
        WINDOW,
        {},
    )
    assert len(placed.places) == count
    for index, ((time, subscription), number) in enumerate(zip(given_records, placed.places, strict=True)):
        assert (number == 0) == (index in placed.refused)
        known_item = items.get((subscription, "calls"))
        segment = known_item.calendar.segment(time) if known_item else None
        acceptable = segment is not None and NOW - BACK <= time <= NOW + AHEAD
        assert (number > 0) == acceptable
        if number and segment:
            period = placed.periods[number - 1]
            assert (period.item.subscription_id, period.period, period.excluded) == (
                subscription,
                segment.period,
                segment.trial,
            )


@given(
    st.lists(st.text(max_size=45) | st.from_regex(r"[0-9]{1,25}(\.[0-9]{0,14})?", fullmatch=True), min_size=1)
)
def test_malformed_quantities_are_found_whatever_stands_beside_them(quantities: list[str]) -> None:
    def valid(text: str) -> bool:
        whole, point, decimals = text.partition(".")
        digits = all(c in "0123456789" for c in whole + decimals)
        return digits and 1 <= len(whole) <= 20 and (1 <= len(decimals) <= 12 if point else True)

    found = check_form(records(*[NOW] * len(quantities), quantities=quantities))
    assert set(found) == {index for index, text in enumerate(quantities) if not valid(text)}


@pytest.mark.parametrize("key", ["", "k" * 129])
def test_key_of_the_wrong_length_is_malformed(key: str) -> None:
    found = check_form(records(NOW, NOW, keys=["fine", key]))
    assert {index: error.facts for index, error in found.items()} == {1: {"field": "idempotency_key"}}


@given(st.text(min_size=1, max_size=128))
def test_any_key_has_a_stored_form_of_its_own(key: str) -> None:
    (stored,) = stored_keys([key])
    assert stored_keys([key]) == [stored]
    assert stored_keys([stored]) == [stored]
    assert stored_keys([key + "'"]) != [stored]


def test_uuid_is_kept_as_it_is() -> None:
    uuid = "019a6a1e-0000-7000-8000-000000000001"
    assert stored_keys([uuid]) == [uuid]
    assert stored_keys([uuid.upper()]) != [uuid]


def accept(
    given_records: UsageRecords, *, known: Sequence[str] = (), repeated: Sequence[int] = ()
) -> tuple[list[int], list[int], list[int]]:
    placement = place(given_records, item())
    found = decide_acceptance(given_records, placement, given_records.keys, known, repeated)
    return list(found.fresh), list(found.duplicates), sorted(found.refused)


def test_key_twice_in_a_batch_is_a_duplicate_with_the_same_content_and_a_conflict_with_other() -> None:
    assert accept(records(NOW, NOW, keys=["k", "k"], quantities=["1", "1.0"])) == ([0], [1], [])
    assert accept(records(NOW, NOW, keys=["k", "k"], quantities=["1", "2"])) == ([0], [], [1])


def test_refused_record_leaves_its_key_to_the_next() -> None:
    assert accept(records(NOW + AHEAD * 2, NOW, keys=["k", "k"])) == ([1], [], [0])


def test_key_accepted_before_is_a_duplicate_or_a_conflict() -> None:
    given_records = records(NOW, NOW, NOW, keys=["old", "old", "new"])
    assert accept(given_records, known=["old"], repeated=[0]) == ([2], [0], [1])


def test_what_nothing_serves_any_more_is_a_duplicate_if_it_was_accepted_when_something_did() -> None:
    given_records = records(NOW, NOW, NOW + AHEAD * 2, keys=["old", "new", "ahead"])
    placement = place(given_records, item(ended_at=NOW))
    assert placement.unserved == {0, 1}
    found = decide_acceptance(given_records, placement, given_records.keys, ["old", "ahead"], {0})
    assert (list(found.fresh), list(found.duplicates), sorted(found.refused)) == ([], [0], [1, 2])


def test_months_reach_from_the_earliest_to_the_latest_record() -> None:
    times = [
        microseconds(datetime(2025, 12, 31, 23, tzinfo=UTC)),
        microseconds(datetime(2026, 2, 1, tzinfo=UTC)),
    ]
    assert [f"{month:%Y-%m-%d}" for month in sorted(months_of(times))] == [
        "2025-12-01",
        "2026-01-01",
        "2026-02-01",
    ]


def test_totals_of_periods_that_start_on_one_day_have_ids_of_their_own() -> None:
    morning, noon = datetime(2026, 3, 1, 6, tzinfo=UTC), datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert usage_total_id("sit_a", morning) == "sit_a:2026-03-01T06:00:00Z" != usage_total_id("sit_a", noon)
