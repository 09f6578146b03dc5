"""Traces to an OpenTelemetry collector, made only when its address is set."""

from collections.abc import Sequence
from typing import Any

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import aio_server_interceptor
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_propagator = TraceContextTextMapPropagator()


def start_traces(endpoint: str) -> Sequence[Any]:
    """Exports spans to `host:port` from here on; returns the gRPC interceptors that make them."""
    provider = TracerProvider(resource=Resource({SERVICE_NAME: "corebilling"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    trace.set_tracer_provider(provider)
    return call_interceptors(provider)


def stop_traces() -> None:
    """Sends what is still held back."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.shutdown()


def call_interceptors(provider: TracerProvider) -> Sequence[Any]:
    """They make a span of every call, as a child of the client's."""
    return [aio_server_interceptor(tracer_provider=provider)]  # type: ignore[no-untyped-call]


def running_traceparent() -> str:
    """The W3C traceparent of the span that is running here; '' when none is."""
    if not trace.get_current_span().get_span_context().is_valid:
        return ""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")
