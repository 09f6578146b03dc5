"""Workers that die, and outcomes that come too late."""

import asyncio

import asyncpg
from billing.webhook.v1 import webhook_pb2, webhook_service_pb2

from corebilling.domains.webhook.delivery import Attempted, Claim
from corebilling.domains.webhook.endpoint import Endpoint
from corebilling.domains.webhook.model import DeliveryState, Outcome
from corebilling.domains.webhook.outcome import Outcomes
from tests.support.receiver import running_receiver
from tests.support.webhook import POLICY, Webhooks, metric, stop, webhooks

__all__ = ["webhooks"]

PENDING = webhook_pb2.WEBHOOK_DELIVERY_STATE_PENDING
DELIVERED = webhook_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED
DEAD = webhook_pb2.WEBHOOK_DELIVERY_STATE_DEAD

WAITING = "WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%RecordAttempts%'"


async def test_a_worker_killed_while_the_receiver_hangs_is_followed_by_another_under_the_same_event_id(
    webhooks: Webhooks,
) -> None:
    await webhooks.endpoint()
    event = await webhooks.happen()
    webhooks.receiver.hang()
    killed = asyncio.create_task(webhooks.worker.run())
    await webhooks.receiver.arrival()
    await stop(killed)
    webhooks.receiver.go_on()

    async with webhooks.another_worker() as other:
        webhooks.events.clock.advance(seconds=POLICY.lease_s - 0.001)
        assert await other.run_once() == 0
        webhooks.events.clock.advance(seconds=0.001)
        assert await other.run_once() == 1

    assert [received.event_id for received in webhooks.receiver.received] == [event.id, event.id]
    assert ((await webhooks.delivery()).state, await webhooks.attempts()) == (DELIVERED, [(2, 200, "")])


async def test_an_outcome_after_the_lease_ran_out_leaves_the_delivery_to_the_later_attempt(
    webhooks: Webhooks,
) -> None:
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.status = 500
    webhooks.receiver.hang()
    late = asyncio.create_task(webhooks.worker.run_once())
    await webhooks.receiver.arrival()
    webhooks.events.clock.advance(seconds=POLICY.lease_s)
    async with running_receiver() as second, webhooks.another_worker() as other:
        await webhooks.move_endpoint(second.url)
        second.hang()
        later = asyncio.create_task(other.run_once())
        await second.arrival()
        webhooks.receiver.go_on()
        await late
        delivery = await webhooks.delivery()
        assert (delivery.state, delivery.attempts, delivery.last_error) == (PENDING, 2, "")
        assert await webhooks.worker.run_once() == 0, "the later attempt's lease still runs"
        second.go_on()
        await later
    assert (await webhooks.delivery()).state == DELIVERED
    assert await webhooks.attempts() == [(1, 500, "the receiver answered 500"), (2, 200, "")]


