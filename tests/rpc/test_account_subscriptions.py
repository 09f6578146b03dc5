"""What consumers subscribe to by themselves, and which of their terms they do not end."""

from datetime import timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.support.app import Refusal
from tests.support.catalog import change, new_price, new_product, pause, subscribe, subscription
from tests.support.market import Market, Person, market

__all__ = ["market"]

CANCELED = subscription_pb2.SUBSCRIPTION_STATE_CANCELED


async def new_plan(market: Market, code: str, **fields: Any) -> str:
    """Not offered, unless it says so."""
    basic = catalog_service_pb2.GetPlanRequest(plan_id=market.plan_id)
    catalog = market.platform.stub(CatalogServiceStub)
    items = (await catalog.GetPlan(basic)).plan.items
    created = await catalog.CreatePlan(
        catalog_service_pb2.CreatePlanRequest(
            request_id=new_id("req"), code=code, name=code, items=items, **fields
        )
    )
    return created.plan.id


async def offer(market: Market, plan_id: str, offered: bool) -> catalog_pb2.Plan:
    request = catalog_service_pb2.SetPlanOfferedRequest(
        request_id=new_id("req"), plan_id=plan_id, offered=offered
    )
    return (await market.platform.stub(CatalogServiceStub).SetPlanOffered(request)).plan


async def seen(person: Person) -> list[str]:
    return sorted(plan.code for plan in (await person.call("catalog", "ListPlans")).plans)


async def test_plans_are_not_offered_unless_they_say_so(market: Market) -> None:
    """Which holds for the consumer alone: the tenant subscribes them to any."""
    ada, private = market.ada, await new_plan(market, "private")
    for method, fields in (
        ("CreateSubscription", {}),
        ("ChangeSubscription", {"subscription_id": ada.subscription_id}),
        ("ChangeSubscription", {"subscription_id": ada.subscription_id, "at_period_end": True}),
    ):
        refusal = await ada.refused("subscription", method, plan_id=private, **fields)
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "PLAN_NOT_OFFERED")
        assert refusal.facts == {"plan_id": private}
    await subscribe(market.platform, customer_id=ada.customer_id, plan_id=private)
    assert (await ada.call("subscription", "CreateSubscription", plan_id=market.plan_id)).subscription.id


async def test_an_offer_is_made_and_withdrawn(market: Market) -> None:
    ada, plan_id = market.ada, await new_plan(market, "later")
    offered = await offer(market, plan_id, True)
    assert (offered.offered, offered.version) == (True, 2)
    await ada.call("subscription", "CreateSubscription", plan_id=plan_id)
    assert (await offer(market, plan_id, True)).version == 2
    await offer(market, plan_id, False)
    refusal = await ada.refused("subscription", "CreateSubscription", plan_id=plan_id)
    assert refusal.reason == "PLAN_NOT_OFFERED"
    told = [(event.plan_id, *event.changed_fields) for event in await market.platform.events("plan.updated")]
    assert told == [(plan_id, "offered")] * 2
    refusal = await ada.refused("catalog", "SetPlanOffered", plan_id=plan_id, offered=True)
    assert refusal.reason == "PERMISSION_MISSING"


async def test_accounts_see_what_is_offered_and_what_is_theirs(market: Market) -> None:
    ada, bob = market.ada, market.bob
    adas = await new_plan(market, "for-ada")
    hers = await subscribe(market.platform, customer_id=ada.customer_id, plan_id=adas)
    assert await seen(ada) == ["basic", "for-ada"]
    assert await seen(bob) == ["basic"]
    assert (await ada.call("catalog", "GetPlan", plan_id=adas)).plan.code == "for-ada"
    foreign = await bob.refused("catalog", "GetPlan", plan_id=adas)
    assert (foreign.code, foreign.reason) == ("NOT_FOUND", "PLAN_NOT_FOUND")
    assert (await bob.refused("catalog", "GetPlan", plan_id="absent")).message == foreign.message
    assert not (await bob.call("catalog", "ListPlans", code="for-ada")).plans
    page = await ada.call("catalog", "ListPlans", page_size=1)
    rest = await ada.call("catalog", "ListPlans", page_size=1, page_token=page.next_page_token)
    assert [plan.code for plan in (*page.plans, *rest.plans)] == ["for-ada", "basic"]
    assert not rest.next_page_token
    await market.platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(request_id=new_id("req"), subscription_id=hers.id)
    )
    assert await seen(ada) == ["basic", "for-ada"], "her invoices speak of it"
    nobody = Person(market.platform, market.issuer.token("consumer", cognito__username=None))
    creator = Person(market.platform, market.issuer.token("creator", "carol"))
    assert await seen(nobody) == await seen(creator) == ["basic"]


