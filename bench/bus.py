"""The event path over each broker: dispatch against a bare producer, end to end, and commit to handler."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import asyncpg
from billing.event.v1 import event_pb2 as eventv1
from billing_db import outbox as outbox_sql

from bench import bare_brokers
from bench.events import CALLER, LATENCY_RATE, QUOTA_EVENTS, SCRATCH, TO_THE_END, append, effect, opened
from bench.platform import NewDatabase
from bench.report import Row, console, median_ratio, rates
from corebilling.app import open_bus
from corebilling.bus.delivery import START, Delivery, chain
from corebilling.bus.port import Bus, BusUnavailable
from corebilling.config import Settings
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.events import outbox
from corebilling.events.dispatcher import CONNECTION_SETTINGS, Dispatcher, DispatcherPolicy
from corebilling.events.envelope import SHARDS
from corebilling.events.handling import Handle, Handler
from corebilling.events.leases import ShardLeases
from corebilling.events.router import Router, RouterPolicy
from corebilling.values.clock import SystemClock
from corebilling.values.ids import new_id
from corebilling.values.subject import ANY_SUBJECT
from tests.support.broker import BrokerServer, LocalBroker
from tests.support.kafka import KafkaServer
from tests.support.nats import NatsServer

LOG_EVENTS = 40_000
AGGREGATES = 512
ROUNDS = 3
LATENCY_EVENTS = 2_000
WARM_UP_EVENTS = 400
TIMEOUT_S = 120.0

CLEAN = (
    "DELETE FROM event_watermarks",
    "DELETE FROM event_batches",
    "DELETE FROM workers",
    "UPDATE router_shards SET owner = '', lease_until = '-infinity'",
    "UPDATE outbox_shards SET epoch = 0, xid = 0, seq = 0, owner = '', lease_until = '-infinity'",
)
HANDLED_TO_THE_CURSORS = (
    "INSERT INTO event_watermarks SELECT 'bench', shard, epoch, xid, seq FROM outbox_shards"
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the log is."""

    worker: Database
    app_url: str
    admin_url: str

    async def begin(self, *more: str) -> None:
        """Nothing was dispatched or handled yet."""
        connection = await asyncpg.connect(self.admin_url)
        for statement in (*CLEAN, *more):
            await connection.execute(statement)
        await connection.close()


