"""What is sold: prices that hold together.

plan: active -> deprecated
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from corebilling.domains.catalog.rules import Rule, demand
from corebilling.values.aggregation import Aggregation
from corebilling.values.price import BY_RECORD, PriceModel, Tier
from corebilling.values.price_percentage import Percentage

_CONTRADICTION = "The price contradicts itself"


class PriceUsage(StrEnum):
    LICENSED = "licensed"
    METERED = "metered"


class PlanStatus(StrEnum):
    ACTIVE = "active"
    DEPRECATED = "deprecated"


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """What units cost whose properties have these values, in the order of the price's dimensions."""

    values: tuple[str, ...]
    unit_amount: Decimal


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """What makes a price: how it charges, and for what."""

    model: PriceModel
    usage: PriceUsage
    meter_id: str | None
    unit_amount: Decimal | None
    unit_size: Decimal
    tiers: Sequence[Tier]
    included_quantity: Decimal = Decimal(0)
    minimum_amount: Decimal | None = None
    maximum_amount: Decimal | None = None
    no_flat_amount_when_unused: bool = False
    one_time: bool = False
    has_interval: bool = True
    dimensions: Sequence[str] = ()
    cells: Sequence[MatrixCell] = ()
    default_unit_amount: Decimal | None = None
    percentage: Percentage | None = None


@dataclass(frozen=True, slots=True)
class CurrencyAmounts:
    """Amounts of a price that are not its own: in another currency, or negotiated."""

    currency: str
    unit_amount: Decimal | None
    tiers: Sequence[Tier]
    minimum_amount: Decimal | None
    maximum_amount: Decimal | None

    def terms_of(self, terms: PriceTerms) -> PriceTerms:
        """The same price with these amounts."""
        return replace(
            terms,
            unit_amount=self.unit_amount,
            tiers=self.tiers,
            minimum_amount=self.minimum_amount,
            maximum_amount=self.maximum_amount,
        )


def check_price_terms(terms: PriceTerms, *, inside: str = "") -> None:
    """Refuses a price that contradicts itself. `inside`: what the fields' names begin with.

    Raises:
        InvalidArgument: PRICE_INVALID, with the field that is wrong and what it must be.
    """
    rules = (
        *_of_usage(terms),
        *_of_amounts(terms),
        *_of_tiers(terms.tiers),
        *_of_records(terms),
        *_of_matrix(terms),
        *_of_percentage(terms),
    )
    demand("PRICE_INVALID", _CONTRADICTION, rules, inside=inside)


def check_price_meter(terms: PriceTerms, aggregation: str, *, transforms: bool) -> None:
    """Refuses a price that looks at single records of a meter that does not simply add them up.

    Raises:
        InvalidArgument: PRICE_INVALID, naming the meter.
    """
    if terms.model not in BY_RECORD:
        return
    adding = (Aggregation.SUM, Aggregation.COUNT) if terms.model is PriceModel.MATRIX else (Aggregation.SUM,)
    requirement = f"the meter of a {terms.model} price has no transform, and is a {' or '.join(adding)}"
    rule = ("meter_id", requirement, aggregation in adding and not transforms)
    demand("PRICE_INVALID", _CONTRADICTION, [rule])


def check_currencies(terms: PriceTerms, currency: str, options: Sequence[CurrencyAmounts]) -> None:
    """Refuses to say twice what a price costs in one currency.

    Raises:
        InvalidArgument: PRICE_INVALID.
    """
    single = "a matrix or percentage price has one currency: make another price for another one"
    rules = [("currency_options", single, not (options and terms.model in BY_RECORD))]
    named = {currency}
    for position, option in enumerate(options):
        once = f"each currency is named once, {option.currency} is named again"
        rules.append((f"currency_options[{position}].currency", once, option.currency not in named))
        named.add(option.currency)
    demand("PRICE_INVALID", _CONTRADICTION, rules)


