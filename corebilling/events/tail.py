"""Follows the log for those who watch it: one reader for all of the process.

While anyone watches, one statement looks for new events of all watched tenants: at once when this process
commits some, else at every poll. What it finds is kept for a while in a feed per tenant, from which that
tenant's watches take at their own pace. A watch that begins further back, or fell behind, reads the log by
itself until it has caught up: nothing is queued for anybody, however slow.
"""

import asyncio
import random
from collections import Counter, deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import takewhile

from billing_db import event as event_sql
from billing_db.models import BillingEvent

from corebilling.bus.delivery import Position, size_bytes
from corebilling.db.pool import Database
from corebilling.errors import InvalidArgument, ResourceExhausted
from corebilling.events import metrics
from corebilling.events.wakes import Wakes

Wanted = Callable[[BillingEvent], bool]

ReadStretch = Callable[[Position, Position, int], Awaitable[Sequence[BillingEvent]]]
"""Reads the tenant's log after the one position, up to the other, at most so many events."""

# Whoever commits much wakes often: the reader rests this long between two looks.
_REST_S = 0.01


@dataclass(frozen=True, slots=True)
class TailPolicy:
    """Times in seconds. `kept_…`: of each tenant's feed. `watch_s`: after which a watch ends by itself."""

    watches_per_tenant: int = 20
    heartbeat_s: float = 10.0
    poll_s: float = 0.25
    watch_s: float = 570.0
    batch_events: int = 100
    kept_events: int = 500
    kept_bytes: int = 1024 * 1024


class _Feed:
    """The newest events of a tenant: all there are after `start`, up to `end`."""

    def __init__(self, position: Position, policy: TailPolicy) -> None:
        self.start = self.end = position
        self.bell = asyncio.Event()
        """Rings once, at the next change; then there is another."""
        self.error: Exception | None = None
        self._policy = policy
        self._events: deque[BillingEvent] = deque()
        self._bytes = 0

    def add(self, rows: Sequence[BillingEvent]) -> None:
        """What follows `end`."""
        for row in rows:
            self.end = _position(row)
            self._events.append(row)
            self._bytes += size_bytes(row)
        while len(self._events) > self._policy.kept_events or self._bytes > self._policy.kept_bytes:
            dropped = self._events.popleft()
            self._bytes -= size_bytes(dropped)
            self.start = _position(dropped)
        self.ring()

    def after(self, position: Position) -> list[BillingEvent]:
        """From the newest back: as a rule there are few, and many who ask."""
        newer = list(takewhile(lambda row: _position(row) > position, reversed(self._events)))
        newer.reverse()
        return newer

    def ring(self) -> None:
        self.bell.set()
        self.bell = asyncio.Event()


