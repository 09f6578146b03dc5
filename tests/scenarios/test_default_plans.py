"""A worked invoice of each default plan: what is included is used up, and some more."""

from datetime import timedelta

import pytest
from billing.catalog.v1 import catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.invoice.v1 import invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.quota.v1 import quota_service_pb2
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceStub
from billing.subscription.v1 import subscription_pb2
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.client import Client
from corebilling.commands.catalog import Importer
from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import subscribe
from tests.support.platform import Platform

WORKED = {
    # calls, GB stored, GB moved: what they come to, and the plan's fee
    "free": (15_000, 3, 2, 5 + 100 + 50),
    "starter": (3_000_000, 60, 150, 99_00 + 10_00 + 2_50 + 12_50),
    "professional": (75_000_000, 600, 1_100, 499_00 + 195_00 + 15_00 + 15_00),
    "professional-volume": (75_000_000, 600, 1_100, 499_00 + 170_00 + 15_00 + 15_00),
    "enterprise": (150_000_000, 5_100, 10_500, 2_499_00 + 50_00 + 10_00 + 50_00),
    "starter-annual": (24_000_000, 60, 1_300, 1_188_00 + 60_00 + 30_00 + 25_00),
}


async def subscribed(platform: Platform, plan_code: str) -> subscription_pb2.Subscription:
    async with Client(platform.app.grpc_address, platform.tenant_key) as client:
        await Importer(client, "").run()
    request = catalog_service_pb2.ListPlansRequest(code=plan_code)
    (plan,) = (await platform.stub(CatalogServiceStub).ListPlans(request)).plans
    return await subscribe(platform, plan_id=plan.id)


async def use(
    platform: Platform,
    made: subscription_pb2.Subscription,
    meter_code: str,
    quantity: int,
    *,
    after: timedelta = timedelta(),
) -> None:
    record = usage_pb2.UsageRecord(
        idempotency_key=new_id("key"),
        subscription_id=made.id,
        meter_code=meter_code,
        quantity=str(quantity),
        recorded_at=timestamp(instant(made.current_period_start) + after),
    )
    await platform.stub(UsageServiceStub).ReportUsage(usage_service_pb2.ReportUsageRequest(record=record))


@pytest.mark.parametrize("plan_code", WORKED)
async def test_a_worked_invoice(platform: Platform, plan_code: str):
    calls, stored, moved, expected = WORKED[plan_code]
    made = await subscribed(platform, plan_code)
    await use(platform, made, "api_calls", calls)
    await use(platform, made, "storage_gb", stored)
    await use(platform, made, "transfer_gb_out", moved)
    platform.clock.advance(days=367 if plan_code.endswith("annual") else 32)
    await platform.drain()
    listed = await platform.stub(InvoiceServiceStub).ListInvoices(invoice_service_pb2.ListInvoicesRequest())
    assert [invoice.total_minor for invoice in listed.invoices] == [expected]


async def test_storage_is_weighed_by_the_time_that_it_is_held(platform: Platform):
    made = await subscribed(platform, "starter")
    month = instant(made.current_period_end) - instant(made.current_period_start)
    platform.clock.advance(days=month.days // 2 + 1)
    await use(platform, made, "storage_gb", 120, after=month / 2)
    platform.clock.advance(days=month.days // 2 + 1)
    await platform.drain()
    (invoice,) = (
        await platform.stub(InvoiceServiceStub).ListInvoices(invoice_service_pb2.ListInvoicesRequest())
    ).invoices
    invoice = (
        await platform.stub(InvoiceServiceStub).GetInvoice(
            invoice_service_pb2.GetInvoiceRequest(invoice_id=invoice.id)
        )
    ).invoice
    (stored,) = (line for line in invoice.lines if line.description == "Storage, GB")
    assert (stored.quantity, stored.amount_minor) == ("60", 2_50)


async def test_a_second_import_adds_the_limit_that_the_first_did_not_come_to(platform: Platform):
    made = await subscribed(platform, "starter")
    quotas = platform.stub(QuotaServiceStub)
    listing = quota_service_pb2.ListQuotasRequest(subject_id=made.plan_id)
    (first,) = (await quotas.ListQuotas(listing)).quotas
    await quotas.RemoveQuota(
        quota_service_pb2.RemoveQuotaRequest(request_id=new_id("req"), quota_id=first.id)
    )
    for _ in range(2):
        async with Client(platform.app.grpc_address, platform.tenant_key) as client:
            assert await Importer(client, "").run() == set()
        (again,) = (await quotas.ListQuotas(listing)).quotas
        assert (again.meter_code, again.limit_quantity) == ("adapters_active", "5")


async def test_more_adapters_than_the_plan_has_are_refused(platform: Platform):
    made = await subscribed(platform, "starter")
    await use(platform, made, "adapters_active", 5)
    refusal = await refused(use(platform, made, "adapters_active", 6))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
