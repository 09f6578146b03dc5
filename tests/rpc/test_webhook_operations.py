"""What operators do about deliveries, through the generated stub and the running server."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from billing.webhook.v1 import webhook_events_pb2, webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.platform import Platform
from tests.support.receiver import Receiver, is_signed_by, running_receiver
from tests.support.webhook import customer_created

if TYPE_CHECKING:
    from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceAsyncStub

PENDING = webhook_pb2.WEBHOOK_DELIVERY_STATE_PENDING
DELIVERED = webhook_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED
DEAD = webhook_pb2.WEBHOOK_DELIVERY_STATE_DEAD
DISCARDED = webhook_pb2.WEBHOOK_DELIVERY_STATE_DISCARDED


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with running_receiver() as opened:
        yield opened


def stub(platform: Platform, key: str | None = None) -> "WebhookServiceAsyncStub":
    return platform.stub(WebhookServiceStub, key=key)


async def create(platform: Platform, url: str, filter_: str = "customer.*") -> rpc.CreateWebhookResponse:
    return await stub(platform).CreateWebhook(
        rpc.CreateWebhookRequest(request_id=new_id("req"), url=url, filters=[filter_])
    )


async def disable(platform: Platform, webhook_id: str) -> rpc.DisableWebhookResponse:
    return await stub(platform).DisableWebhook(
        rpc.DisableWebhookRequest(request_id=new_id("req"), webhook_id=webhook_id)
    )


async def deliveries(platform: Platform, **wanted: Any) -> list[webhook_pb2.WebhookDelivery]:
    listed = await stub(platform).ListWebhookDeliveries(rpc.ListWebhookDeliveriesRequest(**wanted))
    return list(listed.deliveries)


async def dead_letters(platform: Platform, **wanted: Any) -> list[webhook_pb2.WebhookDeadLetter]:
    listed = await stub(platform).ListWebhookDeadLetters(rpc.ListWebhookDeadLettersRequest(**wanted))
    return list(listed.dead_letters)


async def exhaust(platform: Platform, receiver: Receiver, status: int = 500) -> None:
    """Tries until nothing is pending any more."""
    receiver.status = status
    while await deliveries(platform, state=PENDING):
        platform.clock.advance(seconds=300)
        await platform.app.webhooks.run_once()
    receiver.status = 200


def range_of(webhook_id: str, since: datetime, **wanted: Any) -> rpc.RedeliverWebhookRangeRequest:
    return rpc.RedeliverWebhookRangeRequest(
        request_id=new_id("req"), webhook_id=webhook_id, created_from=timestamp(since), **wanted
    )


async def test_a_rotated_secret_is_shown_once_and_announced(platform: Platform, receiver: Receiver) -> None:
    created = await create(platform, receiver.url)
    request = rpc.RotateWebhookSecretRequest(
        request_id=new_id("req"), webhook_id=created.webhook.id, overlap_seconds=0
    )
    first = await stub(platform).RotateWebhookSecret(request)
    repeated = await stub(platform).RotateWebhookSecret(request)
    assert first.secret.startswith("whsec_")
    assert first.secret != created.secret
    assert (repeated.secret, repeated.webhook) == ("", first.webhook)
    assert await platform.events("webhook.secret.rotated") == [
        webhook_events_pb2.WebhookSecretRotated(webhook_id=created.webhook.id)
    ]
    await customer_created(platform)
    await platform.app.webhooks.run_once()
    assert is_signed_by(first.secret, receiver.received[0])


@pytest.mark.parametrize("overlap_s", [-1, 604_801])
async def test_an_overlap_beyond_a_week_is_refused(platform: Platform, overlap_s: int) -> None:
    refusal = await refused(
        stub(platform).RotateWebhookSecret(
            rpc.RotateWebhookSecretRequest(request_id="r", webhook_id="w", overlap_seconds=overlap_s)
        )
    )
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("overlap_seconds",))


async def test_a_test_event_goes_to_the_endpoint_under_test_alone_whatever_its_filters(
    platform: Platform, receiver: Receiver
) -> None:
    created = await create(platform, receiver.url, "nothing.at.all")
    await create(platform, receiver.url, "*")
    sent = await stub(platform).SendTestWebhook(
        rpc.SendTestWebhookRequest(request_id=new_id("req"), webhook_id=created.webhook.id)
    )
    await platform.drain()
    await platform.app.webhooks.run_once()
    tests = [one for one in receiver.received if one.headers["X-Event-Type"] == "webhook.tested"]
    assert [is_signed_by(created.secret, one) for one in tests] == [True]
    assert sent.delivery.event_id == tests[0].event_id
    assert [one.state for one in await deliveries(platform, event_id=sent.delivery.event_id)] == [DELIVERED]
    assert await platform.events("webhook.tested") == [
        webhook_events_pb2.WebhookTested(webhook_id=created.webhook.id)
    ]


async def test_a_test_event_does_not_wait_for_a_failing_endpoint_to_be_tried_again(
    platform: Platform, receiver: Receiver
) -> None:
    created = await create(platform, receiver.url)
    await customer_created(platform)
    receiver.status, receiver.headers = 503, {"Retry-After": "3600"}
    await platform.app.webhooks.run_once()
    receiver.status = 200
    await stub(platform).SendTestWebhook(
        rpc.SendTestWebhookRequest(request_id=new_id("req"), webhook_id=created.webhook.id)
    )
    assert await platform.app.webhooks.run_once() == 1
    assert receiver.received[-1].headers["X-Event-Type"] == "webhook.tested"


async def test_an_endpoint_is_disabled_and_enabled_and_says_so(
    platform: Platform, receiver: Receiver
) -> None:
    created = await create(platform, receiver.url)
    disabled = (await disable(platform, created.webhook.id)).webhook
    assert (disabled.enabled, disabled.disabled_reason, disabled.version) == (
        False,
        webhook_pb2.WEBHOOK_DISABLED_REASON_REQUESTED,
        2,
    )
    assert disabled.HasField("disabled_at")
    enabled = await stub(platform).EnableWebhook(
        rpc.EnableWebhookRequest(request_id=new_id("req"), webhook_id=created.webhook.id)
    )
    expected = webhook_pb2.Webhook()
    expected.CopyFrom(created.webhook)
    expected.version = 3
    assert enabled.webhook == expected
    assert await platform.events("webhook.disabled") == [
        webhook_events_pb2.WebhookDisabled(
            webhook_id=created.webhook.id, reason=webhook_pb2.WEBHOOK_DISABLED_REASON_REQUESTED
        )
    ]
    assert await platform.events("webhook.enabled") == [
        webhook_events_pb2.WebhookEnabled(webhook_id=created.webhook.id)
    ]


async def test_nothing_is_sent_on_request_to_a_disabled_endpoint(
    platform: Platform, receiver: Receiver
) -> None:
    created = await create(platform, receiver.url)
    await customer_created(platform)
    await platform.app.webhooks.run_once()
    (sent,) = await deliveries(platform)
    await disable(platform, created.webhook.id)
    for call in (
        stub(platform).SendTestWebhook(
            rpc.SendTestWebhookRequest(request_id=new_id("req"), webhook_id=created.webhook.id)
        ),
        stub(platform).RedeliverWebhook(
            rpc.RedeliverWebhookRequest(request_id=new_id("req"), delivery_id=sent.id)
        ),
        stub(platform).RedeliverWebhookRange(range_of(created.webhook.id, platform.clock.now())),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "WEBHOOK_DISABLED")
        assert refusal.facts == {"webhook_id": created.webhook.id, "disabled_reason": "requested"}


async def test_attempts_show_status_time_error_and_what_was_answered(
    platform: Platform, receiver: Receiver
) -> None:
    await create(platform, receiver.url)
    await customer_created(platform)
    receiver.status, receiver.answer = 500, b"database is on fire"
    await platform.app.webhooks.run_once()
    platform.clock.advance(seconds=300)
    receiver.status, receiver.answer = 200, b"ok"
    await platform.app.webhooks.run_once()
    (sent,) = await deliveries(platform)
    listed = await stub(platform).ListWebhookDeliveryAttempts(
        rpc.ListWebhookDeliveryAttemptsRequest(delivery_id=sent.id)
    )
    assert [(one.attempt, one.status_code, one.error, one.response) for one in listed.attempts] == [
        (1, 500, "the receiver answered 500", "database is on fire"),
        (2, 200, "", "ok"),
    ]
    assert all(0 <= one.duration_ms < 10_000 for one in listed.attempts)


async def test_dead_letters_are_listed_newest_first_page_by_page_and_by_endpoint(
    platform: Platform, receiver: Receiver
) -> None:
    created = await create(platform, receiver.url)
    other = await create(platform, receiver.url, "subscription.*")
    for _ in range(3):
        await customer_created(platform)
    await exhaust(platform, receiver)
    first = await stub(platform).ListWebhookDeadLetters(rpc.ListWebhookDeadLettersRequest(page_size=2))
    second = await stub(platform).ListWebhookDeadLetters(
        rpc.ListWebhookDeadLettersRequest(page_size=2, page_token=first.next_page_token)
    )
    letters = [*first.dead_letters, *second.dead_letters]
    assert [letter.delivery for letter in letters] == await deliveries(platform, state=DEAD)
    assert len(letters) == 3
    assert {letter.reason for letter in letters} == {"the receiver answered 500"}
    assert letters[0].dead_at.ToDatetime() <= platform.clock.now().replace(tzinfo=None)
    assert len(await dead_letters(platform, webhook_id=created.webhook.id)) == 3
    assert await dead_letters(platform, webhook_id=other.webhook.id) == []


async def test_the_dead_of_a_time_span_are_sent_again_oldest_first_and_bounded(
    platform: Platform, receiver: Receiver
) -> None:
    created = await create(platform, receiver.url)
    times = []
    for _ in range(4):
        times.append(platform.clock.now())
        await customer_created(platform)
        platform.clock.advance(minutes=1)
    ids = [one.id for one in await deliveries(platform)][::-1]
    await exhaust(platform, receiver)
    receiver.received.clear()

    request = range_of(created.webhook.id, times[1], created_before=timestamp(times[3]), limit=1)
    again = await stub(platform).RedeliverWebhookRange(request)
    assert (again.redelivered, again.more) == (1, True)
    assert [one.id for one in await deliveries(platform, state=PENDING)] == [ids[1]]
    assert await stub(platform).RedeliverWebhookRange(request) == again, "the same request id"

    request = range_of(created.webhook.id, times[1], created_before=timestamp(times[3]))
    rest = await stub(platform).RedeliverWebhookRange(request)
    assert (rest.redelivered, rest.more) == (1, False)
    platform.clock.advance(seconds=300)
    assert await platform.app.webhooks.run_once() == 2
    assert [one.delivery.id for one in await dead_letters(platform)] == [ids[3], ids[0]]
    assert {one.id for one in await deliveries(platform, state=DELIVERED)} == {ids[1], ids[2]}


async def test_delivered_ones_are_sent_again_if_asked_for(platform: Platform, receiver: Receiver) -> None:
    created = await create(platform, receiver.url)
    since = platform.clock.now()
    await customer_created(platform)
    await platform.app.webhooks.run_once()
    platform.clock.advance(seconds=1)
    none = await stub(platform).RedeliverWebhookRange(range_of(created.webhook.id, since))
    assert none.redelivered == 0
    again = await stub(platform).RedeliverWebhookRange(range_of(created.webhook.id, since, state=DELIVERED))
    assert again.redelivered == 1
    assert await platform.app.webhooks.run_once() == 1
    assert receiver.received[0].event_id == receiver.received[1].event_id


async def test_what_is_sent_again_after_a_repair_does_not_wait(
    platform: Platform, receiver: Receiver
) -> None:
    created = await create(platform, receiver.url)
    since = platform.clock.now()
    for _ in range(3):
        await customer_created(platform)
    await exhaust(platform, receiver)
    await stub(platform).RedeliverWebhookRange(range_of(created.webhook.id, since))
    # The endpoint's breaker is open; the first gets through, and the others follow.
    assert await platform.app.webhooks.run_once() == 3


@pytest.mark.parametrize("state", [PENDING, DISCARDED])
async def test_only_dead_and_delivered_ones_make_a_range(platform: Platform, state: int) -> None:
    request = range_of("w", platform.clock.now(), state=state)
    refusal = await refused(stub(platform).RedeliverWebhookRange(request))
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("state",))


async def test_a_discarded_dead_letter_leaves_the_queue_and_keeps_its_reason(
    platform: Platform, receiver: Receiver
) -> None:
    await create(platform, receiver.url)
    await customer_created(platform)
    await exhaust(platform, receiver)
    (letter,) = await dead_letters(platform)
    discarded = await stub(platform).DiscardWebhookDeadLetter(
        rpc.DiscardWebhookDeadLetterRequest(
            request_id=new_id("req"), delivery_id=letter.delivery.id, reason="receiver was replaced"
        )
    )
    assert discarded.delivery.state == DISCARDED
    assert discarded.delivery.discard_reason == "receiver was replaced"
    assert await dead_letters(platform) == []
    assert await deliveries(platform, state=DISCARDED) == [discarded.delivery]

    again = rpc.RedeliverWebhookRequest(request_id=new_id("req"), delivery_id=letter.delivery.id)
    refusal = await refused(stub(platform).RedeliverWebhook(again))
    assert (refusal.reason, refusal.facts["state"]) == ("WEBHOOK_DELIVERY_PENDING", "discarded")


async def test_what_is_not_dead_cannot_be_discarded(platform: Platform, receiver: Receiver) -> None:
    await create(platform, receiver.url)
    await customer_created(platform)
    (pending,) = await deliveries(platform)
    refusal = await refused(
        stub(platform).DiscardWebhookDeadLetter(
            rpc.DiscardWebhookDeadLetterRequest(request_id="r", delivery_id=pending.id, reason="tired")
        )
    )
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "WEBHOOK_DELIVERY_NOT_DEAD")
    assert refusal.facts == {"delivery_id": pending.id, "state": "pending"}


async def test_the_rate_is_what_was_last_asked_for_within_bounds(
    platform: Platform, receiver: Receiver
) -> None:
    created = await stub(platform).CreateWebhook(
        rpc.CreateWebhookRequest(
            request_id=new_id("req"), url=receiver.url, filters=["customer.*"], rate_per_second=2
        )
    )
    assert created.webhook.rate_per_second == 2
    for _ in range(5):
        await customer_created(platform)
    await platform.app.webhooks.run_once()
    counts = [len(receiver.received)]
    platform.clock.advance(seconds=1)
    await platform.app.webhooks.run_once()
    counts.append(len(receiver.received))
    assert counts == [2, 4]
    refusal = await refused(
        stub(platform).CreateWebhook(
            rpc.CreateWebhookRequest(request_id="r", url=receiver.url, filters=["*"], rate_per_second=1001)
        )
    )
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("rate_per_second",))


async def test_other_tenant_gets_not_found(platform: Platform, receiver: Receiver) -> None:
    created = await create(platform, receiver.url)
    await customer_created(platform)
    await exhaust(platform, receiver)
    (letter,) = await dead_letters(platform)
    _, key = await platform.new_tenant("other")
    theirs, webhook_id, now = stub(platform, key), created.webhook.id, platform.clock.now()
    calls: list[tuple[Callable[[Any], Awaitable[Any]], Any, str]] = [
        (theirs.EnableWebhook, rpc.EnableWebhookRequest(webhook_id=webhook_id), "WEBHOOK_NOT_FOUND"),
        (theirs.DisableWebhook, rpc.DisableWebhookRequest(webhook_id=webhook_id), "WEBHOOK_NOT_FOUND"),
        (
            theirs.RotateWebhookSecret,
            rpc.RotateWebhookSecretRequest(webhook_id=webhook_id),
            "WEBHOOK_NOT_FOUND",
        ),
        (theirs.SendTestWebhook, rpc.SendTestWebhookRequest(webhook_id=webhook_id), "WEBHOOK_NOT_FOUND"),
        (theirs.RedeliverWebhookRange, range_of(webhook_id, now - timedelta(days=1)), "WEBHOOK_NOT_FOUND"),
        (
            theirs.DiscardWebhookDeadLetter,
            rpc.DiscardWebhookDeadLetterRequest(delivery_id=letter.delivery.id, reason="mine"),
            "WEBHOOK_DELIVERY_NOT_FOUND",
        ),
    ]
    for call, request, reason in calls:
        request.request_id = new_id("req")
        refusal = await refused(call(request))
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", reason)
    assert not (await theirs.ListWebhookDeadLetters(rpc.ListWebhookDeadLettersRequest())).dead_letters
    assert await dead_letters(platform) == [letter]
