"""Cycles close once, at their time; a sandbox tenant's clock stops at every boundary."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from billing.schedule.v1 import schedule_pb2, schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.types.v1 import period_pb2

from corebilling.domains.schedule.jobs import Scheduler
from corebilling.mapping import instant, timestamp
from corebilling.values.clock import LATEST
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_price, new_product, subscribe
from tests.support.platform import Platform

JANUARY = datetime(2026, 1, 31, tzinfo=UTC)


@pytest.fixture
async def sandbox(platform: Platform) -> Platform:
    """The platform with a sandbox tenant as the caller."""
    platform.tenant_id, platform.tenant_key = await platform.new_tenant("sandbox", clock_time=JANUARY)
    return platform


async def advance(platform: Platform, to: datetime, request_id: str = "") -> schedule_pb2.TestClock:
    answer = await platform.stub(ScheduleServiceStub).AdvanceTestClock(
        schedule_service_pb2.AdvanceTestClockRequest(
            request_id=request_id or new_id("req"), target_at=timestamp(to)
        )
    )
    return answer.clock


async def clock(platform: Platform) -> schedule_pb2.TestClock:
    stub = platform.stub(ScheduleServiceStub)
    return (await stub.GetTestClock(schedule_service_pb2.GetTestClockRequest())).clock


async def fee(platform: Platform):
    return await new_price(platform, (await new_product(platform)).id, "fee")


async def test_a_test_clock_steps_through_every_boundary_at_its_own_time(sandbox: Platform):
    await subscribe(sandbox, await fee(sandbox))
    moved = await advance(sandbox, datetime(2026, 5, 15, tzinfo=UTC))
    assert not moved.ready
    await sandbox.drain()
    arrived = await clock(sandbox)
    assert arrived.ready
    assert instant(arrived.now) == datetime(2026, 5, 15, tzinfo=UTC)
    rows = await sandbox.rows("SELECT number, finalized_at, period_end FROM invoices ORDER BY number")
    assert [row["number"] for row in rows] == [f"INV-2026-{n:06}" for n in (1, 2, 3)]
    assert [row["period_end"].date().isoformat() for row in rows] == [
        "2026-02-28",
        "2026-03-31",
        "2026-04-30",
    ]
    for row in rows:
        assert row["finalized_at"] == row["period_end"] + timedelta(hours=1)  # the end of its grace
    (event,) = await sandbox.events("test_clock.advanced")
    assert instant(event.now) == datetime(2026, 5, 15, tzinfo=UTC)
    # Its versions are the clock's, not the tenant's.
    tenants = await sandbox.rows("SELECT DISTINCT subject FROM billing_events WHERE resource_id = tenant_id")
    assert [row["subject"] for row in tenants] == ["tenant.created"]


async def test_a_clock_moves_forward_one_journey_at_a_time(sandbox: Platform):
    assert (
        await refused(advance(sandbox, JANUARY - timedelta(days=1)))
    ).reason == "TEST_CLOCK_TARGET_INVALID"
    await advance(sandbox, JANUARY + timedelta(days=1), request_id="go")
    refusal = await refused(advance(sandbox, JANUARY + timedelta(days=2)))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "TEST_CLOCK_ADVANCING")
    await advance(sandbox, JANUARY + timedelta(days=1), request_id="go")  # the same request again


async def test_live_tenants_have_no_test_clock(platform: Platform):
    refusal = await refused(clock(platform))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "TEST_CLOCK_NOT_AVAILABLE")


async def test_many_schedulers_close_each_cycle_once(platform: Platform):
    price = await fee(platform)
    for _ in range(6):
        await subscribe(platform, price)
    platform.clock.advance(days=40)
    one = platform.app.scheduler
    schedulers = [
        one,
        *(Scheduler(one._database, one._schedule, one._dues, platform.clock, 1) for _ in range(5)),
    ]
    for _ in range(4):
        await asyncio.gather(*(scheduler.run_once() for scheduler in schedulers))
    await platform.drain()
    closed = await platform.events("billing.cycle.closed")
    assert len({event.cycle_id for event in closed}) == len(closed) == 6
    assert len(await platform.events("billing.invoice.pending")) == 6
    rows = await platform.rows("SELECT number FROM invoices ORDER BY number")
    assert [row["number"] for row in rows] == [f"INV-2026-{n:06}" for n in range(1, 7)]


async def test_cycles_are_listed_newest_first_with_what_becomes_due(platform: Platform):
    created = await subscribe(platform, await fee(platform))
    await platform.pass_time(days=31)
    answer = await platform.stub(ScheduleServiceStub).ListBillingCycles(
        schedule_service_pb2.ListBillingCyclesRequest(subscription_id=created.id)
    )
    running, ended = answer.cycles
    assert running.state == schedule_pb2.BILLING_CYCLE_STATE_OPEN
    assert running.due_at == running.period.end == running.full_period.end
    assert ended.state == schedule_pb2.BILLING_CYCLE_STATE_GRACE
    assert instant(ended.due_at) == instant(ended.period.end) + timedelta(hours=1)
    _, other_key = await platform.new_tenant("other")
    stub = platform.stub(ScheduleServiceStub, key=other_key)
    request = schedule_service_pb2.ListBillingCyclesRequest(subscription_id=created.id)
    assert not (await stub.ListBillingCycles(request)).cycles


async def failing_cycle(platform: Platform, subscription_id: str) -> None:
    """From now on no step of this subscription's cycles succeeds, whatever the reason may be."""
    await platform.rows(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no step'; END $$"
    )
    await platform.rows(
        "CREATE TRIGGER fail BEFORE UPDATE ON billing_cycles FOR EACH ROW WHEN (NEW.state <> OLD.state "
        f"AND NEW.subscription_id = '{subscription_id}') EXECUTE FUNCTION fail()"
    )


