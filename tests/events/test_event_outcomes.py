"""What a trace tells of each event: who has handled it, when, and who has not."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from billing.event.v1 import event_pb2 as eventv1
from billing.event.v1 import event_service_pb2 as rpc
from billing.event.v1.event_service_pb2_grpc import EventServiceStub
from billing.webhook.v1 import webhook_pb2, webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub

from corebilling.domains.event.service import EventService
from corebilling.mapping import instant
from corebilling.values.ids import new_id
from tests.rpc.test_watch_events import publish
from tests.support.catalog import new_price, new_product, subscribe
from tests.support.pipeline import Pipeline, Witness, append, caller, pipeline
from tests.support.platform import Platform
from tests.support.postgres import TestDatabase

HANDLED = rpc.HANDLER_STATE_HANDLED
WAITING = rpc.HANDLER_STATE_WAITING
FAILED = rpc.HANDLER_STATE_FAILED
BLOCKED = rpc.HANDLER_STATE_BLOCKED
DEAD_LETTER = rpc.HANDLER_STATE_DEAD_LETTER


async def outcomes(pipe: Pipeline, event: eventv1.Event) -> Mapping[str, rpc.HandlerOutcome]:
    """By handler."""
    service = EventService({"*": ["first", "second"], "other.happened": ["third"]})
    async with pipe.writer.transaction(caller()) as tx:
        found = await service.get_event(tx, rpc.GetEventRequest(event_id=event.id))
    return {outcome.handler: outcome for outcome in found.handlers}


async def states(pipe: Pipeline, event: eventv1.Event) -> list[rpc.HandlerState]:
    return [outcome.state for outcome in (await outcomes(pipe, event)).values()]


async def test_handlers_wait_before_and_have_handled_after(database: TestDatabase):
    async with pipeline(database, [Witness("first"), Witness("second")]) as pipe:
        event = await pipe.write("a")
        assert await states(pipe, event) == [WAITING, WAITING]
        pipe.clock.advance(seconds=3)
        await pipe.drain()
        found = await outcomes(pipe, event)
        assert list(found) == ["first", "second"]
        for outcome in found.values():
            duration = outcome.duration.ToTimedelta()
            assert outcome.state == HANDLED
            assert timedelta() < duration < timedelta(seconds=20)
            assert instant(outcome.handled_at) == pipe.clock.now() + duration
            assert outcome.worker.startswith("wrk_")
            assert (outcome.attempts, outcome.error) == (0, "")


async def test_events_of_one_batch_were_handled_at_one_time_and_those_of_the_next_later(
    database: TestDatabase,
):
    async with pipeline(database, [Witness("first")]) as pipe:
        batch = [await pipe.write(f"r{number}", key="k") for number in range(3)]
        await pipe.drain()
        pipe.clock.advance(minutes=1)
        later = await pipe.write("r3", key="k")
        await pipe.drain()
        times = {(await outcomes(pipe, event))["first"].handled_at.ToJsonString() for event in batch}
        assert len(times) == 1
        after = instant((await outcomes(pipe, later))["first"].handled_at)
        first = instant((await outcomes(pipe, batch[0]))["first"].handled_at)
        assert timedelta(seconds=30) < after - first < timedelta(seconds=90)
        assert len(await pipe.database.admin("SELECT FROM event_batches")) == 2


async def test_a_handler_that_fails_says_why_and_whom_it_holds_up(database: TestDatabase):
    broken = Witness("first", fails_on=lambda event: event.resource_id == "bad")
    async with pipeline(database, [broken, Witness("second")], max_attempts=3) as pipe:
        async with pipe.writer.transaction(caller()) as tx:
            bad, behind = append(tx, "bad", key="k"), append(tx, "behind", key="k")
        await pipe.drain()
        failed = await outcomes(pipe, bad)
        assert await states(pipe, bad) == [FAILED, HANDLED]
        assert (failed["first"].attempts, failed["first"].error) == (1, "RuntimeError: first cannot do bad")
        assert instant(failed["first"].next_attempt_at) > pipe.clock.now()
        assert failed["second"].HasField("handled_at")
        assert await states(pipe, behind) == [BLOCKED, HANDLED]
        for _ in range(2):
            pipe.clock.advance(minutes=10)
            await pipe.router.retry_due()
        dead = (await outcomes(pipe, bad))["first"]
        assert (dead.state, dead.attempts) == (DEAD_LETTER, 3)
        await pipe.router.retry_due()
        assert await states(pipe, behind) == [HANDLED, HANDLED]


async def test_a_later_try_that_succeeds_has_its_own_time(database: TestDatabase):
    flaky = Witness("first", fails_on=lambda event: True)
    async with pipeline(database, [flaky, Witness("second")]) as pipe:
        event = await pipe.write("a")
        await pipe.drain()
        at_first = instant((await outcomes(pipe, event))["second"].handled_at)
        flaky.fails_on = lambda event: False
        pipe.clock.advance(minutes=10)
        await pipe.router.retry_due()
        found = await outcomes(pipe, event)
        assert [outcome.state for outcome in found.values()] == [HANDLED, HANDLED]
        assert instant(found["second"].handled_at) == at_first
        assert instant(found["first"].handled_at) > at_first + timedelta(minutes=9)


async def test_what_a_retry_notes_is_not_taken_for_its_neighbours_time(database: TestDatabase):
    """The retried event stands in the midst of a batch that was handled long before."""
    flaky = Witness("first", fails_on=lambda event: event.resource_id == "bad")
    async with pipeline(database, [flaky, Witness("second")]) as pipe:
        async with pipe.writer.transaction(caller()) as tx:
            append(tx, "bad", key="k")
        await pipe.drain()
        async with pipe.writer.transaction(caller()) as tx:
            before, blocked, after = (append(tx, name, key="k") for name in ("before", "bad-too", "after"))
        await pipe.drain()
        at_first = instant((await outcomes(pipe, after))["second"].handled_at)
        flaky.fails_on = lambda event: False
        for _ in range(4):
            pipe.clock.advance(minutes=10)
            await pipe.router.retry_due()
        for event in (before, blocked, after):
            found = await outcomes(pipe, event)
            assert instant(found["second"].handled_at) == at_first
            assert instant(found["first"].handled_at) > at_first + timedelta(minutes=5)


async def test_what_was_noted_long_ago_is_forgotten_and_the_rest_stays(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        old = [await pipe.write(f"r{number}") for number in range(20)]
        await pipe.drain()
        pipe.clock.advance(days=7, seconds=1)
        new = [await pipe.write(f"r{number}") for number in range(20)]
        await pipe.drain()
        noted = len(await pipe.database.admin("SELECT FROM event_batches"))
        # Two at it do not stand in each other's way.
        await asyncio.gather(pipe.router.forget(), pipe.router.forget())
        assert len(await pipe.database.admin("SELECT FROM event_batches")) == noted // 2
        for event in old:
            outcome = (await outcomes(pipe, event))["first"]
            assert (outcome.state, outcome.HasField("handled_at")) == (HANDLED, False)
        for event in new:
            assert (await outcomes(pipe, event))["first"].HasField("handled_at")


async def test_forgetting_takes_as_many_steps_as_there_are_notes(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        await pipe.write("a")
        await pipe.drain()
        await pipe.database.admin(
            "INSERT INTO event_batches SELECT started_at, xid, seq + n, xid, seq + n - 1, shard, epoch, "
            "epoch, 1, '', worker FROM event_batches, generate_series(1, 350) n"
        )
        pipe.clock.advance(days=8)
        assert await pipe.router.forget() == 351
        assert await pipe.router.forget() == 0


async def traced(platform: Platform, correlation_id: str) -> Any:
    request = rpc.TraceEventsRequest(correlation_id=correlation_id)
    return await platform.stub(EventServiceStub).TraceEvents(request)


async def test_a_trace_names_every_handler_that_an_event_concerns(platform: Platform):
    price = await new_price(platform, (await new_product(platform)).id, "fee")
    await subscribe(platform, price)
    platform.clock.advance(days=40)
    await platform.drain()
    (row,) = await platform.rows(
        "SELECT correlation_id FROM billing_events WHERE subject = 'billing.cycle.closed'"
    )
    found = {
        one.event.subject: [outcome.handler for outcome in one.handlers]
        for one in (await traced(platform, row["correlation_id"])).events
    }
    assert found["billing.cycle.closed"] == ["rating.on_billing_cycle_closed", "webhook.on_any_event"]
    assert found["rating.completed"] == ["invoice.on_rating_completed", "webhook.on_any_event"]
    assert found["ledger.journal.posted"] == ["webhook.on_any_event"]
    for one in (await traced(platform, row["correlation_id"])).events:
        for outcome in one.handlers:
            assert outcome.state == HANDLED
            assert instant(outcome.handled_at) > instant(one.event.created_at)


async def test_a_trace_tells_what_became_of_the_event_at_each_endpoint(platform: Platform):
    created = await platform.stub(WebhookServiceStub).CreateWebhook(
        webhook_service_pb2.CreateWebhookRequest(
            request_id=new_id("req"), url="http://127.0.0.1:9/hook", filters=["order.*"]
        )
    )
    published = await publish(platform, "o-1")
    await platform.drain()
    (one,) = (await traced(platform, published.metadata.correlation_id)).events
    (outcome,) = one.webhooks
    assert outcome.webhook_id == created.webhook.id
    assert outcome.state == webhook_pb2.WEBHOOK_DELIVERY_STATE_PENDING
    assert (outcome.attempts, outcome.last_status_code, outcome.last_error) == (0, 0, "")
    await platform.rows(
        "UPDATE webhook_deliveries SET attempts = 2, last_error = 'the receiver answered 503'"
    )
    await platform.rows(
        "INSERT INTO webhook_delivery_attempts "
        "(tenant_id, delivery_id, attempt, started_at, duration_ms, status_code, error) "
        "SELECT tenant_id, id, n, now(), 5, 501 + n, '' FROM webhook_deliveries, generate_series(1, 2) n"
    )
    (one,) = (await traced(platform, published.metadata.correlation_id)).events
    (outcome,) = one.webhooks
    assert (outcome.attempts, outcome.last_status_code) == (2, 503)
    assert outcome.last_error == "the receiver answered 503"
    found = await platform.stub(EventServiceStub).GetEvent(rpc.GetEventRequest(event_id=published.id))
    assert list(found.webhooks) == [outcome]
