"""Quotas, and usage that is held against them, through the RPCs."""

from functools import partial
from typing import Any

from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.quota.v1 import quota_pb2, quota_service_pb2
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceStub
from billing.subscription.v1 import subscription_pb2

from corebilling.values.ids import new_id
from tests.support import reporting
from tests.support.catalog import metered_price, new_meter, new_product, subscribe
from tests.support.platform import Platform

usage_record = partial(reporting.usage_record, meter="calls")
use = partial(reporting.use, meter="calls")

NOTICES = ("usage.quota.warning", "usage.quota.exceeded", "usage.threshold.reached")


async def metered_plan(platform: Platform, code: str = "calls", aggregation: Any = None) -> catalog_pb2.Plan:
    """A plan of one metered price; meter, price and plan have the code."""
    product = await new_product(platform, code)
    meter = await new_meter(platform, code, aggregation or catalog_pb2.AGGREGATION_SUM)
    price = await metered_price(platform, product.id, meter.id, code, unit_amount="0.01")
    answer = await platform.stub(CatalogServiceStub).CreatePlan(
        catalog_service_pb2.CreatePlanRequest(
            request_id=new_id("req"), code=code, name=code, items=[catalog_pb2.PlanItem(price_id=price.id)]
        )
    )
    return answer.plan


async def on_plan(platform: Platform, plan: catalog_pb2.Plan, **more: Any) -> subscription_pb2.Subscription:
    """A subscription to the plan, of a new customer unless one is named."""
    return await subscribe(platform, plan_id=plan.id, **more)


async def set_quota(
    platform: Platform,
    scope: str,
    subject_id: str,
    limit: str,
    *,
    meter: str = "calls",
    period: str = "BILLING_PERIOD",
    hard: bool = True,
    key: str | None = None,
    **more: Any,
) -> quota_pb2.Quota:
    answer = await platform.stub(QuotaServiceStub, key=key).SetQuota(
        quota_service_pb2.SetQuotaRequest(
            request_id=new_id("req"),
            scope=f"QUOTA_SCOPE_{scope}",
            subject_id=subject_id,
            meter_code=meter,
            period=f"QUOTA_PERIOD_{period}",
            limit_quantity=limit,
            enforcement="QUOTA_ENFORCEMENT_HARD" if hard else "QUOTA_ENFORCEMENT_SOFT",
            **more,
        )
    )
    return answer.quota


async def notices(platform: Platform) -> list[tuple[str, str, str]]:
    """Subject, limit or threshold, and what was used, of all that was announced, in order."""
    return [
        (
            subject,
            getattr(event, "threshold_quantity", "") or event.use.limit_quantity,
            event.use.used_quantity,
        )
        for subject in NOTICES
        for event in await platform.events(subject)
    ]
