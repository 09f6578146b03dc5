"""What a walk sells, and to whom: prices of every model, meters of every aggregation, in three currencies."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from billing.catalog.v1 import catalog_pb2 as pb
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.discount.v1 import discount_pb2
from billing.types.v1 import period_pb2

from tests.support.catalog import new_customer, new_meter, new_price, new_product
from tests.support.money import coupon, tax_rate
from tests.support.platform import Platform

CURRENCIES = ("USD", "JPY", "KWD")
BY_RECORD = ("matrix", "percentage")
"""Prices that are sold in one currency alone."""
ZONES = ("UTC", "America/New_York", "Europe/Berlin", "Asia/Kolkata")

_TIERS = [pb.PriceTier(up_to="10", unit_amount="0.5", flat_amount="3"), pb.PriceTier(unit_amount="0.255")]
_STEPS = [pb.PriceTier(up_to="10", unit_amount="0.7"), pb.PriceTier(unit_amount="0.3")]
_METERS: Mapping[str, Mapping[str, Any]] = {
    "sum": {"aggregation": pb.AGGREGATION_SUM},
    "count": {"aggregation": pb.AGGREGATION_COUNT},
    "max": {"aggregation": pb.AGGREGATION_MAX},
    "average": {"aggregation": pb.AGGREGATION_AVERAGE},
    "latest": {"aggregation": pb.AGGREGATION_LATEST},
    "held": {"aggregation": pb.AGGREGATION_TIME_WEIGHTED},
    "unique": {"aggregation": pb.AGGREGATION_UNIQUE, "unique_property": "user"},
    "blocks": {
        "aggregation": pb.AGGREGATION_SUM,
        "filters": [pb.MeterFilter(property="region", values=["eu"])],
        "transform": pb.MeterTransform(divide_by="3", rounding=pb.QUANTITY_ROUNDING_UP, block_size="2"),
    },
    "matrix": {"aggregation": pb.AGGREGATION_SUM},
    "percentage": {"aggregation": pb.AGGREGATION_SUM},
}
_LICENSED: Mapping[str, Mapping[str, Any]] = {
    "fee": {"unit_amount": "33.33"},
    "dear_fee": {"unit_amount": "77.77"},
    "seats": {"model": pb.PRICE_MODEL_PER_UNIT, "unit_amount": "7.01"},
    "setup": {
        "unit_amount": "99.99",
        "one_time": True,
        "interval_unit": period_pb2.INTERVAL_UNIT_UNSPECIFIED,
    },
}
_METERED: Mapping[str, Mapping[str, Any]] = {
    "sum": {"model": pb.PRICE_MODEL_GRADUATED, "tiers": _TIERS},
    "other_sum": {"meter": "sum", "model": pb.PRICE_MODEL_VOLUME, "tiers": _STEPS},
    "count": {"unit_amount": "0.99"},
    "max": {"unit_amount": "1", "maximum_amount": "9.99"},
    "average": {"unit_amount": "0.19", "minimum_amount": "4"},
    "latest": {"unit_amount": "0.37"},
    "held": {"unit_amount": "0.11"},
    "unique": {
        "model": pb.PRICE_MODEL_PACKAGE,
        "unit_amount": "5",
        "unit_size": "2",
        "included_quantity": "1",
    },
    "blocks": {"unit_amount": "0.91"},
    "matrix": {
        "model": pb.PRICE_MODEL_MATRIX,
        "dimensions": ["region"],
        "cells": [pb.PriceCell(values=["eu"], unit_amount="0.2")],
        "default_unit_amount": "0.05",
    },
    "percentage": {
        "model": pb.PRICE_MODEL_PERCENTAGE,
        "percentage": pb.PricePercentage(percent="2.9", fixed_amount="0.3", free_transactions=2),
    },
}
_IN_A_CURRENCY = ("unit_amount", "tiers", "minimum_amount", "maximum_amount")


@dataclass(frozen=True)
class Shop:
    """Prices by their codes; meters by theirs."""

    prices: Mapping[str, pb.Price]
    meters: tuple[str, ...]
    customers: tuple[customer_pb2.Customer, ...]

    def sold_in(self, currency: str) -> list[str]:
        return [code for code in self.prices if currency == "USD" or code not in BY_RECORD]


async def open_shop(platform: Platform, chance: Random) -> Shop:
    product = await new_product(platform, tax_category="saas")
    meters = {code: (await new_meter(platform, code, **terms)).id for code, terms in _METERS.items()}
    prices = {
        code: await new_price(platform, product.id, code, **_sold(terms)) for code, terms in _LICENSED.items()
    }
    for code, terms in _METERED.items():
        chosen = {"model": pb.PRICE_MODEL_PER_UNIT, "unit_amount": "", **terms}
        meter = chosen.pop("meter", code)
        options = {} if code in BY_RECORD else _sold(chosen)
        prices[code] = await new_price(
            platform,
            product.id,
            code,
            **{"usage": pb.PRICE_USAGE_METERED, "meter_id": meters[meter], **chosen, **options},
        )
    await tax_rate(platform, "19")
    await tax_rate(platform, "1.375", name="City", region="BE", compound=True)
    await coupon(platform, "TENTH", percent="10")
    await coupon(platform, "THIRD", percent="33.333")
    await coupon(platform, "ONCE", percent="33.333", duration=discount_pb2.DISCOUNT_DURATION_ONCE)
    for currency in CURRENCIES:
        await coupon(platform, f"FIXED-{currency}", amount_minor=500, currency=currency)
    customers = [await _customer(platform, chance) for _ in range(chance.randint(1, 3))]
    return Shop(prices, tuple(_METERS), tuple(customers))


def _sold(terms: Mapping[str, Any]) -> dict[str, Any]:
    """The same numbers in every currency."""
    amounts = {name: terms[name] for name in _IN_A_CURRENCY if terms.get(name)}
    options = [pb.CurrencyOption(currency=currency, **amounts) for currency in CURRENCIES[1:]]
    return {**terms, "currency_options": options}


async def _customer(platform: Platform, chance: Random) -> customer_pb2.Customer:
    details = customer_service_pb2.CustomerDetails(
        name="Ada",
        timezone=chance.choice(ZONES),
        address=customer_pb2.Address(country="DE", region=chance.choice(["", "BE"])),
        consolidate_invoices=chance.random() < 0.5,
    )
    return await new_customer(platform, details=details, currency=chance.choice(CURRENCIES))