@asynccontextmanager
async def running(platform: Platform) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(platform.app.run())
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_cycle_that_fails_is_set_aside_and_holds_up_nobody(platform: Platform):
    price = await fee(platform)
    broken, sound = await subscribe(platform, price), await subscribe(platform, price)
    await failing_cycle(platform, broken.id)
    await platform.pass_time(days=40)
    rows = await platform.rows("SELECT subscription_id FROM invoices")
    assert [row["subscription_id"] for row in rows] == [sound.id]
    (cycle,) = await platform.rows(
        "SELECT state, failed_attempts FROM billing_cycles WHERE subscription_id = $1", broken.id
    )
    assert (cycle["state"], cycle["failed_attempts"]) == ("open", 1)
    platform.clock.advance(seconds=2)
    assert await platform.app.scheduler.run_once() == 0  # tried again, and set aside for longer
    assert await platform.app.scheduler.run_once() == 0  # not yet due
    (attempts,) = await platform.rows("SELECT max(failed_attempts) AS n FROM billing_cycles")
    assert attempts["n"] == 2

    await platform.rows("DROP TRIGGER fail ON billing_cycles")
    await platform.pass_time(seconds=5)
    rows = await platform.rows("SELECT subscription_id FROM invoices ORDER BY number")
    assert [row["subscription_id"] for row in rows] == [sound.id, broken.id]


async def test_of_cycles_that_are_closed_together_only_the_one_that_fails_is_set_aside(platform: Platform):
    price = await fee(platform)
    subscriptions = [await subscribe(platform, price) for _ in range(3)]
    broken = subscriptions[1]
    until_end = instant(broken.current_period_end) - platform.clock.now()
    await platform.pass_time(seconds=until_end.total_seconds())
    await failing_cycle(platform, broken.id)
    await platform.pass_time(hours=2)
    rows = await platform.rows("SELECT subscription_id FROM invoices")
    assert {row["subscription_id"] for row in rows} == {one.id for one in subscriptions if one is not broken}
    grace = await platform.rows("SELECT subscription_id FROM billing_cycles WHERE failed_attempts = 1")
    assert [row["subscription_id"] for row in grace] == [broken.id]


async def test_a_failing_cycle_of_a_sandbox_holds_its_clock_and_no_other(sandbox: Platform):
    broken = await subscribe(sandbox, await fee(sandbox))
    await failing_cycle(sandbox, broken.id)
    await advance(sandbox, JANUARY + timedelta(days=40))
    other_id, other_key = await sandbox.new_tenant("other", clock_time=JANUARY)
    stub = sandbox.stub(ScheduleServiceStub, key=other_key)
    await stub.AdvanceTestClock(
        schedule_service_pb2.AdvanceTestClockRequest(
            request_id="go", target_at=timestamp(JANUARY + timedelta(days=40))
        )
    )
    await sandbox.drain()
    assert instant((await clock(sandbox)).now) == instant(broken.current_period_end)
    assert (await stub.GetTestClock(schedule_service_pb2.GetTestClockRequest())).clock.ready
    assert other_id
    assert not await sandbox.app.scheduler._moving_tenants()  # It waits, and looks no oftener for it.

    await sandbox.rows("DROP TRIGGER fail ON billing_cycles")
    await sandbox.pass_time(seconds=2)
    assert (await clock(sandbox)).ready


