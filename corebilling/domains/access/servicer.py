"""gRPC door of API keys and of who may do what."""

from functools import partial

from billing.access.v1 import access_service_pb2 as rpc
from billing.access.v1.access_service_pb2_grpc import AccessServiceServicer

from corebilling.domains.access.explanation_service import ExplanationService
from corebilling.domains.access.service import AccessService
from corebilling.rpc.door import Context, Door


class AccessServicer(AccessServiceServicer):
    def __init__(self, door: Door, access: AccessService, explanation: ExplanationService) -> None:
        self._door = door
        self._access = access
        self._explanation = explanation

    async def CreateApiKey(
        self, request: rpc.CreateApiKeyRequest, context: Context
    ) -> rpc.CreateApiKeyResponse:
        return await self._door.write(request, self._access.create_api_key)

    async def GetApiKey(self, request: rpc.GetApiKeyRequest, context: Context) -> rpc.GetApiKeyResponse:
        return await self._door.read(request, self._access.get_api_key)

    async def ListApiKeys(self, request: rpc.ListApiKeysRequest, context: Context) -> rpc.ListApiKeysResponse:
        return await self._door.read(request, self._access.list_api_keys)

    async def RotateApiKey(
        self, request: rpc.RotateApiKeyRequest, context: Context
    ) -> rpc.RotateApiKeyResponse:
        return await self._door.write(request, self._access.rotate_api_key)

    async def RevokeApiKey(
        self, request: rpc.RevokeApiKeyRequest, context: Context
    ) -> rpc.RevokeApiKeyResponse:
        return await self._door.write(request, self._access.revoke_api_key)

    async def ExplainAccess(
        self, request: rpc.ExplainAccessRequest, context: Context
    ) -> rpc.ExplainAccessResponse:
        identity = await self._explanation.identify(request)
        return await self._door.read(request, partial(self._explanation.explain_access, identity=identity))
