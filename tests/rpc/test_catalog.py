from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub

from corebilling.client import Client
from corebilling.commands.catalog import Importer
from corebilling.domains.catalog.defaults import METERS, PLANS
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_meter, new_price, new_product, subscribe
from tests.support.platform import Platform

GRADUATED = {
    "model": catalog_pb2.PRICE_MODEL_GRADUATED,
    "unit_amount": "",
    "tiers": [
        catalog_pb2.PriceTier(up_to="10", unit_amount="2"),
        catalog_pb2.PriceTier(unit_amount="0.000000000001", flat_amount="5"),
    ],
}


async def test_a_price_keeps_twelve_decimals_and_its_tiers(platform: Platform):
    product = await new_product(platform)
    await new_price(platform, product.id, "tiered", **GRADUATED)
    answer = await platform.stub(CatalogServiceStub).ListPrices(
        catalog_service_pb2.ListPricesRequest(code="tiered")
    )
    (price,) = answer.prices
    assert [(tier.up_to, tier.unit_amount, tier.flat_amount) for tier in price.tiers] == [
        ("10", "2", "0"),
        ("", "0.000000000001", "5"),
    ]
    (event,) = await platform.events("price.created")
    assert (event.price_id, event.price_version) == (price.id, 1)


async def test_the_same_code_again_is_the_next_version(platform: Platform):
    product = await new_product(platform)
    first = await new_price(platform, product.id, "fee")
    second = await new_price(platform, product.id, "fee", unit_amount="25")
    assert (first.price_version, second.price_version) == (1, 2)
    again = await platform.stub(CatalogServiceStub).GetPrice(
        catalog_service_pb2.GetPriceRequest(price_id=first.id)
    )
    assert again.price.unit_amount == "20"


async def test_a_price_that_contradicts_itself_is_refused(platform: Platform):
    product = await new_product(platform)
    refusal = await refused(new_price(platform, product.id, "odd", tiers=GRADUATED["tiers"]))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PRICE_INVALID")


EURO = catalog_pb2.CurrencyOption(currency="EUR", unit_amount="19")


async def test_a_price_keeps_its_amounts_in_every_currency(platform: Platform):
    product = await new_product(platform)
    tier = catalog_pb2.PriceTier(unit_amount="1.5", flat_amount="0")
    option = catalog_pb2.CurrencyOption(currency="JPY", tiers=[tier])
    price = await new_price(platform, product.id, "tiered", **GRADUATED, currency_options=[option])
    again = await platform.stub(CatalogServiceStub).GetPrice(
        catalog_service_pb2.GetPriceRequest(price_id=price.id)
    )
    assert again.price == price
    assert list(price.currency_options) == [option]
    (event,) = await platform.events("price.created")
    assert (event.currency, event.other_currencies) == ("USD", ["JPY"])


async def test_a_currency_that_is_none_and_an_amount_that_no_line_holds_are_refused(platform: Platform):
    product = await new_product(platform)
    unknown = catalog_pb2.CurrencyOption(currency="XXX", unit_amount="1")
    refusal = await refused(new_price(platform, product.id, "fee", currency_options=[unknown]))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "CURRENCY_UNKNOWN")
    huge = catalog_pb2.CurrencyOption(currency="KWD", unit_amount="1000000000000.001")
    refusal = await refused(new_price(platform, product.id, "fee", currency_options=[huge]))
    assert (refusal.reason, refusal.facts["field"]) == (
        "VALUE_OUT_OF_RANGE",
        "currency_options[0].unit_amount",
    )


METERED = {
    "usage": catalog_pb2.PRICE_USAGE_METERED,
    "model": catalog_pb2.PRICE_MODEL_PER_UNIT,
    "unit_amount": "1",
}


