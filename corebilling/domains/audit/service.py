"""Use cases of the audit log: all of them read."""

from collections.abc import Sequence
from datetime import timedelta

from billing.audit.v1 import audit_pb2 as pb
from billing.audit.v1 import audit_service_pb2 as rpc
from billing_db import audit as audit_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.audit.messages import entry_message, head_message, omit_changes
from corebilling.domains.audit.model import CALL_TIME
from corebilling.domains.audit.rows import head_of, seal_of, sealed_entries, with_changes
from corebilling.domains.audit.signing import TrustedKeys, key_id_of
from corebilling.domains.audit.verification import Verification
from corebilling.errors import InvalidArgument
from corebilling.mapping import instant
from corebilling.values.page import (
    MAX_PAGE_BYTES,
    count_fitting,
    decode_page_token,
    encode_page_token,
    next_page,
    page_limit,
)

STRETCH_ENTRIES = 200
"""Of an export: read in one transaction."""


class AuditService:
    """`public_key`: what heads are signed with now; `keys`: and were before. `seal_interval_s`: how often."""

    def __init__(self, public_key: bytes, keys: TrustedKeys, seal_interval_s: float) -> None:
        self.key = pb.AuditKey(key_id=key_id_of(public_key), public_key=public_key.hex())
        self._keys = keys
        # Once, while its call still worked, it may have been too early; twice is late.
        self._sealed_within = CALL_TIME + 2 * timedelta(seconds=seal_interval_s)

    async def list_audit_entries(
        self, tx: Transaction, request: rpc.ListAuditEntriesRequest
    ) -> rpc.ListAuditEntriesResponse:
        limit = page_limit(request.page_size)
        (before,) = decode_page_token(request.page_token, 1)
        rows = await audit_sql.list_audit_entries(
            tx,
            tenant_id=tx.tenant_id,
            before=before,
            actor=request.actor,
            action=request.action,
            from_time=instant(request.from_time) if request.HasField("from_time") else None,
            until_time=instant(request.until_time) if request.HasField("until_time") else None,
            resource_id=request.resource_id,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        seals = {
            row.audit_id: seal_of(row)
            for row in await audit_sql.list_seals_of_entries(
                tx, tenant_id=tx.tenant_id, audit_ids=[row.id for row in page]
            )
        }
        entries = [entry_message(entry, seals.get(entry.id)) for entry in await with_changes(tx, page)]
        for entry in entries:
            omit_changes(entry)
        fitting = count_fitting((entry.ByteSize() for entry in entries), MAX_PAGE_BYTES)
        if fitting < len(entries):
            entries = entries[:fitting]
            token = encode_page_token(entries[-1].id)
        return rpc.ListAuditEntriesResponse(entries=entries, next_page_token=token)

    async def begin_export(
        self, tx: Transaction, request: rpc.ExportAuditEntriesRequest
    ) -> Sequence[rpc.ExportAuditEntriesResponse]:
        """The key; and, behind the beginning, the head that the rest follows from."""
        start = [rpc.ExportAuditEntriesResponse(key=self.key)]
        head = await audit_sql.find_audit_head(tx, tenant_id=tx.tenant_id, until=request.after_position)
        if head is not None:
            start.append(rpc.ExportAuditEntriesResponse(head=head_message(head_of(head))))
        return start

    async def export_stretch(
        self, tx: Transaction, _request: rpc.ExportAuditEntriesRequest, *, after: int
    ) -> Sequence[rpc.ExportAuditEntriesResponse]:
        """The next entries, each head behind the entry that it ends with; nothing at the end."""
        extent = await audit_sql.get_audit_extent(tx, tenant_id=tx.tenant_id)
        seals = await audit_sql.list_audit_seals(
            tx, tenant_id=tx.tenant_id, after=after, until=extent.seals, limit_rows=STRETCH_ENTRIES
        )
        if not seals:
            return ()
        entries = await sealed_entries(tx, seals)
        heads = {
            row.count: head_of(row)
            for row in await audit_sql.list_audit_heads(
                tx, tenant_id=tx.tenant_id, after=after, until=seals[-1].position
            )
        }
        records = []
        for seal in map(seal_of, seals):
            if entry := entries.get(seal.audit_id):
                message = entry_message(entry, seal)
                omitted = omit_changes(message)
                records.append(rpc.ExportAuditEntriesResponse(entry=message))
                records += [rpc.ExportAuditEntriesResponse(change=change) for change in omitted]
            if head := heads.get(seal.position):
                records.append(rpc.ExportAuditEntriesResponse(head=head_message(head)))
        return records

    def verification(self, request: rpc.VerifyAuditLogRequest) -> Verification:
        """Raises InvalidArgument: REQUEST_INVALID when a kept head has one half alone."""
        if bool(request.kept_count) != bool(request.kept_hash):
            raise InvalidArgument(
                "REQUEST_INVALID",
                "A kept head has both a count and a hash, as audit.sealed announced them.",
                violations=(("kept_hash", "comes with kept_count"),),
            )
        kept = (request.kept_count, bytes.fromhex(request.kept_hash)) if request.kept_count else None
        return Verification(request.tenant_id, self._keys, self._sealed_within, kept)
