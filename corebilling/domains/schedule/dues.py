"""What falls due in the books: found, and settled many at a time; one that cannot be is set aside alone."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime

import structlog
from billing_db import schedule as schedule_sql
from billing_db.schedule import ListLiveDuesRow, ListSandboxDuesRow
from prometheus_client import Counter

from corebilling.db.pool import Database
from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.errors import Aborted, Unavailable
from corebilling.values.caller import Caller
from corebilling.values.clock import Clock

log = structlog.get_logger(__name__)

DUE_FAILURES = Counter(
    "corebilling_scheduler_due_failures_total", "What fell due in the books, failed and was set aside."
)
BATCH_ROWS = 500

Due = ListLiveDuesRow | ListSandboxDuesRow
Settle = Callable[[Transaction, Sequence[str]], Awaitable[None]]
"""Settles what is due of one kind, by the ids of what it is about; the customers are locked."""


class Dues:
    """`kinds`: how each kind of `ledger_dues` is settled."""

    def __init__(self, database: Database, clock: Clock, kinds: Mapping[str, Settle]) -> None:
        self._database = database
        self._clock = clock
        self._kinds = kinds

    async def live(self) -> Sequence[Due]:
        """What the wall clock made due."""
        async with self._database.connection() as connection:
            return await schedule_sql.list_live_dues(connection, now=self._clock.now(), limit_rows=BATCH_ROWS)

    async def sandbox(self, tx: Transaction, now: datetime) -> Sequence[Due]:
        """What the tenant's own clock made due."""
        return await schedule_sql.list_sandbox_dues(
            tx, tenant_id=tx.tenant_id, now=now, wall=self._clock.now(), limit_rows=BATCH_ROWS
        )

    async def settle(self, dues: Sequence[Due]) -> int:
        """Settles them, each kind of a tenant together; returns how many."""
        together: dict[tuple[str, str], list[Due]] = defaultdict(list)
        for due in dues:
            together[due.tenant_id, due.kind].append(due)
        return sum([await self._settle(*key, some) for key, some in together.items()])

    async def _settle(self, tenant_id: str, kind: str, dues: Sequence[Due]) -> int:
        try:
            async with self._database.transaction(scheduler_of(tenant_id)) as tx:
                await tx.lock(*{due.customer_id for due in dues})
                due_still = await schedule_sql.list_dues_to_settle(
                    tx,
                    tenant_id=tenant_id,
                    kind=kind,
                    source_ids=[due.source_id for due in dues],
                    now=(await tenant_profile(tx)).now,
                )
                if due_still:
                    await self._kinds[kind](tx, due_still)
                return len(due_still)
        except Aborted:  # Another scheduler is at it; the next round sees what it left.
            return 0
        except Unavailable:
            raise
        except Exception as error:  # A fault of one of them: it is found, and set aside, alone.
            if len(dues) > 1:
                log.info("scheduler.batch_failed", tenant_id=tenant_id, dues=len(dues), error=repr(error))
                return sum([await self._settle(tenant_id, kind, [due]) for due in dues])
            await self._set_aside(dues[0], error)
            return 0

    async def _set_aside(self, due: Due, error: Exception) -> None:
        DUE_FAILURES.inc()
        async with self._database.transaction(scheduler_of(due.tenant_id)) as tx:
            attempts = await schedule_sql.mark_due_failed(
                tx, tenant_id=due.tenant_id, kind=due.kind, source_id=due.source_id, now=self._clock.now()
            )
        log.error(
            "scheduler.due_failed",
            tenant_id=due.tenant_id,
            kind=due.kind,
            source_id=due.source_id,
            attempts=attempts,
            exc_info=error,
        )


def scheduler_of(tenant_id: str) -> Caller:
    """As whom the scheduler works for a tenant."""
    return Caller(tenant_id=tenant_id, actor="job:scheduler", role="worker", permissions=frozenset())
