from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.errors import InvalidArgument
from corebilling.values.allocation import shares
from corebilling.values.credit_note import (
    CreditNote,
    Invoiced,
    InvoicedLine,
    credit_invoice,
    creditable,
)
from corebilling.values.money import round_number


def invoiced(amounts: list[int], discount_minor: int, percents: list[int]) -> Invoiced:
    discount_minor = min(discount_minor, sum(amounts))
    off = shares(discount_minor, amounts)
    lines = tuple(
        InvoicedLine(str(place), amount, share, (amount - share) * percent / 100)
        for place, (amount, share, percent) in enumerate(zip(amounts, off, percents, strict=True))
    )
    return Invoiced(lines, discount_minor, round_number(sum((line.tax for line in lines), Fraction(0))))


@st.composite
def invoices_in_parts(draw):
    """An invoice, and amounts of its lines that together are all of it, in any order."""
    amounts = draw(st.lists(st.integers(1, 500), min_size=1, max_size=5))
    percents = [draw(st.integers(0, 30)) for _ in amounts]
    invoice = invoiced(amounts, draw(st.integers(0, 900)), percents)
    parts = []
    for place, amount in enumerate(amounts):
        cuts = sorted(draw(st.sets(st.integers(1, amount), max_size=3)) | {0, amount})
        parts += [(str(place), end - start) for start, end in pairwise(cuts)]
    return invoice, draw(st.permutations(parts))


@given(invoices_in_parts())
def test_credit_notes_in_any_split_reverse_the_invoice_exactly(case) -> None:
    invoice, parts = case
    notes: list[CreditNote] = []
    for line_id, amount_minor in parts:
        note = credit_invoice(invoice, notes, {line_id: amount_minor})
        assert min(note.discount_minor, note.subtotal_minor, note.tax_minor) >= 0
        notes.append(note)
        assert sum(note.total_minor for note in notes) <= invoice.total_minor
    assert sum(note.total_minor for note in notes) == invoice.total_minor
    assert sum(note.tax_minor for note in notes) == invoice.tax_minor
    assert sum(note.discount_minor for note in notes) == invoice.discount_minor
    assert not any(creditable(invoice, notes).values())


def test_the_note_that_credits_the_last_of_it_takes_the_tax_that_is_left() -> None:
    invoice = invoiced([6833, 6833], 0, [20, 20])
    first = credit_invoice(invoice, [], {"0": 6833})
    last = credit_invoice(invoice, [first], {"1": 6833})
    assert (first.total_minor, last.total_minor, invoice.total_minor) == (8200, 8199, 16399)


def test_part_of_a_line_gives_back_that_part_of_its_discount_and_tax() -> None:
    note = credit_invoice(invoiced([10000, 10000], 2000, [20, 0]), [], {"0": 5000})
    assert (note.discount_minor, note.subtotal_minor, note.tax_minor) == (500, 4500, 900)


@pytest.mark.parametrize(("line_id", "amount_minor"), [("0", 41), ("1", 1), ("0", -1)])
def test_more_than_is_left_of_a_line_is_refused(line_id: str, amount_minor: int) -> None:
    invoice = invoiced([100], 0, [20])
    earlier = credit_invoice(invoice, [], {"0": 60})
    with pytest.raises(InvalidArgument) as refused:
        credit_invoice(invoice, [earlier], {line_id: amount_minor})
    assert refused.value.reason == "CREDIT_EXCEEDS_INVOICE"


def test_an_invoice_that_gave_something_back_is_credited_for_no_more_than_it_came_to() -> None:
    invoice = Invoiced((InvoicedLine("a", 100), InvoicedLine("late", -80)), 0, 0)
    with pytest.raises(InvalidArgument):
        credit_invoice(invoice, [], {"a": 100})
    assert credit_invoice(invoice, [], {"a": 100, "late": -80}).total_minor == 20
