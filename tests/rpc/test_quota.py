"""Quotas through the doors of the whole platform: set and removed, warned of, and held against usage."""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.customer.v1 import customer_service_pb2
from billing.quota.v1 import quota_pb2
from billing.quota.v1 import quota_service_pb2 as rpc
from billing.quota.v1.quota_service_pb2_grpc import QuotaServiceStub
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import change, metered_price, new_customer
from tests.support.platform import Platform, platform
from tests.support.quota import metered_plan, notices, on_plan, set_quota, usage_record, use
from tests.support.replay import counts, replay
from tests.support.reporting import use_batch

__all__ = ["platform"]

REJECTED = usage_pb2.USAGE_OUTCOME_REJECTED


async def test_a_quota_is_set_changed_listed_and_removed(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    quotas = platform.stub(QuotaServiceStub)
    threshold = quota_pb2.QuotaThreshold(percent="50")
    quota = await set_quota(platform, "SUBSCRIPTION", subscription.id, "100", thresholds=[threshold])
    assert (quota.subject_id, quota.meter_code, quota.limit_quantity) == (subscription.id, "calls", "100")
    assert (quota.version, quota.platform, list(quota.thresholds)) == (1, False, [threshold])

    changed = await set_quota(platform, "SUBSCRIPTION", subscription.id, "250.5", hard=False)
    assert (changed.id, changed.version, changed.limit_quantity) == (quota.id, 2, "250.5")
    assert changed.enforcement == quota_pb2.QUOTA_ENFORCEMENT_SOFT
    other = await set_quota(platform, "SUBSCRIPTION", subscription.id, "9", period="DAY")

    listed = await quotas.ListQuotas(rpc.ListQuotasRequest(subject_id=subscription.id))
    assert [one.id for one in listed.quotas] == [other.id, quota.id]
    found = await quotas.GetQuota(rpc.GetQuotaRequest(quota_id=quota.id))
    assert found.quota == changed
    await quotas.RemoveQuota(rpc.RemoveQuotaRequest(request_id="remove", quota_id=quota.id))
    refusal = await refused(quotas.GetQuota(rpc.GetQuotaRequest(quota_id=quota.id)))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "QUOTA_NOT_FOUND")
    assert [event.limit_quantity for event in await platform.events("quota.set")] == ["100", "250.5", "9"]
    assert [event.quota_id for event in await platform.events("quota.removed")] == [quota.id]


