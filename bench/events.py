"""The event path: dispatch drain, inbox, producers with and without outbox, commit-to-handler latency."""

import asyncio
import multiprocessing
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import uvloop
from billing.event.v1 import event_pb2 as eventv1
from billing_db import outbox as outbox_sql
from billing_db.outbox import LIST_PENDING_EVENTS

from bench.platform import TENANT, bare_program
from bench.report import Row, console, median_ratio, rates
from corebilling.bus.delivery import START, Delivery, chain
from corebilling.bus.local import LocalBus
from corebilling.bus.noop import NoopBus
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.events import outbox
from corebilling.events.dispatcher import CONNECTION_SETTINGS, Dispatcher, DispatcherPolicy
from corebilling.events.envelope import SHARDS
from corebilling.events.handling import Handler
from corebilling.events.router import Router, RouterPolicy
from corebilling.running import collect_garbage_seldom
from corebilling.values.caller import Caller
from corebilling.values.clock import SystemClock
from corebilling.values.subject import ANY_SUBJECT

CALLER = Caller(tenant_id=TENANT, actor="key:bench", role="owner", permissions=frozenset())

LOG_EVENTS = 100_000
QUOTA_EVENTS = 500
INBOX_EVENTS = 10_000
INBOX_BATCH_EVENTS = 100
PRODUCERS = 8
PRODUCER_SECONDS = 3.0
LATENCY_EVENTS = 2_000
WARM_UP_EVENTS = 200
LATENCY_RATE = 200
ROUNDS = 3

TO_THE_END = """
UPDATE outbox_shards SET epoch = 1, xid = e.xid, seq = e.seq, owner = '', lease_until = '-infinity'
FROM (SELECT max(xid) AS xid, max(seq) AS seq FROM billing_events) e
"""

# The handling of an earlier round's last event may have been cancelled: it is none of this round's.
HANDLED_TO_THE_END = """
UPDATE event_watermarks w SET epoch = s.epoch, xid = s.xid, seq = s.seq
FROM outbox_shards s WHERE s.shard = w.shard AND w.handler = 'latency'
"""

SCRATCH = (
    "CREATE TABLE aggregates (id text PRIMARY KEY, version bigint NOT NULL)",
    "CREATE TABLE effects (event_id text, resource_id text, version bigint)",
    "INSERT INTO aggregates SELECT 'agg_' || n, 0 FROM generate_series(0, 63) n",
    "GRANT SELECT, INSERT, UPDATE ON aggregates, effects TO corebilling_app, corebilling_worker",
)


def append(tx: Transaction, resource_id: str, version: int) -> eventv1.Event:
    event = eventv1.CustomEvent()
    event.data["amount"] = version
    return outbox.append(
        tx,
        event,
        subject="bench.happened",
        resource_id=resource_id,
        resource_version=version,
        ordering_key=resource_id,
    )


@asynccontextmanager
async def opened(url: str, role: str, **options: Any) -> AsyncIterator[Database]:
    database = await Database.open(url, role=role, clock=SystemClock(), max_size=12, **options)
    try:
        yield database
    finally:
        await database.close()


async def fill(writer: Database) -> None:
    for start in range(0, LOG_EVENTS, 1000):
        async with writer.transaction(CALLER) as tx:
            for number in range(start, start + 1000):
                append(tx, f"agg_{number % 512}", number)


async def read_bare(worker: Database) -> float:
    """Events per second of reading the log by cursor, and nothing else."""
    cursors = [(shard, 0, 0, 0) for shard in range(SHARDS)]
    events, start = 0, time.perf_counter()
    async with worker.connection() as connection:
        while True:
            shards, epochs, xids, seqs = (list(column) for column in zip(*cursors, strict=True))
            # As the generated query passes them.
            rows = await connection.fetch(LIST_PENDING_EVENTS, shards, epochs, xids, seqs, 1, QUOTA_EVENTS)
            if not rows:
                return events / (time.perf_counter() - start)
            events += len(rows)
            last = {row["shard"]: (row["shard"], row["epoch"], row["xid"], row["seq"]) for row in rows}
            cursors = [last.get(cursor[0], cursor) for cursor in cursors]


