"""Quantities that totals do not hold: worked out from the records of a period, for many items at once.

Records are aggregated where they are; what comes back is one row per item and period.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from billing_db import metering as metering_sql

from corebilling.db.transaction import Transaction
from corebilling.values.aggregation import Aggregation
from corebilling.values.metering import TransformTerms, rounded_quantity, transformed
from corebilling.values.period import Period

TotalKey = tuple[str, datetime]
"""An item's id, and when the period starts that its usage is of."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose quantity is asked for. Levels are weighed over `span`, as a part of `full_period`."""

    item_id: str
    aggregation: str
    transform: TransformTerms | None
    span: Period
    full_period: Period
    period_start: datetime

    @property
    def key(self) -> TotalKey:
        return self.item_id, self.period_start


async def measure(tx: Transaction, asked: Sequence[Asked]) -> dict[TotalKey, Decimal]:
    """The quantities of unique, latest and time-weighted meters: one statement for each kind there is."""
    by_kind: dict[str, list[Asked]] = defaultdict(list)
    for one in asked:
        by_kind[one.aggregation].append(one)
    quantities: dict[TotalKey, Decimal] = {}
    for aggregation, some in by_kind.items():
        match aggregation:
            case Aggregation.UNIQUE:
                quantities |= await _unique(tx, some)
            case Aggregation.LATEST:
                quantities |= await _latest(tx, some)
            case Aggregation.TIME_WEIGHTED:
                quantities |= await _held(tx, some)
    return quantities


async def _unique(tx: Transaction, asked: Sequence[Asked]) -> dict[TotalKey, Decimal]:
    rows = await metering_sql.list_unique_counts(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_ids=[one.item_id for one in asked],
        period_starts=[one.period_start for one in asked],
    )
    return _by_key(asked, {row.number: Decimal(row.quantity) for row in rows})


async def _latest(tx: Transaction, asked: Sequence[Asked]) -> dict[TotalKey, Decimal]:
    rows = await metering_sql.list_latest_quantities(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_ids=[one.item_id for one in asked],
        period_starts=[one.period_start for one in asked],
    )
    return _by_key(asked, {row.number: row.quantity for row in rows})


async def _held(tx: Transaction, asked: Sequence[Asked]) -> dict[TotalKey, Decimal]:
    rows = await metering_sql.list_held_levels(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_ids=[one.item_id for one in asked],
        starts_at=[one.span.start for one in asked],
        ends_at=[one.span.end for one in asked],
    )
    quantities: dict[TotalKey, Decimal] = {}
    for row in rows:
        one = asked[row.number - 1]
        whole = one.full_period.seconds or one.span.seconds
        held = rounded_quantity(Fraction(row.held) / whole) if whole else Decimal(0)
        quantities[one.key] = held if row.transform is None else transformed(held, row.transform)
    return quantities


def _by_key(asked: Sequence[Asked], found: dict[int, Decimal]) -> dict[TotalKey, Decimal]:
    """By item and period; what no record was found for is 0."""
    quantities: dict[TotalKey, Decimal] = {}
    for number, one in enumerate(asked, start=1):
        quantity = found.get(number, Decimal(0))
        quantities[one.key] = quantity if one.transform is None else transformed(quantity, one.transform)
    return quantities