async def test_a_quota_that_contradicts_itself_is_refused(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    both = quota_pb2.QuotaThreshold(percent="50", quantity="5")
    neither = quota_pb2.QuotaThreshold(percent="0")
    calls: list[tuple[Awaitable[Any], str]] = [
        (set_quota(platform, "TENANT", subscription.id, "1", period="DAY"), "QUOTA_INVALID"),
        (set_quota(platform, "PLAN", "", "1"), "QUOTA_INVALID"),
        (set_quota(platform, "TENANT", "", "1"), "QUOTA_INVALID"),
        (set_quota(platform, "CUSTOMER", subscription.customer_id, "1"), "QUOTA_INVALID"),
        (set_quota(platform, "SUBSCRIPTION", subscription.id, "1", thresholds=[both]), "QUOTA_INVALID"),
        (set_quota(platform, "SUBSCRIPTION", subscription.id, "1", thresholds=[neither]), "QUOTA_INVALID"),
        (set_quota(platform, "SUBSCRIPTION", "sub_none", "1"), "SUBSCRIPTION_NOT_FOUND"),
        (set_quota(platform, "PLAN", "pln_none", "1"), "PLAN_NOT_FOUND"),
        (set_quota(platform, "CUSTOMER", "cus_none", "1", period="DAY"), "CUSTOMER_NOT_FOUND"),
        (set_quota(platform, "SUBSCRIPTION", subscription.id, "1", meter="none"), "METER_NOT_FOUND"),
        (set_quota(platform, "SUBSCRIPTION", subscription.id, "-1"), "REQUEST_INVALID"),
    ]
    for call, reason in calls:
        assert (await refused(call)).reason == reason


async def test_other_tenant_gets_not_found(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    quota = await set_quota(platform, "SUBSCRIPTION", subscription.id, "1")
    _, key = await platform.new_tenant("other")
    theirs = platform.stub(QuotaServiceStub, key=key)
    calls: list[Awaitable[Any]] = [
        theirs.GetQuota(rpc.GetQuotaRequest(quota_id=quota.id)),
        theirs.RemoveQuota(rpc.RemoveQuotaRequest(request_id="r", quota_id=quota.id)),
        set_quota(platform, "SUBSCRIPTION", subscription.id, "1", meter="", key=key),
    ]
    for call in calls:
        assert (await refused(call)).code == "NOT_FOUND"
    assert not (await theirs.ListQuotas(rpc.ListQuotasRequest())).quotas


async def test_what_the_operators_set_only_they_remove(platform: Platform) -> None:
    request = rpc.SetQuotaRequest(
        tenant_id=platform.tenant_id,
        request_id="set",
        scope="QUOTA_SCOPE_TENANT",
        period="QUOTA_PERIOD_DAY",
        limit_quantity="1000",
        enforcement="QUOTA_ENFORCEMENT_HARD",
    )
    quota = (await platform.stub(QuotaServiceStub, key=platform.operator_key).SetQuota(request)).quota
    assert (quota.platform, quota.subject_id) == (True, platform.tenant_id)
    remove = rpc.RemoveQuotaRequest(tenant_id=platform.tenant_id, request_id="remove", quota_id=quota.id)
    refusal = await refused(platform.stub(QuotaServiceStub).RemoveQuota(remove))
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "QUOTA_OF_PLATFORM")
    # A limit of the tenant's own stands beside it.
    own = await set_quota(platform, "TENANT", "", "2000", meter="", period="DAY")
    assert own.id != quota.id
    await platform.stub(QuotaServiceStub, key=platform.operator_key).RemoveQuota(remove)


async def test_warning_and_exceeded_come_once_each_and_again_for_another_limit(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    thresholds = [quota_pb2.QuotaThreshold(percent="50"), quota_pb2.QuotaThreshold(quantity="120")]
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "100", hard=False, thresholds=thresholds)
    for quantity in ("79.5", "0.5", "1", "19", "5", "15", "1"):
        await use(platform, subscription.id, quantity)
        await platform.drain()
    assert await notices(platform) == [
        ("usage.quota.warning", "100", "80"),
        ("usage.quota.exceeded", "100", "100"),
        ("usage.threshold.reached", "50", "79.5"),
        ("usage.threshold.reached", "120", "120"),
    ]
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "150", hard=False)
    await use(platform, subscription.id, "1")
    await platform.drain()
    (_, raised) = await platform.events("usage.quota.warning")
    assert (raised.use.limit_quantity, raised.use.used_quantity, raised.use.percent_used) == (
        "150",
        "122",
        "81",
    )


async def test_a_replay_announces_nothing_again(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "10", hard=False)
    await use(platform, subscription.id, "11")
    await platform.drain()
    before = await notices(platform)
    assert len(before) == 2
    done = await replay(platform, subject="usage.reported")
    assert counts(done)["done"] > 0
    assert await notices(platform) == before


async def test_hard_quota_refuses_per_record_with_the_facts(platform: Platform) -> None:
    plan = await metered_plan(platform)
    subscription, free = await on_plan(platform, plan), await on_plan(platform, plan)
    quota = await set_quota(platform, "SUBSCRIPTION", subscription.id, "10")
    answer = await use_batch(
        platform,
        [
            usage_record(platform, subscription.id, "6"),
            usage_record(platform, subscription.id, "5"),
            usage_record(platform, free.id, "1000"),
            usage_record(platform, subscription.id, "4"),
            usage_record(platform, subscription.id, "0.000000000001"),
        ],
    )
    assert answer.accepted == 3
    facts = {
        "quota_id": quota.id,
        "meter_code": "calls",
        "limit": "10",
        "period_end": instant(subscription.current_period_end).isoformat().replace("+00:00", "Z"),
    }
    assert [(one.index, one.outcome, one.reason) for one in answer.results] == [
        (1, REJECTED, "QUOTA_EXCEEDED"),
        (4, REJECTED, "QUOTA_EXCEEDED"),
    ]
    assert [dict(one.facts) for one in answer.results] == [{**facts, "used": "6"}, {**facts, "used": "10"}]
    refusal = await refused(use(platform, subscription.id, "1"))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    assert refusal.facts == {**facts, "used": "10"}


