"""Endpoints, a receiver and a worker of two tenants, on the real event path."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from billing.customer.v1 import customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.event.v1 import event_pb2 as eventv1
from billing.webhook.v1 import webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc
from prometheus_client import REGISTRY

from corebilling.domains.webhook.delivery_service import WebhookDeliveryService
from corebilling.domains.webhook.handlers import WebhookHandlers
from corebilling.domains.webhook.jobs import WebhookWorker
from corebilling.domains.webhook.model import WebhookPolicy
from corebilling.domains.webhook.service import WebhookService
from corebilling.secrets import Secrets
from corebilling.values.ids import new_id
from tests.support.pipeline import OTHER_TENANT, TENANT, Pipeline, caller, pipeline
from tests.support.platform import Platform
from tests.support.postgres import TestDatabase
from tests.support.receiver import Receiver, running_receiver

POLICY = WebhookPolicy(http_timeout_s=5, allow_private=True)
MASTER_KEY = bytes(range(32))
SEED = """
INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at)
VALUES ($1, $1, $1, 'live', 'USD', 'UTC', now())
"""


@dataclass
class Webhooks:
    """What the tests talk to. Time stands still, at the present: verifiers refuse old signatures."""

    events: Pipeline
    receiver: Receiver
    worker: WebhookWorker
    service: WebhookService
    log: WebhookDeliveryService

    async def call(
        self, use_case: Callable[..., Awaitable[Any]], request: Any, tenant_id: str = TENANT
    ) -> Any:
        async with self.events.writer.transaction(caller(tenant_id)) as tx:
            return await use_case(tx, request)

    async def endpoint(
        self, *filters: str, url: str = "", tenant_id: str = TENANT
    ) -> rpc.CreateWebhookResponse:
        request = rpc.CreateWebhookRequest(url=url or self.receiver.url, filters=filters or ["thing.*"])
        created: rpc.CreateWebhookResponse = await self.call(self.service.create_webhook, request, tenant_id)
        return created

    async def happen(self, resource_id: str = "a", *, tenant_id: str = TENANT) -> eventv1.Event:
        """One event, handled: its deliveries are due."""
        event = await self.events.write(resource_id, tenant_id=tenant_id)
        await self.events.drain()
        return event

    async def deliveries(self, tenant_id: str = TENANT) -> list[webhook_pb2.WebhookDelivery]:
        request = rpc.ListWebhookDeliveriesRequest()
        return list((await self.call(self.log.list_webhook_deliveries, request, tenant_id)).deliveries)

    async def delivery(self) -> webhook_pb2.WebhookDelivery:
        (delivery,) = await self.deliveries()
        return delivery

    async def attempts(self) -> list[tuple[int, int, str]]:
        request = rpc.ListWebhookDeliveryAttemptsRequest(delivery_id=(await self.delivery()).id)
        response = await self.call(self.log.list_webhook_delivery_attempts, request)
        return [(one.attempt, one.status_code, one.error) for one in response.attempts]

    async def dead_letters(self) -> list[tuple[str, str]]:
        rows = await self.events.database.admin("SELECT delivery_id, reason FROM webhook_dlq")
        return [(row["delivery_id"], row["reason"]) for row in rows]

    async def move_endpoint(self, url: str) -> None:
        await self.events.database.admin("UPDATE webhooks SET url = $1", url)

    @asynccontextmanager
    async def another_worker(self, policy: WebhookPolicy = POLICY) -> AsyncIterator[WebhookWorker]:
        """As in another process, which shares nothing but the database and the master key."""
        async with WebhookWorker.open(
            self.events.worker, Secrets(MASTER_KEY), self.events.clock, policy, jitter=lambda: 0.0
        ) as worker:
            yield worker


@pytest.fixture
async def webhooks(database: TestDatabase) -> AsyncIterator[Webhooks]:
    for tenant_id in (TENANT, OTHER_TENANT):
        await database.admin(SEED, tenant_id)
    async with AsyncExitStack() as stack:
        events = await stack.enter_async_context(pipeline(database, [WebhookHandlers().on_any_event]))
        events.clock.advance(seconds=(datetime.now(UTC) - events.clock.now()).total_seconds())
        receiver = await stack.enter_async_context(running_receiver())
        worker = await stack.enter_async_context(
            WebhookWorker.open(events.worker, Secrets(MASTER_KEY), events.clock, POLICY, jitter=lambda: 0.0)
        )
        yield Webhooks(
            events, receiver, worker, WebhookService(Secrets(MASTER_KEY), POLICY), WebhookDeliveryService()
        )


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


def metric(name: str) -> float:
    """A counter of deliveries, by the middle of its name."""
    value = REGISTRY.get_sample_value(f"corebilling_webhook_delivery_{name}_total")
    assert value is not None
    return value


async def customer_created(platform: Platform) -> None:
    await platform.stub(CustomerServiceStub).CreateCustomer(
        customer_service_pb2.CreateCustomerRequest(
            request_id=new_id("req"),
            details=customer_service_pb2.CustomerDetails(name="Ada Lovelace", email="ada@example.com"),
        )
    )
    await platform.drain()
