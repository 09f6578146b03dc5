"""What an invoice costs as a tenant grows, and as its usage does: as much as before.

A tenant with few subscriptions is billed again and again. In between it is the turn of as many subscriptions
of a tenant with many, and of few again whose totals have many records behind them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from bench.billing_run import Run, move_away, seeded
from bench.platform import NewDatabase
from bench.report import Row, console, median_ratio, rates
from corebilling.db.pool import Database

FEW = 1_000
ROUNDS, LONG_ROUNDS = 8, 50
RECORDS_OF_EACH_TOTAL, LONG_RECORDS = 100, 1_000
MUST, GOAL = 0.90, 0.95

REOPEN = (
    "UPDATE billing_cycles SET state = 'closed' WHERE state <> 'closed'",
    "UPDATE usage_totals SET unrated = true, billed_quantity = 0, billed_amount = 0, billed_count = 0",
    "VACUUM ANALYZE billing_cycles, usage_totals",
)

RECORDS = """
INSERT INTO usage_records (tenant_id, recorded_at, key, subscription_item_id, quantity, received_at)
SELECT
    t.tenant_id, t.first_recorded_at + n * interval '1 second', gen_random_uuid(), t.subscription_item_id, 1,
    t.last_recorded_at
FROM usage_totals t, generate_series(1, $1::int) n
"""


@dataclass(frozen=True, slots=True)
class Tenant:
    """An installation with so many subscriptions to be billed."""

    admin: asyncpg.Connection
    worker: Database
    subscriptions: int

    async def rate(self, numbers: Sequence[int]) -> float:
        """Invoices per second, of these subscriptions."""
        return await Run(self.worker).in_batches(numbers)

    async def rate_anew(self) -> float:
        """The same of all of them, as if none had been billed."""
        await move_away(self.admin)
        for statement in REOPEN:
            await self.admin.execute(statement)
        return await self.rate(range(1, self.subscriptions + 1))

    async def close(self) -> None:
        await self.worker.close()
        await self.admin.close()


async def measure(new_database: NewDatabase, *, long: bool) -> list[Row]:
    rounds, records = (LONG_ROUNDS, LONG_RECORDS) if long else (ROUNDS, RECORDS_OF_EACH_TOTAL)
    few = await _tenant(new_database, "billing_few", FEW)
    many = await _tenant(new_database, "billing_many", FEW * rounds)
    used = await _tenant(new_database, "billing_used", FEW)
    await used.admin.execute("SELECT ensure_usage_partition('2026-01-01')")
    await used.admin.execute(RECORDS, records)
    grown, recorded = [], []
    for number in range(rounds):
        baseline = await few.rate_anew()
        grown.append((await many.rate(range(number * FEW + 1, (number + 1) * FEW + 1)), baseline))
        recorded.append((await used.rate_anew(), baseline))
    for tenant in (few, many, used):
        await tenant.close()
    console.print(f"billing as a tenant grows: {rates(grown)}, as its records do: {rates(recorded)}")
    baseline_name = f"a tenant with {FEW:,}"
    return [
        Row(
            f"billing run in a tenant with {FEW * rounds:,} subscriptions",
            baseline_name,
            median_ratio(grown),
            MUST,
            GOAL,
            rates(grown),
        ),
        Row(
            f"billing run with {FEW * 2 * records:,} usage records behind it",
            f"{baseline_name} and none",
            median_ratio(recorded),
            MUST,
            GOAL,
            rates(recorded),
        ),
    ]


async def _tenant(new_database: NewDatabase, name: str, subscriptions: int) -> Tenant:
    admin, worker = await seeded(await new_database(name), subscriptions)
    return Tenant(admin, worker, subscriptions)
