"""The connection to NATS: kept for as long as the process lives, and the stream that must be there.

    away ──> connected ──> the stream is made, if missing: a session begins ──> away ──> …

The library reconnects by itself, except when a server turns it away: then a new client takes its place.
"""

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StorageType, StreamConfig
from nats.js.errors import APIError, NoStreamResponseError
from prometheus_client import Counter

from corebilling.bus.port import BusUnavailable

log = structlog.get_logger(__name__)

_SESSIONS = Counter(
    "corebilling_bus_sessions_total", "Times that a connection to NATS was made, or made again."
)

_KEPT_S = 7 * 24 * 3600.0
_DUPLICATES_S = 120.0
_REQUEST_TIMEOUT_S = 2.0
_RECONNECT_S = 0.25
_ANEW_S = 1.0
_LOOK_S = 1.0
_PING_S = 5
_SAY_AGAIN_S = 10.0
_DEFAULT_MAX_PAYLOAD = 1024 * 1024
_MAX_UNSENT_BYTES = 256 * 1024 * 1024
"""Never reached, as what is on its way is bounded by windows. Waiting for room here, the library swallows
cancellations."""

_MADE_OTHERWISE = 10058
_STREAM_NOT_FOUND = 10059
"""Codes of JetStream's errors."""


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """Where the servers are (separated by commas), who we are to them, and the stream's name there.

    `installation`: whose deliveries it carries; others are passed over.
    """

    url: str = field(repr=False)
    stream: str
    installation: str
    username: str = ""
    password: str = field(default="", repr=False)
    tls_ca_file: Path | None = None
    replicas: int = 1

    @property
    def servers(self) -> list[str]:
        return [url.strip() for url in self.url.split(",")]

    @property
    def hosts(self) -> str:
        """The servers as they may be logged: a URL may hold a password."""
        return ", ".join(url.rpartition("@")[2].rpartition("//")[2] for url in self.servers)

    def subject(self, shard: int | str) -> str:
        return f"{self.stream.lower()}.events.{shard}"

    def tls(self) -> ssl.SSLContext | None:
        """Raises OSError if the file of authorities cannot be read."""
        if self.tls_ca_file is None:
            return None
        return ssl.create_default_context(cafile=str(self.tls_ca_file))


@dataclass(frozen=True, slots=True)
class Session:
    """From the moment the stream was there until the connection is lost: then `ended` is done."""

    client: Client
    jetstream: JetStreamContext
    ended: "asyncio.Future[None]"


class NatsConnection:
    """Connects in the background, again and again."""

    def __init__(self, address: NatsAddress) -> None:
        self._address = address
        self._tls = address.tls()
        self._session: Session | None = None
        self._begun = asyncio.Event()
        self._news = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._say_again_at = 0.0

    @staticmethod
    @asynccontextmanager
    async def open(address: NatsAddress) -> "AsyncIterator[NatsConnection]":
        connection = NatsConnection(address)
        keeper = connection._keeper = asyncio.create_task(connection._keep(), name="nats connection")
        try:
            yield connection
        finally:
            while not keeper.done():  # the library swallows cancellations here and there
                keeper.cancel()
                await asyncio.wait([keeper], timeout=_RECONNECT_S)

    def session(self) -> Session:
        """Raises BusUnavailable when there is none for now."""
        self.check()
        if self._session is None:
            raise BusUnavailable("NATS is not connected")
        return self._session

    async def next_session(self) -> Session:
        """Waits for one."""
        while self._session is None:
            await self._begun.wait()
        return self._session

    @property
    def max_payload(self) -> int:
        """The largest message the servers take, in bytes."""
        return _DEFAULT_MAX_PAYLOAD if self._session is None else self._session.client.max_payload

    def check(self) -> None:
        """Raises what ended the keeper of the connection, which nothing should."""
        if self._keeper is not None and self._keeper.done():
            self._keeper.result()

    def mend(self, session: Session) -> None:
        """The stream was missed: this session is over, and the next begins with the stream made."""
        if session is self._session:
            self._end_session()
            self._news.set()

    async def _keep(self) -> None:
        while True:
            client = Client()
            try:
                await self._connect(client)
                await self._attend(client)
                log.error("nats.turned_away", error=repr(client.last_error))
            except (NatsError, OSError, TimeoutError) as error:
                log.error("nats.not_connected", error=repr(error))
            finally:
                self._end_session()
                await client.close()
            await asyncio.sleep(_ANEW_S * random.uniform(0.8, 1.2))

    async def _connect(self, client: Client) -> None:
        """Tries until it is connected."""
        await client.connect(
            self._address.servers,
            name="corebilling",
            user=self._address.username or None,
            password=self._address.password or None,
            tls=self._tls,
            max_reconnect_attempts=-1,
            reconnect_time_wait=_RECONNECT_S,  # type: ignore[arg-type]  # declared int, used as seconds
            ping_interval=_PING_S,
            pending_size=_MAX_UNSENT_BYTES,
            skip_subject_validation=True,
            error_cb=self._say,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_change,
            closed_cb=self._on_change,
        )

    async def _attend(self, client: Client) -> None:
        """Begins a session whenever it is connected; returns when it is closed for good."""
        while not client.is_closed:
            self._news.clear()
            if client.is_connected and self._session is None:
                await self._begin_session(client)
            # The library's own task that closes a client may end, or hang, before it says so.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._news.wait()

    async def _begin_session(self, client: Client) -> None:
        jetstream = client.jetstream(timeout=_REQUEST_TIMEOUT_S)
        try:
            await self._ensure_stream(jetstream)
        except (NatsError, TimeoutError) as error:
            log.warning("nats.stream_not_made", stream=self._address.stream, error=repr(error))
            await asyncio.sleep(_RECONNECT_S)
            self._news.set()
            return
        if not client.is_connected:
            return
        _SESSIONS.inc()
        log.info("nats.connected", servers=self._address.hosts, stream=self._address.stream)
        self._session = Session(client, jetstream, asyncio.get_running_loop().create_future())
        self._begun.set()

    async def _ensure_stream(self, jetstream: JetStreamContext) -> None:
        """Makes the stream if it is missing; one that operators made, or changed, is left as it is."""
        config = StreamConfig(
            name=self._address.stream,
            subjects=[self._address.subject("*")],
            storage=StorageType.FILE,
            num_replicas=self._address.replicas,
            max_age=_KEPT_S,
            duplicate_window=_DUPLICATES_S,
        )
        try:
            await jetstream.add_stream(config)
        except APIError as error:
            if error.err_code != _MADE_OTHERWISE:
                raise

    def _end_session(self) -> None:
        if self._session is not None:
            self._session.ended.set_result(None)
        self._session = None
        self._begun.clear()

    async def _on_disconnected(self) -> None:
        if self._session is not None:  # not when we leave
            log.warning("nats.disconnected", servers=self._address.hosts)
        self._end_session()
        self._news.set()

    async def _on_change(self) -> None:
        self._news.set()

    async def _say(self, error: Exception) -> None:
        """The library tells of each attempt that fails."""
        now = asyncio.get_running_loop().time()
        if now >= self._say_again_at:
            self._say_again_at = now + _SAY_AGAIN_S
            log.warning("nats.error", servers=self._address.hosts, error=repr(error))


def is_stream_missing(error: BaseException) -> bool:
    return isinstance(error, NoStreamResponseError) or (
        isinstance(error, APIError) and error.err_code == _STREAM_NOT_FOUND
    )
