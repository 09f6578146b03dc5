"""The channel to a server: where, how it is encrypted, and who calls."""

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_address
from pathlib import Path
from typing import Any, TypeAlias

import grpc

# What the server accepts; usage batches and PDFs stay below it.
MAX_MESSAGE_BYTES = 4 * 1024 * 1024

Credential: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""An API key, or what gives a fresh token for each attempt."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM texts. Without `root`: gRPC's own authorities. `certificate` and `key` are the client's own."""

    root: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None

    @classmethod
    def from_files(
        cls,
        root: Path | str | None = None,
        certificate: Path | str | None = None,
        key: Path | str | None = None,
    ) -> "Tls":
        texts = (Path(file).read_bytes() if file else None for file in (root, certificate, key))
        return cls(*texts)

    def credentials(self) -> grpc.ChannelCredentials:
        return grpc.ssl_channel_credentials(self.root, self.key, self.certificate)


def open_channel(
    target: str, tls: Tls | None, interceptors: Sequence[grpc.aio.ClientInterceptor] = ()
) -> grpc.aio.Channel:
    """Without TLS: in the clear."""
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        # gRPC's own default grows to two minutes: long after a server is back.
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
        # How long one attempt to connect may take.
        ("grpc.min_reconnect_backoff_ms", 5000),
        # A connection that died without a word is noticed while something waits for it.
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
    ]
    if tls is None:
        return grpc.aio.insecure_channel(target, options=options, interceptors=interceptors)
    return grpc.aio.secure_channel(target, tls.credentials(), options=options, interceptors=interceptors)


class Connection:
    """Opened by the first call, in the loop that makes it."""

    def __init__(self, target: str, credential: Credential, tls: Tls | None, *, plaintext: bool) -> None:
        self._target = target
        self._credential = credential
        # A key never crosses a network in the clear unless that is asked for.
        self._tls = None if plaintext or (tls is None and is_local(target)) else tls or Tls()

    @cached_property
    def channel(self) -> grpc.aio.Channel:
        return open_channel(self._target, self._tls)

    async def close(self) -> None:
        if "channel" in self.__dict__:
            await self.channel.close()

    async def credential(self) -> tuple[tuple[str, str], ...]:
        """As metadata."""
        if isinstance(self._credential, str):
            return (("x-api-key", self._credential),) if self._credential else ()
        given = self._credential()
        token = await given if inspect.isawaitable(given) else given
        return (("authorization", f"Bearer {token}"),)


def is_local(target: str) -> bool:
    """Whether the target is this very machine, as it is written."""
    if target.startswith("unix:"):
        return True
    host = target.rpartition(":")[0].strip("[]")
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
