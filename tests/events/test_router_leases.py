"""Routers share the shards by lease where the bus does not assign them."""

import asyncio

from corebilling.events.envelope import SHARDS
from corebilling.events.leases import ShardLeases
from tests.support.event_path import eventually
from tests.support.pipeline import Pipeline, pipeline
from tests.support.postgres import TestDatabase

LEASE_S = 5.0
ALL = frozenset(range(SHARDS))


def leases_of(pipe: Pipeline) -> ShardLeases:
    return ShardLeases(pipe.worker, pipe.clock, LEASE_S)


async def renew(*several: ShardLeases, times: int = 2) -> None:
    """As their loops would: who must give something back does so before the others find it free."""
    for _ in range(times):
        for leases in several:
            await leases.renew()


async def test_the_only_router_has_all_shards(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        alone = leases_of(pipe)
        assert alone.held() == frozenset()
        await alone.renew()
        assert alone.held() == ALL


async def test_routers_have_fair_shares_of_shards_that_nobody_else_has(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        several = [leases_of(pipe) for _ in range(3)]
        await several[0].renew()
        await renew(*several)
        held = [leases.held() for leases in several]
        assert frozenset().union(*held) == ALL
        assert sum(map(len, held)) == SHARDS
        assert max(map(len, held)) <= -(-SHARDS // 3)


async def test_shards_of_a_router_that_leaves_are_taken_at_once(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        stays, leaves = leases_of(pipe), leases_of(pipe)
        leaving = asyncio.create_task(leaves.run())
        await until_held(leaves)
        await renew(stays)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert leaves.held() == frozenset()
        await stays.renew()
        assert stays.held() == ALL


async def test_shards_of_a_router_that_died_are_taken_when_its_lease_has_run_out(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        lives, dies = leases_of(pipe), leases_of(pipe)
        await renew(lives, dies)
        pipe.clock.advance(seconds=LEASE_S - 1)
        await lives.renew()
        assert lives.held() == ALL - dies.held()
        pipe.clock.advance(seconds=2)
        assert dies.held() == frozenset()
        await lives.renew()
        assert lives.held() == ALL


async def test_routers_that_start_together_take_different_shards(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        several = [leases_of(pipe) for _ in range(4)]
        await asyncio.gather(*(leases.renew() for leases in several))
        held = [leases.held() for leases in several]
        assert sum(map(len, held)) == len(frozenset().union(*held))


async def test_a_lost_database_is_waited_for(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        leases = ShardLeases(pipe.worker, pipe.clock, 0.1)
        running = asyncio.create_task(leases.run())
        try:
            for _ in range(3):
                pipe.clock.advance(seconds=1)
                await until_held(leases)
                await database.admin(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE usename = 'corebilling_worker' AND datname = current_database()"
                )
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def until_held(leases: ShardLeases) -> None:
    await eventually(lambda: bool(leases.held()), within_s=10)
