"""The billing cycles of a subscription: opened with each period, cut or split when something ends in one."""

from datetime import datetime, timedelta

from billing_db import schedule as schedule_sql
from billing_db.models import BillingCycle, Subscription

from corebilling.db.transaction import Transaction
from corebilling.domains.schedule.model import CycleState
from corebilling.domains.subscription.model import SubscriptionState
from corebilling.values.ids import new_id
from corebilling.values.period import BillingCalendar, Period, Segment


async def running(tx: Transaction, subscription_id: str) -> BillingCycle | None:
    """The cycle whose period runs, or is the first to come."""
    return await schedule_sql.find_running_cycle(tx, tenant_id=tx.tenant_id, subscription_id=subscription_id)


async def open_segment(
    tx: Transaction, subscription: Subscription, segment: Segment, *, sandbox: bool
) -> None:
    """Queues the segment with the scheduler, which acts when it starts or ends, or a change falls due."""
    whole = BillingCalendar.of(subscription).whole(segment)
    await _open(tx, subscription, segment.period, whole, trial=segment.trial, sandbox=sandbox)


def is_rest(subscription: Subscription, cycle: BillingCycle) -> bool:
    """Whether an earlier part of the full period was invoiced; not so where service began within it."""
    return cycle.period_start > max(cycle.full_period_start, BillingCalendar.of(subscription).billed_from)


async def split(tx: Transaction, subscription: Subscription, cycle: BillingCycle, at: datetime) -> None:
    """Ends the running cycle's part of its period at once, and opens another for the rest."""
    await _mark(tx, cycle, state=CycleState.GRACE, period_end=at, due_at=at)
    whole = Period(cycle.full_period_start, cycle.full_period_end)
    rest = Period(at, cycle.period_end)
    await _open(tx, subscription, rest, whole, trial=cycle.trial, sandbox=cycle.sandbox)


async def cut(tx: Transaction, subscription: Subscription, ended_at: datetime, *, grace_s: int) -> None:
    """Ends the running cycle early: what was used until then is settled after the usual grace."""
    cycle = await running(tx, subscription.id)
    if cycle is None:
        return
    started = cycle.state == CycleState.OPEN
    await _mark(
        tx,
        cycle,
        state=CycleState.GRACE if started else CycleState.CLOSED,
        period_end=min(ended_at, cycle.period_end),
        due_at=ended_at + timedelta(seconds=grace_s) if started else None,
        closed_at=None if started else ended_at,
    )


async def await_change(tx: Transaction, subscription: Subscription, cycle: BillingCycle) -> None:
    """Has the scheduler act on the running cycle when the next change falls due, or else its period ends."""
    due_at = _due(subscription, cycle.period_end)
    if due_at == cycle.due_at:
        return
    await _mark(tx, cycle, state=cycle.state, period_end=cycle.period_end, due_at=due_at)


async def _open(
    tx: Transaction, subscription: Subscription, period: Period, whole: Period, *, trial: bool, sandbox: bool
) -> None:
    scheduled = subscription.state == SubscriptionState.CREATED
    await schedule_sql.insert_billing_cycle(
        tx,
        tenant_id=tx.tenant_id,
        id=new_id("cyc"),
        subscription_id=subscription.id,
        customer_id=subscription.customer_id,
        period_start=period.start,
        period_end=period.end,
        full_period_start=whole.start,
        full_period_end=whole.end,
        state=CycleState.SCHEDULED if scheduled else CycleState.OPEN,
        trial=trial,
        sandbox=sandbox,
        due_at=period.start if scheduled else _due(subscription, period.end),
    )


def _due(subscription: Subscription, period_end: datetime) -> datetime:
    return min(subscription.next_change_at or period_end, period_end)


async def _mark(
    tx: Transaction,
    cycle: BillingCycle,
    *,
    state: str,
    period_end: datetime,
    due_at: datetime | None,
    closed_at: datetime | None = None,
) -> None:
    await schedule_sql.mark_billing_cycle(
        tx,
        tenant_id=tx.tenant_id,
        id=cycle.id,
        version=cycle.version,
        new_version=cycle.version + 1,
        state=state,
        period_end=period_end,
        due_at=due_at,
        closed_at=closed_at,
    )
