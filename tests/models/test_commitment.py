from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.rating.charging import decide_minimum
from corebilling.values.commitment import (
    Committed,
    commit,
    interrupt,
    kept,
    read,
    resume,
    standing,
    true_up_minor,
)
from corebilling.values.period import ALWAYS, Period
from corebilling.values.proration import Grain, Proration

START = datetime(2026, 3, 1, tzinfo=UTC)
MARCH = Period(START, START + timedelta(days=31))
DAYS = st.integers(0, 30).map(lambda day: START + timedelta(days=day))
MINIMUMS = st.integers(0, 10**6)
CHANGES = st.lists(st.tuples(MINIMUMS, DAYS), max_size=6).map(
    lambda some: sorted(some, key=lambda one: one[1])
)


def changed(first: int, changes: list[tuple[int, datetime]]) -> list[Committed]:
    spans = commit([], first, ALWAYS.start)
    for minimum, at in changes:
        spans = commit(spans, minimum, at)
    return spans


@given(MINIMUMS, CHANGES, st.sampled_from(Grain))
def test_a_minimum_lies_between_the_least_and_the_most_that_was_committed_to(first, changes, grain) -> None:
    due = decide_minimum(MARCH, MARCH, changed(first, changes), Proration(grain))
    amounts = [first, *(minimum for minimum, _ in changes)]
    assert min(amounts) <= due <= max(amounts)
    if not changes:
        assert due == first


@given(MINIMUMS, CHANGES)
def test_no_two_spans_hold_at_the_same_time_and_rows_keep_them_as_they_are(first, changes) -> None:
    spans = changed(first, changes)
    assert all(one.span.end <= two.span.start for one, two in pairwise(spans))
    assert standing(spans) == (changes[-1][0] if changes else first)
    assert read(kept(spans)) == spans


@given(MINIMUMS, DAYS, DAYS)
def test_a_pause_takes_its_days_off(minimum, one, other) -> None:
    since, until = sorted((one, other))
    spans = resume(interrupt(commit([], minimum, ALWAYS.start), since), until)
    paused = Fraction((until - since).days, 31)
    due = decide_minimum(MARCH, MARCH, spans, Proration(Grain.SECOND))
    assert abs(due - minimum * (1 - paused)) <= Fraction(1, 2)


@given(MINIMUMS, st.integers(1, 30))
def test_only_the_last_part_of_a_period_is_held_to_it(minimum, day) -> None:
    spans, at = commit([], minimum, ALWAYS.start), START + timedelta(days=day)
    assert decide_minimum(Period(START, at), MARCH, spans) == 0
    assert decide_minimum(Period(at, MARCH.end), MARCH, spans) == minimum
    ended = decide_minimum(Period(START, at), MARCH, spans, service=Period(ALWAYS.start, at))
    assert abs(ended - Fraction(minimum * day, 31)) <= Fraction(1, 2)


@given(MINIMUMS, st.lists(st.integers(-(10**6), 10**6), min_size=1))
def test_true_ups_of_growing_and_shrinking_lines_add_up_to_the_one_of_their_sum(minimum, amounts) -> None:
    lines, trued_up = 0, 0
    for amount in amounts:
        lines += amount
        trued_up += true_up_minor(minimum, lines, trued_up)
    assert trued_up == true_up_minor(minimum, lines)
    assert lines + trued_up == max(minimum, lines)
