"""Entitlements: what plans include, what quotas leave, and how soon a change is seen."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from billing.catalog.v1 import catalog_pb2
from billing.quota.v1 import entitlement_pb2 as pb
from billing.quota.v1 import entitlement_service_pb2 as rpc
from billing.quota.v1 import quota_service_pb2
from billing.quota.v1.entitlement_service_pb2_grpc import EntitlementServiceStub
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceStub
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.subscription.v1 import subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.domains.quota.entitlement_service import MAX_FEATURES_PER_SUBJECT
from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_customer, pause, resume
from tests.support.platform import Platform, platform, second_process
from tests.support.quota import metered_plan, on_plan, set_quota, use

__all__ = ["platform"]

ALLOWED = pb.ENTITLEMENT_REASON_ALLOWED
EXCEEDED = pb.ENTITLEMENT_REASON_QUOTA_EXCEEDED
PATIENCE_S = 20


async def check(platform: Platform, **question: str) -> pb.Entitlement:
    request = rpc.CheckEntitlementRequest(question=pb.EntitlementQuestion(**question))
    return (await platform.stub(EntitlementServiceStub).CheckEntitlement(request)).entitlement


async def set_feature(
    platform: Platform, scope: str, subject_id: str, code: str, meter: str = "", key: str | None = None
) -> pb.Feature:
    answer = await platform.stub(EntitlementServiceStub, key=key).SetFeature(
        rpc.SetFeatureRequest(
            request_id=new_id("req"),
            scope=f"QUOTA_SCOPE_{scope}",
            subject_id=subject_id,
            code=code,
            meter_code=meter,
        )
    )
    return answer.feature


async def remove_feature(platform: Platform, subject_id: str, code: str) -> None:
    await platform.stub(EntitlementServiceStub).RemoveFeature(
        rpc.RemoveFeatureRequest(request_id=new_id("req"), subject_id=subject_id, code=code)
    )


async def test_features_come_with_the_plan_and_beside_it(platform: Platform) -> None:
    plan = await metered_plan(platform)
    subscription, other = await on_plan(platform, plan), await on_plan(platform, plan)
    await set_feature(platform, "PLAN", plan.id, "export")
    await set_feature(platform, "CUSTOMER", subscription.customer_id, "beta")
    await set_feature(platform, "SUBSCRIPTION", other.id, "sso")

    async def has(subscription_id: str, feature: str) -> bool:
        return (await check(platform, subscription_id=subscription_id, feature_code=feature)).allowed

    assert [await has(subscription.id, code) for code in ("export", "beta", "sso")] == [True, True, False]
    assert [await has(other.id, code) for code in ("export", "beta", "sso")] == [True, False, True]
    missing = await check(platform, customer_id=other.customer_id, feature_code="beta")
    assert missing == pb.Entitlement(reason=pb.ENTITLEMENT_REASON_FEATURE_NOT_INCLUDED)

    listed = await platform.stub(EntitlementServiceStub).ListFeatures(
        rpc.ListFeaturesRequest(subject_id=plan.id)
    )
    assert [one.code for one in listed.features] == ["export"]
    await remove_feature(platform, plan.id, "export")
    assert not await has(subscription.id, "export")
    refusal = await refused(remove_feature(platform, plan.id, "export"))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "FEATURE_NOT_FOUND")
    await set_feature(platform, "PLAN", plan.id, "export")
    assert await has(subscription.id, "export")
    versions = await platform.rows(
        "SELECT subject, resource_version FROM billing_events WHERE resource_id = $1 ORDER BY xid, seq",
        f"{plan.id}:export",
    )
    assert [tuple(row) for row in versions] == [
        ("feature.set", 1),
        ("feature.removed", 2),
        ("feature.set", 3),
    ]


async def test_a_subject_has_so_many_features_those_removed_not_counted(platform: Platform) -> None:
    plan = await metered_plan(platform)
    await set_feature(platform, "PLAN", plan.id, "first")
    await platform.rows(
        "INSERT INTO features SELECT (jsonb_populate_record(f, jsonb_build_object('code', 'f' || n))).* "
        "FROM features f, generate_series(2, $1::int) n",
        MAX_FEATURES_PER_SUBJECT,
    )
    refusal = await refused(set_feature(platform, "PLAN", plan.id, "more"))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "FEATURE_LIMIT_REACHED")
    assert refusal.facts == {"limit": str(MAX_FEATURES_PER_SUBJECT)}
    await remove_feature(platform, plan.id, "first")
    await set_feature(platform, "PLAN", plan.id, "more")
    assert (await refused(set_feature(platform, "PLAN", plan.id, "first"))).reason == refusal.reason


async def test_the_answer_names_the_quota_and_what_is_left(platform: Platform) -> None:
    plan = await metered_plan(platform)
    await set_feature(platform, "PLAN", plan.id, "api", "calls")
    subscription = await on_plan(platform, plan)
    unlimited = await check(platform, subscription_id=subscription.id, feature_code="api", quantity="1000000")
    assert unlimited == pb.Entitlement(allowed=True, reason=ALLOWED, subscription_id=subscription.id)

    quota = await set_quota(platform, "PLAN", plan.id, "100")
    await use(platform, subscription.id, "97.5")
    answer = await check(platform, subscription_id=subscription.id, feature_code="api", quantity="2.5")
    assert (answer.allowed, answer.reason, answer.quota_id) == (True, ALLOWED, quota.id)
    assert (answer.limit_quantity, answer.used_quantity, answer.remaining_quantity) == ("100", "97.5", "2.5")
    assert instant(answer.period.end) == instant(subscription.current_period_end)

    answer = await check(platform, subscription_id=subscription.id, meter_code="calls", quantity="2.6")
    assert (answer.allowed, answer.reason, answer.remaining_quantity) == (False, EXCEEDED, "2.5")
    await set_quota(platform, "PLAN", plan.id, "100", hard=False)
    answer = await check(platform, subscription_id=subscription.id, meter_code="calls", quantity="3")
    assert (answer.allowed, answer.reason) == (True, pb.ENTITLEMENT_REASON_ABOVE_SOFT_QUOTA)
    answer = await check(platform, subscription_id=subscription.id, meter_code="other")
    assert (answer.allowed, answer.reason) == (False, pb.ENTITLEMENT_REASON_METER_NOT_INCLUDED)


async def test_a_customers_best_subscription_answers_and_what_does_not_run_does_not(
    platform: Platform,
) -> None:
    plan = await metered_plan(platform)
    customer = await new_customer(platform)
    answer = await check(platform, customer_id=customer.id, meter_code="calls")
    assert answer == pb.Entitlement(reason=pb.ENTITLEMENT_REASON_NO_SUBSCRIPTION)
    small, large = [await on_plan(platform, plan, customer_id=customer.id) for _ in range(2)]
    await set_quota(platform, "SUBSCRIPTION", small.id, "5")
    await set_quota(platform, "SUBSCRIPTION", large.id, "50")
    answer = await check(platform, customer_id=customer.id, meter_code="calls")
    assert (answer.subscription_id, answer.remaining_quantity) == (large.id, "50")
    await pause(platform, large.id)
    answer = await check(platform, customer_id=customer.id, meter_code="calls", quantity="6")
    assert (answer.allowed, answer.subscription_id, answer.remaining_quantity) == (False, small.id, "5")
    answer = await check(platform, subscription_id=large.id, meter_code="calls")
    assert answer.reason == pb.ENTITLEMENT_REASON_NO_SUBSCRIPTION
    await resume(platform, large.id)
    assert (await check(platform, subscription_id=large.id, meter_code="calls")).allowed
    await platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(request_id="cancel", subscription_id=large.id)
    )
    assert not (await check(platform, subscription_id=large.id, meter_code="calls")).allowed


async def test_every_change_through_this_server_is_seen_by_the_next_check(platform: Platform) -> None:
    plan = await metered_plan(platform)
    customer = await new_customer(platform)
    subscription = await on_plan(platform, plan, customer_id=customer.id)
    tenants = await on_plan(platform, plan)
    await set_quota(platform, "PLAN", plan.id, "1000")
    quota = await set_quota(platform, "TENANT", "", "100", period="DAY")
    for used in range(10, 60, 10):
        # Others of the tenant share its quota.
        await use(platform, (subscription if used % 20 else tenants).id, "10")
        by_id = await check(platform, subscription_id=subscription.id, meter_code="calls")
        by_customer = await check(platform, customer_id=customer.id, meter_code="calls")
        assert by_id == by_customer
        assert (by_id.quota_id, by_id.used_quantity) == (quota.id, str(used))
    await set_quota(platform, "TENANT", "", "50", period="DAY")
    assert not (await check(platform, customer_id=customer.id, meter_code="calls")).allowed
    await platform.stub(QuotaServiceStub).RemoveQuota(
        quota_service_pb2.RemoveQuotaRequest(request_id="remove", quota_id=quota.id)
    )
    assert (await check(platform, customer_id=customer.id, meter_code="calls")).remaining_quantity == "970"
    await platform.pass_time(days=40)
    assert (await check(platform, customer_id=customer.id, meter_code="calls")).remaining_quantity == "1000"


async def test_what_is_known_is_answered_without_the_database(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "100")
    await check(platform, subscription_id=subscription.id, meter_code="calls")
    blocker = await asyncpg.connect(platform.database.admin_url)
    try:
        # Nothing can be loaded.
        await blocker.execute("BEGIN; LOCK TABLE tenants, subscriptions IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(PATIENCE_S):
            answers = await asyncio.gather(
                *(check(platform, subscription_id=subscription.id, meter_code="calls") for _ in range(50))
            )
    finally:
        await blocker.close()
    assert all(answer.remaining_quantity == "100" for answer in answers)


async def test_another_process_sees_a_change_by_its_events(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    async with second_process(platform) as other:
        assert (await check(other, subscription_id=subscription.id, meter_code="calls")).allowed
        await set_quota(platform, "SUBSCRIPTION", subscription.id, "0")
        await until(other, allowed=False, subscription_id=subscription.id, meter_code="calls")
        await set_quota(platform, "SUBSCRIPTION", subscription.id, "7")
        await until(other, allowed=True, subscription_id=subscription.id, meter_code="calls")
        await use(platform, subscription.id, "7")
        await until(other, allowed=False, subscription_id=subscription.id, meter_code="calls")


async def until(platform: Platform, *, allowed: bool, **question: str) -> None:
    """The clock stands still: nothing but events makes the server look again."""
    async with asyncio.timeout(PATIENCE_S):
        while (await check(platform, **question)).allowed != allowed:
            pass


async def test_what_no_event_tells_is_seen_once_the_view_is_old(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "10")
    assert (await check(platform, subscription_id=subscription.id, meter_code="calls")).allowed
    await platform.rows("UPDATE quotas SET limit_quantity = 0")
    assert (await check(platform, subscription_id=subscription.id, meter_code="calls")).allowed
    platform.clock.advance(seconds=10)
    assert not (await check(platform, subscription_id=subscription.id, meter_code="calls")).allowed


async def test_checks_beside_changes_never_keep_an_old_answer(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    for limit in range(1, 15):
        await asyncio.gather(
            set_quota(platform, "SUBSCRIPTION", subscription.id, str(limit)),
            *(check(platform, subscription_id=subscription.id, meter_code="calls") for _ in range(8)),
        )
        answer = await check(platform, subscription_id=subscription.id, meter_code="calls")
        assert answer.limit_quantity == str(limit)
        await asyncio.gather(
            use(platform, subscription.id, "1"),
            *(check(platform, subscription_id=subscription.id, meter_code="calls") for _ in range(8)),
        )
        answer = await check(platform, subscription_id=subscription.id, meter_code="calls")
        assert answer.used_quantity == str(limit)


async def test_a_batch_answers_each_question_by_itself(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "3")
    questions = [
        pb.EntitlementQuestion(subscription_id=subscription.id, meter_code="calls", quantity="3"),
        pb.EntitlementQuestion(subscription_id="sub_none", meter_code="calls"),
        pb.EntitlementQuestion(customer_id=subscription.customer_id, meter_code="calls", quantity="4"),
    ]
    answer = await platform.stub(EntitlementServiceStub).BatchCheckEntitlements(
        rpc.BatchCheckEntitlementsRequest(questions=questions)
    )
    assert [one.reason for one in answer.entitlements] == [
        ALLOWED,
        pb.ENTITLEMENT_REASON_HOLDER_NOT_FOUND,
        EXCEEDED,
    ]


@pytest.mark.parametrize(
    "question",
    [
        {"meter_code": "calls"},
        {"customer_id": "a", "subscription_id": "b", "meter_code": "calls"},
        {"customer_id": "a"},
        {"customer_id": "a", "meter_code": "calls", "feature_code": "api"},
    ],
)
async def test_a_question_that_is_not_clear_is_refused(platform: Platform, question: dict[str, str]) -> None:
    refusal = await refused(check(platform, **question))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "ENTITLEMENT_QUESTION_INVALID")


async def test_other_tenant_gets_not_found(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    # Known to the server, and still not theirs.
    await check(platform, subscription_id=subscription.id, meter_code="calls")
    await set_feature(platform, "SUBSCRIPTION", subscription.id, "api")
    _, key = await platform.new_tenant("other")
    theirs = platform.stub(EntitlementServiceStub, key=key)
    by_subscription = pb.EntitlementQuestion(subscription_id=subscription.id, meter_code="calls")
    by_customer = pb.EntitlementQuestion(customer_id=subscription.customer_id, meter_code="calls")
    calls: list[Awaitable[Any]] = [
        theirs.CheckEntitlement(rpc.CheckEntitlementRequest(question=by_subscription)),
        theirs.CheckEntitlement(rpc.CheckEntitlementRequest(question=by_customer)),
        set_feature(platform, "SUBSCRIPTION", subscription.id, "api", key=key),
        theirs.RemoveFeature(
            rpc.RemoveFeatureRequest(request_id="r", subject_id=subscription.id, code="api")
        ),
    ]
    for call in calls:
        assert (await refused(call)).code == "NOT_FOUND"
    listed = await theirs.ListFeatures(rpc.ListFeaturesRequest(subject_id=subscription.id))
    assert not listed.features


async def test_largest_values_are_asked_for_one_by_one(platform: Platform) -> None:
    plan = await metered_plan(platform, "peak", catalog_pb2.AGGREGATION_MAX)
    subscription = await on_plan(platform, plan)
    await set_quota(platform, "PLAN", plan.id, "5", meter="peak")
    await use(platform, subscription.id, "5", meter="peak")
    answers = [
        await check(platform, subscription_id=subscription.id, meter_code="peak", quantity=quantity)
        for quantity in ("5", "5.1")
    ]
    assert [(one.allowed, one.remaining_quantity) for one in answers] == [(True, "5"), (False, "5")]


async def test_a_sandbox_tenant_is_answered_by_its_own_clock(platform: Platform) -> None:
    start = datetime(2024, 5, 1, 12, tzinfo=UTC)
    platform.tenant_id, platform.tenant_key = await platform.new_tenant("sandbox", clock_time=start)
    subscription = await on_plan(platform, await metered_plan(platform))
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "10", period="DAY")
    await use(platform, subscription.id, "10", at=start)
    assert not (await check(platform, subscription_id=subscription.id, meter_code="calls")).allowed
    await platform.stub(ScheduleServiceStub).AdvanceTestClock(
        schedule_service_pb2.AdvanceTestClockRequest(
            request_id="advance", target_at=timestamp(start + timedelta(days=1))
        )
    )
    await platform.drain()
    answer = await check(platform, subscription_id=subscription.id, meter_code="calls")
    assert (answer.allowed, answer.remaining_quantity) == (True, "10")
