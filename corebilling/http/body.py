"""The body of a request, within its bounds: whole, or line by line."""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import HttpVersion11, web
from aiohttp.http_exceptions import HttpProcessingError

from corebilling.errors import DeadlineExceeded, InvalidArgument, ResourceExhausted
from corebilling.room import Room

JSON = "application/json"
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")
# What stands before a line counts for nothing, be it thousands of empty lines.
_EMPTY_LINES = re.compile(rb"\n\s+")


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Of a body, or a line of a stream: how large it may be, and how long it, or its next part, may take.

    Of all together: how many bodies are read at once, and how much of them, lines too, is held meanwhile.
    """

    max_bytes: int
    timeout_s: float
    max_bodies: int
    max_held_bytes: int


class Bodies:
    """Reads bodies, within the bounds of each and of all that are read at once.

    Args:
        whose: The tenant that the running call came from, and its account if it is limited to one.
    """

    def __init__(self, limits: BodyLimits, whose: Callable[[], tuple[str, str | None]]) -> None:
        self._limits = limits
        self._whose = whose
        self._reading = Room("bodies", limits.max_bodies)
        self._held = Room("bytes of bodies", limits.max_held_bytes)

    async def whole(self, request: web.Request) -> bytes:
        """
        Raises:
            ResourceExhausted: BODY_TOO_LARGE, OVERLOADED, TENANT_OVERLOADED.
            DeadlineExceeded: BODY_TOO_SLOW.
        """
        if request.content_length is not None and request.content_length > self._limits.max_bytes:
            raise _too_large(self._limits)
        whose = self._whose()
        held = _Held(self._held, whose, self._limits)
        self._reading.take(*whose)
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                await _invite(request)
                while part := await _part(request):
                    held.add(part)
            return held.release()
        except TimeoutError:
            raise _too_slow(self._limits) from None
        finally:
            held.release()
            self._reading.give_back(*whose)

    async def lines(self, request: web.Request) -> AsyncGenerator[bytes, None]:
        """The lines that are not empty, as they come in. To be closed, since it holds what it read.

        Raises:
            ResourceExhausted: BODY_TOO_LARGE, of a line with the empty ones before it; OVERLOADED,
                TENANT_OVERLOADED.
            DeadlineExceeded: BODY_TOO_SLOW, when nothing came for too long.
        """
        held = _Held(self._held, self._whose(), self._limits)
        empty = 0
        try:
            await _invite(request)
            while part := await self._next_part(request):
                filled = _EMPTY_LINES.sub(b"\n", part)
                empty += len(part) - len(filled)
                if empty > self._limits.max_bytes:
                    raise _too_large(self._limits)
                *ends, begun = filled.split(b"\n")
                for end in ends:
                    held.add(end)
                    if line := held.release().strip():
                        empty = 0
                        yield line
                held.add(begun)
            if line := held.release().strip():
                yield line
        finally:
            held.release()

    async def _next_part(self, request: web.Request) -> bytes:
        try:
            async with asyncio.timeout(self._limits.timeout_s):
                return await _part(request)
        except TimeoutError:
            raise _too_slow(self._limits) from None


class _Held:
    """What has come in of a body, or of a line, and takes room until it is there."""

    def __init__(self, room: Room, whose: tuple[str, str | None], limits: BodyLimits) -> None:
        self._room = room
        self._whose = whose
        self._limits = limits
        self._content = bytearray()

    def add(self, part: bytes) -> None:
        """Raises ResourceExhausted: BODY_TOO_LARGE, OVERLOADED, TENANT_OVERLOADED."""
        if len(self._content) + len(part) > self._limits.max_bytes:
            raise _too_large(self._limits)
        if part:
            self._room.take(*self._whose, len(part))
            self._content += part

    def release(self) -> bytes:
        """All of it, which takes no room any more."""
        content = bytes(self._content)
        if content:
            self._room.give_back(*self._whose, len(content))
            self._content.clear()
        return content


def framing_is_faulty(request: web.BaseRequest) -> bool:
    """Two could read differently where the body ends: HTTP/1.0 has no Transfer-Encoding (RFC 9112, 6.1)."""
    return request.version < HttpVersion11 and "Transfer-Encoding" in request.headers


def check_json(request: web.Request, kinds: tuple[str, ...]) -> None:
    """Raises InvalidArgument (MEDIA_TYPE_UNSUPPORTED) unless the body is plain JSON of one of the kinds."""
    said = request.headers.get("Content-Type", "")
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    charset = (request.charset or "utf-8").lower()
    if (said and request.content_type not in kinds) or charset != "utf-8" or encoding != "identity":
        raise InvalidArgument(
            "MEDIA_TYPE_UNSUPPORTED",
            f"Send {kinds[0]} in UTF-8, not compressed.",
            {"content_type": said if encoding == "identity" else f"{said}, {encoding}"},
        )


def parse_json(data: bytes) -> Any:
    """Raises InvalidArgument (REQUEST_INVALID)."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise InvalidArgument("REQUEST_INVALID", f"This is not JSON: {error}.") from None


async def _invite(request: web.Request) -> None:
    """Tells those who ask first that the body may come: by now it is known who they are."""
    if request.version >= HttpVersion11 and request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The answer itself has still to begin.
        request.writer.output_size = 0


async def _part(request: web.Request) -> bytes:
    """What came in since; nothing at the end."""
    try:
        return await request.content.readany()
    except (HttpProcessingError, web.RequestPayloadError, ConnectionError):
        raise InvalidArgument(
            "REQUEST_INVALID", "The body is broken off, or not as its headers say."
        ) from None


def _too_large(limits: BodyLimits) -> ResourceExhausted:
    return ResourceExhausted(
        "BODY_TOO_LARGE", "The body, or a line of it, is too large.", {"limit_bytes": str(limits.max_bytes)}
    )


def _too_slow(limits: BodyLimits) -> DeadlineExceeded:
    return DeadlineExceeded(
        "BODY_TOO_SLOW",
        "The body did not arrive in time; send it without pauses.",
        {"limit_seconds": f"{limits.timeout_s:g}"},
    )
