"""Progressive billing: usage is invoiced within its period as soon as it comes to a threshold."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from corebilling.values.money import Rounding, round_number


@dataclass(frozen=True, slots=True)
class Threshold:
    """An amount of usage over the whole life of a subscription, in minor units.

    A recurring one is reached again and again, each time that much above the last one that is not (above
    nothing, if there is none).
    """

    amount_minor: int
    recurring: bool = False


@dataclass(frozen=True, slots=True)
class ProgressiveInvoice:
    """The period's usage so far, less what its earlier progressive invoices hold."""

    event_id: str
    amount_minor: int


@dataclass(frozen=True, slots=True)
class BilledPeriod:
    """A period's invoices, in minor units: those on the way, and the closing one less these."""

    progressive: tuple[ProgressiveInvoice, ...]
    fees_minor: int

    @property
    def progressive_minor(self) -> int:
        return sum(invoice.amount_minor for invoice in self.progressive)

    @property
    def closing_minor(self) -> int:
        return self.fees_minor - self.progressive_minor


def bill_progressively(
    thresholds: Sequence[Threshold],
    periods: Sequence[Sequence[tuple[str, Decimal]]],
    *,
    price: Callable[[Decimal], Fraction],
    plan_minor: int = 0,
    before_minor: int = 0,
    rounding: Rounding = Rounding.HALF_UP,
) -> list[BilledPeriod]:
    """The invoices of periods one after the other. An event that reaches several thresholds makes one.

    This is a subscription's life seen at once, as a forecast wants it. The platform bills as usage comes in:
    it asks `level_reached` after each report, and keeps what was invoiced in its rows.

    Args:
        periods: The events of each, by id, with the quantity that each adds.
        price: What the quantity of one period costs, in exact minor units.
        plan_minor: Billed with the usage when a period closes.
        before_minor: Usage of the subscription before the first of the periods.
    """
    billed = []
    lifetime = before_minor
    for events in periods:
        progressive: list[ProgressiveInvoice] = []
        quantity, usage, invoiced = Decimal(0), round_number(price(Decimal(0)), rounding), 0
        for event_id, added in events:
            quantity += added
            now = round_number(price(quantity), rounding)
            before, after = (level_reached(thresholds, lifetime + minor) for minor in (usage, now))
            if after > before and now > invoiced:
                progressive.append(ProgressiveInvoice(event_id, now - invoiced))
                invoiced = now
            usage = now
        billed.append(BilledPeriod(tuple(progressive), plan_minor + usage))
        lifetime += usage
    return billed


def level_reached(thresholds: Sequence[Threshold], amount_minor: int) -> int:
    """The highest amount at which thresholds were reached, recurring ones again and again; 0: none yet."""
    once = [threshold.amount_minor for threshold in thresholds if not threshold.recurring]
    last = max(once, default=0)
    again = [
        last + (amount_minor - last) // threshold.amount_minor * threshold.amount_minor
        for threshold in thresholds
        if threshold.recurring and amount_minor >= last + threshold.amount_minor
    ]
    return max([amount for amount in once if amount <= amount_minor] + again, default=0)
