"""Usage of two tenants on a real Postgres, at a fixed time, through the usage servicer."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from billing.event.v1 import event_pb2 as eventv1
from billing.usage.v1 import usage_events_pb2, usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc

from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.subscription.service import SubscriptionPolicy, SubscriptionService
from corebilling.domains.usage.corrections import CorrectionService
from corebilling.domains.usage.service import UsageService
from corebilling.domains.usage.servicer import UsageServicer
from corebilling.mapping import timestamp
from corebilling.values.caller import Caller
from tests.support.postgres import TestDatabase

TENANT = "ten_0000000000000000000000000a"
OTHER_TENANT = "ten_0000000000000000000000000b"
NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
METERS = ("calls", "peak", "requests")
CONTEXT: Any = None


class FixedClock:
    def now(self) -> datetime:
        return NOW


@dataclass(frozen=True)
class TenantDoor:
    """Opens transactions as one tenant, as the server's door does for an authenticated caller."""

    database: Database
    tenant_id: str

    async def read(self, request: Any, use_case: Callable[[Transaction, Any], Awaitable[Any]]) -> Any:
        caller = Caller(tenant_id=self.tenant_id, actor="key:test", role="owner", permissions=frozenset())
        async with self.database.transaction(caller) as tx:
            return await use_case(tx, request)

    ingest = read


@dataclass
class Usage:
    """What the tests talk to."""

    db: TestDatabase
    pool: Database
    service: UsageService
    events: list[eventv1.Event] = field(default_factory=list)

    def door(self, tenant_id: str = TENANT) -> UsageServicer:
        door: Any = TenantDoor(self.pool, tenant_id)
        return UsageServicer(door, self.service, CorrectionService(grace=timedelta(hours=1)))

    async def batch(
        self, *records: usage_pb2.UsageRecord, tenant: str = TENANT
    ) -> rpc.BatchReportUsageResponse:
        return await self.door(tenant).BatchReportUsage(rpc.BatchReportUsageRequest(records=records), CONTEXT)

    async def totals(self, subscription_id: str = "sub_a", page_size: int = 0) -> list[usage_pb2.UsageTotal]:
        found: list[usage_pb2.UsageTotal] = []
        token = ""
        while True:
            page = await self.door().ListUsageTotals(
                rpc.ListUsageTotalsRequest(
                    subscription_id=subscription_id, page_size=page_size, page_token=token
                ),
                CONTEXT,
            )
            found += page.totals
            token = page.next_page_token
            if not token:
                return found

    async def reconciled(
        self,
        start: datetime = NOW - timedelta(days=60),
        end: datetime = NOW + timedelta(days=30),
        **more: Any,
    ) -> rpc.ReconcileUsageResponse:
        request = rpc.ReconcileUsageRequest(start=timestamp(start), end=timestamp(end), **more)
        return await self.door().ReconcileUsage(request, CONTEXT)

    def reported(self) -> list[usage_events_pb2.UsageReported]:
        payloads = []
        for event in self.events:
            payload = usage_events_pb2.UsageReported()
            if event.payload.Unpack(payload):
                payloads.append(payload)
        return payloads


@pytest.fixture
async def usage(database: TestDatabase) -> AsyncIterator[Usage]:
    await run_script(database, "usage_seed.sql")
    service = UsageService(
        SubscriptionService(SubscriptionPolicy(grace_s=3600)),
        back=timedelta(days=35),
        ahead=timedelta(minutes=5),
        grace=timedelta(hours=1),
    )
    events: list[eventv1.Event] = []
    pool = await Database.open(
        database.url("corebilling_app"),
        role="corebilling_app",
        clock=FixedClock(),
        max_size=8,
        committed=lambda tx: events.extend(tx.events),
    )
    yield Usage(database, pool, service, events)
    await pool.close()


async def run_script(database: TestDatabase, name: str) -> None:
    """Runs a file of statements of this folder as superuser."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        await connection.execute((Path(__file__).parent / name).read_text())
    finally:
        await connection.close()


def record(
    key: str,
    quantity: str = "1",
    at: datetime = NOW,
    *,
    subscription: str = "sub_a",
    meter: str = "calls",
    properties: Mapping[str, str] | None = None,
) -> usage_pb2.UsageRecord:
    return usage_pb2.UsageRecord(
        idempotency_key=key,
        subscription_id=subscription,
        meter_code=meter,
        quantity=quantity,
        recorded_at=timestamp(at),
        properties=properties or {},
    )


def outcomes(response: rpc.BatchReportUsageResponse) -> dict[int, tuple[int, str]]:
    return {result.index: (result.outcome, result.reason) for result in response.results}
