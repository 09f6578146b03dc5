"""Sends one request to one receiver, whose name, address and answer are not to be trusted."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractResolver

from corebilling.domains.webhook.address import check_url, is_allowed
from corebilling.domains.webhook.model import Answer, WebhookPolicy, parse_retry_after
from corebilling.errors import InvalidArgument
from corebilling.values.clock import Clock

# Shorter than what common servers keep: one that closes just as we send costs a try.
_KEEPALIVE_S = 3.0
# Of the answer's body: enough to tell an operator what was wrong. It decides nothing, so it gets little time.
_MAX_RESPONSE_BYTES = 1024
_RESPONSE_TIMEOUT_S = 1.0


class AddressRefused(OSError):
    """The name leads to an address that deliveries may not go to."""


class WebhookSender:
    """Posts without redirects, proxies or cookies, and reads little of what is answered."""

    def __init__(self, session: aiohttp.ClientSession, policy: WebhookPolicy, clock: Clock) -> None:
        self._session = session
        self._policy = policy
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(
        cls, policy: WebhookPolicy, clock: Clock, resolver: AbstractResolver | None = None
    ) -> "AsyncIterator[WebhookSender]":
        """`resolver`: who looks names up, closed at the end; the system's name servers, if not given.

        Not the system's own function: it holds one of few threads for as long as a name server is silent.
        """
        names = resolver or aiohttp.AsyncResolver()
        connector = aiohttp.TCPConnector(
            # The lanes decide how many there are.
            limit=0,
            resolver=names,
            socket_factory=_vetting_socket(policy.allow_private),
            keepalive_timeout=_KEEPALIVE_S,
        )
        try:
            async with aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=policy.http_timeout_s),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
            ) as session:
                yield cls(session, policy, clock)
        finally:
            # The connector closes none that it was given, and a query must not outlive the loop.
            await names.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Never raises for what the receiver, its name or its network does: that is the answer's error."""
        try:
            # What was accepted once may not be any more: development's endpoints in a copied database.
            check_url(url, allow_private=self._policy.allow_private)
            # A payload of its own: the library would search for how to send plain bytes.
            data = aiohttp.BytesPayload(body, content_type="application/json")
            async with self._session.post(url, data=data, headers=headers, allow_redirects=False) as response:
                return Answer(response.status, "", self._asked_s(response), await _beginning(response))
        except InvalidArgument as refused:
            return Answer(0, refused.message)
        # RuntimeError is what uvloop may raise when it cannot connect.
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            return Answer(0, _explain(error))

    def _asked_s(self, response: aiohttp.ClientResponse) -> float:
        text = response.headers.get("Retry-After", "")
        return parse_retry_after(text, self._clock.now()) if text else 0.0


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """As text that the database can hold. If there is more, the caller's leaving closes the connection."""
    if response.content.at_eof():
        return ""
    read = bytearray()
    with contextlib.suppress(aiohttp.ClientError, OSError):
        async with asyncio.timeout(_RESPONSE_TIMEOUT_S):
            while len(read) < _MAX_RESPONSE_BYTES and not response.content.at_eof():
                read += await response.content.read(_MAX_RESPONSE_BYTES - len(read))
    return read.decode(errors="replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


def _vetting_socket(allow_private: bool) -> aiohttp.SocketFactoryType:
    """Vets each address where it is connected to: one in a URL, or one that a name stands for by now."""

    def create(info: aiohttp.AddrInfoType) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0]), allow_private=allow_private):
            raise AddressRefused("the address is not public")
        return socket.socket(family, kind, protocol)

    return create


def _explain(error: Exception) -> str:
    """In our own words: the library's tell what our network looks like from inside."""
    if _caused_by(error, AddressRefused):
        return "the host's address is not public"
    if isinstance(error, TimeoutError):
        return "the receiver did not answer in time"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name has no address"
    if isinstance(error, aiohttp.ClientSSLError | ssl.SSLError):
        return "no trusted TLS connection came about"
    if isinstance(error, aiohttp.ClientConnectorError | RuntimeError):
        return "no connection came about"
    if isinstance(error, aiohttp.ServerDisconnectedError | OSError):
        return "the receiver broke the connection off"
    return "the receiver did not answer in valid HTTP"


def _caused_by(error: BaseException | None, kind: type[Exception]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__ or error.__context__
    return False
