"""Each way to price ends in an invoice, whose lines can be worked out again from their evidence alone."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2 as pb
from billing.invoice.v1 import invoice_pb2

from corebilling.values.money import minor_units
from tests.support.billing import Billing, billing

__all__ = ["billing"]

MONTH_END = datetime(2026, 4, 1, tzinfo=UTC) + timedelta(hours=1)

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
    steps = [Fraction(step.amount) for step in line.steps]
    return minor_units(sum(amounts + steps, Fraction(0)), "USD")
