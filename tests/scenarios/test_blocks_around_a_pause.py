"""A price's blocks go on when an item gives way to another; a meter's are of each item by itself."""

from datetime import timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import invoice_pb2

from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import new_meter, new_price, new_product, pause, resume, subscribe
from tests.support.invoice import invoices_of
from tests.support.platform import Platform, platform
from tests.support.reporting import use

__all__ = ["platform"]

ADJUSTMENT = invoice_pb2.INVOICE_LINE_TYPE_ADJUSTMENT
STARTED_THOUSANDS = catalog_pb2.MeterTransform(divide_by="1000", rounding=catalog_pb2.QUANTITY_ROUNDING_UP)


@pytest.mark.parametrize(
    ("meter", "price", "used", "late"),
    [
        (
            {},
            {"model": catalog_pb2.PRICE_MODEL_PACKAGE, "unit_size": "1000"},
            [("1500", 200), ("1500", 100)],
            [("400", 100)],
        ),
        (
            {"transform": STARTED_THOUSANDS},
            {"model": catalog_pb2.PRICE_MODEL_PER_UNIT},
            [("2", 200), ("2", 200)],
            [],
        ),
    ],
    ids=["package", "transform"],
)
async def test_usage_before_a_pause_and_after_it_is_counted_in_blocks(
    platform: Platform,
    meter: dict[str, Any],
    price: dict[str, Any],
    used: list[tuple[str, int]],
    late: list[tuple[str, int]],
) -> None:
    product, tokens = await new_product(platform), await new_meter(platform, **meter)
    sold = await new_price(
        platform,
        product.id,
        "tokens",
        usage=catalog_pb2.PRICE_USAGE_METERED,
        meter_id=tokens.id,
        unit_amount="1",
        **price,
    )
    made = await subscribe(platform, sold)
    await platform.pass_time(days=10)
    before = platform.clock.now() - timedelta(hours=1)
    await use(platform, made.id, 1500)
    await pause(platform, made.id)
    await platform.pass_time(days=1)
    await resume(platform, made.id)
    await use(platform, made.id, 1500)
    await platform.pass_time(days=21)
    (invoice,) = await invoices_of(platform, made.id)
    assert [(line.quantity, line.amount_minor) for line in invoice.lines] == used
    assert differences(as_fields(await bundle_of(platform, invoice.id))) == []
    await use(platform, made.id, 400, before)
    await platform.pass_time(days=31)
    invoice = (await invoices_of(platform, made.id))[-1]
    assert [(line.quantity, line.amount_minor) for line in invoice.lines if line.type == ADJUSTMENT] == late
    assert differences(as_fields(await bundle_of(platform, invoice.id))) == []
