"""gRPC door of branding."""

import asyncio

from billing.branding.v1 import branding_service_pb2 as rpc
from billing.branding.v1.branding_service_pb2_grpc import BrandingServiceServicer

from corebilling.domains.branding.service import BrandingService, check_printable
from corebilling.rpc.door import Context, Door


class BrandingServicer(BrandingServiceServicer):
    def __init__(self, door: Door, brandings: BrandingService) -> None:
        self._door = door
        self._brandings = brandings

    async def GetBranding(self, request: rpc.GetBrandingRequest, context: Context) -> rpc.GetBrandingResponse:
        return await self._door.read(request, self._brandings.get_branding)

    async def SetBranding(self, request: rpc.SetBrandingRequest, context: Context) -> rpc.SetBrandingResponse:
        await asyncio.to_thread(check_printable, request.branding.logo)
        return await self._door.write(request, self._brandings.set_branding)
