"""Reads the event log in order and hands it to the bus.

Several dispatchers share the shards by lease. A cursor per shard is all that is written; it is fenced by the
lease's epoch, so that a dispatcher which lost its lease moves nothing. Dying between handing over and moving
the cursor repeats deliveries, which the router recognizes; it never skips one.
"""

import asyncio
import contextlib
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

import structlog
from billing_db import outbox as outbox_sql
from billing_db.models import BillingEvent

from corebilling.bus.delivery import Delivery, Position, chain
from corebilling.bus.port import Bus, BusUnavailable
from corebilling.db.pool import Database
from corebilling.errors import BillingError
from corebilling.events import metrics
from corebilling.events.envelope import SHARDS
from corebilling.values.clock import Clock
from corebilling.values.ids import new_id

log = structlog.get_logger(__name__)

ROLE = "dispatcher"

_LOOK_AGAIN_S = 0.002
_OBSERVE_S = 5.0
_MAX_VAIN_LOOKS = 10

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


@dataclass(slots=True)
class _Shard:
    """A shard held under lease: `cursor` is as far as the bus has taken it."""

    number: int
    lease_epoch: int
    cursor: Position
    paused_until: datetime | None = None
    pauses: int = 0


@dataclass(slots=True)
class _Wakes:
    """Shards that were just written to, and the bell that says so."""

    shards: set[int] = field(default_factory=set)
    bell: asyncio.Event = field(default_factory=asyncio.Event)


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
        self._bus = bus
        self._clock = clock
        self._policy = policy
        self._id = worker_id or new_id("wrk")
        self._held: dict[int, _Shard] = {}
        self._lease_until: datetime | None = None
        self._log_epoch = 0
        self._wakes = _Wakes()
        self._vain_looks = 0

    def wake(self, shards: Iterable[int]) -> None:
        """These shards have new events: look there now instead of at the next poll."""
        self._wakes.shards.update(shards)
        self._wakes.bell.set()

    async def run(self) -> None:
        """Dispatches until canceled, then gives its shards back."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_leases(), name="dispatcher leases")
                tasks.create_task(self._dispatch_forever(), name="dispatcher")
                tasks.create_task(self._observe(), name="dispatcher backlog")
        finally:
            with contextlib.suppress(BillingError):
                await asyncio.shield(self._give_back())

    async def run_once(self) -> int:
        """One round over all shards it can get; returns how many events it handed over."""
        await self._renew()
        return await self._round(list(self._held.values()))

    async def _observe(self) -> None:
        """Keeps the backlog's metrics up to date."""
        while True:
            with contextlib.suppress(BillingError):  # Whoever dispatches says that the database is gone.
                async with self._database.connection() as connection:
                    backlog = await outbox_sql.get_backlog(connection, now=self._clock.now())
                metrics.BACKLOG.set(backlog.events)
                metrics.BACKLOG_AGE.set(backlog.oldest_s)
            await asyncio.sleep(_OBSERVE_S)

    async def _keep_leases(self) -> None:
        while True:
            try:
                await self._renew()
            except BillingError as error:  # The lease runs out if this lasts; others take over.
                log.warning("dispatcher.lease_not_renewed", reason=error.reason)
            await asyncio.sleep(self._policy.lease_s / 3)

    async def _dispatch_forever(self) -> None:
        while True:
            woken = await self._wait()
            try:
                await self._dispatch(woken)
            except BillingError as error:
                metrics.DISPATCHER_ERRORS.inc()
                log.warning("dispatcher.database_unavailable", reason=error.reason)
                await asyncio.sleep(self._jitter(self._policy.pause_base_s))

    async def _wait(self) -> set[int]:
        """The shards that woke it; empty when the poll interval passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._jitter(self._policy.poll_s)):
                await self._wakes.bell.wait()
        woken, self._wakes.shards = self._wakes.shards, set()
        self._wakes.bell.clear()
        return woken

    async def _dispatch(self, woken: set[int]) -> None:
        """Rounds until nothing is left: over the woken shards only, which is cheap, else over all."""
        shards = (
            [self._held[number] for number in woken if number in self._held]
            if woken
            else list(self._held.values())
        )
        found = 0
        while events := await self._round(shards):
            found += events
        if found:
            self._vain_looks = 0
        elif woken:
            self._look_again(woken)

    def _look_again(self, shards: set[int]) -> None:
        """A woken shard shows nothing while an older transaction still runs: it will end any moment now."""
        self._vain_looks += 1
        if self._vain_looks <= _MAX_VAIN_LOOKS:
            asyncio.get_running_loop().call_later(_LOOK_AGAIN_S, self.wake, shards)
        else:
            self._vain_looks = 0  # A longer one; the poll finds the events when it has ended.

    async def _round(self, shards: Sequence[_Shard]) -> int:
        now = self._clock.now()
        if self._lease_until is None or now >= self._lease_until:
            return 0
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
                shard = by_number[number]
                taken = await self._publish(shard, batch)
                last = batch[-1]
                return (shard, Position(last.epoch, last.xid, last.seq), len(batch)) if taken else None

        batches = [(number, list(batch)) for number, batch in groupby(rows, key=lambda row: row.shard)]
        return [result for result in await asyncio.gather(*(publish(*batch) for batch in batches)) if result]

    async def _publish(self, shard: _Shard, batch: list[BillingEvent]) -> bool:
        """False when the bus cannot take anything now: the shard pauses, longer each time."""
        deliveries = chain(shard.cursor, batch)
        if too_large := [d for d in deliveries if d.size_bytes > self._bus.max_event_bytes]:
            await self._bury(too_large)
            deliveries = [d for d in deliveries if d.size_bytes <= self._bus.max_event_bytes]
        try:
            with metrics.DISPATCH_DURATION.time():
                await self._bus.publish(deliveries)
        except BusUnavailable as error:
            shard.pauses += 1
            pause_s = min(self._policy.pause_base_s * 2 ** (shard.pauses - 1), self._policy.pause_max_s)
            shard.paused_until = self._clock.now() + timedelta(seconds=self._jitter(pause_s))
            metrics.DISPATCHER_ERRORS.inc()
            metrics.DISPATCHED["failed"].inc(len(deliveries))
            log.warning("dispatcher.bus_unavailable", shard=shard.number, error=str(error), pause_s=pause_s)
            return False
        shard.pauses, shard.paused_until = 0, None
        metrics.DISPATCHED["dispatched"].inc(len(deliveries))
        return True

    async def _bury(self, deliveries: Sequence[Delivery]) -> None:
        """Makes dead letters of what the bus would never take; the router passes them by from then on."""
        metrics.DISPATCHED["dead_letter"].inc(len(deliveries))
        error = f"larger than the bus takes ({self._bus.max_event_bytes} bytes)"
        async with self._database.connection() as connection:
            for delivery in deliveries:
                log.error("dispatcher.dead_letter", event_id=delivery.row.id, error=error)
                await outbox_sql.insert_outbox_failure(
                    connection,
                    tenant_id=delivery.row.tenant_id,
                    shard=delivery.shard,
                    **delivery.position._asdict(),
                    event_id=delivery.row.id,
                    error=error,
                    created_at=self._clock.now(),
                )

    async def _move_cursors(self, moved: Sequence[tuple[_Shard, Position, int]]) -> int:
        if not moved:
            return 0
        async with self._database.connection() as connection:
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
            else:
                log.warning("dispatcher.lease_lost", shard=shard.number)
                self._held.pop(shard.number, None)
        metrics.DISPATCH_COUNT.inc(events)
        return events

    async def _renew(self) -> None:
        """Says it is alive, keeps its share of the shards, takes free ones and gives back the surplus."""
        now = self._clock.now()
        lease_until = now + timedelta(seconds=self._policy.lease_s)
        async with self._database.connection() as connection:
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
