"""Spans: of calls, as children of the client's, and of all that is done about the events they write."""

import asyncio
from collections.abc import Iterator

import pytest
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from corebilling.mapping import timestamp
from corebilling.telemetry.traces import call_interceptors, event_span, make_traces, stop_traces
from corebilling.values.ids import new_id
from tests.rpc.test_watch_events import publish, watching
from tests.support.app import refused, running_app
from tests.support.catalog import new_meter, new_price, new_product, subscribe
from tests.support.http import Http
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.receiver import running_receiver

TRACE = "0af7651916cd43dd8448eb211c80319c"
CLIENT = (("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),)


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """The spans of this process while the test runs."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    make_traces(provider)
    yield exporter
    stop_traces()


def of_trace(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """By name: those of the client's trace."""
    return {
        span.name: span
        for span in spans.get_finished_spans()
        if span.context is not None and f"{span.context.trace_id:032x}" == TRACE
    }


def parent(span: ReadableSpan) -> int:
    assert span.parent is not None
    return int(span.parent.span_id)


def number(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


async def test_call_is_a_span_of_the_clients_trace_and_its_event_goes_on_from_there(
    database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    async with running_app(database, interceptors=call_interceptors()) as app:
        stub = app.stub(CustomerServiceStub)
        spans.clear()
        request = rpc.CreateCustomerRequest(
            request_id="req-1", currency="EUR", details=rpc.CustomerDetails(name="Ada")
        )
        await stub.CreateCustomer(request, metadata=CLIENT)
        refusal = await refused(stub.GetCustomer(rpc.GetCustomerRequest(customer_id="cus_1")))
        assert refusal.reason == "CUSTOMER_NOT_FOUND"
        (event,) = await app.database.admin(
            "SELECT traceparent FROM billing_events WHERE subject = 'customer.created'"
        )
    created, read = spans.get_finished_spans()
    assert created.context is not None
    assert f"{created.context.trace_id:032x}" == TRACE
    assert event["traceparent"] == f"00-{TRACE}-{created.context.span_id:016x}-01"
    assert read.name.endswith("CustomerService/GetCustomer")


async def test_call_over_http_is_a_span_of_the_clients_trace_too(
    http: Http, spans: InMemorySpanExporter
) -> None:
    details = {"details": {"name": "Ada"}}
    await http.post("/v1/customers", details, key="once", headers=dict(CLIENT))
    span = of_trace(spans)["billing.customer.v1.CustomerService/CreateCustomer"]
    (event,) = await http.platform.rows(
        "SELECT traceparent FROM billing_events WHERE subject = 'customer.created'"
    )
    assert event["traceparent"] == f"00-{TRACE}-{number(span):016x}-01"


async def test_one_trace_leads_from_the_call_through_its_handlers_to_the_webhook(
    database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    async with running_platform(database) as platform, running_receiver() as receiver:
        subscription_id = await metered_subscription(platform)
        await platform.stub(WebhookServiceStub).CreateWebhook(
            webhook_service_pb2.CreateWebhookRequest(
                request_id=new_id("req"), url=receiver.url, filters=["usage.rated"]
            )
        )
        await platform.drain()
        record = usage_pb2.UsageRecord(
            idempotency_key="u-1",
            subscription_id=subscription_id,
            meter_code="tokens",
            quantity="12.5",
            recorded_at=timestamp(platform.clock.now()),
        )
        spans.clear()
        request = usage_service_pb2.ReportUsageRequest(record=record)
        await platform.stub(UsageServiceStub).ReportUsage(request, metadata=CLIENT)
        await platform.drain()
        assert await platform.app.webhooks.run_once() == 1
    found = of_trace(spans)
    call = found["/billing.usage.v1.UsageService/ReportUsage"]
    rated = found["rating.on_usage_reported"]
    delivered = found["webhook.deliver"]
    assert parent(rated) == number(call)
    # Its event was written by the handler, in the same trace.
    assert parent(delivered) == number(rated)
    assert rated.attributes is not None
    assert rated.attributes["event.subject"] == "usage.reported"
    assert rated.attributes["tenant.id"] == platform.tenant_id
    batches = [span for span in spans.get_finished_spans() if span.name == "dispatch"]
    linked = {link.context.span_id for span in batches for link in span.links}
    assert {number(call), number(rated)} <= linked
    assert {parent(span) if span.parent else None for span in batches} == {None}
    # The handler names the batch it was part of.
    assert {link.context.span_id for link in rated.links} <= {number(span) for span in batches}
    assert len(rated.links) == 1


async def test_a_handler_that_fails_says_so_in_its_span(spans: InMemorySpanExporter) -> None:
    with pytest.raises(RuntimeError), event_span("a handler", CLIENT[0][1], {}):
        raise RuntimeError("cannot")
    (span,) = spans.get_finished_spans()
    assert span.status.description == "RuntimeError: cannot"


async def test_calls_made_without_traces_store_none_and_make_no_spans(platform: Platform) -> None:
    published = await publish(platform, "o-1")
    assert published.metadata.traceparent == ""
    published = await publish(platform, "o-1", metadata=CLIENT)
    assert published.metadata.traceparent == CLIENT[0][1]
    await platform.drain()


async def test_a_stream_of_events_works_while_traces_are_made(
    database: TestDatabase, spans: InMemorySpanExporter
) -> None:
    async with running_platform(database) as platform, watching(platform) as stream:
        published = await publish(platform, "o-1")
        assert await stream.event() == published


async def metered_subscription(platform: Platform) -> str:
    product, meter = await asyncio.gather(new_product(platform), new_meter(platform))
    price = await new_price(
        platform,
        product.id,
        "tokens",
        model="PRICE_MODEL_PER_UNIT",
        usage="PRICE_USAGE_METERED",
        meter_id=meter.id,
    )
    return (await subscribe(platform, price)).id
