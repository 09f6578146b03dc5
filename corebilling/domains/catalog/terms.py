"""Terms of prices and meters: as requests say them, and as rows keep them."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from billing.catalog.v1 import catalog_pb2 as pb
from billing.catalog.v1 import catalog_service_pb2 as rpc

from corebilling.domains.catalog.amounts import optional_decimal, read_tiers, tier_object
from corebilling.domains.catalog.limits import check_price_amounts, max_quantity
from corebilling.domains.catalog.meter_model import MeterTerms
from corebilling.domains.catalog.model import (
    CurrencyAmounts,
    MatrixCell,
    PriceTerms,
    PriceUsage,
    check_currencies,
    check_price_terms,
)
from corebilling.mapping import decimal_text, enum_text, optional_text
from corebilling.values.currency import check_currency
from corebilling.values.price import PriceModel
from corebilling.values.price_percentage import Percentage


def price_terms(request: rpc.CreatePriceRequest) -> PriceTerms:
    return PriceTerms(
        model=PriceModel(enum_text(pb.PriceModel, request.model)),
        usage=PriceUsage(enum_text(pb.PriceUsage, request.usage)),
        meter_id=request.meter_id or None,
        unit_amount=optional_decimal(request.unit_amount),
        unit_size=Decimal(request.unit_size or 1),
        tiers=read_tiers(request.tiers),
        included_quantity=Decimal(request.included_quantity or 0),
        minimum_amount=optional_decimal(request.minimum_amount),
        maximum_amount=optional_decimal(request.maximum_amount),
        no_flat_amount_when_unused=request.no_flat_amount_when_unused,
        one_time=request.one_time,
        has_interval=bool(request.interval_unit),
        dimensions=request.dimensions,
        cells=[MatrixCell(tuple(cell.values), Decimal(cell.unit_amount)) for cell in request.cells],
        default_unit_amount=optional_decimal(request.default_unit_amount),
        percentage=_percentage(request.percentage) if request.HasField("percentage") else None,
    )


def _percentage(given: pb.PricePercentage) -> Percentage:
    return Percentage(
        percent=Decimal(given.percent),
        fixed_amount=Decimal(given.fixed_amount or 0),
        free_transactions=given.free_transactions or None,
        free_value=optional_decimal(given.free_amount) or None,
        minimum_amount=optional_decimal(given.minimum_amount) or None,
        maximum_amount=optional_decimal(given.maximum_amount),
    )


def percentage_object(terms: Percentage) -> Mapping[str, str | int]:
    """As rows keep it: a `PricePercentage` in JSON, without what has no limit."""
    amounts = {
        "fixed_amount": terms.fixed_amount,
        "free_amount": terms.free_value,
        "minimum_amount": terms.minimum_amount,
        "maximum_amount": terms.maximum_amount,
    }
    kept: dict[str, str | int] = {"percent": decimal_text(terms.percent)}
    kept |= {name: decimal_text(amount) for name, amount in amounts.items() if amount is not None}
    if terms.free_transactions:
        kept["free_transactions"] = terms.free_transactions
    return kept


def meter_terms(request: rpc.CreateMeterRequest) -> MeterTerms:
    given = request.transform if request.HasField("transform") else None
    return MeterTerms(
        aggregation=enum_text(pb.Aggregation, request.aggregation),
        unique_property=request.unique_property,
        filtered_properties=[one.property for one in request.filters],
        rounds=given is not None and given.rounding != pb.QUANTITY_ROUNDING_UNSPECIFIED,
        divide_by=optional_decimal(given.divide_by) if given else None,
        block_size=optional_decimal(given.block_size) if given else None,
    )


def transform_object(transform: pb.MeterTransform) -> Mapping[str, str]:
    """As rows keep it: the `MeterTransform` in JSON."""
    kept = {"divide_by": decimal_text(Decimal(transform.divide_by or 1))}
    if transform.rounding:
        kept["rounding"] = pb.QuantityRounding.Name(transform.rounding)
        kept["block_size"] = decimal_text(Decimal(transform.block_size or 1))
    return kept


def checked_options(
    request: rpc.CreatePriceRequest, terms: PriceTerms, currency: str
) -> list[CurrencyAmounts]:
    options = [
        CurrencyAmounts(
            currency=check_currency(option.currency),
            unit_amount=optional_decimal(option.unit_amount),
            tiers=read_tiers(option.tiers),
            minimum_amount=optional_decimal(option.minimum_amount),
            maximum_amount=optional_decimal(option.maximum_amount),
        )
        for option in request.currency_options
    ]
    check_currencies(terms, currency, options)
    for position, option in enumerate(options):
        inside, other = f"currency_options[{position}].", option.terms_of(terms)
        check_price_terms(other, inside=inside)
        check_price_amounts(other, option.currency, inside=inside)
    return options


def option_object(option: CurrencyAmounts, terms: PriceTerms) -> Mapping[str, Any]:
    """As rows keep it: a `CurrencyOption` in JSON, and the `max_quantity` that follows from it."""
    return {
        "currency": option.currency,
        "unit_amount": optional_text(option.unit_amount),
        "tiers": [tier_object(tier) for tier in option.tiers],
        "minimum_amount": optional_text(option.minimum_amount),
        "maximum_amount": optional_text(option.maximum_amount),
        "max_quantity": optional_text(max_quantity(option.terms_of(terms), option.currency)),
    }
