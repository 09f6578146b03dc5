from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.aggregation import (
    Aggregation,
    PropertyFilter,
    QuantityRounding,
    Record,
    Transform,
    counted_records,
    quantity_of,
    round_quantity,
    totals_of,
)
from corebilling.values.period import Period
from corebilling.values.time_weighted import (
    Change,
    Days,
    Stay,
    held_totals,
    prorated_sum,
    prorated_unique_count,
    weighted_levels,
    weighted_sum,
)

MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
DAYS = Days(date(2026, 3, 1), date(2026, 4, 1))

moments = st.datetimes(datetime(2026, 2, 20), datetime(2026, 4, 10), timezones=st.just(UTC))  # noqa: DTZ001
decimals = st.decimals(-(10**9), 10**9, places=6)
dates = st.dates(date(2026, 2, 20), date(2026, 4, 10))
mergeable = st.sampled_from(sorted(frozenset(Aggregation) - {Aggregation.TIME_WEIGHTED}))


@st.composite
def record_lists(draw: st.DrawFn) -> list[Record]:
    rows = draw(st.lists(st.tuples(moments, decimals), max_size=12))
    return [Record(at, value, key=f"k{place}", sequence=place) for place, (at, value) in enumerate(rows)]


def all_totals(records: list[Record]):
    return totals_of(records, unique=True)


@given(mergeable, record_lists(), st.randoms(use_true_random=False), st.integers(0, 12), st.integers(0, 12))
def test_totals_merge_in_any_order_and_grouping(aggregation, records, random, one, other) -> None:
    shuffled = random.sample(records, len(records))
    low, high = sorted((one, other))
    parts = [all_totals(shuffled[:low]), all_totals(shuffled[low:high]), all_totals(shuffled[high:])]
    left = parts[0].merged(parts[1]).merged(parts[2])
    right = parts[2].merged(parts[1].merged(parts[0]))
    assert left == right
    assert quantity_of(aggregation, left) == quantity_of(aggregation, all_totals(records))


@given(record_lists())
def test_quantities_are_those_of_the_records(records: list[Record]) -> None:
    values = [Fraction(record.value) for record in records]
    totals = all_totals(records)
    assert quantity_of(Aggregation.SUM, totals) == sum(values)
    assert quantity_of(Aggregation.COUNT, totals) == len(values)
    assert quantity_of(Aggregation.UNIQUE, totals) == len(set(values))
    assert quantity_of(Aggregation.MAX, totals) == max(values, default=0)
    assert quantity_of(Aggregation.MIN, totals) == min(values, default=0)
    assert quantity_of(Aggregation.AVERAGE, totals) * len(values) == sum(values)
    last = max(records, key=lambda record: (record.at, record.sequence), default=None)
    assert quantity_of(Aggregation.LATEST, totals) == (Fraction(last.value) if last else 0)


@given(record_lists(), record_lists())
def test_a_key_counts_once_and_the_first_record_wins(records, repeated) -> None:
    counted = counted_records([*records, *repeated])
    assert counted[: len(records)] == records
    assert len(counted) == len({record.key for record in [*records, *repeated]})


@given(record_lists(), st.lists(moments, min_size=1, max_size=4, unique=True))
def test_periods_tile_time_and_each_record_counts_in_one(records, cuts) -> None:
    bounds = [datetime(2026, 1, 1, tzinfo=UTC), *sorted(cuts), datetime(2027, 1, 1, tzinfo=UTC)]
    periods = [Period(*pair) for pair in pairwise(bounds)]
    assert sum(len(counted_records(records, period)) for period in periods) == len(records)


def test_a_filter_lets_through_what_has_one_of_its_values() -> None:
    at = MARCH.start
    records = [Record(at, Decimal(1), properties={"region": name}) for name in ("eu", "us", "ap")]
    records.append(Record(at, Decimal(1)))
    chosen = counted_records(records, filters=[PropertyFilter("region", frozenset({"eu", "ap"}))])
    assert chosen == [records[0], records[2]]


@pytest.mark.parametrize(
    ("quantity", "rounding", "decimals", "rounded"),
    [
        ("2.5", "half_up", 0, "3"),
        ("2.5", "half_even", 0, "2"),
        ("-2.1", "floor", 0, "-3"),
        ("-2.9", "ceil", 0, "-2"),
        ("1.005", "half_up", 2, "1.01"),
        ("1450", "half_up", -2, "1500"),
        ("1.23456789", "none", 0, "1.23456789"),
    ],
)
def test_quantities_round_where_the_rounding_says(quantity, rounding, decimals, rounded) -> None:
    assert round_quantity(Decimal(quantity), QuantityRounding(rounding), decimals) == Fraction(rounded)


