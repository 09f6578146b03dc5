"""Usage held against quotas, while its customers are locked: records that do not fit are refused."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from billing_db import quota as quota_sql

from corebilling.db.tenant import TenantProfile
from corebilling.db.transaction import Transaction
from corebilling.domains.quota.model import (
    Candidate,
    Counting,
    Quota,
    Scope,
    Window,
    exceeded,
    refusal_notices,
    refuse_excess,
    room_after,
)
from corebilling.domains.quota.notices import Occasion, give_notices
from corebilling.domains.quota.rows import quota_of
from corebilling.domains.quota.use import used_in
from corebilling.domains.usage.form import UsageRecords, instant_at, microseconds
from corebilling.domains.usage.model import Acceptance, PeriodKey
from corebilling.domains.usage.placement import Placement, UsagePeriod
from corebilling.values.money import exact_amount


@dataclass(frozen=True, slots=True)
class TenantUse:
    """What a batch adds to a quota of the tenant's."""

    quota: Quota
    window: Window
    added: Fraction


async def within_quotas(
    tx: Transaction,
    tenant: TenantProfile,
    records: UsageRecords,
    placement: Placement,
    acceptance: Acceptance,
    room: Mapping[PeriodKey, Fraction],
) -> tuple[Acceptance, list[TenantUse]]:
    """Leaves out what hard quotas refuse, which is announced, and tells what the rest adds to the tenant's.

    `room` is what a quota of the tenant's was found to have left: customers share no lock, so that others may
    use it up at the same moment.
    """
    rows = await quota_sql.list_quotas_in_force(
        tx,
        tenant_id=tx.tenant_id,
        subscription_ids=sorted({period.item.subscription_id for period in placement.periods}),
        at_ingestion=True,
    )
    by_subscription: dict[str, list[Quota]] = {}
    for row in rows:
        by_subscription.setdefault(row.subscription_id, []).append(quota_of(row, tenant))
    places = _Places(by_subscription, tenant)
    candidates = [
        Candidate(
            index,
            records.quantities[index],
            places.windows(placement.periods[placement.places[index] - 1], records.recorded_us[index]),
        )
        for index in acceptance.fresh
        if placement.places[index] > 0  # What the meter's filters leave out uses nothing.
    ]
    windows = {window: quota for one in candidates for quota, window in one.windows}
    used = await used_in(tx, windows)
    left = {window: room[_key(window)] for window in windows if _key(window) in room}
    decision = refuse_excess(candidates, used, left)
    await give_notices(
        tx,
        {
            (window, notice): Occasion(quota, so_far)
            for window, (quota, so_far) in decision.full.items()
            for notice in refusal_notices(quota, exact_amount(so_far))
        },
    )
    fresh = [index for index in acceptance.fresh if index not in decision.refused]
    return (
        Acceptance(fresh, acceptance.duplicates, {**acceptance.refused, **decision.refused}),
        [
            TenantUse(windows[window], window, added)
            for window, added in decision.taken.items()
            if windows[window].scope is Scope.TENANT
        ],
    )


async def count_use(tx: Transaction, use: list[TenantUse]) -> dict[PeriodKey, Fraction]:
    """Counts what a batch used of the tenant's quotas; returns what hard ones had left that it exceeds."""
    rows = await quota_sql.count_use(
        tx,
        tenant_id=tx.tenant_id,
        quota_ids=[one.quota.id for one in use],
        starts=[one.window.period.start for one in use],
        ends=[one.window.period.end for one in use],
        used=[exact_amount(one.added) for one in use],
        largest=[one.quota.id for one in use if one.quota.counting is Counting.MAX],
    )
    now_used = {(row.quota_id, row.period_start): row.used for row in rows}
    room = {
        _key(one.window): room_after(
            one.quota, now_used[one.window.quota_id, one.window.period.start], one.added
        )
        for one in use
    }
    return {key: left for key, left in room.items() if left is not None}


async def check_correction(
    tx: Transaction,
    tenant: TenantProfile,
    subscription_id: str,
    meter_code: str,
    recorded_at: datetime,
    *,
    before: Decimal,
    after: Decimal,
) -> None:
    """A record that was corrected upwards keeps within hard quotas, as one that is reported does.

    Call it when its totals have followed.

    Raises:
        ResourceExhausted: QUOTA_EXCEEDED.
    """
    rows = await quota_sql.list_quotas_in_force(
        tx, tenant_id=tx.tenant_id, subscription_ids=[subscription_id], at_ingestion=True
    )
    added, held, use = Fraction(after) - Fraction(before), {}, []
    for quota in (quota_of(row, tenant) for row in rows):
        at = tenant.now if quota.scope is Scope.TENANT else recorded_at
        window = quota.window(at)
        # Correcting it makes no further record.
        if window is None or not quota.counts(meter_code) or quota.counting is Counting.COUNT:
            continue
        if quota.counting is Counting.MAX and quota.hard and after > quota.limit:
            raise exceeded(quota, window, Fraction(before))
        if quota.scope is Scope.TENANT:
            taken = Fraction(after) if quota.counting is Counting.MAX else added
            use.append(TenantUse(quota, window, taken))
        elif quota.counting is Counting.SUM and quota.hard:
            held[window] = quota
    used = await used_in(tx, held)
    for window, quota in held.items():
        if used[window] > quota.limit:
            raise exceeded(quota, window, used[window] - added)
    left = await count_use(tx, use) if use else {}
    for one in use:
        if _key(one.window) in left:
            raise exceeded(one.quota, one.window, Fraction(one.quota.limit) - left[_key(one.window)])


class _Places:
    """Where each record counts. Usage comes in order: the last window is asked first."""

    def __init__(self, by_subscription: Mapping[str, list[Quota]], tenant: TenantProfile) -> None:
        self._quotas = by_subscription
        self._now = tenant.now
        self._last: dict[tuple[str, str], Window] = {}

    def windows(self, period: UsagePeriod, recorded_us: int) -> list[tuple[Quota, Window]]:
        item = period.item
        found = []
        for quota in self._quotas.get(item.subscription_id, ()):
            if quota.counts(item.meter_code):
                window = self._window(quota, recorded_us)
                if window is not None:
                    found.append((quota, window))
        return found

    def _window(self, quota: Quota, recorded_us: int) -> Window | None:
        # The tenant's quotas count what is accepted now.
        at = self._now if quota.scope is Scope.TENANT else instant_at(recorded_us)
        last = self._last.get((quota.id, quota.subscription_id))
        if last is not None and at in last.period:
            return last
        window = quota.window(at)
        if window is not None:
            self._last[quota.id, quota.subscription_id] = window
        return window


def _key(window: Window) -> PeriodKey:
    return window.quota_id, microseconds(window.period.start)
