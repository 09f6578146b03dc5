"""How the first systems of this kind failed, one test each: none of it may come back."""

import asyncio

import asyncpg
from billing_db.models import BillingEvent

from corebilling.bus.delivery import START, chain
from corebilling.events.handling import Handler
from corebilling.events.router import Router, RouterPolicy
from corebilling.values.subject import ANY_SUBJECT
from tests.support.pipeline import Pipeline, Witness, append, new_dispatcher, pipeline
from tests.support.postgres import TestDatabase


async def logged(pipe: Pipeline, resource_id: str = "") -> list[asyncpg.Record]:
    return await pipe.database.admin(
        "SELECT * FROM billing_events WHERE $1 IN ('', resource_id) ORDER BY xid, seq", resource_id
    )


async def test_every_field_arrives_as_it_was_written(database: TestDatabase):
    """A fetch read other columns than it scanned."""
    arrived = []

    async def keep(tx, event):
        arrived.append(event)

    async with pipeline(database, [keep]) as pipe:
        written = await pipe.write("r0", 7, key="k")
        await pipe.drain()
    assert arrived == [written]
    assert (written.resource_id, written.metadata.resource_version) == ("r0", 7)
    assert (written.metadata.ordering_key, written.metadata.actor) == ("k", "key:test")


async def test_what_became_of_an_event_is_never_written_into_it(database: TestDatabase):
    """Marks were written into the payload, and the status column stayed as it was."""
    first = Witness("first", fails_on=lambda event: event.resource_id == "bad")
    async with pipeline(database, [first], max_attempts=1) as pipe:
        await pipe.write("bad", key="k")
        await pipe.write("good", key="other")
        before = await logged(pipe)
        await pipe.drain()
        assert await logged(pipe) == before
        states = await database.admin("SELECT state FROM billing_event_states ORDER BY xid, seq")
        assert [row["state"] for row in states] == ["failed", "dispatched"]


async def test_what_failed_is_taken_up_again_at_every_due_time(database: TestDatabase):
    """A failed event was never selected again."""
    first = Witness("first", fails_on=lambda event: True)
    async with pipeline(database, [first]) as pipe:
        await pipe.write("bad")
        await pipe.drain()
        for attempts in range(2, 6):
            pipe.clock.advance(minutes=10)
            assert await pipe.router.retry_due() == 1
            ((_, state, counted),) = await pipe.failures()
            assert (state, counted) == ("failed", attempts)
        assert await pipe.router.retry_due() == 0


async def test_two_dispatchers_at_once_hand_over_each_event_once(database: TestDatabase):
    """Rows were fetched without a lock."""
    handed_over: list[str] = []
    async with pipeline(database, []) as pipe:

        async def consume(deliveries):
            handed_over.extend(delivery.row.id for delivery in deliveries)
            await asyncio.sleep(0)

        pipe.bus.subscribe(consume)
        both = [new_dispatcher(pipe.worker, pipe.bus, pipe.clock) for _ in range(2)]
        written = [await pipe.write(f"r{number}") for number in range(30)]
        for _ in range(6):  # sharing the shards takes a few rounds
            await asyncio.gather(*(dispatcher.run_once() for dispatcher in both))
        assert sorted(handed_over) == sorted(event.id for event in written)


async def test_a_follow_up_exists_exactly_when_its_cause_was_handled(database: TestDatabase):
    """Follow-ups went straight to the bus, and their errors were discarded."""
    broken = {"yes"}

    async def follow(tx, event):
        if event.resource_id == "cause":
            append(tx, "effect")
            if broken:
                raise RuntimeError("after appending")

    async with pipeline(database, [follow]) as pipe:
        await pipe.write("cause")
        await pipe.drain()
        assert await logged(pipe, "effect") == []
        broken.clear()
        pipe.clock.advance(seconds=2)
        assert await pipe.router.retry_due() == 1
        assert len(await logged(pipe, "effect")) == 1


async def test_what_was_handled_is_known_after_a_restart(database: TestDatabase):
    """Duplicates were tracked in memory."""
    first = Witness("first")
    async with pipeline(database, [first]) as pipe:
        await pipe.write("r0")
        await pipe.drain()
        async with pipe.worker.connection() as connection:
            rows = await connection.fetch("SELECT * FROM billing_events")
        restarted = Router(pipe.worker, pipe.clock, {ANY_SUBJECT: [Handler("first", first)]}, RouterPolicy())
        await restarted.register()
        await restarted.consume(chain(START, [BillingEvent(**row) for row in rows]))
        assert await pipe.effects() == ["r0"]


async def test_an_attempt_that_failed_does_not_count_as_handled(database: TestDatabase):
    """Events were marked as seen before they were processed."""
    broken = {"yes"}
    first = Witness("first", fails_on=lambda event: bool(broken))
    async with pipeline(database, [first]) as pipe:
        await pipe.write("r0")
        await pipe.drain()
        assert await pipe.effects() == []
        broken.clear()
        pipe.clock.advance(seconds=2)
        await pipe.router.retry_due()
        assert await pipe.effects() == ["r0"]
