"""Events that the bus refused, each for a fault of its own.

They hold up nobody: the cursor passes them by, and the platform's handlers get them all the same, because
their router reads from the log what the bus did not bring. The bus is tried again for whoever else listens.

    refused ──> failed ──> (taken by the bus)
                  └──────> dead_letter
"""

from collections.abc import Collection, Sequence
from typing import TypedDict

import structlog
from billing_db import inbox as inbox_sql
from billing_db import outbox as outbox_sql
from billing_db.models import OutboxFailure

from corebilling.bus.delivery import Delivery, Position, size_bytes
from corebilling.bus.port import Bus, EventRefused
from corebilling.db.pool import Database
from corebilling.events import metrics
from corebilling.events.backoff import backoff
from corebilling.values.clock import Clock

log = structlog.get_logger(__name__)

_RETRIED_AT_ONCE = 100


class Refusals:
    """Publishes past refused events, keeps them, and tries them again."""

    def __init__(self, database: Database, bus: Bus, clock: Clock, max_attempts: int) -> None:
        self._database = database
        self._bus = bus
        self._clock = clock
        self._max_attempts = max_attempts

    async def publish(self, deliveries: Sequence[Delivery]) -> int:
        """Hands over what the bus takes, and keeps a record of the rest; returns how many it took.

        Raises BusUnavailable.
        """
        limit = self._bus.max_event_bytes
        for delivery in deliveries:
            if size_bytes(delivery.row) > limit:
                await self._record(delivery, f"larger than the bus takes ({limit} bytes)", for_good=True)
        taken = [delivery for delivery in deliveries if size_bytes(delivery.row) <= limit]
        while taken:
            try:
                await self._bus.publish(taken)
            except EventRefused as refusal:
                await self._record(refusal.delivery, str(refusal), for_good=False)
                taken = [delivery for delivery in taken if delivery is not refusal.delivery]
            else:
                break
        metrics.DISPATCHED["dispatched"].inc(len(taken))
        return len(taken)

    async def retry_due(self, shards: Collection[int]) -> int:
        """Offers the bus again what has waited long enough; returns how many events that was.

        Raises BusUnavailable.
        """
        async with self._database.connection() as connection:
            due = await outbox_sql.list_due_outbox_failures(
                connection, now=self._clock.now(), shards=list(shards), limit_rows=_RETRIED_AT_ONCE
            )
        for failure in due:
            await self._retry(failure)
        return len(due)

    async def _retry(self, failure: OutboxFailure) -> None:
        async with self._database.connection() as connection:
            row = await inbox_sql.find_event_at(
                connection, shard=failure.shard, epoch=failure.epoch, xid=failure.xid, seq=failure.seq
            )
        if row is None:
            await self._count(failure, "the event is gone from the log", for_good=True)
            return
        # It follows itself: a router that has not come so far refills up to it, and then knows it.
        delivery = Delivery(row, Position(row.epoch, row.xid, row.seq))
        limit = self._bus.max_event_bytes
        if size_bytes(row) > limit:
            await self._count(failure, f"larger than the bus takes ({limit} bytes)", for_good=True)
            return
        try:
            await self._bus.publish([delivery])
        except EventRefused as refusal:
            await self._count(failure, str(refusal), for_good=False)
            return
        metrics.DISPATCHED["dispatched"].inc()
        async with self._database.connection() as connection:
            await outbox_sql.delete_outbox_failure(connection, **_key(failure))

    async def _record(self, delivery: Delivery, why: str, *, for_good: bool) -> None:
        row = delivery.row
        state = self._state(1, row.tenant_id, row.id, why, for_good=for_good)
        now = self._clock.now()
        async with self._database.connection() as connection:
            await outbox_sql.insert_outbox_failure(
                connection,
                tenant_id=row.tenant_id,
                shard=row.shard,
                epoch=row.epoch,
                xid=row.xid,
                seq=row.seq,
                event_id=row.id,
                state=state,
                error=why,
                next_attempt_at=now + backoff(1),
                created_at=now,
            )

    async def _count(self, failure: OutboxFailure, why: str, *, for_good: bool) -> None:
        attempts = failure.attempts + 1
        state = self._state(attempts, failure.tenant_id, failure.event_id, why, for_good=for_good)
        async with self._database.connection() as connection:
            await outbox_sql.mark_outbox_failure(
                connection,
                **_key(failure),
                state=state,
                attempts=attempts,
                error=why,
                next_attempt_at=self._clock.now() + backoff(attempts),
            )

    def _state(self, attempts: int, tenant_id: str, event_id: str, why: str, *, for_good: bool) -> str:
        state = "dead_letter" if for_good or attempts >= self._max_attempts else "failed"
        metrics.DISPATCHED[state].inc()
        log.error(f"dispatcher.{state}", event_id=event_id, tenant_id=tenant_id, error=why, attempts=attempts)
        return state


class _Key(TypedDict):
    tenant_id: str
    shard: int
    epoch: int
    xid: int
    seq: int


def _key(failure: OutboxFailure) -> _Key:
    return _Key(
        tenant_id=failure.tenant_id,
        shard=failure.shard,
        epoch=failure.epoch,
        xid=failure.xid,
        seq=failure.seq,
    )
