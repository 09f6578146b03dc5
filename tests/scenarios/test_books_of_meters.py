"""The books balance for meters of every aggregation, with filters and transforms, billed and late."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2 as pb
from billing.invoice.v1 import invoice_pb2
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc

from corebilling.domains.usage.corrections import CorrectionService
from corebilling.domains.usage.reconciliation import reconcile_usage
from corebilling.mapping import timestamp
from corebilling.values.metering import metered_quantity
from tests.support.billing import Billing, billing

__all__ = ["billing"]

START = datetime(2026, 3, 1, tzinfo=UTC)
MONTH_END = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(hours=1)
NEXT_MONTH_END = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(hours=1)
ROUNDINGS = [
    None,
    pb.MeterTransform(divide_by="7"),
    pb.MeterTransform(divide_by="0.7", block_size="0.3", rounding=pb.QUANTITY_ROUNDING_UP),
    pb.MeterTransform(divide_by="3", block_size="2", rounding=pb.QUANTITY_ROUNDING_DOWN),
    pb.MeterTransform(divide_by="0.2", rounding=pb.QUANTITY_ROUNDING_HALF_UP),
]


async def books(billing: Billing) -> rpc.ReconcileUsageResponse:
    request = rpc.ReconcileUsageRequest(
        start=timestamp(START), end=timestamp(START + timedelta(days=92)), page_size=10
    )
    return await billing.call(reconcile_usage, request)


def conserved(balance: usage_pb2.UsageBalance) -> bool:
    """Accepted = billed + pending + excluded, of records and quantities."""
    records = (
        balance.billed_records
        + balance.pending_records
        + balance.trial_records
        + balance.retracted_records
        + balance.filtered_records
    )
    quantities = (
        balance.billed_quantity,
        balance.pending_quantity,
        balance.trial_quantity,
        balance.retracted_quantity,
        balance.filtered_quantity,
        balance.voided_quantity,
    )
    return balance.accepted_records == records and Decimal(balance.accepted_quantity) == sum(
        map(Decimal, quantities)
    )


async def metered(billing: Billing, aggregation: Any, transform: pb.MeterTransform | None = None) -> str:
    """A subscription to a meter that lets what is in the EU through, with some of both reported."""
    await billing.meter(
        "calls",
        aggregation=aggregation,
        transform=transform,
        filters=[pb.MeterFilter(property="region", values=["eu"])],
        unique_property="user" if aggregation == pb.AGGREGATION_UNIQUE else "",
    )
    price = await billing.price("calls", meter="calls", unit_amount="1")
    subscription = await billing.subscribe(await billing.customer(), price)
    for used, region in (("6", "eu"), ("9.5", "us"), ("2", "eu"), ("1", "us"), ("3", "eu")):
        await billing.use(subscription.id, "calls", used, properties={"region": region, "user": used})
    return subscription.id


@pytest.mark.parametrize("transform", ROUNDINGS)
@pytest.mark.parametrize("aggregation", [number for number in pb.Aggregation.values() if number])
async def test_all_that_was_accepted_is_billed_pending_or_excluded(
    billing: Billing, aggregation: Any, transform: pb.MeterTransform | None
) -> None:
    subscription_id = await metered(billing, aggregation, transform)
    answer = await books(billing)
    (balance,) = answer.balances
    assert answer.balanced
    assert conserved(balance)
    assert (balance.accepted_records, balance.filtered_records, balance.pending_records) == (5, 2, 3)

    await billing.advance(MONTH_END)
    answer = await books(billing)
    (balance,) = answer.balances
    assert answer.balanced
    assert conserved(balance)
    assert (balance.billed_records, balance.pending_records, balance.pending_quantity) == (3, 0, "0")
    (invoice,) = await billing.invoices_of(subscription_id)
    assert balance.billed_quantity == invoice.lines[0].quantity

    for region in ("eu", "us"):
        await billing.use(subscription_id, "calls", "1.5", START, {"region": region, "user": "late"})
    assert (await books(billing)).balanced
    await billing.advance(NEXT_MONTH_END)
    answer = await books(billing)
    (balance,) = answer.balances
    assert answer.balanced
    assert conserved(balance)
    assert (balance.accepted_records, balance.billed_records, balance.filtered_records) == (7, 4, 3)
    assert balance.pending_quantity == "0"


@pytest.mark.parametrize(
    ("aggregation", "accepted", "pending", "filtered"),
    [
        (pb.AGGREGATION_SUM, "21.5", "11", "10.5"),
        (pb.AGGREGATION_COUNT, "5", "3", "2"),
        (pb.AGGREGATION_MAX, "9.5", "6", "3.5"),
        (pb.AGGREGATION_MIN, "1", "2", "-1"),
        (pb.AGGREGATION_AVERAGE, "4.3", "3.666666666667", "0.633333333333"),
    ],
)
async def test_filtered_is_what_the_filters_took_off(
    billing: Billing, aggregation: Any, accepted: str, pending: str, filtered: str
) -> None:
    await metered(billing, aggregation)
    (balance,) = (await books(billing)).balances
    assert (balance.accepted_quantity, balance.pending_quantity, balance.filtered_quantity) == (
        accepted,
        pending,
        filtered,
    )


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM usage_records WHERE quantity = 1",
        "UPDATE usage_records SET filtered = NULL WHERE quantity = 1",
        "UPDATE usage_records SET filtered = true WHERE quantity = 2",
        "UPDATE usage_totals SET filtered_count = 3",
        "UPDATE usage_totals SET filtered_sum = 10.500000000001",
        "UPDATE usage_records SET quantity = 1.5 WHERE quantity = 2",
        "UPDATE usage_totals SET quantity_sum = quantity_sum + 0.1, quantity_min = 1, record_count = 4",
    ],
)
@pytest.mark.parametrize(
    "aggregation",
    [pb.AGGREGATION_SUM, pb.AGGREGATION_MIN, pb.AGGREGATION_AVERAGE, pb.AGGREGATION_LATEST],
)
async def test_a_planted_difference_is_found(billing: Billing, aggregation: Any, damage: str) -> None:
    await metered(billing, aggregation, pb.MeterTransform(divide_by="100", rounding=pb.QUANTITY_ROUNDING_UP))
    assert (await books(billing)).balanced
    await billing.db.admin(damage)
    answer = await books(billing)
    assert not answer.balanced
    (drift,) = answer.drifts
    told = (drift.record_count, drift.quantity, drift.filtered_records, drift.filtered_quantity)
    assert told != (
        drift.counted_record_count,
        drift.counted_quantity,
        drift.counted_filtered_records,
        drift.counted_filtered_quantity,
    )


@pytest.mark.parametrize("aggregation", [number for number in pb.Aggregation.values() if number])
async def test_records_that_filters_leave_out_are_corrected_and_change_no_bill(
    billing: Billing, aggregation: Any
) -> None:
    subscription_id = await metered(billing, aggregation)
    keys = {
        str(row["quantity"]): str(row["key"])
        for row in await billing.db.admin("SELECT quantity, key FROM usage_records")
    }
    corrections = CorrectionService(grace=timedelta(hours=1))
    corrected = await billing.call(
        corrections.correct_usage,
        rpc.CorrectUsageRequest(idempotency_key=keys["9.5"], quantity="11", reason="wrong unit"),
    )
    retracted = await billing.call(
        corrections.retract_usage, rpc.RetractUsageRequest(idempotency_key=keys["1"], reason="counted twice")
    )
    assert (corrected.total.quantity, corrected.total.filtered_count) == (retracted.total.quantity, 2)
    assert (retracted.total.record_count, retracted.total.filtered_count) == (3, 1)
    answer = await books(billing)
    (balance,) = answer.balances
    assert answer.balanced
    assert conserved(balance)
    assert (balance.retracted_records, balance.filtered_records, balance.pending_records) == (1, 1, 3)
    (before,) = await billing.db.admin("SELECT unrated, quantity_sum, filtered_sum FROM usage_totals")
    assert tuple(before) == (True, Decimal(11), Decimal(11))

    await billing.advance(MONTH_END)
    await billing.call(
        corrections.correct_usage,
        rpc.CorrectUsageRequest(idempotency_key=keys["9.5"], quantity="1", reason="wrong unit"),
    )
    await billing.advance(NEXT_MONTH_END)
    lines = [line for invoice in await billing.invoices_of(subscription_id) for line in invoice.lines]
    assert not [line for line in lines if line.type == invoice_pb2.INVOICE_LINE_TYPE_ADJUSTMENT]
    assert (await books(billing)).balanced


async def test_what_filters_leave_out_is_not_the_largest_that_is_left(billing: Billing) -> None:
    await metered(billing, pb.AGGREGATION_MAX)
    ((key,),) = await billing.db.admin("SELECT key FROM usage_records WHERE quantity = 6")
    answer = await billing.call(
        CorrectionService(grace=timedelta(hours=1)).retract_usage,
        rpc.RetractUsageRequest(idempotency_key=str(key), reason="counted twice"),
    )
    assert answer.total.quantity == "3"
    assert (await books(billing)).balanced


@pytest.mark.parametrize("transform", ROUNDINGS)
@pytest.mark.parametrize("aggregation", ["sum", "count", "max", "min", "average", "unique"])
async def test_the_database_reckons_quantities_as_the_program_does(
    billing: Billing, aggregation: str, transform: pb.MeterTransform | None
) -> None:
    await billing.meter("calls", aggregation=pb.AGGREGATION_SUM, transform=transform)
    ((terms,),) = await billing.db.admin("SELECT transform::text FROM meters WHERE code = 'calls'")
    largest = "99999999999999999999.999999999999"
    for count, summed, most, least in (
        (0, "0", "0", "0"),
        (3, "1", "1", "0.000000000001"),
        (7, largest, largest, "0.3"),
        (64, "0.000000000032", "0.1", "0.05"),
        (999_999_937, largest, "2.1", "2.1"),
    ):
        here = metered_quantity(
            aggregation,
            terms and json.loads(terms),
            count=count,
            summed=Decimal(summed),
            largest=Decimal(most),
            smallest=Decimal(least),
        )
        ((there,),) = await billing.db.admin(
            "SELECT metered_quantity($1, $2::text::jsonb, $3::int, $4, $5, $6)",
            aggregation,
            terms,
            count,
            Decimal(summed),
            Decimal(most),
            Decimal(least),
        )
        assert there == here
