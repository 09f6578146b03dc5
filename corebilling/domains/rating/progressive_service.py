"""Progressive billing: usage is invoiced within its period as soon as it comes to a threshold.

A threshold that is reached opens a cycle of its own, of no length, closed at once. It is rated and invoiced
as any other is, and bills the usage so far; the period's own cycle then bills the rest. The cycle is the only
mark of the threshold; its key is why there is one invoice for it.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction

from billing_db import rating as rating_sql
from billing_db import schedule as schedule_sql
from billing_db import subscription as subscription_sql
from billing_db.models import BillingCycle, Subscription

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.rating.service import RatingService
from corebilling.domains.schedule.model import CycleState
from corebilling.domains.schedule.rows import announce, closing_events
from corebilling.values.ids import new_id
from corebilling.values.money import minor_units
from corebilling.values.progressive import Threshold, level_reached

_INSTANT = timedelta(microseconds=1)
_ANY = 1
"""Stands for the threshold until it is known: the cycle is rated as a progressive one."""
_VERSION = 3
"""The cycle is made, closed, and announced to be invoiced."""


class ProgressiveService:
    """Watches what the usage of running periods comes to."""

    def __init__(self, rating: RatingService) -> None:
        self._rating = rating

    async def bill_reached(self, tx: Transaction, subscription_id: str) -> None:
        """Has the usage so far of the running period invoiced, if it came to a threshold that it had not.

        The caller holds the customer's lock.
        """
        running = await schedule_sql.find_running_cycle(
            tx, tenant_id=tx.tenant_id, subscription_id=subscription_id
        )
        subscription = await subscription_sql.find_subscription(
            tx, tenant_id=tx.tenant_id, id=subscription_id
        )
        if subscription is None or running is None or running.trial:
            return
        now = (await tenant_profile(tx)).now
        at = max(now, running.period_start + _INSTANT)
        if at >= running.period_end:  # The period's own invoice is about to come.
            return
        cycle = _progressive(running, at)
        cycle.threshold_minor = await self._newly_reached(tx, subscription, cycle)
        if cycle.threshold_minor:
            await _open(tx, cycle)

    async def _newly_reached(self, tx: Transaction, subscription: Subscription, cycle: BillingCycle) -> int:
        """The highest threshold that the period's usage has come to, and was not billed at; 0: none."""
        charges = (await self._rating.rate(tx, [cycle]))[cycle.id].charges
        if not charges:
            return 0
        billed = await rating_sql.get_billed_usage_amount(
            tx,
            tenant_id=tx.tenant_id,
            subscription_id=subscription.id,
            period_start=cycle.full_period_start,
            period_end=cycle.full_period_end,
        )
        added = sum((Fraction(charge.amount) for charge in charges), Fraction(0))
        spent_minor = minor_units(Fraction(billed) + added, subscription.currency)
        before_minor = await schedule_sql.get_reached_threshold(
            tx,
            tenant_id=tx.tenant_id,
            subscription_id=subscription.id,
            full_period_start=cycle.full_period_start,
        )
        reached_minor = level_reached(_thresholds(subscription), spent_minor)
        return reached_minor if reached_minor > before_minor and added > 0 else 0


def _thresholds(subscription: Subscription) -> list[Threshold]:
    return [Threshold(one["amount_minor"], one["recurring"]) for one in subscription.spend_thresholds or ()]


def _progressive(running: BillingCycle, at: datetime) -> BillingCycle:
    """One of the running cycle's period that bills what was used until then; its threshold is to be found."""
    return replace(
        running,
        id=new_id("cyc"),
        period_start=at,
        period_end=at,
        state=CycleState.CLOSED,
        due_at=None,
        closed_at=at,
        threshold_minor=_ANY,
        version=_VERSION,
    )


async def _open(tx: Transaction, cycle: BillingCycle) -> None:
    made = await schedule_sql.insert_progressive_cycle(
        tx,
        tenant_id=tx.tenant_id,
        id=cycle.id,
        subscription_id=cycle.subscription_id,
        customer_id=cycle.customer_id,
        at=cycle.period_start,
        full_period_start=cycle.full_period_start,
        full_period_end=cycle.full_period_end,
        sandbox=cycle.sandbox,
        threshold_minor=cycle.threshold_minor,
        version=cycle.version,
    )
    if made:
        announce(tx, cycle, closing_events(cycle), first=2)
