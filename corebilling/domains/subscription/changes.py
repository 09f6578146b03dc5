"""Changes of what a subscription is made of, carried out: at once, when they fall due, or by a pause."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from billing.subscription.v1 import subscription_events_pb2 as events
from billing.subscription.v1 import subscription_pb2 as pb
from billing_db import subscription as subscription_sql
from billing_db.models import BillingCycle, Subscription, SubscriptionChange
from google.protobuf.message import Message

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.subscription import commitments, cycles, items, rows
from corebilling.domains.subscription.change_model import (
    ChangeMoment,
    HeldItem,
    ItemChange,
    ProrationBehavior,
    check_change_limit,
    decide_fee_change,
    decide_item_change,
)
from corebilling.domains.subscription.item_model import WantedItem
from corebilling.errors import FailedPrecondition
from corebilling.mapping import decimal_text, timestamp, to_message
from corebilling.values.ids import new_id
from corebilling.values.period import ALWAYS, Period
from corebilling.values.proration import Grain


async def held_items(tx: Transaction, subscription_id: str) -> list[HeldItem]:
    """What the subscription is made of now, or was when it was paused."""
    found = await subscription_sql.list_subscription_items(
        tx, tenant_id=tx.tenant_id, subscription_ids=[subscription_id]
    )
    return [HeldItem(row.id, row.price_id, row.quantity, row.billed_from, row.one_time) for row in found]


async def last_change(tx: Transaction, subscription: Subscription, cycle: BillingCycle | None) -> datetime:
    """When the subscription's items last changed in the current full period; the beginning of time if not.

    Raises:
        ResourceExhausted: SUBSCRIPTION_CHANGE_LIMIT_REACHED when they changed too often in it, or the
            commitment did.
    """
    if cycle is None:
        return ALWAYS.start
    found = await subscription_sql.get_item_changes(
        tx, tenant_id=tx.tenant_id, subscription_id=subscription.id, since=cycle.full_period_start
    )
    begun = max(found.begun, commitments.begun(subscription, cycle.full_period_start))
    check_change_limit(begun, cycle.full_period_end)
    return found.changed_at


async def record(
    tx: Transaction,
    subscription: Subscription,
    moment: ChangeMoment,
    wanted: Sequence[WantedItem],
    *,
    plan_id: str,
    behavior: ProrationBehavior,
    minimum_commitment_minor: int | None,
) -> SubscriptionChange:
    """Writes the change down. One that is to come replaces the one that was."""
    if moment.scheduled:
        await withdraw(tx, subscription)
        subscription.next_change_at = moment.at
    return await subscription_sql.insert_subscription_change(
        tx,
        tenant_id=tx.tenant_id,
        id=new_id("sch"),
        subscription_id=subscription.id,
        state="scheduled" if moment.scheduled else "applied",
        effective_at=moment.at,
        plan_id=plan_id or None,
        items=[
            {
                "price_id": item.price_id,
                "quantity": "" if item.quantity is None else decimal_text(item.quantity),
                "one_time": item.one_time,
            }
            for item in wanted
        ],
        proration_behavior=behavior,
        minimum_commitment_minor=minimum_commitment_minor,
        created_at=tx.now,
    )


async def withdraw(tx: Transaction, subscription: Subscription) -> None:
    """The change that waits is not made, if there is one."""
    await _mark_scheduled(tx, subscription, "canceled")


async def carry_out_scheduled(
    tx: Transaction, subscription: Subscription, cycle: BillingCycle
) -> list[Message]:
    """Makes the change that has fallen due, within the cycle's period or at its end; what it announces."""
    change = await subscription_sql.find_scheduled_change(
        tx, tenant_id=tx.tenant_id, subscription_id=subscription.id
    )
    assert change is not None, "the subscription says that one is due"
    await _mark_scheduled(tx, subscription, "applied")
    announced = await carry_out(tx, subscription, cycle, change)
    return announced or [rows.updated(subscription, "next_change_at")]


