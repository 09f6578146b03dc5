"""gRPC door of the audit log."""

from collections.abc import AsyncIterator
from functools import partial

from billing.audit.v1 import audit_service_pb2 as rpc
from billing.audit.v1.audit_service_pb2_grpc import AuditServiceServicer

from corebilling.domains.audit.service import AuditService
from corebilling.rpc.door import Context, Door


class AuditServicer(AuditServiceServicer):
    """Streams read stretch by stretch: a slow client holds no transaction open."""

    def __init__(self, door: Door, audit: AuditService) -> None:
        self._door = door
        self._audit = audit

    async def ListAuditEntries(
        self, request: rpc.ListAuditEntriesRequest, context: Context
    ) -> rpc.ListAuditEntriesResponse:
        return await self._door.read(request, self._audit.list_audit_entries)

    async def ExportAuditEntries(
        self, request: rpc.ExportAuditEntriesRequest, context: Context
    ) -> AsyncIterator[rpc.ExportAuditEntriesResponse]:
        records = await self._door.read(request, self._audit.begin_export)
        after = records[-1].head.count
        while records:
            for record in records:
                yield record
                after = max(after, record.entry.seal.position)
            records = await self._door.read(request, partial(self._audit.export_stretch, after=after))

    async def VerifyAuditLog(
        self, request: rpc.VerifyAuditLogRequest, context: Context
    ) -> AsyncIterator[rpc.VerifyAuditLogResponse]:
        verification = self._audit.verification(request)
        while not verification.complete:
            yield await self._door.read(request, verification.step)

    async def GetAuditKey(self, request: rpc.GetAuditKeyRequest, context: Context) -> rpc.GetAuditKeyResponse:
        return rpc.GetAuditKeyResponse(key=self._audit.key)
