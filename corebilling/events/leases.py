"""Which shards this router works on, when its bus does not say so.

Leases spare routers each other's work; nothing depends on them: two that believe to hold one shard are kept
apart by the watermarks.
"""

import asyncio
import contextlib
import random
from datetime import timedelta

import structlog
from billing_db import lease as lease_sql
from billing_db import outbox as outbox_sql

from corebilling.db.pool import Database
from corebilling.errors import BillingError
from corebilling.events.envelope import SHARDS
from corebilling.events.transient import RETRY_LATER
from corebilling.values.clock import Clock
from corebilling.values.ids import new_id

log = structlog.get_logger(__name__)

ROLE = "router"


class ShardLeases:
    """A fair share of the shards among all routers alive. Times in seconds."""

    def __init__(self, database: Database, clock: Clock, lease_s: float) -> None:
        self._database = database
        self._clock = clock
        self._lease_s = lease_s
        self._id = new_id("wrk")
        self._held: frozenset[int] = frozenset()
        self._until = clock.now()

    def held(self) -> frozenset[int]:
        return self._held if self._clock.now() < self._until else frozenset()

    async def run(self) -> None:
        """Renews until canceled, then gives everything back."""
        try:
            while True:
                try:
                    await self.renew()
                except BillingError as error:  # The lease runs out if this lasts; others take over.
                    if error.code not in RETRY_LATER:
                        raise
                    log.warning("router.leases_not_renewed", reason=error.reason)
                await asyncio.sleep(self._lease_s / 3 * random.uniform(0.8, 1.2))
        finally:
            with contextlib.suppress(BillingError):
                await asyncio.shield(self._give_back())

    async def renew(self) -> None:
        """Says it is alive, keeps its share, takes free shards and gives back the surplus."""
        now = self._clock.now()
        until = now + timedelta(seconds=self._lease_s)
        async with self._database.connection() as connection:
            alive = await outbox_sql.upsert_worker(
                connection, role=ROLE, id=self._id, alive_until=until, now=now
            )
            shards = await lease_sql.claim_router_shards(
                connection, owner=self._id, now=now, lease_until=until, share=-(-SHARDS // alive)
            )
            if self._held - set(shards):
                await lease_sql.release_router_shards(connection, owner=self._id, keep=shards)
        self._held, self._until = frozenset(shards), until

    async def _give_back(self) -> None:
        self._held = frozenset()
        async with self._database.connection() as connection:
            await lease_sql.release_router_shards(connection, owner=self._id, keep=[])
            await outbox_sql.delete_worker(connection, role=ROLE, id=self._id, now=self._clock.now())
