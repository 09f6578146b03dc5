"""Order and loss under concurrency, leases, fencing, and a bus that is down."""

import asyncio
import random

import asyncpg

from corebilling.bus.delivery import Position
from corebilling.events import outbox
from corebilling.events.envelope import SHARDS
from tests.support.pipeline import (
    OTHER_TENANT,
    TENANT,
    Witness,
    append,
    caller,
    new_dispatcher,
    pipeline,
)
from tests.support.postgres import TestDatabase

WRITERS = 64
ROUNDS = 5
AGGREGATES = [f"sub_{number}" for number in range(8)]


async def test_versions_of_an_aggregate_arrive_strictly_increasing_from_64_racing_writers(
    database: TestDatabase,
):
    """Each transaction changes several aggregates, with other writes before and after each change."""
    async with pipeline(database, [Witness("first")]) as pipe:
        await database.admin("INSERT INTO aggregates SELECT unnest($1::text[]), 0", AGGREGATES)

        async def write(seed: int) -> None:
            chance = random.Random(seed)
            for _ in range(ROUNDS):
                chosen = chance.sample(AGGREGATES, 3)
                async with pipe.writer.transaction(caller()) as tx:
                    await tx.lock(*chosen)
                    await tx.execute("INSERT INTO notes VALUES ('before')")
                    for aggregate in chosen:
                        version = await tx.fetchval(
                            "UPDATE aggregates SET version = version + 1 WHERE id = $1 RETURNING version",
                            aggregate,
                        )
                        append(tx, aggregate, version)
                        await tx.execute("INSERT INTO notes VALUES ('after')")

        running = asyncio.create_task(pipe.dispatcher.run())
        await asyncio.gather(*(write(seed) for seed in range(WRITERS)))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pipe.drain()

        seen: dict[str, list[int]] = {}
        for row in await database.admin("SELECT resource_id, version FROM effects ORDER BY nr"):
            seen.setdefault(row["resource_id"], []).append(row["version"])
        assert sum(map(len, seen.values())) == WRITERS * ROUNDS * 3
        for versions in seen.values():
            assert versions == list(range(1, len(versions) + 1))


