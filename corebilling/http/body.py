"""The body of a request, within its bounds: whole, or line by line."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import orjson
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from corebilling.errors import DeadlineExceeded, InvalidArgument, ResourceExhausted

JSON = "application/json"
LINES = ("application/x-ndjson", "application/ndjson", "application/jsonl")


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """Of a body, or a line of a stream: how large it may be, and how long it, or its next part, may take."""

    max_bytes: int
    timeout_s: float


async def read_body(request: web.Request, limits: BodyLimits) -> bytes:
    """Raises ResourceExhausted (BODY_TOO_LARGE), DeadlineExceeded (BODY_TOO_SLOW)."""
    if request.content_length is not None and request.content_length > limits.max_bytes:
        raise _too_large(limits)
    body = bytearray()
    try:
        async with asyncio.timeout(limits.timeout_s):
            while part := await _part(request):
                body += part
                if len(body) > limits.max_bytes:
                    raise _too_large(limits)
    except TimeoutError:
        raise _too_slow(limits) from None
    return bytes(body)


async def read_lines(request: web.Request, limits: BodyLimits) -> AsyncIterator[bytes]:
    """The lines that are not empty, as they come in.

    Raises:
        ResourceExhausted: BODY_TOO_LARGE, of a line.
        DeadlineExceeded: BODY_TOO_SLOW, when nothing came for too long.
    """
    rest = bytearray()
    while True:
        try:
            async with asyncio.timeout(limits.timeout_s):
                part = await _part(request)
        except TimeoutError:
            raise _too_slow(limits) from None
        *lines, last = (rest + part).split(b"\n") if b"\n" in part else [rest + part]
        for line in lines:
            if len(line) > limits.max_bytes:
                raise _too_large(limits)
            if line.strip():
                yield bytes(line)
        rest = last
        if len(rest) > limits.max_bytes:
            raise _too_large(limits)
        if not part:
            break
    if rest.strip():
        yield bytes(rest)


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
