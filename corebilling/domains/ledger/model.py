"""The books: every money fact is a journal, and every journal balances.

| fact               | debit      | credit     |
|--------------------|------------|------------|
| invoice finalized  | receivable | revenue    |
| payment recorded   | cash       | receivable |
| invoice voided     | its finalization, reversed |
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class AccountType(StrEnum):
    CASH = "cash"
    RECEIVABLE = "receivable"
    REVENUE = "revenue"


class Direction(StrEnum):
    DEBIT = "debit"
    CREDIT = "credit"


class Source(StrEnum):
    """What a journal is about; a fact is posted once."""

    INVOICE_FINALIZED = "invoice.finalized"
    INVOICE_VOIDED = "invoice.voided"
    PAYMENT_RECORDED = "payment.recorded"


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a journal: `amount_minor` is above zero, in minor units of the currency."""

    account: AccountType
    direction: Direction
    currency: str
    amount_minor: int


def transfer(
    amount_minor: int, currency: str, *, debit: AccountType, credit: AccountType
) -> tuple[Entry, Entry]:
    """The two entries that move an amount; a negative amount moves the other way."""
    if amount_minor < 0:
        debit, credit = credit, debit
    return (
        Entry(debit, Direction.DEBIT, currency, abs(amount_minor)),
        Entry(credit, Direction.CREDIT, currency, abs(amount_minor)),
    )


def reverse(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Entries that take back others: the sides are exchanged."""
    opposite = {Direction.DEBIT: Direction.CREDIT, Direction.CREDIT: Direction.DEBIT}
    return tuple(replace(entry, direction=opposite[entry.direction]) for entry in entries)


def debited(entries: Sequence[Entry]) -> int:
    """What a balanced journal moves, in minor units."""
    return sum(entry.amount_minor for entry in entries if entry.direction is Direction.DEBIT)


def is_balanced(sums: Iterable[tuple[str, int, int]]) -> bool:
    """Debits equal credits in every currency; `sums` are (currency, debits, credits) of each account."""
    rest: dict[str, int] = defaultdict(int)
    for currency, debit_minor, credit_minor in sums:
        rest[currency] += debit_minor - credit_minor
    return not any(rest.values())