async def test_a_refusal_announces_a_quota_that_nothing_fits_into_any_more(platform: Platform) -> None:
    plan = await metered_plan(platform)
    one, other = await on_plan(platform, plan), await on_plan(platform, plan)
    await set_quota(platform, "PLAN", plan.id, "100")
    for subscription in (one, other):
        await use(platform, subscription.id, "90")
    await platform.drain()
    assert await platform.events("usage.quota.exceeded") == []
    for _ in range(2):
        assert (await refused(use(platform, one.id, "30"))).reason == "QUOTA_EXCEEDED"
        assert not (await use_batch(platform, [usage_record(platform, other.id, "30")])).accepted
    await use(platform, one.id, "10")
    await platform.drain()
    exceeded = await platform.events("usage.quota.exceeded")
    assert [(event.use.subject_id, event.use.used_quantity) for event in exceeded] == [
        (one.id, "90"),
        (other.id, "90"),
    ]


async def test_stream_goes_on_past_refused_records_and_duplicates_stay_duplicates(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "2")
    kept = usage_record(platform, subscription.id, "2")
    over = usage_record(platform, subscription.id, "1")

    async def batches():
        for batch in ([kept], [over, kept], [over]):
            yield usage_service_pb2.StreamUsageRequest(records=batch)

    summary = await platform.stub(UsageServiceStub).StreamUsage(batches())
    assert (summary.accepted, summary.duplicates, summary.rejected) == (1, 1, 2)
    assert {problem.facts["used"] for problem in summary.problems} == {"2"}
    # What was refused was not kept: with a higher limit the same record is welcome.
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "3")
    assert (await use_batch(platform, [over])).accepted == 1


@pytest.mark.parametrize("scope", ["PLAN", "CUSTOMER", "SUBSCRIPTION"])
async def test_concurrent_batches_never_exceed_a_hard_quota(platform: Platform, scope: str) -> None:
    plan = await metered_plan(platform)
    customer = await new_customer(platform)
    mine = [await on_plan(platform, plan, customer_id=customer.id) for _ in range(2)]
    subject = {"PLAN": plan.id, "CUSTOMER": customer.id, "SUBSCRIPTION": mine[0].id}[scope]
    period = "DAY" if scope == "CUSTOMER" else "BILLING_PERIOD"
    await set_quota(platform, scope, subject, "25", period=period)
    batches = [[usage_record(platform, one.id, "1") for _ in range(10)] for one in mine for _ in range(4)]
    answers = await asyncio.gather(*(use_batch(platform, batch) for batch in batches))
    accepted = sum(answer.accepted for answer in answers)
    # The customer's is shared, the plan's is each one's, and the other subscription has none.
    assert accepted == {"PLAN": 50, "CUSTOMER": 25, "SUBSCRIPTION": 25 + 40}[scope]


async def test_a_tenants_quota_holds_across_its_customers(platform: Platform) -> None:
    plan = await metered_plan(platform)
    subscriptions = [await on_plan(platform, plan) for _ in range(6)]
    quota = await set_quota(platform, "TENANT", "", "100", meter="", period="DAY")
    batches = [[usage_record(platform, one.id, "7") for _ in range(30)] for one in subscriptions]
    answers = await asyncio.gather(*(use_batch(platform, batch) for batch in batches))
    assert sum(answer.accepted for answer in answers) == 100
    (counter,) = await platform.rows("SELECT used FROM quota_counters WHERE quota_id = $1", quota.id)
    assert counter["used"] == 100
    await platform.drain()
    assert [subject for subject, _, _ in await notices(platform)] == [
        "usage.quota.warning",
        "usage.quota.exceeded",
    ]
    refusal = await refused(use(platform, subscriptions[0].id, "0"))
    assert (refusal.reason, refusal.facts["period_end"]) == ("QUOTA_EXCEEDED", "2026-03-02T00:00:00Z")
    platform.clock.advance(days=1)
    await use(platform, subscriptions[0].id, "7")


