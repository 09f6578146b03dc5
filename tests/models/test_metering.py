from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from corebilling.values.metering import metered_quantity, most_before, transformed

ROUNDINGS = ("QUANTITY_ROUNDING_UP", "QUANTITY_ROUNDING_DOWN", "QUANTITY_ROUNDING_HALF_UP")

quantities = st.decimals(0, 10**15, places=6)
sizes = st.decimals("0.001", 10**6, places=3)


@st.composite
def transforms(draw: st.DrawFn) -> dict[str, str]:
    terms = {"divide_by": str(draw(sizes))}
    if draw(st.booleans()):
        terms |= {"rounding": draw(st.sampled_from(ROUNDINGS)), "block_size": str(draw(sizes))}
    return terms


@pytest.mark.parametrize(
    ("aggregation", "quantity"),
    [("sum", "7"), ("count", "4"), ("max", "4"), ("min", "0.5"), ("average", "1.75")],
)
def test_each_aggregation_bills_its_own_quantity(aggregation: str, quantity: str) -> None:
    billed = metered_quantity(
        aggregation, None, count=4, summed=Decimal(7), largest=Decimal(4), smallest=Decimal("0.5")
    )
    assert billed == Decimal(quantity)


@pytest.mark.parametrize("aggregation", ["sum", "count", "max", "min", "average"])
def test_nothing_reported_is_nothing_billed(aggregation: str) -> None:
    nothing = Decimal(0)
    assert (
        metered_quantity(aggregation, None, count=0, summed=nothing, largest=nothing, smallest=nothing) == 0
    )


@pytest.mark.parametrize(
    ("terms", "billed"),
    [
        ({"divide_by": "1000"}, "1.5"),
        ({"divide_by": "1000", "rounding": "QUANTITY_ROUNDING_UP", "block_size": "1"}, "2"),
        ({"divide_by": "1000", "rounding": "QUANTITY_ROUNDING_DOWN", "block_size": "1"}, "1"),
        ({"divide_by": "1000", "rounding": "QUANTITY_ROUNDING_HALF_UP", "block_size": "1"}, "2"),
        ({"divide_by": "1", "rounding": "QUANTITY_ROUNDING_UP", "block_size": "400"}, "1600"),
        ({"divide_by": "1", "rounding": "QUANTITY_ROUNDING_HALF_UP", "block_size": "400"}, "1600"),
        ({"divide_by": "1", "rounding": "QUANTITY_ROUNDING_DOWN", "block_size": "400"}, "1200"),
    ],
)
def test_transform_divides_and_then_rounds(terms: dict[str, str], billed: str) -> None:
    assert transformed(Decimal(1500), terms) == Decimal(billed)


@given(quantities, transforms())
def test_rounded_quantity_is_whole_blocks_less_than_one_away(
    quantity: Decimal, terms: dict[str, str]
) -> None:
    assume("rounding" in terms)
    block = Fraction(terms["block_size"])
    billed, divided = (
        Fraction(transformed(quantity, terms)),
        Fraction(quantity) / Fraction(terms["divide_by"]),
    )
    assert (billed / block).denominator == 1
    assert abs(billed - divided) < block
    if terms["rounding"] == "QUANTITY_ROUNDING_UP":
        assert billed >= divided
    if terms["rounding"] == "QUANTITY_ROUNDING_DOWN":
        assert billed <= divided


@given(quantities, quantities, transforms())
def test_more_used_is_never_less_billed(one: Decimal, other: Decimal, terms: dict[str, str]) -> None:
    assert transformed(min(one, other), terms) <= transformed(max(one, other), terms)


@given(quantities, transforms())
def test_what_is_within_the_limit_before_is_within_it_after(most: Decimal, terms: dict[str, str]) -> None:
    before = most_before(terms, most)
    assert before is not None
    assume(before > 0)
    assert transformed(before, terms) <= most
