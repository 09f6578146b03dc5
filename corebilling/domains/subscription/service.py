"""Use cases of subscriptions, and the steps that the scheduler takes on them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from billing.subscription.v1 import subscription_events_pb2 as events
from billing.subscription.v1 import subscription_pb2 as pb
from billing.subscription.v1 import subscription_service_pb2 as rpc
from billing.types.v1 import period_pb2
from billing_db import customer as customer_sql
from billing_db import schedule as schedule_sql
from billing_db import subscription as subscription_sql
from billing_db import usage as usage_sql
from billing_db.models import BillingCycle, Subscription, SubscriptionItem
from google.protobuf.message import Message

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.schedule.model import CycleState, decide_step
from corebilling.domains.subscription import items
from corebilling.domains.subscription.model import (
    Opening,
    StatusChange,
    SubscriptionState,
    apply_lifecycle,
    decide_cancellation,
    decide_items,
    decide_opening,
    next_segment,
    running_state,
)
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import enum_number, enum_text, instant, timestamp, to_message
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.period import BillingCalendar, IntervalUnit, Period, Segment


@dataclass(frozen=True, slots=True)
class SubscriptionPolicy:
    """`grace`: how long late usage still enters a period that ended, in seconds."""

    grace_s: int


class SubscriptionService:
    """Creates, reads and ends subscriptions; `pass_boundary` is the scheduler's."""

    def __init__(self, policy: SubscriptionPolicy) -> None:
        self._policy = policy

    async def create_subscription(
        self, tx: Transaction, request: rpc.CreateSubscriptionRequest
    ) -> rpc.CreateSubscriptionResponse:
        tenant = await tenant_profile(tx)
        await tx.lock(request.customer_id)
        customer = await customer_sql.find_customer(tx, tenant_id=tx.tenant_id, id=request.customer_id)
        if customer is None:
            raise NotFound(
                "CUSTOMER_NOT_FOUND", "There is no such customer.", {"customer_id": request.customer_id}
            )
        wanted = await items.wanted(tx, request)
        prices = await items.offered_prices(tx, wanted)
        filled, unit, count = decide_items(wanted, prices, customer.currency)
        opening = decide_opening(
            # From the whole second on: usage that clients stamp with whole seconds is never before it.
            start_at=instant(request.start_at)
            if request.HasField("start_at")
            else tenant.now.replace(microsecond=0),
            trial_days=request.trial_days,
            interval_unit=unit,
            interval_count=count,
            timezone=customer.timezone,
            now=tenant.now,
        )
        subscription = await _insert(tx, request, customer.currency, opening)
        rows = await items.insert(tx, subscription.id, filled)
        await _open_cycle(tx, subscription, opening.segment, sandbox=tenant.sandbox)
        created = events.SubscriptionCreated(
            subscription_id=subscription.id,
            customer_id=subscription.customer_id,
            plan_id=request.plan_id,
            state=_state(subscription.state),
            current_period=_period(opening.segment.period),
        )
        _announce(tx, subscription, created, version=subscription.version)
        return rpc.CreateSubscriptionResponse(subscription=_message(subscription, rows))

    async def get_subscription(
        self, tx: Transaction, request: rpc.GetSubscriptionRequest
    ) -> rpc.GetSubscriptionResponse:
        subscription = await _find(tx, request.subscription_id)
        (message,) = await _messages(tx, [subscription])
        return rpc.GetSubscriptionResponse(subscription=message)

    async def list_subscriptions(
        self, tx: Transaction, request: rpc.ListSubscriptionsRequest
    ) -> rpc.ListSubscriptionsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await subscription_sql.list_subscriptions(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=request.customer_id,
            state=enum_text(pb.SubscriptionState, request.state) if request.state else "",
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListSubscriptionsResponse(subscriptions=await _messages(tx, page), next_page_token=token)

    async def cancel_subscription(
        self, tx: Transaction, request: rpc.CancelSubscriptionRequest
    ) -> rpc.CancelSubscriptionResponse:
        await tx.lock((await _find(tx, request.subscription_id)).customer_id)
        tenant = await tenant_profile(tx)
        await self._catch_up(tx, request.subscription_id, tenant.now)
        subscription = await _find(tx, request.subscription_id)
        cancellation = decide_cancellation(
            SubscriptionState(subscription.state),
            at_period_end=request.at_period_end,
            period_end=subscription.current_period_end,
            start_at=subscription.start_at,
            now=tenant.now,
        )
        subscription.canceled_at = tenant.now
        subscription.ended_at = cancellation.ended_at
        subscription.cancel_at_period_end = cancellation.at_period_end
        if cancellation.before_billing:
            await usage_sql.mark_usage_excluded(
                tx,
                tenant_id=tx.tenant_id,
                subscription_id=subscription.id,
                from_start=cancellation.ended_at,
            )
        if cancellation.change:
            await _cut_cycle(tx, subscription, cancellation.ended_at, self._policy)
            subscription = await _end(tx, subscription, cancellation.change)
        else:
            fields = ["cancel_at_period_end", "canceled_at", "ended_at"]
            updated = events.SubscriptionUpdated(subscription_id=subscription.id, changed_fields=fields)
            subscription = await _save(tx, subscription, updated)
        (message,) = await _messages(tx, [subscription])
        return rpc.CancelSubscriptionResponse(subscription=message)

    async def pass_boundary(self, tx: Transaction, cycle: BillingCycle) -> None:
        """The time of a scheduled or open cycle has come: its period begins, or ends in the next one's favor.

        The caller holds the customer's lock.
        """
        step = decide_step(CycleState(cycle.state), period_end=cycle.period_end, grace_s=self._policy.grace_s)
        if step.state is CycleState.OPEN:
            await _begin(tx, cycle)
        else:
            await _renew(tx, cycle)
        await schedule_sql.mark_billing_cycle(
            tx,
            tenant_id=tx.tenant_id,
            id=cycle.id,
            version=cycle.version,
            new_version=cycle.version + 1,
            state=step.state,
            period_end=cycle.period_end,
            due_at=step.due_at,
            closed_at=None,
        )

    async def _catch_up(self, tx: Transaction, subscription_id: str, now: datetime) -> None:
        """Passes the boundaries that the scheduler has not come to yet: their periods were served."""
        while cycle := await schedule_sql.find_running_cycle(
            tx, tenant_id=tx.tenant_id, subscription_id=subscription_id
        ):
            if cycle.due_at is None or cycle.due_at > now:
                return
            await self.pass_boundary(tx, cycle)


async def _begin(tx: Transaction, cycle: BillingCycle) -> None:
    """The start has come: the first period of a subscription created ahead of it runs."""
    subscription = await _find(tx, cycle.subscription_id)
    await _run(tx, subscription, Segment(Period(cycle.period_start, cycle.period_end), cycle.trial))


async def _renew(tx: Transaction, ended: BillingCycle) -> None:
    """A period has ended: the next one begins, or service ends with it."""
    subscription = await _find(tx, ended.subscription_id)
    if subscription.cancel_at_period_end:
        change = apply_lifecycle(SubscriptionState(subscription.state), SubscriptionState.CANCELED)
        await _end(tx, subscription, change)
        return
    segment = next_segment(_calendar(subscription), Period(ended.period_start, ended.period_end))
    await _open_cycle(tx, subscription, segment, sandbox=ended.sandbox)
    renewed = events.SubscriptionRenewed(
        subscription_id=subscription.id, current_period=_period(segment.period)
    )
    await _run(tx, subscription, segment, renewed)


async def _run(tx: Transaction, subscription: Subscription, segment: Segment, *announced: Message) -> None:
    """Moves the subscription into the segment, announcing its state too if that changes."""
    old, new = SubscriptionState(subscription.state), running_state(segment)
    subscription.current_period_start = segment.period.start
    subscription.current_period_end = segment.period.end
    subscription.state = new
    changed = [] if old is new else [_status_changed(subscription, apply_lifecycle(old, new))]
    await _save(tx, subscription, *changed, *announced)


async def _end(tx: Transaction, subscription: Subscription, change: StatusChange) -> Subscription:
    subscription.state = change.new
    canceled = events.SubscriptionCanceled(
        subscription_id=subscription.id, at_period_end=subscription.cancel_at_period_end
    )
    return await _save(tx, subscription, _status_changed(subscription, change), canceled)


async def _save(tx: Transaction, subscription: Subscription, *announced: Message) -> Subscription:
    """Writes the row and appends its events, each with a version of its own."""
    first = subscription.version + 1
    saved = await subscription_sql.mark_subscription(
        tx,
        tenant_id=tx.tenant_id,
        id=subscription.id,
        version=subscription.version,
        new_version=subscription.version + len(announced),
        state=subscription.state,
        current_period_start=subscription.current_period_start,
        current_period_end=subscription.current_period_end,
        cancel_at_period_end=subscription.cancel_at_period_end,
        canceled_at=subscription.canceled_at,
        ended_at=subscription.ended_at,
    )
    assert saved is not None, "the customer's lock keeps the version"
    for version, payload in enumerate(announced, start=first):
        _announce(tx, saved, payload, version=version)
    return saved


def _announce(tx: Transaction, subscription: Subscription, payload: Message, *, version: int) -> None:
    outbox.append(
        tx,
        payload,
        resource_id=subscription.id,
        resource_version=version,
        ordering_key=subscription.customer_id,
    )


def _status_changed(subscription: Subscription, change: StatusChange) -> events.SubscriptionStatusChanged:
    # `from` is a keyword of Python's.
    states: dict[str, Any] = {"from": _state(change.old), "to": _state(change.new)}
    return events.SubscriptionStatusChanged(subscription_id=subscription.id, **states)


def _state(state: str) -> pb.SubscriptionState:
    return cast("pb.SubscriptionState", enum_number(pb.SubscriptionState, state))


async def _insert(
    tx: Transaction, request: rpc.CreateSubscriptionRequest, currency: str, opening: Opening
) -> Subscription:
    running = opening.state is not SubscriptionState.CREATED
    calendar, period = opening.calendar, opening.segment.period
    return await subscription_sql.insert_subscription(
        tx,
        tenant_id=tx.tenant_id,
        id=new_id("sub"),
        customer_id=request.customer_id,
        plan_id=request.plan_id or None,
        state=opening.state,
        currency=currency,
        interval_unit=calendar.interval_unit,
        interval_count=calendar.interval_count,
        timezone=calendar.timezone,
        anchor_at=calendar.anchor_at,
        start_at=calendar.start_at,
        trial_end_at=calendar.trial_end_at,
        current_period_start=period.start if running else None,
        current_period_end=period.end if running else None,
        created_at=tx.now,
    )


async def _open_cycle(
    tx: Transaction, subscription: Subscription, segment: Segment, *, sandbox: bool
) -> None:
    """Queues the segment with the scheduler, which acts when it starts or ends."""
    scheduled = subscription.state == SubscriptionState.CREATED
    await schedule_sql.insert_billing_cycle(
        tx,
        tenant_id=tx.tenant_id,
        id=new_id("cyc"),
        subscription_id=subscription.id,
        customer_id=subscription.customer_id,
        period_start=segment.period.start,
        period_end=segment.period.end,
        full_period_end=segment.period.end,
        state="scheduled" if scheduled else "open",
        trial=segment.trial,
        sandbox=sandbox,
        due_at=segment.period.start if scheduled else segment.period.end,
    )


async def _cut_cycle(
    tx: Transaction, subscription: Subscription, ended_at: datetime, policy: SubscriptionPolicy
) -> None:
    """Ends the running cycle early: what was used until then is settled after the usual grace."""
    cycle = await schedule_sql.find_running_cycle(tx, tenant_id=tx.tenant_id, subscription_id=subscription.id)
    if cycle is None:
        return
    started = cycle.state == "open"
    await schedule_sql.mark_billing_cycle(
        tx,
        tenant_id=tx.tenant_id,
        id=cycle.id,
        version=cycle.version,
        new_version=cycle.version + 1,
        state="grace" if started else "closed",
        period_end=min(ended_at, cycle.period_end),
        due_at=ended_at + timedelta(seconds=policy.grace_s) if started else None,
        closed_at=None if started else ended_at,
    )


async def _find(tx: Transaction, subscription_id: str) -> Subscription:
    subscription = await subscription_sql.find_subscription(tx, tenant_id=tx.tenant_id, id=subscription_id)
    if subscription is None:
        raise NotFound(
            "SUBSCRIPTION_NOT_FOUND", "There is no such subscription.", {"subscription_id": subscription_id}
        )
    return subscription


def _calendar(subscription: Subscription) -> BillingCalendar:
    return BillingCalendar(
        anchor_at=subscription.anchor_at,
        interval_unit=cast(IntervalUnit, subscription.interval_unit),
        interval_count=subscription.interval_count,
        timezone=subscription.timezone,
        start_at=subscription.start_at,
        trial_end_at=subscription.trial_end_at,
        ended_at=subscription.ended_at,
    )


async def _messages(tx: Transaction, subscriptions: Iterable[Subscription]) -> list[pb.Subscription]:
    subscriptions = list(subscriptions)
    items = await subscription_sql.list_subscription_items(
        tx, tenant_id=tx.tenant_id, subscription_ids=[subscription.id for subscription in subscriptions]
    )
    return [
        _message(subscription, [item for item in items if item.subscription_id == subscription.id])
        for subscription in subscriptions
    ]


def _message(subscription: Subscription, items: Iterable[SubscriptionItem]) -> pb.Subscription:
    return to_message(
        subscription, pb.Subscription, items=[to_message(item, pb.SubscriptionItem) for item in items]
    )


def _period(period: Period) -> period_pb2.Period:
    return period_pb2.Period(start=timestamp(period.start), end=timestamp(period.end))
