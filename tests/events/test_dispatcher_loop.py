"""The running dispatcher: what wakes it, whom it serves, and what it does when it cannot go on."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from operator import contains

import pytest
from prometheus_client import REGISTRY

from corebilling.bus.delivery import Delivery
from corebilling.errors import Internal
from corebilling.events import outbox
from corebilling.events.dispatcher import Dispatcher, DispatcherPolicy
from corebilling.events.envelope import shard_of
from tests.support.pipeline import TENANT, Pipeline, append, caller, pipeline
from tests.support.postgres import TestDatabase

WITHIN_S = 20.0
"""Far more than any condition here takes, on any machine."""

NEVER_S = 3600.0

KEYS = {shard_of(TENANT, f"k{number}"): f"k{number}" for number in range(500)}
"""One ordering key of each shard."""


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not condition():  # noqa: ASYNC110 (what is waited for has no event to say so)
            await asyncio.sleep(0.001)


class Recorder:
    """A consumer that only remembers what came."""

    def __init__(self) -> None:
        self.resources: list[str] = []

    async def __call__(self, deliveries: Sequence[Delivery]) -> None:
        self.resources += [delivery.row.resource_id for delivery in deliveries]


@asynccontextmanager
async def running(dispatcher: Dispatcher) -> AsyncIterator[None]:
    task = asyncio.create_task(dispatcher.run())
    try:
        await until(lambda: bool(dispatcher._held) or task.done())
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def dispatcher_of(pipe: Pipeline, policy: DispatcherPolicy | None = None) -> Dispatcher:
    return Dispatcher(pipe.worker, pipe.bus, pipe.clock, policy or DispatcherPolicy())


async def test_shards_that_nobody_woke_are_polled_while_others_are_woken_without_pause(
    database: TestDatabase,
):
    """Another process's events wake nobody here: a busy process must not starve them."""
    async with pipeline(database, []) as pipe:
        seen = Recorder()
        pipe.bus.subscribe(seen)
        dispatcher = dispatcher_of(pipe, DispatcherPolicy(poll_s=0.05))

        async def keep_waking() -> None:
            while True:
                dispatcher.wake([0])
                await asyncio.sleep(0)

        async with running(dispatcher):
            waking = asyncio.create_task(keep_waking())
            await pipe.write("quiet", key=KEYS[1])
            await until(lambda: seen.resources == ["quiet"])
            waking.cancel()


