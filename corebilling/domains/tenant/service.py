"""Use cases of tenants, for the platform's operators."""

from billing.tenant.v1 import tenant_events_pb2 as events
from billing.tenant.v1 import tenant_pb2
from billing.tenant.v1 import tenant_service_pb2 as rpc
from billing_db import tenant as tenant_sql
from billing_db.models import Tenant

from corebilling.db.failure import refuse_on
from corebilling.db.transaction import Transaction
from corebilling.domains.tenant.model import check_clock
from corebilling.errors import AlreadyExists, NotFound
from corebilling.events import outbox
from corebilling.mapping import enum_text, instant, to_message
from corebilling.values.currency import check_currency
from corebilling.values.ids import new_id
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.period import time_zone
from corebilling.values.proration import Grain

_DEFAULT_CURRENCY = "USD"
_DEFAULT_TIMEZONE = "UTC"


class TenantService:
    """Creates and finds tenants; all but `get_tenant` run in the platform's own tenant."""

    async def create_tenant(
        self, tx: Transaction, request: rpc.CreateTenantRequest
    ) -> rpc.CreateTenantResponse:
        mode = enum_text(tenant_pb2.TenantMode, request.mode)
        clock_at = check_clock(mode, instant(request.clock_time) if request.HasField("clock_time") else None)
        taken = AlreadyExists(
            "TENANT_SLUG_TAKEN", "Another tenant has this slug; choose another.", {"slug": request.slug}
        )
        with refuse_on({"tenants_slug_taken": taken}):
            tenant = await tenant_sql.insert_tenant(
                tx,
                id=new_id("ten"),
                name=request.name,
                slug=request.slug,
                mode=mode,
                default_currency=check_currency(request.default_currency or _DEFAULT_CURRENCY),
                timezone=time_zone(request.timezone or _DEFAULT_TIMEZONE).key,
                proration_grain=enum_text(tenant_pb2.ProrationGrain, request.proration_grain)
                if request.proration_grain
                else Grain.SECOND,
                auto_finalize=not request.manual_finalize,
                created_at=tx.now,
            )
        if clock_at is not None:
            platform = tx.tenant_id
            await tx.switch_tenant(tenant.id)
            await tenant_sql.insert_test_clock(tx, tenant_id=tenant.id, now_at=clock_at)
            await tx.switch_tenant(platform)
        message = _message(tenant)
        outbox.append(
            tx,
            events.TenantCreated(
                tenant_id=tenant.id, mode=message.mode, default_currency=tenant.default_currency
            ),
            resource_id=tenant.id,
            resource_version=tenant.version,
            ordering_key=tenant.id,
            tenant_id=tenant.id,
        )
        return rpc.CreateTenantResponse(tenant=message)

    async def get_tenant(self, tx: Transaction, request: rpc.GetTenantRequest) -> rpc.GetTenantResponse:
        tenant = await tenant_sql.find_tenant(tx, tenant_id=tx.tenant_id)
        if tenant is None:
            raise NotFound("TENANT_NOT_FOUND", "There is no such tenant.", {"tenant_id": tx.tenant_id})
        return rpc.GetTenantResponse(tenant=_message(tenant))

    async def list_tenants(self, tx: Transaction, request: rpc.ListTenantsRequest) -> rpc.ListTenantsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await tenant_sql.list_tenants(tx, after=after, limit_rows=limit + 1)
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListTenantsResponse(tenants=map(_message, page), next_page_token=token)


def _message(tenant: Tenant) -> tenant_pb2.Tenant:
    return to_message(tenant, tenant_pb2.Tenant)
