"""Requests made of the OpenAPI document, sensible and not: no server error, no answer beside what it says."""

from pathlib import Path
from typing import Any

import pytest

from corebilling.values.ids import new_id
from tests.support.catalog import metered_price, new_meter, new_price, new_product, subscribe
from tests.support.http import Http, http
from tests.support.reporting import use
from tests.support.schemathesis_run import fuzz

__all__ = ["http"]

# It would go on for minutes by itself; tests/http/test_streams.py is about it.
BUT_WATCHING = ("--exclude-operation-id", "WatchEvents")
# And so would a replay of what thousands of requests left behind, at one event per second.
BUT_STREAMS = (*BUT_WATCHING, "--exclude-operation-id", "Replay")
# Names of path variables, and where a value for each is.
KNOWN = {
    "account_id": "SELECT id FROM ledger_accounts",
    "api_key_id": "SELECT id FROM api_keys WHERE name = 'spare'",
    "correlation_id": "SELECT correlation_id FROM billing_events WHERE subject = 'customer.created'",
    "coupon_id": "SELECT id FROM coupons",
    "credit_id": "SELECT id FROM credits",
    "customer_id": "SELECT id FROM customers",
    "cycle_id": "SELECT id FROM billing_cycles ORDER BY id",
    "delivery_id": "SELECT id FROM webhook_deliveries",
    "event_id": "SELECT id FROM billing_events WHERE subject = 'customer.created'",
    "invoice_id": "SELECT id FROM invoices",
    "invoice_line_id": "SELECT id FROM invoice_lines",
    "journal_id": "SELECT id FROM ledger_journals",
    "meter_id": "SELECT id FROM meters",
    "plan_id": "SELECT id FROM plans",
    "price_id": "SELECT id FROM prices",
    "product_id": "SELECT id FROM products",
    "quota_id": "SELECT id FROM quotas",
    "subscription_id": "SELECT id FROM subscriptions",
    "tax_rate_id": "SELECT id FROM tax_rates",
    "webhook_id": "SELECT id FROM webhooks",
}
# What the tenant has beside a billed month, by path.
MORE: dict[str, dict[str, Any]] = {
    "/v1/api-keys": {"name": "spare", "role": "ROLE_VIEWER"},
    "/v1/coupons": {
        "code": "SPRING",
        "name": "Spring",
        "kind": "DISCOUNT_KIND_PERCENT",
        "percent": "10",
        "duration": "DISCOUNT_DURATION_ONCE",
    },
    "/v1/quotas": {
        "scope": "QUOTA_SCOPE_TENANT",
        "period": "QUOTA_PERIOD_MONTH",
        "limit_quantity": "1000000",
        "enforcement": "QUOTA_ENFORCEMENT_SOFT",
    },
    "/v1/tax-rates": {"name": "VAT", "country": "DE", "percent": "19"},
    "/v1/webhooks": {"url": "http://127.0.0.1:9/", "filters": ["*"]},
}


async def make(http: Http, path: str, content: dict[str, Any]) -> None:
    made = await http.post(path, content, key=new_id("req"))
    assert made.status in (200, 201), (path, made.body)


async def a_billed_month(http: Http) -> dict[str, str]:
    """A tenant with one of nearly everything; returns the ids."""
    platform = http.platform
    for path, content in MORE.items():
        await make(http, path, content)
    product, meter = await new_product(platform), await new_meter(platform)
    flat = await new_price(platform, product.id, "flat")
    metered = await metered_price(platform, product.id, meter.id)
    subscription = await subscribe(platform, flat, metered)
    credit = {"customer_id": subscription.customer_id, "amount_minor": "500", "currency": "USD"}
    await make(http, "/v1/credits", {**credit, "kind": "CREDIT_KIND_PROMOTIONAL"})
    await make(http, "/v1/plans", {"code": "basic", "name": "Basic", "items": [{"price_id": flat.id}]})
    await platform.drain()
    await use(platform, subscription.id, "3")
    await platform.pass_time(days=32)
    return {name: (await platform.rows(f"{sql} LIMIT 1"))[0][0] for name, sql in KNOWN.items()}


async def test_requests_made_of_the_document_are_answered_as_it_says(http: Http, tmp_path: Path) -> None:
    known, key = await a_billed_month(http), http.platform.tenant_key
    options = ("--phases", "fuzzing", "--max-examples", "2", "--seed", "1", *BUT_WATCHING)
    made, passed = await fuzz(http.platform, tmp_path, known, key, *options)
    assert made == passed > 400


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1, 4))
async def test_many_requests_are_answered_as_the_document_says(http: Http, tmp_path: Path, seed: int) -> None:
    """Every boundary of every field, then what comes to mind: about what there is, and what there is not."""
    known, key = await a_billed_month(http), http.platform.tenant_key
    phases = ("--phases", "examples,coverage,fuzzing,stateful")
    options = (*phases, "--max-examples", "20", "--seed", str(seed), *BUT_STREAMS)
    for parameters in (known, {}):
        made, passed = await fuzz(http.platform, tmp_path, parameters, key, *options)
        assert made == passed > 5_000


@pytest.mark.long
async def test_operators_are_answered_as_the_document_says(http: Http, tmp_path: Path) -> None:
    known = await a_billed_month(http)
    tenant = {"X-Tenant-ID": http.platform.tenant_id, "tenant_id": http.platform.tenant_id}
    options = ("--phases", "coverage,fuzzing", "--max-examples", "10", "--seed", "1", *BUT_STREAMS)
    made, passed = await fuzz(http.platform, tmp_path, known | tenant, http.platform.operator_key, *options)
    assert made == passed > 5_000
