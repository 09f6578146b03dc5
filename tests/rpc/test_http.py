"""Health, readiness and metrics over HTTP."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from billing.tenant.v1 import tenant_service_pb2 as rpc
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub

from corebilling.db import migrate, readiness
from corebilling.http.server import AddressUnavailable, HttpServer
from tests.support.app import App, app, refused
from tests.support.postgres import MIGRATIONS

__all__ = ["app"]


@pytest.fixture
async def url(app: App) -> AsyncIterator[str]:
    migrations = migrate.load(MIGRATIONS)
    server = HttpServer("127.0.0.1", 0, lambda: readiness.problem_of(app.pool, migrations))
    yield f"http://127.0.0.1:{await server.start()}"
    await server.stop()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("path", ["/health", "/healthz"])
async def test_living_process_says_so_even_without_its_database(app: App, url: str, path: str) -> None:
    await app.pool.close()
    assert await get(url + path) == (200, '{"status": "ok"}')


async def test_process_with_a_migrated_database_is_ready(url: str) -> None:
    assert await get(url + "/ready") == (200, '{"status": "ready"}')


async def test_process_is_not_ready_while_a_migration_is_missing(app: App, url: str) -> None:
    await app.database.admin("DELETE FROM schema_migrations WHERE version = '0002'")
    status, body = await get(url + "/ready")
    assert status == 503
    assert "0002_tenant.sql is not applied" in body


async def test_process_without_its_database_is_not_ready(app: App, url: str) -> None:
    await app.pool.close()
    status, body = await get(url + "/ready")
    assert (status, "the database cannot be reached" in body) == (503, True)


async def test_metrics_count_calls_by_method_and_status(app: App, url: str) -> None:
    await refused(app.stub(TenantServiceStub, key="").GetTenant(rpc.GetTenantRequest()))
    _, metrics = await get(url + "/metrics")
    method = 'method="billing.tenant.v1.TenantService/GetTenant"'
    assert f'corebilling_api_requests_total{{{method},status="UNAUTHENTICATED"}}' in metrics
    assert f"corebilling_api_duration_seconds_count{{{method}}}" in metrics


async def test_taken_port_is_named(url: str) -> None:
    port = int(url.rpartition(":")[2])

    async def ready() -> str:
        return ""

    with pytest.raises(AddressUnavailable, match=f"127.0.0.1:{port}"):
        await HttpServer("127.0.0.1", port, ready).start()
