"""Each way to price ends in an invoice, whose lines can be worked out again from their evidence alone."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2 as pb
from billing.invoice.v1 import invoice_pb2
from billing.types.v1 import money_pb2

from corebilling.values.money import minor_units
from tests.support.billing import Billing, billing

__all__ = ["billing"]

START = datetime(2026, 3, 1, tzinfo=UTC)
MONTH_END = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(hours=1)
NEXT_MONTH_END = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(hours=1)
THIRD_MONTH_END = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=1)

TIERS = [pb.PriceTier(up_to="100", unit_amount="0.50", flat_amount="3"), pb.PriceTier(unit_amount="0.25")]
BLOCKS = [
    pb.PriceTier(up_to="1000", unit_amount="2.95", block_size="100"),
    pb.PriceTier(unit_amount="5.95", block_size="1000", maximum_amount="20"),
]
SHARES = [
    pb.PriceTier(up_to="1000", unit_amount="1", flat_amount="2"),
    pb.PriceTier(unit_amount="1.5", flat_amount="3"),
]


@pytest.mark.parametrize(
    ("model", "terms", "used", "owed_minor"),
    [
        ("per_unit", {"unit_amount": "0.015", "unit_size": "10"}, "123", 18),
        ("per_unit with units included", {"unit_amount": "0.50", "included_quantity": "100"}, "103.5", 175),
        ("per_unit within what is included", {"unit_amount": "0.50", "included_quantity": "100"}, "99", 0),
        ("per_unit below its minimum", {"unit_amount": "1", "minimum_amount": "49.90"}, "7", 4990),
        ("per_unit above its cap", {"unit_amount": "1", "maximum_amount": "49.90"}, "77", 4990),
        ("graduated", {"tiers": TIERS}, "120", 5800),
        ("graduated, unused", {"tiers": TIERS}, "0", 300),
        ("graduated, unused", {"tiers": TIERS, "no_flat_amount_when_unused": True}, "0", 0),
        ("graduated blocks", {"tiers": BLOCKS}, "1001", 3545),
        ("graduated blocks", {"tiers": BLOCKS}, "9000", 4950),
        ("graduated percentage", {"tiers": SHARES, "unit_size": "100"}, "3000", 4500),
        ("volume", {"tiers": TIERS, "model": pb.PRICE_MODEL_VOLUME}, "100", 5300),
        ("volume", {"tiers": TIERS, "model": pb.PRICE_MODEL_VOLUME}, "120", 3000),
        (
            "package",
            {
                "model": pb.PRICE_MODEL_PACKAGE,
                "unit_amount": "5",
                "unit_size": "20",
                "included_quantity": "10",
            },
            "51",
            1500,
        ),
    ],
)
async def test_metered_usage_ends_in_a_line_that_explains_itself(
    billing: Billing, model: str, terms: dict[str, Any], used: str, owed_minor: int
) -> None:
    price = await billing.price("calls", meter="calls", **terms)
    subscription = await billing.subscribe(await billing.customer(), price)
    if used != "0":
        await billing.use(subscription.id, "calls", used)
    await billing.advance(MONTH_END)
    (invoice,) = await billing.invoices_of(subscription.id)
    (line,) = invoice.lines
    assert (line.amount_minor, line.quantity) == (owed_minor, used)
    assert worked_out_again(line) == line.amount_minor == invoice.total_minor


@pytest.mark.parametrize(
    ("terms", "seats", "owed_minor"),
    [
        ({"model": pb.PRICE_MODEL_FLAT, "unit_amount": "499"}, "27", 49900),
        ({"model": pb.PRICE_MODEL_PER_UNIT, "unit_amount": "499"}, "27", 27 * 49900),
        ({"model": pb.PRICE_MODEL_PER_UNIT, "unit_amount": "99", "included_quantity": "25"}, "27", 19800),
        ({"model": pb.PRICE_MODEL_PACKAGE, "unit_amount": "99", "unit_size": "5"}, "27", 6 * 9900),
        ({"model": pb.PRICE_MODEL_VOLUME, "tiers": TIERS}, "27", 1650),
    ],
)
async def test_seats_end_in_a_line_that_explains_itself(
    billing: Billing, terms: dict[str, Any], seats: str, owed_minor: int
) -> None:
    price = await billing.price("seats", **terms)
    subscription = await billing.subscribe(await billing.customer(), price, quantity=seats)
    await billing.advance(MONTH_END)
    (invoice,) = await billing.invoices_of(subscription.id)
    (line,) = invoice.lines
    assert worked_out_again(line) == line.amount_minor == owed_minor


REGIONS: dict[str, Any] = {
    "model": pb.PRICE_MODEL_MATRIX,
    "dimensions": ["region", "size"],
    "cells": [
        pb.PriceCell(values=["eu", "l"], unit_amount="0.50"),
        pb.PriceCell(values=["eu", "s"], unit_amount="0.20"),
        pb.PriceCell(values=["us", "l"], unit_amount="0.40"),
    ],
    "default_unit_amount": "1",
}


def said(region: str, size: str) -> dict[str, str]:
    return {"region": region, "size": size}


USED: tuple[tuple[str, dict[str, str]], ...] = (
    ("10", said("eu", "l")),
    ("2.5", said("eu", "s")),
    ("6", {"size": "l", "region": "eu", "more": "said"}),
    ("3", said("ap", "l")),
    ("4", {"region": "us"}),
    ("1", {}),
)


async def test_matrix_ends_in_a_line_with_its_cells(billing: Billing) -> None:
    price = await billing.price("calls", meter="calls", **REGIONS)
    subscription = await billing.subscribe(await billing.customer(), price)
    for used, properties in USED:
        await billing.use(subscription.id, "calls", used, properties=properties)
    await billing.advance(MONTH_END)
    (invoice,) = await billing.invoices_of(subscription.id)
    (line,) = invoice.lines
    cells = [
        (dict(cell.properties), cell.quantity, cell.unit_amount, cell.amount, cell.record_count)
        for cell in line.by_record.cells
    ]
    assert sorted(cells, key=str) == sorted(
        [
            (said("eu", "l"), "16", "0.5", "8", 2),
            (said("eu", "s"), "2.5", "0.2", "0.5", 1),
            ({}, "8", "1", "8", 3),
        ],
        key=str,
    )
    assert (line.quantity, line.unit_amount, line.amount_minor) == ("26.5", "", 1650)
    assert worked_out_again(line) == line.amount_minor == invoice.total_minor


async def test_late_records_of_a_matrix_are_charged_in_their_cells(billing: Billing) -> None:
    price = await billing.price("calls", meter="calls", maximum_amount="12", **REGIONS)
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.use(subscription.id, "calls", "10", properties=said("eu", "l"))
    await billing.advance(MONTH_END)
    for used, properties in (("4", said("us", "l")), ("0", said("eu", "s")), ("8", said("ap", "l"))):
        await billing.use(subscription.id, "calls", used, START, properties)
    await billing.advance(NEXT_MONTH_END)
    first, second = await billing.invoices_of(subscription.id)
    current, late = second.lines
    assert [line.amount_minor for line in (*first.lines, current, late)] == [500, 0, 700]
    assert sorted(cell.amount for cell in late.by_record.cells) == ["1.6", "5", "8"]
    assert [(step.kind, step.amount) for step in late.steps] == [
        (money_pb2.CHARGE_STEP_KIND_CAP, "-2.6"),
        (money_pb2.CHARGE_STEP_KIND_BILLED, "-5"),
    ]
    assert (late.quantity, worked_out_again(late)) == ("12", 700)

    # Records that change nothing are no line, and are looked at once.
    await billing.use(subscription.id, "calls", "0", START + timedelta(days=31), said("eu", "s"))
    await billing.advance(THIRD_MONTH_END)
    (line,) = (await billing.invoices_of(subscription.id))[-1].lines
    assert line.amount_minor == 0
    assert not await billing.db.admin("SELECT FROM usage_totals WHERE unrated")


async def test_matrix_of_a_count_meter_counts_records(billing: Billing) -> None:
    await billing.meter("jobs", aggregation=pb.AGGREGATION_COUNT)
    price = await billing.price("jobs", meter="jobs", unit_size="10", **REGIONS)
    subscription = await billing.subscribe(await billing.customer(), price)
    for used, properties in USED:
        await billing.use(subscription.id, "jobs", used, properties=properties)
    await billing.advance(MONTH_END)
    ((line,),) = [invoice.lines for invoice in await billing.invoices_of(subscription.id)]
    assert sorted(cell.amount for cell in line.by_record.cells) == ["0.02", "0.1", "0.3"]
    assert (line.quantity, line.amount_minor, worked_out_again(line)) == ("6", 42, 42)


CARD = pb.PricePercentage(percent="2.9", fixed_amount="0.30")


@pytest.mark.parametrize(
    ("terms", "values", "owed_minor", "free", "paid"),
    [
        (CARD, ["100", "50", "0.99"], 528, (0, "0"), (3, "150.99")),
        (
            pb.PricePercentage(percent="1", free_transactions=2),
            ["100", "50", "10"],
            10,
            (2, "150"),
            (1, "10"),
        ),
        (
            pb.PricePercentage(percent="10", free_amount="120"),
            ["100", "50", "10"],
            400,
            (1, "120"),
            (2, "40"),
        ),
        (
            pb.PricePercentage(
                percent="10", fixed_amount="1", minimum_amount="3", maximum_amount="5", free_transactions=1
            ),
            ["1000", "10", "30", "500"],
            300 + 400 + 500,
            (1, "1000"),
            (3, "540"),
        ),
        (pb.PricePercentage(percent="0", fixed_amount="0.05"), ["0", "0"], 10, (0, "0"), (2, "0")),
        (pb.PricePercentage(percent="5"), [], 0, (0, "0"), (0, "0")),
    ],
)
async def test_percentage_ends_in_a_line_that_explains_itself(
    billing: Billing,
    terms: pb.PricePercentage,
    values: list[str],
    owed_minor: int,
    free: tuple[int, str],
    paid: tuple[int, str],
) -> None:
    price = await billing.price(
        "payments", meter="payments", model=pb.PRICE_MODEL_PERCENTAGE, percentage=terms
    )
    subscription = await billing.subscribe(await billing.customer(), price)
    for value in values:
        await billing.use(subscription.id, "payments", value)
        billing.clock.advance(seconds=1)
    await billing.advance(MONTH_END)
    ((line,),) = [invoice.lines for invoice in await billing.invoices_of(subscription.id)]
    charged = line.by_record.transactions
    if values:
        assert (charged.free_transactions, charged.free_amount) == free
        assert (charged.paid_transactions, charged.paid_amount) == paid
    assert line.amount_minor == owed_minor == worked_out_again(line)


async def test_late_transaction_takes_the_place_of_its_time_in_what_is_free(billing: Billing) -> None:
    price = await billing.price(
        "payments",
        meter="payments",
        model=pb.PRICE_MODEL_PERCENTAGE,
        percentage=pb.PricePercentage(percent="10", free_transactions=1),
        minimum_amount="2",
    )
    subscription = await billing.subscribe(await billing.customer(), price, trial_days=1)
    await billing.use(subscription.id, "payments", "777")
    await billing.advance(START + timedelta(days=10))
    await billing.use(subscription.id, "payments", "100")
    await billing.use(subscription.id, "payments", "40", START + timedelta(days=9))
    await billing.advance(MONTH_END + timedelta(days=1))
    # The first one in April, by its time, is free; the trial's are too.
    first = (await billing.invoices_of(subscription.id))[-1]
    assert [line.amount_minor for line in first.lines] == [1000]
    await billing.use(subscription.id, "payments", "5", START + timedelta(days=8))
    await billing.advance(NEXT_MONTH_END + timedelta(days=1))
    current, late = (await billing.invoices_of(subscription.id))[-1].lines
    assert (current.amount_minor, worked_out_again(current)) == (200, 200)
    assert (late.quantity, late.amount_minor, worked_out_again(late)) == ("5", 400, 400)


async def test_prices_that_look_at_records_change_in_the_middle_of_a_period(billing: Billing) -> None:
    matrix = await billing.price("calls", meter="calls", **REGIONS)
    percentage = await billing.price(
        "calls", meter="calls", model=pb.PRICE_MODEL_PERCENTAGE, percentage=pb.PricePercentage(percent="50")
    )
    subscription = await billing.subscribe(await billing.customer(), matrix)
    await billing.use(subscription.id, "calls", "10", properties=said("eu", "l"))
    await billing.advance(START + timedelta(days=10))
    await billing.change(subscription.id, percentage)
    await billing.use(subscription.id, "calls", "8", properties=said("eu", "l"))
    await billing.use(subscription.id, "calls", "2", START, said("eu", "l"))
    await billing.advance(MONTH_END)
    ((first, second),) = [invoice.lines for invoice in await billing.invoices_of(subscription.id)]
    assert [first.amount_minor, second.amount_minor] == [600, 400]
    assert [worked_out_again(first), worked_out_again(second)] == [600, 400]


def worked_out_again(line: invoice_pb2.InvoiceLine) -> int:
    """What the line comes to, from what it shows."""
    tiers = [
        Fraction(tier.unit_amount) * Fraction(tier.units) + Fraction(tier.flat_amount) for tier in line.tiers
    ]
    for amount, tier in zip(tiers, line.tiers, strict=True):
        assert amount >= Fraction(tier.amount)
    amounts = [Fraction(tier.amount) for tier in line.tiers]
    if line.unit_amount and not line.tiers:
        amounts = [Fraction(line.unit_amount) * Fraction(line.quantity) / Fraction(line.unit_size)]
    if line.HasField("by_record"):
        amounts = [
            Fraction(cell.unit_amount) * Fraction(cell.quantity) / Fraction(line.unit_size)
            for cell in line.by_record.cells
        ]
        if line.by_record.HasField("transactions"):
            amounts = [worked_out_transactions(line.by_record.transactions)]
    steps = [Fraction(step.amount) for step in line.steps]
    return minor_units(sum(amounts + steps, Fraction(0)), "USD")


def worked_out_transactions(charged: money_pb2.TransactionCharge) -> Fraction:
    share = Fraction(charged.percent) / 100 * Fraction(charged.paid_amount)
    fixed = Fraction(charged.fixed_amount) * charged.paid_transactions
    assert [share, fixed] == [Fraction(charged.rate_amount), Fraction(charged.fixed_total)]
    return share + fixed + Fraction(charged.floor_amount) + Fraction(charged.ceiling_amount)
