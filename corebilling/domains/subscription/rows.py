"""Rows of subscriptions: found, written with their events, and shown."""

from collections.abc import Iterable
from typing import Any, cast

from billing.subscription.v1 import subscription_events_pb2 as events
from billing.subscription.v1 import subscription_pb2 as pb
from billing.types.v1 import period_pb2
from billing_db import subscription as subscription_sql
from billing_db.models import Subscription, SubscriptionItem
from google.protobuf.message import Message

from corebilling.db.transaction import Transaction
from corebilling.domains.subscription import commitments
from corebilling.domains.subscription.model import StatusChange
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import enum_number, timestamp, to_message
from corebilling.values.period import Period


async def save(tx: Transaction, subscription: Subscription, *announced: Message) -> Subscription:
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
        paused_at=subscription.paused_at,
        next_change_at=subscription.next_change_at,
        plan_id=subscription.plan_id,
        commitments=subscription.commitments,
        spend_thresholds=subscription.spend_thresholds,
    )
    assert saved is not None, "the customer's lock keeps the version"
    for version, payload in enumerate(announced, start=first):
        announce(tx, saved, payload, version=version)
    return saved


def announce(tx: Transaction, subscription: Subscription, payload: Message, *, version: int) -> None:
    outbox.append(
        tx,
        payload,
        resource_id=subscription.id,
        resource_version=version,
        ordering_key=subscription.customer_id,
    )


def status_changed(subscription: Subscription, change: StatusChange) -> events.SubscriptionStatusChanged:
    # `from` is a keyword of Python's.
    states: dict[str, Any] = {"from": state(change.old), "to": state(change.new)}
    return events.SubscriptionStatusChanged(subscription_id=subscription.id, **states)


def updated(subscription: Subscription, *fields: str) -> events.SubscriptionUpdated:
    return events.SubscriptionUpdated(subscription_id=subscription.id, changed_fields=fields)


def state(state: str) -> pb.SubscriptionState:
    return cast("pb.SubscriptionState", enum_number(pb.SubscriptionState, state))


async def find(tx: Transaction, subscription_id: str) -> Subscription:
    subscription = await subscription_sql.find_subscription(tx, tenant_id=tx.tenant_id, id=subscription_id)
    if subscription is None:
        raise NotFound(
            "SUBSCRIPTION_NOT_FOUND", "There is no such subscription.", {"subscription_id": subscription_id}
        )
    return subscription


async def messages(tx: Transaction, subscriptions: Iterable[Subscription]) -> list[pb.Subscription]:
    subscriptions = list(subscriptions)
    items = await subscription_sql.list_subscription_items(
        tx, tenant_id=tx.tenant_id, subscription_ids=[subscription.id for subscription in subscriptions]
    )
    return [
        message(subscription, [item for item in items if item.subscription_id == subscription.id])
        for subscription in subscriptions
    ]


def message(subscription: Subscription, items: Iterable[SubscriptionItem]) -> pb.Subscription:
    return to_message(
        subscription,
        pb.Subscription,
        items=[to_message(item, pb.SubscriptionItem) for item in items],
        minimum_commitment_minor=commitments.now(subscription),
    )


def period(period: Period) -> period_pb2.Period:
    return period_pb2.Period(start=timestamp(period.start), end=timestamp(period.end))
