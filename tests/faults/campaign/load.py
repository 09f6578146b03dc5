"""The clients of the campaign: they work, insist until they are answered, and keep what they were told."""

import asyncio
import hashlib
import hmac
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any, TypeVar

import grpc
from aiohttp import web
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.event.v1 import event_service_pb2
from billing.event.v1.event_service_pb2_grpc import EventServiceStub
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.subscription.v1 import subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.tenant.v1 import tenant_pb2, tenant_service_pb2
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub
from billing.types.v1 import period_pb2
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub
from google.protobuf.message import Message
from google.protobuf.struct_pb2 import Struct

from corebilling.client import Client
from corebilling.mapping import timestamp
from corebilling.values.ids import PLATFORM_TENANT

PUBLISHERS = 8
MONTH_TENANTS = 2
SUBSCRIPTIONS_PER_TENANT = 2
BATCHES_PER_MONTH = 6
RECORDS_PER_BATCH = 25
FIRST_MONTH = datetime(2026, 1, 1, tzinfo=UTC)
AFTER_GRACE = timedelta(seconds=90)
FEE = Decimal(20)
UNIT_PRICE = Decimal("0.013")

_CALL_TIMEOUT_S = 5.0
_PASSING = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.ABORTED,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
    }
)

T = TypeVar("T")


@dataclass
class Journal:
    """What the clients were told, and what they expect from it."""

    published: list[tuple[str, str]] = field(default_factory=list)
    """(event id, resource id), in the order of the answers for each resource."""
    usage: dict[str, Decimal] = field(default_factory=dict)
    """Quantity accepted, by subscription."""
    invoices: dict[str, list[int]] = field(default_factory=dict)
    """Totals in cents of the months that were closed, by subscription."""
    changes: list[tuple[str, str, str]] = field(default_factory=list)
    """(tenant id, what was called, request id) of calls that changed something."""

    async def change(self, tenant_id: str, method: Callable[..., Awaitable[T]], request: Any) -> T:
        """Insists, and keeps that it was answered."""
        answer = await insist(method, request)
        action = request.DESCRIPTOR.name.removesuffix("Request")
        self.changes.append((tenant_id, action, request.request_id))
        return answer


class Sink:
    """A webhook receiver that checks the signature and remembers every event id."""

    def __init__(self) -> None:
        self.secret = ""
        self.url = ""
        self.received: list[tuple[str, str, bool]] = []
        """(event id, tenant id, is the signature right), as they came."""

    async def __aenter__(self) -> "Sink":
        app = web.Application()
        app.router.add_post("/", self._receive)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _receive(self, request: web.Request) -> web.Response:
        body = await request.read()
        expected = "sbwh_sig=v1:" + hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        valid = hmac.compare_digest(expected, request.headers.get("X-Signature", ""))
        self.received.append((request.headers["X-Event-ID"], request.headers["X-Tenant-ID"], valid))
        return web.Response(status=204)


async def insist(method: Callable[..., Awaitable[T]], request: Message) -> T:
    """As a client should: the same request again until it is answered."""
    while True:
        try:
            return await method(request, timeout=_CALL_TIMEOUT_S)
        except grpc.aio.AioRpcError as error:
            if error.code() not in _PASSING:
                raise
            await asyncio.sleep(0.05)


@dataclass
class Months:
    """A sandbox tenant whose subscriptions are billed month after month."""

    tenant_id: str
    client: Client
    subscription_ids: list[str]
    now: datetime = FIRST_MONTH


