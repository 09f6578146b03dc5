"""What was looked up a moment ago: a bounded memory that asks once for all who wait."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from corebilling.values.clock import Clock

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_MAX_ENTRIES = 10_000


class Remembering(Generic[K, V]):
    """Looks a key up at most once per `keep_s` seconds. Failures are not remembered.

    Of more than it can hold it keeps what was looked up last.
    """

    def __init__(self, look_up: Callable[[K], Awaitable[V]], clock: Clock, keep_s: float) -> None:
        self._look_up = look_up
        self._clock = clock
        self._keep = timedelta(seconds=keep_s)
        self._known: OrderedDict[K, tuple[datetime, V]] = OrderedDict()
        self._asking: dict[K, asyncio.Task[V]] = {}

    def known(self, key: K) -> V | None:
        """What is remembered, if it is."""
        known = self._known.get(key)
        return known[1] if known is not None and self._clock.now() < known[0] else None

    def __contains__(self, key: K) -> bool:
        """Whether it was found before, be it longer ago."""
        return key in self._known

    def forget(self, key: K) -> None:
        self._known.pop(key, None)

    async def find(self, key: K) -> V:
        """Raises what the look-up raises."""
        known = self.known(key)
        if known is not None:
            return known
        asking = self._asking.get(key)
        if asking is None:
            # A task of its own: the call that asked first may be cancelled while others wait.
            asking = self._asking[key] = asyncio.create_task(self._ask(key))
        return await asyncio.shield(asking)

    async def _ask(self, key: K) -> V:
        try:
            asked_at = self._clock.now()
            value = await self._look_up(key)
        finally:
            del self._asking[key]
        self._known.pop(key, None)
        self._known[key] = (asked_at + self._keep, value)
        if len(self._known) > _MAX_ENTRIES:
            self._known.popitem(last=False)
        return value
