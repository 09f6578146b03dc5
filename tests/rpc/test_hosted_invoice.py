"""Invoices behind links, as their customers see them: over HTTP, without a key."""

import io
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import aiohttp
import pypdf
import pytest
from billing.branding.v1 import branding_pb2, branding_service_pb2
from billing.branding.v1.branding_service_pb2_grpc import BrandingServiceStub
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.invoice.v1 import invoice_pb2
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.types.v1 import language_pb2

from corebilling.mapping import instant
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_customer
from tests.support.money import invoice, item, void
from tests.support.platform import Platform, platform

__all__ = ["platform"]


async def share(platform: Platform, invoice_id: str, **fields: Any) -> rpc.ShareInvoiceResponse:
    request = rpc.ShareInvoiceRequest(request_id=new_id("req"), invoice_id=invoice_id, **fields)
    return await platform.stub(InvoiceServiceStub).ShareInvoice(request)


async def revoke(platform: Platform, invoice_id: str, key: str | None = None) -> None:
    request = rpc.RevokeInvoiceLinksRequest(request_id=new_id("req"), invoice_id=invoice_id)
    await platform.stub(InvoiceServiceStub, key=key).RevokeInvoiceLinks(request)


async def billed(platform: Platform, **details: Any) -> invoice_pb2.Invoice:
    details = {"name": "Ada <b>Lovelace</b>", **details}
    customer = await new_customer(platform, details=customer_service_pb2.CustomerDetails(**details))
    return await invoice(platform, customer.id, item("12.50"))


