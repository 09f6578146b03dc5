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

from corebilling.domains.usage.totals import list_usage_totals
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
    return list((await billing.call(list_usage_totals, request)).totals)


async def balance(billing: Billing) -> list[int]:
    """What was accepted, is billed, is to be billed, and never is: the books say that nothing is missing."""
    (accepted,) = await billing.db.admin("SELECT sum(quantity) FROM usage_records")
    (total,) = await billing.db.admin("SELECT quantity_sum, billed_quantity, filtered_sum FROM usage_totals")
    async with billing.pool.transaction(caller()) as tx:
        (books,) = await usage_sql.list_usage_balances(
            tx,
            tenant_id=TENANT,
            meter_code="",
            start_at=START,
            end_at=MONTH_END,
            after_item_id="",
            after_start=START,
            limit_rows=10,
        )
    assert (books.drift_count, books.kept_quantity, books.quantity) == (0, total[0], total[0])
    assert accepted[0] == total[0] + total[2]
    return [int(one) for one in (accepted[0], total[1], total[0] - total[1], total[2])]


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
    assert await balance(billing) == [31, 0, 3, 28]

    (line,) = await lines_at(billing, subscription.id, MONTH_END)
    assert (line.quantity, line.amount_minor) == ("3", 300)
    assert await balance(billing) == [31, 3, 0, 28]


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


async def test_late_usage_that_the_transform_takes_in_closes_nothing_anew(billing: Billing) -> None:
    thousands = pb.MeterTransform(divide_by="1000", rounding=pb.QUANTITY_ROUNDING_UP)
    await billing.meter("bytes", aggregation=pb.AGGREGATION_SUM, transform=thousands)
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("bytes", meter="bytes", unit_amount="1")
    )
    await billing.use(subscription.id, "bytes", "1001")
    await billing.advance(day(5))
    await billing.cancel(subscription.id)
    assert [line.quantity for line in await lines_at(billing, subscription.id, day(20))] == ["2"]
    cycles = await billing.cycles(subscription.id)
    await billing.use(subscription.id, "bytes", "999", START)
    assert await billing.cycles(subscription.id) == cycles
    await billing.use(subscription.id, "bytes", "1", START)
    assert len(await billing.cycles(subscription.id)) == len(cycles) + 1


def day(number: int, month: int = 3) -> datetime:
    return datetime(2026, month, number, tzinfo=UTC)


async def test_unique_counts_different_values_of_a_property_once_a_period(billing: Billing) -> None:
    await billing.meter("users", aggregation=pb.AGGREGATION_UNIQUE, unique_property="user")
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("users", meter="users", unit_amount="5")
    )
    for user in ("ada", "bob", "ada", "", "ada"):
        properties = {"user": user} if user else {"other": "ada"}
        await billing.use(subscription.id, "users", "1", properties=properties)
    (total,) = await totals_of(billing, subscription.id)
    assert (total.quantity, total.record_count) == ("", 5)
    (line,) = await lines_at(billing, subscription.id, MONTH_END)
    assert (line.quantity, line.amount_minor) == ("2", 1000)

    await billing.use(subscription.id, "users", "1", START, {"user": "bob"})
    await billing.use(subscription.id, "users", "1", day(1, 4), {"user": "bob"})
    (line,) = await lines_at(billing, subscription.id, NEXT_MONTH_END)
    assert (line.quantity, line.amount_minor) == ("1", 500)
    for user in ("ada", "cyd"):
        await billing.use(subscription.id, "users", "1", day(1, 4), {"user": user})
    _, late = await lines_at(billing, subscription.id, NEXT_MONTH_END + timedelta(days=31))
    assert (late.type, late.quantity, late.amount_minor) == (ADJUSTMENT, "2", 1000)
    assert {(one.record_count, one.billed_count) for one in await totals_of(billing, subscription.id)} == {
        (6, 6),
        (3, 3),
    }


async def test_unique_respects_filters_and_graduated_tiers(billing: Billing) -> None:
    await billing.meter(
        "users",
        aggregation=pb.AGGREGATION_UNIQUE,
        unique_property="user",
        filters=[pb.MeterFilter(property="plan", values=["paid"])],
    )
    tiers = [pb.PriceTier(up_to="1", unit_amount="10"), pb.PriceTier(unit_amount="1")]
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("users", meter="users", tiers=tiers)
    )
    for user, plan in (("ada", "paid"), ("bob", "free"), ("cyd", "paid"), ("cyd", "free")):
        await billing.use(subscription.id, "users", "1", properties={"user": user, "plan": plan})
    (line,) = await lines_at(billing, subscription.id, MONTH_END)
    assert (line.quantity, line.amount_minor) == ("2", 1100)


async def test_latest_is_the_last_by_its_own_time(billing: Billing) -> None:
    await billing.meter("seats", aggregation=pb.AGGREGATION_LATEST)
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("seats", meter="seats", unit_amount="2")
    )
    await billing.advance(day(20))
    for used, at in (("7", day(10)), ("4", day(15)), ("9", day(3)), ("5", day(15))):
        await billing.use(subscription.id, "seats", used, at)
        billing.clock.advance(seconds=1)
    (line,) = await lines_at(billing, subscription.id, MONTH_END)
    assert (line.quantity, line.amount_minor) == ("5", 1000)

    await billing.use(subscription.id, "seats", "1", day(31))
    current, late = await lines_at(billing, subscription.id, NEXT_MONTH_END)
    assert (current.quantity, current.amount_minor) == ("0", 0)
    assert (late.type, late.quantity, late.amount_minor) == (ADJUSTMENT, "-4", -800)


