"""Two consumers of one tenant, who call by token."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from billing.catalog.v1 import catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.credit.v1 import credit_service_pb2
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceStub
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.invoice.v1 import invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from billing.subscription.v1 import subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.usage.v1 import usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.values.ids import new_id
from tests.support.app import Refusal, refused
from tests.support.catalog import new_customer, new_price, new_product, subscribe
from tests.support.invoice import invoices_of
from tests.support.issuer import SECRET, TestIssuer, bearer
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase

STUBS: dict[str, Any] = {
    "catalog": CatalogServiceStub,
    "credit": CreditServiceStub,
    "customer": CustomerServiceStub,
    "invoice": InvoiceServiceStub,
    "ledger": LedgerServiceStub,
    "subscription": SubscriptionServiceStub,
    "usage": UsageServiceStub,
}
REQUESTS: dict[str, Any] = {
    "catalog": catalog_service_pb2,
    "credit": credit_service_pb2,
    "customer": customer_service_pb2,
    "invoice": invoice_service_pb2,
    "ledger": ledger_service_pb2,
    "subscription": subscription_service_pb2,
    "usage": usage_service_pb2,
}


@dataclass
class Person:
    """Somebody with a token, and what belongs to their account."""

    platform: Platform
    token: str
    customer_id: str = ""
    subscription_id: str = ""
    invoice_id: str = ""

    async def call(self, domain: str, method: str, **fields: Any) -> Any:
        request_class = getattr(REQUESTS[domain], f"{method}Request")
        if "request_id" in request_class.DESCRIPTOR.fields_by_name:
            fields = {"request_id": new_id("req"), **fields}
        stub = self.platform.stub(STUBS[domain], key="")
        return await getattr(stub, method)(request_class(**fields), metadata=bearer(self.token))

    async def refused(self, domain: str, method: str, **fields: Any) -> Refusal:
        return await refused(self.call(domain, method, **fields))


@dataclass
class Market:
    platform: Platform
    issuer: TestIssuer
    ada: Person
    bob: Person
    plan_id: str


@pytest.fixture
async def market(database: TestDatabase) -> AsyncIterator[Market]:
    """Ada and Bob, each with a subscription and an invoice, and a plan."""
    async with running_platform(database, jwt_secret=SECRET) as platform:
        issuer = TestIssuer(platform.clock, platform.tenant_id)
        price = await new_price(platform, (await new_product(platform)).id, "fee")
        people = []
        for name in ("ada", "bob"):
            customer = await new_customer(platform, external_id=name)
            subscription = await subscribe(platform, price, customer_id=customer.id)
            people.append(Person(platform, "", customer.id, subscription.id))
        await platform.pass_time(days=40)
        for person, name in zip(people, ("ada", "bob"), strict=True):
            person.invoice_id = (await invoices_of(platform, person.subscription_id))[0].id
            person.token = issuer.token("consumer", name)
        plan = await platform.stub(CatalogServiceStub).CreatePlan(
            catalog_service_pb2.CreatePlanRequest(
                request_id=new_id("req"),
                code="basic",
                name="Basic",
                items=[{"price_id": price.id}],
                offered=True,
            )
        )
        ada, bob = people
        yield Market(platform, issuer, ada, bob, plan.plan.id)
