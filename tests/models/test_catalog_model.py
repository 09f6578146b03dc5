from dataclasses import replace
from decimal import Context, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.catalog.limits import check_price_amounts, max_quantity
from corebilling.domains.catalog.model import PriceTerms, PriceUsage, check_price_terms
from corebilling.errors import InvalidArgument
from corebilling.values.money import MAX_MINOR, major_units
from corebilling.values.price import Price, PriceModel, Tier, rate

FLAT = PriceTerms(
    model=PriceModel.FLAT,
    usage=PriceUsage.LICENSED,
    meter_id=None,
    unit_amount=Decimal(20),
    unit_size=Decimal(1),
    tiers=(),
)
METERED = replace(FLAT, model=PriceModel.PER_UNIT, usage=PriceUsage.METERED, meter_id="mtr_1")
OPEN = Tier(None, Decimal(1), Decimal(0))
GRADUATED = replace(
    METERED,
    model=PriceModel.GRADUATED,
    unit_amount=None,
    tiers=(Tier(Decimal(10), Decimal(2), Decimal(0)), OPEN),
)


@pytest.mark.parametrize("terms", [FLAT, METERED, GRADUATED, replace(GRADUATED, tiers=(OPEN,))])
def test_prices_that_hold_together_pass(terms):
    check_price_terms(terms)


@pytest.mark.parametrize(
    ("terms", "detail"),
    [
        (replace(METERED, meter_id=None), "meter_id"),
        (replace(FLAT, meter_id="mtr_1"), "meter_id"),
        (replace(METERED, model=PriceModel.FLAT), "licensed"),
        (replace(FLAT, unit_amount=None), "unit_amount"),
        (replace(GRADUATED, unit_amount=Decimal(1)), "unit_amount"),
        (replace(GRADUATED, tiers=()), "tiers"),
        (replace(FLAT, tiers=(OPEN,)), "tiers"),
        (replace(METERED, unit_size=Decimal(0)), "unit_size"),
        (replace(GRADUATED, tiers=(replace(OPEN, up_to=Decimal(5)),)), "last tier"),
        (replace(GRADUATED, tiers=(OPEN, OPEN)), "last tier"),
        (replace(GRADUATED, tiers=(replace(OPEN, up_to=Decimal(0)), OPEN)), "ascend"),
        (replace(GRADUATED, tiers=(replace(OPEN, up_to=Decimal(5)),) * 2 + (OPEN,)), "ascend"),
    ],
)
def test_a_price_that_contradicts_itself_is_refused_with_what_is_wrong(terms, detail):
    with pytest.raises(InvalidArgument) as refused:
        check_price_terms(terms)
    assert refused.value.reason == "PRICE_INVALID"
    assert detail in refused.value.message


@pytest.mark.parametrize(
    ("terms", "currency", "field", "limit"),
    [
        (
            replace(METERED, unit_amount=Decimal("10000000000000.01")),
            "USD",
            "unit_amount",
            "10000000000000.00",
        ),
        (replace(FLAT, unit_amount=Decimal(1000000000000001)), "JPY", "unit_amount", "1000000000000000"),
        (
            replace(
                GRADUATED, tiers=(replace(OPEN, up_to=Decimal(1)), replace(OPEN, unit_amount=Decimal(10**14)))
            ),
            "USD",
            "tiers[1].unit_amount",
            "10000000000000.00",
        ),
        (
            replace(GRADUATED, tiers=(replace(OPEN, flat_amount=Decimal(10**14)),)),
            "USD",
            "tiers[0].flat_amount",
            "10000000000000.00",
        ),
    ],
)
def test_an_amount_beyond_what_an_invoice_line_holds_is_refused(
    terms: PriceTerms, currency: str, field: str, limit: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_price_amounts(terms, currency)
    assert (refused.value.reason, refused.value.facts) == (
        "VALUE_OUT_OF_RANGE",
        {"field": field, "limit": limit},
    )


@pytest.mark.parametrize(
    ("terms", "quantity"),
    [
        (FLAT, None),
        (METERED, Decimal(500_000_000_000)),
        (replace(METERED, unit_size=Decimal(1000)), Decimal(500_000_000_000_000)),
        (replace(METERED, unit_amount=Decimal(3)), Decimal("3333333333333.333333333333")),
        (replace(METERED, unit_amount=Decimal(0)), None),
        (GRADUATED, Decimal(9_999_999_999_990)),
        (replace(GRADUATED, tiers=(replace(OPEN, flat_amount=Decimal(7)),)), Decimal(9_999_999_999_993)),
        (replace(GRADUATED, tiers=(Tier(Decimal(5), Decimal(10**13), Decimal(0)), OPEN)), Decimal(1)),
        (
            replace(
                GRADUATED,
                tiers=(Tier(Decimal(5), Decimal(1), Decimal(0)), replace(OPEN, flat_amount=Decimal(10**13))),
            ),
            Decimal(5),
        ),
        (replace(GRADUATED, tiers=(replace(OPEN, unit_amount=Decimal(0)),)), None),
    ],
)
def test_the_most_of_a_price_that_an_invoice_line_holds(terms: PriceTerms, quantity: Decimal | None) -> None:
    assert max_quantity(terms, "USD") == quantity


AMOUNTS = st.decimals(0, 10**13, places=12)


@st.composite
def tiered_terms(draw: st.DrawFn) -> PriceTerms:
    bounds = sorted(draw(st.sets(st.decimals("0.000000000001", 10**19, places=12), max_size=4)))
    sizes = st.sampled_from([Decimal("0.000000000001"), Decimal(1), Decimal(3), Decimal(1_000_000)])
    tiers = [Tier(up_to, draw(AMOUNTS), draw(AMOUNTS), draw(st.none() | sizes)) for up_to in [*bounds, None]]
    tiers = [replace(tier, maximum_amount=draw(st.none() | st.just(tier.flat_amount))) for tier in tiers]
    return replace(
        GRADUATED,
        model=draw(st.sampled_from([PriceModel.GRADUATED, PriceModel.VOLUME])),
        tiers=tiers,
        unit_size=draw(sizes),
        included_quantity=draw(st.sampled_from([Decimal(0), Decimal("0.000000000001"), Decimal(10**15)])),
    )


@given(tiered_terms(), st.fractions(0, 1))
def test_the_most_of_a_price_costs_what_a_line_holds_and_the_least_bit_more_costs_more(
    terms: PriceTerms, part: Fraction
):
    price = Price(
        "pri_1",
        "",
        "USD",
        terms.model,
        True,
        tiers=tuple(terms.tiers),
        unit_size=terms.unit_size,
        included_quantity=terms.included_quantity,
    )
    most, limit = max_quantity(terms, "USD"), major_units(MAX_MINOR, "USD")
    if most is None:
        assert rate(price, Decimal(10) ** 60).amount <= limit
    else:
        assert rate(price, most).amount <= limit
        assert rate(price, Fraction(most) * part).amount <= limit
        more = Context(prec=100).add(most, Decimal("0.000000000001"))
        assert rate(price, more).amount > limit


def test_a_capped_price_has_the_largest_quantity_that_it_has_without_the_cap() -> None:
    capped = replace(METERED, maximum_amount=Decimal(5))
    assert max_quantity(capped, "USD") == max_quantity(METERED, "USD") is not None
