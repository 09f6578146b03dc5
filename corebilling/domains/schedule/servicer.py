"""gRPC door of schedule."""

from billing.schedule.v1 import schedule_service_pb2 as rpc
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceServicer

from corebilling.domains.schedule.service import ScheduleService
from corebilling.rpc.door import Context, Door


class ScheduleServicer(ScheduleServiceServicer):
    def __init__(self, door: Door, schedule: ScheduleService) -> None:
        self._door = door
        self._schedule = schedule

    async def ListBillingCycles(
        self, request: rpc.ListBillingCyclesRequest, context: Context
    ) -> rpc.ListBillingCyclesResponse:
        return await self._door.read(request, self._schedule.list_billing_cycles)

    async def GetTestClock(
        self, request: rpc.GetTestClockRequest, context: Context
    ) -> rpc.GetTestClockResponse:
        return await self._door.read(request, self._schedule.get_test_clock)

    async def AdvanceTestClock(
        self, request: rpc.AdvanceTestClockRequest, context: Context
    ) -> rpc.AdvanceTestClockResponse:
        return await self._door.write(request, self._schedule.advance_test_clock)
