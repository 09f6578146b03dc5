"""Use cases of subscriptions, and the steps that the scheduler takes on them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from billing.subscription.v1 import subscription_events_pb2 as events
from billing.subscription.v1 import subscription_pb2 as pb
from billing.subscription.v1 import subscription_service_pb2 as rpc
from billing_db import schedule as schedule_sql
from billing_db import subscription as subscription_sql
from billing_db import usage as usage_sql
from billing_db.models import BillingCycle, Subscription
from google.protobuf.message import Message

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.customer.rows import find_present_customer
from corebilling.domains.schedule.model import CycleState, decide_step
from corebilling.domains.subscription import changes, commitments, cycles, items, rows
from corebilling.domains.subscription.change_model import (
    ProrationBehavior,
    decide_change_moment,
    decide_item_change,
)
from corebilling.domains.subscription.item_model import check_interval, decide_items
from corebilling.domains.subscription.model import (
    Opening,
    StatusChange,
    SubscriptionState,
    apply_lifecycle,
    decide_cancellation,
    decide_opening,
    decide_resumption,
    next_segment,
    running_state,
)
from corebilling.mapping import enum_text, instant
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.period import BillingCalendar, Period, Segment


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
        customer = await find_present_customer(tx, request.customer_id)
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
            billing_day=request.billing_day,
        )
        subscription = await _insert(tx, request, customer.currency, opening)
        made = await items.insert(tx, subscription.id, filled)
        await cycles.open_segment(tx, subscription, opening.segment, sandbox=tenant.sandbox)
        created = events.SubscriptionCreated(
            subscription_id=subscription.id,
            customer_id=subscription.customer_id,
            plan_id=request.plan_id,
            state=rows.state(subscription.state),
            current_period=rows.period(opening.segment.period),
        )
        rows.announce(tx, subscription, created, version=subscription.version)
        return rpc.CreateSubscriptionResponse(subscription=rows.message(subscription, made))

    async def get_subscription(
        self, tx: Transaction, request: rpc.GetSubscriptionRequest
    ) -> rpc.GetSubscriptionResponse:
        return rpc.GetSubscriptionResponse(subscription=await self.read(tx, request.subscription_id))

    async def read(self, tx: Transaction, subscription_id: str) -> pb.Subscription:
        (message,) = await rows.messages(tx, [await rows.find(tx, subscription_id)])
        return message

    async def list_subscriptions(
        self, tx: Transaction, request: rpc.ListSubscriptionsRequest
    ) -> rpc.ListSubscriptionsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        found = await subscription_sql.list_subscriptions(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=request.customer_id,
            state=enum_text(pb.SubscriptionState, request.state) if request.state else "",
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(found, limit, key=lambda row: row.id)
        return rpc.ListSubscriptionsResponse(
            subscriptions=await rows.messages(tx, page), next_page_token=token
        )

    async def change_subscription(
        self, tx: Transaction, request: rpc.ChangeSubscriptionRequest
    ) -> rpc.ChangeSubscriptionResponse:
        subscription, now = await self.find_present(tx, request.subscription_id)
        wanted = await items.wanted(tx, request)
        prices = await items.offered_prices(tx, wanted)
        filled, unit, count = decide_items(wanted, prices, subscription.currency)
        check_interval((subscription.interval_unit, subscription.interval_count), (unit, count))
        cycle = await cycles.running(tx, subscription.id)
        held = await changes.held_items(tx, subscription.id)
        moment = decide_change_moment(
            SubscriptionState(subscription.state),
            at_period_end=request.at_period_end,
            effective_at=instant(request.effective_at) if request.HasField("effective_at") else None,
            period=Period(cycle.period_start, cycle.period_end) if cycle else None,
            invoiced_before=cycle is not None and cycles.is_rest(subscription, cycle),
            last_change_at=await changes.last_change(tx, subscription, cycle),
            ended_at=subscription.ended_at,
            now=now,
        )
        if moment.scheduled:
            await commitments.check_may_replace(tx, subscription)
        change = await changes.record(
            tx,
            subscription,
            moment,
            filled,
            plan_id=request.plan_id,
            behavior=ProrationBehavior(
                enum_text(pb.ProrationBehavior, request.proration_behavior)
                if request.proration_behavior
                else ProrationBehavior.CREATE_PRORATIONS
            ),
            minimum_commitment_minor=request.minimum_commitment_minor
            if request.HasField("minimum_commitment_minor")
            else None,
        )
        assert cycle is not None, "one that can be changed is in a period"
        announced: list[Message]
        if moment.scheduled:
            await cycles.await_change(tx, subscription, cycle)
            announced = [rows.updated(subscription, "next_change_at")]
        else:
            if request.HasField("effective_at") and moment.at < now:
                ended = [item.id for item in decide_item_change(held, filled).ended]
                await changes.check_unused(tx, ended, moment.at)
            announced = await changes.carry_out(tx, subscription, cycle, change)
        saved = await rows.save(tx, subscription, *announced)
        (message,) = await rows.messages(tx, [saved])
        return rpc.ChangeSubscriptionResponse(subscription=message, change=changes.message(change))

    async def set_spend_thresholds(
        self, tx: Transaction, request: rpc.SetSpendThresholdsRequest
    ) -> rpc.SetSpendThresholdsResponse:
        subscription, _ = await self.find_present(tx, request.subscription_id)
        subscription.spend_thresholds = _thresholds(request.spend_thresholds)
        saved = await rows.save(tx, subscription, rows.updated(subscription, "spend_thresholds"))
        (message,) = await rows.messages(tx, [saved])
        return rpc.SetSpendThresholdsResponse(subscription=message)

    async def pause_subscription(
        self, tx: Transaction, request: rpc.PauseSubscriptionRequest
    ) -> rpc.PauseSubscriptionResponse:
        subscription, now = await self.find_present(tx, request.subscription_id)
        change = apply_lifecycle(SubscriptionState(subscription.state), SubscriptionState.PAUSED)
        await changes.stop(tx, subscription, now)
        subscription.state = change.new
        subscription.paused_at = now
        paused = events.SubscriptionPaused(subscription_id=subscription.id)
        saved = await rows.save(tx, subscription, rows.status_changed(subscription, change), paused)
        (message,) = await rows.messages(tx, [saved])
        return rpc.PauseSubscriptionResponse(subscription=message)

    async def resume_subscription(
        self, tx: Transaction, request: rpc.ResumeSubscriptionRequest
    ) -> rpc.ResumeSubscriptionResponse:
        subscription, now = await self.find_present(tx, request.subscription_id)
        change = decide_resumption(SubscriptionState(subscription.state))
        await changes.start_again(tx, subscription, now)
        subscription.state = change.new
        subscription.paused_at = None
        resumed = events.SubscriptionResumed(subscription_id=subscription.id)
        saved = await rows.save(tx, subscription, rows.status_changed(subscription, change), resumed)
        (message,) = await rows.messages(tx, [saved])
        return rpc.ResumeSubscriptionResponse(subscription=message)

    async def cancel_subscription(
        self, tx: Transaction, request: rpc.CancelSubscriptionRequest
    ) -> rpc.CancelSubscriptionResponse:
        subscription, now = await self.find_present(tx, request.subscription_id)
        cancellation = decide_cancellation(
            SubscriptionState(subscription.state),
            at_period_end=request.at_period_end,
            period_end=subscription.current_period_end,
            start_at=subscription.start_at,
            now=now,
        )
        await commitments.check_may_end(tx, subscription, cancellation.ended_at)
        subscription.canceled_at = now
        subscription.ended_at = cancellation.ended_at
        subscription.cancel_at_period_end = cancellation.at_period_end
        if cancellation.before_billing:
            await usage_sql.mark_usage_excluded(
                tx,
                tenant_id=tx.tenant_id,
                subscription_id=subscription.id,
                from_start=cancellation.ended_at,
            )
        if subscription.next_change_at and subscription.next_change_at >= cancellation.ended_at:
            await changes.withdraw(tx, subscription)
        if cancellation.change:
            await cycles.cut(tx, subscription, cancellation.ended_at, grace_s=self._policy.grace_s)
            subscription = await _end(tx, subscription, cancellation.change)
        else:
            updated = rows.updated(subscription, "cancel_at_period_end", "canceled_at", "ended_at")
            subscription = await rows.save(tx, subscription, updated)
        (message,) = await rows.messages(tx, [subscription])
        return rpc.CancelSubscriptionResponse(subscription=message)

    async def pass_boundary(self, tx: Transaction, cycle: BillingCycle) -> None:
        """The time of a scheduled or open cycle has come: its period begins, or ends in the next one's favor.

        The caller holds the customer's lock.
        """
        if cycle.state == CycleState.OPEN and cycle.due_at != cycle.period_end:
            await _change_within(tx, cycle)
            return
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

    async def catch_up(self, tx: Transaction, subscription_id: str, now: datetime) -> None:
        """Passes the boundaries that the scheduler has not come to yet: their periods were served.

        The caller holds the customer's lock.
        """
        while cycle := await schedule_sql.find_running_cycle(
            tx, tenant_id=tx.tenant_id, subscription_id=subscription_id
        ):
            if cycle.due_at is None or cycle.due_at > now:
                return
            await self.pass_boundary(tx, cycle)

    async def find_present(self, tx: Transaction, subscription_id: str) -> tuple[Subscription, datetime]:
        """The subscription, locked, as it is by the tenant's clock: past all boundaries that have come."""
        await tx.lock((await rows.find(tx, subscription_id)).customer_id)
        now = (await tenant_profile(tx)).now
        await self.catch_up(tx, subscription_id, now)
        return await rows.find(tx, subscription_id), now


