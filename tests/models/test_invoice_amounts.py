from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.invoice.amounts import AmountLine, Terms, work_out
from corebilling.values.credit import Credit, CreditApplication, CreditKind
from corebilling.values.discount import Discount, DiscountKind
from corebilling.values.tax import TaxBehavior, TaxRate, TaxRounding

NOW = datetime(2026, 3, 1, tzinfo=UTC)
VAT = (TaxRate("vat", Decimal(20)),)
TEN_OFF = Discount("ten", DiscountKind.PERCENT, percent=Decimal(10))


def credit(kind: CreditKind, minor: int) -> Credit:
    return Credit(kind, kind, "USD", minor, NOW, NOW)


LINES = st.lists(
    st.builds(
        AmountLine,
        st.uuids().map(str),
        st.integers(-(10**5), 10**7),
        st.sampled_from([(), VAT, (*VAT, TaxRate("city", Decimal("1.375"), compound=True))]),
    ),
    max_size=5,
)
TERMS = st.builds(
    Terms,
    st.just("USD"),
    st.just(NOW),
    st.sampled_from(TaxBehavior),
    st.sampled_from(TaxRounding),
    credit_application=st.sampled_from(CreditApplication),
)
CREDITS = st.lists(st.builds(credit, st.sampled_from(CreditKind), st.integers(0, 10**7)), max_size=3)
DISCOUNTS = st.lists(
    st.builds(
        Discount,
        st.text("abc", min_size=1),
        st.sampled_from(DiscountKind),
        st.decimals(0, 100, places=2),
        st.integers(0, 10**6),
    ),
    max_size=3,
    unique_by=lambda discount: discount.id,
)


@given(LINES, TERMS, DISCOUNTS, CREDITS)
def test_every_cent_of_what_is_due_comes_from_a_line_a_discount_a_credit_or_a_tax(
    lines, terms, discounts, held
) -> None:
    made = work_out(lines, terms, discounts=discounts, available=held)
    added = made.tax_minor if terms.tax_behavior is TaxBehavior.EXCLUSIVE else 0
    assert made.total_minor == made.subtotal_minor - made.discount_minor - made.credit_minor + added
    assert made.due_minor == made.total_minor - made.prepaid_minor
    assert made.subtotal_minor == sum(result.line.amount_minor for result in made.lines)
    assert made.discount_minor == sum(result.discount_minor for result in made.lines)
    assert made.tax_minor == sum(result.tax_minor for result in made.lines)
    for result in made.lines:
        assert result.taxable_minor == (
            result.line.amount_minor - result.discount_minor - result.credit_minor
        )
        assert min(result.discount_minor, result.credit_minor) >= 0
        assert result.line.amount_minor < 0 or result.taxable_minor >= 0
    if made.subtotal_minor >= 0:
        assert min(made.total_minor, made.due_minor) >= min(0, added)


def test_the_steps_follow_one_another() -> None:
    made = work_out(
        [AmountLine("fee", 6000, VAT), AmountLine("usage", 2000, VAT), AmountLine("true-up", 2000, VAT)],
        Terms("USD", NOW),
        discounts=[TEN_OFF],
        available=[credit(CreditKind.PREPAID, 5000), credit(CreditKind.PROMOTIONAL, 1000)],
    )
    assert [result.discount_minor for result in made.lines] == [600, 200, 200]
    assert [result.credit_minor for result in made.lines] == [600, 200, 200]
    assert (made.subtotal_minor, made.discount_minor, made.credit_minor) == (10000, 1000, 1000)
    assert (made.tax_minor, made.total_minor) == (1600, 9600)
    assert (made.prepaid_minor, made.due_minor) == (5000, 4600)


def test_credits_after_tax_leave_the_tax_as_it_is() -> None:
    terms = Terms("USD", NOW, credit_application=CreditApplication.AFTER_TAX)
    made = work_out([AmountLine("fee", 1000, VAT)], terms, available=[credit(CreditKind.REFUND, 5000)])
    assert (made.tax_minor, made.credit_minor, made.total_minor, made.due_minor) == (200, 1200, 0, 0)


def test_inclusive_taxes_are_in_what_is_due() -> None:
    terms = Terms("USD", NOW, tax_behavior=TaxBehavior.INCLUSIVE)
    made = work_out([AmountLine("fee", 1200, VAT)], terms, discounts=[TEN_OFF])
    assert (made.tax_minor, made.total_minor) == (180, 1080)


def test_an_invoice_that_gives_back_more_than_it_charges_uses_no_credit() -> None:
    made = work_out(
        [AmountLine("fee", 100, VAT), AmountLine("late", -300, VAT)],
        Terms("USD", NOW),
        discounts=[TEN_OFF],
        available=[credit(CreditKind.PROMOTIONAL, 1000), credit(CreditKind.PREPAID, 1000)],
    )
    assert (made.discount_minor, made.credit_minor, made.prepaid_minor) == (0, 0, 0)
    assert (made.tax_minor, made.due_minor) == (-40, -240)
