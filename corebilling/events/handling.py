"""One handler, one event, and the transaction that they meet in."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from billing.event.v1 import event_pb2 as eventv1

from corebilling.bus.delivery import Delivery
from corebilling.db.pool import Database
from corebilling.db.transaction import SEVERAL_CAUSES, Transaction
from corebilling.telemetry.traces import event_span, events_span, replay_span, running_traceparent
from corebilling.values.caller import Caller
from corebilling.values.ids import PLATFORM_TENANT

Handle = Callable[[Transaction, eventv1.Event], Awaitable[None]]
HandleAll = Callable[[Transaction, Sequence[eventv1.Event]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Handler:
    """A reaction to events. `name` is what its watermark is kept under: never rename it.

    `handle_all` does the same for events of one tenant together, in their order: a few statements for all of
    them. What it appends names its `cause`.
    """

    name: str
    handle: Handle
    handle_all: HandleAll | None = None


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
        caller = _handler_caller(
            handler, event.tenant_id, event.metadata.correlation_id, running_traceparent() or stored
        )
        await tx.act_for(caller, event.id)
        tx.repeats = replayed
        await handler.handle(tx, event)


async def run_handler_on_all(tx: Transaction, handler: Handler, events: Sequence[eventv1.Event]) -> None:
    """Runs the handler on events of one tenant, together if it can."""
    if handler.handle_all is None or len(events) == 1:
        for event in events:
            await run_handler(tx, handler, event)
        return
    tenant_id = events[0].tenant_id
    stored = (event.metadata.traceparent for event in events)
    with events_span(handler.name, stored, {"events.count": len(events), "tenant.id": tenant_id}):
        await tx.act_for(_handler_caller(handler, tenant_id), SEVERAL_CAUSES)
        tx.repeats = False
        await handler.handle_all(tx, events)


def worker_caller(tenant_id: str) -> Caller:
    return Caller(tenant_id=tenant_id, actor="router", role="worker", permissions=frozenset())


def _handler_caller(
    handler: Handler, tenant_id: str, correlation_id: str = "", traceparent: str = ""
) -> Caller:
    return Caller(
        tenant_id=tenant_id,
        actor=f"handler:{handler.name}",
        role="worker",
        permissions=frozenset(),
        correlation_id=correlation_id,
        traceparent=traceparent,
    )


def shard_lock(shard: int) -> tuple[str, str]:
    """Held while a shard's watermarks are read and moved: one router at a time."""
    return PLATFORM_TENANT, f"router:{shard}"
