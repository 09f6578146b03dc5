"""What is kept of holders, for how long, and how much of it; on the log of a real Postgres."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from corebilling.db.pool import Database
from corebilling.domains.quota.entitlement import Holder
from corebilling.domains.quota.view import HolderKey, HolderView, ViewPolicy
from corebilling.errors import Unavailable
from corebilling.events.tail import Tail, TailPolicy
from tests.support.clock import FakeClock

TENANT, OTHER = "ten_a", "ten_b"


def key(customer_id: str, tenant_id: str = TENANT) -> HolderKey:
    return tenant_id, customer_id, ""


def loading(clock: FakeClock, customer_id: str, *, shared: bool = False) -> Callable[[], Awaitable[Holder]]:
    async def load() -> Holder:
        return Holder(customer_id, [], clock.now() + timedelta(days=1), shared, sandbox=False)

    return load


@asynccontextmanager
async def viewing(database: Database, clock: FakeClock, **policy: float) -> AsyncIterator[HolderView]:
    tail = Tail(database, TailPolicy())
    view = HolderView(clock, tail, ViewPolicy(**policy))  # type: ignore[arg-type] # whole numbers are given as such
    yield view
    await view.stop()
    await tail.stop()


async def test_the_oldest_is_forgotten_when_too_much_is_kept(worker_db: Database) -> None:
    clock = FakeClock()
    async with viewing(worker_db, clock, max_weight=2) as view:
        for name in ("cus_1", "cus_2", "cus_3"):
            await view.find(key(name), loading(clock, name))
        assert [view.known(key(name)) is not None for name in ("cus_1", "cus_2", "cus_3")] == [
            False,
            True,
            True,
        ]


async def test_only_so_many_tenants_are_followed(worker_db: Database) -> None:
    clock = FakeClock()
    async with viewing(worker_db, clock, max_tenants=1) as view:
        await view.find(key("cus_1"), loading(clock, "cus_1"))
        await view.find(key("cus_1", OTHER), loading(clock, "cus_1"))
        assert view.known(key("cus_1")) is None
        assert view.known(key("cus_1", OTHER)) is not None
        await view.find(key("cus_1"), loading(clock, "cus_1"))
        assert view.known(key("cus_1")) is not None


async def test_who_waits_for_a_tenant_that_is_not_followed_after_all_is_told(worker_db: Database) -> None:
    """Two ask in the same instant: the first tenant is given up before it was ever followed."""
    clock = FakeClock()
    async with viewing(worker_db, clock, max_tenants=1) as view:
        first, second = (
            asyncio.create_task(view.find(key("cus_1", tenant_id), loading(clock, "cus_1")))
            for tenant_id in (TENANT, OTHER)
        )
        async with asyncio.timeout(5):
            with pytest.raises(Unavailable):
                await first
            await second
        await view.find(key("cus_1"), loading(clock, "cus_1"))
        assert view.known(key("cus_1")) is not None


async def test_an_event_forgets_whom_it_is_about_and_no_other(worker_db: Database) -> None:
    clock = FakeClock()
    async with viewing(worker_db, clock) as view:
        keys = [key("cus_1"), key("cus_2"), key("cus_shared"), key("cus_1", OTHER)]
        known = [True, True, True, True]

        async def fill() -> None:
            for one in keys:
                if view.known(one) is None:
                    await view.find(one, loading(clock, one[1], shared=one[1] == "cus_shared"))

        for subject, ordering_key, known in [
            ("usage.reported", "cus_1", [False, True, False, True]),
            ("usage.rated", "cus_1", [True, True, True, True]),
            ("usage.quota.warning", "cus_1", [True, True, True, True]),
            ("usage.quota.exceeded", "cus_1", [True, True, True, True]),
            ("usage.threshold.reached", "cus_1", [True, True, True, True]),
            ("invoice.generated", "cus_1", [True, True, True, True]),
            ("subscription.canceled", "cus_2", [True, False, False, True]),
            ("quota.set", "quo_1", [False, False, False, True]),
            ("feature.removed", "pln_1", [False, False, False, True]),
        ]:
            await fill()
            view.note(TENANT, subject, ordering_key)
            assert [view.known(one) is not None for one in keys] == known, subject


async def test_a_change_while_it_is_loaded_is_not_missed(worker_db: Database) -> None:
    clock = FakeClock()
    async with viewing(worker_db, clock) as view:
        await view.find(key("cus_0"), loading(clock, "cus_0"))
        for subject, ordering_key in [("usage.reported", "cus_1"), ("quota.set", "quo_1")]:
            begun, go = asyncio.Event(), asyncio.Event()

            async def slowly(begun: asyncio.Event = begun, go: asyncio.Event = go) -> Holder:
                begun.set()
                await go.wait()
                return await loading(clock, "cus_1")()

            first = asyncio.create_task(view.find(key("cus_1"), slowly))
            second = asyncio.create_task(view.find(key("cus_1"), slowly))
            await begun.wait()
            view.note(TENANT, subject, ordering_key)
            # Whoever asks now has another answer, which is kept.
            later = await view.find(key("cus_1"), loading(clock, "cus_1"))
            go.set()
            old, same = await first, await second
            assert old is same
            assert old is not later
            assert view.known(key("cus_1")) in (None, later)
            view.note(TENANT, "quota.set", "quo_1")


async def test_it_is_believed_for_so_long_and_no_longer(worker_db: Database) -> None:
    clock = FakeClock()
    async with viewing(worker_db, clock, keep_s=10) as view:
        await view.find(key("cus_1"), loading(clock, "cus_1"))
        clock.advance(seconds=9.9)
        assert view.known(key("cus_1")) is not None
        clock.advance(seconds=0.1)
        assert view.known(key("cus_1")) is None


async def test_a_failure_is_not_kept(worker_db: Database) -> None:
    clock = FakeClock()

    async def fail() -> Holder:
        raise LookupError

    async with viewing(worker_db, clock) as view:
        with pytest.raises(LookupError):
            await view.find(key("cus_1"), fail)
        assert (await view.find(key("cus_1"), loading(clock, "cus_1"))).holder.customer_id == "cus_1"
