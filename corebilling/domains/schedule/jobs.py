"""The scheduler: does what time makes due, however many schedulers run.

Live tenants go by the wall clock. A sandbox tenant's clock is stepped from boundary to boundary: it moves
on only when everything that fell due has been done and every event of the tenant has been handled, so that
each invoice bears the time of its own boundary.
"""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence

import structlog
from billing_db import inbox as inbox_sql
from billing_db import schedule as schedule_sql
from billing_db.schedule import ListDueLiveCyclesRow, ListDueSandboxCyclesRow
from prometheus_client import Counter

from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.schedule.dues import Dues, scheduler_of
from corebilling.domains.schedule.model import CycleState
from corebilling.domains.schedule.service import ScheduleService
from corebilling.errors import Aborted, BillingError, Unavailable
from corebilling.events.transient import RETRY_LATER
from corebilling.values.clock import Clock

log = structlog.get_logger(__name__)

CYCLE_FAILURES = Counter(
    "corebilling_scheduler_cycle_failures_total", "Billing cycles whose step failed and was set aside."
)
CLOCK_FAILURES = Counter(
    "corebilling_scheduler_clock_failures_total", "Test clocks whose step failed and was set aside."
)
BATCH_ROWS = 500
MOVING_INTERVAL_S = 0.02

DueCycle = ListDueLiveCyclesRow | ListDueSandboxCyclesRow


class Scheduler:
    """`interval_s`: how often to look for what the wall clock made due, in seconds."""

    def __init__(
        self, database: Database, schedule: ScheduleService, dues: Dues, clock: Clock, interval_s: float
    ) -> None:
        self._database = database
        self._schedule = schedule
        self._dues = dues
        self._clock = clock
        self._interval_s = interval_s

    async def run(self) -> None:
        """Works until canceled. Losing the database pauses it; an error of its own ends it, loudly."""
        while True:
            try:
                worked = await self.run_once()
                moving = await self._moving_tenants()
            except BillingError as error:
                if error.code not in RETRY_LATER:
                    raise
                log.warning("scheduler.paused", reason=error.reason)
                worked, moving = 0, []
            if not worked:
                pause_s = MOVING_INTERVAL_S if moving else self._interval_s
                await asyncio.sleep(pause_s * random.uniform(0.8, 1.2))

    async def run_once(self) -> int:
        """One round over everything due; returns how many steps it took."""
        steps = await self._step_live()
        for tenant_id in await self._moving_tenants():
            try:
                steps += await self._step_sandbox(tenant_id)
            except Aborted:  # As with a cycle.
                continue
            except Unavailable:
                raise
            except Exception as error:  # A fault of this tenant's clock: the others go on.
                await self._set_clock_aside(tenant_id, error)
        return steps

    async def _step_live(self) -> int:
        async with self._database.connection() as connection:
            due = await schedule_sql.list_due_live_cycles(
                connection, now=self._clock.now(), limit_rows=BATCH_ROWS
            )
        return await self._step_cycles(due) + await self._dues.settle(await self._dues.live())

    async def _step_sandbox(self, tenant_id: str) -> int:
        """Does what is due by the tenant's clock, else moves the clock to its next boundary."""
        caller = scheduler_of(tenant_id)
        async with self._database.transaction(caller) as tx:
            clock = await schedule_sql.find_test_clock(tx, tenant_id=tenant_id)
            if clock is None:
                return 0
            due = await schedule_sql.list_due_sandbox_cycles(
                tx,
                tenant_id=tenant_id,
                now=clock.now_at,
                wall=self._clock.now(),
                limit_rows=BATCH_ROWS,
            )
            in_books = await self._dues.sandbox(tx, clock.now_at)
        if due or in_books:
            return await self._step_cycles(due) + await self._dues.settle(in_books)
        if clock.now_at == clock.target_at:
            return 0
        async with self._database.transaction(caller) as tx:
            if await inbox_sql.get_tenant_pending(tx, tenant_id=tenant_id):
                return 0
            next_due = await schedule_sql.find_next_due(tx, tenant_id=tenant_id)
            boundary = clock.target_at if next_due is None else min(next_due, clock.target_at)
            await self._schedule.move_test_clock(tx, boundary)
        return 1

    async def _step_cycles(self, due: Sequence[DueCycle]) -> int:
        """Cycles to be closed go together, which is many times faster; all else step by step."""
        steps = 0
        closing: dict[str, list[DueCycle]] = defaultdict(list)
        for cycle in due:
            if cycle.state == CycleState.GRACE:
                closing[cycle.tenant_id].append(cycle)
            else:
                steps += await self._step_alone(cycle)
        for tenant_id, cycles in closing.items():
            steps += await self._close_together(tenant_id, cycles)
        return steps

    async def _close_together(self, tenant_id: str, cycles: Sequence[DueCycle]) -> int:
        try:
            async with self._database.transaction(scheduler_of(tenant_id)) as tx:
                return await self._schedule.close_cycles(
                    tx,
                    customer_ids=[cycle.customer_id for cycle in cycles],
                    cycle_ids=[cycle.id for cycle in cycles],
                )
        except Aborted:  # Another scheduler is at it; the next round sees what it left.
            return 0
        except Unavailable:
            raise
        except Exception as error:  # A fault of one of them: it is found, and set aside, alone.
            log.info("scheduler.batch_failed", tenant_id=tenant_id, cycles=len(cycles), error=repr(error))
            return sum([await self._step_alone(cycle) for cycle in cycles])

    async def _step_alone(self, cycle: DueCycle) -> bool:
        try:
            async with self._database.transaction(scheduler_of(cycle.tenant_id)) as tx:
                return await self._step_cycle(tx, cycle)
        except Aborted:  # Another scheduler is at it; the next round sees what it left.
            return False
        except Unavailable:
            raise
        except Exception as error:  # A fault of this cycle, whatever it is: the others go on.
            await self._set_cycle_aside(cycle, error)
            return False

    async def _set_cycle_aside(self, cycle: DueCycle, error: Exception) -> None:
        CYCLE_FAILURES.inc()
        async with self._database.transaction(scheduler_of(cycle.tenant_id)) as tx:
            attempts = await schedule_sql.mark_cycle_failed(
                tx, tenant_id=cycle.tenant_id, id=cycle.id, now=self._clock.now()
            )
        log.error(
            "scheduler.cycle_failed",
            tenant_id=cycle.tenant_id,
            cycle_id=cycle.id,
            attempts=attempts,
            exc_info=error,
        )

    async def _set_clock_aside(self, tenant_id: str, error: Exception) -> None:
        CLOCK_FAILURES.inc()
        async with self._database.transaction(scheduler_of(tenant_id)) as tx:
            attempts = await schedule_sql.mark_test_clock_failed(
                tx, tenant_id=tenant_id, now=self._clock.now()
            )
        log.error("scheduler.clock_failed", tenant_id=tenant_id, attempts=attempts, exc_info=error)

    async def _step_cycle(self, tx: Transaction, cycle: DueCycle) -> bool:
        return await self._schedule.step_cycle(tx, customer_id=cycle.customer_id, cycle_id=cycle.id)

    async def _moving_tenants(self) -> Sequence[str]:
        async with self._database.connection() as connection:
            return await schedule_sql.list_busy_clocks(
                connection, wall=self._clock.now(), limit_rows=BATCH_ROWS
            )
