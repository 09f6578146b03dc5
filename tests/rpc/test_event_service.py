import asyncio
import math
from typing import Any

import pytest
from billing.access.v1 import api_key_pb2
from billing.access.v1.access_service_pb2 import CreateApiKeyRequest
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.event.v1 import event_pb2 as eventv1
from billing.event.v1 import event_service_pb2
from billing.event.v1.event_service_pb2_grpc import EventServiceStub
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

from corebilling.domains.event import service
from corebilling.domains.event.model import MAX_CUSTOM_EVENT_BYTES
from corebilling.events.envelope import as_object
from corebilling.values.ids import new_id
from corebilling.values.page import MAX_PAGE_BYTES
from tests.support.app import refused
from tests.support.catalog import new_customer, new_price, new_product, subscribe
from tests.support.platform import Platform


def publishing(
    subject: str = "order.shipped", request_id: str = "", **data
) -> event_service_pb2.PublishEventRequest:
    struct = Struct()
    struct.update(data)
    return event_service_pb2.PublishEventRequest(
        request_id=request_id or new_id("req"), subject=subject, resource_id="order-7", data=struct
    )


async def test_a_custom_event_is_published_once_and_handled(platform: Platform):
    stub = platform.stub(EventServiceStub)
    request = publishing(request_id="once", parcel=3)
    first, second = await stub.PublishEvent(request), await stub.PublishEvent(request)
    assert first == second
    pending = await stub.GetEvent(event_service_pb2.GetEventRequest(event_id=first.event.id))
    assert pending.state == eventv1.EVENT_STATE_PENDING
    await platform.drain()
    handled = await stub.GetEvent(event_service_pb2.GetEventRequest(event_id=first.event.id))
    assert handled.state == eventv1.EVENT_STATE_DISPATCHED
    custom = eventv1.CustomEvent()
    assert handled.event.payload.Unpack(custom)
    assert custom.data["parcel"] == 3


async def test_versions_of_a_custom_resource_rise(platform: Platform):
    stub = platform.stub(EventServiceStub)
    versions = [(await stub.PublishEvent(publishing())).event.metadata.resource_version for _ in range(3)]
    assert versions == [1, 2, 3]


async def test_the_platforms_own_subjects_are_reserved(platform: Platform):
    refusal = await refused(platform.stub(EventServiceStub).PublishEvent(publishing("invoice.paid")))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "EVENT_SUBJECT_RESERVED")
    assert refusal.facts == {"subject": "invoice.paid"}


async def test_a_subject_is_looked_for_in_stretches(platform: Platform, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(service, "LOOKED_THROUGH_EVENTS", 4)
    stub = platform.stub(EventServiceStub)
    for number in range(10):
        subject = "order.shipped" if number in (0, 1, 7) else "order.placed"
        await stub.PublishEvent(publishing(subject, request_id=f"r{number}"))
    pages: list[int] = []
    token = ""
    while not pages or token:
        page = await stub.ListEvents(
            event_service_pb2.ListEventsRequest(subject="order.shipped", page_size=2, page_token=token)
        )
        pages.append(len(page.events))
        token = page.next_page_token
    # The last has what the tenant began with.
    assert pages == [1, 0, 2, 0]


async def test_events_are_found_by_subject_prefix_resource_and_correlation(platform: Platform):
    customer = await new_customer(platform)
    await new_product(platform)
    stub = platform.stub(EventServiceStub)

    async def subjects(**filters) -> list[str]:
        answer = await stub.ListEvents(event_service_pb2.ListEventsRequest(**filters))
        return [event.subject for event in answer.events]

    assert (await subjects())[:2] == ["product.created", "customer.created"]
    assert await subjects(subject="customer.*") == ["customer.created"]
    assert await subjects(subject="product.created") == ["product.created"]
    assert await subjects(resource_id=customer.id) == ["customer.created"]
    (event,) = (await stub.ListEvents(event_service_pb2.ListEventsRequest(resource_id=customer.id))).events
    assert await subjects(correlation_id=event.metadata.correlation_id) == ["customer.created"]


async def test_a_trace_shows_what_led_to_what(platform: Platform):
    price = await new_price(platform, (await new_product(platform)).id, "fee")
    await subscribe(platform, price)
    await platform.pass_time(days=40)
    stub = platform.stub(EventServiceStub)
    (paid,) = (await stub.ListEvents(event_service_pb2.ListEventsRequest(subject="invoice.generated"))).events
    answer = await stub.TraceEvents(
        event_service_pb2.TraceEventsRequest(correlation_id=paid.metadata.correlation_id)
    )
    tree = [(traced.depth, traced.event.subject) for traced in answer.events]
    assert tree[:2] == [(0, "billing.cycle.closed"), (1, "rating.completed")]
    assert {(2, "invoice.generated"), (2, "invoice.status.changed"), (2, "ledger.journal.posted")} <= set(
        tree
    )
    assert (0, "billing.invoice.pending") in tree
    assert {traced.state for traced in answer.events} == {eventv1.EVENT_STATE_DISPATCHED}
    actors = {traced.event.subject: traced.event.metadata.actor for traced in answer.events}
    assert actors["billing.cycle.closed"] == "job:scheduler"
    assert actors["rating.completed"] == "handler:rating.on_billing_cycle_closed"


async def test_the_callers_correlation_id_is_kept(platform: Platform):
    request = customer_service_pb2.CreateCustomerRequest(
        request_id="r", details=customer_service_pb2.CustomerDetails(name="Ada")
    )
    stub = platform.stub(CustomerServiceStub)
    await stub.CreateCustomer(request, metadata=(("x-correlation-id", "mine-1"),))
    answer = await platform.stub(EventServiceStub).TraceEvents(
        event_service_pb2.TraceEventsRequest(correlation_id="mine-1")
    )
    assert [traced.event.subject for traced in answer.events] == ["customer.created"]


async def test_other_tenant_gets_not_found(platform: Platform):
    published = await platform.stub(EventServiceStub).PublishEvent(publishing())
    _, other_key = await platform.new_tenant("other")
    stub = platform.stub(EventServiceStub, key=other_key)
    refusal = await refused(stub.GetEvent(event_service_pb2.GetEventRequest(event_id=published.event.id)))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "EVENT_NOT_FOUND")
    trace = event_service_pb2.TraceEventsRequest(correlation_id=published.event.metadata.correlation_id)
    assert not (await stub.TraceEvents(trace)).events


