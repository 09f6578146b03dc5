"""Entitlement checks with everything included, as shares of a method that does nothing.

The same client calls both; each server runs in a process of its own. What is asked for is in memory, as it is
but for the first check after a change.
"""

import itertools
from typing import Any

import asyncpg
import grpc
import uvloop
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.quota.v1 import entitlement_pb2, quota_pb2, quota_service_pb2
from billing.quota.v1 import entitlement_service_pb2 as rpc
from billing.quota.v1.entitlement_service_pb2_grpc import EntitlementServiceStub
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceStub
from billing.subscription.v1 import subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.types.v1 import period_pb2

from bench.platform import TENANT, NewDatabase, in_own_process, running_api
from bench.report import Row, console, median_ratio, rates
from bench.rpc import ADD_TENANT, calls_per_second
from corebilling.client import Client
from corebilling.values.ids import new_id

ROUNDS = 21
SUBSCRIPTIONS = 100


async def measure(new_database: NewDatabase) -> list[Row]:
    database = await new_database("entitlement")
    admin = await asyncpg.connect(database.admin)
    await admin.execute(ADD_TENANT, TENANT)
    await admin.close()
    async with running_api(database) as api, in_own_process(_serve_nothing) as port:
        key = await api.tenant_key(TENANT)
        async with Client(api.address, key) as client:
            subscription_ids = await _subscriptions(client)
        async with (
            grpc.aio.insecure_channel(api.address) as channel,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as empty_channel,
        ):
            stubs = EntitlementServiceStub(channel), EntitlementServiceStub(empty_channel)
            return await _rounds(*stubs, key, subscription_ids)


async def _rounds(stub: Any, empty_stub: Any, key: str, subscription_ids: list[str]) -> list[Row]:
    """Takes the two in turn, so that a slow moment of the machine hits both."""
    metadata = (("x-api-key", key),)
    requests = [
        rpc.CheckEntitlementRequest(
            question=entitlement_pb2.EntitlementQuestion(subscription_id=subscription_id, meter_code="calls")
        )
        for subscription_id in subscription_ids
    ]
    some = itertools.cycle(requests)
    checks = []
    console.print(f"entitlement: {ROUNDS} rounds of checks and empty calls")
    for _ in range(ROUNDS):
        bare = await calls_per_second(lambda: empty_stub.CheckEntitlement(next(some), metadata=metadata))
        check = await calls_per_second(lambda: stub.CheckEntitlement(next(some), metadata=metadata))
        checks.append((check, bare))
    baseline = "empty grpc.aio method"
    return [Row("entitlement check", baseline, median_ratio(checks), 0.70, 0.85, rates(checks))]


async def _subscriptions(client: Client) -> list[str]:
    """Subscriptions to a plan with a hard quota."""
    catalog = client.stub(CatalogServiceStub)
    product = await catalog.CreateProduct(
        catalog_service_pb2.CreateProductRequest(request_id=new_id("req"), code="api", name="API")
    )
    meter = await catalog.CreateMeter(
        catalog_service_pb2.CreateMeterRequest(
            request_id=new_id("req"), code="calls", name="calls", aggregation=catalog_pb2.AGGREGATION_SUM
        )
    )
    price = await catalog.CreatePrice(
        catalog_service_pb2.CreatePriceRequest(
            request_id=new_id("req"),
            product_id=product.product.id,
            code="calls",
            model=catalog_pb2.PRICE_MODEL_PER_UNIT,
            usage=catalog_pb2.PRICE_USAGE_METERED,
            meter_id=meter.meter.id,
            interval_unit=period_pb2.INTERVAL_UNIT_MONTH,
            unit_amount="0.01",
        )
    )
    plan = await catalog.CreatePlan(
        catalog_service_pb2.CreatePlanRequest(
            request_id=new_id("req"),
            code="pro",
            name="Pro",
            items=[catalog_pb2.PlanItem(price_id=price.price.id)],
        )
    )
    await client.stub(QuotaServiceStub).SetQuota(
        quota_service_pb2.SetQuotaRequest(
            request_id=new_id("req"),
            scope=quota_pb2.QUOTA_SCOPE_PLAN,
            subject_id=plan.plan.id,
            meter_code="calls",
            period=quota_pb2.QUOTA_PERIOD_BILLING_PERIOD,
            limit_quantity="1000000",
            enforcement=quota_pb2.QUOTA_ENFORCEMENT_HARD,
        )
    )
    return [await _subscribe(client, plan.plan.id) for _ in range(SUBSCRIPTIONS)]


async def _subscribe(client: Client, plan_id: str) -> str:
    customer = await client.stub(CustomerServiceStub).CreateCustomer(
        customer_service_pb2.CreateCustomerRequest(
            request_id=new_id("req"),
            currency="USD",
            details=customer_service_pb2.CustomerDetails(name="Ada"),
        )
    )
    created = await client.stub(SubscriptionServiceStub).CreateSubscription(
        subscription_service_pb2.CreateSubscriptionRequest(
            request_id=new_id("req"), customer_id=customer.customer.id, plan_id=plan_id
        )
    )
    return str(created.subscription.id)


def _serve_nothing(started: Any) -> None:
    async def answer(_request: Any, _context: Any) -> rpc.CheckEntitlementResponse:
        return rpc.CheckEntitlementResponse()

    async def run() -> None:
        server = grpc.aio.server()
        method = grpc.unary_unary_rpc_method_handler(
            answer, rpc.CheckEntitlementRequest.FromString, rpc.CheckEntitlementResponse.SerializeToString
        )
        service = "billing.quota.v1.EntitlementService"
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {"CheckEntitlement": method})]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        started.put(port)
        await server.wait_for_termination()

    uvloop.run(run())
