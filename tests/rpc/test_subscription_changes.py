"""Changes of a running subscription: what is answered, written and announced."""

from datetime import datetime, timedelta

import pytest
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.types.v1 import period_pb2
from billing.usage.v1 import usage_pb2

from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import (
    change,
    metered_price,
    new_meter,
    new_price,
    new_product,
    pause,
    resume,
    subscribe,
    subscription,
)
from tests.support.platform import Platform
from tests.support.reporting import use

ACTIVE = subscription_pb2.SUBSCRIPTION_STATE_ACTIVE
PAUSED = subscription_pb2.SUBSCRIPTION_STATE_PAUSED
SCHEDULED = subscription_pb2.SUBSCRIPTION_CHANGE_STATE_SCHEDULED
APPLIED = subscription_pb2.SUBSCRIPTION_CHANGE_STATE_APPLIED


async def prices(platform: Platform, *codes: str) -> list[catalog_pb2.Price]:
    product = await new_product(platform)
    return [await new_price(platform, product.id, code) for code in codes]


async def metered(platform: Platform, code: str, product_id: str, meter_id: str) -> catalog_pb2.Price:
    return await metered_price(platform, product_id, meter_id, code)


async def new_plan(platform: Platform, code: str, price: catalog_pb2.Price) -> str:
    request = catalog_service_pb2.CreatePlanRequest(
        request_id=new_id("req"), code=code, name=code, items=[catalog_pb2.PlanItem(price_id=price.id)]
    )
    return (await platform.stub(CatalogServiceStub).CreatePlan(request)).plan.id


async def test_a_change_now_replaces_what_differs_and_keeps_what_stays(platform: Platform):
    seat, basic, pro = await prices(platform, "seat", "basic", "pro")
    created = await subscribe(platform, seat, basic)
    platform.clock.advance(days=3)
    answer = await change(platform, created.id, seat, pro)
    assert answer.change.state == APPLIED
    assert instant(answer.change.effective_at) == platform.clock.now()
    assert [item.price_id for item in answer.subscription.items] == [seat.id, pro.id]
    assert answer.subscription.items[0].id == created.items[0].id
    (event,) = await platform.events("subscription.price.updated")
    assert (event.change_id, event.old_price_ids, event.new_price_ids) == (
        answer.change.id,
        [basic.id],
        [pro.id],
    )
    rows = await platform.rows("SELECT ends_at FROM subscription_items WHERE id = $1", created.items[1].id)
    assert rows[0]["ends_at"] == platform.clock.now()


async def test_a_change_of_quantity_ends_one_item_and_begins_another(platform: Platform):
    (seat,) = await prices(platform, "seat")
    created = await subscribe(platform, seat)
    answer = await change(platform, created.id, seat, quantity="7")
    assert [(item.price_id, item.quantity) for item in answer.subscription.items] == [(seat.id, "7")]
    assert answer.subscription.items[0].id != created.items[0].id


async def test_items_stand_in_the_order_asked_for(platform: Platform):
    a, b, c, d = await prices(platform, "a", "b", "c", "d")
    created = await subscribe(platform, a, b)
    for asked in ([a, b, c], [d, c, a], [c, b, a]):
        answer = await change(platform, created.id, *asked)
        assert [item.price_id for item in answer.subscription.items] == [price.id for price in asked]


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(days=5)])
async def test_a_change_to_the_same_items_changes_nothing(platform: Platform, ahead: timedelta):
    basic, pro = await prices(platform, "basic", "pro")
    created = await subscribe(platform, basic, pro)
    platform.clock.advance(days=3)
    answer = await change(
        platform,
        created.id,
        pro,
        basic,
        proration_behavior=subscription_pb2.PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY,
        effective_at=timestamp(platform.clock.now() + ahead),
    )
    await platform.pass_time(days=6)
    left = await subscription(platform, created.id)
    assert (left.items, left.HasField("next_change_at")) == (created.items, False)
    assert await platform.events("subscription.price.updated") == []
    (cycle,) = await platform.rows("SELECT due_at FROM billing_cycles")
    assert cycle["due_at"] == instant(created.current_period_end)
    if not ahead:
        assert answer.subscription == created
        assert await platform.events("subscription.updated") == []


