"""The event path as production runs it: nodes of dispatcher, bus and router, on real servers."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.process import BaseProcess
from typing import Any

from billing_db.models import BillingEvent
from prometheus_client import REGISTRY

from corebilling import policies
from corebilling.app import installation_id, open_bus
from corebilling.bus.delivery import START, Delivery, chain
from corebilling.bus.port import Bus, BusUnavailable, Consumer
from corebilling.config import Settings
from corebilling.db.pool import Database
from corebilling.events import outbox
from corebilling.events.dispatcher import CONNECTION_SETTINGS, Dispatcher, DispatcherPolicy
from corebilling.events.handling import Handler
from corebilling.events.leases import ShardLeases
from corebilling.events.router import Router, RouterPolicy
from corebilling.values.clock import SystemClock
from corebilling.values.ids import new_id
from corebilling.values.subject import ANY_SUBJECT
from tests.support.broker import BrokerServer
from tests.support.nats import publish_unrecognized
from tests.support.pipeline import TENANT, Witness, append, caller, open_database, scratch
from tests.support.postgres import TestDatabase

WITHIN_S = 60.0
NEVER_S = 3600.0
KEYS = 12
CONCURRENT_SHARDS = 4

Loop = Callable[[], Awaitable[None]]

_DISPATCHING = DispatcherPolicy(poll_s=0.02, lease_s=1.0, pause_base_s=0.1, pause_max_s=1)


@dataclass
class Node:
    """A process of the event path, or part of one, with its own connection to the bus."""

    bus: Bus
    running: list["asyncio.Task[None]"]

    async def stop(self) -> None:
        for task in self.running:
            task.cancel()
        results = await asyncio.gather(*self.running, return_exceptions=True)
        for result in results:
            assert isinstance(result, asyncio.CancelledError), repr(result)


@dataclass
class Path:
    """Writes events, and knows what handlers made of them."""

    database: TestDatabase
    writer: Database
    worker: Database
    settings: Settings
    witness: Witness
    sweep_s: float
    written: dict[str, list[str]] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start_node(self, *, routing: bool = True) -> Node:
        """Joins one more; with the local bus there can be one only."""
        bus, dispatch, *route = await open_node(
            self._stack, self.worker, self.settings, self.witness, sweep_s=self.sweep_s
        )
        return self._start(bus, [dispatch, *route] if routing else [dispatch])

    async def start_consumer(self, consumer: Consumer) -> Node:
        """A bus alone, that hands to this consumer what would be a router's."""
        leases = ShardLeases(self.worker, SystemClock(), lease_s=1.0)
        bus = await open_bus(self._stack, self.settings, leases, await installation_id(self.worker))
        bus.subscribe(consumer)
        return self._start(bus, [leases.run, bus.run])

    def _start(self, bus: Bus, loops: Sequence[Loop]) -> Node:
        node = Node(bus, [asyncio.ensure_future(loop()) for loop in loops])
        self.nodes.append(node)
        return node

    @contextmanager
    def node_process(self, name: str) -> Iterator[BaseProcess]:
        """A node in a process of its own; its effects are under this name."""
        process = multiprocessing.get_context("spawn").Process(
            target=_serve, args=(self.database.url("corebilling_worker"), self.settings, name), daemon=True
        )
        process.start()
        try:
            yield process
        finally:
            process.kill()
            process.join()

    async def write(self, count: int, keys: int = KEYS) -> None:
        """So many events of each key, a transaction each."""
        for _ in range(count):
            for number in range(keys):
                key = f"k{number}"
                async with self.writer.transaction(caller()) as tx:
                    await tx.lock(key)
                    of_key = self.written.setdefault(key, [])
                    event = append(tx, key, len(of_key) + 1, key=key)
                of_key.append(event.id)

    async def effects(self) -> dict[str, list[str]]:
        """By key, in the order they came about."""
        rows = await self.database.admin("SELECT resource_id, event_id FROM effects ORDER BY nr")
        by_key: dict[str, list[str]] = {}
        for row in rows:
            by_key.setdefault(row["resource_id"], []).append(row["event_id"])
        return by_key

    async def effects_of(self, name: str) -> int:
        rows = await self.database.admin("SELECT count(*) AS n FROM effects WHERE handler = $1", name)
        return int(rows[0]["n"])

    async def all_took_effect_once_in_order(self) -> None:
        """Waits for it; a repetition or an inversion shows at the end, since nothing is ever taken back."""
        wanted = sum(map(len, self.written.values()))
        async with asyncio.timeout(WITHIN_S):
            while (await self.database.admin("SELECT count(*) AS n FROM effects"))[0]["n"] < wanted:
                self._assert_running()
                await asyncio.sleep(0.02)
        assert await self.effects() == self.written

    async def until_dispatched(self) -> None:
        async with asyncio.timeout(WITHIN_S):
            while await self.database.admin(  # noqa: ASYNC110  # another process may do it
                "SELECT FROM billing_event_states WHERE state = 'pending' LIMIT 1"
            ):
                await asyncio.sleep(0.02)

    async def deliveries(self) -> list[Delivery]:
        """What was written, as it would be published again, shard by shard and in order."""
        async with self.worker.connection() as connection:
            rows = await connection.fetch("SELECT * FROM billing_events ORDER BY shard, epoch, xid, seq")
        by_shard: dict[int, list[BillingEvent]] = {}
        for row in rows:
            by_shard.setdefault(row["shard"], []).append(BillingEvent(**row))
        return [delivery for of_shard in by_shard.values() for delivery in chain(START, of_shard)]

    async def inject(self, bus: Bus, deliveries: Sequence[Delivery]) -> None:
        """Straight into the broker, in this order. It does not recognize repetitions."""
        if self.settings.event_bus_provider == "nats":
            address = policies.nats_address(self.settings, await installation_id(self.worker))
            await publish_unrecognized(address, deliveries)
        else:
            await publish(bus, deliveries)

    def _assert_running(self) -> None:
        for node in self.nodes:
            for task in node.running:
                if task.done() and not task.cancelled():
                    task.result()

    async def close(self) -> None:
        for node in self.nodes:
            if not all(task.done() for task in node.running):
                await node.stop()
        await self._stack.aclose()


