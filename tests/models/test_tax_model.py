from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from corebilling.domains.tax.model import (
    MAX_COUNTRY_RATES,
    MAX_JURISDICTION_RATES,
    JurisdictionRate,
    check_new_rate,
    rates_for,
)
from corebilling.errors import AlreadyExists, ResourceExhausted


def rate(rate_id: str, country: str, region: str = "", category: str = "") -> JurisdictionRate:
    return JurisdictionRate(rate_id, rate_id, country, region, category, Decimal(5), compound=False)


QUEBEC = JurisdictionRate("txr_1", "QST", "CA", "Quebec", "food", Decimal(5), compound=False)


RATES = [
    rate("ca", "CA"),
    rate("ca-food", "CA", category="food"),
    rate("de", "DE"),
    rate("qc", "CA", "Quebec"),
    rate("qc-2", "CA", "Quebec"),
]


@pytest.mark.parametrize(
    ("country", "region", "category", "chosen"),
    [
        ("CA", "", "", ["ca"]),
        ("CA", "QUEBEC", "", ["ca", "qc", "qc-2"]),
        ("CA", "Quebec", "food", ["ca-food", "qc", "qc-2"]),
        ("CA", "Ontario", "books", ["ca"]),
        ("DE", "Quebec", "food", ["de"]),
        ("", "", "", []),
        ("US", "", "", []),
    ],
)
def test_a_line_is_taxed_by_its_country_then_its_region_and_by_its_category_first(
    country: str, region: str, category: str, chosen: list[str]
) -> None:
    found = rates_for(RATES, country=country, region=region, category=category)
    assert [one.id for one in found] == chosen


def test_a_rate_that_is_in_force_already_is_refused_whatever_its_percentage() -> None:
    again = replace(QUEBEC, id="txr_2", region="QUEBEC", percent=Decimal(6), compound=True)
    with pytest.raises(AlreadyExists) as refused:
        check_new_rate([QUEBEC], again)
    assert (refused.value.reason, refused.value.facts) == ("TAX_RATE_EXISTS", {"tax_rate_id": "txr_1"})


@pytest.mark.parametrize("other", [{"region": ""}, {"category": ""}, {"name": "GST"}])
def test_a_rate_of_another_place_category_or_name_stands_beside_it(other: dict[str, Any]) -> None:
    check_new_rate([QUEBEC], replace(QUEBEC, **other))


@pytest.mark.parametrize(
    ("places", "limit"), [(["Quebec"], MAX_JURISDICTION_RATES), (["Ontario", "Alberta"], MAX_COUNTRY_RATES)]
)
def test_a_region_and_a_country_have_so_many_rates_and_no_more(places: list[str], limit: int) -> None:
    many = [replace(QUEBEC, name=str(n), region=places[n % len(places)]) for n in range(limit)]
    check_new_rate(many[1:], QUEBEC)
    with pytest.raises(ResourceExhausted) as refused:
        check_new_rate(many, QUEBEC)
    assert refused.value.reason == "TAX_RATE_LIMIT_REACHED"
    assert refused.value.facts == {"country": "CA", "limit": str(limit)}