async def test_a_metered_price_keeps_what_it_includes_its_minimum_and_its_cap(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    terms = {
        **METERED,
        "meter_id": meter.id,
        "model": catalog_pb2.PRICE_MODEL_VOLUME,
        "unit_amount": "",
        "tiers": [
            catalog_pb2.PriceTier(up_to="10", unit_amount="2", flat_amount="3", maximum_amount="15.5"),
            catalog_pb2.PriceTier(unit_amount="7.25", block_size="100"),
        ],
        "included_quantity": "0.000000000001",
        "minimum_amount": "5",
        "maximum_amount": "100.000000000001",
        "no_flat_amount_when_unused": True,
    }
    price = await new_price(platform, product.id, "volume", **terms)
    found = await platform.stub(CatalogServiceStub).GetPrice(
        catalog_service_pb2.GetPriceRequest(price_id=price.id)
    )
    assert found.price == price
    assert (price.included_quantity, price.minimum_amount, price.maximum_amount) == (
        "0.000000000001",
        "5",
        "100.000000000001",
    )
    assert price.no_flat_amount_when_unused
    assert [(tier.block_size, tier.maximum_amount) for tier in price.tiers] == [("", "15.5"), ("100", "")]


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"usage": catalog_pb2.PRICE_USAGE_METERED, "model": catalog_pb2.PRICE_MODEL_PACKAGE}, "meter_id"),
        ({"model": catalog_pb2.PRICE_MODEL_VOLUME}, "unit_amount"),
        ({"model": catalog_pb2.PRICE_MODEL_PACKAGE, "unit_amount": ""}, "unit_amount"),
        ({"model": catalog_pb2.PRICE_MODEL_VOLUME, "unit_amount": ""}, "tiers"),
        ({"model": catalog_pb2.PRICE_MODEL_PACKAGE, "tiers": GRADUATED["tiers"]}, "tiers"),
        ({"one_time": True}, "interval_unit"),
        ({"currency_options": [EURO, EURO]}, "currency_options[1].currency"),
        (
            {"currency": "EUR", "currency_options": [EURO]},
            "currency_options[0].currency",
        ),
        (
            {"currency_options": [EURO, catalog_pb2.CurrencyOption(currency="JPY")]},
            "currency_options[1].unit_amount",
        ),
        (
            {
                **GRADUATED,
                "currency_options": [
                    catalog_pb2.CurrencyOption(
                        currency="EUR", tiers=[catalog_pb2.PriceTier(up_to="5", unit_amount="1")]
                    )
                ],
            },
            "currency_options[0].tiers[0].up_to",
        ),
        ({"interval_unit": None}, "interval_unit"),
        ({**METERED, "one_time": True, "interval_unit": None}, "usage"),
        ({"included_quantity": "5"}, "included_quantity"),
        ({"minimum_amount": "5"}, "minimum_amount"),
        ({"maximum_amount": "5"}, "maximum_amount"),
        ({**METERED, "minimum_amount": "5", "maximum_amount": "4"}, "maximum_amount"),
        ({"no_flat_amount_when_unused": True}, "no_flat_amount_when_unused"),
        ({**GRADUATED, "tiers": [catalog_pb2.PriceTier(up_to="5", unit_amount="1")]}, "tiers[0].up_to"),
        (
            {**GRADUATED, "tiers": [catalog_pb2.PriceTier(unit_amount="1", block_size="0")]},
            "tiers[0].block_size",
        ),
        (
            {
                **GRADUATED,
                "tiers": [catalog_pb2.PriceTier(unit_amount="1", flat_amount="2", maximum_amount="1")],
            },
            "tiers[0].maximum_amount",
        ),
    ],
)
async def test_each_contradiction_is_refused_by_the_field_that_is_wrong(
    platform: Platform, terms: dict[str, Any], field: str
):
    product, meter = await new_product(platform), await new_meter(platform)
    named = {"meter_id": meter.id} if "unit_amount" in terms and terms.get("usage") else {}
    refusal = await refused(new_price(platform, product.id, "odd", **{**terms, **named}))
    assert (refusal.code, refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", "PRICE_INVALID", (field,))


async def test_references_must_be_the_tenants_own(platform: Platform):
    product = await new_product(platform)
    assert (await refused(new_price(platform, "prd_none", "fee"))).reason == "PRODUCT_NOT_FOUND"
    metered = {"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "usage": catalog_pb2.PRICE_USAGE_METERED}
    refusal = await refused(new_price(platform, product.id, "use", meter_id="mtr_none", **metered))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "METER_NOT_FOUND")


async def test_codes_are_taken_once(platform: Platform):
    await new_product(platform, "llm")
    await new_meter(platform, "tokens")
    assert (await refused(new_product(platform, "llm"))).reason == "CODE_TAKEN"
    assert (await refused(new_meter(platform, "tokens"))).facts == {"code": "tokens"}


async def test_a_deprecated_plan_takes_no_new_subscriptions(platform: Platform):
    product = await new_product(platform)
    price = await new_price(platform, product.id, "fee")
    catalog = platform.stub(CatalogServiceStub)
    created = await catalog.CreatePlan(
        catalog_service_pb2.CreatePlanRequest(
            request_id=new_id("req"),
            code="basic",
            name="Basic",
            items=[catalog_pb2.PlanItem(price_id=price.id)],
        )
    )
    for _ in range(2):
        answer = await catalog.DeprecatePlan(
            catalog_service_pb2.DeprecatePlanRequest(request_id=new_id("req"), plan_id=created.plan.id)
        )
        assert answer.plan.status == catalog_pb2.PLAN_STATUS_DEPRECATED
    assert len(await platform.events("plan.deprecated")) == 1
    refusal = await refused(subscribe(platform, plan_id=created.plan.id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "PLAN_DEPRECATED")


async def test_default_plans_are_imported_once(platform: Platform):
    async with Client(platform.app.grpc_address, platform.tenant_key) as client:
        assert await Importer(client, "").run() == {plan.code for plan in PLANS}
        assert await Importer(client, "").run() == set()
    catalog = platform.stub(CatalogServiceStub)
    plans = (await catalog.ListPlans(catalog_service_pb2.ListPlansRequest())).plans
    meters = (await catalog.ListMeters(catalog_service_pb2.ListMetersRequest())).meters
    assert {plan.code: len(plan.items) for plan in plans} == {plan.code: 6 for plan in PLANS}
    assert {meter.code for meter in meters} == {code for code, *_ in METERS}


async def test_other_tenant_gets_not_found(platform: Platform):
    product = await new_product(platform)
    _, other_key = await platform.new_tenant("other")
    stub = platform.stub(CatalogServiceStub, key=other_key)
    refusal = await refused(stub.GetProduct(catalog_service_pb2.GetProductRequest(product_id=product.id)))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "PRODUCT_NOT_FOUND")


async def test_a_price_beyond_what_an_invoice_line_holds_is_refused(platform: Platform):
    product = await new_product(platform)
    await new_price(platform, product.id, "large", unit_amount="10000000000000")
    refusal = await refused(new_price(platform, product.id, "larger", unit_amount="10000000000000.01"))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "VALUE_OUT_OF_RANGE")
    assert refusal.facts == {"field": "unit_amount", "limit": "10000000000000.00"}


