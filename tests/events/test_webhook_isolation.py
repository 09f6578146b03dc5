"""No endpoint stands in another's way."""

import asyncio
from datetime import timedelta
from email.utils import format_datetime

import pytest
from billing.webhook.v1 import webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc
from google.protobuf.field_mask_pb2 import FieldMask

from corebilling.domains.webhook.lanes import AT_ONCE, BREAKER_FAILURES, SLOW_FACTOR
from corebilling.domains.webhook.model import WebhookPolicy
from tests.support.receiver import running_receiver
from tests.support.webhook import Webhooks, stop, webhooks

__all__ = ["webhooks"]

PENDING = webhook_pb2.WEBHOOK_DELIVERY_STATE_PENDING


def small(limit: int) -> WebhookPolicy:
    return WebhookPolicy(limit=limit, http_timeout_s=5, allow_private=True)


async def happen(webhooks: Webhooks, count: int) -> None:
    """So many events, handled."""
    for number in range(count):
        await webhooks.events.write(f"r{number}")
    await webhooks.events.drain()


async def test_an_endpoint_gets_one_attempt_at_first_and_four_at_once_when_it_answers(
    webhooks: Webhooks,
) -> None:
    await webhooks.endpoint()
    await happen(webhooks, 12)
    webhooks.receiver.hang()
    working = asyncio.create_task(webhooks.worker.run())
    await webhooks.receiver.arrival(1)
    assert webhooks.receiver.most_at_once == 1
    webhooks.receiver.answer_one()
    await webhooks.receiver.arrival(1 + AT_ONCE)
    webhooks.receiver.go_on()
    await webhooks.receiver.arrival(12)
    await stop(working)
    assert webhooks.receiver.most_at_once == AT_ONCE


async def test_no_more_deliveries_than_the_limits_are_under_way_at_once(webhooks: Webhooks) -> None:
    endpoints = SLOW_FACTOR + 4
    for _ in range(endpoints):
        await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.hang()
    async with webhooks.another_worker(small(limit=1)) as worker:
        working = asyncio.create_task(worker.run())
        await webhooks.receiver.arrival(SLOW_FACTOR)
        webhooks.receiver.go_on()
        await webhooks.receiver.arrival(endpoints)
        await stop(working)
    assert webhooks.receiver.most_at_once == SLOW_FACTOR


async def test_the_backlog_of_a_hanging_endpoint_hides_no_other(webhooks: Webhooks) -> None:
    async with running_receiver() as hanging, webhooks.another_worker(small(limit=1)) as worker:
        hanging.hang()
        await webhooks.endpoint(url=hanging.url)
        await happen(webhooks, 300)
        webhooks.events.clock.advance(seconds=60)
        await webhooks.endpoint()
        working = asyncio.create_task(worker.run())
        await hanging.arrival()
        for number in range(20):
            await webhooks.happen(f"later{number}")
            worker.wake()
            await webhooks.receiver.arrival(number + 1)
        await stop(working)
        assert len(hanging.received) == 1


