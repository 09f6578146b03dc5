"""Who may send now."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from corebilling.domains.webhook.lanes import (
    AT_ONCE,
    BREAKER_FAILURES,
    PATIENCE_S,
    SLOW_FACTOR,
    Lanes,
    Signal,
    Ticket,
)

BASE_S, MAX_S = 10.0, 300.0


def new_lanes(limit: int = 100, rate: float = 100) -> Lanes:
    return Lanes(limit=limit, rate=rate, base_delay_s=BASE_S, max_delay_s=MAX_S)


def started(lanes: Lanes, due: Iterable[str], now: float) -> list[Ticket]:
    """All that may start does."""
    plan = lanes.plan(due, now)
    return [lanes.start(lane, now) for lane, room in plan.items() for _ in range(room)]


def prompt(lanes: Lanes, lane: str, now: float = 0.0) -> None:
    """The lane's receiver answers promptly."""
    assert lanes.plan([lane], now)
    lanes.end(lanes.start(lane, now), Signal.SUCCESS, now)


def failed(lanes: Lanes, lane: str, now: float, signal: Signal = Signal.FAILURE, asked_s: float = 0) -> None:
    assert lanes.plan([lane], now)
    lanes.end(lanes.start(lane, now), signal, now, asked_s)


def test_a_new_lane_starts_with_one_and_an_answering_one_has_four_at_once() -> None:
    lanes = new_lanes()
    assert len(started(lanes, ["a"], 0)) == 1
    assert started(lanes, ["a"], 0) == []
    prompt(lanes, "b")
    assert len(started(lanes, ["b"], 0)) == AT_ONCE
    assert started(lanes, ["b"], 0) == []
    assert set(lanes.closed(0)) == {"a", "b"}


def test_a_lane_that_did_not_answer_is_asked_once_at_a_time() -> None:
    lanes = new_lanes()
    prompt(lanes, "a")
    failed_ticket, *others = started(lanes, ["a"], 0)
    lanes.end(failed_ticket, Signal.SILENCE, 15)
    for ticket in others:
        lanes.end(ticket, Signal.SILENCE, 15)
    assert len(started(lanes, ["a"], 15)) == 1


def test_a_breaker_opens_after_failures_in_a_row_lets_one_probe_and_closes_by_its_success() -> None:
    lanes = new_lanes()
    for _ in range(BREAKER_FAILURES):
        failed(lanes, "a", 0)
    assert lanes.open_breakers(0) == 1
    assert lanes.plan(["a"], BASE_S - 0.001) == {}
    assert lanes.opens_in_s(0) == BASE_S
    (probe,) = started(lanes, ["a"], BASE_S)
    assert lanes.plan(["a"], BASE_S) == {}
    lanes.end(probe, Signal.SUCCESS, BASE_S)
    assert lanes.open_breakers(BASE_S) == 0
    assert lanes.plan(["a"], BASE_S) == {"a": AT_ONCE}


def test_a_success_between_failures_keeps_the_breaker_closed() -> None:
    lanes = new_lanes()
    for _ in range(3):
        for _ in range(BREAKER_FAILURES - 1):
            failed(lanes, "a", 0)
        prompt(lanes, "a")
    assert lanes.open_breakers(0) == 0


def test_a_breaker_stays_open_longer_each_time_up_to_a_limit() -> None:
    lanes, now, waits = new_lanes(), 0.0, []
    for _ in range(BREAKER_FAILURES):
        failed(lanes, "a", now)
    for _ in range(7):
        waits.append(lanes.opens_in_s(now))
        now += waits[-1]
        failed(lanes, "a", now)
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_a_receiver_that_asks_for_time_has_its_whole_lane_closed_for_it() -> None:
    lanes = new_lanes()
    prompt(lanes, "a")
    first, *others = started(lanes, ["a"], 0)
    lanes.end(first, Signal.THROTTLED, 1, asked_s=90)
    for ticket in others:
        lanes.end(ticket, Signal.SUCCESS, 1)
    assert lanes.plan(["a"], 90.9) == {}
    assert lanes.plan(["a"], 91) != {}


def test_throttling_without_a_time_closes_the_lane_for_a_doubling_one() -> None:
    lanes, now, waits = new_lanes(), 0.0, []
    for _ in range(7):
        failed(lanes, "a", now, Signal.THROTTLED)
        waits.append(lanes.opens_in_s(now))
        now += waits[-1]
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_answers_to_attempts_that_were_under_way_together_count_once() -> None:
    lanes = new_lanes()
    prompt(lanes, "a")
    for ticket in started(lanes, ["a"], 0):
        lanes.end(ticket, Signal.THROTTLED, 0)
    assert lanes.opens_in_s(0) == BASE_S


def test_what_someone_asked_for_goes_out_alone_although_the_lane_is_closed() -> None:
    lanes = new_lanes()
    failed(lanes, "a", 0, Signal.THROTTLED, asked_s=3600)
    assert lanes.plan(["a"], 1) == {}
    assert lanes.plan(["a"], 1, {"a"}) == {"a": 1}
    lanes.start("a", 1)
    assert lanes.plan(["a"], 1, {"a"}) == {}


def test_a_held_lane_is_left_alone_however_urgent() -> None:
    lanes = new_lanes()
    lanes.hold("a", 2, 0)
    assert lanes.plan(["a"], 1.9, {"a"}) == {}
    assert lanes.plan(["a"], 2) == {"a": 1}


