"""Limits of prices: what an invoice line can still hold, of amounts and of quantities."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import floor

from corebilling.domains.catalog.model import PriceTerms
from corebilling.errors import InvalidArgument
from corebilling.values.money import MAX_MINOR, exact_amount, major_units
from corebilling.values.price import PriceModel, Tier, tier_amount, tiers_of

_QUANTITY_STEPS = 10**12  # quantities have twelve decimals
_MOST_TRANSACTIONS = 10**9  # of one subscription in one period


def check_price_amounts(terms: PriceTerms, currency: str, *, inside: str = "") -> None:
    """Refuses a price of which a single amount is more than an invoice line can hold.

    Raises:
        InvalidArgument: VALUE_OUT_OF_RANGE, naming the field and what it may be.
    """
    amounts = {
        "unit_amount": terms.unit_amount,
        "minimum_amount": terms.minimum_amount,
        "maximum_amount": terms.maximum_amount,
    }
    for position, tier in enumerate(terms.tiers):
        amounts[f"tiers[{position}].unit_amount"] = tier.unit_amount
        amounts[f"tiers[{position}].flat_amount"] = tier.flat_amount
        amounts[f"tiers[{position}].maximum_amount"] = tier.maximum_amount
    amounts["default_unit_amount"] = terms.default_unit_amount
    for position, cell in enumerate(terms.cells):
        amounts[f"cells[{position}].unit_amount"] = cell.unit_amount
    limit = major_units(MAX_MINOR, currency)
    _demand_below(limit, currency, amounts, inside)
    if terms.percentage is not None:
        each = {
            "percentage.fixed_amount": terms.percentage.fixed_amount,
            "percentage.minimum_amount": terms.percentage.minimum_amount,
        }
        _demand_below(limit / _MOST_TRANSACTIONS / 2, currency, each, inside)


def _demand_below(limit: Decimal, currency: str, amounts: Mapping[str, Decimal | None], inside: str) -> None:
    for field, amount in amounts.items():
        if amount is not None and amount > limit:
            raise InvalidArgument(
                "VALUE_OUT_OF_RANGE",
                f"{inside}{field} is more than an invoice line can hold; lower it to {limit} {currency}.",
                {"field": f"{inside}{field}", "limit": str(limit)},
            )


def max_quantity(terms: PriceTerms, currency: str) -> Decimal | None:
    """The largest quantity of one period that an invoice line can hold the price of; None when any can be.

    Every smaller quantity can be held too, though with volume prices it may cost more. A cap changes nothing:
    what it takes off is shown as well.
    """
    if terms.model is PriceModel.FLAT:
        return None
    limit = Fraction(major_units(MAX_MINOR, currency))
    if terms.percentage is not None:
        # The other half is for fixed amounts and minimums, of more transactions than a period can have.
        share = Fraction(terms.percentage.percent) / 100
        return exact_amount(limit / 2 / share) if share else None
    if terms.default_unit_amount is not None:
        dearest = max(terms.default_unit_amount, *(cell.unit_amount for cell in terms.cells))
        terms = replace(terms, model=PriceModel.PER_UNIT, unit_amount=dearest)
    most = (
        _most_of_one_tier(terms, limit) if terms.model is PriceModel.VOLUME else _most_of_tiers(terms, limit)
    )
    if most is None:
        return None
    whole = most + Fraction(terms.included_quantity)
    return exact_amount(Fraction(floor(whole * _QUANTITY_STEPS), _QUANTITY_STEPS))


def _most_of_tiers(terms: PriceTerms, limit: Fraction) -> Fraction | None:
    """Where each unit is charged in its own tier: the tiers before leave less for those that follow."""
    left, start = limit, Fraction(0)
    for tier in tiers_of(terms):
        end = None if tier.up_to is None else Fraction(tier.up_to)
        inside = _affordable(tier, terms.unit_size, left)
        if inside is not None and (end is None or start + inside < end):
            return start + max(inside, Fraction(0))
        if end is None:
            return None
        left -= tier_amount(tier, end - start, terms.unit_size)[1]
        start = end
    return None


def _most_of_one_tier(terms: PriceTerms, limit: Fraction) -> Fraction | None:
    """Where all units are charged in the tier that the last one reaches."""
    start = Fraction(0)
    for tier in terms.tiers:
        reach = _affordable(tier, terms.unit_size, limit)
        if reach is not None and (tier.up_to is None or reach < tier.up_to):
            return max(reach, start)
        start = Fraction(tier.up_to or 0)
    return None


def _affordable(tier: Tier, unit_size: Decimal, left: Fraction) -> Fraction | None:
    """How many units of a tier so much money pays for; None when any, below zero when not even the first."""
    if tier.maximum_amount is not None and tier.maximum_amount <= left:
        return None
    room = left - Fraction(tier.flat_amount)
    if room < 0:
        return Fraction(-1)
    if not tier.unit_amount:
        return None
    units = room / Fraction(tier.unit_amount)
    return (
        units * Fraction(unit_size) if tier.block_size is None else floor(units) * Fraction(tier.block_size)
    )
