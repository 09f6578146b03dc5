"""How far events have come: at the bus, at each handler, at each of the tenant's endpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import cast

from billing.event.v1 import event_pb2 as eventv1
from billing.event.v1 import event_service_pb2 as rpc
from billing_db import event as event_sql
from billing_db.event import ListEventBatchesRow, ListHandlerFailuresRow
from billing_db.models import BillingEvent

from corebilling.bus.delivery import Position
from corebilling.db.transaction import Transaction
from corebilling.mapping import enum_number, timestamp, to_message
from corebilling.values.subject import ANY_SUBJECT

HandlerNames = Mapping[str, Sequence[str]]
"""The handlers of each subject; those of ANY_SUBJECT see every event."""

_EACH = ""


@dataclass(slots=True)
class Outcomes:
    """What has become of one event."""

    state: eventv1.EventState
    failures: list[rpc.HandlerFailure] = field(default_factory=list)
    handlers: list[rpc.HandlerOutcome] = field(default_factory=list)
    webhooks: list[rpc.WebhookOutcome] = field(default_factory=list)


async def find_outcomes(
    tx: Transaction, rows: Sequence[BillingEvent], names: HandlerNames
) -> Mapping[str, Outcomes]:
    """By event id. `rows` holds each event once, at the delivery that is asked about."""
    ids = [row.id for row in rows]
    failures = await event_sql.list_handler_failures(tx, tenant_id=tx.tenant_id, ids=ids)
    marks = await _watermarks(tx, rows, names)
    batches = {
        (batch.event_id, batch.handler): batch
        for batch in await event_sql.list_event_batches(tx, tenant_id=tx.tenant_id, ids=ids)
    }
    found = {
        row.id: Outcomes(_event_state(row.state))
        for row in await event_sql.list_event_states(tx, tenant_id=tx.tenant_id, ids=ids)
    }
    failed: dict[str, dict[str, ListHandlerFailuresRow]] = {}
    for failure in failures:
        failed.setdefault(failure.event_id, {})[failure.handler] = failure
    for row in rows:
        own = failed.get(row.id, {})
        outcome = found[row.id]
        outcome.failures = [_failure(failure) for failure in own.values() if _has_failed(failure)]
        for name in dict.fromkeys([*names.get(row.subject, ()), *names.get(ANY_SUBJECT, ()), *own]):
            batch = batches.get((row.id, name)) or batches.get((row.id, _EACH))
            outcome.handlers.append(_outcome(name, row, own.get(name), marks.get((name, row.shard)), batch))
    for delivery in await event_sql.list_webhook_outcomes(tx, tenant_id=tx.tenant_id, ids=ids):
        found[delivery.event_id].webhooks.append(to_message(delivery, rpc.WebhookOutcome))
    return found


async def _watermarks(
    tx: Transaction, rows: Sequence[BillingEvent], names: HandlerNames
) -> Mapping[tuple[str, int], Position]:
    marks = await event_sql.list_watermarks_of_shards(
        tx,
        shards=sorted({row.shard for row in rows}),
        handlers=[name for handlers in names.values() for name in handlers],
    )
    return {(mark.handler, mark.shard): Position(mark.epoch, mark.xid, mark.seq) for mark in marks}


def _outcome(
    name: str,
    row: BillingEvent,
    failure: ListHandlerFailuresRow | None,
    mark: Position | None,
    batch: ListEventBatchesRow | None,
) -> rpc.HandlerOutcome:
    if failure is not None and _is_replaying(failure):
        return to_message(failure, rpc.HandlerOutcome, state=rpc.HANDLER_STATE_REPLAYING)
    if failure is not None:
        return to_message(failure, rpc.HandlerOutcome, state=enum_number(rpc.HandlerState, failure.state))
    if mark is None or mark < Position(row.epoch, row.xid, row.seq):
        return rpc.HandlerOutcome(handler=name, state=rpc.HANDLER_STATE_WAITING)
    outcome = rpc.HandlerOutcome(handler=name, state=rpc.HANDLER_STATE_HANDLED)
    if batch is not None:
        duration = timedelta(microseconds=batch.duration_us)
        outcome.handled_at.CopyFrom(timestamp(batch.started_at + duration))
        outcome.duration.FromTimedelta(duration)
        outcome.worker = batch.worker
    return outcome


def _is_replaying(row: ListHandlerFailuresRow) -> bool:
    return bool(row.replay_id) and row.state == "failed"


def _has_failed(row: ListHandlerFailuresRow) -> bool:
    """Not if a replay has only asked for a run, and not if it was given up for good."""
    return row.state != "discarded" and not (_is_replaying(row) and row.attempts == 0)


def _failure(row: ListHandlerFailuresRow) -> rpc.HandlerFailure:
    state = "failed" if row.state == "blocked" else row.state
    return to_message(row, rpc.HandlerFailure, state=_event_state(state))


def _event_state(state: str) -> eventv1.EventState:
    return cast("eventv1.EventState", enum_number(eventv1.EventState, state))
