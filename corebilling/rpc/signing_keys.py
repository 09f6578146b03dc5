"""The keys that an issuer signs tokens with: a shared secret, or public keys it lists (JWKS, RFC 7517)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import jwt
import structlog

from corebilling.errors import Unavailable
from corebilling.values.clock import Clock

_MAX_BYTES = 256 * 1024
_FETCH_S = 5
# Keys that were withdrawn are believed in for so long, and so long a new one waits at most.
_KEEP = timedelta(minutes=10)
_RETRY = timedelta(seconds=30)
_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}

_log = structlog.get_logger()


class KeysUnreadable(Exception):
    """What was read is no set of keys; the message says what is wrong."""


class SigningKeys(Protocol):
    async def find(self, key_id: str | None) -> Any:
        """The key of this id, or the only one when a token names none; None when there is none.

        Raises:
            Unavailable: ISSUER_UNAVAILABLE when the keys cannot be read now, and none are known.
        """
        ...


class SharedSecret:
    """For the HS algorithms: who can check a token can make one too."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    async def find(self, key_id: str | None) -> bytes:  # noqa: ARG002 (one key, whatever it is called)
        return self._secret


class PublishedKeys:
    """Reads the set at its first use, every ten minutes, and when a token names a key that is not in it."""

    def __init__(
        self, read: Callable[[], Awaitable[bytes]], source: str, algorithm: str, clock: Clock
    ) -> None:
        self._read = read
        self._source = source
        self._algorithm = algorithm
        self._clock = clock
        self._keys: Mapping[str, Any] | None = None
        self._read_at: datetime | None = None
        self._reading = asyncio.Lock()

    async def find(self, key_id: str | None) -> Any:
        found = self._known(key_id)
        # A name that nobody knows asks the issuer again, but not at every call.
        if self._older_than(_KEEP if found is not None else _RETRY):
            async with self._reading:
                if self._older_than(_KEEP if found is not None else _RETRY):
                    await self._refresh()
            found = self._known(key_id)
        if self._keys is None:
            raise Unavailable(
                "ISSUER_UNAVAILABLE",
                "The issuer's keys cannot be read now; repeat the call in a moment.",
                retry_after_s=_RETRY.total_seconds(),
            )
        return found

    def _known(self, key_id: str | None) -> Any:
        keys = self._keys or {}
        if key_id is None:
            return next(iter(keys.values())) if len(keys) == 1 else None
        return keys.get(key_id)

    def _older_than(self, age: timedelta) -> bool:
        return self._read_at is None or self._clock.now() - self._read_at >= age

    async def _refresh(self) -> None:
        """Keeps the known keys when new ones cannot be read: an issuer that is away stops nobody."""
        self._read_at = self._clock.now()
        try:
            self._keys = parse_keys(await self._read(), self._algorithm)
        except (OSError, TimeoutError, aiohttp.ClientError, KeysUnreadable) as error:
            _log.error("issuer_keys_unreadable", source=self._source, problem=str(error))


def parse_keys(data: bytes, algorithm: str) -> Mapping[str, Any]:
    """The keys that may sign with this algorithm, by their ids. Raises KeysUnreadable."""
    try:
        listed = json.loads(data)["keys"]
        usable = [key for key in listed if _usable(key, algorithm)]
        keys = {str(key.get("kid", "")): jwt.PyJWK(key, algorithm).key for key in usable}
    except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError) as error:
        raise KeysUnreadable(f"no JSON web key set: {error}") from None
    if not keys:
        raise KeysUnreadable(f"no key in the set signs with {algorithm}")
    return keys


def _usable(key: Mapping[str, Any], algorithm: str) -> bool:
    """Public keys of the algorithm's family alone: who lists a private one makes everybody an issuer."""
    return (
        key["kty"] == _FAMILIES[algorithm[:2]]
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and "d" not in key
    )


def file_reader(path: Path) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return await asyncio.to_thread(path.read_bytes)

    return read


def url_reader(url: str) -> Callable[[], Awaitable[bytes]]:
    """Follows no redirect, and believes in no answer that is long or late."""

    async def read() -> bytes:
        timeout = aiohttp.ClientTimeout(total=_FETCH_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, allow_redirects=False, headers={"Accept": "application/json"}) as response,
        ):
            if response.status != 200:
                raise KeysUnreadable(f"the issuer answered {response.status}")
            data = await response.content.read(_MAX_BYTES + 1)
            while len(data) <= _MAX_BYTES and (more := await response.content.read(_MAX_BYTES)):
                data += more
            if len(data) > _MAX_BYTES:
                raise KeysUnreadable(f"the set is longer than {_MAX_BYTES} bytes")
            return data

    return read
