"""gRPC door of the event log."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from functools import partial

from billing.event.v1 import event_service_pb2 as rpc
from billing.event.v1.event_service_pb2_grpc import EventServiceServicer
from billing_db.models import BillingEvent

from corebilling.bus.delivery import Position, event_of
from corebilling.domains.event.model import EventFilter, decode_resume_token, resume_token
from corebilling.domains.event.service import EventService
from corebilling.events.tail import Tail
from corebilling.rpc.door import Context, Door


class EventServicer(EventServiceServicer):
    def __init__(self, door: Door, events: EventService, tail: Tail) -> None:
        self._door = door
        self._events = events
        self._tail = tail

    async def GetEvent(self, request: rpc.GetEventRequest, context: Context) -> rpc.GetEventResponse:
        return await self._door.read(request, self._events.get_event)

    async def ListEvents(self, request: rpc.ListEventsRequest, context: Context) -> rpc.ListEventsResponse:
        return await self._door.read(request, self._events.list_events)

    async def WatchEvents(
        self, request: rpc.WatchEventsRequest, context: Context
    ) -> AsyncIterator[rpc.WatchEventsResponse]:
        """The newest events come from the tail that all watches share, older ones from the log itself."""

        async def read(after: Position, to: Position, limit: int) -> Sequence[BillingEvent]:
            stretch = partial(self._events.list_stretch, after=after, to=to, limit=limit)
            return await self._door.read(request, stretch)

        wanted = EventFilter(request.subjects, request.resource_id, request.correlation_id)
        after = Position(*decode_resume_token(request.resume_token)) if request.resume_token else None
        followed = self._tail.follow(request.tenant_id, after, wanted.wants, read)
        async with aclosing(followed) as found:
            async for position, row in found:
                yield rpc.WatchEventsResponse(
                    event=None if row is None else event_of(row), resume_token=resume_token(*position)
                )

    async def PublishEvent(
        self, request: rpc.PublishEventRequest, context: Context
    ) -> rpc.PublishEventResponse:
        return await self._door.write(request, self._events.publish_event)

    async def TraceEvents(self, request: rpc.TraceEventsRequest, context: Context) -> rpc.TraceEventsResponse:
        return await self._door.read(request, self._events.trace_events)
