"""gRPC door of tenants."""

from billing.tenant.v1 import tenant_service_pb2 as rpc
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceServicer

from corebilling.domains.tenant.service import TenantService
from corebilling.rpc.door import Context, Door


class TenantServicer(TenantServiceServicer):
    def __init__(self, door: Door, tenants: TenantService) -> None:
        self._door = door
        self._tenants = tenants

    async def CreateTenant(
        self, request: rpc.CreateTenantRequest, context: Context
    ) -> rpc.CreateTenantResponse:
        return await self._door.write(request, self._tenants.create_tenant)

    async def GetTenant(self, request: rpc.GetTenantRequest, context: Context) -> rpc.GetTenantResponse:
        return await self._door.read(request, self._tenants.get_tenant)

    async def ListTenants(self, request: rpc.ListTenantsRequest, context: Context) -> rpc.ListTenantsResponse:
        return await self._door.read(request, self._tenants.list_tenants)
