"""Sends one request to one receiver, whose name, address and answer are not to be trusted."""

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


class AddressRefused(OSError):
    """The name leads to an address that deliveries may not go to."""


class WebhookSender:
    """Posts without redirects, proxies or cookies, and without reading what is answered."""

    def __init__(self, session: aiohttp.ClientSession, policy: WebhookPolicy, clock: Clock) -> None:
        self._session = session
        self._policy = policy
        self._clock = clock

    @classmethod
    @asynccontextmanager
    async def open(
        cls, policy: WebhookPolicy, clock: Clock, resolver: AbstractResolver | None = None
    ) -> "AsyncIterator[WebhookSender]":
        """`resolver`: who looks names up; the system, if not given."""
        connector = aiohttp.TCPConnector(
            limit=policy.limit,
            resolver=resolver,
            socket_factory=_vetting_socket(policy.allow_private),
            keepalive_timeout=_KEEPALIVE_S,
        )
        async with aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=policy.http_timeout_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        ) as session:
            yield cls(session, policy, clock)

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Never raises for what the receiver, its name or its network does: that is the answer's error."""
        try:
            # What was accepted once may not be any more: development's endpoints in a copied database.
            check_url(url, allow_private=self._policy.allow_private)
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as response:
                # The body stays unread: leaving the block closes the connection if there is more of it.
                retry_after = response.headers.get("Retry-After", "")
                return Answer(
                    response.status, retry_after_s=parse_retry_after(retry_after, self._clock.now())
                )
        except InvalidArgument as refused:
            return Answer(0, refused.message)
        # RuntimeError is what uvloop may raise when it cannot connect.
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            return Answer(0, _explain(error))


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
