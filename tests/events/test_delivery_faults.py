"""What a bus may do to a batch, and what two routers may do to each other."""

import asyncio
from collections.abc import Sequence

import pytest
from billing_db.models import BillingEvent

from corebilling.bus.delivery import START, Delivery, chain
from corebilling.bus.port import BusUnavailable
from corebilling.db.transaction import Transaction
from corebilling.events.handling import Handler
from tests.support.pipeline import Pipeline, Witness, caller, pipeline
from tests.support.postgres import TestDatabase


async def written(pipe: Pipeline, count: int) -> list[Delivery]:
    """Events r0, r1, … of one key, as a bus would deliver them."""
    for number in range(count):
        await pipe.write(f"r{number}", key="k")
    async with pipe.worker.connection() as connection:
        rows = await connection.fetch("SELECT * FROM billing_events ORDER BY xid, seq")
    return chain(START, [BillingEvent(**row) for row in rows])


async def test_a_delivery_repeated_within_a_batch_takes_effect_once(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        first, second = await written(pipe, 2)
        await pipe.router.consume([first, first, second, first, second])
        assert await pipe.effects() == ["r0", "r1"]


async def test_a_shuffled_batch_takes_effect_in_order_and_once(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        first, second, third = await written(pipe, 3)
        await pipe.router.consume([third, first, second])
        await pipe.router.consume([third])
        assert await pipe.effects() == ["r0", "r1", "r2"]


async def test_a_hole_within_a_batch_is_refilled_in_order(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        events = await written(pipe, 5)
        await pipe.router.consume([*events[:2], events[4]])
        assert await pipe.effects() == [f"r{number}" for number in range(5)]


async def test_a_failing_batch_after_a_gap_skips_nothing(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
):
    """The first try fails before the watermarks are read: the search for the culprit must see the gap too."""
    async with pipeline(database, [Witness("first")]) as pipe:
        events = await written(pipe, 3)

        async def broken_once(tx: Transaction, deliveries: Sequence[Delivery]) -> None:
            monkeypatch.undo()
            raise RuntimeError("before the inbox was looked at")

        monkeypatch.setattr(pipe.router, "_handle_all", broken_once)
        await pipe.router.consume(events[2:])
        assert await pipe.effects() == ["r0", "r1", "r2"]


async def test_an_event_that_another_router_settled_meanwhile_is_not_parked(database: TestDatabase):
    """Parking it would have it handled a second time."""
    async with pipeline(database, [Witness("first")]) as pipe:
        (event,) = await written(pipe, 1)
        await pipe.router.consume([event])
        handler = Handler("first", Witness("first"))
        await pipe.router._park(handler, event, RuntimeError("of the router that came second"))
        assert await pipe.failures() == []


async def test_one_failure_in_a_large_batch_costs_few_transactions(database: TestDatabase):
    first = Witness("first", fails_on=lambda event: event.resource_id == "r41")
    async with pipeline(database, [first]) as pipe:
        events = await written(pipe, 64)
        await pipe.router.consume(events)
        effects = await pipe.effects()
        # r42 and the later ones share the key: they queue behind it.
        assert effects == [f"r{number}" for number in range(41)]
        assert first.calls <= 41 * 3


async def test_a_lock_that_is_not_free_in_time_is_nobodys_attempt(database: TestDatabase):
    async with pipeline(database, [Witness("first")], lock_timeout_s=0.2) as pipe:
        (event,) = await written(pipe, 1)
        async with pipe.writer.transaction(caller()) as busy:
            await busy.lock("k")
            with pytest.raises(BusUnavailable):
                await pipe.router.consume([event])
        assert await pipe.failures() == []
        await pipe.router.consume([event])
        assert await pipe.effects() == ["r0"]


async def test_a_deadlock_in_a_handler_is_nobodys_attempt(database: TestDatabase):
    """The database ends one of two transactions; it may be the router's, through no fault of the event."""
    locked = asyncio.Event()

    class Crossing(Witness):
        async def __call__(self, tx, event):
            await super().__call__(tx, event)
            if self.calls == 1:
                await tx.execute("UPDATE aggregates SET version = 1 WHERE id = 'a'")
                locked.set()
                await tx.execute("UPDATE aggregates SET version = 1 WHERE id = 'b'")

    async def cross(pipe: Pipeline) -> None:
        async with pipe.writer.transaction(caller()) as tx:
            await tx.execute("SET LOCAL deadlock_timeout = '60s'")  # never the one who gives up
            await tx.execute("UPDATE aggregates SET version = 2 WHERE id = 'b'")
            await locked.wait()
            await tx.execute("UPDATE aggregates SET version = 2 WHERE id = 'a'")

    async with pipeline(database, [Crossing("first")]) as pipe:
        await database.admin("INSERT INTO aggregates VALUES ('a', 0), ('b', 0)")
        await database.admin("GRANT SET ON PARAMETER deadlock_timeout TO corebilling_app")
        (event,) = await written(pipe, 1)
        crossing = asyncio.create_task(cross(pipe))
        with pytest.raises(BusUnavailable):
            await pipe.router.consume([event])
        await crossing
        assert await pipe.failures() == []
        await pipe.router.consume([event])
        assert await pipe.effects() == ["r0"]


async def test_failures_of_a_handler_that_is_gone_hold_up_no_other(database: TestDatabase):
    broken = {"bad"}
    first = Witness("first", fails_on=lambda event: event.resource_id in broken)
    async with pipeline(database, [first]) as pipe:
        await pipe.write("bad", key="k")
        await pipe.drain()
        await database.admin(
            "INSERT INTO event_handler_failures "
            "SELECT tenant_id, 'gone', shard, epoch, xid, seq + n, event_id, ordering_key, 'failed', 1, "
            "'', next_attempt_at - interval '1 hour', created_at "
            "FROM event_handler_failures, generate_series(1, 200) n"
        )
        broken.clear()
        pipe.clock.advance(seconds=2)
        assert await pipe.router.retry_due() == 1
        assert await pipe.effects() == ["bad"]
