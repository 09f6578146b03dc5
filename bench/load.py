"""Unary calls as bytes on HTTP/2 connections: load that costs a fraction of what it asks for.

A client library takes as long per call as the server; beside it on one machine it would measure itself. What
comes back is not decoded: an answer is a stream with a DATA frame, a refusal one without.
"""

import asyncio
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 8
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4
_MAX_CONCURRENT_STREAMS, _INITIAL_WINDOW_SIZE = 3, 4
_FRAME_HEAD = 9
_FIRST_WINDOW = 65_535
_LARGE_WINDOW = 2**30
_LARGEST_MESSAGE = 1024
_TICK_S = 0.005


@dataclass(frozen=True, slots=True)
class Request:
    """A method, the headers of its calls, and what makes the message of the next one."""

    headers: bytes
    message: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Offer:
    """Either so many callers, each with one call at a time, or so many calls per second regardless."""

    connections: int
    callers: int = 0
    calls_per_second: float = 0
    wait_s: float = 1.0
    """How long a caller that was refused waits, as it is told to."""


@dataclass(slots=True)
class Seen:
    """Of each call when it ended, and how long it took, in seconds."""

    answers: list[tuple[float, float]] = field(default_factory=list)
    refusals: list[tuple[float, float]] = field(default_factory=list)
    offered: int = 0
    sent: int = 0
    """Fewer than offered when a connection had as many calls under way as the server lets it."""

    def add(self, other: "Seen") -> None:
        self.answers += other.answers
        self.refusals += other.refusals
        self.offered += other.offered
        self.sent += other.sent


def headers(method: str, api_key: str) -> bytes:
    """HPACK without a table: POST over http by index, the rest literally: all calls have the same bytes."""
    texts = {
        ":path": f"/{method}",
        ":authority": "bench",
        "content-type": "application/grpc",
        "te": "trailers",
        "x-api-key": api_key,
    }
    return b"\x83\x86" + b"".join(b"\0" + _text(name) + _text(value) for name, value in texts.items())


async def offer(address: str, requests: Sequence[Request], what: Offer, seconds: float) -> Seen:
    """Takes the requests in turn, and the connections; what is under way at the end is dropped."""
    host, _, port = address.rpartition(":")
    loop = asyncio.get_running_loop()
    seen = Seen()
    end = time.perf_counter() + seconds

    def send(connection: _Connection) -> None:
        if time.perf_counter() >= end:
            return
        seen.offered += 1
        if connection.has_room:
            request = requests[seen.sent % len(requests)]
            connection.send(request.headers, request.message())
            seen.sent += 1
        elif what.callers:
            loop.call_later(_TICK_S, send, connection)

    def ended(connection: _Connection, answered: bool) -> None:
        if what.callers:
            loop.call_later(0 if answered else what.wait_s, send, connection)

    connections = []
    for _ in range(what.connections):
        _, connection = await loop.create_connection(lambda: _Connection(seen, ended), host, int(port))
        await connection.ready.wait()
        connections.append(connection)
    for number in range(what.callers):
        send(connections[number % what.connections])
    started = time.perf_counter()
    while (now := time.perf_counter()) < end:
        due = int((now - started) * what.calls_per_second) - seen.offered if what.calls_per_second else 0
        for number in range(seen.offered, seen.offered + due):
            send(connections[number % what.connections])
        await asyncio.sleep(_TICK_S)
    for connection in connections:
        connection.close()
    return seen


class _Connection(asyncio.Protocol):
    """Keeps the rules that a server would end it for breaking: settings, windows, pings, streams at once."""

    def __init__(self, seen: Seen, ended: Callable[["_Connection", bool], None]) -> None:
        self.ready = asyncio.Event()
        self._seen = seen
        self._ended = ended
        self._transport: Any = None
        self._received = b""
        self._next_stream = 1
        self._max_streams = 0
        self._window = _FIRST_WINDOW
        self._started: dict[int, float] = {}
        self._answered: set[int] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        settings = struct.pack(">HI", _INITIAL_WINDOW_SIZE, _LARGE_WINDOW)
        update = struct.pack(">I", _LARGE_WINDOW)
        transport.write(_PREFACE + _frame(_SETTINGS, 0, 0, settings) + _frame(_WINDOW_UPDATE, 0, 0, update))

    def close(self) -> None:
        self._transport.abort()

    @property
    def has_room(self) -> bool:
        return len(self._started) < self._max_streams and self._window >= _LARGEST_MESSAGE

    def send(self, head: bytes, message: bytes) -> None:
        data = b"\0" + struct.pack(">I", len(message)) + message
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        self._window -= len(data)
        self._started[stream] = time.perf_counter()
        self._transport.write(
            _frame(_HEADERS, _END_HEADERS, stream, head) + _frame(_DATA, _END_STREAM, stream, data)
        )

    def data_received(self, data: bytes) -> None:
        received, at = self._received + data, 0
        while len(received) - at >= _FRAME_HEAD:
            payload_at = at + _FRAME_HEAD
            length = int.from_bytes(received[at : at + 3], "big")
            if len(received) < payload_at + length:
                break
            kind, flags = received[at + 3], received[at + 4]
            stream = int.from_bytes(received[at + 5 : payload_at], "big")
            at = payload_at + length
            self._take(kind, flags, stream, received[payload_at:at])
        self._received = received[at:]

    def _take(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        if kind == _DATA:
            self._answered.add(stream)
        elif kind == _RST_STREAM or (kind == _HEADERS and flags & _END_STREAM):
            self._end(stream)
        elif kind == _SETTINGS and not flags & _ACK:
            for name, value in struct.iter_unpack(">HI", payload):
                if name == _MAX_CONCURRENT_STREAMS:
                    self._max_streams = value
            self._transport.write(_frame(_SETTINGS, _ACK, 0, b""))
            self.ready.set()
        elif kind == _PING and not flags & _ACK:
            self._transport.write(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE and stream == 0:
            self._window += int.from_bytes(payload, "big")

    def _end(self, stream: int) -> None:
        if (started := self._started.pop(stream, None)) is None:
            return
        now = time.perf_counter()
        answered = stream in self._answered
        self._answered.discard(stream)
        (self._seen.answers if answered else self._seen.refusals).append((now, now - started))
        self._ended(self, answered)


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return len(payload).to_bytes(3, "big") + struct.pack(">BBI", kind, flags, stream) + payload


def _text(value: str) -> bytes:
    assert len(value) < 127, "longer ones have lengths of several bytes"
    return bytes([len(value)]) + value.encode()
