"""Runs the handlers of each event, exactly once in effect.

A batch of one shard is one transaction: the locks of all its ordering keys first, then the inbox check, the
handlers in order, their follow-ups, the watermarks. If a handler fails, the batch is rolled back and halved
until the culprit stands alone; then each of its handlers gets a transaction, and who fails is parked.

Every one of these transactions looks at the watermarks for itself, since another router may have been here:
what is done is not done again, and nothing before a gap is passed over.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import groupby
from operator import attrgetter

import structlog
from billing_db import inbox as inbox_sql

from corebilling.bus.delivery import START, Delivery, Position, chain
from corebilling.bus.port import BusUnavailable
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.errors import BillingError
from corebilling.events import metrics
from corebilling.events.handling import (
    Handler,
    handling,
    run_handler_on_all,
    shard_lock,
    worker_caller,
)
from corebilling.events.inbox import IdempotencyTracker
from corebilling.events.retries import Retries
from corebilling.events.transient import RETRY_LATER, is_transient
from corebilling.values.clock import Clock
from corebilling.values.ids import PLATFORM_TENANT
from corebilling.values.subject import ANY_SUBJECT

log = structlog.get_logger(__name__)


class _Gap(Exception):
    """Something before these deliveries is missing."""


@dataclass(frozen=True, slots=True)
class RouterPolicy:
    """Times in seconds, sizes in events."""

    refill_events: int = 500
    sweep_s: float = 5.0
    retry_s: float = 0.5
    retry_events: int = 100
    max_attempts: int = 10
    forget_s: float = 60.0
    batch_retention_days: int = 7


class Router:
    """`table` maps each subject to its handlers; ANY_SUBJECT handlers see every event."""

    def __init__(
        self, database: Database, clock: Clock, table: Mapping[str, Sequence[Handler]], policy: RouterPolicy
    ) -> None:
        self._database = database
        self._clock = clock
        self._table = table
        self._policy = policy
        self._handlers = {handler.name: handler for handlers in table.values() for handler in handlers}
        self._inbox = IdempotencyTracker(tuple(self._handlers), policy.max_attempts)
        self._retries = Retries(
            database, clock, self._handlers, self._inbox, self._refill, policy.retry_events
        )
        self._lagging: dict[int, Position] = {}

    async def register(self) -> None:
        """Makes the handlers known; call it once before the first delivery."""
        async with self._database.connection() as connection:
            await self._inbox.register(connection)

    async def run(self) -> None:
        """Retries what failed, and refills what a bus lost, until canceled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._repeat(self._retry_all_due, self._policy.retry_s), name="router retries")
            tasks.create_task(self._repeat(self.sweep, self._policy.sweep_s), name="router sweep")
            tasks.create_task(self._repeat(self.forget, self._policy.forget_s), name="router forgetting")

    async def consume(self, deliveries: Sequence[Delivery]) -> None:
        """Handles deliveries of one shard, whatever the bus did to them. Returns when their effects are
        committed.

        Raises:
            BusUnavailable: the database cannot do it now; deliver again later.
        """
        try:
            with metrics.HANDLE_DURATION.time():
                for unbroken in _unbroken(deliveries):
                    await self._consume(unbroken)
        except BillingError as error:
            if is_transient(error):
                raise BusUnavailable(f"handlers cannot work: {error.reason}") from error
            raise

    async def retry_due(self) -> int:
        """Tries again what has waited long enough, and what is replayed; returns how many it worked on."""
        return await self._retries.run_once()

    async def sweep(self) -> int:
        """Refills every shard that stands still behind a dispatcher's cursor since the last look: what it
        waits for was lost on the way. Returns how many shards were."""
        async with self._database.connection() as connection:
            rows = await inbox_sql.list_lagging_shards(connection, handlers=tuple(self._handlers))
        lagging = {row.shard: Position(row.done_epoch, row.done_xid, row.done_seq) for row in rows}
        still = [row for row in rows if self._lagging.get(row.shard) == lagging[row.shard]]
        for row in still:
            log.info("router.refills", shard=row.shard)
            await self._refill(row.shard, Position(row.epoch, row.xid, row.seq))
        self._lagging = lagging
        return len(still)

    async def forget(self) -> int:
        """Deletes what was noted of batches long ago, in small steps; returns how many notes."""
        before = self._clock.now() - timedelta(days=self._policy.batch_retention_days)
        forgotten = 0
        while True:
            async with self._database.connection() as connection:
                step = await self._inbox.forget(connection, before)
            if not step:
                return forgotten
            forgotten += step

    async def _consume(self, deliveries: Sequence[Delivery]) -> None:
        try:
            await self._handle(deliveries)
        except _Gap:
            await self._refill(deliveries[0].shard, deliveries[0].predecessor)
            await self._handle(deliveries)

    async def _handle(self, deliveries: Sequence[Delivery]) -> None:
        """In one transaction; in smaller ones when a handler fails.

        Raises:
            _Gap: something before these deliveries is missing.
        """
        try:
            async with handling(self._database, deliveries) as tx:
                await self._handle_all(tx, deliveries)
        except _Gap:
            raise
        except Exception as error:  # A handler's fault, whatever it is: found and parked.
            if is_transient(error):
                raise
            log.info("router.batch_failed", events=len(deliveries), error=repr(error))
        else:
            return
        if len(deliveries) == 1:
            await self._handle_by_handler(deliveries[0])
            return
        middle = len(deliveries) // 2
        await self._handle(deliveries[:middle])
        await self._handle(deliveries[middle:])

    async def _handle_all(self, tx: Transaction, deliveries: Sequence[Delivery]) -> None:
        marks, parked = await self._marks(tx, deliveries[0], self._handlers)
        # Tenant by tenant, in the same order everywhere: handlers keep row locks that are a tenant's (its
        # invoice counter), and two batches must not wait for each other's. Order within a tenant stays.
        by_tenant = sorted(deliveries, key=_tenant)
        for _, of_tenant in groupby(by_tenant, key=_tenant):
            due: dict[str, list[Delivery]] = defaultdict(list)
            for delivery in of_tenant:
                for handler in self._handlers_of(delivery.row.subject):
                    if delivery.position > marks[handler.name]:
                        due[handler.name].append(delivery)
            for name, of_handler in due.items():
                await self._handle_or_queue(tx, self._handlers[name], of_handler, parked)
        await self._inbox.note_handled(tx, list(marks), deliveries[0], deliveries[-1])

    async def _handle_by_handler(self, delivery: Delivery) -> None:
        """Each handler in a transaction of its own; who fails is parked, and the others get on."""
        for handler in self._handlers_of(delivery.row.subject):
            try:
                async with handling(self._database, [delivery]) as tx:
                    await self._handle_single(tx, handler, delivery)
            except _Gap:
                raise
            except Exception as error:
                if is_transient(error):
                    raise
                await self._park(handler, delivery, error)
        async with handling(self._database, [delivery]) as tx:
            marks, _ = await self._marks(tx, delivery, self._handlers)
            await self._inbox.advance(tx, list(marks), delivery.shard, delivery.position)

    async def _handle_single(self, tx: Transaction, handler: Handler, delivery: Delivery) -> None:
        marks, parked = await self._marks(tx, delivery, [handler.name])
        if delivery.position > marks[handler.name]:
            await self._handle_or_queue(tx, handler, [delivery], parked)
            await self._inbox.note_handled(tx, [handler.name], delivery, delivery, alone=handler.name)

    async def _handle_or_queue(
        self,
        tx: Transaction,
        handler: Handler,
        deliveries: Sequence[Delivery],
        parked: Mapping[tuple[str, str, str], Position],
    ) -> None:
        """Of one tenant. Those whose key waits for a failure wait behind it."""
        free = []
        for delivery in deliveries:
            first = parked.get((handler.name, delivery.row.tenant_id, delivery.row.ordering_key))
            if first is not None and delivery.position >= first:
                await self._inbox.park_blocked(tx, handler.name, delivery)
            else:
                free.append(delivery.event)
        if free:
            await run_handler_on_all(tx, handler, free)

    async def _marks(
        self, tx: Transaction, first: Delivery, handlers: Iterable[str]
    ) -> tuple[dict[str, Position], dict[tuple[str, str, str], Position]]:
        """How far these handlers are, and who waits behind a failure. Raises _Gap if one is not yet there."""
        marks, parked = await self._inbox.watermarks(tx, first.shard)
        marks = {name: marks[name] for name in handlers}
        if any(mark < first.predecessor for mark in marks.values()):
            raise _Gap
        return marks, parked

    async def _park(self, handler: Handler, delivery: Delivery, error: Exception) -> None:
        metrics.handler_failed(handler.name)
        log.warning(
            "router.handler_failed",
            handler=handler.name,
            event_id=delivery.row.id,
            tenant_id=delivery.row.tenant_id,
            exc_info=error,
        )
        async with handling(self._database, [delivery]) as tx:
            marks, _ = await self._marks(tx, delivery, [handler.name])
            if delivery.position > marks[handler.name]:
                await self._inbox.park_failed(tx, handler.name, delivery, error)
                await self._inbox.advance(tx, [handler.name], delivery.shard, delivery.position)

    async def _refill(self, shard: int, up_to: Position) -> None:
        """Takes from the log what did not come over the bus, until every handler has come `up_to`."""
        while True:
            async with self._database.connection() as connection:
                marks = await inbox_sql.list_watermarks(
                    connection, shard=shard, handlers=tuple(self._handlers)
                )
                low = min(Position(mark.epoch, mark.xid, mark.seq) for mark in marks)
                rows = await inbox_sql.list_events_between(
                    connection,
                    shard=shard,
                    after_epoch=low.epoch,
                    after_xid=low.xid,
                    after_seq=low.seq,
                    to_epoch=up_to.epoch,
                    to_xid=up_to.xid,
                    to_seq=up_to.seq,
                    limit_rows=self._policy.refill_events,
                )
            if not rows:
                await self._pass(shard, up_to)
                return
            await self._handle(chain(low, rows))

    async def _pass(self, shard: int, up_to: Position) -> None:
        """Moves every watermark past a stretch that holds nothing for the handlers."""
        async with self._database.transaction(worker_caller(PLATFORM_TENANT)) as tx:
            await tx.lock_all({shard_lock(shard)})
            await self._inbox.advance(tx, list(self._handlers), shard, up_to)

    def _handlers_of(self, subject: str) -> Iterator[Handler]:
        yield from self._table.get(subject, ())
        yield from self._table.get(ANY_SUBJECT, ())

    async def _retry_all_due(self) -> int:
        """Rests only when nothing is due: a replay puts in more while the last is worked on."""
        taken = 0
        while more := await self.retry_due():
            taken += more
        return taken

    async def _repeat(self, work: Callable[[], Awaitable[int]], interval_s: float) -> None:
        while True:
            try:
                await work()
            except BillingError as error:
                if error.code not in RETRY_LATER:
                    raise
                log.warning("router.database_unavailable", reason=error.reason)
            await asyncio.sleep(interval_s)


def _tenant(delivery: Delivery) -> str:
    return delivery.row.tenant_id


def _unbroken(deliveries: Iterable[Delivery]) -> Iterator[list[Delivery]]:
    """The deliveries in the order of the log and each once, divided where one between them is missing."""
    stretch: list[Delivery] = []
    last = START
    for delivery in sorted(deliveries, key=attrgetter("position")):
        position = delivery.position
        if stretch and position == last:
            continue
        if stretch and delivery.predecessor > last:
            yield stretch
            stretch = []
        stretch.append(delivery)
        last = position
    if stretch:
        yield stretch
