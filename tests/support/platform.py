"""The whole platform as production composes it, in this process: a fake clock, the local bus, one tenant."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

import asyncpg
import grpc
import pytest
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.tenant.v1 import tenant_pb2, tenant_service_pb2
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from corebilling.app import App, DatabaseUrls
from corebilling.client import Client
from corebilling.config import Settings
from corebilling.events.envelope import catalogue
from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.support.clock import FakeClock
from tests.support.postgres import TestDatabase

MASTER_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

Stub = TypeVar("Stub")


@dataclass
class Platform:
    """Calls carry the key of `tenant_id`'s owner unless told otherwise."""

    app: App
    database: TestDatabase
    clock: FakeClock
    tenant_id: str = ""
    tenant_key: str = ""
    _clients: dict[str, Client] = field(default_factory=dict)

    def stub(self, stub_class: Callable[[grpc.aio.Channel], Stub], *, key: str | None = None) -> Stub:
        api_key = self.tenant_key if key is None else key
        if api_key not in self._clients:
            self._clients[api_key] = Client(self.app.grpc_address, api_key)
        return self._clients[api_key].stub(stub_class)

    @property
    def operator_key(self) -> str:
        assert self.app.new_platform_key is not None
        return self.app.new_platform_key

    async def new_tenant(self, slug: str, *, clock_time: datetime | None = None) -> tuple[str, str]:
        """A tenant and its owner's key; a sandbox tenant when its clock is given a time."""
        mode = tenant_pb2.TENANT_MODE_SANDBOX if clock_time else tenant_pb2.TENANT_MODE_LIVE
        tenant = await self.stub(TenantServiceStub, key=self.operator_key).CreateTenant(
            tenant_service_pb2.CreateTenantRequest(
                request_id=new_id("req"),
                name=slug,
                slug=slug,
                mode=mode,
                clock_time=timestamp(clock_time) if clock_time else None,
            )
        )
        key = await self.stub(AccessServiceStub, key=self.operator_key).CreateApiKey(
            access_service_pb2.CreateApiKeyRequest(
                tenant_id=tenant.tenant.id, request_id=new_id("req"), name=slug, role=api_key_pb2.ROLE_OWNER
            )
        )
        return tenant.tenant.id, key.secret

    async def drain(self) -> None:
        """Does all that is due at the clock's time, and all that follows from it."""
        await self.app.drain()

    async def pass_time(self, **span: float) -> None:
        """As in pass_time(days=31), with all that falls due."""
        self.clock.advance(**span)
        await self.drain()

    async def rows(self, sql: str, *args: object) -> Sequence[asyncpg.Record]:
        return await self.database.admin(sql, *args)

    async def events(self, subject: str) -> list[Any]:
        """The payloads of the tenant's events of this subject, in the order they were written."""
        rows = await self.rows(
            "SELECT payload FROM billing_events WHERE tenant_id = $1 AND subject = $2 ORDER BY xid, seq",
            self.tenant_id,
            subject,
        )
        payload_class: type[Message] = GetMessageClass(catalogue()[subject])
        return [payload_class.FromString(row["payload"]) for row in rows]


@asynccontextmanager
async def running_platform(database: TestDatabase, **settings: Any) -> AsyncIterator[Platform]:
    clock = FakeClock()
    async with _open(database, clock, **settings) as app:
        platform = Platform(app, database, clock)
        platform.tenant_id, platform.tenant_key = await platform.new_tenant("acme")
        yield platform
        for client in platform._clients.values():
            await client.close()


@asynccontextmanager
async def second_process(platform: Platform, **settings: Any) -> AsyncIterator[Platform]:
    """Another server on the same database, for the same tenant: as far as it knows, a process of its own."""
    async with _open(platform.database, platform.clock, **settings) as app:
        second = Platform(app, platform.database, platform.clock, platform.tenant_id, platform.tenant_key)
        yield second
        for client in second._clients.values():
            await client.close()


@asynccontextmanager
async def _open(database: TestDatabase, clock: FakeClock, **settings: Any) -> AsyncIterator[App]:
    defaults: dict[str, Any] = {
        "port": 0,
        "grpc_port": 0,
        "master_key": MASTER_KEY,
        "webhook_allow_private": True,
        "grpc_stop_grace_seconds": 0.001,
        "database_app_connections": 8,
        "database_worker_connections": 4,
        # The fake clock stands still, and so would the rates.
        "rate_limit_rps": 0,
        "api_key_failures_rps": 0,
        # One channel makes all calls, also those of a race.
        "grpc_max_concurrent_streams": 128,
    }
    chosen = Settings(**(defaults | settings))
    urls = DatabaseUrls(app=database.url("corebilling_app"), worker=database.url("corebilling_worker"))
    async with App.open(chosen, urls, clock) as app:
        yield app


@pytest.fixture
async def platform(database: TestDatabase) -> AsyncIterator[Platform]:
    async with running_platform(database) as opened:
        yield opened