@asynccontextmanager
async def open_path(
    place: Place, server: BrokerServer, handle: Handle
) -> AsyncIterator[tuple[Bus, Dispatcher]]:
    """Everything but the dispatcher's loop is at work. The stream, or topic, is of its own: a broker would
    recognize the repetition of a round."""
    name, clock = new_id("bench"), SystemClock()
    settings = Settings(**server.settings, nats_stream=name.upper(), kafka_topic=name, kafka_group_id=name)
    leases = ShardLeases(place.worker, clock, settings.router_lease_seconds)
    async with AsyncExitStack() as stack:
        bus = await open_bus(stack, settings, leases, "bench")
        router = Router(place.worker, clock, {ANY_SUBJECT: [Handler("bench", handle)]}, RouterPolicy())
        await router.register()
        bus.subscribe(router.consume)
        tasks = [asyncio.ensure_future(loop()) for loop in (leases.run, bus.run, router.run)]
        try:
            yield (
                bus,
                Dispatcher(place.worker, bus, clock, DispatcherPolicy(quota_events=QUOTA_EVENTS)),
            )
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def publish(bus: Bus, deliveries: Sequence[Delivery]) -> None:
    """As soon as the bus is there."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            try:
                return await bus.publish(deliveries)
            except BusUnavailable:
                await asyncio.sleep(0.05)


async def read_log(worker: Database) -> list[list[Delivery]]:
    """All of it, shard by shard: each measurement of latencies makes it longer."""
    zeros = [0] * SHARDS
    async with worker.connection() as connection:
        rows = await outbox_sql.list_pending_events(
            connection,
            shards=list(range(SHARDS)),
            epochs=zeros,
            xids=zeros,
            seqs=zeros,
            log_epoch=1,
            quota=2 * LOG_EVENTS,
        )
    by_shard = [[row for row in rows if row.shard == shard] for shard in range(SHARDS)]
    return [chain(START, of_shard) for of_shard in by_shard if of_shard]


async def dispatch(place: Place, server: BrokerServer, log: Sequence[Sequence[Delivery]]) -> float:
    """Events per second from the log to the broker, acknowledged, with the cursors moved."""
    await place.begin()
    name = new_id("bench")
    settings = Settings(**server.settings, nats_stream=name.upper(), kafka_topic=name, kafka_group_id=name)
    async with AsyncExitStack() as stack:
        bus = await open_bus(stack, settings, ShardLeases(place.worker, SystemClock(), 5), "bench")
        await publish(bus, log[0][:1])
        dispatcher = Dispatcher(place.worker, bus, SystemClock(), DispatcherPolicy(quota_events=QUOTA_EVENTS))
        await dispatcher._renew()
        events, start = 0, time.perf_counter()
        while handed_over := await dispatcher._round(list(dispatcher._held.values())):
            events += handed_over
        rate = events / (time.perf_counter() - start)
    assert events == sum(map(len, log)), f"the bus took {events}"
    return rate


async def dispatch_and_route(place: Place, server: BrokerServer, log: Sequence[Sequence[Delivery]]) -> float:
    """Events per second from the log to committed effects."""
    await place.begin("TRUNCATE effects")
    handled, total, some, all_ = 0, sum(map(len, log)), asyncio.Event(), asyncio.Event()

    async def handle(tx: Transaction, event: eventv1.Event) -> None:
        nonlocal handled
        await effect(tx, event)
        handled += 1
        some.set()
        if handled == total:
            all_.set()

    async with open_path(place, server, handle) as (bus, dispatcher):
        await publish(bus, log[0][:1])
        async with asyncio.timeout(TIMEOUT_S):
            await some.wait()
            start = time.perf_counter()
            dispatching = asyncio.create_task(dispatcher.run())
            await all_.wait()
            rate = total / (time.perf_counter() - start)
        dispatching.cancel()
        await asyncio.gather(dispatching, return_exceptions=True)
    return rate


async def latencies(place: Place, server: BrokerServer) -> list[float]:
    """Seconds from commit to handler, at a steady rate; the first events, which warm up, are left out."""
    await place.begin(TO_THE_END, HANDLED_TO_THE_CURSORS)
    committed: dict[str, float] = {}
    handled: dict[str, float] = {}
    done = asyncio.Event()
    total = WARM_UP_EVENTS + LATENCY_EVENTS

    async def handle(_tx: Transaction, event: eventv1.Event) -> None:
        handled.setdefault(event.id, time.perf_counter())
        if len(handled) == total:
            done.set()

    async with open_path(place, server, handle) as (_, dispatcher):

        def wake(tx: Transaction) -> None:
            now = time.perf_counter()
            committed.update({event.id: now for event in tx.events})
            dispatcher.wake(outbox.shards_of(tx))

        async with opened(place.app_url, "corebilling_app", flush=outbox.flush, committed=wake) as writer:
            dispatching = asyncio.create_task(dispatcher.run())
            start = time.perf_counter()
            for number in range(total):
                await asyncio.sleep(max(0.0, start + number / LATENCY_RATE - time.perf_counter()))
                async with writer.transaction(CALLER) as tx:
                    append(tx, f"agg_{number % AGGREGATES}", number)
            async with asyncio.timeout(TIMEOUT_S):
                await done.wait()
            dispatching.cancel()
            await asyncio.gather(dispatching, return_exceptions=True)
    spans = [handled[event_id] - at for event_id, at in committed.items()]
    return sorted(spans[WARM_UP_EVENTS:])


async def measure(new_database: NewDatabase) -> list[Row]:
    """Of every broker that can be had here."""
    database = await new_database("bus")
    connection = await asyncpg.connect(database.admin)
    for statement in SCRATCH:
        await connection.execute(statement)
    await connection.close()
    async with opened(
        database.worker, "corebilling_worker", flush=outbox.flush, settings=CONNECTION_SETTINGS
    ) as worker:
        place = Place(worker, database.app, database.admin)
        await fill(place)
        log = await read_log(worker)
        local = [await dispatch_and_route(place, LocalBroker(), log) for _ in range(ROUNDS)]
        rows = await measure_broker(place, NatsServer(), local)
        if missing := KafkaServer.missing():
            console.print(f"bus: no Kafka, {missing}")
            return rows
        return rows + await measure_broker(place, KafkaServer(), local)


async def fill(place: Place) -> None:
    console.print(f"bus: filling the log with {LOG_EVENTS:,} events")
    async with opened(place.app_url, "corebilling_app", flush=outbox.flush) as writer:
        for start in range(0, LOG_EVENTS, 1000):
            async with writer.transaction(CALLER) as tx:
                for number in range(start, start + 1000):
                    append(tx, f"agg_{number % AGGREGATES}", number)


async def measure_broker(place: Place, server: NatsServer | KafkaServer, local: Sequence[float]) -> list[Row]:
    console.print(f"bus: {server.name}")
    await asyncio.to_thread(server.start)
    try:
        log = await read_log(place.worker)
        dispatched = [
            (await dispatch(place, server, log), await bare_brokers.produce(server, log))
            for _ in range(ROUNDS)
        ]
        routed = [(await dispatch_and_route(place, server, log), bare) for bare in local]
        spans = await latencies(place, server)
        bare_spans = await bare_brokers.latencies(
            server, log, rate=LATENCY_RATE, count=LATENCY_EVENTS, warm_up=WARM_UP_EVENTS
        )
    finally:
        await asyncio.to_thread(server.close)
    return [
        Row(
            f"{server.name}: dispatch",
            "bare producer",
            median_ratio(dispatched),
            0.60,
            0.80,
            rates(dispatched),
        ),
        Row(
            f"{server.name}: dispatch and route",
            "local bus",
            median_ratio(routed),
            0.50,
            0.70,
            rates(routed),
            informative=True,
        ),
        Row(
            f"{server.name}: commit to handler, p50",
            "bare producer to consumer",
            _p50_ms(bare_spans) / _p50_ms(spans),
            0.20,
            0.50,
            f"{_p50_ms(bare_spans):.1f} ÷ {_p50_ms(spans):.1f} ms; p99 {_p99_ms(bare_spans):.0f}, "
            f"{_p99_ms(spans):.0f} ms",
            informative=True,
        ),
    ]


def _p50_ms(spans: Sequence[float]) -> float:
    return statistics.median(spans) * 1000


def _p99_ms(spans: Sequence[float]) -> float:
    return spans[int(len(spans) * 0.99)] * 1000