async def test_other_items_are_of_the_plan_that_they_were_taken_from_or_of_none(platform: Platform):
    basic, pro = await prices(platform, "basic", "pro")
    first, same = [await new_plan(platform, code, basic) for code in ("first", "same")]
    created = await subscribe(platform, plan_id=first)
    assert (await change(platform, created.id, basic)).subscription.plan_id == first
    assert (await change(platform, created.id, plan_id=same)).subscription.plan_id == same
    assert (await change(platform, created.id, pro)).subscription.plan_id == ""
    assert (await change(platform, created.id, plan_id=first)).subscription.plan_id == first
    changed = [event.changed_fields for event in await platform.events("subscription.updated")]
    assert changed == [["plan_id"], ["items", "plan_id"], ["items", "plan_id"]]


async def test_a_change_at_period_end_waits_and_can_be_replaced(platform: Platform):
    basic, pro, max_ = await prices(platform, "basic", "pro", "max")
    created = await subscribe(platform, basic)
    first = await change(platform, created.id, pro, at_period_end=True)
    assert first.change.state == SCHEDULED
    assert first.subscription.next_change_at == created.current_period_end
    assert first.subscription.items[0].price_id == basic.id
    await change(platform, created.id, max_, at_period_end=True)
    await platform.pass_time(days=31)
    now = await subscription(platform, created.id)
    assert [item.price_id for item in now.items] == [max_.id]
    assert not now.HasField("next_change_at")
    states = await platform.rows("SELECT state FROM subscription_changes ORDER BY id")
    assert [row["state"] for row in states] == ["canceled", "applied"]


async def test_a_change_ahead_is_made_by_the_scheduler_when_its_time_comes(platform: Platform):
    basic, pro = await prices(platform, "basic", "pro")
    created = await subscribe(platform, basic)
    at = platform.clock.now() + timedelta(days=40)
    await change(platform, created.id, pro, effective_at=timestamp(at))
    await platform.pass_time(days=39)
    assert (await subscription(platform, created.id)).items[0].price_id == basic.id
    await platform.pass_time(days=2)
    assert (await subscription(platform, created.id)).items[0].price_id == pro.id
    (event,) = await platform.events("subscription.price.updated")
    assert instant(event.effective_at) == at


async def test_a_change_may_lie_back_within_the_period_if_nothing_was_used_since(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    old = await metered(platform, "old", product.id, meter.id)
    new = await metered(platform, "new", product.id, meter.id)
    created = await subscribe(platform, old)
    platform.clock.advance(days=5)
    back = timestamp(platform.clock.now() - timedelta(days=2))
    too_far = timestamp(platform.clock.now() - timedelta(days=6))
    refusal = await refused(change(platform, created.id, new, effective_at=too_far))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "SUBSCRIPTION_CHANGE_TIME_INVALID")
    await use(platform, created.id)
    refusal = await refused(change(platform, created.id, new, effective_at=back))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "SUBSCRIPTION_CHANGE_USED")
    platform.clock.advance(days=3)
    later = platform.clock.now() - timedelta(days=1)
    answer = await change(platform, created.id, new, effective_at=timestamp(later))
    assert instant(answer.change.effective_at) == later
    refusal = await refused(change(platform, created.id, old, effective_at=back))
    assert refusal.reason == "SUBSCRIPTION_CHANGE_TIME_INVALID"


async def test_a_change_may_not_lie_before_one_that_only_removed_something(platform: Platform):
    basic, addon = await prices(platform, "basic", "addon")
    created = await subscribe(platform, basic, addon)
    platform.clock.advance(days=5)
    back = timestamp(platform.clock.now())
    platform.clock.advance(days=5)
    removed_at = platform.clock.now()
    await change(platform, created.id, basic)
    platform.clock.advance(days=2)
    refusal = await refused(change(platform, created.id, basic, addon, effective_at=back))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "SUBSCRIPTION_CHANGE_TIME_INVALID")
    assert datetime.fromisoformat(refusal.facts["earliest"]) == removed_at
    await change(platform, created.id, basic, addon, effective_at=timestamp(removed_at))


