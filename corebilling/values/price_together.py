"""Usage of one price in one full period, by items that followed one another: priced as if one had served.

A pause, or a change that comes back, ends an item and adds another of the same price. Neither gives tiers,
included units, cap or minimum a second time: each item is charged for what its usage adds to that of those
before it, and the shares of cap and minimum are due together.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from functools import reduce

from corebilling.values.aggregation import Aggregation
from corebilling.values.money import plus
from corebilling.values.price import Price, Rated, rate

_WHOLE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Part:
    """What an item used of the period, and the share of the period that it served."""

    item_id: str
    quantity: Decimal
    share: Fraction


@dataclass(frozen=True, slots=True)
class Together:
    """Items' parts in the order of time, as far as they are charged for."""

    aggregation: str
    parts: tuple[Part, ...] = ()

    def with_part(self, part: Part) -> "Together":
        """With the part added at the end, or instead of what the same item had used before."""
        if any(one.item_id == part.item_id for one in self.parts):
            parts = tuple(part if one.item_id == part.item_id else one for one in self.parts)
        else:
            parts = (*self.parts, part)
        return replace(self, parts=parts)

    @property
    def quantity(self) -> Decimal:
        """What all used together, as the meter aggregates it."""
        quantities = [part.quantity for part in self.parts]
        if self.aggregation == Aggregation.MAX:
            return max(quantities, default=Decimal(0))
        return reduce(plus, quantities, Decimal(0))

    @property
    def share(self) -> Fraction:
        """Of the period, what all served together."""
        return min(sum((part.share for part in self.parts), Fraction(0)), _WHOLE)

    def rated(self, price: Price, *, final: bool = True) -> Rated:
        """What all cost together; nothing as long as none was charged for. `final`: as of `rate`."""
        if not self.parts:
            return Rated(Fraction(0))
        return rate_served(price, self.quantity, self.share, final=final)


def rate_served(price: Price, quantity: Decimal, share: Fraction, *, final: bool = True) -> Rated:
    """What was used costs, where the price served for so much of a full period.

    Cap and minimum are due for that share. Where it served no time, as in a period that never came, there is
    no minimum, but all of the cap: a part of it, nothing, would make usage free.
    """
    if share:
        return rate(price, quantity, share=share, final=final)
    return rate(replace(price, minimum_amount=None), quantity)


def are_priced_together(aggregation: str, items: Sequence[object]) -> bool:
    """Whether there are several, of which the quantities can be put together."""
    return len(items) > 1 and aggregation in _COMBINED


_COMBINED = frozenset({Aggregation.SUM, Aggregation.COUNT, Aggregation.MAX})
