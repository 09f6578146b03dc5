"""Which events of the log a replay is about: counted, and taken portion by portion in the order of the log.

The log is looked through a stretch at a time, so that no statement takes longer the longer the log is; ids
and correlation ids narrow it by index first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from billing.replay.v1 import replay_pb2 as pb
from billing.replay.v1 import replay_service_pb2 as rpc
from billing_db import event as event_sql
from billing_db import replay as replay_sql
from billing_db.replay import GetStretchOfCorrelationRow, GetStretchOfEventsRow, ListMatchingEventsRow

from corebilling.bus.delivery import START, Position
from corebilling.db.transaction import Transaction
from corebilling.domains.replay.model import Filter, HandlerChoice
from corebilling.mapping import instant

STRETCH_EVENTS = 5000
"""Events of the tenant's log that one statement looks through."""

_STRETCHES_PER_STEP = 10


@dataclass(frozen=True, slots=True)
class Count:
    """What matches between `start` and `at`: so far was looked. `to` is the end."""

    start: Position
    at: Position
    to: Position
    plans: Mapping[str, pb.ReplayPlan] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return self.at >= self.to

    @property
    def matched(self) -> int:
        return sum(plan.events for plan in self.plans.values())


class Selection:
    """The events that a request's filter wants, as far as its handlers act on them.

    `names` has the handlers of each subject; those of '*' see every event.
    """

    def __init__(self, request: rpc.ReplayRequest, names: Mapping[str, Sequence[str]]) -> None:
        """
        Raises:
            InvalidArgument: REPLAY_FILTER_EMPTY, REPLAY_HANDLER_UNKNOWN, or REQUEST_INVALID.
        """
        wanted = request.filter
        self._filter = Filter.of(
            wanted.event_ids,
            wanted.subject,
            instant(wanted.since) if wanted.HasField("since") else None,
            instant(wanted.until) if wanted.HasField("until") else None,
            wanted.correlation_id,
        )
        self.handlers = HandlerChoice(names, request.handlers)

    async def begin(self, tx: Transaction) -> Count:
        """Where there is something to count: at most up to the present end of the log."""
        log_end = await event_sql.get_log_end(tx)
        to = Position.behind(log_end.epoch, log_end.xid)
        end = {"end_epoch": to.epoch, "end_xid": to.xid, "end_seq": to.seq}
        found: GetStretchOfEventsRow | GetStretchOfCorrelationRow
        if self._filter.ids:
            found = await replay_sql.get_stretch_of_events(
                tx, tenant_id=tx.tenant_id, ids=self._filter.ids, **end
            )
        elif self._filter.correlation_id:
            found = await replay_sql.get_stretch_of_correlation(
                tx, tenant_id=tx.tenant_id, correlation_id=self._filter.correlation_id, **end
            )
        else:
            return Count(START, START, to)
        if not found.found:
            return Count(to, to, to)
        before = Position(found.from_epoch, found.from_xid, found.from_seq - 1)
        return Count(before, before, Position(found.to_epoch, found.to_xid, found.to_seq))

    async def count_on(self, tx: Transaction, count: Count) -> Count:
        """Counts one stretch further."""
        end = await _stretch_end(tx, count.at, count.to)
        rows = await replay_sql.count_matching_events(
            tx,
            tenant_id=tx.tenant_id,
            handlers=self.handlers.all,
            **_stretch(count.at, end),
            **self._matching(),
        )
        plans = dict(count.plans)
        for row in rows:
            before = plans.get(row.subject, pb.ReplayPlan())
            plans[row.subject] = pb.ReplayPlan(
                subject=row.subject,
                events=before.events + row.events,
                on_the_way=before.on_the_way + row.on_the_way,
                dead_letters=before.dead_letters + row.dead_letters,
                handlers=self.handlers.of(row.subject),
            )
        return replace(count, at=end, plans=plans)

    async def take(
        self, tx: Transaction, at: Position, to: Position, limit: int
    ) -> tuple[Sequence[ListMatchingEventsRow], Position]:
        """The next events after `at`, and how far was looked; maybe none yet, where few match."""
        for _ in range(_STRETCHES_PER_STEP):
            end = await _stretch_end(tx, at, to)
            found = await replay_sql.list_matching_events(
                tx, tenant_id=tx.tenant_id, limit_rows=limit, **_stretch(at, end), **self._matching()
            )
            if len(found) == limit:
                return found, Position(found[-1].epoch, found[-1].xid, found[-1].seq)
            at = end
            if found or at >= to:
                return found, at
        return [], at

    def _matching(self) -> dict[str, Any]:
        return {
            "ids": self._filter.ids,
            "subject": self._filter.subject,
            "subject_prefix": self._filter.subject_prefix,
            "subjects": self.handlers.subjects,
            "correlation_id": self._filter.correlation_id,
            "since": self._filter.since,
            "until": self._filter.until,
        }


async def _stretch_end(tx: Transaction, after: Position, to: Position) -> Position:
    """So far one statement looks."""
    found = await replay_sql.find_stretch_end(
        tx, tenant_id=tx.tenant_id, events=STRETCH_EVENTS, **_stretch(after, to)
    )
    return Position(found.epoch, found.xid, found.seq) if found else to


def _stretch(after: Position, to: Position) -> dict[str, Any]:
    return {
        "after_epoch": after.epoch,
        "after_xid": after.xid,
        "after_seq": after.seq,
        "to_epoch": to.epoch,
        "to_xid": to.xid,
        "to_seq": to.seq,
    }
