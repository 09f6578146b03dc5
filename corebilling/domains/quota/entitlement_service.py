"""Use cases of entitlements: features are given and taken, and holders are loaded to be asked."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta

from billing.quota.v1 import entitlement_pb2 as pb
from billing.quota.v1 import entitlement_service_pb2 as rpc
from billing.quota.v1 import quota_events_pb2 as events
from billing.quota.v1 import quota_pb2
from billing_db import quota as quota_sql
from google.protobuf.message import Message

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.quota.entitlement import Held, HeldQuota, Holder, Question
from corebilling.domains.quota.model import Quota, Scope, Window
from corebilling.domains.quota.rows import quota_of
from corebilling.domains.quota.subject import check_meter, check_subject
from corebilling.domains.quota.use import used_in
from corebilling.errors import NotFound, ResourceExhausted
from corebilling.events import outbox
from corebilling.mapping import enum_number, enum_text, to_message
from corebilling.values.page import decode_page_token, next_page, page_limit

MAX_FEATURES_PER_SUBJECT = 500
MAX_SUBSCRIPTIONS = 100
"""Of a customer that is asked for as a whole."""

_RUNNING = ("trialing", "active")
_LONG = timedelta(days=1)


class EntitlementService:
    """Keeps what plans include, and reads all that decides what a holder may do."""

    async def set_feature(self, tx: Transaction, request: rpc.SetFeatureRequest) -> rpc.SetFeatureResponse:
        """Includes the feature, or changes its meter.

        Raises:
            NotFound: METER_NOT_FOUND, PLAN_NOT_FOUND, CUSTOMER_NOT_FOUND, SUBSCRIPTION_NOT_FOUND.
            ResourceExhausted: FEATURE_LIMIT_REACHED.
        """
        scope = Scope(enum_text(quota_pb2.QuotaScope, request.scope))
        await check_subject(tx, scope, request.subject_id)
        if request.meter_code:
            await check_meter(tx, request.meter_code)
        await tx.lock(request.subject_id)
        feature = await quota_sql.upsert_feature(
            tx,
            tenant_id=tx.tenant_id,
            subject_id=request.subject_id,
            code=request.code,
            scope=scope,
            meter_code=request.meter_code,
            created_at=tx.now,
        )
        count = await quota_sql.count_features(tx, tenant_id=tx.tenant_id, subject_id=request.subject_id)
        if count > MAX_FEATURES_PER_SUBJECT:
            raise ResourceExhausted(
                "FEATURE_LIMIT_REACHED",
                "The subject has too many features.",
                {"limit": str(MAX_FEATURES_PER_SUBJECT)},
            )
        event = events.FeatureSet(
            scope=request.scope,
            subject_id=request.subject_id,
            code=request.code,
            meter_code=request.meter_code,
        )
        _announce(tx, event, request.subject_id, request.code, feature.version)
        return rpc.SetFeatureResponse(feature=to_message(feature, pb.Feature))

    async def list_features(
        self, tx: Transaction, request: rpc.ListFeaturesRequest
    ) -> rpc.ListFeaturesResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await quota_sql.list_features(
            tx, tenant_id=tx.tenant_id, subject_id=request.subject_id, after=after, limit_rows=limit + 1
        )
        page, token = next_page(rows, limit, key=lambda row: row.code)
        return rpc.ListFeaturesResponse(
            features=(to_message(row, pb.Feature) for row in page), next_page_token=token
        )

    async def remove_feature(
        self, tx: Transaction, request: rpc.RemoveFeatureRequest
    ) -> rpc.RemoveFeatureResponse:
        """Raises NotFound: FEATURE_NOT_FOUND."""
        await tx.lock(request.subject_id)
        feature = await quota_sql.mark_feature_removed(
            tx, tenant_id=tx.tenant_id, subject_id=request.subject_id, code=request.code
        )
        if feature is None:
            raise NotFound(
                "FEATURE_NOT_FOUND",
                "The subject has no such feature.",
                {"subject_id": request.subject_id, "code": request.code},
            )
        event = events.FeatureRemoved(
            scope=enum_number(quota_pb2.QuotaScope, feature.scope),  # type: ignore[arg-type]
            subject_id=request.subject_id,
            code=request.code,
        )
        _announce(tx, event, request.subject_id, request.code, feature.version)
        return rpc.RemoveFeatureResponse()

    async def load_holder(self, tx: Transaction, question: Question) -> Holder:
        """All that decides what the customer or the subscription may do.

        Raises:
            NotFound: CUSTOMER_NOT_FOUND, SUBSCRIPTION_NOT_FOUND.
        """
        tenant = await tenant_profile(tx)
        rows = await quota_sql.list_held_subscriptions(
            tx,
            tenant_id=tx.tenant_id,
            customer_id=question.customer_id,
            subscription_id=question.subscription_id,
            now=tenant.now,
            limit_rows=MAX_SUBSCRIPTIONS,
        )
        if not rows:
            await check_subject(
                tx, Scope.SUBSCRIPTION if question.subscription_id else Scope.CUSTOMER, question.holder_id
            )
        customer_id = rows[0].customer_id if rows else question.customer_id
        running = [row for row in rows if row.state in _RUNNING]
        quotas = await _held_quotas(tx, tenant, [row.id for row in running])
        features = await _features(tx, customer_id, running)
        ends = [one.window.period.end for several in quotas.values() for one in several]
        changes = [row.next_change_at for row in rows if row.next_change_at is not None]
        return Holder(
            customer_id=customer_id,
            subscriptions=[
                Held(row.id, features[row.id], frozenset(row.meter_codes), quotas[row.id]) for row in running
            ],
            changes_at=min([*ends, *changes, tenant.now + _LONG]),
            shared=any(one.quota.scope is Scope.TENANT for several in quotas.values() for one in several),
            sandbox=tenant.sandbox,
        )


async def _held_quotas(
    tx: Transaction, tenant: TenantProfile, subscription_ids: Sequence[str]
) -> dict[str, list[HeldQuota]]:
    rows = await quota_sql.list_quotas_in_force(
        tx, tenant_id=tx.tenant_id, subscription_ids=subscription_ids, at_ingestion=False
    )
    windows: list[tuple[Quota, Window]] = []
    for row in rows:
        quota = quota_of(row, tenant)
        window = quota.window(tenant.now)
        if window is not None:
            windows.append((quota, window))
    used = await used_in(tx, {window: quota for quota, window in windows})
    held: dict[str, list[HeldQuota]] = defaultdict(list)
    for quota, window in windows:
        held[quota.subscription_id].append(HeldQuota.of(quota, window, used[window]))
    return held


async def _features(
    tx: Transaction, customer_id: str, running: Sequence[quota_sql.ListHeldSubscriptionsRow]
) -> dict[str, dict[str, str]]:
    """By subscription: what its plan includes, then what the customer has, and what it has itself."""
    if not running:
        return {}
    subjects = {customer_id} | {row.id for row in running} | {row.plan_id for row in running if row.plan_id}
    by_subject: dict[str, dict[str, str]] = defaultdict(dict)
    for feature in await quota_sql.list_held_features(
        tx, tenant_id=tx.tenant_id, subject_ids=sorted(subjects)
    ):
        by_subject[feature.subject_id][feature.code] = feature.meter_code
    return {
        row.id: {**by_subject[row.plan_id or ""], **by_subject[customer_id], **by_subject[row.id]}
        for row in running
    }


def _announce(tx: Transaction, event: Message, subject_id: str, code: str, version: int) -> None:
    outbox.append(
        tx,
        event,
        resource_id=f"{subject_id}:{code}",
        resource_version=version,
        ordering_key=subject_id,
    )
