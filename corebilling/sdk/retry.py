"""Calls are repeated while that can help: with pauses that grow and are drawn at random, until a deadline."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import grpc

from corebilling.sdk.status import facts_of

T = TypeVar("T")

# CANCELLED: by a connection that broke. Who cancels a call here gets asyncio's own exception.
_LIKELY_TO_PASS = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED,
    grpc.StatusCode.CANCELLED,
)
# Of these only where the server says when: an etag that is old stays old, and a message too large stays so.
_WHEN_TOLD = (grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED)


@dataclass(frozen=True, slots=True)
class Retry:
    """How long to wait between attempts, and for each. `max_attempts=1` repeats nothing."""

    first_backoff_s: float = 0.1
    max_backoff_s: float = 5.0
    max_attempts: int | None = None
    """None: as many as the deadline of the call allows."""
    attempt_timeout_s: float | None = None
    """Of one attempt, where the whole call's deadline is too long to wait for an answer that got lost."""

    def pause_s(self, failures: int, told_s: float | None) -> float:
        """After so many failures in a row: what the server asked for, and a random part of the backoff."""
        longest_s = min(self.max_backoff_s, self.first_backoff_s * 2.0 ** min(failures - 1, 60))
        return (told_s or 0.0) + random.uniform(0.0, longest_s)


def may_repeat(error: grpc.aio.AioRpcError) -> bool:
    """Whether the same call can succeed later; that it does no harm, its method has promised."""
    code = error.code()
    return code in _LIKELY_TO_PASS or (code in _WHEN_TOLD and facts_of(error).retry_after_s is not None)


class Patience:
    """Says, failure by failure, whether there is still time; sleeps until the next attempt."""

    def __init__(self, retry: Retry, timeout_s: float) -> None:
        self._retry = retry
        self._timeout_s = timeout_s
        self._ends_at = time.monotonic() + timeout_s
        self.failures = 0

    @property
    def remaining_s(self) -> float:
        """Of the whole call; at least a moment, so that an attempt can say that it is over."""
        return max(self._ends_at - time.monotonic(), 0.001)

    @property
    def attempt_s(self) -> float:
        return min(self.remaining_s, self._retry.attempt_timeout_s or self.remaining_s)

    def renew(self) -> None:
        """What was waited for has come: a failure after it is the first one again."""
        self._ends_at = time.monotonic() + self._timeout_s
        self.failures = 0

    async def wait(self, error: grpc.aio.AioRpcError) -> None:
        """Raises the error itself when repeating cannot help, or not in time."""
        self.failures += 1
        if self.failures == self._retry.max_attempts or not may_repeat(error):
            raise error
        pause_s = self._retry.pause_s(self.failures, facts_of(error).retry_after_s)
        if pause_s >= self._ends_at - time.monotonic():
            raise error
        await asyncio.sleep(pause_s)


async def repeated(attempt: Callable[[float], Awaitable[T]], patience: Patience) -> T:
    """The first answer; each attempt is told how many seconds it has.

    Raises:
        grpc.aio.AioRpcError: The last failure.
    """
    while True:
        try:
            return await attempt(patience.attempt_s)
        except grpc.aio.AioRpcError as error:
            await patience.wait(error)
