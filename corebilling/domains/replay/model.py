"""What a replay replays, and how fast.

running -> finished
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from corebilling.errors import InvalidArgument
from corebilling.values.subject import ANY_SUBJECT, exact_and_prefix

DEFAULT_EVENTS_PER_SECOND = 200
MAX_WAITING_RUNS = 500
"""While so many runs wait for the router, no more are put in."""

_PORTIONS_PER_SECOND = 4
# Of the years that a timestamp may lie in; the driver takes the very first and last for infinity.
_FIRST = datetime(1, 1, 2, tzinfo=UTC)
_LAST = datetime(9999, 12, 31, tzinfo=UTC)


class ReplayState(StrEnum):
    RUNNING = "running"
    FINISHED = "finished"


class Standing(StrEnum):
    """Where an event stands with a handler."""

    ON_THE_WAY = "on_the_way"
    HANDLED = "handled"
    FAILED = "failed"
    BLOCKED = "blocked"
    DEAD_LETTER = "dead_letter"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Filter:
    """As the queries take it: '' and an empty list match all."""

    ids: list[str]
    subject: str
    subject_prefix: str
    since: datetime
    until: datetime
    correlation_id: str

    @staticmethod
    def of(
        ids: Iterable[str],
        subject: str,
        since: datetime | None,
        until: datetime | None,
        correlation_id: str,
    ) -> "Filter":
        """
        Raises:
            InvalidArgument: REPLAY_FILTER_EMPTY, or REQUEST_INVALID when the times hold nothing between them.
        """
        ids = sorted(set(ids))
        if not (ids or subject or since or until or correlation_id):
            raise InvalidArgument(
                "REPLAY_FILTER_EMPTY", "Say which events: ids, a subject, times, or a correlation id."
            )
        if since and until and until <= since:
            raise InvalidArgument(
                "REQUEST_INVALID",
                "The times hold nothing between them.",
                violations=(("filter.until", "must lie after `since`"),),
            )
        exact, prefix = exact_and_prefix(subject)
        return Filter(ids, exact, prefix, since or _FIRST, until or _LAST, correlation_id)


class HandlerChoice:
    """The handlers that a replay runs: those named, or all.

    `names` has the handlers of each subject; those of '*' see every event.
    """

    def __init__(self, names: Mapping[str, Sequence[str]], chosen: Iterable[str]) -> None:
        """
        Raises:
            InvalidArgument: REPLAY_HANDLER_UNKNOWN.
        """
        self._names = names
        known = {name for several in names.values() for name in several}
        self.chosen = sorted(set(chosen))
        for name in self.chosen:
            if name not in known:
                raise InvalidArgument(
                    "REPLAY_HANDLER_UNKNOWN",
                    f"There is no handler '{name}'; a dry run without handlers lists those of the events.",
                    {"handler": name},
                )
        self.all = self.chosen or sorted(known)

    def of(self, subject: str) -> list[str]:
        """Who acts on the subject, in the order of the table."""
        both = (*self._names.get(subject, ()), *self._names.get(ANY_SUBJECT, ()))
        return [name for name in both if name in self.all]

    @property
    def subjects(self) -> list[str]:
        """The subjects that any of them acts on; none when every subject is."""
        if any(name in self.all for name in self._names.get(ANY_SUBJECT, ())):
            return []
        return sorted(subject for subject in self._names if self.of(subject))


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of some runs: places in their list, and counts of those left alone."""

    begin: list[int]
    revive: list[int]
    on_the_way: int
    retrying: int
    discarded: int


def decide_runs(standings: Sequence[Standing]) -> Decision:
    """Handled events are run again, and dead letters from the first attempt on; all else is left alone."""

    def places(wanted: Standing) -> list[int]:
        return [place for place, standing in enumerate(standings) if standing is wanted]

    return Decision(
        begin=places(Standing.HANDLED),
        revive=places(Standing.DEAD_LETTER),
        on_the_way=len(places(Standing.ON_THE_WAY)),
        retrying=len(places(Standing.FAILED)) + len(places(Standing.BLOCKED)),
        discarded=len(places(Standing.DISCARDED)),
    )


def portion_events(events_per_second: int) -> int:
    """How many events are put in at once."""
    return max(1, events_per_second // _PORTIONS_PER_SECOND)


def next_portion_at(now: datetime, events: int, events_per_second: int) -> datetime:
    """When the next ones may be, after so many."""
    return now + timedelta(seconds=events / events_per_second)