async def test_a_transaction_that_commits_late_is_not_passed_over(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        async with pipe.writer.transaction(caller()) as slow:
            append(slow, "slow", key="k")
            await outbox.flush(slow)
            slow.events.clear()
            await pipe.write("fast", key="k")
            await pipe.drain()
            assert await pipe.effects() == []  # nothing behind a running transaction is read
        await pipe.drain()
        assert await pipe.effects() == ["slow", "fast"]


async def test_rolled_back_and_savepoint_transactions_lose_and_repeat_nothing(database: TestDatabase):
    class Abandoned(Exception):
        pass

    async with pipeline(database, [Witness("first")]) as pipe:
        committed = []

        async def write(seed: int) -> None:
            chance = random.Random(seed)
            for round_number in range(6):
                name = f"{seed}-{round_number}"
                fate = chance.choice(["commit", "abandon", "savepoint"])
                try:
                    async with pipe.writer.transaction(caller()) as tx:
                        await tx.lock("k")
                        await tx.execute("SAVEPOINT s")
                        append(tx, f"{name}-undone", key="k")
                        await outbox.flush(tx)
                        tx.events.clear()
                        await tx.execute(
                            "ROLLBACK TO SAVEPOINT s" if fate == "savepoint" else "RELEASE SAVEPOINT s"
                        )
                        append(tx, name, key="k")
                        if fate == "abandon":
                            raise Abandoned
                except Abandoned:
                    continue
                committed.extend([name] if fate == "savepoint" else [f"{name}-undone", name])

        running = asyncio.create_task(pipe.dispatcher.run())
        await asyncio.gather(*(write(seed) for seed in range(24)))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pipe.drain()
        assert sorted(await pipe.effects()) == sorted(committed)


async def test_two_dispatchers_share_the_shards_and_the_survivor_takes_them_all(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        second = new_dispatcher(pipe.worker, pipe.bus, pipe.clock)
        await pipe.dispatcher.run_once()
        await second.run_once()  # announces itself; the first gives up its surplus at its next renewal
        await pipe.dispatcher.run_once()
        await second.run_once()
        owners = await database.admin("SELECT owner, count(*) FROM outbox_shards GROUP BY owner")
        assert sorted(row["count"] for row in owners) == [SHARDS // 2, SHARDS // 2]

        for number in range(20):
            await pipe.write(f"r{number}")
        await second.run_once()
        # The first one dies here without a word; its leases run out.
        pipe.clock.advance(seconds=6)
        while await second.run_once():
            pass
        assert sorted(await pipe.effects()) == sorted(f"r{number}" for number in range(20))


async def test_a_dispatcher_that_lost_its_lease_cannot_move_the_cursor(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        stalled = pipe.dispatcher
        await stalled.run_once()
        await pipe.write("r0")
        rows = await stalled._read(list(stalled._held.values()))
        (shard,) = [held for held in stalled._held.values() if held.number == rows[0].shard]
        moved = await stalled._hand_over([shard], rows)
        assert moved

        pipe.clock.advance(seconds=6)  # stopped here, past its lease
        successor = new_dispatcher(pipe.worker, pipe.bus, pipe.clock)
        await successor.run_once()
        await pipe.write("r1")
        await successor.run_once()
        before = await database.admin("SELECT * FROM outbox_shards ORDER BY shard")

        assert await stalled._move_cursors(moved) == 0
        assert await database.admin("SELECT * FROM outbox_shards ORDER BY shard") == before
        assert sorted(await pipe.effects()) == ["r0", "r1"]


async def test_a_round_under_an_earlier_lease_cannot_move_the_cursor_of_a_later_one(database: TestDatabase):
    """The same dispatcher lost the shard and got it back: its name alone does not fence it off."""
    async with pipeline(database, [Witness("first")]) as pipe:
        dispatcher = pipe.dispatcher
        await dispatcher.run_once()
        await pipe.write("r0", key="k")
        (row,) = await dispatcher._read(list(dispatcher._held.values()))
        earlier = dispatcher._held[row.shard]

        pipe.clock.advance(seconds=6)  # stopped past its lease
        other = new_dispatcher(pipe.worker, pipe.bus, pipe.clock)
        await other.run_once()
        await pipe.write("r1", key="k")
        await other.run_once()
        pipe.clock.advance(seconds=6)  # and now the other one is gone
        await dispatcher.run_once()
        before = await database.admin("SELECT * FROM outbox_shards ORDER BY shard")

        stale = (earlier, Position(row.epoch, row.xid, row.seq), 1)
        assert await dispatcher._move_cursors([stale]) == 0
        assert await database.admin("SELECT * FROM outbox_shards ORDER BY shard") == before
        assert dispatcher._held[row.shard] is not earlier
        assert await pipe.effects() == ["r0", "r1"]


async def test_a_renewal_while_cursors_move_gives_no_shard_up(database: TestDatabase):
    """It passes by rows that are locked: a shard that it passed by stood still until the next renewal."""
    waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with pipeline(database, [Witness("first")]) as pipe:
        dispatcher = pipe.dispatcher
        await dispatcher.run_once()
        leases = "SELECT shard, owner, lease_epoch FROM outbox_shards ORDER BY shard"
        before = await database.admin(leases)
        await pipe.write("r0")

        holder = await asyncpg.connect(database.admin_url)
        try:
            async with holder.transaction(), asyncio.timeout(10):
                await holder.execute("SELECT FROM outbox_shards FOR UPDATE")
                moving = asyncio.create_task(dispatcher._round(list(dispatcher._held.values())))
                while not await database.admin(waiting):  # noqa: ASYNC110 (a lock has no event)
                    await asyncio.sleep(0.01)
                renewing = asyncio.create_task(dispatcher._renew())
                # As far as it gets meanwhile: it should wait, so there is nothing to wait for.
                await asyncio.wait([renewing], timeout=0.5)
        finally:
            await holder.close()
        assert await moving == 1
        await renewing
        assert await database.admin(leases) == before
        assert len(dispatcher._held) == SHARDS


async def test_a_dispatcher_that_died_before_moving_the_cursor_repeats_without_effect(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        await pipe.write("r0")
        await pipe.dispatcher._renew()
        shards = list(pipe.dispatcher._held.values())
        await pipe.dispatcher._hand_over(shards, await pipe.dispatcher._read(shards))  # and no cursor moved
        pipe.clock.advance(seconds=6)
        successor = new_dispatcher(pipe.worker, pipe.bus, pipe.clock)
        while await successor.run_once():
            pass
        assert await pipe.effects() == ["r0"]


async def test_a_clean_stop_gives_the_shards_back_at_once(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        running = asyncio.create_task(pipe.dispatcher.run())
        while not pipe.dispatcher._held:  # noqa: ASYNC110 (it has no event to say so)
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await pipe.write("r0")
        await new_dispatcher(pipe.worker, pipe.bus, pipe.clock).run_once()
        assert await pipe.effects() == ["r0"]


async def test_a_bus_that_is_down_pauses_the_shard_and_loses_nothing(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        consumer, pipe.bus._consumer = pipe.bus._consumer, None
        await pipe.write("r0")
        await pipe.drain()
        assert await database.admin("SELECT * FROM outbox_failures") == []
        pipe.bus._consumer = consumer
        await pipe.drain()
        assert await pipe.effects() == []  # still pausing
        pipe.clock.advance(seconds=2)
        await pipe.drain()
        assert await pipe.effects() == ["r0"]


async def test_events_of_several_tenants_in_one_batch_stay_with_their_tenants(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        for number in range(10):
            await pipe.write(f"a{number}", tenant_id=TENANT)
            await pipe.write(f"b{number}", tenant_id=OTHER_TENANT)
        await pipe.drain()
        rows = await database.admin("SELECT tenant_id, resource_id FROM effects")
        assert len(rows) == 20
        for row in rows:
            assert row["tenant_id"] == (TENANT if row["resource_id"].startswith("a") else OTHER_TENANT)


async def test_a_rolled_back_transaction_leaves_no_event(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        try:
            async with pipe.writer.transaction(caller()) as tx:
                append(tx, "never")
                raise KeyError
        except KeyError:
            pass
        await pipe.drain()
        assert await database.admin("SELECT FROM billing_events") == []
