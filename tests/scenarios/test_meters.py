"""What a meter measures ends in an invoice line: aggregated, filtered, transformed, late and in trials."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2 as pb
from billing.invoice.v1 import invoice_pb2
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as usage_rpc
from billing_db import usage as usage_sql

from tests.support.billing import TENANT, Billing, billing, caller

__all__ = ["billing"]

START = datetime(2026, 3, 1, tzinfo=UTC)
MONTH_END = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(hours=1)
NEXT_MONTH_END = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(hours=1)

ADJUSTMENT = invoice_pb2.INVOICE_LINE_TYPE_ADJUSTMENT


async def lines_at(billing: Billing, subscription_id: str, at: datetime) -> list[invoice_pb2.InvoiceLine]:
    """Those of the newest invoice, once the clock is there."""
    await billing.advance(at)
    return list((await billing.invoices_of(subscription_id))[-1].lines)


async def totals_of(billing: Billing, subscription_id: str) -> list[usage_pb2.UsageTotal]:
    """Newest period first."""
    request = usage_rpc.ListUsageTotalsRequest(subscription_id=subscription_id)
    return list((await billing.call(billing.usage.list_usage_totals, request)).totals)


async def balance(billing: Billing) -> usage_sql.ListUsageBalancesRow:
    async with billing.pool.transaction(caller()) as tx:
        (row,) = await usage_sql.list_usage_balances(tx, tenant_id=TENANT)
    assert row.accepted_records == row.counted_records
    assert row.accepted == row.billed + row.pending + row.excluded
    return row


@pytest.mark.parametrize(
    ("aggregation", "quantity", "late_quantity", "added"),
    [
        (pb.AGGREGATION_SUM, "17.5", "19", "1.5"),
        (pb.AGGREGATION_COUNT, "3", "4", "1"),
        (pb.AGGREGATION_MAX, "9.5", "9.5", ""),
        (pb.AGGREGATION_MIN, "2", "1.5", "-0.5"),
        (pb.AGGREGATION_AVERAGE, "5.8333", "4.75", "-1.0833"),
    ],
)
async def test_each_aggregation_is_billed_and_adjusted_by_what_comes_late(
    billing: Billing, aggregation: Any, quantity: str, late_quantity: str, added: str
) -> None:
    await billing.meter("calls", aggregation=aggregation)
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("calls", meter="calls", unit_amount="1")
    )
    for used in ("6", "9.5", "2"):
        await billing.use(subscription.id, "calls", used)
    (line,) = await lines_at(billing, subscription.id, MONTH_END)
    assert shortened(line.quantity) == quantity
    assert line.amount_minor == round(Decimal(line.quantity) * 100)

    await billing.use(subscription.id, "calls", "1.5", START)
    lines = await lines_at(billing, subscription.id, NEXT_MONTH_END)
    late = [line for line in lines if line.type == ADJUSTMENT]
    assert [shortened(line.quantity) for line in late] == ([added] if added else [])
    (total,) = await totals_of(billing, subscription.id)
    assert shortened(total.quantity) == late_quantity
    assert Decimal(total.quantity) == Decimal(total.billed_quantity)
    assert (total.record_count, total.billed_count) == (4, 4)


def shortened(quantity: str) -> str:
    return f"{Decimal(quantity).quantize(Decimal('0.0001')).normalize():f}"


async def test_meter_counts_only_what_its_filters_let_through(billing: Billing) -> None:
    filters = [
        pb.MeterFilter(property="region", values=["eu", "us"]),
        pb.MeterFilter(property="status", values=["ok"]),
    ]
    meter = await billing.meter("calls", aggregation=pb.AGGREGATION_SUM, filters=filters)
    assert list(meter.filters) == filters
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("calls", meter="calls", unit_amount="1")
    )
    for used, properties in (
        ("1", {"region": "eu", "status": "ok"}),
        ("2", {"region": "us", "status": "ok", "more": "said"}),
        ("4", {"region": "ap", "status": "ok"}),
        ("8", {"region": "eu"}),
        ("16", {}),
    ):
        answer = await billing.use(subscription.id, "calls", used, properties=properties)
        assert answer.outcome == usage_pb2.USAGE_OUTCOME_ACCEPTED
    (total,) = await totals_of(billing, subscription.id)
    assert (total.quantity, total.record_count, total.filtered_count) == ("3", 2, 3)
    reported = [payload for _, payload in await billing.events("usage.reported")]
    assert [(one.record_count, one.quantity, one.total_quantity, one.filtered_count) for one in reported] == [
        (1, "1", "1", 0),
        (1, "2", "3", 0),
        (0, "0", "3", 1),
        (0, "0", "3", 1),
        (0, "0", "3", 1),
    ]
    books = await balance(billing)
    assert [books.accepted, books.billed, books.pending, books.excluded] == [31, 0, 3, 28]

    (line,) = await lines_at(billing, subscription.id, MONTH_END)
    assert (line.quantity, line.amount_minor) == ("3", 300)
    books = await balance(billing)
    assert [books.accepted, books.billed, books.pending, books.excluded] == [31, 3, 0, 28]


async def test_only_what_is_left_out_is_nothing_to_bill(billing: Billing) -> None:
    await billing.meter(
        "calls",
        aggregation=pb.AGGREGATION_MIN,
        filters=[pb.MeterFilter(property="region", values=["eu"])],
    )
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("calls", meter="calls", unit_amount="1")
    )
    await billing.use(subscription.id, "calls", "7")
    (line,) = await lines_at(billing, subscription.id, MONTH_END)
    assert (line.quantity, line.amount_minor) == ("0", 0)
    await billing.use(subscription.id, "calls", "5", START, {"region": "eu"})
    await billing.use(subscription.id, "calls", "3", START)
    _, late = await lines_at(billing, subscription.id, NEXT_MONTH_END)
    assert (late.type, late.quantity, late.amount_minor) == (ADJUSTMENT, "5", 500)


@pytest.mark.parametrize(
    ("transform", "quantity", "late"),
    [
        (pb.MeterTransform(divide_by="1000"), "2.001", "0.5"),
        (pb.MeterTransform(divide_by="1000", rounding=pb.QUANTITY_ROUNDING_UP), "3", ""),
        (pb.MeterTransform(divide_by="1000", rounding=pb.QUANTITY_ROUNDING_DOWN), "2", ""),
        (pb.MeterTransform(divide_by="1000", rounding=pb.QUANTITY_ROUNDING_HALF_UP), "2", "1"),
        (pb.MeterTransform(rounding=pb.QUANTITY_ROUNDING_UP, block_size="15"), "2010", "495"),
    ],
)
async def test_transform_is_of_the_periods_quantity(
    billing: Billing, transform: pb.MeterTransform, quantity: str, late: str
) -> None:
    await billing.meter("bytes", aggregation=pb.AGGREGATION_SUM, transform=transform)
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("bytes", meter="bytes", unit_amount="0.01")
    )
    for used in ("1", "1000", "1000"):
        await billing.use(subscription.id, "bytes", used)
    (rated, *_) = reversed([payload for _, payload in await billing.events("usage.reported")])
    assert rated.total_quantity == quantity
    (line,) = await lines_at(billing, subscription.id, MONTH_END)
    assert line.quantity == quantity
    await billing.use(subscription.id, "bytes", "500", START)
    lines = await lines_at(billing, subscription.id, NEXT_MONTH_END)
    assert [line.quantity for line in lines if line.type == ADJUSTMENT] == ([late] if late else [])
