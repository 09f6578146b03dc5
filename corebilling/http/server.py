"""Health, readiness and metrics over HTTP, and the pages that domains bring."""

from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from corebilling.telemetry.metrics import CONTENT_TYPE, exposition

Ready = Callable[[], Awaitable[str]]
"""Says why the process cannot serve; '' when it can."""


class AddressUnavailable(Exception):
    """The server cannot listen there; the message names the address."""


class HttpServer:
    """`/health` and `/healthz`: the process lives. `/ready`: it can serve. `/metrics`: what it did."""

    def __init__(self, host: str, port: int, ready: Ready, pages: Sequence[web.RouteDef] = ()) -> None:
        self._host = host
        self._port = port
        self._ready = ready
        self._pages = pages
        self._runner = web.AppRunner(self._application(), access_log=None)

    async def start(self) -> int:
        """Listen; returns the port. Raises AddressUnavailable."""
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        try:
            await site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise AddressUnavailable(f"cannot listen on {self._host}:{self._port}: {error}") from error
        port: int = self._runner.addresses[0][1]
        return port

    async def stop(self) -> None:
        await self._runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/health", _live)
        application.router.add_get("/healthz", _live)
        application.router.add_get("/ready", self._readiness)
        application.router.add_get("/metrics", _metrics)
        application.router.add_routes(self._pages)
        return application

    async def _readiness(self, _: web.Request) -> web.Response:
        problem = await self._ready()
        if problem:
            return web.json_response({"status": "unavailable", "problem": problem}, status=503)
        return web.json_response({"status": "ready"})


async def _live(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE})