async def test_what_a_busy_worker_has_no_room_for_is_left_to_another(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    await happen(webhooks, 12)
    webhooks.receiver.hang()
    busy = asyncio.create_task(webhooks.worker.run())
    await webhooks.receiver.arrival()
    async with running_receiver() as second, webhooks.another_worker() as other:
        await webhooks.move_endpoint(second.url)
        assert await other.run_once() == 11
    await stop(busy)


@pytest.mark.parametrize("status", [429, 502, 503, 504, 500])
@pytest.mark.parametrize("as_date", [False, True])
async def test_a_receiver_that_asks_for_time_gets_it_for_everything(
    webhooks: Webhooks, status: int, as_date: bool
) -> None:
    await webhooks.endpoint()
    await happen(webhooks, 3)
    # A date has no fractions of a second.
    webhooks.events.clock.advance(microseconds=1_000_000 - webhooks.events.clock.now().microsecond)
    until = webhooks.events.clock.now() + timedelta(seconds=90)
    asked = format_datetime(until, usegmt=True) if as_date else "90"
    webhooks.receiver.status, webhooks.receiver.headers = status, {"Retry-After": asked}
    assert await webhooks.worker.run_once() == 1
    webhooks.receiver.status = 200
    webhooks.events.clock.advance(seconds=89)
    assert await webhooks.worker.run_once() == 0
    webhooks.events.clock.advance(seconds=1)
    assert await webhooks.worker.run_once() == 3


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_an_overloaded_receiver_is_left_alone_even_if_it_asks_for_nothing(
    webhooks: Webhooks, status: int
) -> None:
    await webhooks.endpoint()
    await happen(webhooks, 3)
    webhooks.receiver.status = status
    assert await webhooks.worker.run_once() == 1
    webhooks.events.clock.advance(seconds=9.9)
    assert await webhooks.worker.run_once() == 0
    webhooks.events.clock.advance(seconds=0.1)
    assert await webhooks.worker.run_once() == 1


async def test_after_failures_in_a_row_an_endpoint_is_only_probed_until_it_recovers(
    webhooks: Webhooks,
) -> None:
    await webhooks.endpoint()
    await happen(webhooks, 20)
    webhooks.receiver.status = 500
    # One, and four of which the last ones were under way when the breaker opened.
    assert await webhooks.worker.run_once() == BREAKER_FAILURES
    webhooks.events.clock.advance(seconds=10)
    assert await webhooks.worker.run_once() == 1
    webhooks.events.clock.advance(seconds=19)
    assert await webhooks.worker.run_once() == 0
    webhooks.receiver.status = 200
    webhooks.events.clock.advance(seconds=1)
    assert await webhooks.worker.run_once() == 20


async def test_an_endpoint_gets_no_more_per_second_than_it_asked_for(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    request = rpc.UpdateWebhookRequest(
        webhook_id=created.webhook.id, rate_per_second=2, update_mask=FieldMask(paths=["rate_per_second"])
    )
    await webhooks.call(webhooks.service.update_webhook, request)
    await happen(webhooks, 10)
    counts = []
    for _ in range(4):
        counts.append(await webhooks.worker.run_once())
        webhooks.events.clock.advance(seconds=1)
    assert counts == [2, 2, 2, 2]


async def test_workers_share_the_endpoints_so_that_limits_hold_for_all_together(webhooks: Webhooks) -> None:
    for _ in range(20):
        await webhooks.endpoint()
    await webhooks.happen()
    shares = await webhooks.events.database.admin(
        "SELECT mod(hashtext(id) & 2147483647, 2) AS place, count(*) FROM webhooks GROUP BY 1 ORDER BY 1"
    )
    assert len(shares) == 2, "all endpoints in one share: a matter of chance, one in 500,000"
    alive_until = webhooks.events.clock.now() + timedelta(seconds=10)
    # It came first, so its share is the first.
    await webhooks.events.database.admin("INSERT INTO workers VALUES ('webhook', 'wrk_0', $1)", alive_until)
    mine = shares[1]["count"]

    working = asyncio.create_task(webhooks.worker.run())
    await webhooks.receiver.arrival(mine)
    await stop(working)
    assert len(webhooks.receiver.received) == mine
    rows = await webhooks.events.database.admin("SELECT id FROM workers WHERE role = 'webhook'")
    assert [row["id"] for row in rows] == ["wrk_0"], "who stops says so"

    # The other one died: its sign of life is too old.
    webhooks.events.clock.advance(seconds=10)
    working = asyncio.create_task(webhooks.worker.run())
    await webhooks.receiver.arrival(20)
    await stop(working)


async def test_more_endpoints_than_one_look_steps_over_are_all_reached(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corebilling.domains.webhook.jobs.LANES_PER_LOOK", 3)
    for _ in range(10):
        await webhooks.endpoint()
    await webhooks.happen()
    assert await webhooks.worker.run_once() == 10
