"""Taxes: which rates apply where, and to what."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from corebilling.values.tax import TaxRate


@dataclass(frozen=True, slots=True)
class JurisdictionRate:
    """A rate of a country, or of one of its regions; an empty category is all of them."""

    id: str
    name: str
    country: str
    region: str
    category: str
    percent: Decimal
    compound: bool

    @property
    def rate(self) -> TaxRate:
        return TaxRate(self.id, self.percent, self.compound)


def rates_for(
    rates: Sequence[JurisdictionRate], *, country: str, region: str, category: str
) -> tuple[TaxRate, ...]:
    """The rates that a line is taxed with: the country's, then the region's, each in the order given.

    In each of both, rates for the line's category replace those for all.
    """
    regions = ["", region.casefold()] if region else [""]
    chosen: list[TaxRate] = []
    for place in regions:
        local = [rate for rate in rates if rate.country == country and rate.region.casefold() == place]
        special = [rate for rate in local if category and rate.category == category]
        chosen += [rate.rate for rate in special or local if rate.category in ("", category)]
    return tuple(chosen)
