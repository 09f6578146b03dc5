"""Rows of quotas as the model knows them."""

from decimal import Decimal

from billing_db import quota as quota_sql

from corebilling.db.tenant import TenantProfile
from corebilling.domains.quota.model import Counting, Quota, QuotaPeriod, Scope, Threshold
from corebilling.values.period import BillingCalendar


def quota_of(row: quota_sql.ListQuotasInForceRow, tenant: TenantProfile) -> Quota:
    timezones = {Scope.TENANT: tenant.timezone, Scope.CUSTOMER: row.customer_timezone}
    return Quota(
        id=row.id,
        scope=Scope(row.scope),
        subscription_id=row.subscription_id,
        customer_id=row.customer_id,
        meter_code=row.meter_code,
        counting=Counting(row.aggregation),
        period=QuotaPeriod(row.period),
        limit=row.limit_quantity,
        hard=row.enforcement == "hard",
        tenant_id=tenant.id,
        timezone=timezones.get(Scope(row.scope), row.timezone),
        thresholds=[threshold_of(one["percent"], one["quantity"]) for one in row.thresholds],
        calendar=BillingCalendar.of(row),
    )


def threshold_of(percent: str, quantity: str) -> Threshold:
    return Threshold(Decimal(percent) if percent else None, Decimal(quantity) if quantity else None)
