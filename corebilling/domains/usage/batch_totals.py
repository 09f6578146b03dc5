"""What a batch brought to each period, and what these come to with it."""

from datetime import datetime
from decimal import Decimal

from billing.types.v1 import period_pb2
from billing.usage.v1 import usage_events_pb2 as events
from billing_db import usage as usage_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.usage.model import adds_up, usage_total_id
from corebilling.domains.usage.placement import UsageItem, UsagePeriod
from corebilling.events import outbox
from corebilling.mapping import optional_text, timestamp
from corebilling.values.aggregation import Aggregation
from corebilling.values.metering import metered_quantity


def limited(item: UsageItem, change: usage_sql.InsertUsageRow) -> tuple[Decimal, Decimal]:
    """What the batch brought, and what the period comes to now, by what limits are kept."""
    if item.aggregation == Aggregation.COUNT:
        return Decimal(change.record_count), Decimal(change.total_record_count)
    if adds_up(item.aggregation):
        return change.quantity_sum, change.total_quantity_sum
    return change.quantity_max, change.total_quantity_max


def announce_reported(tx: Transaction, place: UsagePeriod, change: usage_sql.InsertUsageRow) -> None:
    item = place.item
    added, total = _quantities(item, change)
    outbox.append(
        tx,
        events.UsageReported(
            subscription_id=item.subscription_id,
            subscription_item_id=item.id,
            meter_code=item.meter_code,
            period=period_message(place.period.start, place.period.end),
            record_count=change.record_count,
            quantity=optional_text(added),
            total_quantity=optional_text(total),
            first_recorded_at=timestamp(change.first_recorded_at),
            last_recorded_at=timestamp(change.last_recorded_at),
            filtered_count=change.filtered_count,
        ),
        resource_id=usage_total_id(item.id, place.period.start),
        resource_version=change.total_version,
        ordering_key=item.customer_id,
    )


def _quantities(item: UsageItem, change: usage_sql.InsertUsageRow) -> tuple[Decimal | None, Decimal | None]:
    """What the batch brought, and what the period comes to now, as the meter makes it a quantity."""
    return (
        metered_quantity(
            item.aggregation,
            item.transform,
            count=change.record_count,
            summed=change.quantity_sum,
            largest=change.quantity_max,
            smallest=change.quantity_min,
        ),
        metered_quantity(
            item.aggregation,
            item.transform,
            count=change.total_record_count,
            summed=change.total_quantity_sum,
            largest=change.total_quantity_max,
            smallest=change.total_quantity_min,
        ),
    )


def period_message(start: datetime, end: datetime) -> period_pb2.Period:
    return period_pb2.Period(start=timestamp(start), end=timestamp(end))
