"""Every RPC over HTTP, by the paths that its contract declares: the call itself is the one of gRPC."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog
from aiohttp import web

from corebilling.errors import BillingError, Internal, InvalidArgument, ResourceExhausted
from corebilling.http.answer import answer, path_unknown, refuse, refuse_with, verb_not_allowed
from corebilling.http.body import Bodies, framing_is_faulty
from corebilling.http.context import CallContext, Refused
from corebilling.http.cors import Cors
from corebilling.http.path import Paths, PathUnknown, VerbNotAllowed
from corebilling.http.request import Incoming
from corebilling.http.rules import Rpc, rpc_of, rules_of
from corebilling.http.stream import ResponseStream
from corebilling.telemetry.traces import request_span

Receive: TypeAlias = Callable[[Any, Any], Awaitable[Any]]
"""Answers an RPC: with the request's bytes, or what reads them, and the context of its call."""

MAX_URL_BYTES = 8 * 1024
MAX_HEADERS_BYTES = 16 * 1024

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Target:
    rpc: Rpc
    body: str
    receive: Receive


class HttpDoor:
    """Raises Collision when two methods claim a path.

    Args:
        receivers: By the full names of their methods.
    """

    def __init__(self, receivers: Mapping[str, Receive], cors: Cors, bodies: Bodies) -> None:
        self._cors = cors
        self._bodies = bodies
        self._paths: Paths[_Target] = Paths()
        for name, receive in receivers.items():
            rpc = rpc_of(name)
            for rule in rules_of(name):
                self._paths.add(rule.verb, rule.template, _Target(rpc, rule.body, receive))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers any request."""
        cors = self._cors.headers(request)
        try:
            _check_form(request)
            target, variables = self._paths.find(request.method, request.rel_url.raw_path)
        except BillingError as refusal:
            return refuse(refusal, cors)
        except PathUnknown:
            return path_unknown(request, cors)
        except VerbNotAllowed as error:
            asked = self._cors.preflight(request, error.allowed)
            return asked or verb_not_allowed(error.allowed, cors)
        with request_span(target.rpc.full_name, request.headers.get("traceparent", "")):
            return await self._call(request, target, variables, cors)

    async def _call(
        self, request: web.Request, target: _Target, variables: Mapping[str, str], cors: Mapping[str, str]
    ) -> web.StreamResponse:
        rpc = target.rpc
        stream = ResponseStream(request, rpc, lambda: {**cors, **context.answered_headers})
        context = CallContext(request, stream.send)
        incoming = Incoming(request, rpc, target.body, variables, self._bodies)
        try:
            data = await _received(target, incoming, context)
            if rpc.server_streaming:
                return await stream.end()
            return answer(rpc, data, {**cors, **context.answered_headers})
        except Refused as refused:
            if stream.begun is not None:
                return await stream.end(refused.status)
            return refuse_with(refused.status, {**cors, **context.answered_headers})
        except Exception as error:
            # Of what was answered, nothing could be made that HTTP can hold.
            _log.error("answer_faulted", method=rpc.full_name, exc_info=error, **context.answered_headers)
            return refuse(Internal("INTERNAL", "The platform failed on this call."), cors)


async def _received(target: _Target, incoming: Incoming, context: CallContext) -> Any:
    if not target.rpc.client_streaming:
        return await target.receive(incoming.one, context)
    async with contextlib.aclosing(incoming.many()) as requests:
        return await target.receive(requests, context)


def _check_form(request: web.Request) -> None:
    """Raises InvalidArgument (REQUEST_INVALID, URL_TOO_LONG), ResourceExhausted (HEADERS_TOO_LARGE)."""
    if framing_is_faulty(request):
        raise InvalidArgument(
            "REQUEST_INVALID", "HTTP/1.0 has no Transfer-Encoding: send Content-Length, or HTTP/1.1."
        )
    if len(request.raw_path) > MAX_URL_BYTES:
        raise InvalidArgument(
            "URL_TOO_LONG",
            "The URL is too long; send what is long in a body.",
            {"limit_bytes": str(MAX_URL_BYTES)},
        )
    if sum(len(name) + len(value) for name, value in request.raw_headers) > MAX_HEADERS_BYTES:
        raise ResourceExhausted(
            "HEADERS_TOO_LARGE", "Send fewer or shorter headers.", {"limit_bytes": str(MAX_HEADERS_BYTES)}
        )
