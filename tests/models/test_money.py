from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from iso4217 import Currency

from corebilling.errors import InvalidArgument
from corebilling.values.currency import EXPONENTS, check_currency
from corebilling.values.money import (
    Rounding,
    exact_amount,
    major_units,
    minor_units,
    round_half_up,
    round_number,
    round_to,
)


def test_our_currencies_and_exponents_are_those_of_iso_4217() -> None:
    iso = {currency.code: currency.exponent for currency in Currency if currency.exponent is not None}
    assert iso == EXPONENTS


@pytest.mark.parametrize("code", ["", "usd", "XXX", "XTS", "XAU", "ABC"])
def test_what_is_no_currency_is_refused_by_name(code: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_currency(code)
    assert (refused.value.reason, refused.value.facts) == ("CURRENCY_UNKNOWN", {"currency": code})


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("12.344999999999999999999999999999", "USD", 1234),
        ("12.345", "USD", 1235),
        ("-12.345", "USD", -1235),
        ("2.5", "JPY", 3),
        ("0.4999", "JPY", 0),
        ("1.2345", "KWD", 1235),
        ("0.00005", "CLF", 1),
        ("99999999999999999999999999999.995", "USD", 10000000000000000000000000000000),
        ("2E+1", "USD", 2000),
        ("0", "USD", 0),
    ],
)
def test_amounts_round_half_up_to_the_currencys_own_exponent(amount: str, currency: str, minor: int) -> None:
    assert minor_units(Decimal(amount), currency) == minor


@pytest.mark.parametrize(
    ("minor", "currency", "text"),
    [(2580, "USD", "25.80"), (-5, "USD", "-0.05"), (7, "JPY", "7"), (1, "KWD", "0.001")],
)
def test_minor_units_read_back_with_all_the_decimals_of_the_currency(
    minor: int, currency: str, text: str
) -> None:
    assert str(major_units(minor, currency)) == text


@given(st.fractions(), st.sampled_from(sorted(EXPONENTS)))
def test_rounding_moves_an_amount_by_at_most_half_a_minor_unit_and_mirrors_its_reversal(
    amount: Fraction, currency: str
) -> None:
    scaled = amount * 10 ** EXPONENTS[currency]
    assert abs(round_half_up(scaled) - scaled) <= Fraction(1, 2)
    assert round_half_up(-scaled) == -round_half_up(scaled)


@pytest.mark.parametrize(
    ("number", "half_up", "half_even", "down", "up"),
    [
        ("2.5", 3, 2, 2, 3),
        ("3.5", 4, 4, 3, 4),
        ("2.4", 2, 2, 2, 3),
        ("2.6", 3, 3, 2, 3),
        ("-2.5", -3, -2, -2, -3),
        ("-0.1", 0, 0, 0, -1),
        ("7", 7, 7, 7, 7),
    ],
)
def test_each_way_of_rounding_mirrors_a_number_and_its_negative(number, half_up, half_even, down, up) -> None:
    expected = dict(zip(Rounding, (half_up, half_even, down, up), strict=True))
    assert {way: round_number(Decimal(number), way) for way in Rounding} == expected
    assert {way: -round_number(-Decimal(number), way) for way in Rounding} == expected


def test_a_factor_is_rounded_to_decimals() -> None:
    assert round_to(Fraction(2, 3), 9) == Fraction("0.666666667")
    assert round_to(Fraction(2, 3), 2, Rounding.DOWN) == Fraction("0.66")
    assert round_to(Fraction(1555), -2) == 1600


@given(st.decimals(-(10**20), 10**20, places=12), st.decimals(0, 10**20, places=12))
def test_a_product_of_quantity_and_price_is_kept_to_the_last_digit(quantity: Decimal, price: Decimal) -> None:
    product = Fraction(quantity) * Fraction(price)
    assert Fraction(exact_amount(product)) == product


def test_a_third_three_times_is_a_whole_as_long_as_it_is_a_fraction() -> None:
    third = Fraction(Decimal("0.01")) / 3
    assert exact_amount(third + third + third) == Decimal("0.01")
    assert str(exact_amount(third)).startswith("0.00333333333333333333333333333333333333")
