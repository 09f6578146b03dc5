"""Appends events to the transaction that made them true."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, cast

from billing.event.v1 import event_pb2 as eventv1
from billing_db import outbox as outbox_sql
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from corebilling.db.transaction import SEVERAL_CAUSES, Transaction
from corebilling.events.envelope import follow_up_id, pack, shard_of, subject_of, type_name
from corebilling.mapping import timestamp
from corebilling.values.ids import new_id


def append(
    tx: Transaction,
    payload: Message,
    *,
    resource_id: str,
    resource_version: int,
    ordering_key: str,
    subject: str = "",
    tenant_id: str = "",
    cause: eventv1.Event | None = None,
) -> eventv1.Event:
    """Adds an event to the transaction; it is written right before the commit, or not at all.

    Args:
        payload: The subject's own message; its option names the subject.
        resource_id: The aggregate that changed.
        resource_version: Its version now; strictly increasing per resource.
        ordering_key: Events of one key are delivered in order. The transaction holds its lock.
        subject: Of custom events, whose message has none of its own.
        tenant_id: Whose event it is, when not the transaction's tenant's (a tenant being created).
        cause: The event that led to this one, where a handler takes several together.

    In a handler the event's id derives from its cause, so that handling it again appends the same event; a
    replay leaves out what the log has.
    """
    assert cause or tx.causation_id != SEVERAL_CAUSES, "say which of the events led to this one"
    subject = subject or subject_of(cast("Descriptor", payload.DESCRIPTOR))
    actor, causation_id = tx.caller.actor, cause.id if cause else tx.causation_id
    event = eventv1.Event(
        id=_event_id(actor, causation_id, subject, resource_id, resource_version),
        subject=subject,
        tenant_id=tenant_id or tx.tenant_id,
        resource_id=resource_id,
        payload=pack(payload),
        metadata=eventv1.EventMetadata(
            correlation_id=cause.metadata.correlation_id if cause else tx.correlation_id,
            causation_id=causation_id,
            actor=actor,
            traceparent=cause.metadata.traceparent if cause else tx.caller.traceparent,
            ordering_key=ordering_key,
            resource_version=resource_version,
        ),
        created_at=_created_at(tx.now),
    )
    tx.events.append(event)
    return event


def _event_id(actor: str, causation_id: str, subject: str, resource_id: str, version: int) -> str:
    return follow_up_id(actor, causation_id, subject, resource_id, version) if causation_id else new_id("evt")


# A transaction's events have one time; each takes a copy of it.
_created_at = lru_cache(maxsize=1)(timestamp)


def take(tx: Transaction) -> dict[str, Any]:
    """The transaction's events as columns, for a statement that writes them among other things.

    None when some are another tenant's: `flush` writes them all then.
    """
    events = [] if any(event.tenant_id != tx.tenant_id for event in tx.events) else tx.events
    tx.written_events = len(events)
    return _columns(tx.tenant_id, events)


async def flush(tx: Transaction) -> None:
    """Writes the transaction's events, one statement per tenant: as a rule there is one."""
    by_tenant: dict[str, list[eventv1.Event]] = {}
    for event in tx.events[tx.written_events :]:
        by_tenant.setdefault(event.tenant_id, []).append(event)
    for tenant_id, events in by_tenant.items():
        await tx.switch_tenant(tenant_id)
        await _insert(tx, tenant_id, events)


async def _insert(tx: Transaction, tenant_id: str, events: Sequence[eventv1.Event]) -> None:
    insert = outbox_sql.insert_new_events if tx.repeats else outbox_sql.insert_events
    await insert(tx, tenant_id=tenant_id, created_at=tx.now, **_columns(tenant_id, events))


def _columns(tenant_id: str, events: Sequence[eventv1.Event]) -> dict[str, Any]:
    metadata = [event.metadata for event in events]
    return {
        "shards": [shard_of(tenant_id, data.ordering_key) for data in metadata],
        "ids": [event.id for event in events],
        "subjects": [event.subject for event in events],
        "resource_ids": [event.resource_id for event in events],
        "resource_versions": [data.resource_version for data in metadata],
        "ordering_keys": [data.ordering_key for data in metadata],
        "payload_types": [type_name(event) for event in events],
        "payloads": [event.payload.value for event in events],
        "correlation_ids": [data.correlation_id for data in metadata],
        "causation_ids": [data.causation_id for data in metadata],
        "actors": [data.actor for data in metadata],
        "traceparents": [data.traceparent for data in metadata],
    }


def shards_of(tx: Transaction) -> list[int]:
    """The shard of each of the transaction's events: who wakes the dispatcher names them."""
    return [shard_of(event.tenant_id, event.metadata.ordering_key) for event in tx.events]
