"""Rates, terms and exemptions: what is refused, what is announced."""

import asyncio
from collections.abc import Awaitable
from typing import Any

import grpc
import pytest
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.tax.v1 import tax_events_pb2, tax_pb2, tax_service_pb2
from billing.tax.v1.tax_service_pb2_grpc import TaxServiceStub
from billing.tenant.v1 import tenant_service_pb2
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub

from corebilling.domains.tax.model import MAX_JURISDICTION_RATES
from corebilling.values.ids import new_id
from tests.support.app import refusal_of, refused
from tests.support.catalog import new_customer
from tests.support.money import set_terms, tax_rate
from tests.support.platform import Platform, platform

__all__ = ["platform"]


async def archive(platform: Platform, rate: tax_pb2.TaxRate) -> None:
    request = tax_service_pb2.ArchiveTaxRateRequest(request_id=new_id("req"), tax_rate_id=rate.id)
    await platform.stub(TaxServiceStub).ArchiveTaxRate(request)


async def exempt(
    platform: Platform, customer_id: str, exemption: tax_pb2.TaxExemption, reference: str = ""
) -> tax_service_pb2.SetTaxExemptionResponse:
    request = tax_service_pb2.SetTaxExemptionRequest(
        request_id=new_id("req"), customer_id=customer_id, exemption=exemption, reference=reference
    )
    return await platform.stub(TaxServiceStub).SetTaxExemption(request)


async def pages(platform: Platform, **fields: Any) -> list[list[str]]:
    """The names on each page of two."""
    made: list[list[str]] = []
    token = ""
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
        *(tax_rate(platform, "1", name=f"VAT {number}") for number in range(MAX_JURISDICTION_RATES + 4)),
        return_exceptions=True,
    )
    made = [outcome for outcome in outcomes if isinstance(outcome, tax_pb2.TaxRate)]
    refusals = [refusal_of(outcome) for outcome in outcomes if isinstance(outcome, grpc.aio.AioRpcError)]
    assert (len(made), len(refusals)) == (MAX_JURISDICTION_RATES, 4)
    assert {(one.code, one.reason) for one in refusals} == {("RESOURCE_EXHAUSTED", "TAX_RATE_LIMIT_REACHED")}
    assert refusals[0].facts == {"country": "DE", "limit": "10"}
    assert len(await platform.events("tax_rate.created")) == MAX_JURISDICTION_RATES
    await tax_rate(platform, "1", country="FR")
    await archive(platform, made[0])
    await tax_rate(platform, "1", name="VAT 99")


@pytest.mark.parametrize("name", ["behavior", "rounding", "credit_application"])
async def test_terms_that_no_one_knows_are_refused_by_the_fields_name(platform: Platform, name: str) -> None:
    refusal = await refused(set_terms(platform, **{name: 99}))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")
    assert refusal.fields == (f"terms.{name}",)


async def test_changed_terms_are_a_version_of_the_tenant_and_announced_once(platform: Platform) -> None:
    await set_terms(platform, behavior=tax_pb2.TAX_BEHAVIOR_EXCLUSIVE)
    assert await platform.events("tenant.tax_terms.changed") == []
    for _ in range(2):
        await set_terms(platform, behavior=tax_pb2.TAX_BEHAVIOR_INCLUSIVE)
    changed = tax_events_pb2.TaxTermsChanged(
        behavior=tax_pb2.TAX_BEHAVIOR_INCLUSIVE,
        rounding=tax_pb2.TAX_ROUNDING_PER_INVOICE,
        credit_application=tax_pb2.CREDIT_APPLICATION_BEFORE_TAX,
    )
    assert await platform.events("tenant.tax_terms.changed") == [changed]
    tenant = (await platform.stub(TenantServiceStub).GetTenant(tenant_service_pb2.GetTenantRequest())).tenant
    (event,) = await platform.rows(
        "SELECT resource_id, resource_version FROM billing_events WHERE subject = 'tenant.tax_terms.changed'"
    )
    assert (event["resource_id"], event["resource_version"]) == (tenant.id, tenant.version) == (tenant.id, 2)
    await set_terms(platform)
    assert (await platform.events("tenant.tax_terms.changed"))[1].behavior == tax_pb2.TAX_BEHAVIOR_EXCLUSIVE


async def test_an_exemption_set_again_changes_nothing(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    charity, none = tax_pb2.TAX_EXEMPTION_EXEMPT, tax_pb2.TAX_EXEMPTION_UNSPECIFIED
    steps = [(none, ""), (charity, "A-1"), (charity, "A-1"), (charity, "A-2"), (none, "A-2"), (none, "")]
    customers = platform.stub(CustomerServiceStub)
    versions = []
    for exemption, reference in steps:
        answer = await exempt(platform, ada, exemption, reference)
        request = tax_service_pb2.GetTaxExemptionRequest(customer_id=ada)
        held = await platform.stub(TaxServiceStub).GetTaxExemption(request)
        assert (answer.exemption, answer.reference) == (held.exemption, held.reference)
        found = await customers.GetCustomer(customer_service_pb2.GetCustomerRequest(customer_id=ada))
        versions.append(found.customer.version)
    assert versions == [1, 2, 2, 3, 4, 4]
    announced = await platform.events("customer.tax_exemption.changed")
    assert [event.exemption for event in announced] == [charity, charity, none]


async def test_other_tenant_gets_not_found(platform: Platform) -> None:
    ada, rate = (await new_customer(platform)).id, await tax_rate(platform, "19")
    _, key = await platform.new_tenant("other")
    theirs = platform.stub(TaxServiceStub, key=key)
    calls: dict[str, Awaitable[Any]] = {
        "TAX_RATE_NOT_FOUND": theirs.ArchiveTaxRate(
            tax_service_pb2.ArchiveTaxRateRequest(request_id="r", tax_rate_id=rate.id)
        ),
        "CUSTOMER_NOT_FOUND": theirs.SetTaxExemption(
            tax_service_pb2.SetTaxExemptionRequest(
                request_id="r", customer_id=ada, exemption="TAX_EXEMPTION_EXEMPT"
            )
        ),
    }
    for reason, call in calls.items():
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", reason)
    for stub, customer_id in ((theirs, ada), (platform.stub(TaxServiceStub), "cus_none")):
        request = tax_service_pb2.GetTaxExemptionRequest(customer_id=customer_id)
        refusal = await refused(stub.GetTaxExemption(request))
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", "CUSTOMER_NOT_FOUND")
    assert not (await theirs.ListTaxRates(tax_service_pb2.ListTaxRatesRequest())).tax_rates
