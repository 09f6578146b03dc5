"""Metrics as Prometheus reads them: names, types and labels are part of the contract, and they are true."""

import re
from collections.abc import Mapping

import aiohttp
import pytest
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub

from corebilling.values.ids import new_id
from tests.rpc.test_watch_events import publish, watching
from tests.support.platform import Platform
from tests.support.receiver import running_receiver

# Dashboards and alerts ask for exactly these.
CONTRACT = {
    "corebilling_outbox_dispatcher_errors": ("gauge", set()),
    "corebilling_outbox_dispatcher_inflight": ("gauge", set()),
    "corebilling_outbox_dispatcher_dispatch_count": ("gauge", set()),
    "corebilling_outbox_dispatch_total": ("counter", {"status"}),
    "corebilling_outbox_dispatch_duration_seconds": ("histogram", set()),
    "corebilling_outbox_backlog": ("gauge", set()),
    "corebilling_webhook_delivery_success_total": ("counter", set()),
    "corebilling_webhook_delivery_failure_total": ("counter", set()),
    "corebilling_webhook_delivery_dlq_total": ("counter", set()),
    "corebilling_webhook_delivery_duration_seconds": ("histogram", set()),
    "corebilling_webhook_backlog": ("gauge", set()),
    "corebilling_event_router_handle_duration": ("histogram", set()),
    "corebilling_event_handler_errors_total": ("counter", {"handler"}),
    "corebilling_event_watches": ("gauge", set()),
    "corebilling_usage_ingestion_rate": ("gauge", set()),
    "corebilling_usage_reconciled_total": ("counter", set()),
    "corebilling_usage_drift_total": ("counter", set()),
    "corebilling_api_requests_total": ("counter", {"method", "status"}),
    "corebilling_api_duration_seconds": ("histogram", {"method"}),
    "corebilling_api_rate_limited_total": ("counter", {"method"}),
    "corebilling_api_rate_limited_alone_total": ("counter", set()),
}
SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)
BROKEN = """
INSERT INTO billing_events (shard, id, subject, tenant_id, resource_id, resource_version, ordering_key,
    payload_type, payload, correlation_id, causation_id, actor, traceparent, created_at)
SELECT shard, id || '-broken', 'usage.reported', tenant_id, 'broken', 1, 'broken', 'billing.usage.v1.Nothing',
    '', correlation_id, '', actor, '', created_at
FROM billing_events WHERE id = $1
"""
OVERSIZE = """
INSERT INTO billing_events (shard, id, subject, tenant_id, resource_id, resource_version, ordering_key,
    payload_type, payload, correlation_id, causation_id, actor, traceparent, created_at)
SELECT shard, id || '-oversize', subject, tenant_id, 'large', 1, 'large', payload_type,
    convert_to(repeat('x', 1200000), 'UTF8'), correlation_id, '', actor, '', created_at
FROM billing_events WHERE id = $1
"""


async def scrape(platform: Platform) -> str:
    url = f"{platform.app.http_address}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.content_type == "text/plain"
        return await response.text()


async def values(platform: Platform) -> Mapping[str, float]:
    """By name with labels."""
    return {
        f"{name}{{{labels}}}" if labels else name: float(value)
        for name, labels, value in SAMPLE.findall(await scrape(platform))
    }


@pytest.mark.parametrize("name", CONTRACT)
async def test_metric_has_the_name_type_and_labels_of_the_contract(platform: Platform, name: str) -> None:
    kind, labels = CONTRACT[name]
    text = await scrape(platform)
    assert f"# TYPE {name} {kind}\n" in text
    assert f"# HELP {name} " in text
    sample = f"{name}_count" if kind == "histogram" else name
    shown = [
        set(re.findall(r"(\w+)=", found))
        for found_name, found, _ in SAMPLE.findall(text)
        if found_name == sample
    ]
    # Labels show once something was counted under them.
    assert shown or labels
    assert all(found == labels for found in shown)


async def test_an_event_is_counted_on_its_way(platform: Platform) -> None:
    before = await values(platform)
    await publish(platform, "o-1")
    await platform.app.dispatcher.observe()
    waiting = await values(platform)
    await platform.drain()
    await platform.app.dispatcher.observe()
    after = await values(platform)

    def rose(name: str) -> float:
        return after[name] - before.get(name, 0)

    events = waiting["corebilling_outbox_backlog"]
    assert events >= 1
    assert after["corebilling_outbox_backlog"] == after["corebilling_outbox_dispatcher_inflight"] == 0
    assert rose('corebilling_outbox_dispatch_total{status="dispatched"}') == events
    assert rose("corebilling_outbox_dispatcher_dispatch_count") == events
    assert rose("corebilling_outbox_dispatch_duration_seconds_count") >= 1
    assert rose("corebilling_event_router_handle_duration_count") >= 1
    published = (
        'corebilling_api_requests_total{method="billing.event.v1.EventService/PublishEvent",status="OK"}'
    )
    assert rose(published) == 1


async def test_what_fails_is_counted_by_handler_and_by_status(platform: Platform) -> None:
    model = await publish(platform, "o-1")
    await platform.rows(BROKEN, model.id)
    await platform.rows(OVERSIZE, model.id)
    before = await values(platform)
    await platform.drain()
    after = await values(platform)
    failed = 'corebilling_event_handler_errors_total{handler="rating.on_usage_reported"}'
    assert after[failed] - before.get(failed, 0) == 1
    refused = 'corebilling_outbox_dispatch_total{status="dead_letter"}'
    assert after[refused] - before[refused] == 1


async def test_open_streams_are_counted(platform: Platform) -> None:
    before = (await values(platform))["corebilling_event_watches"]
    async with watching(platform), watching(platform):
        assert (await values(platform))["corebilling_event_watches"] == before + 2


async def test_deliveries_to_webhooks_are_counted(platform: Platform) -> None:
    async with running_receiver() as receiver:
        await platform.stub(WebhookServiceStub).CreateWebhook(
            webhook_service_pb2.CreateWebhookRequest(
                request_id=new_id("req"), url=receiver.url, filters=["order.*"]
            )
        )
        await publish(platform, "o-1")
        await platform.drain()
        before = await values(platform)
        assert await platform.app.webhooks.run_once() == 1
        after = await values(platform)
    for name in ("success_total", "duration_seconds_count"):
        assert (
            after[f"corebilling_webhook_delivery_{name}"] - before[f"corebilling_webhook_delivery_{name}"]
            == 1
        )
