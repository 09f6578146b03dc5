"""Who may send now: one lane per endpoint, so that none stands in another's way. Pure: no I/O, no clock.

A lane is closed while its receiver asked for time, or while its breaker is open:

closed circuit -> open          so many failures in a row
open -> half open               the wait, which doubles from time to time, is over: one attempt may probe
half open -> open               the probe failed
open, half open -> closed       an attempt succeeded

Attempts share two pools of slots. Lanes whose receiver answered promptly when last asked use the first. All
others (new ones, slow ones, those that did not answer) use the second, and an attempt of the first pool that
takes longer than it should moves there. So whoever hangs holds slots that prompt receivers never need.
"""

import math
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto

AT_ONCE = 4
"""Attempts of one lane under way at once, once its receiver answers."""

PATIENCE_S = 0.25
"""Who answers within it is prompt."""

SLOW_FACTOR = 4
"""Slots of the second pool for each of the first: they mostly wait, which costs little."""

BREAKER_FAILURES = 5
"""Failures in a row that open a lane's breaker."""

MAX_LANES = 20_000
"""Lanes that are remembered; of more, idle healthy ones are forgotten."""

_ROUNDING = 1e-9
# Part of each pool that is kept for lanes with nothing under way: one slot of so many.
_RESERVE = 4


class Signal(Enum):
    """What an attempt said about its receiver."""

    SUCCESS = auto()
    FAILURE = auto()
    """It answered, but not well."""
    SILENCE = auto()
    """No answer came."""
    THROTTLED = auto()
    """It asked for time."""
    NOTHING = auto()
    """It was not even asked."""


@dataclass(eq=False, slots=True)
class Ticket:
    """An attempt under way."""

    webhook_id: str
    started_at: float
    prompt: bool


@dataclass(slots=True)
class _Lane:
    tokens: float
    refilled_at: float
    rate: float
    answers: bool = False
    prompt: bool = False
    in_flight: int = 0
    failures: int = 0
    openings: int = 0
    throttlings: int = 0
    open_until: float = 0.0
    throttled_until: float = 0.0
    held_until: float = 0.0
    turn: int = 0

    @property
    def closed_until(self) -> float:
        return max(self.open_until, self.throttled_until, self.held_until)

    @property
    def at_once(self) -> int:
        probing = not self.answers or self.failures >= BREAKER_FAILURES or self.throttlings
        return 1 if probing else AT_ONCE

    def refill(self, now: float) -> None:
        grown = self.tokens + max(0.0, now - self.refilled_at) * self.rate
        self.tokens, self.refilled_at = min(grown, max(1.0, self.rate)), now

    def room(self, now: float, urgent: bool = False) -> int:
        """What is urgent goes out, alone, although the receiver failed or asked for time."""
        if now < self.closed_until:
            return 1 if urgent and now >= self.held_until and not self.in_flight else 0
        self.refill(now)
        return max(0, min(self.at_once - self.in_flight, int(self.tokens + _ROUNDING)))

    def is_idle(self, now: float) -> bool:
        return not self.in_flight and now >= self.closed_until and self.tokens >= max(1.0, self.rate)

    def opens_in_s(self, now: float) -> float:
        """Infinite when an answer, not time, would make room."""
        if self.in_flight >= self.at_once:
            return math.inf
        wait_s = max(self.closed_until - now, (1.0 - self.tokens) / self.rate)
        return wait_s if wait_s > _ROUNDING else math.inf


@dataclass(slots=True)
class _Pool:
    slots: int
    tickets: dict[Ticket, None] = field(default_factory=dict)

    @property
    def free(self) -> int:
        return max(0, self.slots - len(self.tickets))


