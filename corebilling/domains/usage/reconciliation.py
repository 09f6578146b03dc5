"""The books of usage: accepted = billed + pending + excluded, worked out from both ends."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from billing.catalog.v1 import catalog_pb2
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing_db import usage as usage_sql
from billing_db.usage import ListUsageBalancesRow

from corebilling.db.transaction import Transaction
from corebilling.domains.usage.totals import decode_position
from corebilling.errors import InvalidArgument
from corebilling.mapping import decimal_text, enum_number, instant, timestamp
from corebilling.values.money import exact_amount
from corebilling.values.page import next_page, page_limit

MAX_SPAN_DAYS = 92
"""Every page reads the span's raw records once."""

_NOWHEN = datetime(1970, 1, 1, tzinfo=UTC)
"""The period of records that no total knows."""


async def reconcile_usage(tx: Transaction, request: rpc.ReconcileUsageRequest) -> rpc.ReconcileUsageResponse:
    start, end = instant(request.start), instant(request.end)
    if not start < end <= start + timedelta(days=MAX_SPAN_DAYS):
        raise InvalidArgument(
            "USAGE_SPAN_INVALID",
            f"The span ends after it starts, and is at most {MAX_SPAN_DAYS} days long; ask for several.",
            {"limit_days": str(MAX_SPAN_DAYS)},
        )
    limit = page_limit(request.page_size)
    after_start, after_item_id = decode_position(request.page_token)
    rows = await usage_sql.list_usage_balances(
        tx,
        tenant_id=tx.tenant_id,
        start_at=start,
        end_at=end,
        meter_code=request.meter_code,
        after_item_id=after_item_id,
        after_start=after_start,
        limit_rows=limit + 1,
    )
    meters = [row for row in rows if not row.subscription_item_id]
    page, token = next_page(
        [row for row in rows if row.subscription_item_id],
        limit,
        key=lambda row: (row.period_start.isoformat(), row.subscription_item_id),
    )
    return rpc.ReconcileUsageResponse(
        balanced=not any(row.drift_count for row in meters),
        balances=map(_balance, meters),
        drifts=map(_drift, page),
        next_page_token=token,
    )


def _balance(row: ListUsageBalancesRow) -> usage_pb2.UsageBalance:
    return usage_pb2.UsageBalance(
        meter_code=row.meter_code,
        aggregation=enum_number(catalog_pb2.Aggregation, row.aggregation),  # type: ignore[arg-type]
        period_count=row.period_count,
        drift_count=row.drift_count,
        accepted_records=row.accepted_records,
        billed_records=row.record_count - row.trial_records - row.pending_records,
        pending_records=row.pending_records,
        trial_records=row.trial_records,
        retracted_records=row.accepted_records - row.standing_records,
        filtered_records=row.standing_records - row.kept_records,
        accepted_quantity=decimal_text(row.accepted_quantity),
        billed_quantity=decimal_text(row.invoiced_quantity),
        pending_quantity=_less(
            row.quantity, [row.trial_quantity, row.invoiced_quantity, row.voided_quantity]
        ),
        trial_quantity=decimal_text(row.trial_quantity),
        retracted_quantity=_less(row.accepted_quantity, [row.standing_quantity]),
        filtered_quantity=_less(row.standing_quantity, [row.kept_quantity]),
        voided_quantity=decimal_text(row.voided_quantity),
    )


def _drift(row: ListUsageBalancesRow) -> usage_pb2.UsageDrift:
    return usage_pb2.UsageDrift(
        subscription_id=row.subscription_id,
        subscription_item_id=row.subscription_item_id,
        meter_code=row.meter_code,
        period_start=None if row.period_start == _NOWHEN else timestamp(row.period_start),
        record_count=row.kept_records,
        quantity=decimal_text(row.kept_aggregated),
        counted_record_count=row.record_count,
        counted_quantity=decimal_text(row.aggregated),
        billed_quantity=decimal_text(row.billed_quantity),
        invoiced_quantity=decimal_text(
            exact_amount(Fraction(row.invoiced_quantity) + Fraction(row.voided_quantity))
        ),
        filtered_records=row.standing_records - row.kept_records,
        filtered_quantity=decimal_text(row.kept_filtered_sum),
        counted_filtered_records=row.filtered_count,
        counted_filtered_quantity=decimal_text(row.filtered_sum),
    )


def _less(whole: Decimal, parts: Sequence[Decimal]) -> str:
    """Exact, whatever the number of digits."""
    return decimal_text(exact_amount(Fraction(whole) - sum(map(Fraction, parts), Fraction(0))))
