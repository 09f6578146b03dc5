from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.discount import (
    Discount,
    DiscountKind,
    PercentBasis,
    apply_discounts,
)
from corebilling.values.money import Rounding

LINE_IDS = ["a", "b", "c", "d"]
LINES = st.dictionaries(st.sampled_from(LINE_IDS), st.integers(-(10**5), 10**7), min_size=1)
SCOPES = st.none() | st.frozensets(st.sampled_from(LINE_IDS))
DISCOUNTS = st.lists(
    st.builds(
        Discount,
        st.text("pqrst", min_size=1, max_size=3),
        st.sampled_from(DiscountKind),
        st.decimals(0, 100, places=3),
        st.integers(0, 10**7),
        SCOPES,
    ),
    max_size=5,
    unique_by=lambda discount: discount.id,
)


def percent(discount_id: str, value: str, *lines: str) -> Discount:
    scope = frozenset(lines) if lines else None
    return Discount(discount_id, DiscountKind.PERCENT, percent=Decimal(value), lines=scope)


def fixed(discount_id: str, amount_minor: int, *lines: str) -> Discount:
    scope = frozenset(lines) if lines else None
    return Discount(discount_id, DiscountKind.FIXED, amount_minor=amount_minor, lines=scope)


@given(LINES, DISCOUNTS, st.sampled_from(PercentBasis), st.sampled_from(Rounding))
def test_no_line_nor_the_invoice_is_discounted_below_zero(lines, discounts, basis, rounding) -> None:
    left = dict(lines)
    for step in apply_discounts(lines, discounts, basis=basis, rounding=rounding):
        assert step.amount_minor == sum(step.by_line.values()) >= 0
        for key, amount in step.by_line.items():
            assert 0 < amount <= left[key]
            left[key] -= amount
    assert sum(left.values()) >= min(0, sum(lines.values()))


@given(LINES, DISCOUNTS, st.randoms(use_true_random=False))
def test_the_order_in_which_discounts_come_means_nothing(lines, discounts, random) -> None:
    shuffled = random.sample(discounts, len(discounts))
    assert apply_discounts(lines, shuffled) == apply_discounts(lines, discounts)


@given(LINES, DISCOUNTS, SCOPES)
def test_a_discount_stays_within_the_lines_it_is_for(lines, discounts, scope) -> None:
    for step in apply_discounts(lines, discounts):
        assert step.discount.lines is None or step.by_line.keys() <= step.discount.lines


@pytest.mark.parametrize(
    ("discounts", "amounts"),
    [
        ([fixed("f", 5000), percent("p", "10")], {"p": 1000, "f": 5000}),
        ([percent("p", "10"), percent("q", "25")], {"p": 1000, "q": 2500}),
        ([percent("p", "70"), percent("q", "50")], {"p": 7000, "q": 3000}),
        ([fixed("f", 8000), fixed("g", 5000)], {"f": 8000, "g": 2000}),
        ([percent("p", "50", "a"), fixed("f", 6000, "a")], {"p": 3000, "f": 3000}),
    ],
)
def test_percentages_are_taken_of_the_undiscounted_lines_and_fixed_amounts_of_what_is_left(
    discounts, amounts
) -> None:
    steps = apply_discounts({"a": 6000, "b": 4000}, discounts)
    assert {step.discount.id: step.amount_minor for step in steps} == amounts


def test_a_percentage_of_everything_takes_no_more_off_a_line_than_is_left_of_it() -> None:
    most, half = apply_discounts({"a": 100, "b": 100}, [percent("1", "80", "a"), percent("2", "50")])
    assert (most.by_line, half.by_line) == ({"a": 80}, {"a": 20, "b": 50})


def test_percentages_of_the_remainder_compound_in_the_order_given() -> None:
    steps = apply_discounts(
        {"a": 9999},
        [percent("z", "25"), percent("a", "10")],
        basis=PercentBasis.REMAINDER,
        rounding=Rounding.DOWN,
    )
    assert [(step.discount.id, step.amount_minor) for step in steps] == [("z", 2499), ("a", 750)]


def test_a_line_that_gives_something_back_is_not_discounted_and_lowers_what_is() -> None:
    (step,) = apply_discounts({"a": 100, "late": -80}, [fixed("f", 50)])
    assert step.by_line == {"a": 20}


def test_a_percentage_is_of_what_lines_below_zero_leave() -> None:
    """As of volume prices around a pause: 1,100 units are 11.00, as 100.00 and then -89.00."""
    half = Discount("dis_1", DiscountKind.PERCENT, percent=Decimal(50))
    (step,) = apply_discounts({"before": 10000, "after": -8900}, [half])
    assert (step.amount_minor, step.by_line) == (550, {"before": 550})
    elsewhere = Discount("dis_1", DiscountKind.PERCENT, percent=Decimal(50), lines=frozenset({"before"}))
    (step,) = apply_discounts({"before": 10000, "after": -8900}, [elsewhere])
    assert step.amount_minor == 1100