def _thresholds(wanted: Iterable[pb.SpendThreshold]) -> list[dict[str, int | bool]] | None:
    """As rows keep them; None where there are none."""
    return [{"amount_minor": one.amount_minor, "recurring": one.recurring} for one in wanted] or None


async def _begin(tx: Transaction, cycle: BillingCycle) -> None:
    """The start has come: the first period of a subscription created ahead of it runs."""
    subscription = await rows.find(tx, cycle.subscription_id)
    await _run(tx, subscription, Segment(Period(cycle.period_start, cycle.period_end), cycle.trial))


async def _change_within(tx: Transaction, cycle: BillingCycle) -> None:
    """A scheduled change has fallen due while its period runs."""
    subscription = await rows.find(tx, cycle.subscription_id)
    await rows.save(tx, subscription, *await changes.carry_out_scheduled(tx, subscription, cycle))


async def _renew(tx: Transaction, ended: BillingCycle) -> None:
    """A period has ended: the next one begins, or service ends with it."""
    subscription = await rows.find(tx, ended.subscription_id)
    if subscription.cancel_at_period_end:
        change = apply_lifecycle(SubscriptionState(subscription.state), SubscriptionState.CANCELED)
        await _end(tx, subscription, change)
        return
    changed: list[Message] = []
    if subscription.next_change_at == ended.period_end:
        changed = await changes.carry_out_scheduled(tx, subscription, ended)
    segment = next_segment(BillingCalendar.of(subscription), Period(ended.period_start, ended.period_end))
    await cycles.open_segment(tx, subscription, segment, sandbox=ended.sandbox)
    renewed = events.SubscriptionRenewed(
        subscription_id=subscription.id, current_period=rows.period(segment.period)
    )
    await _run(tx, subscription, segment, renewed, *changed)


async def _run(tx: Transaction, subscription: Subscription, segment: Segment, *announced: Message) -> None:
    """Moves the subscription into the segment, announcing its state too if that changes."""
    old = SubscriptionState(subscription.state)
    new = running_state(segment, paused=old is SubscriptionState.PAUSED)
    subscription.current_period_start = segment.period.start
    subscription.current_period_end = segment.period.end
    subscription.state = new
    changed = [] if old is new else [rows.status_changed(subscription, apply_lifecycle(old, new))]
    await rows.save(tx, subscription, *changed, *announced)


async def _end(tx: Transaction, subscription: Subscription, change: StatusChange) -> Subscription:
    subscription.state = change.new
    canceled = events.SubscriptionCanceled(
        subscription_id=subscription.id, at_period_end=subscription.cancel_at_period_end
    )
    return await rows.save(tx, subscription, rows.status_changed(subscription, change), canceled)


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
        commitments=commitments.first(request.minimum_commitment_minor),
        spend_thresholds=_thresholds(request.spend_thresholds),
        created_at=tx.now,
    )
