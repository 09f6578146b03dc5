"""The tail of the log, at the pace of those who watch it."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from typing import Any

from billing.event.v1 import event_service_pb2 as rpc
from billing_db.models import BillingEvent

from corebilling.bus.delivery import Position
from corebilling.domains.event.service import EventService
from corebilling.events.tail import Tail, TailPolicy
from tests.support.pipeline import TENANT, Pipeline, append, caller, pipeline
from tests.support.postgres import TestDatabase

POLICY = TailPolicy(batch_events=3, kept_events=5, poll_s=0.01, heartbeat_s=0.01)


class Log:
    """Reads the log as the servicer does, and counts how often."""

    def __init__(self, pipe: Pipeline) -> None:
        self._pipe = pipe
        self.reads = 0

    async def read(self, after: Position, to: Position, limit: int) -> Sequence[BillingEvent]:
        self.reads += 1
        async with self._pipe.writer.transaction(caller()) as tx:
            return await EventService({}).list_stretch(
                tx, rpc.WatchEventsRequest(), after=after, to=to, limit=limit
            )


async def take(found: Any, count: int) -> list[str]:
    """The resources of the next events, whatever signs of life come between."""
    taken: list[str] = []
    async with asyncio.timeout(20):
        while len(taken) < count:
            _, row = await anext(found)
            if row is not None:
                taken.append(row.resource_id)
    return taken


async def write(pipe: Pipeline, first: int, last: int) -> list[str]:
    names = [f"r{number}" for number in range(first, last)]
    async with pipe.writer.transaction(caller()) as tx:
        for name in names:
            append(tx, name)
    return names


async def test_who_is_slow_falls_back_to_the_log_and_misses_nothing(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        tail, slow_log, quick_log = Tail(pipe.worker, POLICY), Log(pipe), Log(pipe)
        async with (
            aclosing(tail.follow(TENANT, None, lambda _: True, slow_log.read)) as slow,
            aclosing(tail.follow(TENANT, None, lambda _: True, quick_log.read)) as quick,
        ):
            await anext(slow), await anext(quick)
            written: list[str] = []
            for start in range(0, 40, 4):
                written += await write(pipe, start, start + 4)
                assert await take(quick, 4) == written[-4:]
            assert len(tail._feeds[TENANT].after(Position(0, 0, 0))) == POLICY.kept_events
            assert (quick_log.reads, slow_log.reads) == (0, 0)
            assert await take(slow, 40) == written
            assert slow_log.reads >= (40 - POLICY.kept_events) // POLICY.batch_events
            written += await write(pipe, 40, 44)
            assert await take(slow, 4) == await take(quick, 4) == written[-4:]
        await tail.stop()


async def test_large_events_are_not_kept_for_long(database: TestDatabase):
    policy = TailPolicy(kept_bytes=5000, poll_s=0.01)
    async with pipeline(database, []) as pipe:
        tail, log = Tail(pipe.worker, policy), Log(pipe)
        async with aclosing(tail.follow(TENANT, None, lambda _: True, log.read)) as found:
            await anext(found)
            written = await write(pipe, 0, 30)
            assert await take(found, 30) == written
            assert len(tail._feeds[TENANT].after(Position(0, 0, 0))) == 4
        await tail.stop()


async def test_nobody_is_read_for_when_nobody_watches(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        tail, log = Tail(pipe.worker, POLICY), Log(pipe)
        async with aclosing(tail.follow(TENANT, None, lambda _: True, log.read)) as found:
            await anext(found)
            assert tail.watches(TENANT) == 1
            reader = tail._reader
        assert reader is not None
        assert tail.watches(TENANT) == 0
        async with asyncio.timeout(20):
            await reader
        # The next who watches is served again.
        async with aclosing(tail.follow(TENANT, None, lambda _: True, log.read)) as found:
            await anext(found)
            await write(pipe, 0, 2)
            assert await take(found, 2) == ["r0", "r1"]
        await tail.stop()