def test_the_platforms_own_fault_says_nothing_about_the_receiver() -> None:
    lanes = new_lanes()
    for _ in range(BREAKER_FAILURES * 2):
        failed(lanes, "a", 0, Signal.NOTHING)
    assert lanes.open_breakers(0) == 0


def test_an_endpoints_rate_is_kept_and_its_default_used_if_it_sets_none() -> None:
    lanes = new_lanes(rate=3)
    lanes.set_rate("a", 2, 0)
    lanes.set_rate("b", 0, 0)
    counts = {}
    for lane in "ab":
        count, now = 0, 0.0
        while now < 10:
            for ticket in started(lanes, [lane], now):
                lanes.end(ticket, Signal.SUCCESS, now)
                count += 1
            now += 0.05
        counts[lane] = count
    assert counts == {"a": pytest.approx(2 * 10 + 2, abs=1), "b": pytest.approx(3 * 10 + 3, abs=1)}


def test_prompt_lanes_find_slots_while_any_number_of_others_hang() -> None:
    lanes = new_lanes(limit=10)
    prompt(lanes, "good")
    hanging = [f"hangs{number}" for number in range(1000)]
    assert len(started(lanes, hanging, 0)) == 10 * SLOW_FACTOR
    assert lanes.plan([*hanging, "good"], 1) == {"good": AT_ONCE}


def test_receivers_that_begin_to_hang_give_their_slots_back_within_moments() -> None:
    lanes = new_lanes(limit=8)
    names = [f"lane{number}" for number in range(8)]
    for name in (*names, "good"):
        prompt(lanes, name)
    assert len(started(lanes, names, 1)) == 8
    assert lanes.plan(["good"], 1) == {}
    assert "good" in lanes.plan([*names, "good"], 1 + PATIENCE_S + 0.01)
    # And get no more until one of theirs is answered.
    assert set(lanes.plan([*names, "good"], 1 + PATIENCE_S + 0.01)) == {"good"}


def test_slots_go_round_among_lanes() -> None:
    lanes, served = new_lanes(limit=4), []
    names = [f"lane{number}" for number in range(10)]
    for name in names:
        prompt(lanes, name)
    for round_ in range(10):
        tickets = started(lanes, names, round_)
        for ticket in tickets:
            lanes.end(ticket, Signal.SUCCESS, round_)
            served.append(ticket.webhook_id)
    assert {served.count(name) for name in names} == {len(served) // len(names)}


def test_a_lane_alone_leaves_slots_for_those_that_come() -> None:
    lanes = new_lanes(limit=4)
    prompt(lanes, "busy")
    prompt(lanes, "late")
    started(lanes, ["busy"], 0)
    started(lanes, ["busy"], 0)
    assert lanes.plan(["busy", "late"], 0) == {"late": 1}


@given(st.integers(1, 50), st.integers(0, 200))
def test_everyone_gets_a_turn_before_anyone_gets_another(limit: int, count: int) -> None:
    lanes = new_lanes(limit=limit)
    names = [f"lane{number}" for number in range(count)]
    for name in names:
        prompt(lanes, name)
    plan = lanes.plan(names, 0)
    assert sum(plan.values()) <= limit
    assert len(plan) == min(limit, count)


class AnyCourse(RuleBasedStateMachine):
    """Whatever happens in whatever order, no bound is exceeded."""

    names = tuple(f"lane{number}" for number in range(12))

    @initialize(limit=st.integers(1, 6), rate=st.integers(1, 20))
    def open(self, limit: int, rate: int) -> None:
        self.limit, self.rate, self.now = limit, rate, 0.0
        self.lanes = new_lanes(limit, rate)
        self.under_way: list[Ticket] = []
        self.starts: dict[str, list[float]] = {name: [] for name in self.names}
        self.asked: dict[str, float] = {}

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.2, 1.0, 15.0, 400.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @rule(due=st.sets(st.sampled_from(names)))
    def start(self, due: set[str]) -> None:
        plan = self.lanes.plan(due, self.now)
        assert plan.keys() <= due
        for lane, room in plan.items():
            assert room > 0
            assert self.now >= self.asked.get(lane, 0.0), "it asked for time"
            for _ in range(room):
                self.under_way.append(self.lanes.start(lane, self.now))
                self.starts[lane].append(self.now)

    @rule(data=st.data(), signal=st.sampled_from(Signal), asked_s=st.sampled_from([0.0, 5.0, 90.0]))
    def end(self, data: st.DataObject, signal: Signal, asked_s: float) -> None:
        if self.under_way:
            ticket = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
            self.lanes.end(ticket, signal, self.now, asked_s)
            if signal is Signal.THROTTLED:
                until = self.now + asked_s
                self.asked[ticket.webhook_id] = max(self.asked.get(ticket.webhook_id, 0.0), until)

    @invariant()
    def bounds_hold(self) -> None:
        if not hasattr(self, "lanes"):
            return
        assert self.lanes.under_way == len(self.under_way) <= self.limit * (1 + SLOW_FACTOR)
        for name in self.names:
            assert sum(ticket.webhook_id == name for ticket in self.under_way) <= AT_ONCE
            starts = self.starts[name]
            for first in range(len(starts)):
                span = starts[-1] - starts[first]
                assert len(starts) - first <= self.rate * (1 + span) + 1e-6

    @invariant()
    def an_idle_lane_opens_sometime(self) -> None:
        if not hasattr(self, "lanes"):
            return
        for name in self.names:
            if not any(ticket.webhook_id == name for ticket in self.under_way):
                lane = self.lanes._lanes.get(name)
                assert lane is None or lane.closed_until <= self.now + MAX_S + 90


TestAnyCourse = AnyCourse.TestCase
