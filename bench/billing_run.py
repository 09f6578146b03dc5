"""The billing run: closed cycles become charges, invoices, journals and events.

What the services do when they are given 500 cycles at a time, against the same use cases with one transaction
per invoice on eight connections, and against the floor: COPY of the finished rows into the same tables. The
router hands its handlers one event at a time so far, so this is what the services allow, not what is served.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
from billing.event.v1 import event_pb2 as eventv1

from bench.platform import TENANT
from bench.report import Row, console, median_ratio
from corebilling.db.pool import Database
from corebilling.domains.invoice.service import InvoicePolicy, InvoiceService
from corebilling.domains.ledger.service import LedgerService
from corebilling.domains.rating.service import RatingService
from corebilling.events import outbox
from corebilling.values.caller import Caller
from corebilling.values.clock import SystemClock

CALLER = Caller(tenant_id=TENANT, actor="handler:bench", role="worker", permissions=frozenset())

ROUNDS = 3
CYCLES = 5_000
BATCH_CYCLES = 500
BATCHES_AT_ONCE = 4
SINGLE_CYCLES = 1_000
SINGLE_AT_ONCE = 8

SEED = Path(__file__).with_suffix(".sql")
# Children first. The log's sequence numbers are given anew.
WRITTEN = ("ledger_entries", "ledger_journals", "invoice_lines", "invoices", "charges", "billing_events")
GIVEN_BY_DATABASE = {"seq"}


class Run:
    """The use cases of the run, on a pool of the worker's role."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rating = RatingService()
        self._invoices = InvoiceService(self._rating, LedgerService(), InvoicePolicy("INV", 30))

    async def in_batches(self, numbers: Sequence[int]) -> float:
        """Invoices per second: rating and invoicing in transactions of their own, as the handlers' are."""
        batches = [numbers[at : at + BATCH_CYCLES] for at in range(0, len(numbers), BATCH_CYCLES)]
        return len(numbers) / await _timed(batches, self._batch, at_once=BATCHES_AT_ONCE)

    async def one_by_one(self, numbers: Sequence[int]) -> float:
        """Invoices per second with one transaction for each."""
        return len(numbers) / await _timed([[n] for n in numbers], self._single, at_once=SINGLE_AT_ONCE)

    async def _batch(self, numbers: Sequence[int]) -> None:
        for step in (self._rating.rate_cycles, self._invoices.generate):
            async with self._database.transaction(CALLER) as tx:
                await tx.lock(*(f"cus_{n}" for n in numbers))
                await step(tx, _causes(numbers))

    async def _single(self, numbers: Sequence[int]) -> None:
        async with self._database.transaction(CALLER) as tx:
            await tx.lock(*(f"cus_{n}" for n in numbers))
            await self._rating.rate_cycles(tx, _causes(numbers))
            await self._invoices.generate(tx, _causes(numbers))


def _causes(numbers: Sequence[int]) -> dict[str, eventv1.Event]:
    return {f"cyc_{n}": eventv1.Event(id=f"evt_{n:026d}") for n in numbers}


async def _timed(
    batches: Sequence[Sequence[int]], work: Callable[[Sequence[int]], Awaitable[None]], *, at_once: int
) -> float:
    waiting = iter(batches)

    async def worker() -> None:
        for batch in waiting:
            await work(batch)

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(at_once)))
    return time.perf_counter() - started


async def measure(admin_url: str, worker_url: str) -> list[Row]:
    """Runs on a migrated, empty database."""
    per_round = CYCLES + SINGLE_CYCLES
    admin = await asyncpg.connect(admin_url)
    await admin.execute("SELECT set_config('bench.cycles', $1, false)", str(ROUNDS * per_round))
    await admin.execute(SEED.read_text())
    database = await Database.open(
        worker_url,
        role="corebilling_worker",
        clock=SystemClock(),
        max_size=SINGLE_AT_ONCE,
        flush=outbox.flush,
    )
    run = Run(database)
    to_single, to_floor = [], []
    for round_number in range(ROUNDS):
        first = round_number * per_round + 1
        single = await run.one_by_one(range(first, first + SINGLE_CYCLES))
        await _move_away(admin)
        rate = await run.in_batches(range(first + SINGLE_CYCLES, first + per_round))
        floor = CYCLES / await _copy_again(admin)
        await _move_away(admin)
        to_single.append((rate, single))
        to_floor.append((rate, floor))
        console.print(f"billing run: {rate:,.0f} invoices/s, one by one {single:,.0f}, COPY {floor:,.0f}")
    await database.close()
    await admin.close()
    detail = f"{CYCLES:,} cycles of 3 lines, {BATCH_CYCLES} per transaction"
    return [
        Row(
            "billing run, services given 500 cycles at once",
            "one transaction per invoice",
            median_ratio(to_single),
            4,
            8,
            detail,
            informative=True,
        ),
        Row(
            "billing run, services given 500 cycles at once",
            "COPY of the finished rows",
            median_ratio(to_floor),
            0.35,
            0.5,
            detail,
            informative=True,
        ),
    ]


async def _copy_again(admin: asyncpg.Connection) -> float:
    """Seconds that it takes to COPY the rows that the run has written, after they are deleted."""
    written = {}
    for table in WRITTEN:
        rows = await admin.fetch(f"SELECT * FROM {table}")
        columns = [name for name, _ in rows[0].items() if name not in GIVEN_BY_DATABASE]
        written[table] = columns, [tuple(row[name] for name in columns) for row in rows]
    await _move_away(admin)
    started = time.perf_counter()
    async with admin.transaction():
        for table in reversed(WRITTEN):
            columns, records = written[table]
            await admin.copy_records_to_table(table, columns=columns, records=records)
    return time.perf_counter() - started


async def _move_away(admin: asyncpg.Connection) -> None:
    """Every measurement begins with empty tables and without leftovers to clean."""
    await admin.execute(f"TRUNCATE {', '.join(WRITTEN)} CASCADE")
