"""What each handler has done: watermarks, and the exceptions below them.

A watermark per (handler, shard) is moved in the transaction of the effects. A delivery at or below it is a
duplicate. An event that a handler failed on is parked in a table of its own; later events of its ordering key
queue up behind it, for that handler alone, and everything else goes on.

    (new) ──> done
      │
      └──> failed ──> done | dead_letter
             │ later events of the key
             └──> blocked ──> failed (its turn, no attempt spent)

A replay makes failed ones, with no attempt spent, of events that are done or dead letters; nothing queues up
behind those.
"""

from datetime import datetime
from typing import TypedDict

from billing_db import inbox as inbox_sql
from billing_db.connection import Connection
from billing_db.models import EventHandlerFailure

from corebilling.bus.delivery import Delivery, Position
from corebilling.db.transaction import Transaction
from corebilling.events.backoff import backoff
from corebilling.values.ids import new_id

_MAX_ERROR_CHARACTERS = 500
_FORGET_ROWS_PER_SHARD = 100


class IdempotencyTracker:
    """The durable inbox of one set of handlers."""

    def __init__(self, handlers: tuple[str, ...], max_attempts: int) -> None:
        self._handlers = handlers
        self._max_attempts = max_attempts
        self._worker = new_id("wrk")

    async def register(self, connection: Connection) -> None:
        """Gives new handlers their watermarks: they begin at the cursors."""
        await inbox_sql.insert_watermarks(connection, handlers=self._handlers)

    async def watermarks(
        self, tx: Transaction, shard: int
    ) -> tuple[dict[str, Position], dict[tuple[str, str, str], Position]]:
        """How far each handler has come, and from where on a (handler, tenant, ordering key) waits behind a
        failure."""
        rows = await inbox_sql.list_watermarks(tx, shard=shard, handlers=self._handlers)
        parked = {}
        if any(row.parked for row in rows):
            keys = await inbox_sql.list_parked_keys(tx, shard=shard)
            parked = {
                (key.handler, key.tenant_id, key.ordering_key): Position(key.epoch, key.xid, key.seq)
                for key in keys
            }
        return {row.handler: Position(row.epoch, row.xid, row.seq) for row in rows}, parked

    async def advance(self, tx: Transaction, handlers: list[str], shard: int, to: Position) -> None:
        await inbox_sql.mark_watermarks(
            tx, shard=shard, handlers=handlers, epoch=to.epoch, xid=to.xid, seq=to.seq
        )

    async def note_handled(
        self, tx: Transaction, handlers: list[str], first: Delivery, last: Delivery, *, alone: str = ""
    ) -> None:
        """Advances past a batch that was handled in this transaction, and notes when.

        `alone` is the handler that did it when they are tried one by one.
        """
        after, to = first.predecessor, last.position
        await inbox_sql.mark_batch_handled(
            tx,
            shard=first.shard,
            handlers=handlers,
            epoch=to.epoch,
            xid=to.xid,
            seq=to.seq,
            handler=alone,
            after_epoch=after.epoch,
            after_xid=after.xid,
            after_seq=after.seq,
            started_at=tx.now,
            worker=self._worker,
        )

    async def forget(self, connection: Connection, before: datetime) -> int:
        """Deletes the first notes of each shard that are older; returns how many."""
        return await inbox_sql.delete_old_batches(
            connection, limit_per_shard=_FORGET_ROWS_PER_SHARD, before=before
        )

    async def park_blocked(self, tx: Transaction, handler: str, delivery: Delivery) -> None:
        """Queues the event behind the failed one of its key."""
        await self._park(tx, handler, delivery, state="blocked", attempts=0, error="", next_attempt_at=tx.now)

    async def park_failed(self, tx: Transaction, handler: str, delivery: Delivery, error: Exception) -> None:
        """Keeps the event for another try."""
        await self._park(
            tx,
            handler,
            delivery,
            state="failed",
            attempts=1,
            error=describe(error),
            next_attempt_at=tx.now + backoff(1),
        )

    async def settle(self, tx: Transaction, failure: EventHandlerFailure) -> None:
        """The event is done: its key goes on."""
        await inbox_sql.delete_handler_failure(tx, **_key(failure))
        if not failure.handled:
            await inbox_sql.upsert_retried_batch(
                tx,
                shard=failure.shard,
                epoch=failure.epoch,
                xid=failure.xid,
                seq=failure.seq,
                handler=failure.handler,
                started_at=tx.now,
                worker=self._worker,
            )
        await self._unblock_next(tx, failure)

    async def fail_again(self, tx: Transaction, failure: EventHandlerFailure, error: Exception) -> bool:
        """Counts the attempt; True when it was the last: the event is a dead letter, its key goes on."""
        attempts = failure.attempts + 1
        dead = attempts >= self._max_attempts
        await inbox_sql.mark_handler_failure(
            tx,
            **_key(failure),
            state="dead_letter" if dead else "failed",
            attempts=attempts,
            error=describe(error),
            next_attempt_at=tx.now + backoff(attempts),
        )
        if dead:
            await self._unblock_next(tx, failure)
        return dead

    async def _unblock_next(self, tx: Transaction, failure: EventHandlerFailure) -> None:
        if failure.replay_id:
            return  # Nothing waits for it, but its key may wait for another that failed.
        await inbox_sql.mark_next_unblocked(
            tx,
            tenant_id=failure.tenant_id,
            handler=failure.handler,
            shard=failure.shard,
            ordering_key=failure.ordering_key,
            now=tx.now,
        )

    async def _park(
        self,
        tx: Transaction,
        handler: str,
        delivery: Delivery,
        *,
        state: str,
        attempts: int,
        error: str,
        next_attempt_at: datetime,
    ) -> None:
        await inbox_sql.insert_handler_failure(
            tx,
            tenant_id=delivery.row.tenant_id,
            handler=handler,
            shard=delivery.shard,
            **delivery.position._asdict(),
            event_id=delivery.row.id,
            ordering_key=delivery.row.ordering_key,
            state=state,
            attempts=attempts,
            error=error,
            next_attempt_at=next_attempt_at,
            created_at=tx.now,
        )


def describe(error: Exception) -> str:
    """The error as an operator sees it: its kind and its sentence, and what caused it, shortened."""
    cause = error.__cause__
    because = f" ({type(cause).__name__}: {cause})" if cause is not None else ""
    return f"{type(error).__name__}: {error}{because}"[:_MAX_ERROR_CHARACTERS]


class _Key(TypedDict):
    tenant_id: str
    handler: str
    shard: int
    epoch: int
    xid: int
    seq: int


def _key(failure: EventHandlerFailure) -> _Key:
    return _Key(
        tenant_id=failure.tenant_id,
        handler=failure.handler,
        shard=failure.shard,
        epoch=failure.epoch,
        xid=failure.xid,
        seq=failure.seq,
    )
