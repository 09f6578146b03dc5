"""What usage comes to: totals of periods, and of hours."""

from datetime import UTC, datetime
from decimal import Decimal

from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing_db import usage as usage_sql
from billing_db.models import UsageTotal

from corebilling.db.transaction import Transaction
from corebilling.mapping import instant, optional_text, to_message
from corebilling.values.metering import metered_quantity, quantity_of_total
from corebilling.values.page import decode_page_token, next_page, page_limit, time_of


async def list_usage_totals(
    tx: Transaction, request: rpc.ListUsageTotalsRequest
) -> rpc.ListUsageTotalsResponse:
    limit = page_limit(request.page_size)
    after_start, after_item_id = decode_position(request.page_token)
    rows = await usage_sql.list_usage_totals(
        tx,
        tenant_id=tx.tenant_id,
        subscription_id=request.subscription_id,
        after_start=after_start,
        after_item_id=after_item_id,
        limit_rows=limit + 1,
    )
    page, token = next_page(
        rows, limit, key=lambda row: (row.period_start.isoformat(), row.subscription_item_id)
    )
    return rpc.ListUsageTotalsResponse(totals=map(total_message, page), next_page_token=token)


async def list_usage_buckets(
    tx: Transaction, request: rpc.ListUsageBucketsRequest
) -> rpc.ListUsageBucketsResponse:
    limit = page_limit(request.page_size)
    after_hour, after_item_id = decode_position(request.page_token)
    rows = await usage_sql.list_usage_buckets(
        tx,
        tenant_id=tx.tenant_id,
        subscription_id=request.subscription_id,
        meter_code=request.meter_code,
        start_at=instant(request.start),
        end_at=instant(request.end),
        after_hour=after_hour,
        after_item_id=after_item_id,
        limit_rows=limit + 1,
    )
    page, token = next_page(rows, limit, key=lambda row: (row.hour.isoformat(), row.subscription_item_id))
    return rpc.ListUsageBucketsResponse(buckets=map(_bucket, page), next_page_token=token)


def total_message(row: UsageTotal) -> usage_pb2.UsageTotal:
    """The total, its quantity as the meter aggregates and transforms it."""
    return to_message(row, usage_pb2.UsageTotal, quantity=optional_text(quantity_of_total(row)))


def _bucket(row: usage_sql.ListUsageBucketsRow) -> usage_pb2.UsageBucket:
    quantity = metered_quantity(
        row.aggregation,
        None,
        count=row.record_count,
        summed=row.quantity_sum,
        largest=row.quantity_max,
        smallest=row.quantity_min or Decimal(0),
    )
    return to_message(row, usage_pb2.UsageBucket, quantity=optional_text(quantity))


def decode_position(page_token: str) -> tuple[datetime, str]:
    """Where the last page ended: a time and an item; no token gives an item ''."""
    at, item_id = decode_page_token(page_token, 2)
    return (time_of(at), item_id) if item_id else (datetime(1970, 1, 1, tzinfo=UTC), "")
