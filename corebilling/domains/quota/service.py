"""Use cases of quotas: limits are set, usage is held against them, and thresholds are announced."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from billing.event.v1 import event_pb2 as eventv1
from billing.quota.v1 import quota_events_pb2 as events
from billing.quota.v1 import quota_pb2 as pb
from billing.quota.v1 import quota_service_pb2 as rpc
from billing.usage.v1 import usage_events_pb2
from billing_db import quota as quota_sql
from billing_db.models import Quota as QuotaRow

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.quota.model import (
    ANY_METER,
    MAX_QUOTAS_PER_SUBJECT,
    Counting,
    Quota,
    QuotaPeriod,
    Scope,
    Window,
    check_counting,
    check_quota,
    due_notices,
)
from corebilling.domains.quota.notices import Occasion, give_notices
from corebilling.domains.quota.rows import quota_of, threshold_of
from corebilling.domains.quota.subject import check_meter, check_subject
from corebilling.domains.quota.use import used_in
from corebilling.errors import NotFound, PermissionDenied, ResourceExhausted
from corebilling.events import outbox
from corebilling.events.envelope import payload
from corebilling.mapping import decimal_text, enum_number, enum_text, instant, to_message
from corebilling.values.ids import new_id
from corebilling.values.money import exact_amount
from corebilling.values.page import decode_page_token, next_page, page_limit

_OPERATORS = "platform_admin"
_Counted = usage_events_pb2.UsageReported | usage_events_pb2.UsageCorrected


@dataclass(frozen=True, slots=True)
class _Reported:
    """A quota that an event's usage counts for."""

    quota: Quota
    event: eventv1.Event


