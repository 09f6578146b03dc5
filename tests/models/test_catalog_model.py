from dataclasses import replace
from decimal import Decimal

import pytest

from corebilling.domains.catalog.model import PriceModel, PriceTerms, PriceUsage, Tier, check_price_terms
from corebilling.errors import InvalidArgument

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
