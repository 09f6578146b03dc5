"""The event path with much behind it, and with a reader that looks at the past: within 10 % of neither."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from statistics import median

import asyncpg
from billing.event.v1 import event_service_pb2 as rpc

from bench.events import CALLER, QUOTA_EVENTS, SCRATCH, append, effect, opened
from bench.platform import TENANT, BenchDatabase, NewDatabase
from bench.report import Row, console
from corebilling.bus.local import LocalBus
from corebilling.db.pool import Database
from corebilling.domains.event.service import EventService
from corebilling.events import outbox
from corebilling.events.dispatcher import CONNECTION_SETTINGS, Dispatcher, DispatcherPolicy
from corebilling.events.handling import Handler
from corebilling.events.router import Router, RouterPolicy
from corebilling.values.clock import SystemClock
from corebilling.values.subject import ANY_SUBJECT

ROUND_EVENTS = 10_000
AGGREGATES = 512
READS = 300
MIN_ROUNDS = 12
STEP_EVENTS = 250_000
MUST, GOAL = 0.90, 0.95

PAST = """
INSERT INTO billing_events (
    shard, xid, id, subject, tenant_id, resource_id, resource_version, ordering_key, payload_type, payload,
    correlation_id, causation_id, actor, traceparent, created_at
)
SELECT n % 64, 1 + n / 100000, 'evt_0' || lpad(n::text, 25, '0'), 'bench.happened', $1, 'past_' || n % 100000,
    n / 100000 + 1, 'past_' || n % 100000, 'billing.event.v1.CustomEvent', decode(repeat('00', 23), 'hex'),
    'cor_' || n / 5, '', 'key:bench', '', now()
FROM generate_series($2::bigint, $3::bigint) n
"""
"""With transaction ids below every real one: this was written long ago."""

PAST_HANDLED = "UPDATE outbox_shards SET epoch = 1, xid = $1, seq = (SELECT max(seq) FROM billing_events)"


@dataclass(frozen=True, slots=True)
class Installation:
    """One of those compared: a database with a dispatcher, a router and who writes."""

    writer: Database
    worker: Database
    dispatcher: Dispatcher
    old_resource_id: str

    async def flow(self) -> float:
        """Events per second from the log to committed effects."""
        await self._write()
        await self.dispatcher._renew()
        events, start = 0, time.perf_counter()
        while handed_over := await self.dispatcher._round(list(self.dispatcher._held.values())):
            events += handed_over
        rate = events / (time.perf_counter() - start)
        assert events == ROUND_EVENTS, f"{events} events came through"
        return rate

    async def read(self) -> float:
        """Reads per second: the newest page, a resource's oldest events, an event by its id, in turn."""
        events = EventService({})
        page = rpc.ListEventsRequest(page_size=50)
        async with self.writer.transaction(CALLER) as tx:
            last = (await events.list_events(tx, page)).events[0]
        asked: list[Callable[..., Awaitable[object]]] = []
        of_resource = rpc.ListEventsRequest(page_size=10, resource_id=self.old_resource_id)
        asked += [lambda tx: events.list_events(tx, page), lambda tx: events.list_events(tx, of_resource)]
        asked += [lambda tx: events.get_event(tx, rpc.GetEventRequest(event_id=last.id))]
        start = time.perf_counter()
        for number in range(READS):
            async with self.writer.transaction(CALLER) as tx:
                await asked[number % len(asked)](tx)
        return READS / (time.perf_counter() - start)

    async def _write(self) -> None:
        for start in range(0, ROUND_EVENTS, 1000):
            async with self.writer.transaction(CALLER) as tx:
                for number in range(start, start + 1000):
                    append(tx, f"agg_{number % AGGREGATES}", number)


