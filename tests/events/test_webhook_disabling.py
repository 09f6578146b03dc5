"""Endpoints that nothing is sent to, and why."""

from collections.abc import Sequence

import pytest
from billing.webhook.v1 import webhook_events_pb2, webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc

from corebilling.domains.webhook import jobs
from tests.support.webhook import POLICY, Webhooks, metric, webhooks

__all__ = ["webhooks"]

PENDING = webhook_pb2.WEBHOOK_DELIVERY_STATE_PENDING
DELIVERED = webhook_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED
DEAD = webhook_pb2.WEBHOOK_DELIVERY_STATE_DEAD
REQUESTED = webhook_pb2.WEBHOOK_DISABLED_REASON_REQUESTED
GONE = webhook_pb2.WEBHOOK_DISABLED_REASON_GONE
FAILING = webhook_pb2.WEBHOOK_DISABLED_REASON_FAILING
DAY_S = 86_400


async def endpoint_of(webhooks: Webhooks, created: rpc.CreateWebhookResponse) -> webhook_pb2.Webhook:
    request = rpc.GetWebhookRequest(webhook_id=created.webhook.id)
    found: webhook_pb2.Webhook = (await webhooks.call(webhooks.service.get_webhook, request)).webhook
    return found


async def enable(webhooks: Webhooks, created: rpc.CreateWebhookResponse) -> None:
    request = rpc.EnableWebhookRequest(webhook_id=created.webhook.id)
    await webhooks.call(webhooks.service.enable_webhook, request)


async def disable(webhooks: Webhooks, created: rpc.CreateWebhookResponse) -> None:
    request = rpc.DisableWebhookRequest(webhook_id=created.webhook.id)
    await webhooks.call(webhooks.service.disable_webhook, request)


async def announced(webhooks: Webhooks) -> list[tuple[str, int]]:
    """Who disabled an endpoint, and why."""
    rows = await webhooks.events.database.admin(
        "SELECT actor, payload FROM billing_events WHERE subject = 'webhook.disabled' ORDER BY xid, seq"
    )
    return [
        (row["actor"], webhook_events_pb2.WebhookDisabled.FromString(row["payload"]).reason) for row in rows
    ]


async def states(webhooks: Webhooks) -> Sequence[int]:
    return [delivery.state for delivery in await webhooks.deliveries()][::-1]


async def test_a_receiver_that_is_gone_disables_its_endpoint_at_once_and_says_so(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    await webhooks.happen("a")
    await webhooks.happen("b")
    webhooks.receiver.status = 410
    assert await webhooks.worker.run_once() == 1

    endpoint = await endpoint_of(webhooks, created)
    assert (endpoint.enabled, endpoint.disabled_reason, endpoint.version) == (False, GONE, 2)
    assert endpoint.disabled_at.ToDatetime() == webhooks.events.clock.now().replace(tzinfo=None)
    assert await announced(webhooks) == [("job:webhook", GONE)]
    assert await states(webhooks) == [DEAD, PENDING]
    await webhooks.happen("c")
    assert len(await webhooks.deliveries()) == 2, "nothing is queued for it any more"


async def test_what_is_on_its_way_waits_for_a_disabled_endpoint_and_is_sent_once_it_is_enabled(
    webhooks: Webhooks,
) -> None:
    created = await webhooks.endpoint()
    await webhooks.happen("a")
    await webhooks.happen("b")
    await disable(webhooks, created)
    for _ in range(3):
        assert await webhooks.worker.run_once() == 0
        webhooks.events.clock.advance(seconds=DAY_S)
    assert await states(webhooks) == [PENDING, PENDING]
    assert webhooks.receiver.received == []

    await enable(webhooks, created)
    webhooks.events.clock.advance(seconds=jobs.HELD_S)
    assert await webhooks.worker.run_once() == 2
    assert await states(webhooks) == [DELIVERED, DELIVERED]


async def test_an_enabled_endpoint_is_tried_at_once_although_it_failed_before(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    for number in range(20):
        await webhooks.events.write(f"r{number}")
    await webhooks.events.drain()
    webhooks.receiver.status, webhooks.receiver.headers = 503, {"Retry-After": "3600"}
    assert await webhooks.worker.run_once() == 1
    webhooks.receiver.status, webhooks.receiver.headers = 200, {}
    await disable(webhooks, created)
    await enable(webhooks, created)
    assert await webhooks.worker.run_once() == 1


async def test_switching_twice_changes_and_announces_nothing(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    await enable(webhooks, created)
    assert (await endpoint_of(webhooks, created)).version == 1
    await disable(webhooks, created)
    await disable(webhooks, created)
    assert await announced(webhooks) == [("key:test", REQUESTED)]
    assert (await endpoint_of(webhooks, created)).version == 2


async def test_a_reason_given_first_stays(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.status = 410
    await webhooks.worker.run_once()
    await disable(webhooks, created)
    assert (await endpoint_of(webhooks, created)).disabled_reason == GONE


async def test_deliveries_of_a_deleted_endpoint_are_given_up_together(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("corebilling.domains.webhook.jobs.BURIED_PER_LOOK", 2)
    before = metric("dlq")
    created = await webhooks.endpoint()
    for number in range(5):
        await webhooks.happen(f"r{number}")
    await webhooks.call(
        webhooks.service.delete_webhook, rpc.DeleteWebhookRequest(webhook_id=created.webhook.id)
    )
    assert await webhooks.worker.run_once() == 5
    assert await states(webhooks) == [DEAD] * 5
    assert {reason for _, reason in await webhooks.dead_letters()} == {"the endpoint is deleted"}
    assert len(await webhooks.dead_letters()) == 5
    assert metric("dlq") - before == 5
    assert webhooks.receiver.received == []


async def fail_for(webhooks: Webhooks, days: float) -> None:
    """One event, and no success from here on; one more at the end."""
    await webhooks.happen(f"first{days}")
    await webhooks.worker.run_once()
    webhooks.events.clock.advance(seconds=days * DAY_S)
    await webhooks.happen(f"last{days}")
    await webhooks.worker.run_once()


async def test_days_of_nothing_but_failures_disable_an_endpoint_and_say_so(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    webhooks.receiver.status = 500
    started_at = webhooks.events.clock.now()
    await fail_for(webhooks, days=5)
    endpoint = await endpoint_of(webhooks, created)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, FAILING)
    assert endpoint.failing_since.ToDatetime() == started_at.replace(tzinfo=None)
    assert await announced(webhooks) == [("job:webhook", FAILING)]
    assert PENDING in await states(webhooks)


async def test_a_failure_short_of_the_limit_disables_nothing(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    webhooks.receiver.status = 500
    await fail_for(webhooks, days=4.999)
    assert (await endpoint_of(webhooks, created)).enabled


async def test_a_success_in_between_begins_the_count_anew(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    webhooks.receiver.status = 500
    await fail_for(webhooks, days=3)
    webhooks.receiver.status = 200
    webhooks.events.clock.advance(seconds=POLICY.max_delay_s)
    await webhooks.worker.run_once()
    assert not (await endpoint_of(webhooks, created)).HasField("failing_since")
    webhooks.receiver.status = 500
    await fail_for(webhooks, days=3)
    assert (await endpoint_of(webhooks, created)).enabled


async def test_an_enabled_endpoint_has_all_its_days_again(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    webhooks.receiver.status = 500
    await fail_for(webhooks, days=5)
    await enable(webhooks, created)
    webhooks.events.clock.advance(seconds=POLICY.max_delay_s)
    await webhooks.worker.run_once()
    assert (await endpoint_of(webhooks, created)).enabled
