"""What was used in the windows of quotas: read from period totals, hours and counters."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from billing_db import quota as quota_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.quota.model import Counting, Quota, QuotaPeriod, Scope, Window


async def used_in(tx: Transaction, windows: Mapping[Window, Quota]) -> dict[Window, Fraction]:
    """How much each window holds; one statement for each of the places that some of them look at."""
    used = dict.fromkeys(windows, Fraction(0))
    tenants = [window for window, quota in windows.items() if quota.scope is Scope.TENANT]
    others = [(window, quota) for window, quota in windows.items() if quota.scope is not Scope.TENANT]
    billing = [pair for pair in others if pair[1].period is QuotaPeriod.BILLING_PERIOD]
    calendar = [pair for pair in others if pair[1].period is not QuotaPeriod.BILLING_PERIOD]
    if tenants:
        used |= await _counted(tx, tenants)
    if billing:
        subjects, meters, starts, ends = _columns(billing)
        for row in await quota_sql.list_use_of_periods(
            tx,
            tenant_id=tx.tenant_id,
            subscription_ids=subjects,
            meter_codes=meters,
            starts=starts,
            ends=ends,
        ):
            window, quota = billing[row.number - 1]
            used[window] = _quantity(quota, row.record_count, row.quantity_sum, row.quantity_max)
    if calendar:
        subjects, meters, starts, ends = _columns(calendar)
        for hours in await quota_sql.list_use_of_hours(
            tx, tenant_id=tx.tenant_id, subject_ids=subjects, meter_codes=meters, starts=starts, ends=ends
        ):
            window, quota = calendar[hours.number - 1]
            used[window] = _quantity(quota, hours.record_count, hours.quantity_sum, hours.quantity_max)
    return used


async def _counted(tx: Transaction, windows: list[Window]) -> dict[Window, Fraction]:
    rows = await quota_sql.list_counters(
        tx,
        tenant_id=tx.tenant_id,
        quota_ids=[window.quota_id for window in windows],
        starts=[window.period.start for window in windows],
    )
    used = {(row.quota_id, row.period_start): Fraction(row.used) for row in rows}
    return {window: used.get((window.quota_id, window.period.start), Fraction(0)) for window in windows}


def _columns(
    pairs: list[tuple[Window, Quota]],
) -> tuple[list[str], list[str], list[datetime], list[datetime]]:
    return (
        [window.subject_id for window, _ in pairs],
        [quota.meter_code for _, quota in pairs],
        [window.period.start for window, _ in pairs],
        [window.period.end for window, _ in pairs],
    )


def _quantity(quota: Quota, records: int, total: Decimal, largest: Decimal) -> Fraction:
    if quota.counting is Counting.COUNT:
        return Fraction(records)
    return Fraction(largest if quota.counting is Counting.MAX else total)
