"""What a subscription's periods come to at least: kept in its row, and changed along with its items."""

from collections.abc import Callable, Sequence
from datetime import datetime

from billing_db import subscription as subscription_sql
from billing_db.models import Subscription

from corebilling.db.transaction import Transaction
from corebilling.domains.subscription.change_model import ProrationBehavior
from corebilling.errors import FailedPrecondition
from corebilling.values.commitment import (
    Committed,
    Kept,
    commit,
    held,
    interrupt,
    kept,
    read,
    resume,
    standing,
)
from corebilling.values.period import ALWAYS, Period


def first(minimum_minor: int) -> list[Kept] | None:
    """As a new subscription's row keeps it."""
    return kept(commit([], minimum_minor, ALWAYS.start))


def now(subscription: Subscription) -> int:
    return standing(read(subscription.commitments))


async def check_may_end(tx: Transaction, subscription: Subscription, at: datetime) -> None:
    """Whether the caller may end what is committed to from then on: a term of the contract; no consumer may.

    Raises:
        FailedPrecondition: SUBSCRIPTION_COMMITTED.
    """
    if tx.caller.account is not None:
        _refuse_committed(subscription, held(read(subscription.commitments), at))
        await check_may_replace(tx, subscription)


async def check_may_replace(tx: Transaction, subscription: Subscription) -> None:
    """Whether the caller may undo the change that waits, if there is one.

    Raises:
        FailedPrecondition: SUBSCRIPTION_COMMITTED when it commits a consumer to a minimum.
    """
    if tx.caller.account is None or subscription.next_change_at is None:
        return
    change = await subscription_sql.find_scheduled_change(
        tx, tenant_id=tx.tenant_id, subscription_id=subscription.id
    )
    assert change is not None, "the subscription says that one waits"
    _refuse_committed(subscription, change.minimum_commitment_minor or 0)


def _refuse_committed(subscription: Subscription, minimum_minor: int) -> None:
    if minimum_minor:
        raise FailedPrecondition(
            "SUBSCRIPTION_COMMITTED",
            "The subscription has a minimum commitment, which is not yours to end; ask the merchant.",
            {
                "subscription_id": subscription.id,
                "minimum_commitment_minor": str(minimum_minor),
                "currency": subscription.currency,
            },
        )


def begun(subscription: Subscription, since: datetime) -> int:
    """How many have begun since then."""
    return sum(one.span.start >= since for one in read(subscription.commitments))


def change(
    subscription: Subscription,
    minimum_minor: int | None,
    behavior: ProrationBehavior,
    *,
    at: datetime,
    period: Period,
) -> list[str]:
    """Takes the minimum, if there is another; which field that changes. It begins with the change's fees."""
    if minimum_minor is None:
        return []
    put_off = behavior is ProrationBehavior.NONE and period.start < at < period.end
    begins = period.end if put_off else at
    return _change(subscription, lambda spans: commit(spans, minimum_minor, begins))


def pause(subscription: Subscription, at: datetime) -> None:
    _change(subscription, lambda spans: interrupt(spans, at))


def go_on(subscription: Subscription, at: datetime) -> None:
    _change(subscription, lambda spans: resume(spans, at))


def _change(
    subscription: Subscription, changed: Callable[[Sequence[Committed]], Sequence[Committed]]
) -> list[str]:
    before = read(subscription.commitments)
    after = changed(before)
    if after == before:
        return []
    subscription.commitments = kept(after)
    return ["minimum_commitment_minor"]
