"""The sealer: chains what was audited, tenant by tenant, and signs how far it came.

One at a time seals, however many there are: the sealing transaction holds a row locked, and who finds it
locked has nothing to do. Entries are read in the order of the log below the oldest running transaction, so
that one which commits late is sealed late and never passed over. Calls wait for none of this.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence

import structlog
from billing.audit.v1 import audit_events_pb2 as events
from billing_db import audit as audit_sql
from billing_db.models import AuditEntry

from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.audit.model import Entry, Head, first_hash, hash_of, seal_after
from corebilling.domains.audit.rows import with_changes
from corebilling.domains.audit.signing import HeadSigner
from corebilling.errors import BillingError
from corebilling.events import outbox
from corebilling.events.transient import RETRY_LATER
from corebilling.mapping import timestamp
from corebilling.values.caller import Caller
from corebilling.values.ids import PLATFORM_TENANT

log = structlog.get_logger(__name__)

RESOURCE = "audit"
"""What a tenant's `audit.sealed` events are about, and ordered by."""

BATCH_ENTRIES = 500
_SEALER = Caller(PLATFORM_TENANT, actor="job:sealer", role="worker", permissions=frozenset())


class Sealer:
    """`interval_s`: how often to look, in seconds. An entry can be changed unseen for about so long."""

    def __init__(self, database: Database, signer: HeadSigner, interval_s: float) -> None:
        self._database = database
        self._signer = signer
        self._interval_s = interval_s

    async def run(self) -> None:
        """Seals until canceled. Losing the database pauses it; an error of its own ends it, loudly."""
        while True:
            await asyncio.sleep(self._interval_s * random.uniform(0.8, 1.2))
            try:
                await self.run_once()
            except BillingError as error:
                if error.code not in RETRY_LATER:
                    raise
                log.warning("sealer.paused", reason=error.reason)

    async def run_once(self) -> int:
        """Seals everything there is, batch by batch; returns how many entries that were."""
        sealed = 0
        while batch := await self._seal_batch():
            sealed += batch
        return sealed

    async def _seal_batch(self) -> int:
        async with self._database.transaction(_SEALER) as tx:
            at = await audit_sql.claim_audit_sealing(tx)
            if at is None:
                return 0
            rows = await audit_sql.list_entries_to_seal(
                tx, after_epoch=at.epoch, after_xid=at.xid, after_seq=at.seq, limit_rows=BATCH_ENTRIES
            )
            if rows:
                await self._seal(tx, rows)
            return len(rows)

    async def _seal(self, tx: Transaction, rows: Sequence[AuditEntry]) -> None:
        by_tenant: dict[str, list[Entry]] = defaultdict(list)
        for entry in await with_changes(tx, rows):
            by_tenant[entry.tenant_id].append(entry)
        last = {
            seal.tenant_id: (seal.position, seal.hash)
            for seal in await audit_sql.list_last_seals(tx, tenant_ids=list(by_tenant))
        }
        for tenant_id, entries in by_tenant.items():
            position, hash_ = last.get(tenant_id, (0, first_hash(tenant_id)))
            _announce(tx, await self._seal_tenant(tx, entries, position, hash_))
        end = rows[-1]
        await audit_sql.move_audit_sealing(tx, epoch=end.epoch, xid=end.xid, seq=end.seq)

    async def _seal_tenant(
        self, tx: Transaction, entries: Sequence[Entry], position: int, hash_: bytes
    ) -> Head:
        tenant_id = entries[0].tenant_id
        seals = []
        for number, entry in enumerate(entries, position + 1):
            seals.append(seal_after(hash_, number, entry.id, hash_of(entry)))
            hash_ = seals[-1].hash
        head = self._signer.sign(tenant_id, seals[-1].position, hash_, tx.now)
        await tx.switch_tenant(tenant_id)
        await audit_sql.insert_audit_seals(
            tx,
            tenant_id=tenant_id,
            positions=[seal.position for seal in seals],
            audit_ids=[seal.audit_id for seal in seals],
            entry_hashes=[seal.entry_hash for seal in seals],
            hashes=[seal.hash for seal in seals],
            count=head.count,
            hash=head.hash,
            sealed_at=head.sealed_at,
            key_id=head.key_id,
            signature=head.signature,
        )
        return head


def _announce(tx: Transaction, head: Head) -> None:
    outbox.append(
        tx,
        events.AuditSealed(
            count=head.count,
            hash=head.hash.hex(),
            sealed_at=timestamp(head.sealed_at),
            key_id=head.key_id,
            signature=head.signature.hex(),
        ),
        resource_id=RESOURCE,
        resource_version=head.count,
        ordering_key=RESOURCE,
        tenant_id=head.tenant_id,
    )