async def test_a_success_stays_when_an_earlier_attempt_fails_late(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.hang()
    late = asyncio.create_task(webhooks.worker.run_once())
    await webhooks.receiver.arrival()
    webhooks.events.clock.advance(seconds=POLICY.lease_s)
    async with running_receiver() as healthy, webhooks.another_worker() as other:
        await webhooks.move_endpoint(healthy.url)
        await other.run_once()
    webhooks.receiver.status = 410
    webhooks.receiver.go_on()
    await late
    assert (await webhooks.delivery()).state == DELIVERED
    enabled = await webhooks.events.database.admin("SELECT enabled FROM webhooks")
    assert [row["enabled"] for row in enabled] == [True]
    assert [status for _, status, _ in await webhooks.attempts()] == [410, 200]


async def test_two_workers_never_send_the_same_delivery(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    for number in range(30):
        await webhooks.events.write(f"r{number}")
    await webhooks.events.drain()
    async with webhooks.another_worker() as other:
        done = await asyncio.gather(*(worker.run_once() for worker in (webhooks.worker, other) * 3))
    assert sum(done) == 30
    ids = [received.event_id for received in webhooks.receiver.received]
    assert len(ids) == len(set(ids)) == 30


async def test_a_dead_letter_whose_outcome_came_too_late_is_not_counted(webhooks: Webhooks) -> None:
    before = metric("dlq")
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.hang()
    late = asyncio.create_task(webhooks.worker.run_once())
    await webhooks.receiver.arrival()
    webhooks.events.clock.advance(seconds=POLICY.lease_s)
    async with running_receiver() as healthy, webhooks.another_worker() as other:
        await webhooks.move_endpoint(healthy.url)
        await other.run_once()
    # 410 is the one answer that buries a delivery at the first try.
    webhooks.receiver.status = 410
    webhooks.receiver.go_on()
    await late
    assert metric("dlq") == before
    assert await webhooks.dead_letters() == []


async def test_an_outcome_outlives_the_database_connection_it_was_recorded_on(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.hang()
    working = asyncio.create_task(webhooks.worker.run())
    await webhooks.receiver.arrival()
    holder = await asyncpg.connect(webhooks.events.database.admin_url)
    async with holder.transaction():
        await holder.execute("SELECT FROM webhook_deliveries FOR UPDATE")
        webhooks.receiver.go_on()
        await _until(webhooks, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity " + WAITING)
    await holder.close()
    await _until(webhooks, "SELECT FROM webhook_deliveries WHERE state = 'delivered'")
    await stop(working)
    assert await webhooks.attempts() == [(1, 200, "")]
    assert len(webhooks.receiver.received) == 1


async def test_an_outcome_that_is_recorded_twice_counts_once(webhooks: Webhooks) -> None:
    before = metric("dlq")
    await webhooks.endpoint()
    await webhooks.happen()
    (row,) = await webhooks.events.database.admin(
        "UPDATE webhook_deliveries SET attempts = 1 RETURNING tenant_id, id, webhook_id, event_id"
    )
    claim = Claim(**row, attempts=1, attempts_before=0)
    endpoint = Endpoint(row["tenant_id"], row["webhook_id"], "", 0, (), None, enabled=True, deleted=False)
    dead = Attempted(claim, endpoint, webhooks.events.clock.now(), Outcome(DeliveryState.DEAD, "no use"))
    outcomes = Outcomes(webhooks.events.worker, webhooks.events.clock, POLICY)
    for _ in range(2):
        await outcomes.record([dead])
    assert (await webhooks.delivery()).state == DEAD
    assert len(await webhooks.attempts()) == len(await webhooks.dead_letters()) == 1
    assert metric("dlq") - before == 1


async def test_an_outcome_recorded_again_leaves_what_was_sent_again_meanwhile(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    event = await webhooks.happen()
    await webhooks.worker.run_once()
    delivery = await webhooks.delivery()
    again = webhook_service_pb2.RedeliverWebhookRequest(request_id="again", delivery_id=delivery.id)
    await webhooks.call(webhooks.log.redeliver_webhook, again)

    # The worker never learned that its outcome was recorded, and does it once more.
    (row,) = await webhooks.events.database.admin(
        "SELECT tenant_id, id, webhook_id, event_id FROM webhook_deliveries"
    )
    claim = Claim(**row, attempts=1, attempts_before=0)
    endpoint = Endpoint(row["tenant_id"], row["webhook_id"], "", 0, (), None, enabled=True, deleted=False)
    delivered = Attempted(claim, endpoint, webhooks.events.clock.now(), Outcome(DeliveryState.DELIVERED))
    await Outcomes(webhooks.events.worker, webhooks.events.clock, POLICY).record([delivered])
    assert (await webhooks.delivery()).state == PENDING

    await webhooks.worker.run_once()
    assert [received.event_id for received in webhooks.receiver.received] == [event.id, event.id]
    assert await webhooks.attempts() == [(1, 200, ""), (2, 200, "")]


async def test_a_lease_lasts_little_longer_than_an_attempt() -> None:
    assert POLICY.http_timeout_s < POLICY.lease_s <= POLICY.http_timeout_s + 10


async def _until(webhooks: Webhooks, query: str) -> None:
    """Asks until there is an answer."""
    async with asyncio.timeout(10):
        while not await webhooks.events.database.admin(query):  # noqa: ASYNC110 (what the database does)
            await asyncio.sleep(0.01)