async def test_a_days_quota_is_free_again_the_next_day_of_the_customer(platform: Platform) -> None:
    plan = await metered_plan(platform)
    customer = await new_customer(
        platform, details=customer_service_pb2.CustomerDetails(timezone="Asia/Kolkata")
    )
    subscription = await on_plan(platform, plan, customer_id=customer.id)
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "1", period="DAY")
    platform.clock.advance(days=2)
    # The day of Kolkata begins at 18:30 UTC, and has the whole hour.
    times = [datetime(2026, 3, 2, 17, 59, 59, 999999, tzinfo=UTC) + timedelta(microseconds=n) for n in (0, 1)]
    answer = await use_batch(platform, [usage_record(platform, subscription.id, at=at) for at in times])
    assert answer.accepted == 2
    answer = await use_batch(platform, [usage_record(platform, subscription.id, at=at) for at in times])
    assert [one.facts["period_end"] for one in answer.results] == [
        "2026-03-02T18:00:00Z",
        "2026-03-03T18:00:00Z",
    ]


async def test_counts_and_largest_values_are_limited_as_the_meter_aggregates_them(platform: Platform) -> None:
    peaks = await metered_plan(platform, "peak", catalog_pb2.AGGREGATION_MAX)
    requests = await metered_plan(platform, "requests", catalog_pb2.AGGREGATION_COUNT)
    peak, request = await on_plan(platform, peaks), await on_plan(platform, requests)
    await set_quota(platform, "PLAN", peaks.id, "5", meter="peak")
    await set_quota(platform, "PLAN", requests.id, "2", meter="requests")
    quantities = ["4", "5", "5.1", "5"]
    answer = await use_batch(
        platform, [usage_record(platform, peak.id, one, meter="peak") for one in quantities]
    )
    assert [one.index for one in answer.results] == [2]
    answer = await use_batch(
        platform, [usage_record(platform, request.id, one, meter="requests") for one in quantities]
    )
    assert [one.index for one in answer.results] == [2, 3]


@pytest.mark.parametrize("scope", ["TENANT", "PLAN"])
async def test_a_limit_below_what_is_used_refuses_until_it_is_raised(platform: Platform, scope: str) -> None:
    sums = await metered_plan(platform)
    peaks = await metered_plan(platform, "peak", catalog_pb2.AGGREGATION_MAX)
    subscription, peak = await on_plan(platform, sums), await on_plan(platform, peaks)
    subjects = {"TENANT": ("", ""), "PLAN": (sums.id, peaks.id)}[scope]

    async def limit(quantity: str) -> None:
        await set_quota(platform, scope, subjects[0], quantity, period="DAY")
        await set_quota(platform, scope, subjects[1], quantity, meter="peak", period="DAY")

    await limit("10")
    await use(platform, subscription.id, "9")
    await use(platform, peak.id, "9", meter="peak")
    await limit("5")
    for quantity in ("1", "0"):
        assert (await refused(use(platform, subscription.id, quantity))).facts["used"] == "9"
    assert (await refused(use(platform, peak.id, "5.5", meter="peak"))).reason == "QUOTA_EXCEEDED"
    await use(platform, peak.id, "5", meter="peak")
    await limit("10")
    await use(platform, subscription.id, "1")
    assert (await refused(use(platform, subscription.id, "0.1"))).facts["used"] == "10"


async def test_a_limit_of_nothing_refuses_all_or_tells_at_once(platform: Platform) -> None:
    plan = await metered_plan(platform)
    hard, soft = await on_plan(platform, plan), await on_plan(platform, plan)
    await set_quota(platform, "SUBSCRIPTION", hard.id, "0")
    await set_quota(platform, "SUBSCRIPTION", soft.id, "0", hard=False)
    assert (await refused(use(platform, hard.id, "0.000000000001"))).facts["limit"] == "0"
    await use(platform, soft.id, "0.000000000001")
    await platform.drain()
    assert [(subject, used) for subject, _, used in await notices(platform)] == [
        ("usage.quota.warning", "0.000000000001"),
        ("usage.quota.exceeded", "0.000000000001"),
    ]