@asynccontextmanager
async def event_path(
    database: TestDatabase, broker: BrokerServer, *, nodes: int = 1, sweep_s: float = NEVER_S
) -> AsyncIterator[Path]:
    """A stream, topic and consumer group of its own, so that tests on one server are strangers.

    Without a sweep everything must come over the bus, or be missed when something later comes.
    """
    name = new_id("t")
    settings = Settings(
        **broker.settings,
        nats_stream=name.upper(),
        kafka_topic=name,
        kafka_group_id=name,
        router_concurrent_shards=CONCURRENT_SHARDS,
    )
    await scratch(database)
    async with AsyncExitStack() as stack:
        clock: Any = SystemClock()
        writer = await open_database(stack, database, clock, "corebilling_app")
        worker = await open_database(stack, database, clock, "corebilling_worker")
        path = Path(database, writer, worker, settings, Witness("first"), sweep_s)
        try:
            for _ in range(nodes):
                await path.start_node()
            yield path
        finally:
            await path.close()


async def open_node(
    stack: AsyncExitStack, worker: Database, settings: Settings, witness: Witness, *, sweep_s: float
) -> tuple[Bus, Loop, Loop, Loop, Loop]:
    """The bus, and the loops that make a node, of which the first dispatches."""
    clock = SystemClock()
    leases = ShardLeases(worker, clock, lease_s=1.0)
    bus = await open_bus(stack, settings, leases, await installation_id(worker))
    table = {ANY_SUBJECT: [Handler("first", witness)]}
    router = Router(worker, clock, table, RouterPolicy(sweep_s=sweep_s, retry_s=0.1))
    await router.register()
    bus.subscribe(router.consume)
    dispatcher = Dispatcher(worker, bus, clock, _DISPATCHING)
    return bus, dispatcher.run, leases.run, bus.run, router.run


def _serve(worker_url: str, settings: Settings, name: str) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            worker = await Database.open(
                worker_url,
                role="corebilling_worker",
                clock=SystemClock(),
                max_size=8,
                flush=outbox.flush,
                settings=CONNECTION_SETTINGS,
            )
            stack.push_async_callback(worker.close)
            _, *loops = await open_node(stack, worker, settings, Witness(name), sweep_s=NEVER_S)
            await asyncio.gather(*(loop() for loop in loops))

    asyncio.run(run())


async def publish(bus: Bus, deliveries: Sequence[Delivery]) -> None:
    """One by one, each as soon as the bus takes it."""
    async with asyncio.timeout(WITHIN_S):
        for delivery in deliveries:
            while True:
                try:
                    await bus.publish([delivery])
                    break
                except BusUnavailable:  # It has only just been opened.
                    await asyncio.sleep(0.02)


async def eventually(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.02)


def undecodable() -> float:
    """How many messages were passed over."""
    return REGISTRY.get_sample_value("corebilling_bus_undecodable_total") or 0


def delivery(seq: int, *, shard: int = 0, payload_bytes: int = 10, traceparent: str = "") -> Delivery:
    """Of an event that was never in a log."""
    row = BillingEvent(
        shard=shard,
        epoch=1,
        xid=1,
        seq=seq,
        id=new_id("evt"),
        subject="thing.happened",
        tenant_id=TENANT,
        resource_id="k",
        resource_version=seq,
        ordering_key="k",
        payload_type="billing.event.v1.CustomEvent",
        payload=b"\0" * payload_bytes,
        correlation_id="",
        causation_id="",
        actor="",
        traceparent=traceparent,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Delivery(row, START)


@dataclass
class Seen:
    """A consumer that remembers; it fails when told to, and holds what it has while it may not go on."""

    seqs: list[tuple[int, int]] = field(default_factory=list)
    calls: int = 0
    busy: set[int] = field(default_factory=set)
    most_busy: int = 0
    errors: list[Exception] = field(default_factory=list)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.may_go_on.set()

    async def __call__(self, deliveries: Sequence[Delivery]) -> None:
        (shard,) = {it.shard for it in deliveries}
        assert shard not in self.busy, "two batches of one shard at once"
        self.calls += 1
        self.busy.add(shard)
        self.most_busy = max(self.most_busy, len(self.busy))
        try:
            await self.may_go_on.wait()
            if self.errors:
                raise self.errors.pop()
        finally:
            self.busy.remove(shard)
        self.seqs += [(it.shard, it.row.seq) for it in deliveries]
