"""The event log as clients see it."""

import asyncio
from typing import Any

from billing.access.v1 import api_key_pb2
from billing.access.v1.access_service_pb2 import CreateApiKeyRequest
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.event.v1 import event_pb2 as eventv1
from billing.event.v1 import event_service_pb2 as rpc
from billing.event.v1.event_service_pb2_grpc import EventServiceStub

from google.protobuf.json_format import MessageToDict

from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_customer
from tests.support.platform import Platform


async def publish(platform: Platform, resource_id: str = "o-1", **fields) -> eventv1.Event:
    request = rpc.PublishEventRequest(
        request_id=fields.pop("request_id", "") or new_id("req"),
        subject=fields.pop("subject", "order.shipped"),
        resource_id=resource_id,
    )
    request.data.update(fields.pop("data", {"parcels": 2}))
    return (await events(platform, **fields).PublishEvent(request)).event


def events(platform: Platform, **options) -> Any:
    return platform.stub(EventServiceStub, **options)


async def get(platform: Platform, event_id: str, **options) -> rpc.GetEventResponse:
    return await events(platform, **options).GetEvent(rpc.GetEventRequest(event_id=event_id))


async def listed(platform: Platform, **filters) -> list[eventv1.Event]:
    return list((await events(platform).ListEvents(rpc.ListEventsRequest(**filters))).events)


async def test_a_published_event_is_read_back_as_it_was_published(platform: Platform):
    published = await publish(platform, data={"parcels": 2, "to": {"city": "Łódź"}})
    found = await get(platform, published.id)
    assert found.event == published
    assert (published.subject, published.resource_id) == ("order.shipped", "o-1")
    assert published.tenant_id == platform.tenant_id
    assert published.metadata.actor
    assert (published.metadata.resource_version, published.metadata.causation_id) == (1, "")
    custom = eventv1.CustomEvent()
    assert published.payload.Unpack(custom)
    assert MessageToDict(custom.data) == {"parcels": 2, "to": {"city": "Łódź"}}


async def test_an_event_is_pending_until_it_is_dispatched(platform: Platform):
    published = await publish(platform)
    assert (await get(platform, published.id)).state == eventv1.EVENT_STATE_PENDING
    await platform.drain()
    found = await get(platform, published.id)
    assert (found.state, list(found.failures)) == (eventv1.EVENT_STATE_DISPATCHED, [])


async def test_same_request_id_publishes_once(platform: Platform):
    first = await publish(platform, request_id="once")
    second = await publish(platform, request_id="once")
    assert first == second
    assert len(await listed(platform, subject="order.shipped")) == 1


async def test_a_subject_of_the_platforms_is_refused(platform: Platform):
    refusal = await refused(publish(platform, subject="invoice.paid"))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "EVENT_SUBJECT_RESERVED")
    assert refusal.facts == {"subject": "invoice.paid"}
    assert await listed(platform, subject="invoice.paid") == []


async def test_malformed_events_are_refused_by_field(platform: Platform):
    for wrong in (
        {"subject": "Shipped"},
        {"subject": "shipped"},
        {"resource_id": ""},
        {"resource_id": "a b"},
    ):
        refusal = await refused(publish(platform, **wrong))
        assert (refusal.code, set(refusal.fields)) == ("INVALID_ARGUMENT", set(wrong))


async def test_versions_of_a_resource_rise_whoever_publishes_and_under_whatever_subject(platform: Platform):
    subjects = ("order.shipped", "parcel.sent", "order.returned", "letter.written")
    published = await asyncio.gather(*(publish(platform, subject=subject) for subject in subjects * 3))
    versions = sorted(event.metadata.resource_version for event in published)
    assert versions == list(range(1, 13))
    await publish(platform, "o-2")
    (other,) = await listed(platform, resource_id="o-2")
    assert other.metadata.resource_version == 1


async def test_events_are_listed_newest_first_and_page_by_page(platform: Platform):
    published = [await publish(platform, f"o-{number}") for number in range(5)]
    first = await events(platform).ListEvents(rpc.ListEventsRequest(subject="order.*", page_size=3))
    second = await events(platform).ListEvents(
        rpc.ListEventsRequest(subject="order.*", page_size=3, page_token=first.next_page_token)
    )
    assert [*first.events, *second.events] == published[::-1]
    assert (len(first.events), second.next_page_token) == (3, "")