async def publish(
    platform: Platform, resource_id: str = "order-7", *, key: str | None = None, **fields
) -> Any:
    request = publishing(fields.get("subject", "order.shipped"), **fields.get("data", {}))
    request.resource_id = resource_id
    return (await platform.stub(EventServiceStub, key=key).PublishEvent(request)).event


async def get(platform: Platform, event_id: str, *, key: str | None = None) -> Any:
    request = event_service_pb2.GetEventRequest(event_id=event_id)
    return await platform.stub(EventServiceStub, key=key).GetEvent(request)


async def listed(platform: Platform, *, key: str | None = None, **filters) -> list[eventv1.Event]:
    request = event_service_pb2.ListEventsRequest(**filters)
    return list((await platform.stub(EventServiceStub, key=key).ListEvents(request)).events)


async def test_a_published_event_is_read_back_as_it_was_published(platform: Platform):
    published = await publish(platform, data={"parcels": 2, "to": {"city": "Łódź"}})
    found = await get(platform, published.id)
    assert found.event == published
    assert (published.subject, published.resource_id) == ("order.shipped", "order-7")
    assert published.tenant_id == platform.tenant_id
    assert published.metadata.actor
    assert (published.metadata.resource_version, published.metadata.causation_id) == (1, "")
    custom = eventv1.CustomEvent()
    assert published.payload.Unpack(custom)
    assert MessageToDict(custom.data) == {"parcels": 2, "to": {"city": "Łódź"}}


async def test_numbers_are_shown_as_they_were_published(platform: Platform):
    data = {"parcels": 2, "weight": 1.5, "nested": [{"n": -3}], "most": 2**53, "yes": True}
    published = await publish(platform, data=data)
    shown = as_object(published)["payload"]
    assert (shown, type(shown["parcels"]), shown["yes"]) == (data, int, True)


@pytest.mark.parametrize("number", [2.0**53 + 2, -1e20, math.nan, math.inf])
async def test_numbers_that_cannot_be_kept_are_refused(platform: Platform, number: float):
    refusal = await refused(publish(platform, data={"list": [{"deep": number}]}))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")
    assert refusal.fields == ("data",)


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
    first = await platform.stub(EventServiceStub).ListEvents(
        event_service_pb2.ListEventsRequest(subject="order.*", page_size=3)
    )
    second = await platform.stub(EventServiceStub).ListEvents(
        event_service_pb2.ListEventsRequest(subject="order.*", page_size=3, page_token=first.next_page_token)
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


async def test_events_of_another_tenant_are_not_listed(platform: Platform):
    await publish(platform)
    _, key = await platform.new_tenant("rival")
    assert await listed(platform, key=key, subject="order.*") == []


async def test_data_that_is_too_large_is_refused_by_name(platform: Platform):
    refusal = await refused(publish(platform, data={"text": "x" * MAX_CUSTOM_EVENT_BYTES}))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "EVENT_TOO_LARGE")
    assert refusal.facts == {"limit_bytes": str(MAX_CUSTOM_EVENT_BYTES)}
    assert await listed(platform, subject="order.*") == []


async def large(platform: Platform, count: int) -> list[str]:
    """The ids of so many events of 250 kB each, under one correlation id."""
    stub = platform.stub(EventServiceStub)
    requests = (publishing(text="x" * 250_000) for _ in range(count))
    answers = [await stub.PublishEvent(one, metadata=(("x-correlation-id", "large"),)) for one in requests]
    return [answer.event.id for answer in answers]


async def test_a_page_of_large_events_ends_early_and_the_next_goes_on(platform: Platform):
    ids = await large(platform, 30)
    pages: list[list[str]] = []
    token = ""
    while not pages or token:
        answer = await platform.stub(EventServiceStub).ListEvents(
            event_service_pb2.ListEventsRequest(subject="order.*", page_token=token)
        )
        assert answer.ByteSize() <= MAX_PAGE_BYTES + 1000
        pages.append([event.id for event in answer.events])
        token = answer.next_page_token
    assert [len(page) for page in pages] == [12, 12, 6]
    assert [event_id for page in pages for event_id in page] == ids[::-1]


async def test_a_trace_of_large_events_keeps_the_oldest_and_says_so(platform: Platform):
    ids = await large(platform, 30)
    await platform.drain()
    answer = await platform.stub(EventServiceStub).TraceEvents(
        event_service_pb2.TraceEventsRequest(correlation_id="large")
    )
    assert ([traced.event.id for traced in answer.events], answer.truncated) == (ids[:12], True)
    assert answer.ByteSize() <= MAX_PAGE_BYTES + 1000
    await platform.rows("DELETE FROM billing_events WHERE id = ANY ($1)", ids[12:])
    answer = await platform.stub(EventServiceStub).TraceEvents(
        event_service_pb2.TraceEventsRequest(correlation_id="large")
    )
    assert (len(answer.events), answer.truncated) == (12, False)
