"""Use cases of usage: records come in, and count for what they name."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from fractions import Fraction
from types import MappingProxyType
from typing import TypeVar

from billing.usage.v1 import usage_events_pb2 as events
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing_db import schedule as schedule_sql
from billing_db import usage as usage_sql

from corebilling.db.failure import PartitionMissing, partition_missing
from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.subscription.service import SubscriptionService
from corebilling.domains.usage.batch_totals import announce_reported, limited, period_message
from corebilling.domains.usage.form import Properties, UsageRecords, months_of, stored_keys
from corebilling.domains.usage.model import (
    Acceptance,
    PeriodKey,
    decide_acceptance,
    leave_out_excess,
    period_key,
    room_left,
    usage_total_id,
)
from corebilling.domains.usage.placement import (
    Placement,
    SourceKey,
    UsageItem,
    UsagePeriod,
    UsagePlan,
    UsageWindow,
    decide_placement,
    overdue_subscriptions,
    usage_source,
)
from corebilling.domains.usage.plans import UsagePlans, read_plans
from corebilling.domains.usage.quotas import count_use, within_quotas
from corebilling.domains.usage.records import named_subscriptions, read_records
from corebilling.errors import BillingError
from corebilling.events import outbox
from corebilling.mapping import decimal_text
from corebilling.values.ids import new_id

_MAX_REMEMBERED_PERIODS = 100_000

T = TypeVar("T")

NO_LIMIT: Mapping[PeriodKey, Fraction] = MappingProxyType({})


class MonthsMissing(Exception):
    """Records fall into months without a partition: make those in a transaction of its own, and repeat."""

    def __init__(self, months: Collection[date]) -> None:
        super().__init__(", ".join(f"{month:%Y-%m}" for month in sorted(months)))
        self.months = months


class PeriodsFull(Exception):
    """Records came to more than their periods may bill, or than the tenant's quotas allow: repeat with this
    room, and the excess is refused."""

    def __init__(self, room: Mapping[PeriodKey, Fraction]) -> None:
        super().__init__(", ".join(item_id for item_id, _ in room))
        self.room = room


class UsageService:
    """Accepts usage records.

    Args:
        back: How old a record may be, by the tenant's clock.
        ahead: How far ahead of the tenant's clock a record may be.
        grace: How long the late usage of a subscription that ended is gathered before it is billed.
    """

    def __init__(
        self, subscriptions: SubscriptionService, *, back: timedelta, ahead: timedelta, grace: timedelta
    ) -> None:
        self._subscriptions = subscriptions
        self._back = back
        self._ahead = ahead
        self._grace = grace
        self._months: set[date] = set()
        self._plans = UsagePlans()
        self._last_periods: dict[str, UsagePeriod] = {}

    async def report_usage(
        self, tx: Transaction, request: rpc.ReportUsageRequest, room: Mapping[PeriodKey, Fraction] = NO_LIMIT
    ) -> rpc.ReportUsageResponse:
        acceptance = await self._accept(tx, [request.record], room)
        for refusal in acceptance.refused.values():
            raise refusal
        duplicate = bool(acceptance.duplicates)
        return rpc.ReportUsageResponse(
            outcome=usage_pb2.USAGE_OUTCOME_DUPLICATE if duplicate else usage_pb2.USAGE_OUTCOME_ACCEPTED
        )

    async def batch_report_usage(
        self,
        tx: Transaction,
        request: rpc.BatchReportUsageRequest | rpc.StreamUsageRequest,
        room: Mapping[PeriodKey, Fraction] = NO_LIMIT,
    ) -> rpc.BatchReportUsageResponse:
        acceptance = await self._accept(tx, list(request.records), room)
        results = {index: _refusal(index, error) for index, error in acceptance.refused.items()}
        results |= {index: _duplicate(index) for index in acceptance.duplicates}
        return rpc.BatchReportUsageResponse(
            accepted=len(acceptance.fresh),
            duplicates=len(acceptance.duplicates),
            results=(results[index] for index in sorted(results)),
        )

    async def make_partitions(self, tx: Transaction, months: Collection[date]) -> None:
        """Makes what `MonthsMissing` named, in a transaction of its own: the batch may still roll back."""
        for month in sorted(months):
            await usage_sql.ensure_usage_partition(tx, month=month)

    def know_partitions(self, months: Collection[date]) -> None:
        """Call it once `make_partitions` is committed."""
        self._months |= set(months)

    async def announce_billed(self, tx: Transaction, invoice_id: str) -> None:
        """Appends `usage.billed` for every total that the invoice holds some of; again changes nothing."""
        for total in await usage_sql.mark_usage_billed(tx, tenant_id=tx.tenant_id, invoice_id=invoice_id):
            outbox.append(
                tx,
                events.UsageBilled(
                    subscription_id=total.subscription_id,
                    subscription_item_id=total.subscription_item_id,
                    period=period_message(total.period_start, total.period_end),
                    quantity=decimal_text(total.quantity),
                    invoice_id=invoice_id,
                ),
                resource_id=usage_total_id(total.subscription_item_id, total.period_start),
                resource_version=total.version,
                ordering_key=total.customer_id,
            )

    async def _accept(
        self, tx: Transaction, messages: Sequence[usage_pb2.UsageRecord], room: Mapping[PeriodKey, Fraction]
    ) -> Acceptance:
        # Others wait while a batch holds its customers: what can be is prepared before, and then checked.
        records = read_records(messages)
        keys = stored_keys(records.keys)
        tenant = await tenant_profile(tx)
        window = UsageWindow.around(tenant.now, back=self._back, ahead=self._ahead)
        earliest = tenant.now - self._back
        named = named_subscriptions(records)
        plans = await self._plans.find(tx, named, earliest)
        placement = self._place(records, plans, window)
        if not plans:
            return Acceptance((), (), placement.refused)
        await tx.lock(*{plan.customer_id for plan in plans.values()})
        while True:
            for subscription_id in sorted(overdue_subscriptions(plans.values(), tenant.now)):
                # What is used after a change counts for its new items.
                await self._subscriptions.catch_up(tx, subscription_id, tenant.now)
            state = await usage_sql.get_usage_state(
                tx, tenant_id=tx.tenant_id, keys=",".join(keys), subscription_ids=list(plans)
            )
            if state.versions == [plans[name].version for name in sorted(plans)]:
                break
            # Not remembered: it may be this transaction's own change, which may yet be undone.
            self._plans.forget(tx.tenant_id, plans)
            plans = await read_plans(tx, named, earliest)
            placement = self._place(records, plans, window)
        known = set(state.known_keys)
        repeated = await _repeated(tx, records, keys, known, placement) if known else set()
        acceptance = decide_acceptance(records, placement, keys, known, repeated)
        if room:
            acceptance = leave_out_excess(records, placement, acceptance, room)
        use = None
        if state.has_quotas:
            acceptance, use = await within_quotas(tx, tenant, records, placement, acceptance, room)
        if acceptance.fresh:
            await self._write(tx, records, keys, placement, acceptance.fresh)
            await self._open_closing_cycles(tx, tenant, placement.periods)
        if use and (left := await count_use(tx, use)):
            raise PeriodsFull(left)
        return acceptance

    async def _open_closing_cycles(
        self, tx: Transaction, tenant: TenantProfile, periods: Iterable[UsagePeriod]
    ) -> None:
        """Usage that came after its subscription's last cycle was settled gets one more to be billed with.

        The customers are locked: no cycle can be settled without what was accepted before.
        """
        ended = {
            period.item.subscription_id for period in periods if period.item.calendar.ended_at is not None
        }
        if ended:
            await schedule_sql.insert_closing_cycles(
                tx,
                tenant_id=tx.tenant_id,
                ids=[new_id("cyc") for _ in ended],
                subscription_ids=sorted(ended),
                sandbox=tenant.sandbox,
                now=tenant.now,
                due_at=tenant.now + self._grace,
            )

    async def _write(
        self,
        tx: Transaction,
        records: UsageRecords,
        keys: Sequence[str],
        placement: Placement,
        fresh: Sequence[int],
    ) -> None:
        recorded_us = _chosen(records.recorded_us, fresh)
        periods = placement.periods
        with self._partitions_of(months_of(recorded_us)):
            changes = await usage_sql.insert_usage(
                tx,
                tenant_id=tx.tenant_id,
                keys=",".join(_chosen(keys, fresh)),
                recorded_us=_array(map(str, recorded_us)),
                quantities=_array(_chosen(records.quantities, fresh)),
                places=_array(map(str, _chosen(placement.places, fresh))),
                properties=_chosen_properties(records, fresh),
                received_at=tx.now,
                subscription_item_ids=[period.item.id for period in periods],
                sources=[
                    usage_source(period.item.subscription_id, period.item.meter_code) for period in periods
                ],
                period_starts=[period.period.start for period in periods],
                period_ends=[period.period.end for period in periods],
                subscription_ids=[period.item.subscription_id for period in periods],
                customer_ids=[period.item.customer_id for period in periods],
                meter_codes=[period.item.meter_code for period in periods],
                aggregations=[period.item.aggregation for period in periods],
                transforms=[period.item.transform for period in periods],
                excluded=[period.excluded for period in periods],
                by_record=[period.item.by_record for period in periods],
            )
        room: dict[PeriodKey, Fraction] = {}
        for change in changes:
            period = periods[change.place - 1]
            added, total = limited(period.item, change)
            left = room_left(period, total, added)
            if left is not None:
                room[period_key(period)] = left
            announce_reported(tx, period, change)
        if room:
            raise PeriodsFull(room)

    @contextmanager
    def _partitions_of(self, months: set[date]) -> Iterator[None]:
        """Around an insert into these months; raises MonthsMissing, too, for a known one that is not there.

        Someone may have dropped it, or the connection has not taken note of it: a backend that reads the
        partitions of a table just while another one is attached may miss it from then on.
        """
        if missing := months - self._months:
            raise MonthsMissing(missing)
        try:
            with partition_missing():
                yield
        except PartitionMissing as failure:
            self._months -= months
            raise MonthsMissing(months) from failure

    def _place(self, records: UsageRecords, plans: Mapping[str, UsagePlan], window: UsageWindow) -> Placement:
        if len(self._last_periods) > _MAX_REMEMBERED_PERIODS:
            self._last_periods.clear()
        items: dict[SourceKey, Sequence[UsageItem]] = {}
        for plan in plans.values():
            items.update(plan.items)
        return decide_placement(records, items, window, self._last_periods)


async def _repeated(
    tx: Transaction,
    records: UsageRecords,
    keys: Sequence[str],
    known: Collection[str],
    placement: Placement,
) -> set[int]:
    """Indexes of the records that say what their key was accepted with, wherever that would be placed now."""
    asked = [
        index
        for index, key in enumerate(keys)
        if key in known and (index not in placement.refused or index in placement.unserved)
    ]
    numbers = await usage_sql.list_repeated_usage(
        tx,
        tenant_id=tx.tenant_id,
        keys=_chosen(keys, asked),
        quantities=_chosen(records.quantities, asked),
        recorded_us=_chosen(records.recorded_us, asked),
        sources=[usage_source(records.subscription_ids[i], records.meter_codes[i]) for i in asked],
        properties=_chosen_properties(records, asked),
    )
    return {asked[number - 1] for number in numbers}


def _chosen(column: Sequence[T], indexes: Sequence[int]) -> Sequence[T]:
    return column if len(indexes) == len(column) else [column[index] for index in indexes]


def _chosen_properties(records: UsageRecords, indexes: Sequence[int]) -> Sequence[Properties | None]:
    return _chosen(records.properties, indexes) if records.properties else ()


def _array(elements: Iterable[str]) -> str:
    """The Postgres literal of elements that need no quotes."""
    return "{" + ",".join(elements) + "}"


def _refusal(index: int, error: BillingError) -> rpc.UsageResult:
    conflict = error.reason == "USAGE_KEY_CONFLICT"
    return rpc.UsageResult(
        index=index,
        outcome=usage_pb2.USAGE_OUTCOME_CONFLICT if conflict else usage_pb2.USAGE_OUTCOME_REJECTED,
        reason=error.reason,
        message=error.message,
        facts=error.facts,
    )


def _duplicate(index: int) -> rpc.UsageResult:
    return rpc.UsageResult(index=index, outcome=usage_pb2.USAGE_OUTCOME_DUPLICATE)