async def test_a_trial_goes_on_as_it_began_across_a_change(platform: Platform):
    basic, pro = await prices(platform, "basic", "pro")
    created = await subscribe(platform, basic, trial_days=14)
    platform.clock.advance(days=5)
    answer = await change(platform, created.id, pro)
    assert answer.subscription.trial_end_at == created.trial_end_at
    assert answer.subscription.state == subscription_pb2.SUBSCRIPTION_STATE_TRIALING


async def test_a_pause_stops_service_until_it_is_resumed(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    price = await metered(platform, "tokens", product.id, meter.id)
    created = await subscribe(platform, price)
    platform.clock.advance(days=3)
    paused = await pause(platform, created.id)
    assert (paused.state, instant(paused.paused_at)) == (PAUSED, platform.clock.now())
    assert [item.price_id for item in paused.items] == [price.id]
    assert (await refused(use(platform, created.id))).reason == "USAGE_OUTSIDE_SUBSCRIPTION"
    await platform.pass_time(days=40)
    assert (await subscription(platform, created.id)).state == PAUSED
    resumed = await resume(platform, created.id)
    assert (resumed.state, resumed.HasField("paused_at")) == (ACTIVE, False)
    assert [item.price_id for item in resumed.items] == [price.id]
    await use(platform, created.id)
    assert len(await platform.events("subscription.paused")) == 1
    assert len(await platform.events("subscription.resumed")) == 1
    steps = await platform.events("subscription.status.changed")
    assert [(getattr(step, "from"), step.to) for step in steps] == [(ACTIVE, PAUSED), (PAUSED, ACTIVE)]


async def test_pausing_and_resuming_in_one_instant_keeps_the_items(platform: Platform):
    basic, pro = await prices(platform, "basic", "pro")
    created = await subscribe(platform, basic)
    platform.clock.advance(days=3)
    await pause(platform, created.id)
    platform.clock.advance(days=1)
    for _ in range(2):
        assert [item.price_id for item in (await resume(platform, created.id)).items] == [basic.id]
        assert [item.price_id for item in (await pause(platform, created.id)).items] == [basic.id]
    await resume(platform, created.id)
    answer = await change(platform, created.id, pro)
    assert [item.price_id for item in answer.subscription.items] == [pro.id]


async def test_pausing_in_the_instant_of_a_change_keeps_what_it_added_and_nothing_that_it_removed(
    platform: Platform,
):
    basic, addon, pro = await prices(platform, "basic", "addon", "pro")
    created = await subscribe(platform, basic, addon)
    platform.clock.advance(days=3)
    await change(platform, created.id, pro)
    assert [item.price_id for item in (await pause(platform, created.id)).items] == [pro.id]
    assert [item.price_id for item in (await resume(platform, created.id)).items] == [pro.id]


async def test_steps_that_do_not_fit_are_refused_with_both_states(platform: Platform):
    basic, pro = await prices(platform, "basic", "pro")
    created = await subscribe(platform, basic)
    refusal = await refused(resume(platform, created.id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "SUBSCRIPTION_TRANSITION_INVALID")
    assert refusal.facts == {"from": "active", "to": "active"}
    await pause(platform, created.id)
    assert (await refused(pause(platform, created.id))).facts == {"from": "paused", "to": "paused"}
    assert (await refused(change(platform, created.id, pro))).facts == {"from": "paused", "to": "active"}


async def test_a_pause_withdraws_what_was_scheduled(platform: Platform):
    basic, pro = await prices(platform, "basic", "pro")
    created = await subscribe(platform, basic)
    await change(platform, created.id, pro, at_period_end=True)
    assert not (await pause(platform, created.id)).HasField("next_change_at")
    await resume(platform, created.id)
    await platform.pass_time(days=40)
    assert (await subscription(platform, created.id)).items[0].price_id == basic.id


@pytest.mark.parametrize("ahead", [timedelta(days=31), timedelta(days=800)])
async def test_a_change_after_the_end_is_refused(platform: Platform, ahead: timedelta):
    basic, pro = await prices(platform, "basic", "pro")
    created = await subscribe(platform, basic)
    await platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(
            request_id=new_id("req"), subscription_id=created.id, at_period_end=True
        )
    )
    at = timestamp(platform.clock.now() + ahead)
    refusal = await refused(change(platform, created.id, pro, effective_at=at))
    assert refusal.reason == "SUBSCRIPTION_CHANGE_TIME_INVALID"


@pytest.mark.parametrize("step", ["change", "pause"])
async def test_usage_reported_again_is_a_duplicate_whatever_became_of_its_item(platform: Platform, step: str):
    product, meter = await new_product(platform), await new_meter(platform)
    old = await metered(platform, "old", product.id, meter.id)
    new = await metered(platform, "new", product.id, meter.id)
    created = await subscribe(platform, old)
    platform.clock.advance(days=3)
    ahead = platform.clock.now() + timedelta(minutes=2)
    first = await use(platform, created.id, "1", ahead, key="key")
    if step == "change":
        await change(platform, created.id, new)
    else:
        await pause(platform, created.id)
    again = await use(platform, created.id, "1.0", ahead, key="key")
    assert (first, again) == (usage_pb2.USAGE_OUTCOME_ACCEPTED, usage_pb2.USAGE_OUTCOME_DUPLICATE)
    refusal = await refused(use(platform, created.id, "2", ahead, key="key"))
    assert refusal.reason == ("USAGE_KEY_CONFLICT" if step == "change" else "USAGE_OUTSIDE_SUBSCRIPTION")


async def test_the_billing_interval_stays(platform: Platform):
    product = await new_product(platform)
    monthly = await new_price(platform, product.id, "monthly")
    yearly = await new_price(platform, product.id, "yearly", interval_unit=period_pb2.INTERVAL_UNIT_YEAR)
    created = await subscribe(platform, monthly)
    refusal = await refused(change(platform, created.id, yearly))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "SUBSCRIPTION_ITEMS_INVALID")


