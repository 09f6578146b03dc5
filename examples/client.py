"""A service that bills its customers: billing_sdk from the first call to the next invoice.

    python -m examples.client                                        starts a platform of its own
    python -m examples.client --target 127.0.0.1:50051 --key KEY     with an owner's key of a running one

Makes a customer with a metered subscription, reports a thousand calls in batches while it watches the events
that they lead to, and asks what the invoice would be by now.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from uuid import uuid4

from billing_sdk import AlreadyExists, Billing, ErrorReason, UsageRefusal, UsageReporter
from billing_sdk.access import Role
from billing_sdk.catalog import Aggregation, Plan, PlanItem, PriceModel, PriceUsage
from billing_sdk.customer import CustomerDetails
from billing_sdk.tenant import TenantMode
from billing_sdk.types import IntervalUnit
from billing_sdk.usage import UsageRecord

from examples.platform import Platform

CALLS = 1000
EVENTS_WITHIN_S = 30


@asynccontextmanager
async def somewhere(target: str, key: str) -> AsyncIterator[Billing]:
    """At the target, or on a platform of its own with one tenant."""
    if target:
        async with Billing(target, key) as billing:
            yield billing
        return
    with tempfile.TemporaryDirectory() as folder:
        async with Platform.start(Path(folder)) as platform:
            async with Billing(platform.grpc, platform.platform_key) as operator:
                tenant = await operator.tenant.create_tenant(name="Acme", slug="acme", mode=TenantMode.LIVE)
                created = await operator.with_options(tenant_id=tenant.id).access.create_api_key(
                    name="example", role=Role.OWNER
                )
            async with Billing(platform.grpc, created.secret) as billing:
                yield billing


async def metered_plan(billing: Billing, code: str) -> Plan:
    """0.002 per call."""
    product = await billing.catalog.create_product(name="API", code=code)
    meter = await billing.catalog.create_meter(name="Calls", code=code, aggregation=Aggregation.SUM)
    price = await billing.catalog.create_price(
        product_id=product.id,
        code=code,
        currency="USD",
        model=PriceModel.PER_UNIT,
        usage=PriceUsage.METERED,
        meter_id=meter.id,
        interval_unit=IntervalUnit.MONTH,
        unit_amount="0.002",
    )
    return await billing.catalog.create_plan(name="API", code=code, items=[PlanItem(price_id=price.id)])


async def report(billing: Billing, subscription_id: str, meter: str) -> None:
    """As calls come in: the reporter gathers them, and sends them again where a connection breaks."""

    def refused(refusal: UsageRefusal) -> None:
        print(f"a record does not count: {refusal.reason.name} {refusal.message}")

    async with UsageReporter(billing, on_refused=refused) as usage:
        for _ in range(CALLS):
            await usage.report(UsageRecord(subscription_id=subscription_id, meter_code=meter, quantity="1"))
        await usage.report(UsageRecord(subscription_id=subscription_id, meter_code="typo", quantity="1"))
    print(f"{usage.accepted:,} records accepted")


async def bill(billing: Billing) -> None:
    code = f"calls_{uuid4().hex[:8]}"
    plan = await metered_plan(billing, code)
    ada = CustomerDetails(name="Ada Lovelace", email="ada@example.com")
    customer = await billing.customer.create_customer(external_id=code, currency="USD", details=ada)
    try:
        await billing.customer.create_customer(external_id=code, details=ada)
    except AlreadyExists as error:
        if error.reason is not ErrorReason.CUSTOMER_EXTERNAL_ID_TAKEN:
            raise
        print(f"refused: {error.message}")

    async with aclosing(billing.event.watch_events(subjects=["subscription.*", "usage.*"])) as events:
        await anext(events)  # From here on, nothing is missed.
        subscription = await billing.subscription.create_subscription(
            customer_id=customer.id, plan_id=plan.id
        )
        await report(billing, subscription.id, code)
        async with asyncio.timeout(EVENTS_WITHIN_S):
            async for message in events:
                if message.event is not None:
                    print(f"event: {message.event.subject}")
                    if message.event.subject == "usage.reported":
                        break

    invoice = await billing.invoice.preview_invoice(subscription_id=subscription.id)
    print(f"the invoice would be {invoice.total_minor / 100:.2f} {invoice.currency} by now")


async def main() -> None:
    parser = argparse.ArgumentParser(description="A client of CoreBilling.")
    parser.add_argument("--target", default="", help="address of a running server; empty: starts one")
    parser.add_argument("--key", default="", help="an owner's API key")
    options = parser.parse_args()
    async with somewhere(options.target, options.key) as billing:
        await bill(billing)


if __name__ == "__main__":
    asyncio.run(main())
