"""Discounts: what is taken off the lines of an invoice, and which units of usage are free.

Percentages come first, then fixed amounts. Each takes off at most what is left of the lines it is for, and
all together never more than the invoice comes to. Lines below zero, which make others cheaper, are not
discounted; they lower what there is to take off from. Lines that correct earlier ones stand apart: they have
their part of the discounts that those had, see `uncharged_part`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from corebilling.values.allocation import apportion, shares
from corebilling.values.money import Rounding, round_number


class DiscountKind(StrEnum):
    PERCENT = "percent"
    FIXED = "fixed"


class PercentBasis(StrEnum):
    """What several percentages are taken of."""

    UNDISCOUNTED = "undiscounted"
    """Each of the lines as they were: 10 and 25 percent are 35, in any order."""
    REMAINDER = "remainder"
    """Each of what those before it left: 10 and 25 percent are 32.5, in the order given."""


@dataclass(frozen=True, slots=True)
class Discount:
    """What one coupon takes off.

    Args:
        percent: Of a percentage: 10 is a tenth.
        amount_minor: Of a fixed amount: in minor units of the invoice's currency.
        lines: The ids of the lines it is for; None: all.
    """

    id: str
    kind: DiscountKind
    percent: Decimal = Decimal(0)
    amount_minor: int = 0
    lines: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Discounted:
    """What a discount took off, in minor units: in total, and by the id of each line that it lowered."""

    discount: Discount
    amount_minor: int
    by_line: Mapping[str, int]


def uncharged_part(taken_minor: int, invoiced_minor: int, uncharged_minor: int) -> int:
    """Of an amount that is taken back, what is not given back, since it was never charged: its part of that.

    Taken back step by step or at once, all that was charged is given back once all is taken back.

    Args:
        taken_minor: Above zero.
        invoiced_minor: What it is taken back from, as it is by now.
        uncharged_minor: What of that was discounted, given back, or withdrawn.
    """
    return uncharged_of(min(taken_minor, invoiced_minor), invoiced_minor, uncharged_minor)


def uncharged_now(
    amount_minor: int,
    *,
    rated_minor: int,
    uncharged_minor: int,
    credit_minor: int,
    invoiced_minor: int,
    later_credit_minor: int,
) -> int:
    """What of an amount is not charged, once that takes the place of what was rated, and corrected since.

    Discounts were so much of each unit, and are of more units too; a credit was a sum that is not exceeded.

    Args:
        rated_minor: Above zero.
        uncharged_minor: What of that was not charged.
        credit_minor: What of this was paid by credits.
        invoiced_minor: What it comes to with corrections, of which credits paid `later_credit_minor`.
    """
    return (
        uncharged_of(amount_minor, rated_minor, uncharged_minor - credit_minor)
        + uncharged_of(min(amount_minor, rated_minor), rated_minor, credit_minor)
        + uncharged_of(min(amount_minor, invoiced_minor), invoiced_minor, later_credit_minor)
    )


def uncharged_of(amount_minor: int, invoiced_minor: int, uncharged_minor: int) -> int:
    """What of an amount is not charged, if so much of what was invoiced was not: all of it at most."""
    if invoiced_minor <= 0:
        return 0
    return round_number(Fraction(min(uncharged_minor, invoiced_minor) * amount_minor, invoiced_minor))


def apply_discounts(
    lines: Mapping[str, int],
    discounts: Sequence[Discount],
    *,
    basis: PercentBasis = PercentBasis.UNDISCOUNTED,
    rounding: Rounding = Rounding.HALF_UP,
) -> list[Discounted]:
    """What each discount takes off the lines, in the order applied.

    Undiscounted percentages, and the fixed amounts after them, are applied in the order of their ids, so
    that the order they come in means nothing.

    Args:
        lines: Minor units by the line's id.
        rounding: Of each percentage's total.
    """
    if basis is PercentBasis.UNDISCOUNTED:
        discounts = sorted(discounts, key=lambda discount: discount.id)
    left = dict(lines)
    applied = []
    for discount in sorted(discounts, key=lambda discount: discount.kind is DiscountKind.FIXED):
        percent_of = lines if basis is PercentBasis.UNDISCOUNTED else left
        step = _apply(discount, percent_of, left, rounding)
        for line_id, amount_minor in step.by_line.items():
            left[line_id] -= amount_minor
        applied.append(step)
    return applied


def _apply(
    discount: Discount, percent_of: Mapping[str, int], left: Mapping[str, int], rounding: Rounding
) -> Discounted:
    scope = [key for key, amount in left.items() if amount > 0 and _covers(discount, key)]
    if discount.kind is DiscountKind.PERCENT:
        part = Fraction(discount.percent) / 100
        part *= _above_zero([percent_of[key] for key in left if _covers(discount, key)])
        wanted = [min(percent_of[key] * part, Fraction(left[key])) for key in scope]
        asked_minor = round_number(sum(wanted, Fraction(0)), rounding)
    else:
        wanted = [Fraction(left[key]) for key in scope]
        asked_minor = discount.amount_minor
    # An invoice with lines below zero comes to less than the sum of those that can be discounted.
    amount_minor = min(asked_minor, sum(left[key] for key in scope), max(0, sum(left.values())))
    # Targets never lie above what is left of a line, nor therefore the parts, which are their neighbours.
    targets = wanted if amount_minor > sum(wanted) else shares(amount_minor, wanted) if scope else []
    parts = apportion(amount_minor, targets)
    by_line = {key: part for key, part in zip(scope, parts, strict=True) if part}
    return Discounted(discount, amount_minor, by_line)


def _above_zero(amounts: Sequence[int]) -> Fraction:
    """The part of amounts above zero that those below zero leave."""
    above = sum(amount for amount in amounts if amount > 0)
    return Fraction(max(0, sum(amounts)), above) if above else Fraction(0)


def _covers(discount: Discount, line_id: str) -> bool:
    return discount.lines is None or line_id in discount.lines
