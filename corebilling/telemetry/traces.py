"""Traces to an OpenTelemetry collector, made only when its address is set.

A call's span is stored with the events it writes. What is done about an event later is a child of that span,
wherever it runs: its handlers, what they write, the calls to webhooks. A batch is linked to all its events.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import grpc
from google.protobuf import descriptor_pool
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.grpc import aio_server_interceptor
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_MAX_LINKS = 128

_propagator = TraceContextTextMapPropagator()
_provider: TracerProvider | None = None


def start_traces(endpoint: str) -> None:
    """Exports spans to `host:port` from here on."""
    provider = TracerProvider(resource=Resource({SERVICE_NAME: "corebilling"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint, insecure=True)))
    make_traces(provider)


def make_traces(provider: TracerProvider) -> None:
    """All spans of this process come from this provider from here on."""
    global _provider
    _provider = provider


def stop_traces() -> None:
    """Sends what is still held back."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


def call_interceptors() -> Sequence[Any]:
    """They make a span of every call, as a child of the client's; none while no traces are made."""
    if _provider is None:
        return ()
    # Streams of responses last for minutes, and their spans would say nothing.
    return [aio_server_interceptor(tracer_provider=_provider, filter_=_has_one_response)]  # type: ignore[no-untyped-call]


def request_span(name: str, traceparent: str) -> AbstractContextManager[Span]:
    """A call over HTTP, as a child of the client's W3C traceparent."""
    if _provider is None:
        return nullcontext(INVALID_SPAN)
    return _tracer(_provider).start_as_current_span(name, _stored(traceparent), SpanKind.SERVER)


def running_traceparent() -> str:
    """The W3C traceparent of the span that is running here; '' when none is."""
    if _provider is None or not trace.get_current_span().get_span_context().is_valid:
        return ""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent", "")


@contextmanager
def event_span(name: str, traceparent: str, attributes: Mapping[str, str]) -> Iterator[None]:
    """What is done about an event: a child of what wrote it, linked to the batch that runs here."""
    if _provider is None:
        yield
        return
    running = trace.get_current_span().get_span_context()
    with _tracer(_provider).start_as_current_span(
        name,
        _stored(traceparent),
        SpanKind.CONSUMER,
        attributes,
        links=[Link(running)] if running.is_valid else (),
    ):
        yield


@contextmanager
def replay_span(name: str, traceparent: str, attributes: Mapping[str, str]) -> Iterator[None]:
    """What is done about an event once more, later: a trace of its own, linked to what wrote the event."""
    if _provider is None:
        yield
        return
    written = trace.get_current_span(_stored(traceparent)).get_span_context()
    links = [Link(written)] if written.is_valid else []
    with _tracer(_provider).start_as_current_span(
        name, Context(), SpanKind.CONSUMER, attributes, links=links
    ):
        yield


def batch_span(
    name: str, traceparents: Iterable[str], attributes: Mapping[str, str | int]
) -> AbstractContextManager[None]:
    """What is sent for several events together: a trace of its own, linked to what wrote them."""
    return _linked_span(name, traceparents, attributes, SpanKind.PRODUCER)


def events_span(
    name: str, traceparents: Iterable[str], attributes: Mapping[str, str | int]
) -> AbstractContextManager[None]:
    """What is done about several events together: a trace of its own, linked to what wrote them."""
    return _linked_span(name, traceparents, attributes, SpanKind.CONSUMER)


@contextmanager
def _linked_span(
    name: str, traceparents: Iterable[str], attributes: Mapping[str, str | int], kind: SpanKind
) -> Iterator[None]:
    if _provider is None:
        yield
        return
    contexts = (
        trace.get_current_span(_stored(text)).get_span_context() for text in dict.fromkeys(traceparents)
    )
    links = [Link(context) for context in contexts if context.is_valid]
    with _tracer(_provider).start_as_current_span(
        name, Context(), kind, attributes, links=links[:_MAX_LINKS]
    ):
        yield


def call_span(name: str, traceparent: str) -> AbstractContextManager[Span]:
    """A call to the outside, as a child of a stored W3C traceparent; of none when that is ''."""
    if _provider is None:
        return nullcontext(INVALID_SPAN)
    return _tracer(_provider).start_as_current_span(name, _stored(traceparent), SpanKind.CLIENT)


def _tracer(provider: TracerProvider) -> trace.Tracer:
    return provider.get_tracer("corebilling")


def _stored(traceparent: str) -> Context:
    # An empty context to begin with: what runs here is no parent of what was stored elsewhere.
    return _propagator.extract({"traceparent": traceparent} if traceparent else {}, Context())


def _has_one_response(details: grpc.HandlerCallDetails) -> bool:
    service, _, method = details.method.removeprefix("/").rpartition("/")
    try:
        found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[method]
    except KeyError:
        return True
    return not found.server_streaming
