from decimal import Decimal

import pytest

from corebilling.domains.tax.model import JurisdictionRate, rates_for


def rate(rate_id: str, country: str, region: str = "", category: str = "") -> JurisdictionRate:
    return JurisdictionRate(rate_id, rate_id, country, region, category, Decimal(5), compound=False)


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
