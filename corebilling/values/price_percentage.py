"""Shares of transactions: so many percent of each one's value and a fixed fee, beyond a free allowance.

What a transaction costs depends on itself and on how much of the allowance is left when it comes: they are
rated in the order of time, and a period can be rated in parts (`Allowance` is where the parts meet). A total
alone is not enough, unless nothing is free and no transaction has a least or most that it costs.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

_NOTHING = Fraction(0)


@dataclass(frozen=True, slots=True)
class Percentage:
    """What each transaction is charged, in major units.

    The first `free_transactions` worth `free_value` together are free: the allowance ends with whichever is
    used up first, and a limit of None or 0 does not count. With neither, nothing is free.
    """

    percent: Decimal
    fixed_amount: Decimal = Decimal(0)
    free_transactions: int | None = None
    free_value: Decimal | None = None
    minimum_amount: Decimal | None = None
    """The least that a transaction costs, unless all of it is free."""
    maximum_amount: Decimal | None = None
    """The most that a transaction costs, the fixed fee included."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much of the free allowance earlier transactions of the period took."""

    transactions: int = 0
    value: Fraction = _NOTHING
    used_up: bool = False


@dataclass(frozen=True, slots=True)
class RatedTransactions:
    """An exact amount in major units, and where it comes from.

    `amount` = `rate_amount` + `fixed_amount` + `floor_amount` + `ceiling_amount`; the last two are what the
    least and the most per transaction changed. A transaction that is free in part counts as paid.
    """

    amount: Fraction = _NOTHING
    rate_amount: Fraction = _NOTHING
    fixed_amount: Fraction = _NOTHING
    floor_amount: Fraction = _NOTHING
    ceiling_amount: Fraction = _NOTHING
    free_transactions: int = 0
    free_value: Fraction = _NOTHING
    paid_transactions: int = 0
    paid_value: Fraction = _NOTHING
    allowance: Allowance = Allowance()
    """What is left of it for the transactions that follow."""


def rate_transactions(
    terms: Percentage, values: Iterable[Decimal | Fraction], allowance: Allowance | None = None
) -> RatedTransactions:
    """What the transactions of these values cost, in the order given.

    One that crosses the end of the free value pays the fixed fee, and the percentage of its excess.
    """
    rated = RatedTransactions(allowance=allowance or _fresh(terms))
    for value in values:
        rated = _add(terms, rated, Fraction(value))
    return rated


@dataclass(frozen=True, slots=True)
class Transactions:
    """Transactions that cost the same, since the same part of each is paid for; or any, where nothing bounds
    what one costs. Values are of all of them together. `free` ones are within the allowance as a whole.
    """

    count: int
    paid_value: Fraction
    free_value: Fraction = _NOTHING
    free: bool = False


def rate_groups(terms: Percentage, groups: Iterable[Transactions]) -> RatedTransactions:
    """The same of a whole period, where what is free was found out before; in any order."""
    rated = RatedTransactions()
    for group in groups:
        if group.free:
            rated = replace(
                rated,
                free_transactions=rated.free_transactions + group.count,
                free_value=rated.free_value + group.free_value,
            )
        else:
            rated = _add_paid(terms, rated, group)
    return rated


def _fresh(terms: Percentage) -> Allowance:
    return Allowance(used_up=not terms.free_transactions and not terms.free_value)


def _add(terms: Percentage, rated: RatedTransactions, value: Fraction) -> RatedTransactions:
    free = _free_part(terms, rated.allowance, value)
    allowance = _take(terms, rated.allowance, free) if free is not None else rated.allowance
    if free == value:
        return replace(
            rated,
            free_transactions=rated.free_transactions + 1,
            free_value=rated.free_value + value,
            allowance=allowance,
        )
    free = free or _NOTHING
    return replace(_add_paid(terms, rated, Transactions(1, value - free, free)), allowance=allowance)


def _add_paid(terms: Percentage, rated: RatedTransactions, group: Transactions) -> RatedTransactions:
    count, paid = group.count, group.paid_value / group.count
    share = paid * Fraction(terms.percent) / 100
    fixed = Fraction(terms.fixed_amount)
    floored = max(share + fixed, Fraction(terms.minimum_amount or 0))
    amount = floored if terms.maximum_amount is None else min(floored, Fraction(terms.maximum_amount))
    return replace(
        rated,
        amount=rated.amount + count * amount,
        rate_amount=rated.rate_amount + count * share,
        fixed_amount=rated.fixed_amount + count * fixed,
        floor_amount=rated.floor_amount + count * (floored - share - fixed),
        ceiling_amount=rated.ceiling_amount + count * (amount - floored),
        free_value=rated.free_value + group.free_value,
        paid_transactions=rated.paid_transactions + count,
        paid_value=rated.paid_value + group.paid_value,
    )


def _free_part(terms: Percentage, used: Allowance, value: Fraction) -> Fraction | None:
    """How much of the transaction the allowance still holds; None once it is used up."""
    if used.used_up:
        return None
    return min(value, Fraction(terms.free_value) - used.value) if terms.free_value else value


def _take(terms: Percentage, used: Allowance, free: Fraction) -> Allowance:
    transactions, value = used.transactions + 1, used.value + free
    counted_out = bool(terms.free_transactions) and transactions >= (terms.free_transactions or 0)
    spent = bool(terms.free_value) and value >= Fraction(terms.free_value or 0)
    return Allowance(transactions, value, used_up=counted_out or spent)