@given(st.sampled_from(QuantityRounding), decimals, st.integers(-3, 5))
def test_rounding_moves_a_quantity_by_less_than_one_step_and_only_once(rounding, quantity, places) -> None:
    rounded = round_quantity(quantity, rounding, places)
    assert abs(rounded - Fraction(quantity)) < Fraction(1, 1) / Fraction(10) ** places
    assert round_quantity(rounded, rounding, places) == rounded


def test_a_transform_divides_and_then_counts_started_blocks() -> None:
    assert Transform(Decimal(1000)).apply(Fraction(1500)) == Fraction("1.5")
    assert Transform(block_size=Decimal(1000)).apply(Fraction(1500)) == 2000
    assert Transform(Decimal(10), Decimal(100)).apply(Fraction(1500)) == 200


# Levels and members over time.

changes = st.lists(st.builds(Change, moments, decimals), max_size=10)


@given(decimals, changes, st.randoms(use_true_random=False))
def test_level_changes_weigh_the_same_in_any_order(opening, changes, random) -> None:
    shuffled = random.sample(changes, len(changes))
    assert weighted_sum(opening, changes, MARCH) == weighted_sum(opening, shuffled, MARCH)


@given(changes, st.integers(0, 10))
def test_totals_of_level_changes_merge(changes, cut) -> None:
    parts = held_totals(changes[:cut], MARCH).merged(held_totals(changes[cut:], MARCH))
    assert parts == held_totals(changes, MARCH)


@given(decimals, changes, st.integers(1, 30))
def test_two_parts_of_a_period_weigh_what_the_whole_does(opening, changes, day) -> None:
    cut = MARCH.start + timedelta(days=day)
    first, second = Period(MARCH.start, cut), Period(cut, MARCH.end)
    before = weighted_sum(opening, changes, first)
    inside = [change for change in changes if change.at >= cut]
    after = weighted_sum(before.closing_level, inside, second)
    whole = weighted_sum(opening, changes, MARCH)
    shares = first.share_of(MARCH), second.share_of(MARCH)
    assert before.quantity * shares[0] + after.quantity * shares[1] == whole.quantity
    assert after.closing_level == whole.closing_level


@given(decimals, changes)
def test_levels_set_one_after_the_other_weigh_what_their_changes_do(opening, changes) -> None:
    ordered = sorted(changes, key=lambda change: change.at)
    level, levels = Decimal(opening), []
    for change in ordered:
        level += change.delta
        levels.append(Change(change.at, level))
    assert weighted_levels(opening, levels, MARCH) == weighted_sum(opening, ordered, MARCH)


@given(decimals, st.lists(st.tuples(dates, decimals), max_size=8), st.integers(1, 30))
def test_what_is_held_over_two_parts_of_a_month_is_held_over_the_month(opening, changes, day) -> None:
    cut = DAYS.start + timedelta(days=day)
    first, second = Days(DAYS.start, cut), Days(cut, DAYS.end)
    before = prorated_sum(opening, changes, first)
    after = prorated_sum(before.full_quantity, changes, second)
    whole = prorated_sum(opening, changes, DAYS)
    assert before.quantity * len(first) + after.quantity * len(second) == whole.quantity * len(DAYS)
    assert after.full_quantity == whole.full_quantity
    assert before.counted + after.counted == whole.counted


@given(st.lists(st.tuples(st.sampled_from("abc"), dates, st.none() | dates), max_size=8))
def test_a_member_counts_at_most_once_a_day(stays) -> None:
    rows = [
        Stay(name, first, last if last is None or last >= first else first) for name, first, last in stays
    ]
    count = prorated_unique_count(rows, DAYS)
    assert 0 <= count <= len({name for name, _, _ in stays})
    assert prorated_unique_count([*rows, *rows], DAYS) == count


def test_a_member_counts_on_its_first_and_on_its_last_day() -> None:
    stay = Stay("a", date(2026, 3, 10), date(2026, 3, 10))
    assert prorated_unique_count([stay], DAYS) == Fraction(1, 31)
