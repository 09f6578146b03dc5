"""Reads the event log in order and hands it to the bus.

Several dispatchers share the shards by lease. A cursor per shard is all that is written; it is fenced by the
lease's epoch, so that a dispatcher which lost its lease moves nothing. Dying between handing over and moving
the cursor repeats deliveries, which the router recognizes; it never skips one.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

import structlog
from billing_db import outbox as outbox_sql
from billing_db.models import BillingEvent

from corebilling.bus.delivery import Position, chain
from corebilling.bus.port import Bus, BusUnavailable
from corebilling.db.pool import Database
from corebilling.errors import BillingError
from corebilling.events import metrics
from corebilling.events.envelope import SHARDS
from corebilling.events.refusals import Refusals
from corebilling.events.transient import RETRY_LATER
from corebilling.events.wakes import Wakes
from corebilling.telemetry.traces import batch_span
from corebilling.values.clock import Clock
from corebilling.values.ids import new_id

log = structlog.get_logger(__name__)

ROLE = "dispatcher"

_OBSERVE_S = 5.0
_MAX_COUNTED_PER_SHARD = 10_000

CONNECTION_SETTINGS = {"enable_seqscan": "off", "enable_bitmapscan": "off"}
"""For its pool: a plan made while the log was empty must not scan it once it has grown."""


@dataclass(frozen=True, slots=True)
class DispatcherPolicy:
    """Times in seconds, sizes in events."""

    quota_events: int = 500
    poll_s: float = 0.05
    lease_s: float = 5.0
    pause_base_s: float = 1.0
    pause_max_s: float = 30.0
    concurrent_shards: int = 4
    retry_s: float = 1.0
    max_attempts: int = 10


@dataclass(slots=True)
class _Shard:
    """A shard held under lease: `cursor` is as far as the bus has taken it."""

    number: int
    lease_epoch: int
    cursor: Position
    paused_until: datetime | None = None
    pauses: int = 0


class Dispatcher:
    """Dispatches the shards it can lease.

    Args:
        database: The worker role's, opened with CONNECTION_SETTINGS.
        worker_id: Given when no other process can have it, as in an embedded installation: a restart then
            goes on with the leases of the process that died, instead of waiting for them to run out.
    """

    def __init__(
        self, database: Database, bus: Bus, clock: Clock, policy: DispatcherPolicy, worker_id: str = ""
    ) -> None:
        self._database = database
        self._refusals = Refusals(database, bus, clock, policy.max_attempts)
        self._clock = clock
        self._policy = policy
        self._id = worker_id or new_id("wrk")
        self._held: dict[int, _Shard] = {}
        # A renewal passes by rows that are locked, and gives them up: no cursor of ours may move meanwhile.
        self._own_rows = asyncio.Lock()
        self._lease_until: datetime | None = None
        self._log_epoch = 0
        self._wakes: Wakes[int] = Wakes()
        self._poll_at = 0.0
        self._horizon = 0
        self._horizon_since = clock.now()

    def wake(self, shards: Iterable[int]) -> None:
        """These shards have new events, one entry for each: look there now instead of at the next poll."""
        self._wakes.expect(shards)

    async def run(self) -> None:
        """Dispatches until canceled, then gives its shards back."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_leases(), name="dispatcher leases")
                tasks.create_task(self._dispatch_forever(), name="dispatcher")
                tasks.create_task(self._retry_forever(), name="dispatcher retries")
                tasks.create_task(self._observe(), name="dispatcher backlog")
        finally:
            with contextlib.suppress(BillingError):
                await asyncio.shield(self._give_back())

    async def run_once(self) -> int:
        """One round over all shards it can get; returns how many events it handed over."""
        await self._renew()
        return await self._round(list(self._held.values()))

    async def retry_due(self) -> int:
        """Offers the bus again what it refused; returns how many events that was."""
        if not self._is_leased():
            return 0
        return await self._refusals.retry_due(self._held)

    async def _retry_forever(self) -> None:
        while True:
            await asyncio.sleep(self._jitter(self._policy.retry_s))
            try:
                await self.retry_due()
            except BusUnavailable as error:
                log.info("dispatcher.retry_put_off", error=str(error))
            except BillingError as error:
                if error.code not in RETRY_LATER:
                    raise
                log.warning("dispatcher.retry_put_off", error=error.reason)

    async def _observe(self) -> None:
        """Keeps the backlog's metrics up to date."""
        while True:
            with contextlib.suppress(BillingError):  # Whoever dispatches says that the database is gone.
                await self.observe()
            await asyncio.sleep(_OBSERVE_S)

    async def observe(self) -> None:
        """Measures the backlog, and for how long one transaction has held the log back."""
        now = self._clock.now()
        async with self._database.connection() as connection:
            backlog = await outbox_sql.get_backlog(
                connection, now=now, limit_per_shard=_MAX_COUNTED_PER_SHARD
            )
            horizon = await outbox_sql.get_horizon(connection)
        metrics.BACKLOG.set(backlog.events)
        metrics.BACKLOG_AGE.set(backlog.oldest_s)
        if horizon.oldest == horizon.next or horizon.oldest != self._horizon:
            self._horizon, self._horizon_since = horizon.oldest, now
        metrics.HORIZON_AGE.set((now - self._horizon_since).total_seconds())

    async def _keep_leases(self) -> None:
        while True:
            try:
                await self._renew()
            except BillingError as error:  # The lease runs out if this lasts; others take over.
                if error.code not in RETRY_LATER:
                    raise
                log.warning("dispatcher.lease_not_renewed", reason=error.reason)
            await asyncio.sleep(self._policy.lease_s / 3)

    async def _dispatch_forever(self) -> None:
        while True:
            numbers = await self._next_shards()
            try:
                await self._dispatch(numbers)
            except BillingError as error:
                if error.code not in RETRY_LATER:
                    raise
                metrics.DISPATCHER_ERRORS.inc()
                log.warning("dispatcher.database_unavailable", reason=error.reason)
                await asyncio.sleep(self._jitter(self._policy.pause_base_s))

    async def _next_shards(self) -> set[int]:
        """The shards to look at now: those that were woken, or all when it is time for a poll.

        The poll is never put off: events of other processes wake nobody here.
        """
        loop = asyncio.get_running_loop()
        await self._wakes.wait(self._poll_at)
        woken = self._wakes.take()
        if loop.time() < self._poll_at:
            return woken
        self._poll_at = loop.time() + self._jitter(self._policy.poll_s)
        return set(self._held)

    async def _dispatch(self, numbers: set[int]) -> None:
        """One round over these shards. Who has more to come gets another, after all that was woken since."""
        await self._round([self._held[number] for number in numbers if number in self._held])
        self._wakes.look_again(numbers)

    async def _round(self, shards: Sequence[_Shard]) -> int:
        if not self._is_leased():
            return 0
        now = self._clock.now()
        ready = [shard for shard in shards if shard.paused_until is None or shard.paused_until <= now]
        if not ready:
            return 0
        rows = await self._read(ready)
        if not rows:
            return 0
        metrics.DISPATCHER_INFLIGHT.set(len(rows))
        moved = await self._hand_over(ready, rows)
        metrics.DISPATCHER_INFLIGHT.set(0)
        return await self._move_cursors(moved)

    def _is_leased(self) -> bool:
        return self._lease_until is not None and self._clock.now() < self._lease_until

    async def _read(self, shards: Sequence[_Shard]) -> Sequence[BillingEvent]:
        async with self._database.connection() as connection:
            return await outbox_sql.list_pending_events(
                connection,
                shards=[shard.number for shard in shards],
                epochs=[shard.cursor.epoch for shard in shards],
                xids=[shard.cursor.xid for shard in shards],
                seqs=[shard.cursor.seq for shard in shards],
                log_epoch=self._log_epoch,
                quota=self._policy.quota_events,
            )

    async def _hand_over(
        self, shards: Sequence[_Shard], rows: Sequence[BillingEvent]
    ) -> list[tuple[_Shard, Position, int]]:
        """Publishes each shard's rows; returns the shards that got on, how far, and by how many events."""
        by_number = {shard.number: shard for shard in shards}
        limit = asyncio.Semaphore(self._policy.concurrent_shards)

        async def publish(number: int, batch: list[BillingEvent]) -> tuple[_Shard, Position, int] | None:
            async with limit:
                if not self._is_leased():
                    return None
                shard = by_number[number]
                taken = await self._publish(shard, batch)
                last = batch[-1]
                return (shard, Position(last.epoch, last.xid, last.seq), len(batch)) if taken else None

        batches = [(number, list(batch)) for number, batch in groupby(rows, key=lambda row: row.shard)]
        # All have ended before an error goes on: none may still be at it when its shard is read again.
        results = await asyncio.gather(*(publish(*batch) for batch in batches), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if isinstance(result, tuple)]

    async def _publish(self, shard: _Shard, batch: list[BillingEvent]) -> bool:
        """False when the bus cannot take anything now: the shard pauses, longer each time."""
        try:
            traceparents = (row.traceparent for row in batch)
            size = {"shard": shard.number, "events": len(batch)}
            with metrics.DISPATCH_DURATION.time(), batch_span("dispatch", traceparents, size):
                await self._refusals.publish(chain(shard.cursor, batch))
        except BusUnavailable as error:
            shard.pauses += 1
            pause_s = min(self._policy.pause_base_s * 2 ** (shard.pauses - 1), self._policy.pause_max_s)
            shard.paused_until = self._clock.now() + timedelta(seconds=self._jitter(pause_s))
            metrics.DISPATCHER_ERRORS.inc()
            metrics.DISPATCHED["failed"].inc(len(batch))
            log.warning("dispatcher.bus_unavailable", shard=shard.number, error=str(error), pause_s=pause_s)
            return False
        shard.pauses, shard.paused_until = 0, None
        return True

    async def _move_cursors(self, moved: Sequence[tuple[_Shard, Position, int]]) -> int:
        if not moved:
            return 0
        async with self._own_rows, self._database.connection() as connection:
            kept = await outbox_sql.mark_shards_dispatched(
                connection,
                owner=self._id,
                shards=[shard.number for shard, _, _ in moved],
                lease_epochs=[shard.lease_epoch for shard, _, _ in moved],
                epochs=[position.epoch for _, position, _ in moved],
                xids=[position.xid for _, position, _ in moved],
                seqs=[position.seq for _, position, _ in moved],
            )
        events = 0
        for shard, position, count in moved:
            if shard.number in kept:
                shard.cursor = position
                events += count
                self._wakes.seen(shard.number, count)
                if count >= self._policy.quota_events:
                    self._wakes.look_at([shard.number])
            else:
                log.warning("dispatcher.lease_lost", shard=shard.number)
                if self._held.get(shard.number) is shard:  # and not the same shard under a newer lease
                    del self._held[shard.number]
        metrics.DISPATCH_COUNT.inc(events)
        return events

    async def _renew(self) -> None:
        """Says it is alive, keeps its share of the shards, takes free ones and gives back the surplus."""
        now = self._clock.now()
        lease_until = now + timedelta(seconds=self._policy.lease_s)
        async with self._own_rows, self._database.connection() as connection:
            self._log_epoch = self._log_epoch or await outbox_sql.get_log_epoch(connection)
            alive = await outbox_sql.upsert_worker(
                connection, role=ROLE, id=self._id, alive_until=lease_until, now=now
            )
            share = -(-SHARDS // alive)
            rows = await outbox_sql.claim_shards(
                connection, owner=self._id, now=now, lease_until=lease_until, share=share
            )
            if len(self._held) > len(rows):
                await outbox_sql.release_shards(connection, owner=self._id, keep=[row.shard for row in rows])
        self._held = {row.shard: self._adopt(row) for row in rows}
        self._lease_until = lease_until

    def _adopt(self, row: outbox_sql.ClaimShardsRow) -> _Shard:
        """The shard as it is known, or, under a lease epoch new to us, from where its cursor stands."""
        known = self._held.get(row.shard)
        if known is not None and known.lease_epoch == row.lease_epoch:
            return known
        return _Shard(row.shard, row.lease_epoch, Position(row.epoch, row.xid, row.seq))

    async def _give_back(self) -> None:
        self._held = {}
        async with self._database.connection() as connection:
            await outbox_sql.release_shards(connection, owner=self._id, keep=[])
            await outbox_sql.delete_worker(connection, role=ROLE, id=self._id, now=self._clock.now())

    def _jitter(self, seconds: float) -> float:
        return seconds * random.uniform(0.8, 1.2)