@asynccontextmanager
async def installed(database: BenchDatabase, past_events: int) -> AsyncIterator[Installation]:
    clock = SystemClock()
    connection = await asyncpg.connect(database.admin)
    for statement in SCRATCH:
        await connection.execute(statement)
    await write_past(connection, past_events)
    await connection.close()
    async with (
        opened(database.app, "corebilling_app", flush=outbox.flush) as writer,
        opened(
            database.worker, "corebilling_worker", flush=outbox.flush, settings=CONNECTION_SETTINGS
        ) as worker,
    ):
        bus = LocalBus(1 << 20)
        router = Router(worker, clock, {ANY_SUBJECT: [Handler("bench", effect)]}, RouterPolicy())
        async with worker.connection() as of_worker:
            await of_worker.execute(
                "INSERT INTO event_watermarks SELECT 'bench', shard, epoch, xid, seq FROM outbox_shards"
            )
        await router.register()
        bus.subscribe(router.consume)
        policy = DispatcherPolicy(quota_events=QUOTA_EVENTS, lease_s=600)
        old_resource_id = "past_1" if past_events else "agg_1"
        yield Installation(writer, worker, Dispatcher(worker, bus, clock, policy), old_resource_id)


async def write_past(connection: asyncpg.Connection, events: int) -> None:
    """Of long ago, dispatched and handled."""
    for start in range(0, events, STEP_EVENTS):
        last = min(start + STEP_EVENTS, events) - 1
        await connection.execute(PAST, TENANT, start, last)
        console.print(f"history: {last + 1:,} of {events:,} events written")
    if events:
        await connection.execute(PAST_HANDLED, 1 + events // 100_000)


async def analyze(database: BenchDatabase) -> None:
    """As the database's own housekeeping would have, after a while."""
    connection = await asyncpg.connect(database.admin)
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


@asynccontextmanager
async def reader(database: BenchDatabase) -> AsyncIterator[None]:
    """A transaction that has read, and still may: nothing that it could see is cleaned away."""
    connection = await asyncpg.connect(database.admin)
    transaction = connection.transaction(isolation="repeatable_read", readonly=True)
    await transaction.start()
    await connection.fetchval("SELECT count(*) FROM outbox_shards")
    try:
        yield
    finally:
        await transaction.rollback()
        await connection.close()


async def measure(new_database: NewDatabase, *, long: bool) -> list[Row]:
    """Three installations in turn: an empty one, one with a past, and one with a reader."""
    past_events, held_s = (5_000_000, 120.0) if long else (500_000, 20.0)
    plain, past, read = [await new_database(f"history_{name}") for name in ("plain", "past", "read")]
    async with AsyncExitStack() as stack:
        empty = await stack.enter_async_context(installed(plain, 0))
        full = await stack.enter_async_context(installed(past, past_events))
        watched = await stack.enter_async_context(installed(read, 0))
        for installation in (empty, full, watched):
            await installation.flow()  # opens connections
        for database in (plain, past, read):
            await analyze(database)
        await stack.enter_async_context(reader(read))
        console.print(f"history: measuring for {held_s:g} s at least")
        flows: list[tuple[float, float, float]] = []
        reads: list[tuple[float, float]] = []
        end = asyncio.get_running_loop().time() + held_s
        while len(flows) < MIN_ROUNDS or asyncio.get_running_loop().time() < end:
            flows.append((await empty.flow(), await full.flow(), await watched.flow()))
            reads.append((await empty.read(), await full.read()))
    late = flows[len(flows) // 2 :]
    behind = f"{past_events / 1e6:g} M events of history"
    return [
        _row(f"dispatch and route, {behind}", [(flow[1], flow[0]) for flow in flows]),
        _row(f"the same, a reader open for {held_s:g} s", [(flow[2], flow[0]) for flow in late]),
        _row(f"reads of events, {behind}", [(pair[1], pair[0]) for pair in reads]),
    ]


def _row(path: str, pairs: list[tuple[float, float]]) -> Row:
    measured, bare = (median(column) for column in zip(*pairs, strict=True))
    ratio = median(one / other for one, other in pairs)
    detail = f"{measured:,.0f}/s ÷ {bare:,.0f}/s, {len(pairs)} pairs"
    return Row(path, "empty", ratio, MUST, GOAL, detail)
