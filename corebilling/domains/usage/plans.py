"""What subscriptions' usage counts for: read once, and remembered from batch to batch.

What is remembered may have changed since. Whoever goes by it compares its version with the subscription's
while the customer is locked, and forgets it when they differ.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

from billing_db import usage as usage_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.usage.placement import SourceKey, UsageItem, UsagePlan
from corebilling.values.aggregation import PropertyFilter
from corebilling.values.metering import most_before
from corebilling.values.period import BillingCalendar

_MAX_ITEMS = 50_000


class UsagePlans:
    """The plans of subscriptions that reported lately, at most so many items of theirs."""

    def __init__(self, max_items: int = _MAX_ITEMS) -> None:
        self._max_items = max_items
        self._plans: OrderedDict[tuple[str, str], UsagePlan] = OrderedDict()
        self._items = 0

    def __len__(self) -> int:
        """How many items are remembered."""
        return self._items

    async def find(
        self, tx: Transaction, subscription_ids: Iterable[str], since: datetime
    ) -> dict[str, UsagePlan]:
        """Of those subscriptions that have any. The transaction has changed nothing yet."""
        found: dict[str, UsagePlan] = {}
        missing = []
        for subscription_id in subscription_ids:
            plan = self._plans.get((tx.tenant_id, subscription_id))
            if plan is None:
                missing.append(subscription_id)
            else:
                self._plans.move_to_end((tx.tenant_id, subscription_id))
                found[subscription_id] = plan
        if missing:
            read = await read_plans(tx, missing, since)
            found |= read
            for plan in read.values():
                self._remember(tx.tenant_id, plan)
        return found

    def forget(self, tenant_id: str, subscription_ids: Iterable[str]) -> None:
        for subscription_id in subscription_ids:
            plan = self._plans.pop((tenant_id, subscription_id), None)
            if plan is not None:
                self._items -= _weight(plan)

    def _remember(self, tenant_id: str, plan: UsagePlan) -> None:
        self.forget(tenant_id, [plan.subscription_id])
        self._plans[tenant_id, plan.subscription_id] = plan
        self._items += _weight(plan)
        while self._items > self._max_items:
            _, oldest = self._plans.popitem(last=False)
            self._items -= _weight(oldest)


async def read_plans(
    tx: Transaction, subscription_ids: Sequence[str], since: datetime
) -> dict[str, UsagePlan]:
    """Of those subscriptions that have metered items, without what ended before `since`: no record of that is
    accepted any more.
    """
    rows = await usage_sql.list_usage_items(
        tx, tenant_id=tx.tenant_id, subscription_ids=subscription_ids, since=since
    )
    by_subscription: dict[str, list[usage_sql.ListUsageItemsRow]] = defaultdict(list)
    for row in rows:
        by_subscription[row.subscription_id].append(row)
    return {name: _plan(own) for name, own in by_subscription.items()}


def _plan(rows: list[usage_sql.ListUsageItemsRow]) -> UsagePlan:
    first = rows[0]
    calendar = BillingCalendar.of(first)
    items: dict[SourceKey, list[UsageItem]] = {}
    for row in rows:
        items.setdefault((row.subscription_id, row.meter_code), []).append(_item(row, calendar))
    return UsagePlan(
        first.subscription_id, first.customer_id, first.subscription_version, first.next_change_at, items
    )


def _item(row: usage_sql.ListUsageItemsRow, calendar: BillingCalendar) -> UsageItem:
    return UsageItem(
        id=row.id,
        meter_code=row.meter_code,
        aggregation=row.aggregation,
        subscription_id=row.subscription_id,
        customer_id=row.customer_id,
        max_quantity=most_before(row.transform, row.max_quantity),
        calendar=calendar,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        filters=[PropertyFilter(one["property"], frozenset(one["values"])) for one in row.filters],
        transform=row.transform,
        by_record=row.by_record,
    )


def _weight(plan: UsagePlan) -> int:
    return sum(map(len, plan.items.values()))
