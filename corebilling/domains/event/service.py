"""Use cases of the event log."""

from collections.abc import Iterable, Sequence
from typing import cast

from billing.event.v1 import event_pb2 as eventv1
from billing.event.v1 import event_service_pb2 as rpc
from billing_db import event as event_sql
from billing_db.models import BillingEvent

from corebilling.bus.delivery import event_of
from corebilling.db.transaction import Transaction
from corebilling.domains.event.model import causation_tree, check_custom_size, check_custom_subject
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.events.envelope import catalogue
from corebilling.mapping import enum_number, to_message
from corebilling.values.page import decode_page_token, next_page, page_limit

MAX_TRACED_EVENTS = 1000


class EventService:
    """Reads the log, and publishes events of the tenant's own."""

    async def get_event(self, tx: Transaction, request: rpc.GetEventRequest) -> rpc.GetEventResponse:
        row = await event_sql.find_event(tx, tenant_id=tx.tenant_id, id=request.event_id)
        if row is None:
            raise NotFound("EVENT_NOT_FOUND", "There is no such event.", {"event_id": request.event_id})
        states, failures = await _outcomes(tx, [row.id])
        return rpc.GetEventResponse(
            event=event_of(row), state=states[row.id], failures=failures.get(row.id, ())
        )

    async def list_events(self, tx: Transaction, request: rpc.ListEventsRequest) -> rpc.ListEventsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        prefix = request.subject.removesuffix("*") if request.subject.endswith(".*") else ""
        rows = await event_sql.list_events(
            tx,
            tenant_id=tx.tenant_id,
            subject="" if prefix else request.subject,
            subject_prefix=prefix,
            resource_id=request.resource_id,
            correlation_id=request.correlation_id,
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListEventsResponse(events=map(event_of, page), next_page_token=token)

    async def publish_event(
        self, tx: Transaction, request: rpc.PublishEventRequest
    ) -> rpc.PublishEventResponse:
        check_custom_subject(request.subject, catalogue().keys())
        check_custom_size(request.data.ByteSize())
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
        )
        shown = rows[:MAX_TRACED_EVENTS]
        states, failures = await _outcomes(tx, [row.id for row in shown])
        return rpc.TraceEventsResponse(
            events=(
                rpc.TracedEvent(
                    event=event_of(traced.event),
                    depth=traced.depth,
                    state=states[traced.event.id],
                    failures=failures.get(traced.event.id, ()),
                )
                for traced in causation_tree(_first_deliveries(shown))
            ),
            truncated=len(rows) > len(shown),
        )


def _first_deliveries(rows: Iterable[BillingEvent]) -> Sequence[BillingEvent]:
    """One row per event: a replay delivers the same event once more."""
    return list({row.id: row for row in reversed(list(rows))}.values())[::-1]


async def _outcomes(
    tx: Transaction, ids: Sequence[str]
) -> tuple[dict[str, eventv1.EventState], dict[str, list[rpc.HandlerFailure]]]:
    """How far each event has come, and which handlers have not managed it."""
    states = {
        row.id: _state(row.state)
        for row in await event_sql.list_event_states(tx, tenant_id=tx.tenant_id, ids=ids)
    }
    failures: dict[str, list[rpc.HandlerFailure]] = {}
    for row in await event_sql.list_handler_failures(tx, tenant_id=tx.tenant_id, ids=ids):
        state = "failed" if row.state == "blocked" else row.state
        message = to_message(row, rpc.HandlerFailure, state=_state(state))
        failures.setdefault(row.event_id, []).append(message)
    return states, failures


def _state(state: str) -> eventv1.EventState:
    return cast("eventv1.EventState", enum_number(eventv1.EventState, state))