class Tail:
    """Raises ResourceExhausted: WATCH_LIMIT_REACHED when a tenant has too many watches in this process.

    Args:
        database: The worker role's, which sees all tenants' events; opened with sequential scans off.
    """

    def __init__(self, database: Database, policy: TailPolicy) -> None:
        self._database = database
        self._policy = policy
        self._feeds: dict[str, _Feed] = {}
        self._watches: Counter[str] = Counter()
        self._wakes: Wakes[str] = Wakes()
        self._reader: asyncio.Task[None] | None = None
        self._stopped = False

    def wake(self, tenant_ids: Iterable[str]) -> None:
        """These tenants have new events, one entry for each: look now instead of at the next poll."""
        if self._feeds:
            self._wakes.expect(tenant_id for tenant_id in tenant_ids if tenant_id in self._feeds)

    def watches(self, tenant_id: str) -> int:
        """How many of the tenant's there are now."""
        return self._watches[tenant_id]

    async def stop(self) -> None:
        """Ends all watches; each says first how far it has come."""
        self._stopped = True
        for feed in self._feeds.values():
            feed.ring()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])

    async def follow(
        self, tenant_id: str, after: Position | None, wanted: Wanted, read: ReadStretch
    ) -> AsyncGenerator[tuple[Position, BillingEvent | None], None]:
        """The tenant's wanted events after the position, or from now on, in the order of the log.

        Each comes with its position. None is a sign of life: it comes first, last, and whenever nothing was
        said for a while; the position tells how far the log has been looked through.

        Raises:
            InvalidArgument: RESUME_TOKEN_INVALID when the log has not come that far.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._policy.watch_s
        async with self._watching(tenant_id) as (feed, now):
            if after is not None and after > now:
                raise InvalidArgument(
                    "RESUME_TOKEN_INVALID",
                    "The token lies ahead of this log; watch from now on without it.",
                )
            position = now if after is None else after
            yield position, None
            said_at = loop.time()
            while True:
                bell = feed.bell  # Taken before looking: what comes after the look rings it.
                if feed.error is not None:
                    raise feed.error
                rows, reached = await self._next(feed, position, read)
                for row in rows:
                    position = _position(row)
                    if wanted(row):
                        yield position, row
                        said_at = loop.time()
                position = max(position, reached)
                if self._stopped or loop.time() >= ends_at:
                    yield position, None
                    return
                if loop.time() >= said_at + self._policy.heartbeat_s:
                    yield position, None
                    said_at = loop.time()
                if position >= feed.end:
                    await _rings(bell, min(said_at + self._policy.heartbeat_s, ends_at))

    async def _next(
        self, feed: _Feed, position: Position, read: ReadStretch
    ) -> tuple[Sequence[BillingEvent], Position]:
        """Some events after the position, and up to where there are no others."""
        if position >= feed.start:
            return feed.after(position), feed.end
        start, limit = feed.start, self._policy.batch_events
        rows = await read(position, start, limit)
        return rows, start if len(rows) < limit else _position(rows[-1])

    @asynccontextmanager
    async def _watching(self, tenant_id: str) -> AsyncIterator[tuple[_Feed, Position]]:
        """The tenant's feed, and where the log ends now."""
        limit = self._policy.watches_per_tenant
        if self._watches[tenant_id] >= limit:
            raise ResourceExhausted(
                "WATCH_LIMIT_REACHED",
                "The tenant's events are watched in too many streams; end one, or share it.",
                {"limit": str(limit)},
            )
        self._watches[tenant_id] += 1
        metrics.WATCHES.inc()
        try:
            now = await self._log_end()
            yield self._feed(tenant_id, now), now
        finally:
            metrics.WATCHES.dec()
            self._watches[tenant_id] -= 1
            if not self._watches[tenant_id]:
                del self._watches[tenant_id]
                self._feeds.pop(tenant_id, None)

    def _feed(self, tenant_id: str, now: Position) -> _Feed:
        feed = self._feeds.get(tenant_id)
        if feed is None:
            feed = self._feeds[tenant_id] = _Feed(now, self._policy)
            if not self._stopped and (self._reader is None or self._reader.done()):
                self._reader = asyncio.create_task(self._read_on(), name="event tail")
        return feed

    async def _log_end(self) -> Position:
        async with self._database.connection() as connection:
            end = await event_sql.get_log_end(connection)
        return Position.behind(end.epoch, end.xid)

    async def _read_on(self) -> None:
        """As long as anyone watches. A failure ends their streams: they come again with their tokens."""
        poll_at = 0.0
        loop = asyncio.get_running_loop()
        try:
            while self._feeds:
                await self._wakes.wait(poll_at)
                tenant_ids = self._wakes.take() & self._feeds.keys()
                if loop.time() >= poll_at:
                    poll_at = loop.time() + self._policy.poll_s * random.uniform(0.8, 1.2)
                    tenant_ids = set(self._feeds)
                await self._read(tenant_ids)
                self._wakes.look_again(tenant_ids)
                await asyncio.sleep(_REST_S)
        except Exception as error:
            feeds, self._feeds = self._feeds, {}
            for feed in feeds.values():
                feed.error = error
                feed.ring()

    async def _read(self, tenant_ids: Iterable[str]) -> None:
        ends = [(tenant_id, self._feeds[tenant_id].end) for tenant_id in tenant_ids]
        if not ends:
            return
        async with self._database.connection() as connection:
            rows = await event_sql.list_new_events(
                connection,
                tenant_ids=[tenant_id for tenant_id, _ in ends],
                epochs=[end.epoch for _, end in ends],
                xids=[end.xid for _, end in ends],
                seqs=[end.seq for _, end in ends],
                quota=self._policy.batch_events,
            )
        by_tenant: dict[str, list[BillingEvent]] = {}
        for row in rows:
            by_tenant.setdefault(row.tenant_id, []).append(row)
        for tenant_id, own in by_tenant.items():
            self._wakes.seen(tenant_id, len(own))
            if len(own) == self._policy.batch_events:
                self._wakes.look_at([tenant_id])
            feed = self._feeds.get(tenant_id)
            if feed is not None:
                # It may be a new one, if the last watch ended meanwhile: some of these are before it.
                feed.add([row for row in own if _position(row) > feed.end])


async def _rings(bell: asyncio.Event, until: float) -> None:
    try:
        async with asyncio.timeout_at(until):
            await bell.wait()
    except TimeoutError:
        return


def _position(row: BillingEvent) -> Position:
    return Position(row.epoch, row.xid, row.seq)
