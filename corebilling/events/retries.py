"""Works on the exceptions below the watermarks: events that a handler failed on, and those being replayed.

Both are rows that fall due, and are run from the log. What failed comes first in each round, and each has its
own share of it: a replay does not keep it waiting, nor the other way round.
"""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum, auto

import structlog
from billing_db import inbox as inbox_sql
from billing_db.models import EventHandlerFailure

from corebilling.bus.delivery import START, Delivery, Position
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.events import metrics
from corebilling.events.handling import Handler, handling, run_handler
from corebilling.events.inbox import IdempotencyTracker
from corebilling.events.transient import is_transient
from corebilling.values.clock import Clock

log = structlog.get_logger(__name__)

Refill = Callable[[int, Position], Awaitable[None]]
"""Takes a shard's events from the log until every handler has come to the position."""


class _Standing(Enum):
    DUE = auto()
    # Another router worked on it since it was listed.
    CHANGED = auto()
    # An earlier event of its key comes first.
    PRECEDED = auto()
    # The handler has not come to its position yet.
    AHEAD = auto()


class Retries:
    """`limit` is how many failures, and how many replays, one round takes at most."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        handlers: Mapping[str, Handler],
        inbox: IdempotencyTracker,
        refill: Refill,
        limit: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._handlers = handlers
        self._inbox = inbox
        self._refill = refill
        self._limit = limit

    async def run_once(self) -> int:
        """Tries what is due; returns how many events it worked on."""
        handlers, now = tuple(self._handlers), self._clock.now()
        async with self._database.connection() as connection:
            failures = await inbox_sql.list_due_handler_failures(
                connection, handlers=handlers, now=now, limit_rows=self._limit
            )
            replays = await inbox_sql.list_due_replays(
                connection, handlers=handlers, now=now, limit_rows=self._limit
            )
        return sum([await self._retry(due) for due in (*failures, *replays)])

    async def _retry(self, failure: EventHandlerFailure) -> bool:
        """False when nothing could be done about it now."""
        handler = self._handlers[failure.handler]
        delivery = await self._find(failure)
        if delivery is None:
            log.error("router.failed_event_is_gone", handler=handler.name, event_id=failure.event_id)
            return False
        try:
            standing = await self._try(handler, delivery, failure)
            if standing is _Standing.AHEAD:
                await self._refill(delivery.shard, delivery.position)
                standing = await self._try(handler, delivery, failure)
        except Exception as error:  # A handler's fault, whatever it is: it is tried again later.
            if is_transient(error):
                return False
            await self._fail_again(handler, delivery, failure, error)
            return True
        return standing is not _Standing.PRECEDED

    async def _try(self, handler: Handler, delivery: Delivery, failure: EventHandlerFailure) -> _Standing:
        async with handling(self._database, [delivery]) as tx:
            standing = await _standing(tx, failure)
            if standing is _Standing.DUE:
                await run_handler(tx, handler, delivery.event, replayed=bool(failure.replay_id))
                await self._inbox.settle(tx, failure)
            return standing

    async def _fail_again(
        self, handler: Handler, delivery: Delivery, failure: EventHandlerFailure, error: Exception
    ) -> None:
        metrics.handler_failed(handler.name)
        async with handling(self._database, [delivery]) as tx:
            if await _standing(tx, failure) is not _Standing.DUE:
                return
            if await self._inbox.fail_again(tx, failure, error):
                log.error(
                    "router.dead_letter", handler=handler.name, event_id=failure.event_id, exc_info=error
                )

    async def _find(self, failure: EventHandlerFailure) -> Delivery | None:
        async with self._database.connection() as connection:
            row = await inbox_sql.find_event_at(
                connection, shard=failure.shard, epoch=failure.epoch, xid=failure.xid, seq=failure.seq
            )
        return None if row is None else Delivery(row, START)


async def _standing(tx: Transaction, failure: EventHandlerFailure) -> _Standing:
    """The shard's lock keeps it so until the transaction ends."""
    found = await inbox_sql.find_due_failure(
        tx,
        tenant_id=failure.tenant_id,
        handler=failure.handler,
        shard=failure.shard,
        epoch=failure.epoch,
        xid=failure.xid,
        seq=failure.seq,
    )
    if found is None or (found.state, found.attempts) != (failure.state, failure.attempts):
        return _Standing.CHANGED
    if found.preceded:
        return _Standing.PRECEDED
    return _Standing.DUE if found.reached else _Standing.AHEAD
