"""Proves a tenant's audit log against what it is made of, stretch by stretch."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import timedelta

from billing.audit.v1 import audit_events_pb2 as events
from billing.audit.v1 import audit_service_pb2 as rpc
from billing_db import audit as audit_sql
from billing_db.models import AuditSeal
from google.protobuf.message import DecodeError

from corebilling.db.transaction import Transaction
from corebilling.domains.audit.messages import finding_message, head_message
from corebilling.domains.audit.messages import head_of as announced_head
from corebilling.domains.audit.model import Chain, Entry, Fault, Finding, Head
from corebilling.domains.audit.rows import head_of, seal_of, sealed_entries
from corebilling.domains.audit.signing import TrustedKeys

MAX_FINDINGS = 100
STRETCH_ROWS = 500

Stage = Callable[[Transaction], Awaitable[bool]]


class Verification:
    """The chain, what is in no chain, what was announced, what was kept: in this order.

    Args:
        sealed_within: How long an entry may at most wait for its seal.
        kept: Count and hash of a head that the caller has from before.
    """

    def __init__(
        self, tenant_id: str, keys: TrustedKeys, sealed_within: timedelta, kept: tuple[int, bytes] | None
    ) -> None:
        self._keys = keys
        self._sealed_within = sealed_within
        self._kept = kept
        self._chain = Chain(tenant_id)
        self._stages: list[Stage] = [
            self._begin,
            self._follow_chain,
            self._end_chain,
            self._look_for_unsealed,
            self._look_at_announced,
            self._compare_kept,
        ]
        self._seals = 0
        self._heads = 0
        self._newest: Head | None = None
        self._after = ""
        self._checked = 0
        self._found: list[Finding] = []
        self._told = 0

    @property
    def complete(self) -> bool:
        return not self._stages or len(self._found) >= MAX_FINDINGS

    async def step(self, tx: Transaction, _request: rpc.VerifyAuditLogRequest) -> rpc.VerifyAuditLogResponse:
        """One stretch; the last one has the verdict."""
        if await self._stages[0](tx):
            del self._stages[0]
        del self._found[MAX_FINDINGS:]
        new, self._told = self._found[self._told :], len(self._found)
        return rpc.VerifyAuditLogResponse(
            checked=self._checked,
            findings=map(finding_message, new),
            complete=self.complete,
            sound=self.complete and not self._found,
            head=head_message(self._newest) if self._newest else None,
        )

    async def _begin(self, tx: Transaction) -> bool:
        extent = await audit_sql.get_audit_extent(tx, tenant_id=tx.tenant_id)
        self._seals, self._heads = extent.seals, extent.heads
        if newest := await audit_sql.find_audit_head(tx, tenant_id=tx.tenant_id, until=extent.heads):
            self._newest = head_of(newest)
        return True

    async def _follow_chain(self, tx: Transaction) -> bool:
        seals = await audit_sql.list_audit_seals(
            tx,
            tenant_id=tx.tenant_id,
            after=self._chain.position,
            until=self._seals,
            limit_rows=STRETCH_ROWS,
        )
        if seals:
            entries = await sealed_entries(tx, seals)
            heads = await self._heads_until(tx, seals[-1].position)
            self._found += self._followed(seals, entries, heads)
            self._checked += len(seals)
        return len(seals) < STRETCH_ROWS

    def _followed(
        self, seals: Sequence[AuditSeal], entries: dict[str, Entry], heads: Sequence[Head]
    ) -> Iterator[Finding]:
        at = {head.count: head for head in heads}
        for seal in seals:
            yield from self._chain.take(seal_of(seal), entries.get(seal.audit_id))
            if head := at.pop(seal.position, None):
                yield from self._signed(head)
        # Of seals that are gone, which was told.
        for head in at.values():
            yield from self._keys.findings(head)

    async def _end_chain(self, tx: Transaction) -> bool:
        """What lies behind the last seal, and whether somebody vouches for it."""
        for head in await self._heads_until(tx, self._heads):
            self._found += self._signed(head)
        if self._heads < self._seals:
            self._found.append(
                Finding(Fault.MISSING, self._seals, "", f"No head vouches for what follows {self._heads}.")
            )
        return True

    async def _heads_until(self, tx: Transaction, until: int) -> Sequence[Head]:
        rows = await audit_sql.list_audit_heads(
            tx, tenant_id=tx.tenant_id, after=self._chain.position, until=until
        )
        return [head_of(row) for row in rows]

    def _signed(self, head: Head) -> Iterable[Finding]:
        yield from self._keys.findings(head)
        yield from self._chain.compare(head)

    async def _look_for_unsealed(self, tx: Transaction) -> bool:
        rows = await audit_sql.list_sealing_states(
            tx, tenant_id=tx.tenant_id, after=self._after, limit_rows=STRETCH_ROWS
        )
        for row in rows:
            if not row.sealed and row.passed_by:
                self._found.append(
                    Finding(
                        Fault.INSERTED, 0, row.id, "The entry is in no chain, though later ones are sealed."
                    )
                )
            elif not row.sealed and row.occurred_at < tx.now - self._sealed_within:
                self._found.append(
                    Finding(Fault.NOT_SEALED, 0, row.id, "The entry should have been sealed long since.")
                )
        self._after = rows[-1].id if len(rows) == STRETCH_ROWS else ""
        return not self._after

    async def _look_at_announced(self, tx: Transaction) -> bool:
        rows = await audit_sql.list_announced_heads(
            tx, tenant_id=tx.tenant_id, after=self._after, limit_rows=STRETCH_ROWS
        )
        announced = []
        for row in rows:
            try:
                announced.append(announced_head(events.AuditSealed.FromString(row.payload), tx.tenant_id))
            except (DecodeError, ValueError):
                self._found.append(Finding(Fault.NOT_SIGNED, 0, "", f"{row.id} announces no head."))
        counts = [head.count for head in announced]
        seals = await audit_sql.list_seals_at(tx, tenant_id=tx.tenant_id, positions=counts)
        heads = await audit_sql.list_heads_at(tx, tenant_id=tx.tenant_id, counts=counts)
        hashes, kept = {seal.position: seal.hash for seal in seals}, {head.count for head in heads}
        for head in announced:
            self._found += self._keys.findings(head)
            self._found += _compared(head.count, head.hash, hashes.get(head.count), "announced")
            if head.count in hashes and head.count not in kept:
                self._found.append(
                    Finding(Fault.MISSING, head.count, "", "A head that was announced is gone.")
                )
        self._after = rows[-1].id if len(rows) == STRETCH_ROWS else ""
        return not self._after

    async def _compare_kept(self, tx: Transaction) -> bool:
        if self._kept is not None:
            count, hash_ = self._kept
            seals = await audit_sql.list_seals_at(tx, tenant_id=tx.tenant_id, positions=[count])
            self._found += _compared(count, hash_, seals[0].hash if seals else None, "kept")
        return True


def _compared(count: int, hash_: bytes, found: bytes | None, how: str) -> Iterator[Finding]:
    if found is None:
        yield Finding(Fault.TRUNCATED, count, "", f"A head of {count} entries was {how}, and is not reached.")
    elif found != hash_:
        yield Finding(Fault.REWRITTEN, count, "", f"The chain is another one than the head that was {how}.")
