"""The gRPC server: every method of every service, wrapped once in the concerns of a call."""

import contextlib
import inspect
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc
from google.protobuf import descriptor_pool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from corebilling.errors import Unimplemented
from corebilling.listening import AddressUnavailable, check_free
from corebilling.rpc.answer import MAX_MESSAGE_BYTES
from corebilling.rpc.call import Behaviour, Call, Concern, Context, enter
from corebilling.rpc.certificates import Tls
from corebilling.rpc.method import Method, methods_of
from corebilling.status import CORRELATION_HEADER, DETAILS_KEY, status_of
from corebilling.telemetry.traces import running_traceparent
from corebilling.values.ids import new_id

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

Receive: TypeAlias = Callable[[Any, Context], Awaitable[Any]]
"""Answers one call: a request, or an iterator of requests."""

_HEALTH_SERVICE = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
CORRELATION_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


class MethodMissing(Exception):
    """A servicer lacks a method that its contract declares; the message names it."""


@dataclass(frozen=True, slots=True)
class RpcPolicy:
    """Where the server listens, and what one connection may do."""

    host: str
    port: int
    max_concurrent_streams: int
    reflection: bool
    tls: Tls | None = None


class RpcServer:
    """Raises PolicyMissing, MethodMissing when built; AddressUnavailable, CertificateInvalid when started."""

    def __init__(
        self,
        services: Mapping[str, object],
        concerns: Sequence[Concern],
        policy: RpcPolicy,
        interceptors: Sequence[Any] = (),
    ) -> None:
        """`services` maps full service names to servicers; the first concern is the outermost."""
        self._policy = policy
        self._server = grpc.aio.server(options=_options(policy), interceptors=interceptors)
        self._health = health.HealthServicer()
        self._names = tuple(services)
        receivers = _receivers(services, concerns)
        self.receivers: Mapping[str, Receive] = {
            method.full_name: receive for method, receive in receivers.items()
        }
        """By full names of methods: what another door calls to have an RPC answered just as here. Its request
        is what `concurrency_limit` waits for and `parsing` takes."""
        self._server.add_generic_rpc_handlers((_Methods(receivers),))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        if policy.reflection:
            names = (*services, _HEALTH_SERVICE, reflection.SERVICE_NAME)
            reflection.enable_server_reflection(names, self._server)
        # Last: it takes whatever the others do not know.
        self._server.add_generic_rpc_handlers((_UnknownMethods(),))

    async def start(self) -> int:
        """Listen; returns the port."""
        port = _listen(self._server, self._policy)
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return port

    async def stop(self, grace_s: float) -> None:
        """Take no more calls, and give those in progress so long to end."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(grace_s)


def _options(policy: RpcPolicy) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_concurrent_streams", policy.max_concurrent_streams),
        # A second server on a port is a mistake, not a way to share load.
        ("grpc.so_reuseport", 0),
        # Dead connections are noticed within two minutes; clients may ping every ten seconds, not faster.
        ("grpc.keepalive_time_ms", 100_000),
        ("grpc.keepalive_timeout_ms", 20_000),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 3),
    ]


def _listen(server: grpc.aio.Server, policy: RpcPolicy) -> int:
    host, port = policy.host, policy.port
    credentials = policy.tls.credentials() if policy.tls else None
    # gRPC prints what the system says, and raises that it cannot.
    check_free(host, port, "GRPC_PORT")
    try:
        if credentials is None:
            return server.add_insecure_port(f"{host}:{port}")
        return server.add_secure_port(f"{host}:{port}", credentials)
    except RuntimeError as error:
        raise AddressUnavailable(host, port, "GRPC_PORT", OSError(str(error))) from None


class _Methods(grpc.GenericRpcHandler):
    """All methods of all services: gRPC asks one handler after the other, and would ask each service."""

    def __init__(self, receivers: Mapping[Method, Receive]) -> None:
        self._handlers = {
            f"/{method.full_name}": _handler(method, receive) for method, receive in receivers.items()
        }

    def service(self, details: grpc.HandlerCallDetails) -> "Handler | None":
        return self._handlers.get(details.method)


def _receivers(services: Mapping[str, object], concerns: Sequence[Concern]) -> dict[Method, Receive]:
    return {
        method: _received(method, _concerned(method, servicer, concerns))
        for name, servicer in services.items()
        for method in methods_of(descriptor_pool.Default().FindServiceByName(name))
    }


def _concerned(method: Method, servicer: object, concerns: Sequence[Concern]) -> Behaviour:
    behaviour = _servicer_behaviour(method, servicer)
    for concern in reversed(concerns):
        behaviour = concern(method, behaviour)
    return behaviour


def _handler(method: Method, receive: Receive) -> Handler:
    make: Any = grpc.unary_unary_rpc_method_handler
    if method.client_streaming:
        make = grpc.stream_unary_rpc_method_handler
    elif method.server_streaming:
        make = grpc.unary_stream_rpc_method_handler
    # Bytes on both sides: the parsing and serializing concerns know the messages.
    handler: Handler = make(receive)
    return handler


def _servicer_behaviour(method: Method, servicer: object) -> Behaviour:
    """A coroutine function for all kinds: what streams responses is a generator, whose yields are sent."""
    function: Any = getattr(servicer, method.name, None)
    is_kind = inspect.isasyncgenfunction if method.server_streaming else inspect.iscoroutinefunction
    if not is_kind(function):
        raise MethodMissing(f"{type(servicer).__name__} does not implement {method.full_name}")

    async def answer(request: Any, call: Call) -> Any:
        return await function(request, call.context)

    async def answer_with_many(request: Any, call: Call) -> None:
        async with contextlib.aclosing(function(request, call.context)) as responses:
            async for response in responses:
                await call.send(response)

    return answer_with_many if method.server_streaming else answer


def _received(method: Method, behaviour: Behaviour) -> Receive:
    """What a door calls: makes the Call, and tells the client its correlation id."""

    async def receive(request: Any, context: Context) -> Any:
        headers = _headers(context.invocation_metadata() or ())
        correlation_id = _matching(CORRELATION_ID, headers.get(CORRELATION_HEADER)) or new_id("cor")
        traceparent = running_traceparent() or _matching(_TRACEPARENT, headers.get("traceparent"))
        call = Call(method, context, headers, correlation_id, traceparent, context.write)
        enter(call)
        # In the trailing metadata: initial metadata would be a message of its own, a tenth of a read's cost.
        context.set_trailing_metadata(((CORRELATION_HEADER, correlation_id),))
        return await behaviour(request, call)

    return receive


def _headers(metadata: Collection[tuple[str, str | bytes]]) -> dict[str, str | bytes]:
    """What comes twice under one name is joined, as HTTP joins it: whoever reads it sees that it did."""
    headers = dict(metadata)
    if len(headers) != len(metadata):
        headers.clear()
        for name, value in metadata:
            earlier = headers.get(name)
            if isinstance(earlier, str) and isinstance(value, str):
                value = f"{earlier}, {value}"
            headers[name] = value
    return headers


def _matching(pattern: re.Pattern[str], value: object) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""


class _UnknownMethods(grpc.GenericRpcHandler):
    """Answers what no service offers, with a reason like every other refusal."""

    def service(self, _: grpc.HandlerCallDetails) -> Handler:
        return grpc.stream_unary_rpc_method_handler(self._refuse)

    async def _refuse(self, _: Any, context: Context) -> None:
        refusal = Unimplemented(
            "METHOD_UNKNOWN", "The server does not offer this method; reflection lists all."
        )
        details = ((DETAILS_KEY, status_of(refusal).SerializeToString()),)
        await context.abort(grpc.StatusCode.UNIMPLEMENTED, refusal.message, details)
