"""A webhook receiver as a customer of the platform would write it: verifies, answers, remembers."""

import asyncio
import hashlib
import hmac
import json
from collections import Counter

from aiohttp import web


class Receiver:
    """An HTTP server on a free port of the loopback interface. Set `secret` once it is known."""

    def __init__(self) -> None:
        self.secret = ""
        self.url = ""
        self.subjects: list[str] = []
        self.event_ids: list[str] = []
        self._arrived = asyncio.Condition()

    async def __aenter__(self) -> "Receiver":
        app = web.Application()
        app.router.add_post("/webhook", self._receive)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}/webhook"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def wait_for(self, *subjects: str, longest_s: float = 30.0) -> bool:
        """True as soon as as many different events of each subject as it is named have arrived, with valid
        signatures; False if they have not in time."""
        async with self._arrived:
            try:
                async with asyncio.timeout(longest_s):
                    await self._arrived.wait_for(lambda: Counter(subjects) <= self._events())
            except TimeoutError:
                return False
        return True

    def _events(self) -> "Counter[str]":
        """How many of each subject: a delivery may come twice."""
        return Counter(dict(zip(self.event_ids, self.subjects, strict=True)).values())

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        signature = "sbwh_sig=v1:" + hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signature, request.headers.get("X-Signature", "")):
            return web.Response(status=401, text="wrong signature")
        async with self._arrived:
            self.subjects.append(json.loads(body)["subject"])
            self.event_ids.append(request.headers["X-Event-ID"])
            self._arrived.notify_all()
        return web.Response(status=204)
