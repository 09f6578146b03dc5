"""gRPC door of dead letters."""

from billing.event.v1 import event_admin_service_pb2 as rpc
from billing.event.v1.event_admin_service_pb2_grpc import EventAdminServiceServicer

from corebilling.domains.dead_letter.service import EventAdminService
from corebilling.rpc.door import Context, Door


class EventAdminServicer(EventAdminServiceServicer):
    def __init__(self, door: Door, admin: EventAdminService) -> None:
        self._door = door
        self._admin = admin

    async def ListDeadLetters(
        self, request: rpc.ListDeadLettersRequest, context: Context
    ) -> rpc.ListDeadLettersResponse:
        return await self._door.read(request, self._admin.list_dead_letters)

    async def GetDeadLetter(
        self, request: rpc.GetDeadLetterRequest, context: Context
    ) -> rpc.GetDeadLetterResponse:
        return await self._door.read(request, self._admin.get_dead_letter)

    async def RetryDeadLetters(
        self, request: rpc.RetryDeadLettersRequest, context: Context
    ) -> rpc.RetryDeadLettersResponse:
        return await self._door.write(request, self._admin.retry_dead_letters)

    async def DiscardDeadLetters(
        self, request: rpc.DiscardDeadLettersRequest, context: Context
    ) -> rpc.DiscardDeadLettersResponse:
        return await self._door.write(request, self._admin.discard_dead_letters)