class Load:
    """Opened once per campaign; `work` runs until `stop` is set, and can be run again."""

    def __init__(self, target: str, platform_key: str, sink: Sink, seed: int) -> None:
        self.journal = Journal()
        self._chance = random.Random(seed)
        self._target = target
        self._operator = Client(target, platform_key)
        self._sink = sink
        self._months: list[Months] = []
        self._publisher: Client | None = None
        self._publisher_id = ""
        self._numbers: dict[str, int] = {}

    async def prepare(self) -> None:
        self._publisher_id, self._publisher = await self._tenant("orders", sandbox=False)
        webhook = await self.journal.change(
            self._publisher_id,
            self._publisher.stub(WebhookServiceStub).CreateWebhook,
            webhook_service_pb2.CreateWebhookRequest(
                request_id="webhook", url=self._sink.url, filters=["order.*"]
            ),
        )
        self._sink.secret = webhook.secret
        for number in range(MONTH_TENANTS):
            tenant_id, client = await self._tenant(f"months-{number}", sandbox=True)
            change = partial(self.journal.change, tenant_id)
            prices = await _prices(client, change)
            subscriptions = [
                await _subscribe(client, change, prices, n) for n in range(SUBSCRIPTIONS_PER_TENANT)
            ]
            self._months.append(Months(tenant_id, client, subscriptions))

    async def close(self) -> None:
        for client in [self._operator, self._publisher, *(months.client for months in self._months)]:
            if client is not None:
                await client.close()

    async def work(self, stop: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            for number in range(PUBLISHERS):
                tasks.create_task(self._publish(f"order-{number}", stop))
            for months in self._months:
                tasks.create_task(self._bill(months, stop))

    async def _publish(self, resource_id: str, stop: asyncio.Event) -> None:
        """One event after the other about one resource: their versions must arrive in this order."""
        assert self._publisher is not None
        stub = self._publisher.stub(EventServiceStub)
        while not stop.is_set():
            number = self._numbers[resource_id] = self._numbers.get(resource_id, 0) + 1
            data = Struct()
            data.update({"number": number})
            request = event_service_pb2.PublishEventRequest(
                request_id=f"{resource_id}-{number}",
                subject="order.placed",
                resource_id=resource_id,
                data=data,
            )
            answer = await self.journal.change(self._publisher_id, stub.PublishEvent, request)
            self.journal.published.append((answer.event.id, resource_id))
            await asyncio.sleep(self._chance.uniform(0, 0.02))

    async def _bill(self, months: Months, stop: asyncio.Event) -> None:
        while not stop.is_set():
            quantities = {name: await self._report(months, name) for name in months.subscription_ids}
            months.now = _next_month(months.now)
            await self._advance(months, months.now + AFTER_GRACE)
            for subscription_id, quantity in quantities.items():
                usage = (quantity * UNIT_PRICE).quantize(Decimal("0.01"), ROUND_HALF_UP)
                self.journal.invoices.setdefault(subscription_id, []).append(int((FEE + usage) * 100))

    async def _report(self, months: Months, subscription_id: str) -> Decimal:
        """A month's usage; the quantity that was accepted."""
        stub = months.client.stub(UsageServiceStub)
        total = Decimal(0)
        for batch in range(BATCHES_PER_MONTH):
            quantities = [Decimal(self._chance.randint(1, 10_000)) / 10 for _ in range(RECORDS_PER_BATCH)]
            request = usage_service_pb2.BatchReportUsageRequest(
                records=[
                    usage_pb2.UsageRecord(
                        idempotency_key=f"{subscription_id}-{months.now:%Y%m}-{batch}-{number}",
                        subscription_id=subscription_id,
                        meter_code="calls",
                        quantity=str(quantity),
                        recorded_at=timestamp(months.now + AFTER_GRACE),
                    )
                    for number, quantity in enumerate(quantities)
                ]
            )
            answer = await insist(stub.BatchReportUsage, request)
            assert answer.accepted + answer.duplicates == RECORDS_PER_BATCH, answer
            total += sum(quantities)
            self.journal.usage[subscription_id] = self.journal.usage.get(subscription_id, Decimal(0)) + sum(
                quantities
            )
        return total

    async def _advance(self, months: Months, to: datetime) -> None:
        stub = months.client.stub(ScheduleServiceStub)
        request = schedule_service_pb2.AdvanceTestClockRequest(
            request_id=f"to {to.isoformat()}", target_at=timestamp(to)
        )
        await self.journal.change(months.tenant_id, stub.AdvanceTestClock, request)
        look = schedule_service_pb2.GetTestClockRequest()
        while not (await insist(stub.GetTestClock, look)).clock.ready:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def _tenant(self, slug: str, *, sandbox: bool) -> tuple[str, Client]:
        tenants = self._operator.stub(TenantServiceStub)
        created = await self.journal.change(
            PLATFORM_TENANT,
            tenants.CreateTenant,
            tenant_service_pb2.CreateTenantRequest(
                request_id=slug,
                name=slug,
                slug=slug,
                mode=tenant_pb2.TENANT_MODE_SANDBOX if sandbox else tenant_pb2.TENANT_MODE_LIVE,
                clock_time=timestamp(FIRST_MONTH) if sandbox else None,
            ),
        )
        key = await self.journal.change(
            created.tenant.id,
            self._operator.stub(AccessServiceStub).CreateApiKey,
            access_service_pb2.CreateApiKeyRequest(
                tenant_id=created.tenant.id, request_id=slug, name=slug, role=api_key_pb2.ROLE_OWNER
            ),
        )
        client = Client(self._target, key.secret)
        if sandbox:
            months = Months(created.tenant.id, client, [])
            await self._advance(months, FIRST_MONTH + AFTER_GRACE)
        return created.tenant.id, client


async def _prices(client: Client, change: Callable[..., Awaitable[Any]]) -> list[str]:
    """A monthly fee, and a price per call."""
    catalog = client.stub(CatalogServiceStub)
    product = await change(
        catalog.CreateProduct,
        catalog_service_pb2.CreateProductRequest(request_id="product", code="api", name="API"),
    )
    meter = await change(
        catalog.CreateMeter,
        catalog_service_pb2.CreateMeterRequest(
            request_id="meter",
            code="calls",
            name="Calls",
            aggregation=catalog_pb2.AGGREGATION_SUM,
            unit="call",
        ),
    )
    fee = await change(
        catalog.CreatePrice,
        catalog_service_pb2.CreatePriceRequest(
            request_id="fee",
            product_id=product.product.id,
            code="fee",
            currency="USD",
            interval_unit=period_pb2.INTERVAL_UNIT_MONTH,
            model=catalog_pb2.PRICE_MODEL_FLAT,
            usage=catalog_pb2.PRICE_USAGE_LICENSED,
            unit_amount=str(FEE),
        ),
    )
    calls = await change(
        catalog.CreatePrice,
        catalog_service_pb2.CreatePriceRequest(
            request_id="calls",
            product_id=product.product.id,
            code="calls",
            currency="USD",
            interval_unit=period_pb2.INTERVAL_UNIT_MONTH,
            model=catalog_pb2.PRICE_MODEL_PER_UNIT,
            usage=catalog_pb2.PRICE_USAGE_METERED,
            meter_id=meter.meter.id,
            unit_amount=str(UNIT_PRICE),
        ),
    )
    return [fee.price.id, calls.price.id]


async def _subscribe(
    client: Client, change: Callable[..., Awaitable[Any]], prices: list[str], number: int
) -> str:
    customer = await change(
        client.stub(CustomerServiceStub).CreateCustomer,
        customer_service_pb2.CreateCustomerRequest(
            request_id=f"customer-{number}",
            currency="USD",
            details=customer_service_pb2.CustomerDetails(name=f"Customer {number}"),
        ),
    )
    created = await change(
        client.stub(SubscriptionServiceStub).CreateSubscription,
        subscription_service_pb2.CreateSubscriptionRequest(
            request_id=f"subscription-{number}",
            customer_id=customer.customer.id,
            start_at=timestamp(FIRST_MONTH),
            items=[subscription_service_pb2.NewSubscriptionItem(price_id=price) for price in prices],
        ),
    )
    subscription_id: str = created.subscription.id
    return subscription_id


def _next_month(of: datetime) -> datetime:
    return (of.replace(day=1) + timedelta(days=32)).replace(day=1)