def _of_usage(terms: PriceTerms) -> Iterator[Rule]:
    metered, flat = terms.usage is PriceUsage.METERED, terms.model is PriceModel.FLAT
    limited = terms.minimum_amount is not None or terms.maximum_amount is not None
    yield (
        "meter_id",
        "a metered price names a meter_id, a licensed one does not",
        metered == (terms.meter_id is not None),
    )
    yield (
        "interval_unit",
        "a one-time price has no interval_unit, all others have one",
        terms.one_time != terms.has_interval,
    )
    yield "usage", "a one-time price is licensed: usage recurs", not (terms.one_time and metered)
    yield "usage", "a flat price is licensed: it does not depend on usage", not (flat and metered)
    yield (
        "included_quantity",
        "a flat price has no included_quantity: it does not depend on one",
        not (flat and terms.included_quantity),
    )
    field = "maximum_amount" if terms.minimum_amount is None else "minimum_amount"
    yield field, "minimum_amount and maximum_amount are for metered prices", metered or not limited


def _of_amounts(terms: PriceTerms) -> Iterator[Rule]:
    tiered = terms.model in (PriceModel.GRADUATED, PriceModel.VOLUME)
    least, most = terms.minimum_amount, terms.maximum_amount
    yield (
        "unit_amount",
        "flat, per-unit and package prices have a unit_amount, and only they",
        (tiered or terms.model in BY_RECORD) == (terms.unit_amount is None),
    )
    yield "tiers", "graduated and volume prices have tiers, and only they", tiered == bool(terms.tiers)
    yield "unit_size", "unit_size is above zero", terms.unit_size > 0
    yield (
        "maximum_amount",
        "maximum_amount is not below minimum_amount",
        least is None or most is None or least <= most,
    )
    yield (
        "no_flat_amount_when_unused",
        "only graduated and volume prices have flat amounts to leave out",
        tiered or not terms.no_flat_amount_when_unused,
    )


def _of_tiers(tiers: Sequence[Tier]) -> Iterator[Rule]:
    previous = Decimal(0)
    for position, tier in enumerate(tiers):
        last, at = position == len(tiers) - 1, f"tiers[{position}]"
        yield f"{at}.up_to", "the last tier is open (empty up_to), and no other", (tier.up_to is None) == last
        yield (
            f"{at}.up_to",
            "the tiers' up_to ascend from above zero",
            tier.up_to is None or tier.up_to > previous,
        )
        block, most = tier.block_size, tier.maximum_amount
        yield f"{at}.block_size", "a tier's block_size is above zero", block is None or block > 0
        yield (
            f"{at}.maximum_amount",
            "a tier's maximum_amount is not below its flat_amount",
            most is None or most >= tier.flat_amount,
        )
        previous = tier.up_to or previous


def _of_records(terms: PriceTerms) -> Iterator[Rule]:
    by_record, matrix = terms.model in BY_RECORD, terms.model is PriceModel.MATRIX
    percentage = terms.model is PriceModel.PERCENTAGE
    yield (
        "usage",
        "a matrix or percentage price is metered: it looks at records",
        not by_record or terms.usage is PriceUsage.METERED,
    )
    yield (
        "included_quantity",
        "a matrix or percentage price has no included_quantity",
        not (by_record and terms.included_quantity),
    )
    yield "unit_size", "a percentage price has no unit_size", not percentage or terms.unit_size == 1
    yield (
        "dimensions",
        "matrix prices have dimensions, cells and a default_unit_amount, and only they",
        matrix == bool(terms.dimensions) == bool(terms.cells) == (terms.default_unit_amount is not None),
    )
    yield (
        "percentage",
        "percentage prices have a percentage, and only they",
        percentage == (terms.percentage is not None),
    )


def _of_matrix(terms: PriceTerms) -> Iterator[Rule]:
    names = terms.dimensions
    yield "dimensions", "each dimension is another property", len(set(names)) == len(names)
    seen: set[tuple[str, ...]] = set()
    for position, cell in enumerate(terms.cells):
        at = f"cells[{position}].values"
        yield at, "a cell has one value for each dimension", len(cell.values) == len(names)
        yield at, "each cell has other values", cell.values not in seen
        seen.add(cell.values)


def _of_percentage(terms: PriceTerms) -> Iterator[Rule]:
    if terms.percentage is None:
        return
    least, most = terms.percentage.minimum_amount, terms.percentage.maximum_amount
    yield "percentage.percent", "percent is at most 100", terms.percentage.percent <= 100
    yield (
        "percentage.maximum_amount",
        "maximum_amount is not below minimum_amount",
        least is None or most is None or least <= most,
    )
