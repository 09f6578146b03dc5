"""The audit log's chain: how entries are hashed, and what is wrong with one that does not hold.

Each entry has a hash of its own; each seal is the hash of the seal before, its position and its entry's hash;
the first follows from the tenant's id. A head is a seal that was signed. So whoever has a head can be shown
neither another log nor a shorter one.

What is hashed is JSON, in UTF-8: an array of texts, numbers and nulls without white space.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

_VERSION = 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

CALL_TIME = timedelta(minutes=10)
"""More than a call works, and the clocks of servers differ, so that neither is taken for a fault."""


class Fault(StrEnum):
    EDITED = "edited"
    MISSING = "missing"
    REORDERED = "reordered"
    INSERTED = "inserted"
    TRUNCATED = "truncated"
    REWRITTEN = "rewritten"
    NOT_SIGNED = "not_signed"
    NOT_SEALED = "not_sealed"
    MISDATED = "misdated"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong; `position` is 0 where there is none."""

    fault: Fault
    position: int
    audit_id: str
    explanation: str


@dataclass(frozen=True, slots=True)
class Change:
    """`old` and `new` are JSON, as it was sealed."""

    resource_type: str
    resource_id: str
    operation: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class Entry:
    tenant_id: str
    id: str
    occurred_at: datetime
    actor: str
    action: str
    request_id: str
    correlation_id: str
    trace_id: str
    ip: str
    user_agent: str
    reason: str
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Seal:
    position: int
    audit_id: str
    entry_hash: bytes
    hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    tenant_id: str
    count: int
    hash: bytes
    sealed_at: datetime
    key_id: str
    signature: bytes


def hash_of(entry: Entry) -> bytes:
    """Of everything that the entry says."""
    return _digest(
        "entry",
        entry.tenant_id,
        entry.id,
        _microseconds(entry.occurred_at),
        entry.actor,
        entry.action,
        entry.request_id,
        entry.correlation_id,
        entry.trace_id,
        entry.ip,
        entry.user_agent,
        entry.reason,
        [
            [change.resource_type, change.resource_id, change.operation, change.old, change.new]
            for change in entry.changes
        ],
    )


def first_hash(tenant_id: str) -> bytes:
    """What a tenant's first seal follows from."""
    return _digest("chain", tenant_id)


def seal_after(before: bytes, position: int, entry_id: str, entry_hash: bytes) -> Seal:
    return Seal(position, entry_id, entry_hash, _digest("seal", before.hex(), position, entry_hash.hex()))


def signed_part(tenant_id: str, count: int, hash_: bytes, sealed_at: datetime, key_id: str) -> bytes:
    """What a head's signature is of."""
    return _canonical("head", tenant_id, count, hash_.hex(), _microseconds(sealed_at), key_id)


class Chain:
    """A tenant's chain, followed from where it begins or `before` left off."""

    def __init__(self, tenant_id: str, position: int = 0, before: bytes | None = None) -> None:
        self.tenant_id = tenant_id
        self.position = position
        self.hash = first_hash(tenant_id) if before is None else before
        self._latest: tuple[datetime, int, str] | None = None
        """What the entries so far say, but no later than their sealing; and which says it."""

    def take(self, seal: Seal, entry: Entry | None) -> Iterator[Finding]:
        """The next seal, with its entry if there is one.

        What follows is judged by what the seal says, so that one fault is told once.
        """
        if seal.position != self.position + 1:
            yield self._out_of_place(seal)
        elif seal_after(self.hash, seal.position, seal.audit_id, seal.entry_hash) != seal:
            yield Finding(
                Fault.REORDERED, seal.position, seal.audit_id, "The seal does not follow from the one before."
            )
        if entry is None:
            yield Finding(Fault.MISSING, seal.position, seal.audit_id, "The sealed entry is gone.")
        elif entry.id != seal.audit_id or hash_of(entry) != seal.entry_hash:
            yield Finding(
                Fault.EDITED, seal.position, seal.audit_id, "The entry, or a change of it, is not as sealed."
            )
        else:
            yield from self._dated_back(seal.position, entry)
        self.position, self.hash = seal.position, seal.hash

    def compare(self, head: Head) -> Iterator[Finding]:
        """A signed head, once the chain has come to where it points, or ended before."""
        if head.count > self.position:
            yield Finding(
                Fault.TRUNCATED,
                self.position,
                "",
                f"A head speaks of {head.count} entries, but the log ends after {self.position}.",
            )
        elif head.hash != self.hash:
            yield Finding(
                Fault.REWRITTEN, head.count, "", "The chain is another one than the head was signed for."
            )
        else:
            yield from self._dated_ahead(head)

    def _dated_back(self, position: int, entry: Entry) -> Iterator[Finding]:
        """Entries come in the order in which their calls first wrote: times differ from it by a call."""
        if self._latest is None or entry.occurred_at > self._latest[0]:
            self._latest = (entry.occurred_at, position, entry.id)
        elif entry.occurred_at < self._latest[0] - CALL_TIME:
            yield Finding(
                Fault.MISDATED, position, entry.id, "The entry says a much earlier time than one before it."
            )

    def _dated_ahead(self, head: Head) -> Iterator[Finding]:
        if self._latest is None or self._latest[0] <= head.sealed_at:
            return
        at, position, entry_id = self._latest
        if at > head.sealed_at + CALL_TIME:
            yield Finding(
                Fault.MISDATED,
                position,
                entry_id,
                "The entry says a much later time than that of its sealing.",
            )
        self._latest = (head.sealed_at, position, entry_id)

    def _out_of_place(self, seal: Seal) -> Finding:
        if seal.position <= self.position:
            return Finding(
                Fault.REORDERED, seal.position, seal.audit_id, "The seal comes after one of a later place."
            )
        return Finding(
            Fault.MISSING,
            self.position + 1,
            "",
            f"The seals from {self.position + 1} to {seal.position - 1} are gone.",
        )


def _digest(kind: str, *parts: object) -> bytes:
    return hashlib.sha256(_canonical(kind, *parts)).digest()


def _canonical(kind: str, *parts: object) -> bytes:
    text = json.dumps(
        [f"corebilling audit {kind}", _VERSION, *parts], ensure_ascii=False, separators=(",", ":")
    )
    return text.encode()


def _microseconds(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)
