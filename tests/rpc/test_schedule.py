"""Cycles close once, at their time; a sandbox tenant's clock stops at every boundary."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from billing.schedule.v1 import schedule_pb2, schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub

from corebilling.domains.schedule.jobs import Scheduler
from corebilling.mapping import instant, timestamp
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
    schedulers = [one, *(Scheduler(one._database, one._schedule, platform.clock, 1) for _ in range(5))]
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
    platform.clock.advance(days=31)
    await platform.drain()
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
