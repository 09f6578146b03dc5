"""The billing run: closed cycles become charges, invoices, journals and events.

What the services do when they are given 500 cycles at a time, against the same use cases with one transaction
per invoice on eight connections, and against the floor: COPY of the finished rows into the same tables. And
what one process does with all that belongs to it: cycles are closed, events handled, usage marked as billed.
"""

import asyncio
import os
import time
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import asyncpg
from billing.event.v1 import event_pb2 as eventv1
from pydantic import SecretStr

from bench.platform import TENANT, BenchDatabase, NewDatabase
from bench.report import Row, console, median_ratio
from corebilling.app import App, DatabaseUrls
from corebilling.config import BusProvider, Settings
from corebilling.db.pool import Database
from corebilling.domains.invoice.finalizing import Finalizer, InvoicePolicy
from corebilling.domains.invoice.making import InvoiceMaker
from corebilling.domains.ledger.service import LedgerService
from corebilling.domains.rating.service import RatingService
from corebilling.events import outbox
from corebilling.values.caller import Caller
from corebilling.values.clock import SystemClock

CALLER = Caller(tenant_id=TENANT, actor="handler:bench", role="worker", permissions=frozenset())

ROUNDS = 3
CYCLES, LONG_CYCLES = 5_000, 50_000
BATCH_CYCLES = 500
BATCHES_AT_ONCE = 4
SINGLE_CYCLES = 1_000
SINGLE_AT_ONCE = 8
SERVED_CYCLES = 2_500
ROLES = ("scheduler", "dispatcher", "router")

SEED = Path(__file__).with_suffix(".sql")
# Children first. The log's sequence numbers are given anew.
WRITTEN = ("ledger_entries", "ledger_journals", "invoice_lines", "invoices", "charges", "billing_events")
GIVEN_BY_DATABASE = {"seq"}


class Run:
    """The use cases of the run, on a pool of the worker's role."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rating = RatingService()
        ledger = LedgerService()
        self._maker = InvoiceMaker(ledger, Finalizer(ledger, InvoicePolicy("INV", 30)))

    async def in_batches(self, numbers: Sequence[int]) -> float:
        """Invoices per second: rating and invoicing in transactions of their own, as the handlers' are."""
        batches = [numbers[at : at + BATCH_CYCLES] for at in range(0, len(numbers), BATCH_CYCLES)]
        return len(numbers) / await _timed(batches, self._batch, at_once=BATCHES_AT_ONCE)

    async def one_by_one(self, numbers: Sequence[int]) -> float:
        """Invoices per second with one transaction for each."""
        return len(numbers) / await _timed([[n] for n in numbers], self._single, at_once=SINGLE_AT_ONCE)

    async def _batch(self, numbers: Sequence[int]) -> None:
        for step in (self._rating.rate_cycles, self._maker.generate):
            async with self._database.transaction(CALLER) as tx:
                await tx.lock(*(f"cus_{n}" for n in numbers))
                await step(tx, _causes(numbers))

    async def _single(self, numbers: Sequence[int]) -> None:
        async with self._database.transaction(CALLER) as tx:
            await tx.lock(*(f"cus_{n}" for n in numbers))
            await self._rating.rate_cycles(tx, _causes(numbers))
            await self._maker.generate(tx, _causes(numbers))


async def serve(app: App, admin: asyncpg.Connection, numbers: Sequence[int]) -> float:
    """Invoices per second from cycles whose grace is over to invoices whose events are all handled."""
    await admin.execute(
        "UPDATE billing_cycles SET state = 'grace', due_at = period_end, closed_at = NULL "
        "WHERE id = ANY ($1)",
        [f"cyc_{n}" for n in numbers],
    )
    started = time.perf_counter()
    await app.drain()
    rate = len(numbers) / (time.perf_counter() - started)
    assert await admin.fetchval("SELECT count(*) FROM invoices") == len(numbers)
    return rate


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


