"""What HTTP serves: health, readiness and metrics, the pages that domains bring, and the RPCs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from corebilling.errors import BillingError, Internal, InvalidArgument
from corebilling.http.answer import path_unknown, refuse, verb_not_allowed
from corebilling.http.door import HttpDoor
from corebilling.listening import AddressUnavailable
from corebilling.telemetry.metrics import CONTENT_TYPE, exposition

# More than the door takes: it refuses in words what is longer than that.
_MAX_LINE_BYTES = 64 * 1024
# What is taken of a body, twice over, before anybody reads it.
_READ_AHEAD_BYTES = 64 * 1024
_KEEP_ALIVE_S = 75
_BACKLOG = 128
_PAGE_VERBS = ("GET", "HEAD")
# How long a body is taken that nobody reads any more: so that its sender sees why.
_LINGER_S = 1
# Says what it is, and no version.
_SERVER: Final = {"Server": "corebilling"}


class _NoFaultOfOurs(logging.Filter):
    """What is no HTTP is answered so, and not logged: anyone can send it, as often as they like."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, HttpProcessingError)


_log = logging.getLogger("corebilling.http")
_log.addFilter(_NoFaultOfOurs())

Ready = Callable[[], Awaitable[str]]
"""Says why the process cannot serve; '' when it can."""


class _Connection(web.RequestHandler):
    """What is no HTTP is answered as any other refusal is."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)
        response = refuse(_refusal(status), _SERVER)
        response.force_close()
        return response


def _refusal(status: int) -> BillingError:
    if status == HTTPStatus.BAD_REQUEST:
        return InvalidArgument(
            "REQUEST_INVALID",
            "This is no HTTP/1.1, or more of it than is taken: see its first line and headers.",
        )
    return Internal("INTERNAL", "The platform failed on this request.")


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
            # A call that nobody waits for any more is cancelled.
            handler_cancellation=True,
            shutdown_timeout=stop_grace_s,
        )
        self._listening: asyncio.Server | None = None

    async def start(self) -> int:
        """Listen; returns the port. Raises AddressUnavailable."""
        await self._runner.setup()
        try:
            self._listening = await asyncio.get_running_loop().create_server(
                self._connection, self._host, self._port, backlog=_BACKLOG
            )
        except OSError as error:
            await self.stop()
            raise AddressUnavailable(self._host, self._port, "PORT", error) from None
        port: int = self._listening.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()

    def _connection(self) -> _Connection:
        assert self._runner.server is not None, "it was set up"
        return _Connection(
            self._runner.server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # none, as AppRunner says it too
            logger=_log,
            # A few bytes can be a great many when they are unpacked: what is packed is refused.
            auto_decompress=False,
            keepalive_timeout=_KEEP_ALIVE_S,
            lingering_time=_LINGER_S,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
            read_bufsize=_READ_AHEAD_BYTES,
        )

    def _application(self) -> web.Application:
        application = web.Application()
        application.on_response_prepare.append(_prepare)
        pages = (
            web.get("/health", _live),
            web.get("/healthz", _live),
            web.get("/ready", self._readiness),
            web.get("/metrics", _metrics),
            *self._pages,
        )
        router = application.router
        for page in pages:
            router.add_get(page.path, page.handler, expect_handler=_expected)
            router.add_route("*", page.path, _other_verb, expect_handler=_expected)
        rest = self._door.handle if self._door is not None else _unknown
        # Any path, one with line breaks too.
        router.add_route("*", r"/{path:[\s\S]*}", rest, expect_handler=_expected)
        return application

    async def _readiness(self, _: web.Request) -> web.Response:
        problem = await self._ready()
        if problem:
            return web.json_response({"status": "unavailable", "problem": problem}, status=503)
        return web.json_response({"status": "ready"})


async def _expected(_: web.Request) -> None:
    """Who asks whether to send a body is told by who reads it. Nothing else can be expected, nor need be."""


async def _prepare(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_SERVER)
    if not request.content.is_eof():
        # Nobody reads the rest of this body, and what follows on the connection could not be told from it.
        response.force_close()
        response.headers["Connection"] = "close"


async def _other_verb(_: web.Request) -> web.Response:
    return verb_not_allowed(_PAGE_VERBS)


async def _unknown(request: web.Request) -> web.Response:
    return path_unknown(request)


async def _live(_: web.Request) -> web.Response:
    return web.json_response({"status": "ok"})


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=exposition(), headers={"Content-Type": CONTENT_TYPE})