async def test_late_usage_counts_for_the_period_it_was_used_in(platform: Platform) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "10")
    await use(platform, subscription.id, "6")
    earlier = platform.clock.now()
    platform.clock.advance(days=31)
    await use(platform, subscription.id, "10")
    answer = await use_batch(
        platform,
        [
            usage_record(platform, subscription.id, "4", at=earlier),
            usage_record(platform, subscription.id, "1", at=earlier),
            usage_record(platform, subscription.id, "1"),
        ],
    )
    assert [(one.index, one.facts["used"]) for one in answer.results] == [(1, "10"), (2, "10")]
    assert answer.results[0].facts["period_end"] < answer.results[1].facts["period_end"]
    await platform.drain()
    starts = {instant(event.use.period.start) for event in await platform.events("usage.quota.exceeded")}
    assert len(starts) == 2


async def test_a_change_of_price_in_mid_period_keeps_what_is_used(platform: Platform) -> None:
    plan = await metered_plan(platform)
    subscription = await on_plan(platform, plan)
    await set_quota(platform, "SUBSCRIPTION", subscription.id, "10")
    await use(platform, subscription.id, "6")
    (price,) = await platform.rows("SELECT product_id, meter_id FROM prices")
    other = await metered_price(
        platform, price["product_id"], price["meter_id"], "dearer", unit_amount="0.02"
    )
    platform.clock.advance(days=3)
    await change(platform, subscription.id, other)
    await use(platform, subscription.id, "4")
    assert len(await platform.rows("SELECT * FROM usage_totals")) == 2
    assert (await refused(use(platform, subscription.id, "1"))).facts["used"] == "10"


async def test_a_sandbox_tenants_days_are_those_of_its_clock(platform: Platform) -> None:
    start = datetime(2024, 5, 1, 12, tzinfo=UTC)
    platform.tenant_id, platform.tenant_key = await platform.new_tenant("sandbox", clock_time=start)
    subscription = await on_plan(platform, await metered_plan(platform))
    await set_quota(platform, "TENANT", "", "10", period="DAY")
    await use(platform, subscription.id, "10", at=start)
    assert (await refused(use(platform, subscription.id, "1", at=start))).facts["period_end"] == (
        "2024-05-02T00:00:00Z"
    )
    await platform.drain()
    (exceeded,) = await platform.events("usage.quota.exceeded")
    assert instant(exceeded.use.period.start) == datetime(2024, 5, 1, tzinfo=UTC)
    await platform.stub(ScheduleServiceStub).AdvanceTestClock(
        schedule_service_pb2.AdvanceTestClockRequest(
            request_id="advance", target_at=timestamp(start + timedelta(days=1))
        )
    )
    await platform.drain()
    await use(platform, subscription.id, "10", at=start)


@pytest.mark.parametrize("scope", ["TENANT", "SUBSCRIPTION"])
async def test_a_correction_upwards_keeps_within_hard_quotas(platform: Platform, scope: str) -> None:
    subscription = await on_plan(platform, await metered_plan(platform))
    subject = subscription.id if scope == "SUBSCRIPTION" else ""
    await set_quota(platform, scope, subject, "10", period="DAY")
    await use(platform, subscription.id, "1", key="a")
    await use(platform, subscription.id, "4", key="b")

    async def correct(quantity: str) -> None:
        await platform.stub(UsageServiceStub).CorrectUsage(
            usage_service_pb2.CorrectUsageRequest(
                request_id=new_id("req"), idempotency_key="a", quantity=quantity, reason="unit"
            )
        )

    refusal = await refused(correct("6.5"))
    assert (refusal.code, refusal.reason, refusal.facts["used"]) == (
        "RESOURCE_EXHAUSTED",
        "QUOTA_EXCEEDED",
        "5",
    )
    await correct("6")
    await platform.drain()
    assert [subject for subject, _, _ in await notices(platform)] == [
        "usage.quota.warning",
        "usage.quota.exceeded",
    ]
    if scope == "SUBSCRIPTION":
        await correct("2")
        await use(platform, subscription.id, "4")
    assert (await refused(use(platform, subscription.id, "1"))).facts["used"] == "10"
