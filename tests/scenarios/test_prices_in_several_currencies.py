"""One plan sold in dollars, yen and Kuwaiti dinars: each customer pays in the own currency, exactly."""

from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.rating.v1 import rating_service_pb2
from billing.rating.v1.rating_service_pb2_grpc import RatingServiceStub

from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import (
    change,
    metered_price,
    new_customer,
    new_meter,
    new_price,
    new_product,
    subscribe,
)
from tests.support.invoice import invoices_of
from tests.support.platform import Platform
from tests.support.reporting import use

Tier = catalog_pb2.PriceTier
Option = catalog_pb2.CurrencyOption


async def fee(platform: Platform, code: str = "fee", **amounts: str) -> catalog_pb2.Price:
    """A monthly fee of 31 dollars, and as much as is said in other currencies."""
    product = await new_product(platform, code)
    options = [Option(currency=currency, unit_amount=amount) for currency, amount in amounts.items()]
    return await new_price(platform, product.id, code, unit_amount="31", currency_options=options)


async def tokens(platform: Platform) -> catalog_pb2.Price:
    product, meter = await new_product(platform, "metered"), await new_meter(platform)
    return await metered_price(
        platform,
        product.id,
        meter.id,
        model=catalog_pb2.PRICE_MODEL_GRADUATED,
        unit_amount="",
        tiers=[Tier(up_to="10", unit_amount="1"), Tier(unit_amount="0.5")],
        minimum_amount="7",
        currency_options=[
            Option(
                currency="JPY",
                tiers=[Tier(up_to="100", unit_amount="0.33"), Tier(unit_amount="0.25")],
                minimum_amount="8",
                maximum_amount="40",
            ),
            Option(currency="KWD", tiers=[Tier(unit_amount="0.0005")]),
        ],
    )


async def test_each_customer_pays_the_amounts_of_the_own_currency_to_the_last_decimal(platform: Platform):
    price, metered = await fee(platform, JPY="4500", KWD="9.125"), await tokens(platform)
    plan = await platform.stub(CatalogServiceStub).CreatePlan(
        catalog_service_pb2.CreatePlanRequest(
            request_id=new_id("req"),
            code="plan",
            name="Plan",
            items=[catalog_pb2.PlanItem(price_id=price.id), catalog_pb2.PlanItem(price_id=metered.id)],
        )
    )
    customers = {}
    for currency in ("USD", "JPY", "KWD"):
        customers[currency] = (await new_customer(platform, currency=currency)).id
        made = await subscribe(platform, plan_id=plan.plan.id, customer_id=customers[currency])
        assert made.currency == currency
        await use(platform, made.id, "101")
    await platform.pass_time(days=32)
    found = {}
    for currency, customer_id in customers.items():
        (invoice,) = await invoices_of(platform, customer_id=customer_id)
        found[currency] = (
            invoice.currency,
            [line.amount_minor for line in invoice.lines],
            invoice.total_minor,
        )
    assert found == {
        "USD": ("USD", [3100, 5550], 8650),  # 10 at 1, 91 at 0.5
        "JPY": ("JPY", [4500, 33], 4533),  # 100 at 0.33, 1 at 0.25: 33.25, half a yen is not reached
        "KWD": ("KWD", [9125, 51], 9176),  # 0.0505: half a fils, rounded up
    }


async def test_minimum_and_cap_are_those_of_the_currency(platform: Platform):
    metered = await tokens(platform)
    yen = await new_customer(platform, currency="JPY")
    made = await subscribe(platform, metered, customer_id=yen.id)
    await use(platform, made.id, "10")
    await platform.pass_time(days=32)
    await use(platform, made.id, "1000")
    await platform.pass_time(days=31)
    assert [invoice.total_minor for invoice in await invoices_of(platform, customer_id=yen.id)] == [8, 40]


async def test_running_amounts_and_previews_are_in_the_currency_too(platform: Platform):
    metered = await tokens(platform)
    dinar = await new_customer(platform, currency="KWD")
    made = await subscribe(platform, metered, customer_id=dinar.id)
    await use(platform, made.id, "3")
    await platform.drain()
    (rated,) = await platform.events("usage.rated")
    assert (rated.amount, rated.currency) == ("0.0015", "KWD")
    request = rating_service_pb2.PreviewPriceRequest(price_id=metered.id, quantity="3", currency="KWD")
    preview = await platform.stub(RatingServiceStub).PreviewPrice(request)
    assert (preview.amount, preview.currency) == ("0.0015", "KWD")
    request.currency = "EUR"
    refusal = await refused(platform.stub(RatingServiceStub).PreviewPrice(request))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PRICE_CURRENCY_MISSING")


async def test_a_currency_that_is_missing_is_refused_by_name_with_what_to_do(platform: Platform):
    price, dollars = await fee(platform, JPY="4500"), await fee(platform, "dollars")
    yen = await new_customer(platform, currency="JPY")
    refusal = await refused(subscribe(platform, dollars, customer_id=yen.id))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PRICE_CURRENCY_MISSING")
    assert refusal.facts == {
        "price_id": dollars.id,
        "code": "dollars",
        "currency": "JPY",
        "currencies": "USD",
    }
    assert "currency option for JPY" in refusal.message
    made = await subscribe(platform, price, customer_id=yen.id)
    assert (await refused(change(platform, made.id, dollars))).reason == "PRICE_CURRENCY_MISSING"


async def test_what_an_invoice_line_can_hold_is_that_of_the_currency(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    price = await metered_price(
        platform, product.id, meter.id, currency_options=[Option(currency="KWD", unit_amount="1000000000")]
    )
    dinar = await new_customer(platform, currency="KWD")
    made = await subscribe(platform, price, customer_id=dinar.id)
    await use(platform, made.id, "1000")
    refusal = await refused(use(platform, made.id, "0.001"))
    assert (refusal.reason, refusal.facts["limit"]) == ("VALUE_OUT_OF_RANGE", "1000")
