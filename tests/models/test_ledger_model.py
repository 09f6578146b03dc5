from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.ledger.model import (
    AccountType,
    Direction,
    Entry,
    debited,
    is_balanced,
    reverse,
    sale,
    transfer,
)

amounts = st.integers(-(2**63) + 1, 2**63 - 1).filter(bool)


def net(entries: Sequence[Entry]) -> dict[AccountType, int]:
    """Debits less credits by account."""
    signs = {Direction.DEBIT: 1, Direction.CREDIT: -1}
    sums: dict[AccountType, int] = {}
    for entry in entries:
        sums[entry.account] = sums.get(entry.account, 0) + signs[entry.direction] * entry.amount_minor
    return sums


@given(amounts, st.permutations(list(AccountType)))
def test_a_transfer_moves_its_amount_and_balances(amount: int, accounts: list[AccountType]) -> None:
    debit, credit, *_ = accounts
    entries = transfer(amount, "USD", debit=debit, credit=credit)
    assert net(entries) == {debit: amount, credit: -amount}
    assert all(entry.amount_minor > 0 for entry in entries)
    assert debited(entries) == abs(amount)


MINOR = st.integers(-(10**12), 10**12)


@given(MINOR, MINOR, MINOR)
def test_a_sale_balances_on_whichever_sides_its_amounts_stand(due: int, credited: int, tax: int) -> None:
    revenue = due + credited - tax
    entries = sale(
        due_minor=due, credited_minor=credited, tax_minor=tax, revenue_minor=revenue, currency="USD"
    )
    expected = {
        AccountType.RECEIVABLE: due,
        AccountType.CUSTOMER_CREDIT: credited,
        AccountType.REVENUE: -revenue,
        AccountType.TAX_PAYABLE: -tax,
    }
    assert net(entries) == {account: amount for account, amount in expected.items() if amount}
    assert sum(net(entries).values()) == 0


@given(amounts)
def test_a_reversal_leaves_nothing_of_what_it_takes_back(amount: int) -> None:
    entries = transfer(amount, "USD", debit=AccountType.RECEIVABLE, credit=AccountType.REVENUE)
    assert set(net((*entries, *reverse(entries))).values()) == {0}
    assert reverse(reverse(entries)) == entries


@pytest.mark.parametrize(
    ("sums", "balanced"),
    [
        ([], True),
        ([("USD", 5, 0), ("USD", 0, 5)], True),
        ([("USD", 5, 0), ("USD", 0, 4)], False),
        ([("USD", 5, 0), ("EUR", 0, 5)], False),
        ([("USD", 5, 0), ("EUR", 0, 3), ("EUR", 3, 0), ("USD", 1, 6)], True),
    ],
)
def test_the_books_balance_in_every_currency_or_not_at_all(
    sums: list[tuple[str, int, int]], balanced: bool
) -> None:
    assert is_balanced(sums) is balanced


def test_an_entry_names_account_side_and_amount() -> None:
    debit, credit = transfer(5, "USD", debit=AccountType.CASH, credit=AccountType.RECEIVABLE)
    assert debit == Entry(AccountType.CASH, Direction.DEBIT, "USD", 5)
    assert credit == Entry(AccountType.RECEIVABLE, Direction.CREDIT, "USD", 5)