async def carry_out(
    tx: Transaction, subscription: Subscription, cycle: BillingCycle, change: SubscriptionChange
) -> list[Message]:
    """Replaces items from the change's moment on, within the cycle's period or at its end; what it announces.

    Where the items are those wanted already, nothing is done but to note their plan and commitment, if they
    are others. The running cycle is left due again for what comes next. The subscription's row is left to be
    written.
    """
    held = await held_items(tx, subscription.id)
    wanted = [
        WantedItem(
            item["price_id"], Decimal(item["quantity"]) if item["quantity"] else None, item["one_time"]
        )
        for item in change.items
    ]
    decided = decide_item_change(held, wanted)
    behavior = ProrationBehavior(change.proration_behavior)
    period = Period(cycle.period_start, cycle.period_end)
    renamed = _take_plan(subscription, change, decided)
    renamed += commitments.change(
        subscription, change.minimum_commitment_minor, behavior, at=change.effective_at, period=period
    )
    if decided.changes_nothing:
        await cycles.await_change(tx, subscription, cycle)
        return [rows.updated(subscription, *renamed)] if renamed else []
    fees = decide_fee_change(
        behavior,
        at=change.effective_at,
        period=period,
        change=decided,
        billed_in_parts=not cycle.trial and (await tenant_profile(tx)).proration_grain is not Grain.NONE,
    )
    if fees.invoice_now:
        await cycles.split(tx, subscription, cycle, change.effective_at)
    elif change.effective_at < cycle.period_end:
        await cycles.await_change(tx, subscription, cycle)
    await subscription_sql.mark_item_positions(
        tx, tenant_id=tx.tenant_id, ids=list(decided.kept), positions=list(decided.kept.values())
    )
    await end_items(tx, [item.id for item in decided.ended], change.effective_at, billed_until=fees.until)
    await items.insert(
        tx,
        subscription.id,
        decided.added,
        starts_at=change.effective_at,
        billed_from=fees.begins,
        places=decided.places,
    )
    return [
        rows.updated(subscription, "items", *renamed),
        events.SubscriptionPriceUpdated(
            subscription_id=subscription.id,
            change_id=change.id,
            effective_at=timestamp(change.effective_at),
            old_price_ids=[item.price_id for item in decided.ended],
            new_price_ids=[item.price_id for item in decided.added],
            plan_id=change.plan_id or "",
        ),
    ]


async def end_items(
    tx: Transaction, ids: Sequence[str], ends_at: datetime, *, billed_until: datetime, paused: bool = False
) -> None:
    await subscription_sql.end_subscription_items(
        tx, tenant_id=tx.tenant_id, ids=ids, ends_at=ends_at, billed_until=billed_until, paused=paused
    )
    await subscription_sql.end_usage_totals(tx, tenant_id=tx.tenant_id, ids=ids, ends_at=ends_at)


async def stop(tx: Transaction, subscription: Subscription, at: datetime) -> None:
    """Ends all items that recur and their fees, and withdraws what was scheduled.

    Raises:
        ResourceExhausted: SUBSCRIPTION_CHANGE_LIMIT_REACHED: resuming is a change, and must be possible.
    """
    cycle = await cycles.running(tx, subscription.id)
    assert cycle is not None, "an active subscription is in a period"
    await last_change(tx, subscription, cycle)
    await withdraw(tx, subscription)
    held = [item.id for item in await held_items(tx, subscription.id) if not item.one_time]
    await end_items(tx, held, at, billed_until=at, paused=True)
    commitments.pause(subscription, at)
    await subscription_sql.end_subscription_fees(
        tx, tenant_id=tx.tenant_id, subscription_id=subscription.id, billed_until=at
    )
    await cycles.await_change(tx, subscription, cycle)


async def start_again(tx: Transaction, subscription: Subscription, at: datetime) -> None:
    """Adds the items that the pause ended anew."""
    held = dict(enumerate(await held_items(tx, subscription.id), start=1))
    wanted = {
        place: WantedItem(item.price_id, item.quantity) for place, item in held.items() if not item.one_time
    }
    await subscription_sql.mark_subscription_resumed(
        tx, tenant_id=tx.tenant_id, subscription_id=subscription.id
    )
    await items.insert(
        tx,
        subscription.id,
        list(wanted.values()),
        starts_at=at,
        billed_from=[at for _ in wanted],
        places=list(wanted),
    )
    commitments.go_on(subscription, at)


async def check_unused(tx: Transaction, ids: Sequence[str], since: datetime) -> None:
    """Refuses to end items back then if they were used since: their records would be another item's.

    Raises:
        FailedPrecondition: SUBSCRIPTION_CHANGE_USED.
    """
    if await subscription_sql.has_usage_since(tx, tenant_id=tx.tenant_id, ids=ids, since=since):
        raise FailedPrecondition(
            "SUBSCRIPTION_CHANGE_USED",
            "Usage was reported since then for an item that would end; let the change take effect now.",
            {"effective_at": since.isoformat()},
        )


def message(change: SubscriptionChange) -> pb.SubscriptionChange:
    return to_message(change, pb.SubscriptionChange)


def _take_plan(subscription: Subscription, change: SubscriptionChange, decided: ItemChange) -> list[str]:
    """Notes the plan that the items are from now, other ones maybe none; which field that changes."""
    before = subscription.plan_id
    subscription.plan_id = change.plan_id or (before if decided.changes_nothing else None)
    return [] if subscription.plan_id == before else ["plan_id"]


async def _mark_scheduled(tx: Transaction, subscription: Subscription, state: str) -> None:
    if subscription.next_change_at is None:
        return
    subscription.next_change_at = None
    await subscription_sql.mark_scheduled_change(
        tx, tenant_id=tx.tenant_id, subscription_id=subscription.id, state=state
    )
