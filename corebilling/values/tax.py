"""Taxes on the lines of an invoice, added to their amounts or contained in them.

What is owed is exact on each line and rounded once for the invoice, or once for each line. Whichever: the
tax rows, one for each line and rate, sum to what is owed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from corebilling.values.allocation import apportion
from corebilling.values.money import Rounding, round_number

DEFAULT_RATE = "default"
"""The id of the platform's own rate, for tenants without any."""


class TaxBehavior(StrEnum):
    EXCLUSIVE = "exclusive"
    """The tax is added to the amounts."""
    INCLUSIVE = "inclusive"
    """The amounts contain the tax."""


class TaxRounding(StrEnum):
    PER_INVOICE = "per_invoice"
    PER_LINE = "per_line"


class InclusiveRounding(StrEnum):
    """Which of both an amount that contains tax is rounded to; the other is the rest of it."""

    TAX = "tax"
    NET = "net"


@dataclass(frozen=True, slots=True)
class TaxRate:
    """A rate that a line is taxed with: 20 is a fifth.

    A compound rate is also applied to the taxes of the rates that come before it on the line.
    """

    id: str
    percent: Decimal
    compound: bool = False


@dataclass(frozen=True, slots=True)
class TaxableLine:
    """An amount in minor units (with the tax, if taxes are inclusive), whole or not, and its rates.

    A line with an exemption is not taxed, whatever its rates; the exemption says why.
    """

    id: str
    amount: Fraction
    rates: tuple[TaxRate, ...] = ()
    exemption: str = ""


@dataclass(frozen=True, slots=True)
class TaxRow:
    """What a line owes at one rate.

    Args:
        taxable: What the rate was applied to, in exact minor units.
        tax: The exact tax, in minor units.
        tax_minor: Its part of what is owed.
    """

    line_id: str
    rate: TaxRate
    taxable: Fraction
    tax: Fraction
    tax_minor: int


@dataclass(frozen=True, slots=True)
class Taxes:
    """What the lines owe in total, and the rows it consists of."""

    tax_minor: int
    rows: tuple[TaxRow, ...]

    def by_line(self) -> Mapping[str, int]:
        """Whole minor units by the id of the line; lines without taxes left out."""
        sums: dict[str, int] = {}
        for row in self.rows:
            sums[row.line_id] = sums.get(row.line_id, 0) + row.tax_minor
        return sums


def tax_lines(
    lines: Sequence[TaxableLine],
    *,
    behavior: TaxBehavior = TaxBehavior.EXCLUSIVE,
    per: TaxRounding = TaxRounding.PER_INVOICE,
    rounding: Rounding = Rounding.HALF_UP,
    inclusive_rounding: InclusiveRounding = InclusiveRounding.TAX,
) -> Taxes:
    """The taxes on the lines of one invoice, in minor units of its currency."""
    groups = [[line] for line in lines] if per is TaxRounding.PER_LINE else [list(lines)]
    # Many lines share few combinations of rates.
    multiples = {rates: _multiples(rates, behavior) for rates in {line.rates for line in lines}}
    rows: list[TaxRow] = []
    for group in groups:
        exact = [row for line in group for row in _exact_rows(line, multiples[line.rates])]
        if not exact:
            continue
        tax = sum((row.tax for row in exact), Fraction(0))
        if behavior is TaxBehavior.INCLUSIVE and inclusive_rounding is InclusiveRounding.NET:
            gross = sum((line.amount for line in group), Fraction(0))
            owed_minor = round_number(gross) - round_number(gross - tax, rounding)
        else:
            owed_minor = round_number(tax, rounding)
        parts = apportion(owed_minor, [row.tax for row in exact])
        rows += [replace(row, tax_minor=part) for row, part in zip(exact, parts, strict=True)]
    return Taxes(sum(row.tax_minor for row in rows), tuple(rows))


def _exact_rows(line: TaxableLine, multiples: Sequence[tuple[Fraction, Fraction]]) -> list[TaxRow]:
    if line.exemption:
        return []
    return [
        TaxRow(line.id, rate, line.amount * base, line.amount * tax, 0)
        for rate, (base, tax) in zip(line.rates, multiples, strict=True)
    ]


def _multiples(rates: Sequence[TaxRate], behavior: TaxBehavior) -> list[tuple[Fraction, Fraction]]:
    """For each rate what it is applied to and what it comes to, both as multiples of a line's amount."""
    multiples = []
    taxes = Fraction(0)
    for rate in rates:
        base = 1 + taxes if rate.compound else Fraction(1)
        tax = base * Fraction(rate.percent) / 100
        multiples.append((base, tax))
        taxes += tax
    net = 1 / (1 + taxes) if behavior is TaxBehavior.INCLUSIVE else Fraction(1)
    return [(base * net, tax * net) for base, tax in multiples]
