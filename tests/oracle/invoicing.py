"""From lines to what is due, in the order that docs/money.md gives."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from math import floor

from tests.oracle.times import FOREVER
from tests.oracle.world import Customer, Seller, TaxRate

HALF = Fraction(1, 2)


@dataclass
class Discount:
    """In force for so many more invoices; None is for ever. `prices` are codes; none is all."""

    percent: Fraction
    amount_minor: int
    invoices: int | None
    prices: frozenset[str]


@dataclass
class Credit:
    """`granted` is its place among those granted; -1 are those that invoices below zero became."""

    kind: str
    left_minor: int
    valid_from: datetime
    valid_until: datetime
    priority: int
    granted: int


@dataclass
class Amounts:
    """What became of one line."""

    price: str
    category: str
    amount_minor: int
    discount_minor: int = 0
    corrects: bool = False
    """Its discount follows from that of earlier lines, and stays."""
    credit_minor: int = 0
    tax_minor: int = 0

    @property
    def left_minor(self) -> int:
        return self.amount_minor - self.discount_minor - self.credit_minor


@dataclass(frozen=True)
class Totals:
    discount_minor: int
    credit_minor: int
    tax_minor: int
    total_minor: int
    prepaid_minor: int


def rounded(exact: Fraction) -> int:
    """Half a unit away from zero."""
    return floor(exact + HALF) if exact >= 0 else -floor(-exact + HALF)


def divided(whole: int, exact: Sequence[Fraction]) -> list[int]:
    """Whole parts next to the exact ones that sum to the whole: each cut towards zero, and what is missing
    goes to those that lost most, the first of equals."""
    parts = [floor(part) if part >= 0 else -floor(-part) for part in exact]
    missing = whole - sum(parts)
    step = 1 if missing > 0 else -1
    for _ in range(abs(missing)):
        losses = [(one - part) * step for one, part in zip(exact, parts, strict=True)]
        parts[losses.index(max(losses))] += step
    return parts


def settle(
    lines: Sequence[Amounts],
    customer: Customer,
    seller: Seller,
    discounts: Sequence[Discount],
    available: Sequence[Credit],
    at: datetime,
) -> Totals:
    """Works the invoice out, and takes what it uses off discounts and credits. `lines` are filled in."""
    discount_minor = _discount(lines, discounts)
    usable = [one for one in available if one.left_minor > 0 and one.valid_from <= at < one.valid_until]
    others = sorted((one for one in usable if one.kind != "prepaid"), key=lambda one: one.valid_from)
    prepaid = sorted(
        (one for one in usable if one.kind == "prepaid"), key=lambda one: (one.priority, one.valid_until)
    )
    credit_minor = 0
    if seller.credit_application == "before_tax":
        credit_minor = _draw(others, sum(line.left_minor for line in lines))
        weights = [max(0, line.left_minor) for line in lines]
        shares = [Fraction(credit_minor * weight, sum(weights) or 1) for weight in weights]
        for line, part in zip(lines, divided(credit_minor, shares), strict=True):
            line.credit_minor = part
    tax_minor = _tax(lines, customer, seller)
    total_minor = sum(line.left_minor for line in lines)
    if seller.tax_behavior == "exclusive":
        total_minor += tax_minor
    if seller.credit_application == "after_tax":
        credit_minor = _draw(others, total_minor)
        total_minor -= credit_minor
    return Totals(discount_minor, credit_minor, tax_minor, total_minor, _draw(prepaid, total_minor))


def given_back(amount_minor: int, at: datetime) -> Credit:
    """What an invoice below zero becomes."""
    return Credit("prepaid", amount_minor, at, FOREVER, 0, -1)


def _discount(lines: Sequence[Amounts], discounts: Sequence[Discount]) -> int:
    """Percentages of the lines as they are, then fixed amounts; never more than is left."""
    in_force = [one for one in discounts if one.invoices != 0]
    total_minor = sum(line.discount_minor for line in lines)
    lines = [line for line in lines if not line.corrects]
    for one in [d for d in in_force if d.percent] + [d for d in in_force if not d.percent]:
        scope = [line for line in lines if line.left_minor > 0 and line.price in (one.prices or {line.price})]
        if one.percent:
            share = one.percent / 100 * _part_above_zero(lines, one.prices)
            wanted = [min(line.amount_minor * share, Fraction(line.left_minor)) for line in scope]
            asked = rounded(sum(wanted, Fraction(0)))
        else:
            wanted = [Fraction(line.left_minor) for line in scope]
            asked = one.amount_minor
        most = min(sum(line.left_minor for line in scope), sum(line.left_minor for line in lines))
        taken = max(0, min(asked, most))
        if not taken:
            continue
        if taken <= sum(wanted):
            wanted = [part * taken / sum(wanted) for part in wanted]
        for line, part in zip(scope, divided(taken, wanted), strict=True):
            line.discount_minor += part
        total_minor += taken
        if one.invoices is not None:
            one.invoices -= 1
    return total_minor


def _part_above_zero(lines: Sequence[Amounts], prices: frozenset[str]) -> Fraction:
    """What lines below zero, of these prices, leave of the others."""
    amounts = [line.amount_minor for line in lines if line.price in (prices or {line.price})]
    above = sum(amount for amount in amounts if amount > 0)
    return Fraction(max(0, sum(amounts)), above or 1)


def _draw(ordered: Sequence[Credit], amount_minor: int) -> int:
    used_minor = 0
    for one in ordered:
        part = min(one.left_minor, max(0, amount_minor - used_minor))
        one.left_minor -= part
        used_minor += part
    return used_minor


def _tax(lines: Sequence[Amounts], customer: Customer, seller: Seller) -> int:
    """Exact for each line and rate, rounded for the invoice or for each line, and divided among the lines."""
    exact = [(line, part) for line in lines for part in _exact_taxes(line, customer, seller)]
    groups = [exact]
    if seller.tax_rounding == "per_line":
        groups = [[row for row in exact if row[0] is line] for line in lines]
    for group in groups:
        parts = [part for _, part in group]
        for (line, _), part in zip(group, divided(rounded(sum(parts, Fraction(0))), parts), strict=True):
            line.tax_minor += part
    return sum(line.tax_minor for line in lines)


def _exact_taxes(line: Amounts, customer: Customer, seller: Seller) -> list[Fraction]:
    """What the line is taxed with at each rate."""
    if customer.exemption:
        return []
    factors: list[Fraction] = []
    for rate in rates_of(customer, seller, line.category):
        base = 1 + sum(factors, Fraction(0)) if rate.compound else Fraction(1)
        factors.append(base * Fraction(rate.percent) / 100)
    gross = 1 + sum(factors, Fraction(0)) if seller.tax_behavior == "inclusive" else Fraction(1)
    return [line.left_minor * factor / gross for factor in factors]


def rates_of(customer: Customer, seller: Seller, category: str) -> list[TaxRate]:
    """The country's, then the region's; in each, those for the category instead of those for all."""
    rates: list[TaxRate] = []
    for region in ["", customer.region] if customer.region else [""]:
        local = [
            rate for rate in seller.tax_rates if rate.country == customer.country and rate.region == region
        ]
        special = [rate for rate in local if category and rate.category == category]
        rates += special or [rate for rate in local if not rate.category]
    return rates
