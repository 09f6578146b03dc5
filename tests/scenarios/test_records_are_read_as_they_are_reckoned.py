"""What the database makes of many records is what the arithmetic makes of them one by one."""

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from billing.catalog.v1 import catalog_pb2 as pb
from billing.invoice.v1 import invoice_pb2
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as usage_rpc

from corebilling.domains.usage.service import MonthsMissing
from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from corebilling.values.metering import rounded_quantity
from corebilling.values.money import minor_units
from corebilling.values.period import Period
from corebilling.values.price_matrix import Cell, rate_cells
from corebilling.values.price_percentage import Percentage, rate_transactions
from corebilling.values.time_weighted import Change, weighted_levels
from tests.support.billing import Billing, billing, caller

__all__ = ["billing"]

MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
APRIL = Period(MARCH.end, datetime(2026, 5, 1, tzinfo=UTC))
AFTER_GRACE = timedelta(hours=1)

Used = tuple[datetime, Decimal, dict[str, str]]


def some_use(chance: random.Random, period: Period, count: int) -> list[Used]:
    """At different times, in the order of time."""
    microseconds = int(period.seconds * 10**6)
    times = sorted(chance.sample(range(microseconds), count))
    return [
        (
            period.start + timedelta(microseconds=at),
            Decimal(chance.choice([0, 1, 5, 5, chance.randrange(10**6)])) / chance.choice([1, 100, 10**6]),
            {
                name: chance.choice(values)
                for name, values in (("region", "eum"), ("size", "sl"))
                if chance.random() < 0.8
            },
        )
        for at in times
    ]


async def report(billing: Billing, subscription_id: str, meter: str, use: list[Used]) -> None:
    """All in one batch, in no order."""
    records = [
        usage_pb2.UsageRecord(
            idempotency_key=new_id("key"),
            subscription_id=subscription_id,
            meter_code=meter,
            quantity=f"{quantity:f}",
            recorded_at=timestamp(at),
            properties=properties,
        )
        for at, quantity, properties in sorted(use, key=lambda one: one[1])
    ]
    request = usage_rpc.BatchReportUsageRequest(records=records)
    try:
        answer = await billing.call(billing.usage.batch_report_usage, request)
    except MonthsMissing as missing:
        async with billing.pool.transaction(caller()) as tx:
            await billing.usage.make_partitions(tx, missing.months)
        billing.usage.know_partitions(missing.months)
        answer = await billing.call(billing.usage.batch_report_usage, request)
    assert answer.accepted == len(records)


async def last_lines(billing: Billing, subscription_id: str) -> list[invoice_pb2.InvoiceLine]:
    return list((await billing.invoices_of(subscription_id))[-1].lines)


@pytest.mark.parametrize("seed", range(4))
async def test_levels_over_two_periods(billing: Billing, seed: int) -> None:
    chance = random.Random(seed)
    await billing.meter("storage", aggregation=pb.AGGREGATION_TIME_WEIGHTED)
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("storage", meter="storage", unit_amount="1")
    )
    opening, levels = Fraction(0), []
    for period in (MARCH, APRIL):
        use = some_use(chance, period, chance.randrange(1, 40))
        known, late = use[::2], use[1::2]
        await billing.advance(period.end - timedelta(seconds=1))
        await report(billing, subscription.id, "storage", known)
        await billing.advance(period.end + AFTER_GRACE)
        await report(billing, subscription.id, "storage", late)
        held = weighted_levels(opening, [Change(at, level) for at, level, _ in use], period)
        levels.append(rounded_quantity(held.quantity))
        opening = held.closing_level
    await billing.advance(datetime(2026, 6, 1, tzinfo=UTC) + AFTER_GRACE)
    lines = [line for one in await billing.invoices_of(subscription.id) for line in one.lines]
    for period, expected in zip((MARCH, APRIL), levels, strict=True):
        of_period = [line for line in lines if line.period.start == timestamp(period.start)]
        assert sum(Decimal(line.quantity) for line in of_period) == expected
    (june,) = [line for line in lines if line.period.start == timestamp(APRIL.end)]
    assert Fraction(june.quantity) == opening


