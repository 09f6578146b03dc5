from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.money import Rounding, round_number
from corebilling.values.tax import (
    InclusiveRounding,
    TaxableLine,
    TaxBehavior,
    TaxRate,
    TaxRounding,
    tax_lines,
)

RATES = st.builds(TaxRate, st.sampled_from("xyz"), st.decimals(0, 40, places=4), st.booleans())
LINES = st.lists(
    st.builds(
        TaxableLine,
        st.uuids().map(str),
        st.integers(-(10**6), 10**7).map(Fraction),
        st.lists(RATES, max_size=3).map(tuple),
        st.sampled_from(["", "reverse charge"]),
    ),
    max_size=6,
)
VAT = TaxRate("vat", Decimal(20))


@given(
    LINES,
    st.sampled_from(TaxBehavior),
    st.sampled_from(TaxRounding),
    st.sampled_from(Rounding),
    st.sampled_from(InclusiveRounding),
)
def test_the_tax_is_the_sum_of_the_lines_taxes_whatever_the_rounding(
    lines, behavior, per, rounding, inclusive
) -> None:
    taxes = tax_lines(lines, behavior=behavior, per=per, rounding=rounding, inclusive_rounding=inclusive)
    assert taxes.tax_minor == sum(taxes.by_line().values()) == sum(row.tax_minor for row in taxes.rows)
    assert all(abs(row.tax_minor - row.tax) < 1 for row in taxes.rows)


@given(LINES, st.sampled_from(Rounding))
def test_the_tax_of_an_invoice_is_the_exact_sum_rounded_once(lines, rounding) -> None:
    taxes = tax_lines(lines, rounding=rounding)
    assert taxes.tax_minor == round_number(sum((row.tax for row in taxes.rows), Fraction(0)), rounding)


@given(st.integers(0, 10**9), st.lists(RATES, max_size=3).map(tuple))
def test_an_inclusive_tax_and_its_net_amount_are_the_gross_amount(gross, rates) -> None:
    taxes = tax_lines([TaxableLine("a", Fraction(gross), rates)], behavior=TaxBehavior.INCLUSIVE)
    exact = sum((row.tax for row in taxes.rows), Fraction(0))
    again = tax_lines([TaxableLine("a", gross - exact, rates)])
    assert sum((row.tax for row in again.rows), Fraction(0)) == exact
    assert 0 <= taxes.tax_minor <= gross


@given(LINES)
def test_taxes_of_a_reversal_mirror_what_it_takes_back(lines) -> None:
    back = [TaxableLine(line.id, -line.amount, line.rates, line.exemption) for line in lines]
    taken, given_back = tax_lines(lines), tax_lines(back)
    assert [row.tax_minor for row in given_back.rows] == [-row.tax_minor for row in taken.rows]


def test_residue_of_the_invoices_tax_goes_to_the_lines_that_were_cut_most() -> None:
    lines = [TaxableLine(line_id, Fraction(33), (TaxRate("t", Decimal(7)),)) for line_id in "abc"]
    assert tax_lines(lines).by_line() == {"a": 3, "b": 2, "c": 2}
    assert tax_lines(lines, per=TaxRounding.PER_LINE).by_line() == {"a": 2, "b": 2, "c": 2}


def test_compound_rates_tax_the_taxes_before_them() -> None:
    rates = (TaxRate("gst", Decimal(5)), TaxRate("pst", Decimal(10), compound=True))
    gst, pst = tax_lines([TaxableLine("a", Fraction(10000), rates)]).rows
    assert [(row.taxable, row.tax_minor) for row in (gst, pst)] == [
        (Fraction(10000), 500),
        (Fraction(10500), 1050),
    ]
    inclusive = tax_lines([TaxableLine("a", Fraction(11550), rates)], behavior=TaxBehavior.INCLUSIVE)
    assert [row.tax_minor for row in inclusive.rows] == [500, 1050]


def test_several_rates_of_a_line_are_owed_apart_and_an_exempt_line_owes_none() -> None:
    rates = (VAT, TaxRate("city", Decimal("1.5")))
    lines = [TaxableLine("a", Fraction(1000), rates), TaxableLine("b", Fraction(1000), rates, "charity")]
    taxes = tax_lines(lines)
    assert [(row.line_id, row.rate.id, row.tax_minor) for row in taxes.rows] == [
        ("a", "vat", 200),
        ("a", "city", 15),
    ]


def test_the_net_amount_is_rounded_instead_where_that_is_the_rule() -> None:
    line = TaxableLine("a", Fraction(299), (TaxRate("t", Decimal(4)),))
    owed = {
        rule: tax_lines([line], behavior=TaxBehavior.INCLUSIVE, inclusive_rounding=rule).tax_minor
        for rule in InclusiveRounding
    }
    assert owed == {InclusiveRounding.TAX: 12, InclusiveRounding.NET: 11}
