"""gRPC door of quotas."""

from billing.quota.v1 import quota_service_pb2 as rpc
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceServicer

from corebilling.domains.quota.service import QuotaService
from corebilling.rpc.door import Context, Door


class QuotaServicer(QuotaServiceServicer):
    def __init__(self, door: Door, quotas: QuotaService) -> None:
        self._door = door
        self._quotas = quotas

    async def SetQuota(self, request: rpc.SetQuotaRequest, context: Context) -> rpc.SetQuotaResponse:
        return await self._door.write(request, self._quotas.set_quota)

    async def GetQuota(self, request: rpc.GetQuotaRequest, context: Context) -> rpc.GetQuotaResponse:
        return await self._door.read(request, self._quotas.get_quota)

    async def ListQuotas(self, request: rpc.ListQuotasRequest, context: Context) -> rpc.ListQuotasResponse:
        return await self._door.read(request, self._quotas.list_quotas)

    async def RemoveQuota(self, request: rpc.RemoveQuotaRequest, context: Context) -> rpc.RemoveQuotaResponse:
        return await self._door.write(request, self._quotas.remove_quota)