class Lanes:
    """Times are seconds of any clock that the caller always passes.

    Args:
        limit: Slots of the first pool.
        rate: Attempts per second of an endpoint that sets none; as many may start at once after a pause.
        base_delay_s, max_delay_s: How long a lane stays closed first, and at most.
    """

    def __init__(self, *, limit: int, rate: float, base_delay_s: float, max_delay_s: float) -> None:
        self._rate = rate
        self._base_delay_s = base_delay_s
        self._max_delay_s = max_delay_s
        self._lanes: dict[str, _Lane] = {}
        self._prompt = _Pool(limit)
        self._slow = _Pool(limit * SLOW_FACTOR)
        self._turn = 0
        # Lanes that may have no room.
        self._watched: set[str] = set()

    @property
    def under_way(self) -> int:
        return len(self._prompt.tickets) + len(self._slow.tickets)

    @property
    def is_busy(self) -> bool:
        """Slots will be free within moments."""
        return bool(self._prompt.tickets)

    def open_breakers(self, now: float) -> int:
        return sum(now < lane.open_until for lane in self._lanes.values())

    def closed(self, now: float) -> list[str]:
        """Lanes that have no room now, whatever is due."""
        closed, idle = [], []
        for webhook_id in self._watched:
            lane = self._lanes[webhook_id]
            if not lane.room(now):
                closed.append(webhook_id)
            elif lane.is_idle(now):
                idle.append(webhook_id)
        self._watched.difference_update(idle)
        return closed

    def opens_in_s(self, now: float) -> float:
        """How soon a lane that is closed, or used up its rate, has room again; infinite when none is."""
        return min(
            (self._lanes[webhook_id].opens_in_s(now) for webhook_id in self._watched), default=math.inf
        )

    def plan(self, due: Iterable[str], now: float, urgent: Container[str] = ()) -> Mapping[str, int]:
        """How many attempts each of the lanes with something due may start now; `urgent` are some of them.

        Who waited longest for a turn comes first, and everyone gets one before anyone gets a second.
        """
        self._move_slow_ones(now)
        by_turn = sorted(((self._lane(webhook_id, now), webhook_id) for webhook_id in due), key=_turn)
        free = {True: self._prompt.free, False: self._slow.free}
        reserve = {True: self._prompt.slots // _RESERVE, False: self._slow.slots // _RESERVE}
        rooms: dict[str, int] = {}
        wanting: list[tuple[_Lane, str, int]] = []
        for lane, webhook_id in by_turn:
            room = lane.room(now, webhook_id in urgent)
            spare = free[lane.prompt] - (reserve[lane.prompt] if lane.in_flight else 0)
            if room and spare > 0:
                rooms[webhook_id] = 1
                free[lane.prompt] -= 1
                wanting.append((lane, webhook_id, room - 1))
        for lane, webhook_id, wanted in wanting:
            more = max(0, min(wanted, free[lane.prompt] - reserve[lane.prompt]))
            rooms[webhook_id] += more
            free[lane.prompt] -= more
        return rooms

    def set_rate(self, webhook_id: str, rate: float, now: float) -> None:
        """What the endpoint asks for; 0 for the default."""
        lane, rate = self._lane(webhook_id, now), rate or self._rate
        if lane.rate == rate:
            return
        lane.refill(now)
        lane.rate = rate
        lane.tokens = min(lane.tokens, max(1.0, lane.rate))

    def start(self, webhook_id: str, now: float) -> Ticket:
        lane = self._lane(webhook_id, now)
        self._turn += 1
        lane.turn = self._turn
        lane.in_flight += 1
        self._watched.add(webhook_id)
        lane.refill(now)
        lane.tokens -= 1
        ticket = Ticket(webhook_id, now, lane.prompt)
        self._pool(ticket).tickets[ticket] = None
        return ticket

    def end(self, ticket: Ticket, signal: Signal, now: float, asked_s: float = 0.0) -> None:
        """`asked_s`: for how long the receiver wants to be left alone."""
        del self._pool(ticket).tickets[ticket]
        lane = self._lanes[ticket.webhook_id]
        lane.in_flight -= 1
        if signal is Signal.NOTHING:
            return
        lane.answers = signal is not Signal.SILENCE
        lane.prompt = lane.answers and now - ticket.started_at <= PATIENCE_S
        if signal is Signal.SUCCESS:
            lane.failures = lane.openings = lane.throttlings = 0
            lane.open_until = 0.0
        elif signal is Signal.THROTTLED:
            self._throttle(lane, now, asked_s)
        else:
            self._count_failure(lane, now)

    def hold(self, webhook_id: str, until: float, now: float) -> None:
        """Leaves a lane alone for a reason of its endpoint, however urgent it is."""
        lane = self._lane(webhook_id, now)
        lane.held_until = max(lane.held_until, until)
        self._watched.add(webhook_id)

    def _throttle(self, lane: _Lane, now: float, asked_s: float) -> None:
        # Those that were under way together are told together: once.
        if now >= lane.throttled_until:
            lane.throttlings += 1
        lane.throttled_until = max(lane.throttled_until, now + max(asked_s, self._delay_s(lane.throttlings)))

    def _count_failure(self, lane: _Lane, now: float) -> None:
        lane.failures += 1
        if lane.failures >= BREAKER_FAILURES and now >= lane.open_until:
            lane.openings += 1
            lane.open_until = now + self._delay_s(lane.openings)

    def _delay_s(self, times: int) -> float:
        return min(self._base_delay_s * 2.0 ** min(times - 1, 64), self._max_delay_s)

    def _move_slow_ones(self, now: float) -> None:
        """From the first pool, in the order in which they started, as far as the second has slots."""
        while self._slow.free:
            ticket = next(iter(self._prompt.tickets), None)
            if ticket is None or now - ticket.started_at <= PATIENCE_S:
                return
            del self._prompt.tickets[ticket]
            ticket.prompt = False
            self._slow.tickets[ticket] = None
            lane = self._lanes[ticket.webhook_id]
            # No more of the same until one is answered.
            lane.prompt = lane.answers = False

    def _pool(self, ticket: Ticket) -> _Pool:
        return self._prompt if ticket.prompt else self._slow

    def _lane(self, webhook_id: str, now: float) -> _Lane:
        lane = self._lanes.get(webhook_id)
        if lane is None:
            if len(self._lanes) >= MAX_LANES:
                self._forget_healthy_ones(now)
            lane = self._lanes[webhook_id] = _Lane(max(1.0, self._rate), now, self._rate)
        return lane

    def _forget_healthy_ones(self, now: float) -> None:
        for webhook_id, lane in list(self._lanes.items()):
            if not lane.in_flight and not lane.failures and now >= lane.closed_until:
                del self._lanes[webhook_id]
                self._watched.discard(webhook_id)


def _turn(entry: tuple[_Lane, str]) -> int:
    return entry[0].turn