async def test_other_tenant_cannot_change_it(platform: Platform):
    (basic,) = await prices(platform, "basic")
    created = await subscribe(platform, basic)
    _, other_key = await platform.new_tenant("other")
    stub = platform.stub(SubscriptionServiceStub, key=other_key)
    request = subscription_service_pb2.PauseSubscriptionRequest(
        request_id=new_id("req"), subscription_id=created.id
    )
    assert (await refused(stub.PauseSubscription(request))).reason == "SUBSCRIPTION_NOT_FOUND"


async def test_items_are_not_replaced_without_end_within_a_period(platform: Platform):
    product = await new_product(platform)
    seat = await new_price(
        platform, product.id, "seat", model=catalog_pb2.PRICE_MODEL_PER_UNIT, unit_amount="1"
    )
    created = await subscribe(platform, seat)
    stub = platform.stub(SubscriptionServiceStub)

    def replace_all(round_: int) -> subscription_service_pb2.ChangeSubscriptionRequest:
        items = [
            subscription_service_pb2.NewSubscriptionItem(price_id=seat.id, quantity=f"{round_}.{place:03}1")
            for place in range(50)
        ]
        return subscription_service_pb2.ChangeSubscriptionRequest(
            request_id=new_id("req"), subscription_id=created.id, items=items
        )

    for round_ in range(10):
        await stub.ChangeSubscription(replace_all(round_))
    refusal = await refused(stub.ChangeSubscription(replace_all(10)))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "SUBSCRIPTION_CHANGE_LIMIT_REACHED")
    assert refusal.facts["limit"] == "500"
    assert (await refused(pause(platform, created.id))).reason == "SUBSCRIPTION_CHANGE_LIMIT_REACHED"
    platform.clock.advance(days=32)
    await stub.ChangeSubscription(replace_all(10))
