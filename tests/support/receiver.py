"""A webhook receiver as tenants run them: a real HTTP server that writes down what arrives."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from multidict import CIMultiDictProxy


@dataclass(frozen=True)
class Received:
    """One request, raw."""

    path: str
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def event_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """Answers `status` with `headers` and `answer`; while it hangs, it answers nobody."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b""
    url: str = ""
    received: list[Received] = field(default_factory=list)
    most_at_once: int = 0
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    _answering: asyncio.Event = field(default_factory=asyncio.Event)
    _now: int = 0

    def hang(self) -> None:
        self._answering.clear()

    def go_on(self) -> None:
        self._answering.set()

    def answer_one(self) -> None:
        """Whoever hangs is answered; who comes later hangs."""
        self._answering.set()
        self._answering = asyncio.Event()

    async def arrival(self, count: int = 1) -> None:
        """Returns when this many requests have come in all."""
        async with asyncio.timeout(10), self._arrived:
            await self._arrived.wait_for(lambda: len(self.received) >= count)

    async def handle(self, request: web.Request) -> web.Response:
        received = Received(request.path, request.headers, await request.read())
        self._now += 1
        self.most_at_once = max(self.most_at_once, self._now)
        async with self._arrived:
            self.received.append(received)
            self._arrived.notify_all()
        try:
            await self._answering.wait()
        finally:
            self._now -= 1
        return web.Response(status=self.status, headers=self.headers, body=self.answer)


@asynccontextmanager
async def running_receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    receiver.go_on()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", receiver.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        receiver.go_on()
        await runner.cleanup()


def is_signed_by(secret: str, received: Received) -> bool:
    """What docs/webhooks.md tells receivers to check."""
    expected = "sbwh_sig=v1:" + hmac.new(secret.encode(), received.body, "sha256").hexdigest()
    return hmac.compare_digest(received.headers["X-Signature"], expected)
