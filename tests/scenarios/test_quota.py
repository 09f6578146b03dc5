"""A plan with an included feature and a hard quota, as its customer sees it, up to the next month."""

from billing.quota.v1 import entitlement_pb2, entitlement_service_pb2
from billing.quota.v1.entitlement_service_pb2_grpc import EntitlementServiceStub

from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.invoice import invoices_of
from tests.support.platform import Platform, platform
from tests.support.quota import metered_plan, notices, on_plan, set_quota, use

__all__ = ["platform"]


async def may(platform: Platform, customer_id: str, quantity: str) -> entitlement_pb2.Entitlement:
    question = entitlement_pb2.EntitlementQuestion(
        customer_id=customer_id, feature_code="api", quantity=quantity
    )
    answer = await platform.stub(EntitlementServiceStub).CheckEntitlement(
        entitlement_service_pb2.CheckEntitlementRequest(question=question)
    )
    return answer.entitlement


async def test_a_quota_warns_is_used_up_refuses_and_is_free_again(platform: Platform) -> None:
    plan = await metered_plan(platform)
    await platform.stub(EntitlementServiceStub).SetFeature(
        entitlement_service_pb2.SetFeatureRequest(
            request_id=new_id("req"),
            scope="QUOTA_SCOPE_PLAN",
            subject_id=plan.id,
            code="api",
            meter_code="calls",
        )
    )
    await set_quota(platform, "PLAN", plan.id, "1000")
    subscription = await on_plan(platform, plan)
    customer_id = subscription.customer_id
    assert (await may(platform, customer_id, "1000")).remaining_quantity == "1000"

    await use(platform, subscription.id, "799")
    await platform.drain()
    assert await notices(platform) == []
    refusal = await refused(use(platform, subscription.id, "202"))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")
    assert (refusal.facts["limit"], refusal.facts["used"]) == ("1000", "799")
    assert refusal.facts["period_end"] == "2026-04-01T12:00:00Z"
    await use(platform, subscription.id, "1")
    await platform.drain()
    assert await notices(platform) == [("usage.quota.warning", "1000", "800")]
    assert (await may(platform, customer_id, "200")).allowed
    answer = await may(platform, customer_id, "201")
    assert (answer.allowed, answer.remaining_quantity) == (False, "200")

    await use(platform, subscription.id, "200")
    await platform.drain()
    used_up = ("usage.quota.exceeded", "1000", "1000")
    assert await notices(platform) == [("usage.quota.warning", "1000", "800"), used_up]
    assert (await refused(use(platform, subscription.id, "1"))).reason == "QUOTA_EXCEEDED"
    assert not (await may(platform, customer_id, "1")).allowed

    # The next period: the quota is free again, and what was used of the last one is billed.
    await platform.pass_time(days=31, hours=1)
    assert (await may(platform, customer_id, "1000")).remaining_quantity == "1000"
    await use(platform, subscription.id, "900")
    await platform.drain()
    assert len(await platform.events("usage.quota.warning")) == 2
    assert len(await platform.events("usage.quota.exceeded")) == 1
    assert [invoice.total_minor for invoice in await invoices_of(platform)] == [10_00]
    assert await platform.rows("SELECT * FROM event_handler_failures") == []
