"""Endpoints and their deliveries, through the generated stub and the running server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.webhook.v1 import webhook_events_pb2, webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub
from google.protobuf.field_mask_pb2 import FieldMask

from corebilling.domains.webhook.delivery_service import WebhookDeliveryService
from corebilling.domains.webhook.model import MAX_WEBHOOKS, WebhookPolicy
from corebilling.domains.webhook.service import WebhookService
from corebilling.domains.webhook.servicer import WebhookServicer
from corebilling.rpc.door import Door
from corebilling.secrets import Secrets
from corebilling.values.ids import new_id
from tests.support.app import MASTER_KEY, refused, running_app
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.receiver import Receiver, is_signed_by, running_receiver
from tests.support.webhook import customer_created, stop

if TYPE_CHECKING:
    from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceAsyncStub

URL = "https://hooks.example.com/billing"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as opened:
        yield opened


def stub(platform: Platform, key: str | None = None) -> "WebhookServiceAsyncStub":
    return platform.stub(WebhookServiceStub, key=key)


def creation(url: str = URL, filters: tuple[str, ...] = ("*",)) -> rpc.CreateWebhookRequest:
    return rpc.CreateWebhookRequest(request_id=new_id("req"), url=url, filters=filters)


async def create(platform: Platform, url: str = URL, *filters: str) -> rpc.CreateWebhookResponse:
    return await stub(platform).CreateWebhook(creation(url, filters or ("*",)))


async def delivery(platform: Platform) -> webhook_pb2.WebhookDelivery:
    listed = await stub(platform).ListWebhookDeliveries(rpc.ListWebhookDeliveriesRequest())
    (only,) = listed.deliveries
    return only


async def test_a_created_endpoint_can_be_read_and_is_announced(platform: Platform) -> None:
    created = await create(platform, URL, "invoice.*", "customer.created", "invoice.*")

    assert created.webhook.url == URL
    assert list(created.webhook.filters) == ["invoice.*", "customer.created"]
    assert (created.webhook.enabled, created.webhook.version) == (True, 1)
    assert created.webhook.tenant_id == platform.tenant_id
    found = await stub(platform).GetWebhook(rpc.GetWebhookRequest(webhook_id=created.webhook.id))
    assert found.webhook == created.webhook
    assert await platform.events("webhook.created") == [
        webhook_events_pb2.WebhookCreated(webhook_id=created.webhook.id)
    ]


async def test_the_secret_is_shown_once_and_kept_nowhere_in_the_clear(platform: Platform) -> None:
    request = creation()
    first = await stub(platform).CreateWebhook(request)
    repeated = await stub(platform).CreateWebhook(request)

    assert first.secret.startswith("whsec_")
    assert len(first.secret) > 40
    assert (repeated.webhook, repeated.secret) == (first.webhook, "")
    (answer,) = await platform.rows("SELECT response FROM request_keys WHERE method LIKE '%CreateWebhook'")
    (kept,) = await platform.rows("SELECT secret_ciphertext FROM webhooks")
    for stored in (answer["response"], kept["secret_ciphertext"]):
        assert b"whsec_" not in stored
        assert first.secret.removeprefix("whsec_").encode() not in stored


async def test_an_event_reaches_the_receiver_without_personal_data(
    platform: Platform, receiver: Receiver
) -> None:
    secret = (await create(platform, receiver.url, "customer.*")).secret
    await customer_created(platform)
    await platform.app.webhooks.run_once()

    (received,) = receiver.received
    assert is_signed_by(secret, received)
    assert received.headers["X-Event-Type"] == "customer.created"
    assert b"Ada" not in received.body
    assert b"example.com" not in received.body
    assert (await delivery(platform)).state == webhook_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED


async def test_the_commit_of_a_delivery_wakes_the_worker(database: TestDatabase, receiver: Receiver) -> None:
    async with running_platform(database, webhook_worker_interval_seconds=3600) as platform:
        await create(platform, receiver.url, "customer.*")
        working = asyncio.create_task(platform.app.webhooks.run())
        await customer_created(platform)
        await receiver.arrival()
        await stop(working)


async def test_endpoints_are_listed_newest_first_page_by_page(platform: Platform) -> None:
    ids = [(await create(platform)).webhook.id for _ in range(3)]
    first = await stub(platform).ListWebhooks(rpc.ListWebhooksRequest(page_size=2))
    second = await stub(platform).ListWebhooks(
        rpc.ListWebhooksRequest(page_size=2, page_token=first.next_page_token)
    )
    assert [webhook.id for webhook in (*first.webhooks, *second.webhooks)] == ids[::-1]
    assert second.next_page_token == ""


async def test_an_update_changes_what_its_mask_names_and_nothing_else(platform: Platform) -> None:
    webhook = (await create(platform)).webhook
    updated = await stub(platform).UpdateWebhook(
        rpc.UpdateWebhookRequest(
            request_id=new_id("req"),
            webhook_id=webhook.id,
            url="https://other.example.com/",
            filters=["invoice.*"],
            enabled=False,
            update_mask=FieldMask(paths=["filters", "enabled"]),
        )
    )
    assert (updated.webhook.url, list(updated.webhook.filters), updated.webhook.enabled) == (
        URL,
        ["invoice.*"],
        False,
    )
    assert updated.webhook.version == 3
    assert await platform.events("webhook.updated") == [
        webhook_events_pb2.WebhookUpdated(webhook_id=webhook.id, changed_fields=["enabled", "filters"])
    ]
    assert await platform.events("webhook.disabled") == [
        webhook_events_pb2.WebhookDisabled(
            webhook_id=webhook.id, reason=webhook_pb2.WEBHOOK_DISABLED_REASON_REQUESTED
        )
    ]


@pytest.mark.parametrize(
    ("paths", "reason", "facts"),
    [
        (["secret"], "UPDATE_MASK_INVALID", {"path": "secret"}),
        (["filters"], "REQUEST_INVALID", {}),
        (
            ["url"],
            "WEBHOOK_URL_INVALID",
            {
                "url": "",
                "detail": "write it as https://host/path, in ASCII, without user, password or fragment",
            },
        ),
    ],
)
async def test_an_update_that_makes_no_sense_is_refused(
    platform: Platform, paths: list[str], reason: str, facts: dict[str, str]
) -> None:
    webhook = (await create(platform)).webhook
    request = rpc.UpdateWebhookRequest(
        request_id=new_id("req"), webhook_id=webhook.id, update_mask=FieldMask(paths=paths)
    )
    refusal = await refused(stub(platform).UpdateWebhook(request))
    assert (refusal.code, refusal.reason, refusal.facts) == ("INVALID_ARGUMENT", reason, facts)


async def test_a_deleted_endpoint_is_gone_and_its_secret_with_it(platform: Platform) -> None:
    webhook = (await create(platform)).webhook
    await stub(platform).DeleteWebhook(
        rpc.DeleteWebhookRequest(request_id=new_id("req"), webhook_id=webhook.id)
    )
    refusal = await refused(stub(platform).GetWebhook(rpc.GetWebhookRequest(webhook_id=webhook.id)))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "WEBHOOK_NOT_FOUND")
    assert refusal.facts == {"webhook_id": webhook.id}
    assert not (await stub(platform).ListWebhooks(rpc.ListWebhooksRequest())).webhooks
    assert await platform.events("webhook.deleted") == [
        webhook_events_pb2.WebhookDeleted(webhook_id=webhook.id)
    ]
    (row,) = await platform.rows("SELECT secret_ciphertext FROM webhooks")
    assert row["secret_ciphertext"] == b""


async def test_a_tenant_has_at_most_a_hundred_endpoints(platform: Platform) -> None:
    webhook = (await create(platform)).webhook
    await platform.rows(
        "INSERT INTO webhooks (tenant_id, id, url, filters, secret_ciphertext, created_at) "
        "SELECT tenant_id, 'whk_' || n, url, filters, secret_ciphertext, created_at "
        "FROM webhooks, generate_series(2, $1::int) AS n",
        MAX_WEBHOOKS,
    )
    refusal = await refused(stub(platform).CreateWebhook(creation()))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "WEBHOOK_LIMIT_REACHED")
    assert refusal.facts == {"limit": "100"}
    await stub(platform).DeleteWebhook(
        rpc.DeleteWebhookRequest(request_id=new_id("req"), webhook_id=webhook.id)
    )
    await create(platform)


@pytest.mark.parametrize(
    ("url", "detail"),
    [
        ("https://169.254.169.254/latest", "the address is not public"),
        ("https://localhost/", "the host name is not public"),
        ("https://metadata.google.internal/", "the host name is not public"),
    ],
)
async def test_outside_development_only_public_https_is_accepted(
    database: TestDatabase, url: str, detail: str
) -> None:
    def strict(door: Door) -> Mapping[str, object]:
        service = WebhookService(Secrets(MASTER_KEY), WebhookPolicy())
        return {"billing.webhook.v1.WebhookService": WebhookServicer(door, service, WebhookDeliveryService())}

    async with running_app(database, extra=strict) as app:
        refusal = await refused(app.stub(WebhookServiceStub).CreateWebhook(creation(url)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "WEBHOOK_URL_INVALID")
    assert refusal.facts == {"url": url, "detail": detail}


@pytest.mark.parametrize("filter_", ["", "**", "invoice*", "*.generated", "Invoice.*", "invoice..x", ".*"])
async def test_a_malformed_filter_is_refused(platform: Platform, filter_: str) -> None:
    refusal = await refused(stub(platform).CreateWebhook(creation(filters=(filter_,))))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")
    assert refusal.fields == ("filters[0]",)


async def test_a_pending_delivery_cannot_be_sent_again_and_a_delivered_one_can(
    platform: Platform, receiver: Receiver
) -> None:
    await create(platform, receiver.url, "customer.*")
    await customer_created(platform)
    pending = await delivery(platform)

    def request() -> rpc.RedeliverWebhookRequest:
        return rpc.RedeliverWebhookRequest(request_id=new_id("req"), delivery_id=pending.id)

    refusal = await refused(stub(platform).RedeliverWebhook(request()))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "WEBHOOK_DELIVERY_PENDING")
    assert refusal.facts == {"delivery_id": pending.id, "state": "pending"}

    await platform.app.webhooks.run_once()
    again = await stub(platform).RedeliverWebhook(request())
    assert again.delivery.state == webhook_pb2.WEBHOOK_DELIVERY_STATE_PENDING
    await platform.app.webhooks.run_once()
    assert [received.event_id for received in receiver.received] == [pending.event_id] * 2


async def test_deliveries_are_found_by_endpoint_event_and_state(
    platform: Platform, receiver: Receiver
) -> None:
    for _ in range(2):
        await create(platform, receiver.url, "customer.*")
    await customer_created(platform)
    await customer_created(platform)
    await platform.app.webhooks.run_once()
    list_deliveries = stub(platform).ListWebhookDeliveries
    every = (await list_deliveries(rpc.ListWebhookDeliveriesRequest())).deliveries
    one = every[0]

    async def ids(**wanted: Any) -> set[str]:
        found = await list_deliveries(rpc.ListWebhookDeliveriesRequest(**wanted))
        return {delivery.id for delivery in found.deliveries}

    assert len(every) == 4
    assert await ids(webhook_id=one.webhook_id) == {d.id for d in every if d.webhook_id == one.webhook_id}
    assert await ids(event_id=one.event_id) == {d.id for d in every if d.event_id == one.event_id}
    assert await ids(state=webhook_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED) == {d.id for d in every}
    assert await ids(state=webhook_pb2.WEBHOOK_DELIVERY_STATE_DEAD) == set()


async def test_other_tenant_gets_not_found(platform: Platform, receiver: Receiver) -> None:
    webhook = (await create(platform, receiver.url, "customer.*")).webhook
    await customer_created(platform)
    sent = await delivery(platform)
    _, key = await platform.new_tenant("other")
    theirs = stub(platform, key)
    calls: list[tuple[Callable[[Any], Awaitable[Any]], Any, str]] = [
        (theirs.GetWebhook, rpc.GetWebhookRequest(webhook_id=webhook.id), "WEBHOOK_NOT_FOUND"),
        (
            theirs.UpdateWebhook,
            rpc.UpdateWebhookRequest(
                request_id="r", webhook_id=webhook.id, update_mask=FieldMask(paths=["enabled"])
            ),
            "WEBHOOK_NOT_FOUND",
        ),
        (
            theirs.DeleteWebhook,
            rpc.DeleteWebhookRequest(request_id="r", webhook_id=webhook.id),
            "WEBHOOK_NOT_FOUND",
        ),
        (
            theirs.ListWebhookDeliveryAttempts,
            rpc.ListWebhookDeliveryAttemptsRequest(delivery_id=sent.id),
            "WEBHOOK_DELIVERY_NOT_FOUND",
        ),
        (
            theirs.RedeliverWebhook,
            rpc.RedeliverWebhookRequest(request_id="r", delivery_id=sent.id),
            "WEBHOOK_DELIVERY_NOT_FOUND",
        ),
    ]
    for call, request, reason in calls:
        refusal = await refused(call(request))
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", reason)
    assert not (await theirs.ListWebhooks(rpc.ListWebhooksRequest())).webhooks
    assert not (await theirs.ListWebhookDeliveries(rpc.ListWebhookDeliveriesRequest())).deliveries


async def test_a_viewer_reads_endpoints_but_changes_none(platform: Platform) -> None:
    key = await platform.stub(AccessServiceStub, key=platform.operator_key).CreateApiKey(
        access_service_pb2.CreateApiKeyRequest(
            tenant_id=platform.tenant_id,
            request_id=new_id("req"),
            name="viewer",
            role=api_key_pb2.ROLE_VIEWER,
        )
    )
    viewer = stub(platform, key.secret)
    await viewer.ListWebhooks(rpc.ListWebhooksRequest())
    refusal = await refused(viewer.CreateWebhook(creation()))
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
    assert refusal.facts == {"permission": "webhook.write"}
