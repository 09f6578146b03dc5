"""What was used: records, the items that they were accepted for, and what meters make of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from tests.oracle.prices import amount_in_cells, amount_of_transactions, number, transformed
from tests.oracle.times import FOREVER, Span
from tests.oracle.world import COUNTED, METERS, Item, Price

TOGETHER = ("sum", "count", "max")
"""Of these, what items of one price measured in a period can be put together."""
BY_RECORD = ("unique", "latest", "time_weighted")
"""These look at single records, which can therefore not be corrected; as do some prices."""


@dataclass
class Record:
    """What was accepted; without quantity it was taken back."""

    at: datetime
    quantity: Fraction | None
    properties: tuple[tuple[str, str], ...]


@dataclass
class Run:
    """An item while it was held, and the time that its fee is due for."""

    price: Price
    quantity: str
    place: int
    served: Span
    fee: Span
    records: list[Record] = field(default_factory=list)
    billed: dict[datetime, Fraction] = field(default_factory=dict)
    """By the beginning of the period that the usage lies in, once that is invoiced."""
    ahead: dict[datetime, tuple[Fraction, Fraction]] = field(default_factory=dict)
    """What earlier invoices, of thresholds, have of the period's quantity and amount, likewise."""
    charged: dict[datetime, Fraction] = field(default_factory=dict)
    """What all invoices charged for it, before rounding."""
    looked_at: dict[datetime, list[Record]] = field(default_factory=dict)
    """The records that there were when the period was billed, likewise."""
    corrected: dict[tuple[str, datetime], Price] = field(default_factory=dict)
    """The prices that lines are rated with by now, by their kind and beginning."""
    together: set[datetime] = field(default_factory=set)
    """The periods whose usage was priced together with that of others."""
    charged_once: bool = False
    """What is due but once was."""

    def is_like(self, item: Item) -> bool:
        """Of one price; a quantity is a number."""
        return self.price == item.price and number(self.quantity) == number(item.quantity)

    @property
    def aggregation(self) -> str:
        return METERS[self.price.meter].aggregation

    @property
    def by_record(self) -> bool:
        return bool(self.price.percentage or self.price.matrix)

    @property
    def records_tell(self) -> bool:
        """Whether what was used is known of the single records only, and the price of it with it."""
        return bool(self.price.meter) and (self.by_record or self.aggregation in BY_RECORD)

    @property
    def tells_so_far(self) -> bool:
        """Whether what was used has a price before the period is over."""
        return bool(self.price.meter) and not self.records_tell

    def bill(self, period: Span, used: Fraction) -> None:
        self.billed[period.start] = used
        self.looked_at[period.start] = self.standing(period)

    def was_used(self, period: Span) -> bool:
        """Also if all of it came to nothing, or was taken back."""
        return any(period.start <= one.at < period.end for one in self.records)

    def standing(self, period: Span) -> list[Record]:
        return [
            one for one in self.records if period.start <= one.at < period.end and one.quantity is not None
        ]


def used(run: Run, runs: Sequence[Run], period: Span, service: Span) -> Fraction:
    """What the meter makes of the item's records in a period; `runs` are those of the subscription."""
    meter, standing = METERS[run.price.meter], run.standing(period)
    quantities = [one.quantity or Fraction(0) for one in standing]
    match meter.aggregation:
        case "sum":
            quantity = sum(quantities, Fraction(0))
        case "count":
            quantity = Fraction(len(quantities))
        case "max":
            quantity = max(quantities, default=Fraction(0))
        case "min":
            quantity = min(quantities, default=Fraction(0))
        case "average":
            quantity = sum(quantities, Fraction(0)) / (len(quantities) or 1)
        case "unique":
            quantity = Fraction(len({dict(one.properties)[COUNTED] for one in standing}))
        case "latest":  # The last to come in, of those of one time.
            last = max(enumerate(standing), key=lambda one: (one[1].at, one[0]), default=None)
            quantity = (last[1].quantity if last else None) or Fraction(0)
        case _:
            quantity = _held_over(run, runs, period.meets(service)) / period.microseconds
    return transformed(meter, quantity)


def _held_over(run: Run, runs: Sequence[Run], span: Span) -> Fraction:
    """The level of the item's meter, whichever item had the records, over what it served of a span."""
    served = run.served.meets(span)
    levels = sorted(
        (one for other in runs if other.price.meter == run.price.meter for one in other.records),
        key=lambda one: one.at,
    )
    held = Fraction(0)
    for place, one in enumerate(levels):
        until = levels[place + 1].at if place + 1 < len(levels) else FOREVER
        held += (one.quantity or 0) * Span(one.at, until).meets(served).microseconds
    return held


def amount_of_records(run: Run, whole: Span) -> Fraction:
    """What a price for single records comes to, for those that were billed."""
    records = sorted(run.looked_at.get(whole.start, ()), key=lambda one: one.at)
    quantities = [
        Fraction(1) if run.aggregation == "count" else one.quantity or Fraction(0) for one in records
    ]
    if run.price.percentage:
        return amount_of_transactions(run.price.percentage, quantities)
    assert run.price.matrix
    cells = [
        amount_in_cells(run.price, run.price.matrix, dict(one.properties), quantity)
        for one, quantity in zip(records, quantities, strict=True)
    ]
    return sum(cells, Fraction(0))
