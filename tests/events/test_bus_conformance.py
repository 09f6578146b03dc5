"""What every bus must do, on real servers: everything takes effect once and in order, come what may.

A bus is a courier: it may lose, repeat and reorder. These tests run dispatchers and routers as production
does, and look only at what handlers left in the database. No sweep helps, unless a test says so.
"""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace

import pytest
from billing.event.v1 import event_pb2 as eventv1

from corebilling.app import open_bus
from corebilling.bus.delivery import Delivery, Position
from corebilling.bus.port import BusUnavailable
from corebilling.db.transaction import Transaction
from corebilling.errors import Unavailable
from corebilling.events.leases import ShardLeases
from corebilling.values.clock import SystemClock
from tests.support.broker import BrokerServer, LocalBroker
from tests.support.event_path import (
    CONCURRENT_SHARDS,
    WITHIN_S,
    Seen,
    delivery,
    event_path,
    eventually,
    publish,
    undecodable,
)
from tests.support.pipeline import Witness, append, caller
from tests.support.postgres import TestDatabase


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


async def test_everything_takes_effect_once_and_in_order(database: TestDatabase, broker: BrokerServer):
    async with event_path(database, broker) as path:
        await path.write(10)
        await path.all_took_effect_once_in_order()


async def test_what_was_written_before_anyone_listened_takes_effect(
    database: TestDatabase, broker: BrokerServer
):
    async with event_path(database, broker) as path:
        await path.nodes[0].stop()
        await path.write(10)
        await path.start_node()
        await path.all_took_effect_once_in_order()


async def test_deliveries_that_are_repeated_and_shuffled_take_effect_once_and_in_order(
    database: TestDatabase, remote: BrokerServer
):
    async with event_path(database, remote) as path:
        await path.write(2)
        await path.all_took_effect_once_in_order()
        handled = await path.deliveries()
        await path.inject(path.nodes[0].bus, handled[::-1] + handled)
        await path.nodes[0].stop()
        await path.write(3)
        unhandled = await path.deliveries()
        node = await path.start_node()
        await path.inject(node.bus, unhandled[::-1] + unhandled[1::2] + unhandled)
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


async def test_a_node_that_is_killed_is_replaced_without_a_loss(database: TestDatabase, remote: BrokerServer):
    async with event_path(database, remote) as path:
        with path.node_process("killed") as process:
            async with asyncio.timeout(WITHIN_S):
                while not await path.effects_of("killed"):
                    await path.write(1)
            await path.write(2)
            process.kill()
            await path.write(2)
        await path.start_node()
        await path.write(2)
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


async def test_what_a_broker_lost_last_is_found_by_the_sweep(database: TestDatabase, remote: BrokerServer):
    """Nothing comes after it, so that nobody would miss it."""
    async with event_path(database, remote, nodes=0, sweep_s=0.5) as path:
        lost = await path.start_node(routing=False)
        await path.write(2)
        await path.until_dispatched()
        await lost.stop()
        await asyncio.to_thread(remote.wipe)
        await path.start_node()
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
        foreign: list[Delivery] = [Foreign(it.row, it.predecessor) for it in await path.deliveries()]
        await publish(path.nodes[0].bus, foreign)
        await path.write(2)
        await path.all_took_effect_once_in_order()


async def test_what_another_installation_sends_moves_nothing(database: TestDatabase, remote: BrokerServer):
    """Its positions lie ahead: taken for ours, they would let all that comes before them be passed by."""
    async with event_path(database, remote) as path:
        await path.write(1)
        await path.all_took_effect_once_in_order()
        ahead = [
            Delivery(replace(it.row, id=f"{it.row.id}x", xid=it.row.xid + 10**6), it.position)
            for it in await path.deliveries()
        ]
        before = undecodable()
        async with AsyncExitStack() as stack:
            leases = ShardLeases(path.worker, SystemClock(), lease_s=1.0)
            bus = await open_bus(stack, path.settings, leases, "another")
            await publish(bus, ahead)
        await eventually(lambda: undecodable() >= before + len(ahead))
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


async def test_what_a_consumer_did_not_finish_comes_to_the_next(database: TestDatabase, remote: BrokerServer):
    async with event_path(database, remote, nodes=0) as path:
        stuck, next_ = Seen(), Seen()
        stuck.may_go_on.clear()
        node = await path.start_consumer(stuck)
        await publish(node.bus, [delivery(seq) for seq in (1, 2, 3)])
        await eventually(lambda: stuck.calls == 1)
        await node.stop()
        await path.start_consumer(next_)
        await eventually(lambda: {(0, 1), (0, 2), (0, 3)} <= set(next_.seqs))


async def test_deliveries_come_again_in_order_until_the_consumer_has_them_and_then_no_more(
    database: TestDatabase, remote: BrokerServer
):
    async with event_path(database, remote, nodes=0) as path:
        seen = Seen(errors=[BusUnavailable("the database is away") for _ in range(3)])
        node = await path.start_consumer(seen)
        await publish(node.bus, [delivery(seq) for seq in (1, 2, 3)])
        await eventually(lambda: (0, 3) in seen.seqs)
        assert seen.seqs == [(0, 1), (0, 2), (0, 3)]
        await node.stop()
        next_ = Seen()
        node = await path.start_consumer(next_)
        await publish(node.bus, [delivery(4)])
        await eventually(lambda: (0, 4) in next_.seqs)
        assert next_.seqs == [(0, 4)]


async def test_several_shards_are_consumed_at_once_but_no_more_than_allowed(
    database: TestDatabase, remote: BrokerServer
):
    async with event_path(database, remote, nodes=0) as path:
        seen = Seen()
        seen.may_go_on.clear()
        node = await path.start_consumer(seen)
        some = [(shard, seq) for seq in (1, 2, 3) for shard in range(2 * CONCURRENT_SHARDS)]
        await publish(node.bus, [delivery(seq, shard=shard) for shard, seq in some])
        await eventually(lambda: len(seen.busy) == CONCURRENT_SHARDS)
        seen.may_go_on.set()
        await eventually(lambda: len(seen.seqs) == len(some))
        assert sorted(seen.seqs) == sorted(some)
        assert seen.most_busy == CONCURRENT_SHARDS


async def test_a_fault_of_the_consumer_ends_the_bus_loudly(database: TestDatabase, remote: BrokerServer):
    async with event_path(database, remote, nodes=0) as path:
        node = await path.start_consumer(Seen(errors=[ZeroDivisionError()]))
        consuming = node.running.pop()
        await publish(node.bus, [delivery(1)])
        async with asyncio.timeout(WITHIN_S):
            await asyncio.wait([consuming])
        assert "ZeroDivisionError" in repr(consuming.exception())
