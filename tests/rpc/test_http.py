"""Health, readiness and metrics over HTTP, of the platform as it is composed."""

import asyncio
import re

import aiohttp
import pytest
from billing.tenant.v1 import tenant_service_pb2 as rpc
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub

from corebilling.http.server import HttpServer
from corebilling.listening import AddressUnavailable
from tests.support.app import refused
from tests.support.platform import Platform

# Nobody but an administrator can connect any more, and who was connected is thrown out.
CUT_OFF = """
WITH closed AS (UPDATE pg_database SET datconnlimit = 0 WHERE datname = current_database() RETURNING datname)
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN closed c ON c.datname = a.datname
WHERE a.pid <> pg_backend_pid()
"""


async def get(platform: Platform, path: str) -> tuple[int, str]:
    url = platform.app.http_address + path
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_process_with_a_migrated_database_lives_and_is_ready(platform: Platform) -> None:
    assert await get(platform, "/health") == (200, '{"status": "ok"}')
    assert await get(platform, "/healthz") == (200, '{"status": "ok"}')
    assert await get(platform, "/ready") == (200, '{"status": "ready"}')


async def test_process_is_not_ready_while_a_migration_is_missing(platform: Platform) -> None:
    await platform.rows("DELETE FROM schema_migrations WHERE version = '0002'")
    status, body = await get(platform, "/ready")
    assert (status, "0002_tenant.sql" in body) == (503, True)


async def test_process_without_its_database_lives_but_is_not_ready(platform: Platform) -> None:
    await platform.rows(CUT_OFF)
    status, body = await get(platform, "/ready")
    assert (status, "the database cannot be reached" in body) == (503, True)
    assert (await get(platform, "/health"))[0] == 200


async def test_metrics_count_calls_by_method_and_status(platform: Platform) -> None:
    await refused(platform.stub(TenantServiceStub, key="").GetTenant(rpc.GetTenantRequest()))
    method = 'method="billing.tenant.v1.TenantService/GetTenant"'
    counted = f'corebilling_api_requests_total{{{method},status="UNAUTHENTICATED"}}'
    metrics = ""
    # A call is counted when it has ended, which is just after its caller knows how.
    async with asyncio.timeout(10):
        while counted not in metrics:
            _, metrics = await get(platform, "/metrics")
    assert f"corebilling_api_duration_seconds_count{{{method}}}" in metrics


async def test_metrics_name_no_tenant(platform: Platform) -> None:
    await platform.stub(TenantServiceStub).GetTenant(rpc.GetTenantRequest(tenant_id=platform.tenant_id))
    _, metrics = await get(platform, "/metrics")
    labels = set(re.findall(r'\b(\w+)="', metrics))
    of_the_interpreter = {"implementation", "major", "minor", "patchlevel", "version", "generation"}
    assert {"method"} <= labels - of_the_interpreter <= {"method", "status", "handler", "le"}
    assert platform.tenant_id not in metrics


async def test_the_reference_is_served_to_everybody(platform: Platform) -> None:
    for path, beginning in (("/openapi.yaml", "# Generated"), ("/docs", "<!doctype html>")):
        status, body = await get(platform, path)
        assert (status, body.startswith(beginning)) == (200, True)


async def test_taken_port_is_named(platform: Platform) -> None:
    port = int(platform.app.http_address.rpartition(":")[2])

    async def ready() -> str:
        return ""

    with pytest.raises(AddressUnavailable, match=f"127.0.0.1:{port}"):
        await HttpServer("127.0.0.1", port, ready).start()
