"""Effects exactly once, order per key, and failures that harm nobody else."""

from collections.abc import Sequence
from dataclasses import dataclass

import pytest
from billing.event.v1 import event_pb2 as eventv1
from billing_db.models import BillingEvent

from corebilling.bus.delivery import START, Delivery, chain
from corebilling.bus.noop import NoopBus
from corebilling.bus.port import BusUnavailable
from corebilling.db.transaction import Transaction
from corebilling.errors import Unavailable
from corebilling.events import outbox
from corebilling.events.dispatcher import Dispatcher, DispatcherPolicy
from corebilling.events.handling import Handler
from corebilling.events.router import Router, RouterPolicy
from corebilling.values.subject import ANY_SUBJECT
from tests.support.pipeline import TENANT, Pipeline, Together, Witness, append, caller, pipeline
from tests.support.postgres import TestDatabase


async def deliveries(pipe: Pipeline) -> list[Delivery]:
    """The log of the one shard in use, as a bus would deliver it."""
    async with pipe.worker.connection() as connection:
        rows = await connection.fetch("SELECT * FROM billing_events ORDER BY xid, seq")
    return chain(START, [BillingEvent(**row) for row in rows])


async def test_every_handler_sees_every_event_once(database: TestDatabase):
    async with pipeline(database, [Witness("first"), Witness("second")]) as pipe:
        for number in range(5):
            await pipe.write(f"r{number}", key="k")
        await pipe.drain()
        await pipe.drain()
        assert await pipe.effects("first") == await pipe.effects("second") == [f"r{n}" for n in range(5)]


