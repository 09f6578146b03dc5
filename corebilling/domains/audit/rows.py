"""Rows of the audit log, as the model knows them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from billing_db import audit as audit_sql
from billing_db import models

from corebilling.db.transaction import Transaction
from corebilling.domains.audit.model import Change, Entry, Head, Seal


async def with_changes(tx: Transaction, rows: Sequence[models.AuditEntry]) -> list[Entry]:
    """The entries, in their order."""
    changes: dict[tuple[str, str], list[Change]] = defaultdict(list)
    for row in await audit_sql.list_audit_changes(
        tx, tenant_ids=[row.tenant_id for row in rows], audit_ids=[row.id for row in rows]
    ):
        change = Change(row.resource_type, row.resource_id, row.operation, row.old, row.new)
        changes[row.tenant_id, row.audit_id].append(change)
    return [_entry(row, changes[row.tenant_id, row.id]) for row in rows]


async def sealed_entries(tx: Transaction, seals: Iterable[models.AuditSeal]) -> dict[str, Entry]:
    """What these seals are of, by id, as far as it is there."""
    rows = await audit_sql.list_audit_entries_by_id(
        tx, tenant_id=tx.tenant_id, ids=[seal.audit_id for seal in seals]
    )
    return {entry.id: entry for entry in await with_changes(tx, rows)}


def seal_of(row: models.AuditSeal) -> Seal:
    return Seal(row.position, row.audit_id, row.entry_hash, row.hash)


def head_of(row: models.AuditHead) -> Head:
    return Head(row.tenant_id, row.count, row.hash, row.sealed_at, row.key_id, row.signature)


def _entry(row: models.AuditEntry, changes: Sequence[Change]) -> Entry:
    return Entry(
        tenant_id=row.tenant_id,
        id=row.id,
        occurred_at=row.occurred_at,
        actor=row.actor,
        action=row.action,
        request_id=row.request_id,
        correlation_id=row.correlation_id,
        trace_id=row.trace_id,
        ip=row.ip,
        user_agent=row.user_agent,
        reason=row.reason,
        changes=changes,
    )
