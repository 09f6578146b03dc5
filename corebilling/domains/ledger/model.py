"""The books: every money fact is a journal, and every journal balances.

| fact               | debit                       | credit                      |
|--------------------|-----------------------------|-----------------------------|
| invoice finalized  | receivable, customer credit | revenue, tax payable        |
| payment recorded   | cash                        | receivable                  |
| invoice voided     | its finalization, reversed  |                             |
| invoice written off| bad debt                    | receivable                  |
| it is paid still   | receivable                  | bad debt; then as a payment |
| credits applied    | customer credit             | receivable                  |
| credit note issued | revenue, tax payable        | receivable, customer credit |
| credit granted     | expense                     | customer credit             |
| prepaid received   | cash                        | customer credit             |
| credit voided      | its grant, as far as it was not used, reversed            |
| credit expired     | the same; of a prepaid one, customer credit / breakage    |

What is invoiced for service still to come is deferred revenue first: see `deferral`.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum


class AccountType(StrEnum):
    CASH = "cash"
    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    TAX_PAYABLE = "tax_payable"
    CUSTOMER_CREDIT = "customer_credit"
    EXPENSE = "expense"
    BAD_DEBT = "bad_debt"
    DEFERRED_REVENUE = "deferred_revenue"
    BREAKAGE = "breakage"


class Direction(StrEnum):
    DEBIT = "debit"
    CREDIT = "credit"


class Source(StrEnum):
    """What a journal is about; a fact is posted once."""

    INVOICE_FINALIZED = "invoice.finalized"
    INVOICE_VOIDED = "invoice.voided"
    INVOICE_WRITTEN_OFF = "invoice.written_off"
    INVOICE_RECOVERED = "invoice.recovered"
    CREDITS_APPLIED = "invoice.credits_applied"
    CREDITS_RETURNED = "invoice.credits_returned"
    PAYMENT_RECORDED = "payment.recorded"
    CREDIT_GRANTED = "credit.granted"
    CREDIT_VOIDED = "credit.voided"
    CREDIT_EXPIRED = "credit.expired"
    CREDIT_NOTE_ISSUED = "credit_note.issued"
    REVENUE_RECOGNIZED = "revenue.recognized"
    RECOGNITION_REVERSED = "revenue.recognition_reversed"


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


def sale(
    *,
    due_minor: int,
    credited_minor: int,
    tax_minor: int,
    revenue_minor: int,
    currency: str,
    deferred_minor: int = 0,
) -> tuple[Entry, ...]:
    """The entries of something sold: what is due for it, and what credits paid, is revenue and tax.

    Amounts below zero stand on the other side; those of zero are left out.

    Args:
        deferred_minor: Of the revenue, what is not earned yet.
    """
    debits = {
        AccountType.RECEIVABLE: due_minor,
        AccountType.CUSTOMER_CREDIT: credited_minor,
        AccountType.REVENUE: deferred_minor - revenue_minor,
        AccountType.DEFERRED_REVENUE: -deferred_minor,
        AccountType.TAX_PAYABLE: -tax_minor,
    }
    assert not sum(debits.values()), "what is paid and due for a sale is its revenue and tax"
    return tuple(
        Entry(account, Direction.DEBIT if amount > 0 else Direction.CREDIT, currency, abs(amount))
        for account, amount in debits.items()
        if amount
    )


def write_off(amount_minor: int, currency: str) -> tuple[Entry, Entry]:
    """The entries of money that will not come: all of it is a loss.

    Its tax stays payable: whether an authority gives it back, and when, is claimed by whoever owes it.
    """
    return transfer(amount_minor, currency, debit=AccountType.BAD_DEBT, credit=AccountType.RECEIVABLE)


def application(amount_minor: int, currency: str) -> tuple[Entry, Entry]:
    """The entries of credit that is used for what is owed already; below zero it is taken back."""
    return transfer(amount_minor, currency, debit=AccountType.CUSTOMER_CREDIT, credit=AccountType.RECEIVABLE)


def expiry(amount_minor: int, currency: str, *, prepaid: bool) -> tuple[Entry, Entry]:
    """The entries of credit never used: a gift cost nothing then, and what was prepaid is earned."""
    earned = AccountType.BREAKAGE if prepaid else AccountType.EXPENSE
    return transfer(amount_minor, currency, debit=AccountType.CUSTOMER_CREDIT, credit=earned)


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
