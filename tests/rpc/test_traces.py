"""Spans of calls: made by the server, children of the client's, and carried on by events."""

from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from corebilling.telemetry.traces import call_interceptors
from tests.support.app import refused, running_app
from tests.support.postgres import TestDatabase

TRACE = "0af7651916cd43dd8448eb211c80319c"


async def test_call_is_a_span_of_the_clients_trace_and_its_event_goes_on_from_there(
    database: TestDatabase,
) -> None:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with running_app(database, interceptors=call_interceptors(provider)) as app:
        stub = app.stub(CustomerServiceStub)
        spans.clear()
        request = rpc.CreateCustomerRequest(
            request_id="req-1", currency="EUR", details=rpc.CustomerDetails(name="Ada")
        )
        await stub.CreateCustomer(request, metadata=(("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"),))
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
