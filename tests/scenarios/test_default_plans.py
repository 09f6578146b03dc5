"""A worked invoice of each default plan: what is included is used up, and some more."""

from datetime import timedelta

import pytest
from billing.catalog.v1 import catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.quota.v1 import quota_service_pb2
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceStub
from billing.subscription.v1 import subscription_pb2

from corebilling.client import Client
from corebilling.commands.catalog import Importer
from corebilling.mapping import instant
from corebilling.values.ids import new_id
from tests.support import reporting
from tests.support.app import refused
from tests.support.catalog import subscribe
from tests.support.invoice import invoices_of
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
    at = instant(made.current_period_start) + after
    await reporting.use(platform, made.id, quantity, at, meter=meter_code)


@pytest.mark.parametrize("plan_code", WORKED)
async def test_a_worked_invoice(platform: Platform, plan_code: str):
    calls, stored, moved, expected = WORKED[plan_code]
    made = await subscribed(platform, plan_code)
    await use(platform, made, "api_calls", calls)
    await use(platform, made, "storage_gb", stored)
    await use(platform, made, "transfer_gb_out", moved)
    await platform.pass_time(days=367 if plan_code.endswith("annual") else 32)
    assert [invoice.total_minor for invoice in await invoices_of(platform)] == [expected]


async def test_storage_is_weighed_by_the_time_that_it_is_held(platform: Platform):
    made = await subscribed(platform, "starter")
    month = instant(made.current_period_end) - instant(made.current_period_start)
    platform.clock.advance(days=month.days // 2 + 1)
    await use(platform, made, "storage_gb", 120, after=month / 2)
    await platform.pass_time(days=month.days // 2 + 1)
    (invoice,) = await invoices_of(platform)
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
