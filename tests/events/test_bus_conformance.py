"""What every bus must do, on real servers: everything takes effect once and in order, come what may.

A bus is a courier: it may lose, repeat and reorder. These tests run dispatchers and routers as production
does, and look only at what handlers left in the database.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from billing.event.v1 import event_pb2 as eventv1
from billing_db.models import BillingEvent

from corebilling.app import open_bus
from corebilling.bus.delivery import START, Delivery, Position, chain
from corebilling.bus.port import Bus, BusUnavailable
from corebilling.config import Settings
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.errors import Unavailable
from corebilling.events.dispatcher import Dispatcher, DispatcherPolicy
from corebilling.events.leases import ShardLeases
from corebilling.events.router import ANY_SUBJECT, Handler, Router, RouterPolicy
from corebilling.values.clock import SystemClock
from corebilling.values.ids import new_id
from tests.support.broker import BrokerServer, LocalBroker
from tests.support.pipeline import Witness, append, caller, open_database, scratch
from tests.support.postgres import TestDatabase

WITHIN_S = 60.0
KEYS = 12
EVENTS_PER_KEY = 10


@pytest.fixture(params=["local", "nats", "kafka"])
def broker(request: pytest.FixtureRequest) -> BrokerServer:
    server: BrokerServer = (
        LocalBroker() if request.param == "local" else request.getfixturevalue(request.param)
    )
    return server


@pytest.fixture(params=["nats", "kafka"])
def remote(request: pytest.FixtureRequest) -> BrokerServer:
    """One that is a server of its own."""
    server: BrokerServer = request.getfixturevalue(request.param)
    return server


@dataclass
class Node:
    """A process of the event path: dispatcher and router, each on its own connection to the bus."""

    bus: Bus
    running: list[asyncio.Task[None]]

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
    sweep_s: float = 0.5
    written: dict[str, list[str]] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    _stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def start_node(self) -> Node:
        """Joins one more; with the local bus there can be one only."""
        clock = SystemClock()
        leases = ShardLeases(self.worker, clock, lease_s=1.0)
        bus = await open_bus(self._stack, self.settings, leases)
        table = {ANY_SUBJECT: [Handler("first", self.witness)]}
        router = Router(self.worker, clock, table, RouterPolicy(sweep_s=self.sweep_s, retry_s=0.1))
        await router.register()
        bus.subscribe(router.consume)
        dispatcher = Dispatcher(
            self.worker,
            bus,
            clock,
            DispatcherPolicy(poll_s=0.02, lease_s=1.0, pause_base_s=0.1, pause_max_s=1),
        )
        loops: list[Callable[[], Awaitable[None]]] = [leases.run, bus.run, router.run, dispatcher.run]
        node = Node(bus, [asyncio.ensure_future(loop()) for loop in loops])
        self.nodes.append(node)
        return node

    async def write(self, count: int = EVENTS_PER_KEY, keys: int = KEYS) -> None:
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
        rows = await self.database.admin("SELECT resource_id, event_id FROM effects ORDER BY nr")
        by_key: dict[str, list[str]] = {}
        for row in rows:
            by_key.setdefault(row["resource_id"], []).append(row["event_id"])
        return by_key

    async def all_took_effect_once_in_order(self) -> None:
        """Waits for it; a repetition or an inversion shows at the end, since nothing is ever taken back."""
        wanted = sum(map(len, self.written.values()))
        async with asyncio.timeout(WITHIN_S):
            while (await self.database.admin("SELECT count(*) AS n FROM effects"))[0]["n"] < wanted:
                self._assert_running()
                await asyncio.sleep(0.02)
        assert await self.effects() == self.written

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
    database: TestDatabase, broker: BrokerServer, *, nodes: int = 1, sweep_s: float = 0.5
) -> AsyncIterator[Path]:
    """A stream, topic and consumer group of its own, so that tests on one server are strangers."""
    name = new_id("t")
    settings = Settings(
        **broker.settings,
        nats_stream=name.upper(),
        kafka_topic=name,
        kafka_group_id=name,
        router_concurrent_shards=4,
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


async def deliveries(path: Path) -> list[Delivery]:
    """What was written, as it would be published again, shard by shard and in order."""
    async with path.worker.connection() as connection:
        rows = await connection.fetch("SELECT * FROM billing_events ORDER BY shard, epoch, xid, seq")
    by_shard: dict[int, list[BillingEvent]] = {}
    for row in rows:
        by_shard.setdefault(row["shard"], []).append(BillingEvent(**row))
    return [delivery for of_shard in by_shard.values() for delivery in chain(START, of_shard)]


async def publish(bus: Bus, some: list[Delivery]) -> None:
    """Straight to the bus, a shard at a time and in the given order, as no dispatcher would."""
    async with asyncio.timeout(WITHIN_S):
        for delivery in some:
            while True:
                try:
                    await bus.publish([delivery])
                    break
                except BusUnavailable:  # It has only just been opened.
                    await asyncio.sleep(0.02)


async def test_everything_takes_effect_once_and_in_order(database: TestDatabase, broker: BrokerServer):
    """Over the bus alone: no sweep helps."""
    async with event_path(database, broker, sweep_s=3600) as path:
        await path.write()
        await path.all_took_effect_once_in_order()


async def test_what_was_written_before_anyone_listened_takes_effect(
    database: TestDatabase, broker: BrokerServer
):
    async with event_path(database, broker) as path:
        await path.nodes[0].stop()
        await path.write()
        await path.start_node()
        await path.all_took_effect_once_in_order()


async def test_deliveries_that_are_repeated_and_shuffled_take_effect_once_and_in_order(
    database: TestDatabase, remote: BrokerServer
):
    async with event_path(database, remote) as path:
        await path.write(2)
        await path.all_took_effect_once_in_order()
        await publish(path.nodes[0].bus, list(reversed(await deliveries(path))))
        await path.nodes[0].stop()
        await path.write(3)
        unhandled = await deliveries(path)
        node = await path.start_node()
        await publish(node.bus, unhandled[::-1])
        await publish(node.bus, unhandled)
        await path.write(2)
        await path.all_took_effect_once_in_order()


async def test_nodes_that_come_and_go_share_the_work_without_a_loss(
    database: TestDatabase, remote: BrokerServer
):
    async with event_path(database, remote, nodes=2) as path:
        await path.write(4)
        await path.nodes[0].stop()
        await path.write(4)
        await path.start_node()
        await path.write(4)
        await path.nodes[1].stop()
        await path.write(4)
        await path.all_took_effect_once_in_order()


async def test_a_storm_of_joining_and_leaving_loses_nothing(database: TestDatabase, remote: BrokerServer):
    async with event_path(database, remote) as path:
        for _ in range(3):
            joined = await path.start_node()
            await path.write(2)
            await joined.stop()
        await path.all_took_effect_once_in_order()


async def test_a_broker_that_restarts_delays_and_loses_nothing(database: TestDatabase, remote: BrokerServer):
    async with event_path(database, remote) as path:
        await path.write(3)
        await asyncio.to_thread(remote.stop)
        await path.write(3)
        await asyncio.to_thread(remote.start)
        await path.write(3)
        await path.all_took_effect_once_in_order()


async def test_a_broker_that_is_killed_delays_and_loses_nothing(database: TestDatabase, remote: BrokerServer):
    async with event_path(database, remote) as path:
        await path.write(3)
        await asyncio.to_thread(remote.kill)
        await path.write(3)
        await asyncio.to_thread(remote.start)
        await path.write(3)
        await path.all_took_effect_once_in_order()


async def test_a_broker_that_loses_all_its_data_loses_nothing_for_us(
    database: TestDatabase, remote: BrokerServer
):
    async with event_path(database, remote) as path:
        await path.write(3)
        wiping = asyncio.create_task(asyncio.to_thread(remote.wipe))
        await path.write(6)
        await wiping
        await path.write(3)
        await path.all_took_effect_once_in_order()


async def test_a_broker_that_is_away_at_the_start_is_waited_for(database: TestDatabase, remote: BrokerServer):
    await asyncio.to_thread(remote.stop)
    try:
        async with event_path(database, remote) as path:
            await path.write(2)
            await asyncio.to_thread(remote.start)
            await path.all_took_effect_once_in_order()
    finally:
        await asyncio.to_thread(remote.stop)
        await asyncio.to_thread(remote.start)


async def test_a_message_that_is_none_of_ours_is_passed_over(database: TestDatabase, remote: BrokerServer):
    class Foreign(Delivery):
        """Encodes to something that has no position."""

        @property
        def position(self) -> Position:
            return Position(0, 0, 0)

    async with event_path(database, remote) as path:
        await path.write(1)
        await path.all_took_effect_once_in_order()
        foreign: list[Delivery] = [Foreign(it.row, it.predecessor) for it in await deliveries(path)]
        await publish(path.nodes[0].bus, foreign)
        await path.write(2)
        await path.all_took_effect_once_in_order()


async def test_an_event_that_is_too_large_for_the_bus_takes_effect_in_its_order(
    database: TestDatabase, broker: BrokerServer
):
    async with event_path(database, broker) as path:
        await path.write(1, keys=1)
        async with path.writer.transaction(caller()) as tx:
            await tx.lock("k0")
            large = append(tx, "k0", 2, key="k0")
            large.payload.value = b"\0" * (path.nodes[0].bus.max_event_bytes + 1)
        path.written["k0"].append(large.id)
        await path.write(2, keys=1)
        await path.all_took_effect_once_in_order()
        (refused,) = await path.database.admin("SELECT event_id, state FROM outbox_failures")
        assert (refused["event_id"], refused["state"]) == (large.id, "dead_letter")


async def test_a_database_that_refuses_for_a_while_delays_and_loses_nothing(
    database: TestDatabase, broker: BrokerServer
):
    class Moody(Witness):
        refusing = True

        async def __call__(self, tx: Transaction, event: eventv1.Event) -> None:
            if self.refusing:
                raise Unavailable("DATABASE_UNAVAILABLE", "The database is away.")
            await super().__call__(tx, event)

    async with event_path(database, broker) as path:
        moody = path.witness = Moody("first")
        await path.nodes[0].stop()
        await path.start_node()
        await path.write(2)
        moody.refusing = False
        await path.write(1)
        await path.all_took_effect_once_in_order()
