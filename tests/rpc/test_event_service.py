from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.event.v1 import event_pb2 as eventv1
from billing.event.v1 import event_service_pb2
from billing.event.v1.event_service_pb2_grpc import EventServiceStub
from google.protobuf.struct_pb2 import Struct

from corebilling.values.ids import new_id
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
    platform.clock.advance(days=40)
    await platform.drain()
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