async def test_a_cycle_that_keeps_failing_is_tried_every_five_minutes(platform: Platform):
    broken = await subscribe(platform, await fee(platform))
    await failing_cycle(platform, broken.id)
    await platform.rows("UPDATE billing_cycles SET failed_attempts = 10000")
    await platform.pass_time(days=40)
    (cycle,) = await platform.rows("SELECT failed_attempts, retry_at FROM billing_cycles")
    assert cycle["failed_attempts"] == 10001
    assert cycle["retry_at"] == platform.clock.now() + timedelta(minutes=5)

    await platform.rows("DROP TRIGGER fail ON billing_cycles")
    await platform.pass_time(minutes=5)
    (failed,) = await platform.rows("SELECT sum(failed_attempts) AS n FROM billing_cycles")
    assert failed["n"] == 0  # The next fault of this cycle is its first.


async def test_a_test_clock_that_fails_to_move_is_set_aside_and_holds_up_nobody(sandbox: Platform):
    await sandbox.rows(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no move'; END $$"
    )
    await sandbox.rows(
        "CREATE TRIGGER fail BEFORE UPDATE ON test_clocks FOR EACH ROW WHEN (NEW.now_at <> OLD.now_at "
        f"AND NEW.tenant_id = '{sandbox.tenant_id}') EXECUTE FUNCTION fail()"
    )
    target = JANUARY + timedelta(days=1)
    await advance(sandbox, target)
    broken_key = sandbox.tenant_key
    _, sandbox.tenant_key = await sandbox.new_tenant("other", clock_time=JANUARY)
    await advance(sandbox, target)
    await sandbox.drain()
    assert (await clock(sandbox)).ready
    (row,) = await sandbox.rows("SELECT failed_attempts FROM test_clocks WHERE now_at < target_at")
    assert row["failed_attempts"] == 1

    await sandbox.rows("DROP TRIGGER fail ON test_clocks")
    await sandbox.pass_time(seconds=2)
    sandbox.tenant_key = broken_key
    assert (await clock(sandbox)).ready


async def test_a_canceled_statement_ends_no_loop(platform: Platform):
    """As statement_timeout does it: everything that waits for the cycles is told to stop waiting."""
    async with running(platform) as task:
        holder, killer = [await asyncpg.connect(platform.database.admin_url) for _ in range(2)]
        async with holder.transaction():
            await holder.execute("LOCK TABLE billing_cycles IN ACCESS EXCLUSIVE MODE")
            canceled = 0
            async with asyncio.timeout(30):
                while canceled < 3:
                    canceled += len(
                        await killer.fetch(
                            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity "
                            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
                        )
                    )
                    await asyncio.sleep(0.01)
        assert not task.done(), repr(task.exception())
        await asyncio.gather(holder.close(), killer.close())


@pytest.mark.parametrize("year", [1, 1969, 2201, 9999])
async def test_a_clock_outside_of_business_time_is_refused(platform: Platform, year: int):
    refusal = await refused(platform.new_tenant("box", clock_time=datetime(year, 6, 1, tzinfo=UTC)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "TENANT_CLOCK_INVALID")


async def test_a_clock_stops_at_the_end_of_business_time(platform: Platform):
    begin = datetime(2199, 6, 1, tzinfo=UTC)
    platform.tenant_id, platform.tenant_key = await platform.new_tenant("box", clock_time=begin)
    price = await new_price(
        platform, (await new_product(platform)).id, "fee", interval_unit=period_pb2.INTERVAL_UNIT_YEAR
    )
    await subscribe(platform, price)
    refusal = await refused(advance(platform, LATEST + timedelta(days=1)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "TEST_CLOCK_TARGET_INVALID")
    for never in (datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)):
        refusal = await refused(advance(platform, never))
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "TEST_CLOCK_TARGET_INVALID")
    await advance(platform, LATEST)
    await platform.drain()
    assert (await clock(platform)).ready