async def test_a_foreign_page_token_is_refused(platform: Platform):
    refusal = await refused(listed(platform, page_token="made-up"))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_events_are_filtered_by_subject_prefix_resource_and_correlation(platform: Platform):
    shipped = await publish(platform, "o-1")
    returned = await publish(platform, "o-2", subject="order.returned.late")
    orderly = await publish(platform, "o-1", subject="orderly.done")
    assert await listed(platform, subject="order.*") == [returned, shipped]
    assert await listed(platform, subject="order.shipped") == [shipped]
    assert await listed(platform, resource_id="o-1") == [orderly, shipped]
    assert await listed(platform, correlation_id=returned.metadata.correlation_id) == [returned]
    assert await listed(platform, subject="order.nothing") == []


async def test_a_trace_shows_each_event_with_its_state_and_none_of_another_cause(platform: Platform):
    await new_customer(platform)
    (created,) = await listed(platform, subject="customer.created")
    await publish(platform)
    await platform.drain()
    trace = await events(platform).TraceEvents(
        rpc.TraceEventsRequest(correlation_id=created.metadata.correlation_id)
    )
    assert [(traced.event, traced.depth, traced.state) for traced in trace.events] == [
        (created, 0, eventv1.EVENT_STATE_DISPATCHED)
    ]
    assert not trace.truncated


async def test_a_trace_shows_follow_ups_below_their_cause(platform: Platform):
    cause = await publish(platform, "o-1")
    await platform.drain()
    follow_up_of = (
        "INSERT INTO billing_events (shard, id, subject, tenant_id, resource_id, resource_version, "
        "ordering_key, payload_type, payload, correlation_id, causation_id, actor, traceparent, created_at) "
        "SELECT shard, $2, 'order.billed', tenant_id, 'o-9', 1, ordering_key, payload_type, payload, "
        "correlation_id, $1, 'handler:test', '', created_at FROM billing_events WHERE id = $1"
    )
    effect, effect_of_effect = new_id("evt"), new_id("evt")
    await platform.rows(follow_up_of, cause.id, effect)
    await platform.rows(follow_up_of, effect, effect_of_effect)
    trace = await events(platform).TraceEvents(
        rpc.TraceEventsRequest(correlation_id=cause.metadata.correlation_id)
    )
    assert [(traced.event.id, traced.depth) for traced in trace.events] == [
        (cause.id, 0),
        (effect, 1),
        (effect_of_effect, 2),
    ]


async def test_a_failing_handler_is_named_with_the_event_it_failed_on(platform: Platform):
    published = await publish(platform)
    await platform.drain()
    await platform.rows(
        "INSERT INTO event_handler_failures SELECT tenant_id, 'some.handler', shard, epoch, xid, seq, id, "
        "ordering_key, $2, 3, 'KeyError: no plan', now(), now() FROM billing_events WHERE id = $1",
        published.id,
        "failed",
    )
    found = await get(platform, published.id)
    (failure,) = found.failures
    assert found.state == failure.state == eventv1.EVENT_STATE_FAILED
    assert (failure.handler, failure.attempts, failure.error) == ("some.handler", 3, "KeyError: no plan")
    await platform.rows("UPDATE event_handler_failures SET state = 'dead_letter'")
    assert (await get(platform, published.id)).state == eventv1.EVENT_STATE_DEAD_LETTER


async def test_other_tenant_gets_not_found(platform: Platform):
    published = await publish(platform)
    _, key = await platform.new_tenant("rival")
    refusal = await refused(get(platform, published.id, key=key))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "EVENT_NOT_FOUND")
    assert refusal.facts == {"event_id": published.id}
    rival = events(platform, key=key)
    found = await rival.ListEvents(rpc.ListEventsRequest(subject="order.*"))
    assert list(found.events) == []
    correlation_id = published.metadata.correlation_id
    trace = await rival.TraceEvents(rpc.TraceEventsRequest(correlation_id=correlation_id))
    assert list(trace.events) == []


async def test_a_viewer_reads_events_and_publishes_none(platform: Platform):
    published = await publish(platform)
    created = await platform.stub(AccessServiceStub, key=platform.operator_key).CreateApiKey(
        CreateApiKeyRequest(
            tenant_id=platform.tenant_id,
            request_id=new_id("req"),
            name="viewer",
            role=api_key_pb2.ROLE_VIEWER,
        )
    )
    assert (await get(platform, published.id, key=created.secret)).event == published
    refusal = await refused(publish(platform, key=created.secret))
    assert refusal.code == "PERMISSION_DENIED"
