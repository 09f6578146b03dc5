"""Invoices with all that an invoice can have, their bundles, and lies told in them."""

import copy
from collections.abc import Callable
from typing import Any

from billing.catalog.v1 import catalog_pb2
from billing.credit.v1 import credit_pb2
from billing.invoice.v1 import bundle_pb2, invoice_pb2
from google.protobuf import json_format

from corebilling.client import Client
from corebilling.commands.invoice_file import export
from corebilling.domains.invoice.verification import verify
from corebilling.mapping import instant
from tests.support import reporting
from tests.support.catalog import change, new_meter, new_price, new_product, subscribe
from tests.support.invoice import invoices_of
from tests.support.money import coupon, credit, customer_in, redeem, tax_rate
from tests.support.platform import Platform
from tests.support.reporting import use_in_turn

TIERS = [
    catalog_pb2.PriceTier(up_to="100", unit_amount="0.5", flat_amount="3"),
    catalog_pb2.PriceTier(unit_amount="0.255"),
]


async def use(platform: Platform, subscription_id: str, meter: str, *quantities: str) -> None:
    """One record a second, from the next one on."""
    platform.clock.advance(seconds=1)
    await use_in_turn(platform, subscription_id, *quantities, meter=meter)


async def month(platform: Platform) -> None:
    await platform.pass_time(days=31, seconds=3600)


async def rich_invoice(platform: Platform) -> invoice_pb2.Invoice:
    """Prorated and whole fees, tiers, a cap, a maximum, late usage, coupons, credits, two taxes."""
    product = await new_product(platform)
    prices = [
        await new_price(platform, product.id, "seats", unit_amount="33.33"),
        await _metered(platform, product, "tokens", tiers=TIERS, model=catalog_pb2.PRICE_MODEL_GRADUATED),
        await _metered(platform, product, "peak", unit_amount="1", maximum_amount="9.99"),
    ]
    dear = await new_price(platform, product.id, "dear", unit_amount="77.77")
    ada = await customer_in(platform, "DE", "BE")
    await tax_rate(platform, "19")
    await tax_rate(platform, "1.375", name="City", region="BE", compound=True)
    subscription = await subscribe(platform, *prices, customer_id=ada)
    await use(platform, subscription.id, "tokens", "60", "0.25")
    await use(platform, subscription.id, "peak", "3", "8", "5")
    await month(platform)
    await coupon(platform, "TENTH", percent="10")
    await coupon(platform, "FIVE", amount_minor=500, currency="USD")
    await redeem(platform, "TENTH", ada)
    await redeem(platform, "FIVE", ada)
    await credit(platform, ada, 1234)
    await credit(platform, ada, 2000, kind=credit_pb2.CREDIT_KIND_PREPAID)
    first = (await invoices_of(platform, subscription.id))[0]
    platform.clock.advance(seconds=1)
    await reporting.use(platform, subscription.id, "77.7", instant(first.lines[1].period.start))
    await use(platform, subscription.id, "tokens", "150", "1.5")
    await use(platform, subscription.id, "peak", "70", "12")
    platform.clock.advance(days=9, seconds=4321)
    await change(platform, subscription.id, dear, *prices[1:])
    await month(platform)
    return (await invoices_of(platform, subscription.id))[1]


async def _metered(
    platform: Platform, product: catalog_pb2.Product, code: str, **terms: Any
) -> catalog_pb2.Price:
    aggregation = catalog_pb2.AGGREGATION_MAX if code == "peak" else catalog_pb2.AGGREGATION_SUM
    meter = await new_meter(platform, code, aggregation)
    defaults = {"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "unit_amount": ""}
    return await new_price(
        platform,
        product.id,
        code,
        usage=catalog_pb2.PRICE_USAGE_METERED,
        meter_id=meter.id,
        **{**defaults, **terms},
    )


async def bundle_of(platform: Platform, invoice_id: str, *, records: bool = True) -> bundle_pb2.InvoiceBundle:
    async with Client(platform.app.grpc_address, platform.tenant_key) as client:
        return await export(client, "", invoice_id, with_records=records)


def as_fields(bundle: bundle_pb2.InvoiceBundle) -> dict[str, Any]:
    fields: dict[str, Any] = json_format.MessageToDict(bundle, preserving_proto_field_name=True)
    return fields


def nothing(_: dict[str, Any]) -> None: ...


def differences(
    fields: dict[str, Any], lie: Callable[[dict[str, Any]], object] = nothing
) -> list[tuple[str, str, str, str]]:
    """What a bundle with the lie in it is found out for: part and figure."""
    told = copy.deepcopy(fields)
    lie(told)
    bundle = json_format.ParseDict(told, bundle_pb2.InvoiceBundle())
    return [(check.part, check.figure, check.stated, check.found) for check in verify(bundle) if not check.ok]
