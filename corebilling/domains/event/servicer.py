"""gRPC door of the event log."""

from billing.event.v1 import event_service_pb2 as rpc
from billing.event.v1.event_service_pb2_grpc import EventServiceServicer

from corebilling.domains.event.service import EventService
from corebilling.rpc.door import Context, Door


class EventServicer(EventServiceServicer):
    def __init__(self, door: Door, events: EventService) -> None:
        self._door = door
        self._events = events

    async def GetEvent(self, request: rpc.GetEventRequest, context: Context) -> rpc.GetEventResponse:
        return await self._door.read(request, self._events.get_event)

    async def ListEvents(self, request: rpc.ListEventsRequest, context: Context) -> rpc.ListEventsResponse:
        return await self._door.read(request, self._events.list_events)

    async def PublishEvent(
        self, request: rpc.PublishEventRequest, context: Context
    ) -> rpc.PublishEventResponse:
        return await self._door.write(request, self._events.publish_event)

    async def TraceEvents(self, request: rpc.TraceEventsRequest, context: Context) -> rpc.TraceEventsResponse:
        return await self._door.read(request, self._events.trace_events)