async def test_a_delivery_that_comes_again_changes_nothing(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        for number in range(3):
            await pipe.write(f"r{number}", key="k")
        await pipe.drain()
        events = await deliveries(pipe)
        for _ in range(5):
            await pipe.router.consume(events)
            await pipe.router.consume(events[1:2])
        assert await pipe.effects() == ["r0", "r1", "r2"]


async def test_a_gap_is_refilled_from_the_log_in_order(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        for number in range(4):
            await pipe.write(f"r{number}", key="k")
        events = await deliveries(pipe)
        await pipe.router.consume(events[3:])
        assert await pipe.effects() == ["r0", "r1", "r2", "r3"]


async def test_reordered_deliveries_take_effect_in_order(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        for number in range(4):
            await pipe.write(f"r{number}", key="k")
        events = await deliveries(pipe)
        for delivery in reversed(events):
            await pipe.router.consume([delivery])
        assert await pipe.effects() == ["r0", "r1", "r2", "r3"]


async def test_what_a_bus_lost_at_its_end_is_swept_up(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        await pipe.write("r0")
        events = await deliveries(pipe)
        position = events[0].position
        await database.admin(
            "UPDATE outbox_shards SET epoch = $2, xid = $3, seq = $4 WHERE shard = $1",
            events[0].shard,
            position.epoch,
            position.xid,
            position.seq,
        )
        assert await pipe.router.sweep() == 0  # It may still be on its way.
        assert await pipe.router.sweep() == 1
        assert await pipe.effects() == ["r0"]
        assert await pipe.router.sweep() == 0


async def test_a_failing_handler_holds_up_its_key_only_and_the_key_goes_on_in_order(database: TestDatabase):
    broken = {"bad"}
    first = Witness("first", fails_on=lambda event: event.resource_id in broken)
    async with pipeline(database, [first, Witness("second")]) as pipe:
        bad = await pipe.write("bad", key="k")
        later = await pipe.write("later", key="k")
        await pipe.write("elsewhere", key="other")
        await pipe.drain()
        assert await pipe.effects("first") == ["elsewhere"]
        assert sorted(await pipe.effects("second")) == ["bad", "elsewhere", "later"]
        assert await pipe.failures() == [(bad.id, "failed", 1), (later.id, "blocked", 0)]

        broken.clear()
        assert await pipe.router.retry_due() == 0  # not yet due
        pipe.clock.advance(seconds=2)
        while await pipe.router.retry_due():
            pass
        assert await pipe.effects("first") == ["elsewhere", "bad", "later"]
        assert await pipe.failures() == []


async def test_events_of_a_tenant_are_handled_together_where_the_handler_can(database: TestDatabase):
    first, second = Together("first"), Witness("second")
    async with pipeline(database, [first, second]) as pipe:
        for number in range(3):
            await pipe.write(f"r{number}", key="k")
        await pipe.router.consume(await deliveries(pipe))
        await pipe.write("r3", key="k")
        await pipe.router.consume(await deliveries(pipe))
        assert first.batches == [3]
        assert await pipe.effects("first") == await pipe.effects("second") == ["r0", "r1", "r2", "r3"]


async def test_of_events_handled_together_only_the_culprit_and_its_key_are_held_up(database: TestDatabase):
    broken = {"bad"}
    first = Together("first", fails_on=lambda event: event.resource_id in broken)
    async with pipeline(database, [first]) as pipe:
        events = [await pipe.write(name, key="k") for name in ("r0", "bad", "r2", "r3")]
        await pipe.router.consume(await deliveries(pipe))
        assert await pipe.effects() == ["r0"]
        assert await pipe.failures() == [
            (events[1].id, "failed", 1),
            (events[2].id, "blocked", 0),
            (events[3].id, "blocked", 0),
        ]
        broken.clear()
        pipe.clock.advance(seconds=2)
        while await pipe.router.retry_due():
            pass
        assert await pipe.effects() == ["r0", "bad", "r2", "r3"]


async def test_what_follows_from_events_handled_together_names_its_cause(database: TestDatabase):
    @dataclass
    class Following(Together):
        named: bool = True

        async def handle_all(self, tx: Transaction, events: Sequence[eventv1.Event]) -> None:
            for event in events:
                outbox.append(
                    tx,
                    eventv1.CustomEvent(),
                    subject="thing.followed",
                    resource_id=event.resource_id,
                    resource_version=1,
                    ordering_key="k",
                    cause=event if self.named else None,
                )

    first = Following("first")
    async with pipeline(database, [first]) as pipe:
        causes = [(await pipe.write(f"r{number}", key="k")).id for number in range(2)]
        await pipe.router.consume(await deliveries(pipe))
        query = "SELECT causation_id, actor FROM billing_events WHERE causation_id <> '' ORDER BY seq"
        assert [tuple(row) for row in await database.admin(query)] == [
            (cause, "handler:first") for cause in causes
        ]
        # Without one its id would be another each time: that is refused, and the events are handled singly.
        first.named = False
        await pipe.router.consume(await deliveries(pipe))
        assert len(await database.admin(query)) == 2
        assert len(await pipe.effects()) == 2


async def test_an_event_that_never_succeeds_is_a_dead_letter_and_its_key_goes_on(database: TestDatabase):
    first = Witness("first", fails_on=lambda event: event.resource_id == "bad")
    async with pipeline(database, [first], max_attempts=3) as pipe:
        bad = await pipe.write("bad", key="k")
        await pipe.write("later", key="k")
        await pipe.drain()
        for _ in range(4):
            pipe.clock.advance(minutes=10)
            while await pipe.router.retry_due():
                pass
        assert await pipe.effects() == ["later"]
        assert await pipe.failures() == [(bad.id, "dead_letter", 3)]
        states = await database.admin("SELECT id, state FROM billing_event_states ORDER BY xid, seq")
        assert [row["state"] for row in states] == ["dead_letter", "dispatched"]


async def give_up(pipe: Pipeline, attempts: int) -> None:
    for _ in range(attempts):
        pipe.clock.advance(minutes=10)
        while await pipe.router.retry_due():
            pass


async def put_back(pipe: Pipeline, *event_ids: str) -> None:
    """As an operator does with dead letters."""
    await pipe.database.admin(
        "UPDATE event_handler_failures SET state = 'failed', attempts = 0, next_attempt_at = $1 "
        "WHERE state = 'dead_letter' AND event_id = ANY ($2)",
        pipe.clock.now(),
        event_ids,
    )
    while await pipe.router.retry_due():
        pass


async def test_a_dead_letter_that_succeeds_lets_nothing_past_another_failure(
    database: TestDatabase,
):
    broken = {"e1", "e2"}
    first = Witness("first", fails_on=lambda event: event.resource_id in broken)
    async with pipeline(database, [first], max_attempts=3) as pipe:
        e1 = await pipe.write("e1", key="k")
        await pipe.drain()
        await give_up(pipe, 4)
        for name in ("e2", "e3"):
            await pipe.write(name, key="k")
            await pipe.drain()
        broken.remove("e1")
        await put_back(pipe, e1.id)
        assert await pipe.effects() == ["e1"]
        broken.clear()
        await give_up(pipe, 3)
        assert await pipe.effects() == ["e1", "e2", "e3"]


async def test_dead_letters_of_a_key_that_are_put_back_together_are_tried_in_order(database: TestDatabase):
    names = [f"e{number}" for number in range(5)]
    broken = set(names)
    first = Witness("first", fails_on=lambda event: event.resource_id in broken)
    async with pipeline(database, [first], max_attempts=2) as pipe:
        ids = [(await pipe.write(name, key="k")).id for name in names]
        await pipe.drain()
        await give_up(pipe, 20)
        broken.intersection_update({"e0"})
        await put_back(pipe, *ids)
        assert await pipe.effects() == []
        broken.clear()
        await give_up(pipe, 2)
        assert await pipe.effects() == names


async def test_a_failed_attempt_leaves_no_half_effects(database: TestDatabase):
    first = Witness("first", fails_on=lambda event: True)
    async with pipeline(database, [first]) as pipe:
        await pipe.write("bad")
        await pipe.drain()
        assert first.calls >= 1
        assert await pipe.effects() == []


async def test_a_payload_nobody_knows_harms_no_other_event(database: TestDatabase):
    from corebilling.events.envelope import payload

    class Unpacking(Witness):
        async def __call__(self, tx, event):
            payload(event)
            await super().__call__(tx, event)

    async with pipeline(database, [Unpacking("first")]) as pipe:
        async with pipe.writer.transaction(caller()) as tx:
            poison = append(tx, "poison", key="k")
            poison.payload.type_url = "type.googleapis.com/of.the.Future"
        async with pipe.writer.transaction(caller()) as tx:
            append(tx, "garbled", key="k2").payload.value = b"\xff\xff"
        await pipe.write("good", key="other")
        await pipe.drain()
        assert await pipe.effects() == ["good"]
        assert len(await pipe.failures()) == 2


async def test_an_unreachable_database_is_nobodys_attempt(database: TestDatabase):
    class Down(Witness):
        down = True

        async def __call__(self, tx, event):
            if self.down:
                raise Unavailable("DATABASE_UNAVAILABLE", "gone")
            await super().__call__(tx, event)

    first = Down("first")
    async with pipeline(database, [first]) as pipe:
        await pipe.write("r0")
        with pytest.raises(BusUnavailable):
            await pipe.router.consume(await deliveries(pipe))
        await pipe.drain()
        assert await pipe.failures() == []
        first.down = False
        pipe.clock.advance(seconds=3)
        await pipe.drain()
        assert await pipe.effects() == ["r0"]


async def test_follow_ups_carry_their_cause_and_the_same_id_however_often_handled(database: TestDatabase):
    fail_once = {"yes"}

    async def follow(tx, event):
        if event.resource_id == "cause":
            append(tx, "effect", key="k")
            append(tx, "effect", version=2, key="k")
            if fail_once:
                fail_once.pop()
                raise RuntimeError("after appending")

    async with pipeline(database, [follow]) as pipe:
        cause = await pipe.write("cause", key="k")
        await pipe.drain()
        pipe.clock.advance(seconds=2)
        while await pipe.router.retry_due():
            pass
        await pipe.drain()
        rows = await database.admin(
            "SELECT * FROM billing_events WHERE resource_id = 'effect' ORDER BY xid, seq"
        )
        assert len({row["id"] for row in rows}) == len(rows) == 2
        for row in rows:
            assert row["causation_id"] == cause.id
            assert row["correlation_id"] == cause.metadata.correlation_id
            assert row["actor"] == "handler:first"
            assert row["tenant_id"] == TENANT
            assert row["id"][:14] == cause.id[:14]


async def test_the_first_handlers_get_what_was_dispatched_before_they_existed(database: TestDatabase):
    """A dispatcher may be faster to start than the first router of an installation."""
    async with pipeline(database, []) as pipe:
        dispatcher = Dispatcher(pipe.worker, NoopBus(), pipe.clock, DispatcherPolicy())
        await pipe.write("early")
        assert await dispatcher.run_once() == 1
        table = {ANY_SUBJECT: [Handler("first", Witness("first"))]}
        router = Router(pipe.worker, pipe.clock, table, RouterPolicy())
        await router.register()
        for _ in range(2):
            await router.sweep()
        assert await pipe.effects() == ["early"]


async def test_a_handler_that_joins_others_begins_with_what_comes_next(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        await pipe.write("before")
        await pipe.drain()
        table = {ANY_SUBJECT: [Handler("first", Witness("first")), Handler("second", Witness("second"))]}
        router = Router(pipe.worker, pipe.clock, table, RouterPolicy())
        await router.register()
        pipe.bus.subscribe(router.consume)
        await pipe.write("after")
        await pipe.drain()
        assert await pipe.effects("first") == ["before", "after"]
        assert await pipe.effects("second") == ["after"]
