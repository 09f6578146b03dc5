"""What HTTP serves: health, readiness and metrics, the pages that domains bring, and the RPCs."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from corebilling.http.door import HttpDoor
from corebilling.telemetry.metrics import CONTENT_TYPE, exposition

# More than the door takes: it refuses in words what is longer than that.
_MAX_LINE_BYTES = 64 * 1024
_KEEP_ALIVE_S = 75
# How long a body is taken that nobody reads any more: so that its sender sees why.
_LINGER_S = 1


class _NoFaultOfOurs(logging.Filter):
    """What is no HTTP is answered so, and not logged: anyone can send it, as often as they like."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


_log = logging.getLogger("corebilling.http")
_log.addFilter(_NoFaultOfOurs())

Ready = Callable[[], Awaitable[str]]
"""Says why the process cannot serve; '' when it can."""


class AddressUnavailable(Exception):
    """The server cannot listen there; the message names the address."""


class HttpServer:
    """`/health` and `/healthz`: the process lives. `/ready`: it can serve. `/metrics`: what it did."""

    def __init__(
        self,
        host: str,
        port: int,
        ready: Ready,
        pages: Sequence[web.RouteDef] = (),
        door: HttpDoor | None = None,
        *,
        stop_grace_s: float = 10,
    ) -> None:
        """`stop_grace_s`: how long requests in progress may take to end when the server stops."""
        self._host = host
        self._port = port
        self._ready = ready
        self._pages = pages
        self._door = door
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            logger=_log,
            # A call that nobody waits for any more is cancelled.
            handler_cancellation=True,
            # A few bytes can be a great many when they are unpacked: what is packed is refused.
            auto_decompress=False,
            keepalive_timeout=_KEEP_ALIVE_S,
            lingering_time=_LINGER_S,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
            shutdown_timeout=stop_grace_s,
        )

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
        if self._door is not None:
            # Any path, one with line breaks too.
            application.router.add_route("*", r"/{path:[\s\S]*}", self._door.handle)
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
