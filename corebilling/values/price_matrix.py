"""Prices that look at more than one quantity: one amount per kind of event, and steps of several limits."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

Properties = Mapping[str, str]
"""What an event says of itself, as in {"region": "eu", "size": "large"}."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What units cost whose properties have all these values; without any, all that no other cell takes."""

    properties: tuple[tuple[str, str], ...]
    unit_amount: Decimal

    def holds(self, properties: Properties) -> bool:
        return all(properties.get(name) == value for name, value in self.properties)


@dataclass(frozen=True, slots=True)
class CellCharge:
    """The units that fell into one cell, and their exact price in major units."""

    cell: Cell
    quantity: Fraction
    amount: Fraction
    record_count: int = 0


def rate_cells(
    cells: Sequence[Cell],
    quantities: Sequence[tuple[Properties, Decimal | Fraction]],
    unit_size: Decimal = Decimal(1),
) -> tuple[CellCharge, ...]:
    """What quantities cost by their properties: each falls into the first cell that holds it.

    Amounts are for `unit_size` units. What no cell holds is not charged; a price ends with a cell without
    properties to have none of that.
    """
    inside = dict.fromkeys(cells, (0, Fraction(0)))
    for properties, quantity in quantities:
        cell = next((cell for cell in cells if cell.holds(properties)), None)
        if cell is not None:
            count, held = inside[cell]
            inside[cell] = (count + 1, held + Fraction(quantity))
    return charge_cells(((cell, *held) for cell, held in inside.items()), unit_size)


def charge_cells(
    inside: Iterable[tuple[Cell, int, Fraction]], unit_size: Decimal = Decimal(1)
) -> tuple[CellCharge, ...]:
    """What cells cost that so many events and units fell into; empty ones are left out."""
    return tuple(
        CellCharge(cell, quantity, quantity * Fraction(cell.unit_amount) / Fraction(unit_size), count)
        for cell, count, quantity in inside
        if quantity
    )


@dataclass(frozen=True, slots=True)
class CapacityTier:
    """What it costs to use no more than `limits` of each unit; None, or no entry, is no limit."""

    limits: Mapping[str, Decimal | None]
    amount: Decimal


def reached_capacity(tiers: Sequence[CapacityTier], usage: Mapping[str, Decimal]) -> int:
    """The position of the first tier whose limits hold every unit; the last tier takes whatever is left.

    Which plan a customer's use would fit into: prices charge for one meter each, and are not chosen by it.
    """
    return next((place for place, tier in enumerate(tiers) if _fits(tier, usage)), len(tiers) - 1)


def _fits(tier: CapacityTier, usage: Mapping[str, Decimal]) -> bool:
    limits = ((tier.limits.get(unit), quantity) for unit, quantity in usage.items())
    return all(limit is None or quantity <= limit for limit, quantity in limits)