async def get(url: str) -> tuple[int, bytes, Mapping[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.read(), response.headers


async def test_a_link_shows_the_invoice_and_its_pdf_to_whoever_has_it(platform: Platform) -> None:
    made = await billed(platform)
    shared = await share(platform, made.id)
    assert shared.url.startswith(f"{platform.app.http_address}/invoices/")
    assert made.id not in shared.url
    assert platform.tenant_id not in shared.url
    status, body, headers = await get(shared.url)
    page = body.decode()
    assert status == 200
    assert made.number in page
    assert "12.50 USD" in page
    assert "Ada &lt;b&gt;Lovelace&lt;/b&gt;" in page
    assert "<script" not in page
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Cache-Control"] == "private, no-store"
    status, body, headers = await get(f"{shared.url}/pdf")
    assert (status, headers["Content-Type"]) == (200, "application/pdf")
    assert made.number in pypdf.PdfReader(io.BytesIO(body)).pages[0].extract_text()
    link = shared.url.rpartition("/")[2]
    assert f'href="{link}/pdf"' in page


async def test_a_link_ends_at_its_time_by_the_wall_clock(platform: Platform) -> None:
    made = await billed(platform)
    shared = await share(platform, made.id, valid_days=1)
    left = instant(shared.expires_at) - platform.clock.now()
    assert timedelta(hours=23) < left <= timedelta(days=1)
    platform.clock.advance(seconds=left.total_seconds() - 1)
    assert (await get(shared.url))[0] == 200
    platform.clock.advance(seconds=1)
    assert (await get(shared.url))[0] == 404
    assert (await get(f"{shared.url}/pdf"))[0] == 404


@pytest.mark.parametrize("change", ["cut", "flipped", "foreign", "empty", "long"])
async def test_a_link_that_was_not_given_leads_nowhere(platform: Platform, change: str) -> None:
    url = (await share(platform, (await billed(platform)).id)).url
    base, _, link = url.rpartition("/")
    flipped = link[:20] + ("A" if link[20] != "A" else "B") + link[21:]
    other = {"cut": link[:-4], "flipped": flipped, "foreign": "é*§", "empty": "%20", "long": "A" * 4000}
    status, body, _ = await get(f"{base}/{other[change]}")
    assert (status, body) == (404, (await get(f"{base}/nothing"))[1])


async def test_revoked_links_lead_nowhere_and_later_ones_do(platform: Platform) -> None:
    made, other = await billed(platform), await billed(platform)
    first, second, others = [(await share(platform, one.id)).url for one in (made, made, other)]
    await revoke(platform, made.id)
    nowhere = (404, (await get(f"{first.rpartition('/')[0]}/nothing"))[1])
    for url in (first, second, f"{first}/pdf"):
        assert (await get(url))[:2] == nowhere
    assert (await get(others))[0] == 200
    later = (await share(platform, made.id)).url
    assert (await get(later))[0] == 200
    await revoke(platform, made.id)
    assert [(await get(url))[0] for url in (first, later)] == [404, 404]
    told = await platform.events("invoice.links_revoked")
    assert [(event.invoice_id, event.number) for event in told] == [(made.id, made.number)] * 2
    # The books go on with the version that it left.
    await void(platform, made.id)


async def test_another_tenant_cannot_revoke_its_links(platform: Platform) -> None:
    made = await billed(platform)
    shared = await share(platform, made.id)
    _, key = await platform.new_tenant("other")
    refusal = await refused(revoke(platform, made.id, key=key))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "INVOICE_NOT_FOUND")
    assert (await get(shared.url))[0] == 200


async def test_links_to_invoices_of_an_erased_customer_lead_nowhere(platform: Platform) -> None:
    made, other = await billed(platform), await billed(platform)
    shared, others = await share(platform, made.id), await share(platform, other.id)
    await void(platform, made.id)
    request = customer_service_pb2.EraseCustomerRequest(
        request_id=new_id("req"), customer_id=made.customer_id, reason="asked by mail"
    )
    await platform.stub(CustomerServiceStub).EraseCustomer(request)
    nowhere = (404, (await get(f"{shared.url.rpartition('/')[0]}/nothing"))[1])
    for url in (shared.url, f"{shared.url}/pdf"):
        assert (await get(url))[:2] == nowhere
    refusal = await refused(share(platform, made.id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "CUSTOMER_ERASED")
    assert (await get(others.url))[0] == 200


async def test_what_happens_to_the_invoice_is_seen(platform: Platform) -> None:
    made = await billed(platform)
    shared = await share(platform, made.id)
    await void(platform, made.id)
    assert "withdrawn" in (await get(shared.url))[1].decode()


async def test_another_tenant_cannot_share_it(platform: Platform) -> None:
    made = await billed(platform)
    _, key = await platform.new_tenant("other")
    request = rpc.ShareInvoiceRequest(request_id=new_id("req"), invoice_id=made.id)
    refusal = await refused(platform.stub(InvoiceServiceStub, key=key).ShareInvoice(request))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "INVOICE_NOT_FOUND")


async def test_the_language_is_what_is_asked_for_else_the_customers_else_the_brandings(
    platform: Platform,
) -> None:
    made = await billed(platform)
    german = await billed(platform, language=language_pb2.LANGUAGE_DE)

    async def heading(
        invoice_id: str, language: language_pb2.Language = language_pb2.LANGUAGE_UNSPECIFIED
    ) -> str:
        request = rpc.RenderInvoiceRequest(
            invoice_id=invoice_id, language=language, format=rpc.INVOICE_FORMAT_HTML
        )
        page = (await platform.stub(InvoiceServiceStub).RenderInvoice(request)).html
        return page.partition("<h1>")[2].split()[0]

    assert await heading(made.id) == "Invoice"
    branding = branding_pb2.Branding(language=language_pb2.LANGUAGE_JA, display_name="東京")
    await platform.stub(BrandingServiceStub).SetBranding(
        branding_service_pb2.SetBrandingRequest(request_id=new_id("req"), branding=branding)
    )
    assert await heading(made.id) == "請求書"
    assert await heading(german.id) == "Rechnung"
    assert await heading(german.id, language_pb2.LANGUAGE_AR) == "فاتورة"
    shared = await share(platform, german.id)
    assert '<html lang="de" dir="ltr">' in (await get(shared.url))[1].decode()
