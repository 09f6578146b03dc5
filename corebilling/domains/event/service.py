"""Use cases of the event log."""

from collections.abc import Sequence
from typing import Any

from billing.event.v1 import event_pb2 as eventv1
from billing.event.v1 import event_service_pb2 as rpc
from billing_db import event as event_sql
from billing_db import replay as replay_sql
from billing_db.models import BillingEvent
from google.protobuf import json_format
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from corebilling.bus.delivery import Position, event_of
from corebilling.db.transaction import Transaction
from corebilling.domains.event.model import (
    causation_tree,
    check_custom_numbers,
    check_custom_size,
    check_custom_subject,
)
from corebilling.domains.event.outcomes import HandlerNames, Outcomes, find_outcomes
from corebilling.errors import InvalidArgument, NotFound
from corebilling.events import outbox
from corebilling.events.envelope import catalogue
from corebilling.mapping import timestamp
from corebilling.values.page import (
    MAX_PAGE_BYTES,
    count_fitting,
    decode_page_token,
    encode_page_token,
    next_page,
    page_limit,
)
from corebilling.values.subject import exact_and_prefix

MAX_TRACED_EVENTS = 1000
LOOKED_THROUGH_EVENTS = 20_000
"""So many a page of a subject's events looks through. No index knows subjects: every event would pay."""


class EventService:
    """Reads the log, and publishes events of the tenant's own. `handlers` is the platform's table."""

    def __init__(self, handlers: HandlerNames) -> None:
        self._handlers = handlers

    async def get_event(self, tx: Transaction, request: rpc.GetEventRequest) -> rpc.GetEventResponse:
        row = await event_sql.find_event(tx, tenant_id=tx.tenant_id, id=request.event_id)
        if row is None:
            raise NotFound("EVENT_NOT_FOUND", "There is no such event.", {"event_id": request.event_id})
        outcome = (await find_outcomes(tx, [row], self._handlers))[row.id]
        replayed = await replay_sql.find_last_replay(tx, tenant_id=tx.tenant_id, event_id=row.id)
        return rpc.GetEventResponse(
            event=event_of(row),
            state=outcome.state,
            failures=outcome.failures,
            handlers=outcome.handlers,
            webhooks=outcome.webhooks,
            last_replayed_at=None if replayed is None else timestamp(replayed),
        )

    async def list_events(self, tx: Transaction, request: rpc.ListEventsRequest) -> rpc.ListEventsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        subject, prefix = exact_and_prefix(request.subject)
        oldest = await _oldest_to_look_at(tx, request, after)
        rows = await event_sql.list_events(
            tx,
            tenant_id=tx.tenant_id,
            oldest=oldest,
            subject=subject,
            subject_prefix=prefix,
            resource_id=request.resource_id,
            correlation_id=request.correlation_id,
            after=after,
            limit_rows=limit + 1,
            limit_bytes=MAX_PAGE_BYTES,
        )
        events = [event_of(row) for row in rows[:limit]]
        fitting = count_fitting((event.ByteSize() for event in events), MAX_PAGE_BYTES)
        _, token = next_page(rows, fitting, key=lambda row: row.id)
        if oldest and not token:
            token = encode_page_token(oldest)
        return rpc.ListEventsResponse(events=events[:fitting], next_page_token=token)

    async def list_stretch(
        self, tx: Transaction, request: rpc.WatchEventsRequest, *, after: Position, to: Position, limit: int
    ) -> Sequence[BillingEvent]:
        """The tenant's events after the one position, up to the other."""
        return await event_sql.list_tenant_events_between(
            tx,
            tenant_id=tx.tenant_id,
            after_epoch=after.epoch,
            after_xid=after.xid,
            after_seq=after.seq,
            to_epoch=to.epoch,
            to_xid=to.xid,
            to_seq=to.seq,
            limit_rows=limit,
        )

    async def publish_event(
        self, tx: Transaction, request: rpc.PublishEventRequest
    ) -> rpc.PublishEventResponse:
        check_custom_subject(request.subject, catalogue().keys())
        check_custom_size(request.data.ByteSize())
        check_custom_numbers(_plain(request.data))
        # One key whatever the subject: the resource's versions are counted under its lock.
        ordering_key = f"custom:{request.resource_id}"
        await tx.lock(ordering_key)
        version = await event_sql.get_next_version(
            tx, tenant_id=tx.tenant_id, resource_id=request.resource_id
        )
        event = outbox.append(
            tx,
            eventv1.CustomEvent(data=request.data),
            subject=request.subject,
            resource_id=request.resource_id,
            resource_version=version,
            ordering_key=ordering_key,
        )
        return rpc.PublishEventResponse(event=event)

    async def trace_events(self, tx: Transaction, request: rpc.TraceEventsRequest) -> rpc.TraceEventsResponse:
        rows = await event_sql.list_correlated_events(
            tx,
            tenant_id=tx.tenant_id,
            correlation_id=request.correlation_id,
            limit_rows=MAX_TRACED_EVENTS + 1,
            limit_bytes=MAX_PAGE_BYTES,
        )
        outcomes = await find_outcomes(tx, rows, self._handlers)
        traces = {row.id: _trace(row, outcomes[row.id]) for row in rows[:MAX_TRACED_EVENTS]}
        fitting = count_fitting((trace.ByteSize() for trace in traces.values()), MAX_PAGE_BYTES)
        tree = causation_tree(rows[:fitting])
        for traced in tree:
            traces[traced.event.id].depth = traced.depth
        return rpc.TraceEventsResponse(
            events=(traces[traced.event.id] for traced in tree), truncated=len(rows) > fitting
        )


def _trace(row: BillingEvent, outcomes: Outcomes) -> rpc.TracedEvent:
    return rpc.TracedEvent(
        event=event_of(row),
        state=outcomes.state,
        failures=outcomes.failures,
        handlers=outcomes.handlers,
        webhooks=outcomes.webhooks,
    )


async def _oldest_to_look_at(tx: Transaction, request: rpc.ListEventsRequest, after: str) -> str:
    """The id of the oldest event that the page looks at; '' when there is no need to stop."""
    if not request.subject or request.resource_id or request.correlation_id:
        return ""
    return (
        await event_sql.find_oldest_in_stretch(
            tx, tenant_id=tx.tenant_id, after=after, events=LOOKED_THROUGH_EVENTS
        )
        or ""
    )


def _plain(data: Struct) -> dict[str, Any]:
    """Raises InvalidArgument: REQUEST_INVALID."""
    try:
        return MessageToDict(data)
    except (ValueError, json_format.Error) as error:
        raise InvalidArgument(
            "REQUEST_INVALID",
            "The event's data cannot be shown in JSON.",
            violations=(("data", f"must be an object of JSON: {error}"),),
        ) from error