async def measure(new_database: NewDatabase, *, long: bool) -> list[Row]:
    database = await new_database("billing_run")
    urls = DatabaseUrls(app=database.app, worker=database.worker)
    master_key = SecretStr(b64encode(os.urandom(32)).decode())
    settings = Settings(port=0, grpc_port=0, event_bus_provider=BusProvider.LOCAL, master_key=master_key)
    async with App.open(settings, urls, SystemClock(), roles=ROLES) as app:
        return await _measure(app, database, LONG_CYCLES if long else CYCLES, 1 if long else ROUNDS)


async def _measure(app: App, bench: BenchDatabase, cycles: int, rounds: int) -> list[Row]:
    per_round = cycles + SINGLE_CYCLES + SERVED_CYCLES
    admin, database = await seeded(bench, rounds * per_round)
    run = Run(database)
    to_single, to_floor, as_served = [], [], []
    for round_number in range(rounds):
        first = round_number * per_round + 1
        single = await run.one_by_one(range(first, first + SINGLE_CYCLES))
        await move_away(admin)
        served = await serve(app, admin, range(first + SINGLE_CYCLES + cycles, first + per_round))
        await move_away(admin)
        rate = await run.in_batches(range(first + SINGLE_CYCLES, first + SINGLE_CYCLES + cycles))
        floor = cycles / await _copy_again(admin)
        await move_away(admin)
        to_single.append((rate, single))
        to_floor.append((rate, floor))
        as_served.append((served, single))
        console.print(
            f"billing run: {rate:,.0f} invoices/s, one by one {single:,.0f}, COPY {floor:,.0f}; "
            f"as served {served:,.0f}"
        )
    await database.close()
    await admin.close()
    detail = f"{cycles:,} cycles of 3 lines, {BATCH_CYCLES} per transaction"
    return [
        Row(
            "billing run, services given 500 cycles at once",
            "one transaction per invoice",
            median_ratio(to_single),
            4,
            8,
            detail,
        ),
        Row(
            "billing run, services given 500 cycles at once",
            "COPY of the finished rows",
            median_ratio(to_floor),
            0.35,
            0.5,
            detail,
        ),
        Row(
            "billing run as one process serves it",
            "one transaction per invoice",
            median_ratio(as_served),
            1,
            2,
            f"{SERVED_CYCLES:,} cycles closed, rated, invoiced, events handled",
        ),
    ]


async def seeded(bench: BenchDatabase, subscriptions: int) -> tuple[asyncpg.Connection, Database]:
    """A connection of the superuser, and the workers' pool, on a database with so many to be billed."""
    admin = await asyncpg.connect(bench.admin)
    await admin.execute("SELECT set_config('bench.cycles', $1, false)", str(subscriptions))
    await admin.execute(SEED.read_text())
    pool = await Database.open(
        bench.worker,
        role="corebilling_worker",
        clock=SystemClock(),
        max_size=SINGLE_AT_ONCE,
        flush=outbox.flush,
    )
    return admin, pool


async def _copy_again(admin: asyncpg.Connection) -> float:
    """Seconds that it takes to COPY the rows that the run has written, after they are deleted."""
    written = {}
    for table in WRITTEN:
        rows = await admin.fetch(f"SELECT * FROM {table}")
        columns = [name for name, _ in rows[0].items() if name not in GIVEN_BY_DATABASE]
        written[table] = columns, [tuple(row[name] for name in columns) for row in rows]
    await move_away(admin)
    started = time.perf_counter()
    async with admin.transaction():
        for table in reversed(WRITTEN):
            columns, records = written[table]
            await admin.copy_records_to_table(table, columns=columns, records=records)
    return time.perf_counter() - started


async def move_away(admin: asyncpg.Connection) -> None:
    """Every measurement begins with empty tables and without leftovers to clean."""
    await admin.execute(f"TRUNCATE {', '.join(WRITTEN)} CASCADE")
