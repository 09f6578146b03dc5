"""Prices that look at single records: what the records of a period come to, for many items at once.

Records are grouped where they are, into what costs the same: there are never more groups than a price has
cells, or than transactions with limits have amounts.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

from billing_db import metering as metering_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.rating.measuring import TotalKey
from corebilling.domains.rating.model import RatedRecords
from corebilling.mapping import decimal_text
from corebilling.values.aggregation import Aggregation
from corebilling.values.money import exact_amount
from corebilling.values.price import Price, PriceModel
from corebilling.values.price_matrix import CellCharge, charge_cells, rate_cells
from corebilling.values.price_percentage import (
    RatedTransactions,
    Transactions,
    rate_groups,
    rate_transactions,
)


@dataclass(frozen=True, slots=True)
class PricedRecords:
    """Whose records are asked for: an item's, of one period."""

    key: TotalKey
    price: Price
    aggregation: str


async def rate_records(tx: Transaction, asked: Sequence[PricedRecords]) -> dict[TotalKey, RatedRecords]:
    """What matrix and percentage prices come to: one statement for each model there is."""
    matrices = [one for one in asked if one.price.model is PriceModel.MATRIX]
    percentages = [one for one in asked if one.price.model is PriceModel.PERCENTAGE]
    rated: dict[TotalKey, RatedRecords] = {}
    if matrices:
        rated |= await _rate_matrices(tx, matrices)
    if percentages:
        rated |= await _rate_percentages(tx, percentages)
    return rated


def rate_one_record(price: Price, quantity: Decimal, properties: Mapping[str, str]) -> RatedRecords:
    """What a period with this record alone comes to."""
    if price.percentage is not None:
        return _of_transactions(rate_transactions(price.percentage, [quantity]))
    return _of_cells(rate_cells(price.cells, [(properties, quantity)], price.unit_size))


async def _rate_matrices(tx: Transaction, asked: Sequence[PricedRecords]) -> dict[TotalKey, RatedRecords]:
    rows = await metering_sql.list_cell_quantities(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_ids=[item_id for item_id, _ in (one.key for one in asked)],
        period_starts=[period_start for _, period_start in (one.key for one in asked)],
        price_ids=sorted({one.price.id for one in asked}),
    )
    inside: dict[int, dict[int, tuple[int, Decimal]]] = defaultdict(dict)
    for row in rows:
        counts = asked[row.number - 1].aggregation == Aggregation.COUNT
        quantity = Decimal(row.record_count) if counts else row.quantity
        # Positions count from 1; what no cell holds falls into the last one, which has no properties.
        inside[row.number][row.position - 1] = (row.record_count, quantity)
    return {
        one.key: _of_cells(
            charge_cells(
                (
                    (one.price.cells[position], count, Fraction(quantity))
                    for position, (count, quantity) in inside[number].items()
                ),
                one.price.unit_size,
            )
        )
        for number, one in enumerate(asked, start=1)
    }


async def _rate_percentages(tx: Transaction, asked: Sequence[PricedRecords]) -> dict[TotalKey, RatedRecords]:
    rows = await metering_sql.list_transactions(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_ids=[item_id for item_id, _ in (one.key for one in asked)],
        period_starts=[period_start for _, period_start in (one.key for one in asked)],
    )
    groups: dict[int, list[Transactions]] = defaultdict(list)
    for row in rows:
        groups[row.number].append(
            Transactions(row.record_count, Fraction(row.paid), Fraction(row.free), row.is_free)
        )
    rated: dict[TotalKey, RatedRecords] = {}
    for number, one in enumerate(asked, start=1):
        assert one.price.percentage is not None
        rated[one.key] = _of_transactions(rate_groups(one.price.percentage, groups[number]))
    return rated


def _of_cells(cells: Sequence[CellCharge]) -> RatedRecords:
    return RatedRecords(sum((cell.amount for cell in cells), Fraction(0)), cells=tuple(cells))


def _of_transactions(rated: RatedTransactions) -> RatedRecords:
    return RatedRecords(rated.amount, transactions=rated)


def record_object(price: Price, records: RatedRecords) -> dict[str, Any]:
    """As rows keep it: a `billing.types.v1.RecordEvidence` in JSON."""
    kept: dict[str, Any] = {}
    if records.cells:
        kept["cells"] = [_cell_object(cell) for cell in records.cells]
    if records.transactions is not None and price.percentage is not None:
        rated, terms = records.transactions, price.percentage
        kept["transactions"] = {
            "percent": decimal_text(terms.percent),
            "fixed_amount": decimal_text(terms.fixed_amount),
            "free_transactions": rated.free_transactions,
            "free_amount": _text(rated.free_value),
            "paid_transactions": rated.paid_transactions,
            "paid_amount": _text(rated.paid_value),
            "rate_amount": _text(rated.rate_amount),
            "fixed_total": _text(rated.fixed_amount),
            "floor_amount": _text(rated.floor_amount),
            "ceiling_amount": _text(rated.ceiling_amount),
            "amount": _text(rated.amount),
        }
    return kept


def _cell_object(charge: CellCharge) -> dict[str, Any]:
    return {
        "properties": dict(charge.cell.properties),
        "quantity": _text(charge.quantity),
        "unit_amount": decimal_text(charge.cell.unit_amount),
        "amount": _text(charge.amount),
        "record_count": charge.record_count,
    }


def _text(number: Fraction) -> str:
    return decimal_text(exact_amount(number))
