"""Every RPC over HTTP, by the paths that its contract declares: the call itself is the one of gRPC."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import structlog
from aiohttp import web

from corebilling.errors import (
    BillingError,
    Internal,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
    Unimplemented,
)
from corebilling.http.answer import answer, refuse, refuse_with
from corebilling.http.body import BodyLimits
from corebilling.http.context import CallContext, Refused
from corebilling.http.cors import Cors
from corebilling.http.path import Paths, PathUnknown, VerbNotAllowed
from corebilling.http.request import Incoming
from corebilling.http.rules import Rpc, rpc_of, rules_of
from corebilling.http.stream import ResponseStream
from corebilling.telemetry.traces import request_span

Receive: TypeAlias = Callable[[Any, Any], Awaitable[Any]]
"""Answers an RPC: with the request's bytes, or what reads them, and the context of its call."""

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_URL_BYTES = 8 * 1024
MAX_HEADERS_BYTES = 16 * 1024

_MAX_PATH_SHOWN = 200

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

    def __init__(self, receivers: Mapping[str, Receive], cors: Cors, *, body_timeout_s: float) -> None:
        self._cors = cors
        self._limits = BodyLimits(MAX_BODY_BYTES, body_timeout_s)
        self._paths: Paths[_Target] = Paths()
        for name, receive in receivers.items():
            rpc = rpc_of(name)
            for rule in rules_of(name):
                self._paths.add(rule.verb, rule.template, _Target(rpc, rule.body, receive))

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers any request."""
        cors = self._cors.headers(request)
        try:
            _check_size(request)
            target, variables = self._paths.find(request.method, request.rel_url.raw_path)
        except BillingError as refusal:
            return refuse(refusal, cors)
        except PathUnknown:
            return refuse(_path_unknown(request), cors)
        except VerbNotAllowed as error:
            asked = self._cors.preflight(request, error.allowed)
            return asked or refuse(_verb_not_allowed(error), {**cors, "Allow": str(error)})
        with request_span(target.rpc.full_name, request.headers.get("traceparent", "")):
            return await self._call(request, target, variables, cors)

    async def _call(
        self, request: web.Request, target: _Target, variables: Mapping[str, str], cors: Mapping[str, str]
    ) -> web.StreamResponse:
        rpc = target.rpc
        stream = ResponseStream(request, rpc, lambda: {**cors, **context.answered_headers})
        context = CallContext(request, stream.send)
        incoming = Incoming(request, rpc, target.body, variables, self._limits)
        try:
            asked = incoming.many() if rpc.client_streaming else incoming.one
            data = await target.receive(asked, context)
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


def _check_size(request: web.Request) -> None:
    """Raises InvalidArgument (URL_TOO_LONG), ResourceExhausted (HEADERS_TOO_LARGE)."""
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


def _path_unknown(request: web.Request) -> NotFound:
    path = request.rel_url.raw_path[:_MAX_PATH_SHOWN]
    return NotFound("PATH_UNKNOWN", "Nothing is served at this path.", {"path": path})


def _verb_not_allowed(error: VerbNotAllowed) -> Unimplemented:
    return Unimplemented("VERB_NOT_ALLOWED", f"This path takes {error}.", {"allowed": str(error)})
