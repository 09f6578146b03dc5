"""The audit log in messages: out to clients, and back again where an export is verified."""

from collections.abc import Sequence

from billing.audit.v1 import audit_events_pb2 as events
from billing.audit.v1 import audit_pb2 as pb

from corebilling.domains.audit.model import Change, Entry, Finding, Head, Seal
from corebilling.mapping import enum_number, enum_text, instant, timestamp
from corebilling.values.page import MAX_PAGE_BYTES, count_fitting


def entry_message(entry: Entry, seal: Seal | None) -> pb.AuditEntry:
    return pb.AuditEntry(
        id=entry.id,
        tenant_id=entry.tenant_id,
        occurred_at=timestamp(entry.occurred_at),
        actor=entry.actor,
        action=entry.action,
        request_id=entry.request_id,
        correlation_id=entry.correlation_id,
        trace_id=entry.trace_id,
        ip=entry.ip,
        user_agent=entry.user_agent,
        reason=entry.reason,
        changes=[_change_message(change) for change in entry.changes],
        seal=_seal_message(seal) if seal else None,
    )


def omit_changes(message: pb.AuditEntry) -> Sequence[pb.AuditChange]:
    """Takes out the changes that do not fit into a message of the entry alone; returns them."""
    fitting = count_fitting((change.ByteSize() for change in message.changes), MAX_PAGE_BYTES)
    omitted = message.changes[fitting:]
    del message.changes[fitting:]
    message.changes_omitted = len(omitted)
    return omitted


def entry_of(message: pb.AuditEntry) -> Entry:
    return Entry(
        tenant_id=message.tenant_id,
        id=message.id,
        occurred_at=instant(message.occurred_at),
        actor=message.actor,
        action=message.action,
        request_id=message.request_id,
        correlation_id=message.correlation_id,
        trace_id=message.trace_id,
        ip=message.ip,
        user_agent=message.user_agent,
        reason=message.reason,
        changes=[_change_of(change) for change in message.changes],
    )


def seal_of(message: pb.AuditEntry) -> Seal:
    """Raises ValueError when a hash is none."""
    seal = message.seal
    return Seal(seal.position, message.id, bytes.fromhex(seal.entry_hash), bytes.fromhex(seal.hash))


def head_message(head: Head) -> pb.AuditHead:
    return pb.AuditHead(
        tenant_id=head.tenant_id,
        count=head.count,
        hash=head.hash.hex(),
        sealed_at=timestamp(head.sealed_at),
        key_id=head.key_id,
        signature=head.signature.hex(),
    )


def head_of(message: pb.AuditHead | events.AuditSealed, tenant_id: str) -> Head:
    """Raises ValueError when its hash or signature is none."""
    return Head(
        tenant_id=tenant_id,
        count=message.count,
        hash=bytes.fromhex(message.hash),
        sealed_at=instant(message.sealed_at),
        key_id=message.key_id,
        signature=bytes.fromhex(message.signature),
    )


def finding_message(finding: Finding) -> pb.AuditFinding:
    return pb.AuditFinding(
        fault=pb.AuditFault.Name(enum_number(pb.AuditFault, finding.fault)),
        position=finding.position,
        audit_id=finding.audit_id,
        explanation=finding.explanation,
    )


def _change_message(change: Change) -> pb.AuditChange:
    return pb.AuditChange(
        resource_type=change.resource_type,
        resource_id=change.resource_id,
        operation=pb.AuditOperation.Name(enum_number(pb.AuditOperation, change.operation)),
        old_json=change.old or "",
        new_json=change.new or "",
    )


def _change_of(message: pb.AuditChange) -> Change:
    return Change(
        resource_type=message.resource_type,
        resource_id=message.resource_id,
        operation=enum_text(pb.AuditOperation, message.operation),
        old=message.old_json or None,
        new=message.new_json or None,
    )


def _seal_message(seal: Seal) -> pb.AuditSeal:
    return pb.AuditSeal(position=seal.position, entry_hash=seal.entry_hash.hex(), hash=seal.hash.hex())