async def drain(worker: Database) -> float:
    """Events per second of the dispatcher with a bus that does nothing."""
    async with worker.connection() as connection:
        await connection.execute(
            "UPDATE outbox_shards SET epoch = 0, xid = 0, seq = 0, lease_until = '-infinity'"
        )
    dispatcher = Dispatcher(worker, NoopBus(), SystemClock(), DispatcherPolicy(quota_events=QUOTA_EVENTS))
    await dispatcher._renew()
    events, start = 0, time.perf_counter()
    while handed_over := await dispatcher._round(list(dispatcher._held.values())):
        events += handed_over
    return events / (time.perf_counter() - start)


async def effect(tx: Transaction, event: eventv1.Event) -> None:
    await tx.execute(
        "INSERT INTO effects VALUES ($1, $2, $3)",
        event.id,
        event.resource_id,
        event.metadata.resource_version,
    )


async def shard_deliveries(worker: Database, limit: int) -> list[Delivery]:
    async with worker.connection() as connection:
        rows = await outbox_sql.list_pending_events(
            connection, shards=[1], epochs=[0], xids=[0], seqs=[0], log_epoch=1, quota=limit
        )
    return chain(START, rows)


async def handle_bare(worker: Database, deliveries: Sequence[Delivery]) -> float:
    start = time.perf_counter()
    for batch in batches(deliveries):
        async with worker.transaction(CALLER) as tx:
            for delivery in batch:
                await effect(tx, delivery.event)
    return len(deliveries) / (time.perf_counter() - start)


async def handle_with_inbox(worker: Database, deliveries: Sequence[Delivery]) -> float:
    router = Router(worker, SystemClock(), {ANY_SUBJECT: [Handler("bench", effect)]}, RouterPolicy())
    async with worker.connection() as connection:
        await connection.execute("UPDATE outbox_shards SET epoch = 0, xid = 0, seq = 0")
        await router.register()
        await connection.execute(
            "UPDATE event_watermarks SET epoch = 0, xid = 0, seq = 0 WHERE handler = 'bench'"
        )
    start = time.perf_counter()
    for batch in batches(deliveries):
        await router.consume(batch)
    return len(deliveries) / (time.perf_counter() - start)


def batches(deliveries: Sequence[Delivery]) -> list[Sequence[Delivery]]:
    return [deliveries[i : i + INBOX_BATCH_EVENTS] for i in range(0, len(deliveries), INBOX_BATCH_EVENTS)]


async def produce(writer: Database, *, with_event: bool) -> float:
    """Transactions per second of some producers, each changing its own aggregates."""
    done = 0

    async def work(producer: int) -> None:
        nonlocal done
        number = 0
        while time.perf_counter() < end:
            resource_id = f"agg_{(producer * 8 + number % 8) % 64}"
            async with writer.transaction(CALLER) as tx:
                await tx.lock(resource_id)
                version = await tx.fetchval(
                    "UPDATE aggregates SET version = version + 1 WHERE id = $1 RETURNING version", resource_id
                )
                if with_event:
                    append(tx, resource_id, version)
            number += 1
            done += 1

    end = time.perf_counter() + PRODUCER_SECONDS
    await asyncio.gather(*(work(producer) for producer in range(PRODUCERS)))
    return done / PRODUCER_SECONDS


async def until_dispatching(worker: Database) -> None:
    """A process that is still starting takes the time of those that are measured."""
    leased = "SELECT every(lease_until > now()) FROM outbox_shards"
    async with asyncio.timeout(30), worker.connection() as connection:
        while not await connection.fetchval(leased):  # noqa: ASYNC110 (a row has no event)
            await asyncio.sleep(0.05)


def dispatch_forever(url: str) -> None:
    """A live dispatcher, in a process of its own as in production."""

    async def run() -> None:
        collect_garbage_seldom()
        async with opened(url, "corebilling_worker", settings=CONNECTION_SETTINGS) as worker:
            await Dispatcher(worker, NoopBus(), SystemClock(), DispatcherPolicy()).run()

    uvloop.run(run())


