"""Responses that come one after the other: a line of JSON each, or an event each for those who ask for such.

An error after the first is the last element: HTTP has sent its status by then.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import orjson
from aiohttp import web
from google.rpc import status_pb2

from corebilling.http.answer import HEADERS, status_object
from corebilling.http.rules import Rpc
from corebilling.http.writing import to_json

_LINES = "application/x-ndjson"
_EVENTS = "text/event-stream"


class ResponseStream:
    """The response to one request. It begins with its first element: until then, there may be another."""

    def __init__(self, request: web.Request, rpc: Rpc, headers: Callable[[], Mapping[str, str]]) -> None:
        self._request = request
        self._rpc = rpc
        self._headers = headers
        self._as_events = _EVENTS in request.headers.get("Accept", "")
        self.begun: web.StreamResponse | None = None

    async def send(self, data: bytes) -> None:
        """One response of the RPC, from its bytes."""
        await self._send("", to_json(self._rpc.response_class.FromString(data)))

    async def end(self, refused: status_pb2.Status | None = None) -> web.StreamResponse:
        if refused is not None:
            await self._send("error", {"error": status_object(refused)})
        response = self.begun or await self._begin()
        await response.write_eof()
        return response

    async def _send(self, event: str, element: Any) -> None:
        response = self.begun or await self._begin()
        line = orjson.dumps(element)
        if self._as_events:
            line = (f"event: {event}\n".encode() if event else b"") + b"data: " + line + b"\n"
        try:
            await response.write(line + b"\n")
        except ConnectionError:
            # Nobody is there any more: the call ends as one that its client took back.
            raise asyncio.CancelledError from None

    async def _begin(self) -> web.StreamResponse:
        kind = _EVENTS if self._as_events else _LINES
        # Proxies that collect answers would hold back what is sent to be seen at once.
        headers = {**HEADERS, **self._headers(), "Content-Type": kind, "X-Accel-Buffering": "no"}
        self.begun = web.StreamResponse(headers=headers)
        await self.begun.prepare(self._request)
        return self.begun