class QuotaService:
    """Keeps the limits of tenants, plans, customers and subscriptions, and tells when they are used up."""

    async def set_quota(self, tx: Transaction, request: rpc.SetQuotaRequest) -> rpc.SetQuotaResponse:
        """Makes the subject's quota, or changes it.

        Raises:
            InvalidArgument: QUOTA_INVALID.
            NotFound: METER_NOT_FOUND, PLAN_NOT_FOUND, CUSTOMER_NOT_FOUND, SUBSCRIPTION_NOT_FOUND.
            ResourceExhausted: QUOTA_LIMIT_REACHED.
        """
        scope = Scope(enum_text(pb.QuotaScope, request.scope))
        thresholds = [threshold_of(one.percent, one.quantity) for one in request.thresholds]
        period = QuotaPeriod(enum_text(pb.QuotaPeriod, request.period))
        check_quota(scope, request.subject_id, period, thresholds)
        subject_id = request.subject_id or tx.tenant_id
        await check_subject(tx, scope, subject_id)
        counting = await _counting(tx, request.meter_code)
        await tx.lock(f"quotas:{subject_id}")
        quota = await quota_sql.upsert_quota(
            tx,
            tenant_id=tx.tenant_id,
            id=new_id("quo"),
            scope=scope,
            subject_id=subject_id,
            meter_code=request.meter_code,
            aggregation=counting,
            period=period,
            limit_quantity=Decimal(request.limit_quantity),
            enforcement=enum_text(pb.QuotaEnforcement, request.enforcement),
            thresholds=[_threshold_object(one.percent, one.quantity) for one in request.thresholds],
            platform=tx.caller.role == _OPERATORS,
            created_at=tx.now,
        )
        count = await quota_sql.count_quotas(tx, tenant_id=tx.tenant_id, subject_id=subject_id)
        if count > MAX_QUOTAS_PER_SUBJECT:
            raise ResourceExhausted(
                "QUOTA_LIMIT_REACHED",
                "The subject has too many quotas; remove one before adding another.",
                {"limit": str(MAX_QUOTAS_PER_SUBJECT)},
            )
        outbox.append(
            tx,
            events.QuotaSet(
                quota_id=quota.id,
                scope=request.scope,
                subject_id=quota.subject_id,
                meter_code=quota.meter_code,
                period=request.period,
                limit_quantity=decimal_text(quota.limit_quantity),
                enforcement=request.enforcement,
            ),
            resource_id=quota.id,
            resource_version=quota.version,
            ordering_key=quota.id,
        )
        return rpc.SetQuotaResponse(quota=to_message(quota, pb.Quota))

    async def get_quota(self, tx: Transaction, request: rpc.GetQuotaRequest) -> rpc.GetQuotaResponse:
        return rpc.GetQuotaResponse(quota=to_message(await _find(tx, request.quota_id), pb.Quota))

    async def list_quotas(self, tx: Transaction, request: rpc.ListQuotasRequest) -> rpc.ListQuotasResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await quota_sql.list_quotas(
            tx, tenant_id=tx.tenant_id, subject_id=request.subject_id, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListQuotasResponse(
            quotas=(to_message(row, pb.Quota) for row in page), next_page_token=token
        )

    async def remove_quota(self, tx: Transaction, request: rpc.RemoveQuotaRequest) -> rpc.RemoveQuotaResponse:
        """Raises PermissionDenied: QUOTA_OF_PLATFORM for a tenant that would lift its operators' quota."""
        quota = await _find(tx, request.quota_id)
        if quota.platform and tx.caller.role != _OPERATORS:
            raise PermissionDenied(
                "QUOTA_OF_PLATFORM",
                "The platform's operators set this quota; ask them to change it.",
                {"quota_id": quota.id},
            )
        await tx.lock(f"quotas:{quota.subject_id}")
        quota = await _find(tx, request.quota_id)
        await quota_sql.delete_quota(tx, tenant_id=tx.tenant_id, id=quota.id)
        scope = enum_number(pb.QuotaScope, quota.scope)
        outbox.append(
            tx,
            events.QuotaRemoved(
                quota_id=quota.id,
                scope=scope,  # type: ignore[arg-type] # the enum's numbers are plain ones
                subject_id=quota.subject_id,
            ),
            resource_id=quota.id,
            resource_version=quota.version + 1,
            ordering_key=quota.id,
        )
        return rpc.RemoveQuotaResponse()

    async def announce_reached(self, tx: Transaction, reports: Sequence[eventv1.Event]) -> None:
        """Appends what usage that passed thresholds calls for: once per threshold and period."""
        by_subscription: dict[str, list[tuple[eventv1.Event, _Counted]]] = {}
        for event in reports:
            reported = payload(event)
            assert isinstance(reported, _Counted)
            by_subscription.setdefault(reported.subscription_id, []).append((event, reported))
        rows = await quota_sql.list_quotas_in_force(
            tx, tenant_id=tx.tenant_id, subscription_ids=sorted(by_subscription), at_ingestion=False
        )
        if not rows:
            return
        tenant = await tenant_profile(tx)
        counted: dict[Window, _Reported] = {}
        for row in rows:
            quota = quota_of(row, tenant)
            for event, reported in by_subscription[quota.subscription_id]:
                if quota.counts(reported.meter_code):
                    for window in _windows(quota, tenant, event, reported):
                        counted[window] = _Reported(quota, event)
        used = await used_in(tx, {window: one.quota for window, one in counted.items()})
        await give_notices(
            tx,
            {
                (window, notice): Occasion(one.quota, used[window], one.event)
                for window, one in counted.items()
                for notice in due_notices(one.quota, exact_amount(used[window]))
            },
        )


def _windows(
    quota: Quota, tenant: TenantProfile, event: eventv1.Event, reported: _Counted
) -> Iterable[Window]:
    if quota.scope is not Scope.TENANT:
        if isinstance(reported, usage_events_pb2.UsageCorrected):
            return quota.windows(instant(reported.recorded_at), instant(reported.recorded_at))
        return quota.windows(instant(reported.first_recorded_at), instant(reported.last_recorded_at))
    # Counted when it was accepted. A test clock's time is not the event's: there it is what it is by now.
    accepted_at = tenant.now if tenant.sandbox else instant(event.created_at)
    window = quota.window(accepted_at)
    return [window] if window is not None else []


def _threshold_object(percent: str, quantity: str) -> Mapping[str, str]:
    return {"percent": percent, "quantity": quantity}


async def _find(tx: Transaction, quota_id: str) -> QuotaRow:
    quota = await quota_sql.find_quota(tx, tenant_id=tx.tenant_id, id=quota_id)
    if quota is None:
        raise NotFound("QUOTA_NOT_FOUND", "There is no such quota.", {"quota_id": quota_id})
    return quota


async def _counting(tx: Transaction, meter_code: str) -> Counting:
    if meter_code == ANY_METER:
        return Counting.COUNT
    return check_counting((await check_meter(tx, meter_code)).aggregation)
