"""What a use case needs to know about its tenant, above all what time it is there."""

from dataclasses import dataclass
from datetime import datetime

from billing_db import tenant_profile as tenant_sql

from corebilling.db.transaction import Transaction
from corebilling.errors import NotFound
from corebilling.values.proration import Grain


@dataclass(frozen=True, slots=True)
class TenantProfile:
    """`now` is the tenant's business clock: it decides periods, windows and due dates.

    The wall clock for live tenants, the test clock for sandbox tenants. Leases, expiry and `created_at` go
    by the system clock, `tx.now`.
    """

    id: str
    sandbox: bool
    default_currency: str
    timezone: str
    auto_finalize: bool
    proration_grain: Grain
    now: datetime


async def tenant_profile(tx: Transaction) -> TenantProfile:
    """The profile of the transaction's tenant.

    Raises:
        NotFound: TENANT_NOT_FOUND.
    """
    row = await tenant_sql.find_tenant_profile(tx, tenant_id=tx.tenant_id)
    if row is None:
        raise NotFound("TENANT_NOT_FOUND", "There is no such tenant.", {"tenant_id": tx.tenant_id})
    return TenantProfile(
        id=tx.tenant_id,
        sandbox=row.mode == "sandbox",
        default_currency=row.default_currency,
        timezone=row.timezone,
        auto_finalize=row.auto_finalize,
        proration_grain=Grain(row.proration_grain),
        now=tx.rehearsed_at or row.clock_now_at or tx.now,
    )
