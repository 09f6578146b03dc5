"""Rates, terms and exemptions: what is refused, what is announced."""

import asyncio
from typing import Any

import grpc
import pytest
from billing.tax.v1 import tax_pb2, tax_service_pb2
from billing.tax.v1.tax_service_pb2_grpc import TaxServiceStub

from corebilling.domains.tax.model import MAX_COUNTRY_RATES
from corebilling.values.ids import new_id
from tests.support.app import refusal_of, refused
from tests.support.money import set_terms, tax_rate
from tests.support.platform import Platform, platform

__all__ = ["platform"]


async def archive(platform: Platform, rate: tax_pb2.TaxRate) -> None:
    request = tax_service_pb2.ArchiveTaxRateRequest(request_id=new_id("req"), tax_rate_id=rate.id)
    await platform.stub(TaxServiceStub).ArchiveTaxRate(request)


async def pages(platform: Platform, **fields: Any) -> list[list[str]]:
    """The names on each page of two."""
    made, token = [], ""
    while not made or token:
        page = await platform.stub(TaxServiceStub).ListTaxRates(
            tax_service_pb2.ListTaxRatesRequest(page_size=2, page_token=token, **fields)
        )
        made.append([rate.name for rate in page.tax_rates])
        token = page.next_page_token
    return made


async def test_rates_are_listed_page_by_page_wider_jurisdictions_first(platform: Platform) -> None:
    await tax_rate(platform, "7", name="QST", country="CA", region="Quebec")
    await tax_rate(platform, "5", name="GST", country="CA")
    await tax_rate(platform, "1", name="Levy", country="CA")
    await tax_rate(platform, "19", name="VAT")
    gone = await tax_rate(platform, "7", name="Gone")
    await archive(platform, gone)
    assert await pages(platform) == [["GST", "Levy"], ["QST", "VAT"]]
    assert await pages(platform, country="CA") == [["GST", "Levy"], ["QST"]]
    request = tax_service_pb2.ListTaxRatesRequest(page_token="xx")
    assert (await refused(platform.stub(TaxServiceStub).ListTaxRates(request))).reason == "PAGE_TOKEN_INVALID"


async def test_the_same_rate_is_not_in_force_twice(platform: Platform) -> None:
    first = await tax_rate(platform, "5", region="Bavaria", category="food")
    refusal = await refused(tax_rate(platform, "6", region="bavaria", category="food"))
    assert (refusal.code, refusal.reason) == ("ALREADY_EXISTS", "TAX_RATE_EXISTS")
    assert refusal.facts == {"tax_rate_id": first.id}
    await archive(platform, first)
    await tax_rate(platform, "6", region="Bavaria", category="food")


async def test_racing_creations_keep_a_country_within_its_bound(platform: Platform) -> None:
    outcomes = await asyncio.gather(
        *(tax_rate(platform, "1", name=f"VAT {number}") for number in range(MAX_COUNTRY_RATES + 4)),
        return_exceptions=True,
    )
    made = [outcome for outcome in outcomes if isinstance(outcome, tax_pb2.TaxRate)]
    refusals = [refusal_of(outcome) for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert (len(made), len(refusals)) == (MAX_COUNTRY_RATES, 4)
    assert {(one.code, one.reason) for one in refusals} == {("RESOURCE_EXHAUSTED", "TAX_RATE_LIMIT_REACHED")}
    assert refusals[0].facts == {"country": "DE", "limit": "10"}
    assert len(await platform.events("tax_rate.created")) == MAX_COUNTRY_RATES
    await tax_rate(platform, "1", country="FR")
    await archive(platform, made[0])
    await tax_rate(platform, "1", name="VAT 99")


@pytest.mark.parametrize("name", ["behavior", "rounding", "credit_application"])
async def test_terms_that_no_one_knows_are_refused_by_the_fields_name(platform: Platform, name: str) -> None:
    refusal = await refused(set_terms(platform, **{name: 99}))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")
    assert refusal.fields == (f"terms.{name}",)
