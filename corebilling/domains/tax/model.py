"""Taxes: which rates apply where, and to what."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from corebilling.errors import AlreadyExists, ResourceExhausted
from corebilling.values.tax import TaxRate

MAX_JURISDICTION_RATES = 10
"""In force at a time for a whole country, or for one of its regions: each may be applied to every line."""

MAX_COUNTRY_RATES = 1000
"""In force at a time, all regions of a country together: invoices load them all."""


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


def check_new_rate(in_force: Sequence[JurisdictionRate], new: JurisdictionRate) -> None:
    """Refuses a rate that would tax twice what one of its country's taxes, or be one too many.

    Args:
        in_force: All of the country.

    Raises:
        AlreadyExists: TAX_RATE_EXISTS.
        ResourceExhausted: TAX_RATE_LIMIT_REACHED.
    """
    for rate in in_force:
        if _identity(rate) == _identity(new):
            raise AlreadyExists(
                "TAX_RATE_EXISTS",
                "A rate of this name is in force there for the category; archive it first.",
                {"tax_rate_id": rate.id},
            )
    of_jurisdiction = [rate for rate in in_force if rate.region.casefold() == new.region.casefold()]
    for rates, limit in ((of_jurisdiction, MAX_JURISDICTION_RATES), (in_force, MAX_COUNTRY_RATES)):
        if len(rates) >= limit:
            raise ResourceExhausted(
                "TAX_RATE_LIMIT_REACHED",
                f"At most {limit} rates are in force there; archive one first.",
                {"country": new.country, "limit": str(limit)},
            )


def _identity(rate: JurisdictionRate) -> tuple[str, str, str, str]:
    return rate.country, rate.region.casefold(), rate.category, rate.name


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