async def test_a_busy_shard_does_not_starve_one_that_is_woken_after_it(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        dispatcher = dispatcher_of(pipe, DispatcherPolicy(poll_s=NEVER_S, quota_events=1))
        seen = Recorder()

        async def consume(deliveries: Sequence[Delivery]) -> None:
            await seen(deliveries)
            if len(seen.resources) == 1:
                await pipe.write("other", key=KEYS[1])
                dispatcher.wake([1])

        pipe.bus.subscribe(consume)
        async with running(dispatcher):
            await until(lambda: dispatcher._poll_at > 0)
            async with pipe.writer.transaction(caller()) as tx:
                for number in range(50):
                    append(tx, f"busy{number}", key=KEYS[0])
            dispatcher.wake([0] * 50)
            await until(lambda: len(seen.resources) == 51)
        assert seen.resources.index("other") < 5


async def test_a_backlog_is_worked_off_without_waiting_for_polls(database: TestDatabase):
    """Who finds as much as it may take at once expects that there is more."""
    async with pipeline(database, []) as pipe:
        dispatcher = dispatcher_of(pipe, DispatcherPolicy(poll_s=NEVER_S, quota_events=2))
        seen = Recorder()
        pipe.bus.subscribe(seen)
        async with running(dispatcher):
            await until(lambda: dispatcher._poll_at > 0)
            async with pipe.writer.transaction(caller()) as tx:
                for number in range(9):
                    append(tx, f"r{number}", key=KEYS[0])
            dispatcher.wake([0])  # of one event; the others are another process's
            await until(lambda: len(seen.resources) == 9)


async def test_an_event_still_behind_a_running_transaction_is_looked_for_again(database: TestDatabase):
    """Its shard had another event to hand over: that one must not count for it."""
    async with pipeline(database, []) as pipe:
        dispatcher = dispatcher_of(pipe, DispatcherPolicy(poll_s=NEVER_S))
        seen = Recorder()
        pipe.bus.subscribe(seen)
        async with running(dispatcher):
            await until(lambda: dispatcher._poll_at > 0)
            await pipe.write("early", key=KEYS[0])
            async with pipe.writer.transaction(caller()) as slow:
                append(slow, "slow", key=KEYS[5])
                await outbox.flush(slow)
                slow.events.clear()
                await pipe.write("hidden", key=KEYS[0])
                dispatcher.wake([0, 0])
                await until(lambda: seen.resources == ["early"])
            await until(lambda: seen.resources == ["early", "hidden"])


async def test_a_shard_is_not_published_when_its_lease_ran_out_while_it_waited(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        seen = Recorder()

        async def consume(deliveries: Sequence[Delivery]) -> None:
            await seen(deliveries)
            pipe.clock.advance(seconds=60)  # stopped for longer than the lease

        pipe.bus.subscribe(consume)
        dispatcher = dispatcher_of(pipe, DispatcherPolicy(concurrent_shards=1))
        await pipe.write("r0", key=KEYS[0])
        await pipe.write("r1", key=KEYS[1])
        await dispatcher.run_once()
        assert seen.resources == ["r0"]


async def test_a_fault_of_its_own_ends_the_dispatcher_loudly(database: TestDatabase):
    """Only what passes by itself is waited for."""
    async with pipeline(database, []) as pipe:

        async def consume(deliveries: Sequence[Delivery]) -> None:
            raise Internal("INTERNAL", "a bug")

        pipe.bus.subscribe(consume)
        await pipe.write("r0")
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(ExceptionGroup):
                await dispatcher_of(pipe).run()


async def test_a_lost_database_is_waited_for(database: TestDatabase):
    async with pipeline(database, []) as pipe:
        seen = Recorder()
        pipe.bus.subscribe(seen)
        async with running(dispatcher_of(pipe, DispatcherPolicy(pause_base_s=0.01))):
            for number in range(3):
                await database.admin(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                    "WHERE usename = 'corebilling_worker' AND datname = current_database()"
                )
                await pipe.write(f"r{number}")
                await until(partial(contains, seen.resources, f"r{number}"))


async def test_it_works_on_however_long_it_has_been_running(database: TestDatabase):
    """Nothing of it is bound to the moment it was started in."""
    async with pipeline(database, []) as pipe:
        seen = Recorder()
        pipe.bus.subscribe(seen)
        async with running(dispatcher_of(pipe, DispatcherPolicy(lease_s=0.1, poll_s=0.01))):
            for number in range(3):
                pipe.clock.advance(hours=10)
                await pipe.write(f"r{number}")
                await until(partial(contains, seen.resources, f"r{number}"))


async def test_the_age_of_a_transaction_that_holds_the_log_back_is_measured(database: TestDatabase):
    def age_s() -> float:
        return REGISTRY.get_sample_value("corebilling_outbox_horizon_age_seconds") or 0.0

    async with pipeline(database, []) as pipe:
        async with pipe.writer.transaction(caller()) as slow:
            await slow.execute("INSERT INTO notes VALUES ('open')")
            await pipe.write("held back")
            await pipe.dispatcher.observe()
            pipe.clock.advance(seconds=40)
            await pipe.dispatcher.observe()
            assert age_s() == 40
        await pipe.write("next")
        await pipe.dispatcher.observe()
        assert age_s() == 0
        pipe.clock.advance(seconds=40)
        await pipe.dispatcher.observe()
        assert age_s() == 0  # nobody holds it: nothing was written since
