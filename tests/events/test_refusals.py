"""Events that the bus does not take: they hold up nobody, and reach the handlers in their order."""

from collections.abc import Sequence

from corebilling.bus.delivery import Delivery
from corebilling.bus.local import LocalBus
from corebilling.bus.port import EventRefused
from tests.support.pipeline import (
    MAX_EVENT_BYTES,
    Pipeline,
    Witness,
    append,
    caller,
    new_dispatcher,
    pipeline,
)
from tests.support.postgres import TestDatabase


class Picky(LocalBus):
    """Refuses some events, like a broker with rules of its own."""

    def __init__(self, bus: LocalBus, refuses: set[str]) -> None:
        super().__init__(bus.max_event_bytes)
        self._bus = bus
        self.refuses = refuses

    async def publish(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.row.resource_id in self.refuses:
                raise EventRefused(delivery, "not to my taste")
        await self._bus.publish(deliveries)


async def refusals(pipe: Pipeline) -> list[tuple[str, str, int, str]]:
    rows = await pipe.database.admin(
        "SELECT event_id, state, attempts, error FROM outbox_failures ORDER BY xid, seq"
    )
    return [(row["event_id"], row["state"], row["attempts"], row["error"]) for row in rows]


async def test_an_event_larger_than_the_bus_takes_reaches_the_handlers_in_its_order(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        await pipe.write("before", key="k")
        async with pipe.writer.transaction(caller()) as tx:
            large = append(tx, "large", key="k")
            large.payload.value = b"\0" * MAX_EVENT_BYTES
        await pipe.write("after", key="k")
        await pipe.drain()
        assert await pipe.effects() == ["before", "large", "after"]
        assert await refusals(pipe) == [
            (large.id, "dead_letter", 1, f"larger than the bus takes ({MAX_EVENT_BYTES} bytes)")
        ]


async def test_an_event_the_bus_refused_at_the_end_of_a_shard_is_swept_up(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        async with pipe.writer.transaction(caller()) as tx:
            append(tx, "large", key="k").payload.value = b"\0" * MAX_EVENT_BYTES
        await pipe.drain()
        assert await pipe.effects() == []
        await pipe.router.sweep()
        await pipe.router.sweep()
        assert await pipe.effects() == ["large"]


async def test_a_refused_event_is_offered_again_until_the_bus_takes_it(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        picky = Picky(pipe.bus, refuses={"bad"})
        dispatcher = new_dispatcher(pipe.worker, picky, pipe.clock)
        bad = await pipe.write("bad", key="k")
        await pipe.write("later", key="k")
        await dispatcher.run_once()
        assert await pipe.effects() == ["bad", "later"]
        assert await refusals(pipe) == [(bad.id, "failed", 1, "not to my taste")]
        assert await dispatcher.retry_due() == 0  # not yet due
        pipe.clock.advance(seconds=2)
        await dispatcher.run_once()
        assert await dispatcher.retry_due() == 1
        assert await refusals(pipe) == [(bad.id, "failed", 2, "not to my taste")]
        picky.refuses.clear()
        pipe.clock.advance(seconds=4)
        await dispatcher.run_once()
        assert await dispatcher.retry_due() == 1
        assert await refusals(pipe) == []
        assert await pipe.effects() == ["bad", "later"]


async def test_an_event_refused_ten_times_is_a_dead_letter(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        dispatcher = new_dispatcher(pipe.worker, Picky(pipe.bus, refuses={"bad"}), pipe.clock)
        bad = await pipe.write("bad")
        await dispatcher.run_once()
        for _ in range(10):
            pipe.clock.advance(minutes=10)
            await dispatcher.run_once()
            await dispatcher.retry_due()
        assert await refusals(pipe) == [(bad.id, "dead_letter", 10, "not to my taste")]