async def committed(market: Market, **fields: Any) -> str:
    terms = {"minimum_commitment_minor": 50_000, **fields}
    platform = market.platform
    made = await subscribe(platform, customer_id=market.ada.customer_id, plan_id=market.plan_id, **terms)
    return made.id


async def refused_to_cancel(person: Person, subscription_id: str, **fields: Any) -> Refusal:
    refusal = await person.refused(
        "subscription", "CancelSubscription", subscription_id=subscription_id, **fields
    )
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "SUBSCRIPTION_COMMITTED")
    assert refusal.facts == {
        "subscription_id": subscription_id,
        "minimum_commitment_minor": "50000",
        "currency": "USD",
    }
    return refusal


@pytest.mark.parametrize("at_period_end", [False, True])
async def test_a_consumer_does_not_end_a_commitment(market: Market, at_period_end: bool) -> None:
    platform, ada = market.platform, market.ada
    subscription_id = await committed(market)
    await refused_to_cancel(ada, subscription_id, at_period_end=at_period_end)
    await pause(platform, subscription_id)
    await refused_to_cancel(ada, subscription_id, at_period_end=at_period_end)
    # Another plan is theirs to choose: the commitment goes on.
    another = await new_plan(market, "another", offered=True)
    committed_id = await committed(market)
    changed = await ada.call(
        "subscription", "ChangeSubscription", subscription_id=committed_id, plan_id=another
    )
    assert changed.subscription.minimum_commitment_minor == 50_000
    await refused_to_cancel(ada, committed_id, at_period_end=at_period_end)
    # And the tenant ends it.
    answer = await platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(
            request_id=new_id("req"), subscription_id=committed_id
        )
    )
    assert answer.subscription.state == CANCELED


async def test_nor_one_that_has_not_begun(market: Market) -> None:
    """In a trial, before the start, or in a change that the tenant has scheduled."""
    ada, clock = market.ada, market.platform.clock
    await refused_to_cancel(ada, await committed(market, trial_days=7))
    start = timestamp(clock.now() + timedelta(days=20))
    await refused_to_cancel(ada, await committed(market, start_at=start))
    price = await new_price(market.platform, (await new_product(market.platform, "more")).id, "more")
    await change(
        market.platform,
        ada.subscription_id,
        price,
        at_period_end=True,
        minimum_commitment_minor=50_000,
    )
    await refused_to_cancel(ada, ada.subscription_id)
    refusal = await ada.refused(
        "subscription",
        "ChangeSubscription",
        subscription_id=ada.subscription_id,
        plan_id=market.plan_id,
        at_period_end=True,
    )
    assert refusal.reason == "SUBSCRIPTION_COMMITTED"
    assert (await subscription(market.platform, ada.subscription_id)).HasField("next_change_at")


async def test_what_the_tenant_has_ended_holds_nobody(market: Market) -> None:
    """From when it ends: until then, its share of the period is owed."""
    platform, ada = market.platform, market.ada
    price = await new_price(platform, (await new_product(platform, "more")).id, "more")
    made = await subscribe(platform, price, customer_id=ada.customer_id, minimum_commitment_minor=50_000)
    await platform.pass_time(days=1)
    ada.token = market.issuer.token("consumer", "ada")
    until_the_end = subscription_pb2.PRORATION_BEHAVIOR_NONE
    await change(platform, made.id, price, minimum_commitment_minor=0, proration_behavior=until_the_end)
    await refused_to_cancel(ada, made.id)
    canceled = await ada.call(
        "subscription", "CancelSubscription", subscription_id=made.id, at_period_end=True
    )
    assert canceled.subscription.cancel_at_period_end
