"""Meters: that their terms hold together."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from corebilling.domains.catalog.rules import demand
from corebilling.values.aggregation import Aggregation


@dataclass(frozen=True, slots=True)
class MeterTerms:
    """What can contradict itself in a meter. Numbers that were left open are None."""

    aggregation: str
    unique_property: str = ""
    filtered_properties: Sequence[str] = ()
    rounds: bool = False
    divide_by: Decimal | None = None
    block_size: Decimal | None = None


def check_meter_terms(terms: MeterTerms) -> None:
    """Refuses a meter that contradicts itself.

    Raises:
        InvalidArgument: METER_INVALID, with the field that is wrong and what it must be.
    """
    names = terms.filtered_properties
    demand(
        "METER_INVALID",
        "The meter contradicts itself",
        (
            (
                "unique_property",
                "a meter that counts different values names their unique_property, no other does",
                (terms.aggregation == Aggregation.UNIQUE) == bool(terms.unique_property),
            ),
            ("filters", "each filter is of another property", len(set(names)) == len(names)),
            ("transform.divide_by", "divide_by is above zero", terms.divide_by != 0),
            ("transform.block_size", "block_size is above zero", terms.block_size != 0),
            (
                "transform.block_size",
                "block_size goes with a rounding: say which",
                terms.rounds or terms.block_size is None,
            ),
        ),
    )
