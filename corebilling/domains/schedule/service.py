"""Use cases of billing cycles and test clocks."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from billing.schedule.v1 import schedule_events_pb2 as events
from billing.schedule.v1 import schedule_pb2 as pb
from billing.schedule.v1 import schedule_service_pb2 as rpc
from billing_db import inbox as inbox_sql
from billing_db import schedule as schedule_sql
from billing_db.models import BillingCycle, TestClock
from google.protobuf.message import Message

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.schedule.model import check_clock_target
from corebilling.domains.schedule.rows import announce, closing_events
from corebilling.domains.subscription.service import SubscriptionService
from corebilling.errors import FailedPrecondition
from corebilling.events import outbox
from corebilling.mapping import instant, timestamp, to_message
from corebilling.values.page import decode_page_token, next_page, page_limit


class ScheduleService:
    """Moves cycles when they fall due. Subscriptions move along in the same transaction."""

    def __init__(self, subscriptions: SubscriptionService) -> None:
        self._subscriptions = subscriptions

    async def list_billing_cycles(
        self, tx: Transaction, request: rpc.ListBillingCyclesRequest
    ) -> rpc.ListBillingCyclesResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await schedule_sql.list_billing_cycles(
            tx,
            tenant_id=tx.tenant_id,
            subscription_id=request.subscription_id,
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListBillingCyclesResponse(cycles=map(_cycle_message, page), next_page_token=token)

    async def get_test_clock(
        self, tx: Transaction, request: rpc.GetTestClockRequest
    ) -> rpc.GetTestClockResponse:
        return rpc.GetTestClockResponse(clock=await _clock_message(tx, await _clock(tx)))

    async def advance_test_clock(
        self, tx: Transaction, request: rpc.AdvanceTestClockRequest
    ) -> rpc.AdvanceTestClockResponse:
        await tx.lock(_clock_id(tx))
        clock = await _clock(tx)
        wanted = instant(request.target_at)
        check_clock_target(now=clock.now_at, target=clock.target_at, wanted=wanted)
        moved = await schedule_sql.mark_test_clock_target(
            tx, tenant_id=tx.tenant_id, target_at=wanted, version=clock.version
        )
        assert moved is not None, "the lock keeps the version"
        return rpc.AdvanceTestClockResponse(clock=await _clock_message(tx, moved))

    async def step_cycle(self, tx: Transaction, *, customer_id: str, cycle_id: str) -> bool:
        """Takes the next step of a cycle if it is still due; False when another scheduler has taken it."""
        if await self.close_cycles(tx, customer_ids=[customer_id], cycle_ids=[cycle_id]):
            return True
        cycle = await schedule_sql.find_billing_cycle(tx, tenant_id=tx.tenant_id, id=cycle_id)
        now = (await tenant_profile(tx)).now
        if cycle is None or cycle.due_at is None or cycle.due_at > now:
            return False
        await self._subscriptions.pass_boundary(tx, cycle)
        return True

    async def close_cycles(
        self, tx: Transaction, *, customer_ids: Sequence[str], cycle_ids: Sequence[str]
    ) -> int:
        """Closes those of the tenant's cycles whose grace is over, all together; returns how many."""
        await tx.lock(*customer_ids)
        now = (await tenant_profile(tx)).now
        cycles = await schedule_sql.list_cycles_to_close(tx, tenant_id=tx.tenant_id, ids=cycle_ids, now=now)
        if not cycles:
            return 0
        announced = await _closing_events(tx, cycles)
        closed = await schedule_sql.mark_billing_cycles_closed(
            tx,
            tenant_id=tx.tenant_id,
            ids=[cycle.id for cycle in cycles],
            versions=[cycle.version + len(announced[cycle.id]) for cycle in cycles],
            closed_at=now,
        )
        assert closed == len(cycles), "the customers' locks keep the cycles as they are"
        for cycle in cycles:
            announce(tx, cycle, announced[cycle.id], first=cycle.version + 1)
        return closed

    async def move_test_clock(self, tx: Transaction, to: datetime) -> None:
        """Sets the tenant's clock to the next boundary; announces the arrival at its target."""
        await tx.lock(_clock_id(tx))
        clock = await _clock(tx)
        if not clock.now_at < to <= clock.target_at:
            return
        moved = await schedule_sql.mark_test_clock_moved(
            tx, tenant_id=tx.tenant_id, now_at=to, version=clock.version
        )
        assert moved is not None, "the lock keeps the version"
        if moved.now_at == moved.target_at:
            outbox.append(
                tx,
                events.TestClockAdvanced(now=timestamp(moved.now_at)),
                resource_id=_clock_id(tx),
                resource_version=moved.version,
                ordering_key=_clock_id(tx),
            )


def _clock_id(tx: Transaction) -> str:
    """A resource of its own: its versions are not the tenant's."""
    return f"clock:{tx.tenant_id}"


async def _closing_events(tx: Transaction, cycles: Sequence[BillingCycle]) -> dict[str, list[Message]]:
    """What the close of each announces, by the cycle's id."""
    rows = await schedule_sql.list_usage_summaries(
        tx,
        tenant_id=tx.tenant_id,
        subscription_ids=[cycle.subscription_id for cycle in cycles],
        period_starts=[cycle.period_start for cycle in cycles],
        period_ends=[cycle.period_end for cycle in cycles],
    )
    totals: dict[tuple[str, datetime], list[schedule_sql.ListUsageSummariesRow]] = defaultdict(list)
    for row in rows:
        totals[row.subscription_id, row.period_start].append(row)
    return {
        cycle.id: closing_events(cycle, totals[cycle.subscription_id, cycle.period_start]) for cycle in cycles
    }


async def _clock(tx: Transaction) -> TestClock:
    clock = await schedule_sql.find_test_clock(tx, tenant_id=tx.tenant_id)
    if clock is None:
        raise FailedPrecondition(
            "TEST_CLOCK_NOT_AVAILABLE", "Only sandbox tenants have a test clock.", {"tenant_id": tx.tenant_id}
        )
    return clock


async def _clock_message(tx: Transaction, clock: TestClock) -> pb.TestClock:
    return pb.TestClock(
        tenant_id=clock.tenant_id,
        now=timestamp(clock.now_at),
        target_at=timestamp(clock.target_at),
        ready=clock.now_at == clock.target_at and not await _busy(tx, clock),
    )


async def _busy(tx: Transaction, clock: TestClock) -> bool:
    """Something is due, or an event is still on its way to a handler."""
    due = await schedule_sql.find_next_due(tx, tenant_id=tx.tenant_id)
    if due is not None and due <= clock.now_at:
        return True
    return await inbox_sql.get_tenant_pending(tx, tenant_id=tx.tenant_id)


def _cycle_message(cycle: BillingCycle) -> pb.BillingCycle:
    message = to_message(cycle, pb.BillingCycle)
    message.full_period.start.CopyFrom(timestamp(cycle.full_period_start))
    message.full_period.end.CopyFrom(timestamp(cycle.full_period_end))
    return message
