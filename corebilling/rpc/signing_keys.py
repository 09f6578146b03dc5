"""The keys that an issuer signs tokens with: a shared secret, or public keys it lists (JWKS, RFC 7517)."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
# Keys that were withdrawn are believed in for so long.
_KEEP = timedelta(minutes=10)
# An issuer that failed is left alone for so long; and so long a new key waits at most.
_RETRY = timedelta(seconds=30)
# Unknown names for which the issuer is asked within that time, once each: anybody can invent some.
_MAX_UNKNOWN = 8
_FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}

_log = structlog.get_logger()


class KeysUnreadable(Exception):
    """What was read is no set of keys; the message says what is wrong."""


class SigningKeys(Protocol):
    async def find(self, key_id: str | None) -> Sequence[Any]:
        """The keys that may have signed: those of this id, or all when a token names none.

        Raises:
            Unavailable: ISSUER_UNAVAILABLE when the keys cannot be read now, and none are known.
        """
        ...


class SharedSecret:
    """For the HS algorithms: who can check a token can make one too."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    async def find(self, key_id: str | None) -> Sequence[bytes]:  # noqa: ARG002 (one key, whatever its name)
        return (self._secret,)


class PublishedKeys:
    """Reads the set at its first use, every ten minutes, and when a token names a key that is not in it."""

    def __init__(
        self, read: Callable[[], Awaitable[bytes]], source: str, algorithm: str, clock: Clock
    ) -> None:
        self._read = read
        self._source = source
        self._algorithm = algorithm
        self._clock = clock
        self._keys: Sequence[jwt.PyJWK] | None = None
        self._read_at: datetime | None = None
        self._failed = False
        self._unknown: set[str | None] = set()
        self._unknown_since: datetime | None = None
        self._reading: asyncio.Task[None] | None = None

    async def find(self, key_id: str | None) -> Sequence[Any]:
        found = self._known(key_id)
        if self._due_for_known() if found else self._due_for_unknown(key_id):
            await self._refreshed()
            found = self._known(key_id)
        if self._keys is None:
            raise Unavailable(
                "ISSUER_UNAVAILABLE",
                "The issuer's keys cannot be read now; repeat the call in a moment.",
                retry_after_s=_RETRY.total_seconds(),
            )
        return found

    def _known(self, key_id: str | None) -> Sequence[Any]:
        return [one.key for one in self._keys or () if key_id is None or one.key_id == key_id]

    def _due_for_known(self) -> bool:
        """Whose key is known waits for no reading that another call began."""
        return self._reading is None and self._past(self._read_at, _KEEP)

    def _due_for_unknown(self, key_id: str | None) -> bool:
        """A reading that is under way costs nothing more; a further one, a place among the unknown names."""
        if self._reading is not None:
            return True
        if self._failed:
            return self._past(self._read_at, _RETRY)
        if self._past(self._unknown_since, _RETRY):
            self._unknown_since, self._unknown = self._clock.now(), set()
        if key_id in self._unknown or len(self._unknown) >= _MAX_UNKNOWN:
            return False
        self._unknown.add(key_id)
        return True

    def _past(self, moment: datetime | None, age: timedelta) -> bool:
        return moment is None or self._clock.now() - moment >= age

    async def _refreshed(self) -> None:
        if self._reading is None:
            # A task of its own: the call that asked first may be cancelled while others wait.
            self._reading = asyncio.create_task(self._refresh())
        await asyncio.shield(self._reading)

    async def _refresh(self) -> None:
        """Keeps the known keys when new ones cannot be read: an issuer that is away stops nobody."""
        self._failed = True
        try:
            self._keys = parse_keys(await self._read(), self._source, self._algorithm)
            self._failed = False
        except (OSError, TimeoutError, aiohttp.ClientError, KeysUnreadable) as error:
            _log.error("issuer_keys_unreadable", source=self._source, problem=str(error))
        finally:
            self._read_at = self._clock.now()
            self._reading = None


def parse_keys(data: bytes, source: str, algorithm: str) -> Sequence[jwt.PyJWK]:
    """The keys that may sign with this algorithm; none, when an issuer withdrew them all.

    Raises:
        KeysUnreadable: When it is no set of keys.
    """
    try:
        listed = json.loads(data)["keys"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise KeysUnreadable(f"no JSON web key set: {error}") from None
    if not isinstance(listed, list):
        raise KeysUnreadable("no JSON web key set: its keys are no list")
    keys = []
    for position, key in enumerate(listed):
        try:
            if _usable(key, algorithm):
                keys.append(_public_key(key, algorithm))
        except Exception as error:  # Whatever is odd about it: the other keys are good.
            # Its name alone: the message may show the key.
            problem = type(error).__name__
            _log.warning("issuer_key_skipped", source=source, position=position, problem=problem)
    return keys


def _public_key(key: Mapping[str, Any], algorithm: str) -> jwt.PyJWK:
    parsed = jwt.PyJWK(dict(key), algorithm)
    # Refuses the curve of another algorithm.
    parsed.Algorithm.prepare_key(parsed.key)
    return parsed


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