async def latencies(writer_url: str, worker_url: str) -> list[float]:
    """Seconds from commit to handler, at a steady rate, all in one process.

    The first events open connections and make plans: they are not counted.
    """
    committed: dict[str, float] = {}
    handled: dict[str, float] = {}
    done = asyncio.Event()
    total = WARM_UP_EVENTS + LATENCY_EVENTS

    async def handle(_tx: Transaction, event: eventv1.Event) -> None:
        handled[event.id] = time.perf_counter()
        if len(handled) == total:
            done.set()

    async with opened(
        worker_url, "corebilling_worker", flush=outbox.flush, settings=CONNECTION_SETTINGS
    ) as worker:
        bus = LocalBus(1 << 20)
        router = Router(worker, SystemClock(), {ANY_SUBJECT: [Handler("latency", handle)]}, RouterPolicy())
        async with worker.connection() as connection:
            await connection.execute(TO_THE_END)
            await connection.execute("DELETE FROM workers")
            await router.register()
            await connection.execute(HANDLED_TO_THE_END)
        bus.subscribe(router.consume)
        dispatcher = Dispatcher(worker, bus, SystemClock(), DispatcherPolicy())

        def wake(tx: Transaction) -> None:
            now = time.perf_counter()
            committed.update({event.id: now for event in tx.events})
            dispatcher.wake(outbox.shards_of(tx))

        async with opened(writer_url, "corebilling_app", flush=outbox.flush, committed=wake) as writer:
            running = asyncio.create_task(dispatcher.run())
            start = time.perf_counter()
            for number in range(total):
                await asyncio.sleep(max(0.0, start + number / LATENCY_RATE - time.perf_counter()))
                async with writer.transaction(CALLER) as tx:
                    append(tx, f"agg_{number % 64}", number)
            async with asyncio.timeout(10):
                await done.wait()
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
    spans = [handled[event_id] - at for event_id, at in committed.items()]
    return sorted(spans[WARM_UP_EVENTS:])


async def measure(app_url: str, worker_url: str) -> list[Row]:
    """Prints progress and returns the rows; the database is the bench's own, migrated, with SCRATCH."""
    rows = []
    async with opened(app_url, "corebilling_app", flush=outbox.flush) as writer:
        console.print(f"events: filling the log with {LOG_EVENTS:,} events")
        await fill(writer)
        async with opened(
            worker_url, "corebilling_worker", flush=outbox.flush, settings=CONNECTION_SETTINGS
        ) as worker:
            pairs = []
            for _ in range(ROUNDS):
                with bare_program():
                    bare = await read_bare(worker)
                pairs.append((await drain(worker), bare))
            rows.append(
                Row(
                    "dispatch drain, no-op publisher",
                    "bare cursor read",
                    median_ratio(pairs),
                    0.45,
                    0.65,
                    rates(pairs),
                )
            )
            console.print("events: inbox")
            deliveries = await shard_deliveries(worker, INBOX_EVENTS)
            pairs = []
            for _ in range(ROUNDS):
                bare = await handle_bare(worker, deliveries)
                pairs.append((await handle_with_inbox(worker, deliveries), bare))
            rows.append(Row("inbox", "same effects without", median_ratio(pairs), 0.60, 0.75, rates(pairs)))
            console.print("events: producers")
            rows.append(await measure_producers(writer, worker, worker_url))
    console.print(f"events: commit to handler at {LATENCY_RATE}/s")
    rows.append(await measure_latency(app_url, worker_url))
    return rows


async def measure_latency(app_url: str, worker_url: str) -> Row:
    """Milliseconds, the median round's."""
    rounds = [await latencies(app_url, worker_url) for _ in range(ROUNDS)]
    p50 = statistics.median(statistics.median(spans) for spans in rounds) * 1000
    p99s = [spans[int(len(spans) * 0.99)] * 1000 for spans in rounds]
    each = " / ".join(f"{p99:.1f}" for p99 in p99s)
    return Row(
        "commit to handler, p99",
        f"{LATENCY_RATE} events/s",
        statistics.median(p99s),
        10,
        3,
        f"p50 {p50:.2f} ms, p99 of each {LATENCY_EVENTS:,} events {each} ms",
        lower_is_better=True,
    )


async def measure_producers(writer: Database, worker: Database, worker_url: str) -> Row:
    pairs = []
    for _ in range(ROUNDS):
        bare = await produce(writer, with_event=False)
        process = multiprocessing.get_context("spawn").Process(
            target=dispatch_forever, args=(worker_url,), daemon=True
        )
        process.start()
        await until_dispatching(worker)
        pairs.append((await produce(writer, with_event=True), bare))
        process.kill()
        process.join()
        async with worker.connection() as connection:
            await connection.execute("UPDATE outbox_shards SET lease_until = '-infinity'")
    return Row("producers, 1 event per tx", "same tx without", median_ratio(pairs), 0.40, 0.55, rates(pairs))