@pytest.mark.parametrize("seed", range(6))
async def test_transactions(billing: Billing, seed: int) -> None:
    chance = random.Random(seed)
    terms = {
        "percent": str(chance.choice(["2.9", "0.000001", "100"])),
        "fixed_amount": chance.choice(["", "0.30"]),
        "free_amount": chance.choice(["", "0.5", "1000", "700000"]),
        "minimum_amount": chance.choice(["", "0.7"]),
        "maximum_amount": chance.choice(["", "20"]),
    }
    free = chance.choice([0, 1, 7])
    price = await billing.price(
        "payments",
        meter="payments",
        model=pb.PRICE_MODEL_PERCENTAGE,
        percentage=pb.PricePercentage(free_transactions=free, **terms),
    )
    subscription = await billing.subscribe(await billing.customer(), price)
    use = some_use(chance, MARCH, 60)
    await billing.advance(MARCH.end - timedelta(seconds=1))
    await report(billing, subscription.id, "payments", use[::3])
    await billing.advance(MARCH.end + AFTER_GRACE)
    await report(billing, subscription.id, "payments", use[1::3] + use[2::3])
    await billing.advance(APRIL.end + AFTER_GRACE)

    def limit(name: str) -> Decimal | None:
        return Decimal(terms[name]) if terms[name] else None

    expected = rate_transactions(
        Percentage(
            percent=Decimal(terms["percent"]),
            fixed_amount=limit("fixed_amount") or Decimal(0),
            free_transactions=free or None,
            free_value=limit("free_amount"),
            minimum_amount=limit("minimum_amount"),
            maximum_amount=limit("maximum_amount"),
        ),
        [quantity for _, quantity, _ in use],
    )
    (_, late) = await last_lines(billing, subscription.id)
    charged = late.by_record.transactions
    assert Fraction(charged.amount) == expected.amount
    assert (charged.free_transactions, charged.paid_transactions) == (
        expected.free_transactions,
        expected.paid_transactions,
    )
    assert Fraction(charged.free_amount) == expected.free_value
    amounts = await billing.db.admin("SELECT sum(amount) FROM charges WHERE kind IN ('usage', 'adjustment')")
    assert Fraction(amounts[0][0]) == expected.amount


@pytest.mark.parametrize("seed", range(3))
async def test_cells(billing: Billing, seed: int) -> None:
    chance = random.Random(seed)
    cells = [
        ("e", "s", str(chance.randrange(100))),
        ("u", "l", str(chance.randrange(100))),
        ("m", "s", "0.000000000001"),
    ]
    price = await billing.price(
        "calls",
        meter="calls",
        model=pb.PRICE_MODEL_MATRIX,
        dimensions=["region", "size"],
        cells=[pb.PriceCell(values=[region, size], unit_amount=amount) for region, size, amount in cells],
        default_unit_amount="3",
        unit_size="1000",
    )
    subscription = await billing.subscribe(await billing.customer(), price)
    use = some_use(chance, MARCH, 80)
    await billing.advance(MARCH.end - timedelta(seconds=1))
    await report(billing, subscription.id, "calls", use)
    await billing.advance(MARCH.end + AFTER_GRACE)
    named = [Cell((("region", region), ("size", size)), Decimal(amount)) for region, size, amount in cells]
    expected = rate_cells(
        [*named, Cell((), Decimal(3))],
        [(properties, quantity) for _, quantity, properties in use],
        Decimal(1000),
    )
    (line,) = await last_lines(billing, subscription.id)
    assert {
        (tuple(sorted(cell.properties.items())), Fraction(cell.quantity), Fraction(cell.amount))
        for cell in line.by_record.cells
    } == {(tuple(sorted(one.cell.properties)), one.quantity, one.amount) for one in expected}
    assert line.amount_minor == minor_units(sum((one.amount for one in expected), Fraction(0)), "USD")