async def storage(billing: Billing, **terms: Any) -> str:
    """A price of 1 USD for a level of 1 held all month."""
    await billing.meter("storage", aggregation=pb.AGGREGATION_TIME_WEIGHTED, **terms)
    return await billing.price("storage", meter="storage", unit_amount="1")


async def test_level_counts_by_how_long_it_is_held_and_goes_on_in_later_periods(billing: Billing) -> None:
    subscription = await billing.subscribe(await billing.customer(), await storage(billing))
    await billing.advance(day(2, 4))  # April has 30 days.
    (march,) = (await billing.invoices_of(subscription.id))[0].lines
    assert (march.quantity, march.amount_minor) == ("0", 0)
    await billing.advance(day(16, 4))
    await billing.use(subscription.id, "storage", "100")
    (april,) = await lines_at(billing, subscription.id, NEXT_MONTH_END)
    assert (april.quantity, april.amount_minor) == ("50", 5000)

    # Nothing is reported in May, and all is held.
    (may,) = await lines_at(billing, subscription.id, day(1, 6) + timedelta(hours=1))
    assert (may.quantity, may.amount_minor) == ("100", 10000)
    # Neither in June, until half of it is given back.
    await billing.advance(day(16, 6))
    await billing.use(subscription.id, "storage", "40")
    (june,) = await lines_at(billing, subscription.id, day(1, 7) + timedelta(hours=1))
    assert (june.quantity, june.amount_minor) == ("70", 7000)


async def test_late_level_changes_every_period_that_it_was_held_in(billing: Billing) -> None:
    subscription = await billing.subscribe(await billing.customer(), await storage(billing))
    await billing.use(subscription.id, "storage", "100")
    (march,) = await lines_at(billing, subscription.id, MONTH_END)
    assert march.quantity == "100"
    (april,) = await lines_at(billing, subscription.id, NEXT_MONTH_END)
    assert april.quantity == "100"

    # It was less from the middle of April on: known in May.
    await billing.use(subscription.id, "storage", "40", day(16, 4))
    may, late_april = await lines_at(billing, subscription.id, day(1, 6) + timedelta(hours=1))
    assert (may.quantity, may.amount_minor) == ("40", 4000)
    assert (late_april.type, late_april.quantity, late_april.amount_minor) == (ADJUSTMENT, "-30", -3000)

    # And none at all in all of May, which June and the invoice of May had taken for 40.
    await billing.use(subscription.id, "storage", "0", day(1, 5))
    june, late_may = await lines_at(billing, subscription.id, day(1, 7) + timedelta(hours=1))
    assert (june.quantity, late_may.quantity, late_may.amount_minor) == ("0", "-40", -4000)
    (july,) = await lines_at(billing, subscription.id, day(1, 8) + timedelta(hours=1))
    assert july.quantity == "0"
    for total in await totals_of(billing, subscription.id):
        assert total.record_count == total.billed_count


async def test_level_of_a_trial_is_free_and_held_on(billing: Billing) -> None:
    subscription = await billing.subscribe(await billing.customer(), await storage(billing), trial_days=10)
    await billing.use(subscription.id, "storage", "60")
    (line,) = await lines_at(billing, subscription.id, day(11, 4) + timedelta(hours=1))
    assert (line.quantity, line.amount_minor) == ("60", 6000)
    (trial,) = [total for total in await totals_of(billing, subscription.id) if total.excluded]
    assert (trial.record_count, trial.billed_quantity) == (1, "0")


async def test_level_goes_on_when_its_item_is_replaced(billing: Billing) -> None:
    price = await storage(billing)
    dearer = await billing.price("storage", meter="storage", unit_amount="2")
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.advance(day(2, 4))
    await billing.use(subscription.id, "storage", "30")
    await billing.advance(day(16, 4))
    await billing.change(subscription.id, dearer)
    first, second = await lines_at(billing, subscription.id, NEXT_MONTH_END)
    # Of April's 30 days, 14 at the old price and 15 at the new one.
    assert (first.quantity, first.amount_minor) == ("14", 1400)
    assert (second.quantity, second.amount_minor) == ("15", 3000)


async def test_level_is_transformed_filtered_and_stops_with_its_subscription(billing: Billing) -> None:
    price = await storage(
        billing,
        transform=pb.MeterTransform(divide_by="1000", rounding=pb.QUANTITY_ROUNDING_UP),
        filters=[pb.MeterFilter(property="tier", values=["hot"])],
    )
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.advance(day(2, 4))
    await billing.use(subscription.id, "storage", "3100", day(1, 4), {"tier": "hot"})
    await billing.use(subscription.id, "storage", "9000", properties={"tier": "cold"})
    await billing.advance(day(16, 4))
    await billing.cancel(subscription.id)
    (line,) = await lines_at(billing, subscription.id, NEXT_MONTH_END)
    # 3,100 for 15 of 30 days are 1,550, which are two started thousands.
    assert (line.quantity, line.amount_minor) == ("2", 200)
    before = len(await billing.invoices_of(subscription.id))
    await billing.advance(day(1, 7))
    assert len(await billing.invoices_of(subscription.id)) == before
