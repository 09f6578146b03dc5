"""What an invoice comes to: its lines, and what is done to them in one fixed order.

    lines, true-ups of commitments among them -> discounts -> credits -> tax -> prepaid -> amount due

Credits come before the tax, or by the tenant's choice after it.

All amounts are whole minor units of the invoice's currency. Everything that changes what is due is kept,
by line where it is one line's: from this an invoice is explained, printed, posted and checked again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from corebilling.values.allocation import largest_remainder
from corebilling.values.credit import (
    Credit,
    CreditApplication,
    CreditKind,
    CreditUse,
    usable_credits,
    use_credits,
)
from corebilling.values.discount import Discount, Discounted, PercentBasis, apply_discounts
from corebilling.values.money import Rounding
from corebilling.values.tax import (
    InclusiveRounding,
    TaxableLine,
    TaxBehavior,
    Taxes,
    TaxRate,
    TaxRounding,
    tax_lines,
)


@dataclass(slots=True)  # Not frozen: that takes three times as long, and each invoice has many.
class AmountLine:
    """An amount, rounded once, and what it is taxed with; an exemption says why it is not taxed at all.

    A settled discount is all that is taken off the line: below zero where an amount is taken back that had
    been discounted. None: the discounts in force say.
    """

    id: str
    amount_minor: int
    rates: tuple[TaxRate, ...] = ()
    exemption: str = ""
    settled_discount_minor: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """By which rules an invoice is worked out; the defaults are the product's."""

    currency: str
    at: datetime
    tax_behavior: TaxBehavior = TaxBehavior.EXCLUSIVE
    tax_rounding: TaxRounding = TaxRounding.PER_INVOICE
    inclusive_rounding: InclusiveRounding = InclusiveRounding.TAX
    credit_application: CreditApplication = CreditApplication.BEFORE_TAX
    percent_basis: PercentBasis = PercentBasis.UNDISCOUNTED
    rounding: Rounding = Rounding.HALF_UP


@dataclass(slots=True)  # Not frozen: that takes three times as long, and each invoice has many.
class LineResult:
    """What became of a line.

    Args:
        taxable_minor: What is left of it after discounts and credits; inclusive taxes are in it.
        tax_minor: Its part of the invoice's tax.
    """

    line: AmountLine
    discount_minor: int
    credit_minor: int
    taxable_minor: int
    tax_minor: int


@dataclass(frozen=True, slots=True)
class InvoiceAmounts:
    """What an invoice comes to, and where each part of it comes from.

    Args:
        discounts: In the order applied; settled ones are with the lines.
        credits: Used before or after tax; prepaid ones are apart.
        subtotal_minor: The sum of the lines.
        total_minor: What the invoice is about: with tax, before anything paid for it in advance.
        due_minor: What is left to be paid.
    """

    lines: tuple[LineResult, ...]
    discounts: tuple[Discounted, ...]
    credits: tuple[CreditUse, ...]
    taxes: Taxes
    prepaid: tuple[CreditUse, ...]
    subtotal_minor: int
    discount_minor: int
    credit_minor: int
    tax_minor: int
    total_minor: int
    prepaid_minor: int
    due_minor: int


def work_out(
    lines: Sequence[AmountLine],
    terms: Terms,
    *,
    discounts: Sequence[Discount] = (),
    available: Sequence[Credit] = (),
) -> InvoiceAmounts:
    """What the lines come to.

    An invoice that comes to less than nothing uses no credits and is discounted no further.

    Args:
        available: All credits of the customer; those that do not hold are passed over.
    """
    amounts = {line.id: line.amount_minor for line in lines}
    settled = {
        line.id: line.settled_discount_minor for line in lines if line.settled_discount_minor is not None
    }
    discounted = apply_discounts(
        {key: amount for key, amount in amounts.items() if key not in settled},
        discounts,
        basis=terms.percent_basis,
        rounding=terms.rounding,
    )
    off = _sums([settled, *(step.by_line for step in discounted)])
    left = {key: amount - off.get(key, 0) for key, amount in amounts.items()}

    usable = usable_credits(available, terms.currency, terms.at)
    others = [credit for credit in usable if credit.kind is not CreditKind.PREPAID]
    before = terms.credit_application is CreditApplication.BEFORE_TAX
    used = use_credits(others, sum(left.values())) if before else []
    credited = _spread(sum(use.amount_minor for use in used), left)
    left = {key: amount - credited[key] for key, amount in left.items()}

    taxable = [TaxableLine(line.id, Fraction(left[line.id]), line.rates, line.exemption) for line in lines]
    taxes = tax_lines(
        taxable,
        behavior=terms.tax_behavior,
        per=terms.tax_rounding,
        rounding=terms.rounding,
        inclusive_rounding=terms.inclusive_rounding,
    )
    added_minor = taxes.tax_minor if terms.tax_behavior is TaxBehavior.EXCLUSIVE else 0
    total_minor = sum(left.values()) + added_minor

    if not before:
        used = use_credits(others, total_minor)
        total_minor -= sum(use.amount_minor for use in used)
    prepaid = use_credits([credit for credit in usable if credit.kind is CreditKind.PREPAID], total_minor)
    prepaid_minor = sum(use.amount_minor for use in prepaid)
    tax_by_line = taxes.by_line()
    return InvoiceAmounts(
        lines=tuple(
            LineResult(
                line, off.get(line.id, 0), credited[line.id], left[line.id], tax_by_line.get(line.id, 0)
            )
            for line in lines
        ),
        discounts=tuple(discounted),
        credits=tuple(used),
        taxes=taxes,
        prepaid=tuple(prepaid),
        subtotal_minor=sum(amounts.values()),
        discount_minor=sum(off.values()),
        credit_minor=sum(use.amount_minor for use in used),
        tax_minor=taxes.tax_minor,
        total_minor=total_minor,
        prepaid_minor=prepaid_minor,
        due_minor=total_minor - prepaid_minor,
    )


def _spread(amount_minor: int, left: Mapping[str, int]) -> dict[str, int]:
    """An amount by line, in proportion to what is left of those above zero."""
    if not amount_minor:  # As of nearly every invoice.
        return dict.fromkeys(left, 0)
    weights = [max(0, amount) for amount in left.values()]
    return dict(zip(left, largest_remainder(amount_minor, weights), strict=True))


def _sums(steps: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for step in steps:
        for key, amount_minor in step.items():
            sums[key] = sums.get(key, 0) + amount_minor
    return sums
