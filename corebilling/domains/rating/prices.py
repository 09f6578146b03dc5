"""Prices as rows keep them, read in one of their currencies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from billing_db import models
from billing_db import price_override as override_sql
from billing_db import rating as rating_sql

from corebilling.errors import InvalidArgument
from corebilling.values.price import Price, PriceModel, Tier
from corebilling.values.price_matrix import Cell
from corebilling.values.price_percentage import Percentage


def price_of(row: models.Price | rating_sql.FindBilledPriceRow, currency: str) -> Price:
    """The price of a row in one of its currencies, the tiers' decimals read from their texts.

    Raises:
        InvalidArgument: PRICE_CURRENCY_MISSING.
    """
    return _priced(
        row, currency, _own_amounts(row) if currency == row.currency else _other_amounts(row, currency)
    )


def _priced(row: models.Price | rating_sql.FindBilledPriceRow, currency: str, amounts: "_Amounts") -> Price:
    return Price(
        id=row.id,
        description=row.description,
        currency=currency,
        model=PriceModel(row.model),
        metered=row.usage == "metered",
        unit_amount=amounts.unit_amount,
        unit_size=row.unit_size,
        tiers=tuple(
            Tier(
                up_to=_decimal(tier, "up_to"),
                unit_amount=Decimal(tier["unit_amount"]),
                flat_amount=Decimal(tier["flat_amount"]),
                block_size=_decimal(tier, "block_size"),
                maximum_amount=_decimal(tier, "maximum_amount"),
            )
            for tier in amounts.tiers
        ),
        included_quantity=row.included_quantity,
        maximum_amount=amounts.maximum_amount,
        minimum_amount=amounts.minimum_amount,
        one_time=row.one_time,
        cells=_cells(row),
        percentage=_percentage(row.percentage),
        zero_usage_flat_fee=not row.no_flat_amount_when_unused,
    )


def _cells(row: models.Price | rating_sql.FindBilledPriceRow) -> tuple[Cell, ...]:
    """With the one that takes what no other does, at the end."""
    if row.default_unit_amount is None:
        return ()
    cells = (
        Cell(tuple(zip(row.dimensions, cell["values"], strict=True)), Decimal(cell["unit_amount"]))
        for cell in row.cells
    )
    return (*cells, Cell((), row.default_unit_amount))


def _percentage(terms: Mapping[str, Any] | None) -> Percentage | None:
    if terms is None:
        return None
    return Percentage(
        percent=Decimal(terms["percent"]),
        fixed_amount=_decimal(terms, "fixed_amount") or Decimal(0),
        free_transactions=terms.get("free_transactions"),
        free_value=_decimal(terms, "free_amount"),
        minimum_amount=_decimal(terms, "minimum_amount"),
        maximum_amount=_decimal(terms, "maximum_amount"),
    )


@dataclass(frozen=True, slots=True)
class _Amounts:
    """What a price costs in one currency; tiers as rows keep them."""

    unit_amount: Decimal | None
    tiers: Sequence[Mapping[str, str]]
    minimum_amount: Decimal | None
    maximum_amount: Decimal | None


def _own_amounts(row: models.Price | rating_sql.FindBilledPriceRow) -> _Amounts:
    return _Amounts(row.unit_amount, row.tiers, row.minimum_amount, row.maximum_amount)


def _other_amounts(row: models.Price | rating_sql.FindBilledPriceRow, currency: str) -> _Amounts:
    option = next((option for option in row.currency_options if option["currency"] == currency), None)
    if option is None:
        sold_in = ", ".join([row.currency, *(option["currency"] for option in row.currency_options)])
        raise InvalidArgument(
            "PRICE_CURRENCY_MISSING",
            f"The price is sold in {sold_in} only; ask for one of these.",
            {"price_id": row.id, "code": row.code, "currency": currency, "currencies": sold_in},
        )
    return _Amounts(
        _decimal(option, "unit_amount"),
        option["tiers"],
        _decimal(option, "minimum_amount"),
        _decimal(option, "maximum_amount"),
    )


def _decimal(tier: Mapping[str, Any], field: str) -> Decimal | None:
    return Decimal(tier[field]) if tier.get(field) else None


def negotiated_price(row: models.Price, override: override_sql.ListOverridesOfSubscriptionsRow) -> Price:
    amounts = _Amounts(override.unit_amount, override.tiers, override.minimum_amount, override.maximum_amount)
    price = _priced(row, override.currency, amounts)
    return replace(price, included_quantity=override.included_quantity, override_id=override.id)
