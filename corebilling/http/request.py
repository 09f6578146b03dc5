"""What a call over HTTP asks: its path, query, headers and body, as the message that the RPC takes."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import web
from google.protobuf.message import Message

from corebilling.errors import InvalidArgument
from corebilling.http.body import JSON, LINES, Bodies, check_json, parse_json
from corebilling.http.query import parse_query, read_query
from corebilling.http.reading import Problems, read_object
from corebilling.http.rules import Rpc

# What headers say about a request, by the field that says the same.
_HEADERS: Mapping[str, tuple[str, ...]] = {
    "request_id": ("x-idempotency-key", "idempotency-key"),
    "tenant_id": ("x-tenant-id",),
}
_WHOLE = "*"


@dataclass(frozen=True, slots=True)
class Incoming:
    """One request. Nothing of it is read before it is known who asks."""

    http: web.Request
    rpc: Rpc
    body: str
    variables: Mapping[str, str]
    bodies: Bodies

    async def one(self) -> Callable[[], bytes]:
        """Waits until all is there. What it returns makes the request's message, in bytes.

        Raises:
            InvalidArgument: REQUEST_INVALID, MEDIA_TYPE_UNSUPPORTED.
            ResourceExhausted: BODY_TOO_LARGE, OVERLOADED, TENANT_OVERLOADED.
            DeadlineExceeded: BODY_TOO_SLOW.
        """
        if self.body:
            return partial(self._message, await self.bodies.whole(self.http))
        if self.http.can_read_body:
            raise InvalidArgument("REQUEST_INVALID", "Send no body here: all fields go into path and query.")
        return partial(self._message, b"")

    async def many(self) -> AsyncGenerator[Callable[[], bytes], None]:
        """The messages of a stream, one a line, each made when it is its turn. Raises like `one`."""
        check_json(self.http, (*LINES, JSON))
        number = 0
        async with contextlib.aclosing(self.bodies.lines(self.http)) as lines:
            async for line in lines:
                number += 1
                yield partial(self._line, line, number)

    def _message(self, body: bytes) -> bytes:
        message, problems = self.rpc.new_request(), Problems()
        if body:
            self._read_body(body, message, problems)
        self._read_rest(message, problems)
        return message.SerializeToString()

    def _line(self, line: bytes, number: int) -> bytes:
        message, problems = self.rpc.new_request(), Problems(f"line {number}")
        read_object(message, parse_json(line), problems)
        self._read_rest(message, problems)
        return message.SerializeToString()

    def _read_body(self, body: bytes, message: Message, problems: Problems) -> None:
        check_json(self.http, (JSON,))
        target = message if self.body == _WHOLE else getattr(message, self.body)
        target.SetInParent()
        read_object(target, parse_json(body), problems)

    def _read_rest(self, message: Message, problems: Problems) -> None:
        self._read_query(message, problems)
        for name, value in self.variables.items():
            _agree(message, name, value, "the path", problems)
        for name, headers in _HEADERS.items():
            if self.rpc.takes(name):
                for header in headers:
                    self._read_header(message, name, header, problems)
        if self._lacks_request_id(message):
            problems.add("request_id", "Send an X-Idempotency-Key of your own, or request_id.")
        problems.refuse()

    def _lacks_request_id(self, message: Any) -> bool:
        if not self.rpc.takes("request_id") or message.request_id:
            return False
        return not any(self.http.headers.get(header) for header in _HEADERS["request_id"])

    def _read_header(self, message: Message, name: str, header: str, problems: Problems) -> None:
        for value in self.http.headers.getall(header, ()):
            if value.isascii() and value.isprintable():
                _agree(message, name, value, header, problems)
            else:
                # Two of them must never look the same.
                problems.add(name, f"{header} must be printable ASCII.")

    def _read_query(self, message: Message, problems: Problems) -> None:
        parameters = parse_query(self.http.rel_url.raw_query_string)
        if self.body == _WHOLE:
            for name, _ in parameters:
                problems.add(name, "There is no such query parameter: send it in the body.")
        else:
            read_query(message, parameters, problems)


def _agree(message: Message, name: str, value: str, source: str, problems: Problems) -> None:
    """Sets the field to what is said elsewhere, unless the request says something else itself."""
    said = getattr(message, name)
    if value and said and said != value:
        problems.add(name, f"It differs from {source}: say it once, or the same.")
    elif value:
        setattr(message, name, value)