MATRIX: dict[str, Any] = {
    "usage": catalog_pb2.PRICE_USAGE_METERED,
    "model": catalog_pb2.PRICE_MODEL_MATRIX,
    "unit_amount": "",
    "dimensions": ["region", "size"],
    "cells": [
        catalog_pb2.PriceCell(values=["eu", "l"], unit_amount="0.5"),
        catalog_pb2.PriceCell(values=["eu", "s"], unit_amount="0.2"),
    ],
    "default_unit_amount": "1",
}
PERCENTAGE: dict[str, Any] = {
    "usage": catalog_pb2.PRICE_USAGE_METERED,
    "model": catalog_pb2.PRICE_MODEL_PERCENTAGE,
    "unit_amount": "",
    "percentage": catalog_pb2.PricePercentage(percent="2.9", fixed_amount="0.3"),
}


async def test_prices_that_look_at_records_come_back_as_they_were_made(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    matrix = await new_price(platform, product.id, "regions", meter_id=meter.id, **MATRIX)
    assert list(matrix.dimensions) == MATRIX["dimensions"]
    assert list(matrix.cells) == MATRIX["cells"]
    assert (matrix.default_unit_amount, matrix.HasField("percentage")) == ("1", False)
    terms = catalog_pb2.PricePercentage(
        percent="2.9",
        fixed_amount="0.3",
        free_transactions=3,
        free_amount="100",
        minimum_amount="0.5",
        maximum_amount="20",
    )
    price = await new_price(
        platform, product.id, "payments", meter_id=meter.id, **{**PERCENTAGE, "percentage": terms}
    )
    assert price.percentage == terms
    again = await platform.stub(CatalogServiceStub).GetPrice(
        catalog_service_pb2.GetPriceRequest(price_id=price.id)
    )
    assert again.price == price


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({**MATRIX, "usage": catalog_pb2.PRICE_USAGE_LICENSED}, "usage"),
        ({**MATRIX, "unit_amount": "1"}, "unit_amount"),
        ({**MATRIX, "included_quantity": "1"}, "included_quantity"),
        ({**MATRIX, "dimensions": []}, "dimensions"),
        ({**MATRIX, "cells": []}, "dimensions"),
        ({**MATRIX, "default_unit_amount": ""}, "dimensions"),
        ({**MATRIX, "dimensions": ["region", "region"]}, "dimensions"),
        ({**MATRIX, "dimensions": ["region"]}, "cells[0].values"),
        ({**MATRIX, "cells": [MATRIX["cells"][0], MATRIX["cells"][0]]}, "cells[1].values"),
        ({**MATRIX, "percentage": PERCENTAGE["percentage"]}, "percentage"),
        ({**PERCENTAGE, "percentage": None}, "percentage"),
        ({**PERCENTAGE, "unit_size": "10"}, "unit_size"),
        ({**PERCENTAGE, "dimensions": ["region"]}, "dimensions"),
        ({**PERCENTAGE, "percentage": catalog_pb2.PricePercentage(percent="101")}, "percentage.percent"),
        (
            {
                **PERCENTAGE,
                "percentage": catalog_pb2.PricePercentage(
                    percent="1", minimum_amount="2", maximum_amount="1"
                ),
            },
            "percentage.maximum_amount",
        ),
    ],
)
async def test_a_price_that_looks_at_records_and_contradicts_itself_is_refused(
    platform: Platform, terms: dict[str, Any], field: str
):
    product, meter = await new_product(platform), await new_meter(platform)
    metered = terms["usage"] == catalog_pb2.PRICE_USAGE_METERED
    refusal = await refused(
        new_price(platform, product.id, "odd", meter_id=meter.id if metered else "", **terms)
    )
    assert (refusal.code, refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", "PRICE_INVALID", (field,))


@pytest.mark.parametrize("terms", [MATRIX, PERCENTAGE])
@pytest.mark.parametrize(
    ("aggregation", "transform"),
    [
        (catalog_pb2.AGGREGATION_MAX, None),
        (catalog_pb2.AGGREGATION_TIME_WEIGHTED, None),
        (catalog_pb2.AGGREGATION_SUM, catalog_pb2.MeterTransform(divide_by="2")),
    ],
)
async def test_a_price_that_looks_at_records_wants_a_meter_that_adds_them_up(
    platform: Platform, terms: dict[str, Any], aggregation: Any, transform: Any
):
    product = await new_product(platform)
    meter = await new_meter(platform, aggregation=aggregation, transform=transform)
    refusal = await refused(new_price(platform, product.id, "odd", meter_id=meter.id, **terms))
    assert (refusal.reason, refusal.fields) == ("PRICE_INVALID", ("meter_id",))


async def test_a_fee_per_transaction_that_could_outgrow_an_invoice_line_is_refused(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    terms = {**PERCENTAGE, "percentage": catalog_pb2.PricePercentage(percent="1", fixed_amount="5000.01")}
    refusal = await refused(new_price(platform, product.id, "odd", meter_id=meter.id, **terms))
    assert refusal.reason == "VALUE_OUT_OF_RANGE"
    assert refusal.facts["field"] == "percentage.fixed_amount"


async def test_meters_come_back_as_they_were_made(platform: Platform):
    filters = [
        catalog_pb2.MeterFilter(property="region", values=["eu", "us"]),
        catalog_pb2.MeterFilter(property="empty", values=[""]),
    ]
    transform = catalog_pb2.MeterTransform(
        divide_by="60", rounding=catalog_pb2.QUANTITY_ROUNDING_HALF_UP, block_size="0.5"
    )
    meter = await new_meter(
        platform,
        aggregation=catalog_pb2.AGGREGATION_UNIQUE,
        unique_property="user",
        filters=filters,
        transform=transform,
    )
    again = await platform.stub(CatalogServiceStub).GetMeter(
        catalog_service_pb2.GetMeterRequest(meter_id=meter.id)
    )
    assert again.meter == meter
    assert (list(meter.filters), meter.transform, meter.unique_property) == (filters, transform, "user")
    plain = await new_meter(platform, "plain")
    assert (plain.HasField("transform"), len(plain.filters)) == (False, 0)


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"aggregation": catalog_pb2.AGGREGATION_UNIQUE}, "unique_property"),
        ({"unique_property": "user"}, "unique_property"),
        ({"filters": [catalog_pb2.MeterFilter(property="a", values=["1"])] * 2}, "filters"),
        ({"transform": catalog_pb2.MeterTransform(divide_by="0.0")}, "transform.divide_by"),
        (
            {
                "transform": catalog_pb2.MeterTransform(
                    rounding=catalog_pb2.QUANTITY_ROUNDING_UP, block_size="0"
                )
            },
            "transform.block_size",
        ),
        ({"transform": catalog_pb2.MeterTransform(block_size="5")}, "transform.block_size"),
    ],
)
async def test_a_meter_that_contradicts_itself_is_refused(
    platform: Platform, terms: dict[str, Any], field: str
):
    refusal = await refused(new_meter(platform, **terms))
    assert (refusal.code, refusal.reason, refusal.fields) == ("INVALID_ARGUMENT", "METER_INVALID", (field,))
