"""Tenants through the server: who may see them, and what creating one leaves behind."""

from typing import TYPE_CHECKING, Any

import pytest
from billing.tenant.v1 import tenant_pb2 as pb
from billing.tenant.v1 import tenant_service_pb2 as rpc
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub

from corebilling.mapping import timestamp
from tests.support.app import App, app, refused
from tests.support.clock import FakeClock

if TYPE_CHECKING:
    from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceAsyncStub

__all__ = ["app"]


def tenants(app: App, key: str | None = None) -> "TenantServiceAsyncStub":
    return app.stub(TenantServiceStub, key=app.platform_key if key is None else key)


def creation(request_id: str = "req-1", **fields: Any) -> rpc.CreateTenantRequest:
    values: dict[str, Any] = {"name": "Umbrella", "slug": "umbrella", "mode": pb.TENANT_MODE_LIVE, **fields}
    return rpc.CreateTenantRequest(request_id=request_id, **values)


async def test_created_tenant_has_the_defaults_and_can_be_read(app: App) -> None:
    tenant = (await tenants(app).CreateTenant(creation())).tenant
    assert (tenant.slug, tenant.default_currency, tenant.timezone) == ("umbrella", "USD", "UTC")
    assert tenant.status == pb.TENANT_STATUS_ACTIVE
    assert (tenant.auto_finalize, tenant.version) == (True, 1)
    found = await tenants(app).GetTenant(rpc.GetTenantRequest(tenant_id=tenant.id))
    assert found.tenant == tenant


async def test_creating_a_tenant_announces_it_in_its_own_name(app: App) -> None:
    tenant = (await tenants(app).CreateTenant(creation())).tenant
    (event,) = await app.database.admin("SELECT * FROM billing_events WHERE resource_id = $1", tenant.id)
    assert (event["subject"], event["tenant_id"], event["ordering_key"]) == (
        "tenant.created",
        tenant.id,
        tenant.id,
    )


async def test_the_audit_entry_of_a_new_tenant_belongs_to_the_platform(app: App) -> None:
    await tenants(app).CreateTenant(creation("req-audited"))
    (entry,) = await app.database.admin("SELECT * FROM audit_entries WHERE request_id = 'req-audited'")
    assert (entry["tenant_id"], entry["action"]) == (
        "ten_platform",
        "billing.tenant.v1.TenantService/CreateTenant",
    )
    assert entry["actor"].startswith("key_")


async def test_sandbox_tenant_has_a_clock_that_stands_where_it_was_set(app: App) -> None:
    start = FakeClock().now().replace(year=2030)
    request = creation(mode=pb.TENANT_MODE_SANDBOX, clock_time=timestamp(start))
    tenant = (await tenants(app).CreateTenant(request)).tenant
    (clock,) = await app.database.admin("SELECT * FROM test_clocks WHERE tenant_id = $1", tenant.id)
    assert (clock["now_at"], clock["target_at"]) == (start, start)


@pytest.mark.parametrize(
    "fields",
    [
        {"mode": pb.TENANT_MODE_SANDBOX},
        {"mode": pb.TENANT_MODE_LIVE, "clock_time": timestamp(FakeClock().now())},
    ],
)
async def test_only_and_every_sandbox_tenant_has_a_clock(app: App, fields: dict[str, Any]) -> None:
    refusal = await refused(tenants(app).CreateTenant(creation(**fields)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "TENANT_CLOCK_INVALID")
    assert await app.database.admin("SELECT FROM tenants WHERE slug = 'umbrella'") == []


async def test_a_slug_belongs_to_one_tenant(app: App) -> None:
    await tenants(app).CreateTenant(creation("req-1"))
    refusal = await refused(tenants(app).CreateTenant(creation("req-2")))
    assert (refusal.code, refusal.reason) == ("ALREADY_EXISTS", "TENANT_SLUG_TAKEN")
    assert refusal.facts == {"slug": "umbrella"}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"default_currency": "XXX"}, "CURRENCY_UNKNOWN"),
        ({"timezone": "Europe/Atlantis"}, "TIMEZONE_UNKNOWN"),
        ({"timezone": "../etc/passwd"}, "TIMEZONE_UNKNOWN"),
        ({"slug": "Umbrella"}, "REQUEST_INVALID"),
        ({"mode": 9}, "REQUEST_INVALID"),
    ],
)
async def test_wrong_tenant_is_refused(app: App, fields: dict[str, Any], reason: str) -> None:
    refusal = await refused(tenants(app).CreateTenant(creation(**fields)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", reason)


async def test_list_pages_through_all_tenants_but_the_platform_newest_first(app: App) -> None:
    made = [app.tenant_id, *[await app.new_tenant(f"tenant-{n}") for n in range(4)]]
    found, token = [], ""
    while True:
        page = await tenants(app).ListTenants(rpc.ListTenantsRequest(page_size=2, page_token=token))
        assert len(page.tenants) <= 2
        found += [tenant.id for tenant in page.tenants]
        token = page.next_page_token
        if not token:
            break
    assert found == made[::-1]


async def test_invalid_page_token_is_refused(app: App) -> None:
    refusal = await refused(tenants(app).ListTenants(rpc.ListTenantsRequest(page_token="x")))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_a_tenants_owner_reads_its_own_tenant_and_no_list(app: App) -> None:
    own = tenants(app, app.tenant_key)
    assert (await own.GetTenant(rpc.GetTenantRequest())).tenant.id == app.tenant_id
    refusal = await refused(own.ListTenants(rpc.ListTenantsRequest()))
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
    assert refusal.facts == {"permission": "tenant.list"}
    refusal = await refused(own.CreateTenant(creation()))
    assert refusal.facts == {"permission": "tenant.write"}
