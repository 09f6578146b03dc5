"""What a batch of usage says: its records as columns, and the items that they name."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from billing.usage.v1 import usage_pb2
from billing_db import usage as usage_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.usage.model import Properties, UsageItem, UsageRecords
from corebilling.values.aggregation import PropertyFilter
from corebilling.values.metering import most_before
from corebilling.values.period import BillingCalendar

_MAX_ID_CHARACTERS = 64


def read_records(messages: Sequence[usage_pb2.UsageRecord]) -> UsageRecords:
    """The messages' fields as columns."""
    times = [message.recorded_at for message in messages]
    seconds = [time.seconds for time in times]
    nanos = [time.nanos for time in times]
    untimed: list[int] = []
    if 0 in seconds or min(nanos, default=0) < 0 or max(nanos, default=0) > 999_999_999:
        untimed = [
            index
            for index, message in enumerate(messages)
            if not message.HasField("recorded_at") or not 0 <= nanos[index] <= 999_999_999
        ]
    return UsageRecords(
        keys=[message.idempotency_key for message in messages],
        subscription_ids=[message.subscription_id for message in messages],
        meter_codes=[message.meter_code for message in messages],
        quantities=[message.quantity for message in messages],
        recorded_us=[second * 1_000_000 + nano // 1000 for second, nano in zip(seconds, nanos, strict=True)],
        untimed=untimed,
        properties=_properties(messages),
    )


def _properties(messages: Sequence[usage_pb2.UsageRecord]) -> Sequence[Properties | None]:
    maps = [message.properties for message in messages]
    return [dict(one) or None for one in maps] if any(maps) else ()


async def named_items(
    tx: Transaction, records: UsageRecords, since: datetime
) -> dict[tuple[str, str], list[UsageItem]]:
    """The metered items that the records name, by subscription and meter, in the order they began.

    Those that ended before `since` are left out: no record of theirs is accepted any more.
    """
    # Postgres holds no NUL in text, and no id is that long: such a record is refused, not the whole batch.
    ids = [
        name
        for name in set(records.subscription_ids)
        if 0 < len(name) <= _MAX_ID_CHARACTERS and "\0" not in name
    ]
    rows = await usage_sql.list_usage_items(tx, tenant_id=tx.tenant_id, subscription_ids=ids, since=since)
    items: dict[tuple[str, str], list[UsageItem]] = defaultdict(list)
    for row in rows:
        items[row.subscription_id, row.meter_code].append(_item(row))
    return items


def _item(row: usage_sql.ListUsageItemsRow) -> UsageItem:
    return UsageItem(
        id=row.id,
        meter_code=row.meter_code,
        aggregation=row.aggregation,
        subscription_id=row.subscription_id,
        customer_id=row.customer_id,
        subscription_version=row.subscription_version,
        max_quantity=most_before(row.transform, row.max_quantity),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        next_change_at=row.next_change_at,
        filters=[PropertyFilter(one["property"], frozenset(one["values"])) for one in row.filters],
        transform=row.transform,
        by_record=row.by_record,
        calendar=BillingCalendar.of(row),
    )
