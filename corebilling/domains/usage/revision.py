"""What becomes of an accepted record: corrected as often as need be, retracted once and for good.

accepted ─┬─► corrected ─┬─► retracted
          └──────────────┘
"""

from dataclasses import dataclass
from decimal import Decimal

from corebilling.errors import FailedPrecondition, InvalidArgument


@dataclass(frozen=True, slots=True)
class Standing:
    """What a record counts with now, None if it is retracted; and how often that was changed."""

    quantity: Decimal | None
    revision: int


@dataclass(frozen=True, slots=True)
class Revision:
    """The next correction of a record: from what it counts with to what it will, None for nothing at all."""

    number: int
    before: Decimal
    quantity: Decimal | None

    @property
    def record_count(self) -> int:
        """By how many records the period's total changes."""
        return -1 if self.quantity is None else 0


def decide_revision(standing: Standing, wanted: Decimal | None, key: str) -> Revision | None:
    """The correction that gives a record the wanted quantity, None to retract it; None when it has that.

    Raises:
        FailedPrecondition: USAGE_RECORD_RETRACTED when it is to count again.
    """
    if wanted == standing.quantity:
        return None
    if standing.quantity is None:
        raise FailedPrecondition(
            "USAGE_RECORD_RETRACTED",
            "The record was retracted, for good; report the usage again under another key.",
            {"idempotency_key": key},
        )
    return Revision(standing.revision + 1, standing.quantity, wanted)


def check_room(meter_code: str, limit: Decimal | None, *, before: Decimal, after: Decimal) -> None:
    """A correction upwards keeps within what a period may bill.

    Raises:
        InvalidArgument: VALUE_OUT_OF_RANGE when it does not.
    """
    if limit is not None and before < after > limit:
        raise InvalidArgument(
            "VALUE_OUT_OF_RANGE",
            f"A period may have at most {limit:f} {meter_code} at the item's price: an invoice line holds no "
            "more. Correct the quantity.",
            {"field": "quantity", "limit": f"{limit:f}"},
        )
