"""One handler, one event, and the transaction that they meet in."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from billing.event.v1 import event_pb2 as eventv1

from corebilling.bus.delivery import Delivery
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.telemetry.traces import event_span, replay_span, running_traceparent
from corebilling.values.caller import Caller
from corebilling.values.ids import PLATFORM_TENANT

ANY_SUBJECT = "*"

Handle = Callable[[Transaction, eventv1.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A reaction to events. `name` is what its watermark is kept under: never rename it."""

    name: str
    handle: Handle


@asynccontextmanager
async def handling(database: Database, deliveries: Sequence[Delivery]) -> AsyncIterator[Transaction]:
    """The transaction of a batch of one shard: it holds the shard, and every ordering key in it, before it
    writes."""
    pairs = {shard_lock(deliveries[0].shard)} | {
        (delivery.row.tenant_id, delivery.row.ordering_key) for delivery in deliveries
    }
    async with database.transaction(worker_caller(PLATFORM_TENANT)) as tx:
        await tx.lock_all(pairs)
        yield tx


async def run_handler(
    tx: Transaction, handler: Handler, event: eventv1.Event, *, replayed: bool = False
) -> None:
    """Runs the handler for the event's tenant.

    A replayed event may have been handled before: of its follow-ups those that the log has are not written
    once more, and the run is a trace of its own.
    """
    stored = event.metadata.traceparent
    described = {"event.id": event.id, "event.subject": event.subject, "tenant.id": event.tenant_id}
    span = replay_span if replayed else event_span
    with span(handler.name, stored, described):
        caller = replace(
            worker_caller(event.tenant_id),
            actor=f"handler:{handler.name}",
            correlation_id=event.metadata.correlation_id,
            traceparent=running_traceparent() or stored,
        )
        await tx.act_for(caller, event.id)
        tx.repeats = replayed
        await handler.handle(tx, event)


def worker_caller(tenant_id: str) -> Caller:
    return Caller(tenant_id=tenant_id, actor="router", role="worker", permissions=frozenset())


def shard_lock(shard: int) -> tuple[str, str]:
    """Held while a shard's watermarks are read and moved: one router at a time."""
    return PLATFORM_TENANT, f"router:{shard}"
