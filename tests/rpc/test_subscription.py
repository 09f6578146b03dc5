from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.types.v1 import period_pb2

from corebilling.mapping import instant, timestamp
from corebilling.values.clock import EARLIEST, LATEST
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_customer, new_meter, new_price, new_product, subscribe, subscription
from tests.support.platform import Platform
from tests.support.reporting import use

ACTIVE = subscription_pb2.SUBSCRIPTION_STATE_ACTIVE
CREATED = subscription_pb2.SUBSCRIPTION_STATE_CREATED
TRIALING = subscription_pb2.SUBSCRIPTION_STATE_TRIALING
CANCELED = subscription_pb2.SUBSCRIPTION_STATE_CANCELED


async def fee(platform: Platform):
    return await new_price(platform, (await new_product(platform)).id, "fee")


async def metered(platform: Platform, **terms: Any):
    """A price of 1 per token."""
    return await new_price(
        platform,
        (await new_product(platform)).id,
        "token",
        model=catalog_pb2.PRICE_MODEL_PER_UNIT,
        usage=catalog_pb2.PRICE_USAGE_METERED,
        meter_id=(await new_meter(platform)).id,
        unit_amount="1",
        **terms,
    )


async def cancel(platform: Platform, subscription_id: str, *, at_period_end: bool = False):
    answer = await platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(
            request_id=new_id("req"), subscription_id=subscription_id, at_period_end=at_period_end
        )
    )
    return answer.subscription


async def cycle_states(platform: Platform) -> list[str]:
    return [
        row["state"] for row in await platform.rows("SELECT state FROM billing_cycles ORDER BY period_start")
    ]


async def test_a_subscription_begins_active_with_its_first_period(platform: Platform):
    created = await subscribe(platform, await fee(platform))
    assert created.state == ACTIVE
    assert instant(created.current_period_start) == platform.clock.now()
    assert instant(created.current_period_end) == datetime(2026, 4, 1, 12, tzinfo=UTC)
    assert created.items[0].quantity == "1"
    (event,) = await platform.events("subscription.created")
    assert (event.subscription_id, event.state) == (created.id, ACTIVE)


async def test_a_renewal_opens_the_next_period_and_keeps_the_anchor(platform: Platform):
    created = await subscribe(platform, await fee(platform))
    for days in (31, 30, 31):
        await platform.pass_time(days=days)
    now = await subscription(platform, created.id)
    assert instant(now.current_period_start) == datetime(2026, 6, 1, 12, tzinfo=UTC)
    assert len(await platform.events("subscription.renewed")) == 3


async def test_downtime_is_caught_up_period_by_period(platform: Platform):
    await subscribe(platform, await fee(platform))
    await platform.pass_time(days=100)
    assert await cycle_states(platform) == ["invoiced"] * 3 + ["open"]
    assert len(await platform.events("invoice.generated")) == 3


async def test_a_trial_is_followed_by_billed_periods_from_its_end(platform: Platform):
    created = await subscribe(platform, await fee(platform), trial_days=14)
    assert created.state == TRIALING
    await platform.pass_time(days=14, hours=1)
    now = await subscription(platform, created.id)
    assert now.state == ACTIVE
    assert instant(now.current_period_start) == instant(created.trial_end_at)
    (change,) = await platform.events("subscription.status.changed")
    assert (getattr(change, "from"), change.to) == (TRIALING, ACTIVE)
    assert await cycle_states(platform) == ["closed", "open"]
    assert await platform.events("invoice.generated") == []


async def test_a_future_start_waits_and_then_begins(platform: Platform):
    start = platform.clock.now() + timedelta(days=3)
    created = await subscribe(platform, await fee(platform), start_at=timestamp(start))
    assert created.state == CREATED
    await platform.drain()
    await platform.pass_time(days=3)
    now = await subscription(platform, created.id)
    assert (now.state, instant(now.current_period_start)) == (ACTIVE, start)


async def test_cancel_at_period_end_keeps_service_until_then(platform: Platform):
    created = await subscribe(platform, await fee(platform))
    pending = await cancel(platform, created.id, at_period_end=True)
    assert (pending.state, pending.cancel_at_period_end) == (ACTIVE, True)
    assert pending.ended_at == created.current_period_end
    await platform.pass_time(days=40)
    assert (await subscription(platform, created.id)).state == CANCELED
    (event,) = await platform.events("subscription.canceled")
    assert event.at_period_end
    assert await cycle_states(platform) == ["invoiced"]


async def test_cancel_now_bills_what_was_served(platform: Platform):
    created = await subscribe(platform, await fee(platform))
    platform.clock.advance(days=15, hours=12)  # half of March
    canceled = await cancel(platform, created.id)
    assert (canceled.state, instant(canceled.ended_at)) == (CANCELED, platform.clock.now())
    await platform.pass_time(hours=2)
    (invoice,) = await platform.events("invoice.generated")
    assert invoice.total_minor == 1000


async def test_canceling_before_the_start_bills_nothing(platform: Platform):
    start = platform.clock.now() + timedelta(days=3)
    created = await subscribe(platform, await fee(platform), start_at=timestamp(start))
    assert (await cancel(platform, created.id)).state == CANCELED
    await platform.pass_time(days=60)
    assert await platform.events("invoice.generated") == []


async def test_a_canceled_subscription_cannot_be_canceled_again(platform: Platform):
    created = await subscribe(platform, await fee(platform))
    await cancel(platform, created.id)
    refusal = await refused(cancel(platform, created.id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "SUBSCRIPTION_TRANSITION_INVALID")
    assert refusal.facts == {"from": "canceled", "to": "canceled"}


async def test_items_come_from_a_plan_or_the_request_but_not_both(platform: Platform):
    refusal = await refused(subscribe(platform))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "SUBSCRIPTION_ITEMS_INVALID")
    price = await fee(platform)
    assert (await refused(subscribe(platform, price, plan_id="pln_x"))).reason == "SUBSCRIPTION_ITEMS_INVALID"
    assert (await refused(subscribe(platform, plan_id="pln_x"))).reason == "PLAN_NOT_FOUND"


@pytest.mark.parametrize("customer_id", ["cus_none", "x"])
async def test_an_unknown_customer_is_refused(platform: Platform, customer_id: str):
    refusal = await refused(subscribe(platform, await fee(platform), customer_id=customer_id))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "CUSTOMER_NOT_FOUND")


async def test_events_of_a_subscription_carry_rising_versions(platform: Platform):
    created = await subscribe(platform, await fee(platform), trial_days=1)
    await platform.pass_time(days=40)
    await cancel(platform, created.id)
    rows = await platform.rows(
        "SELECT resource_version FROM billing_events WHERE resource_id = $1 ORDER BY xid, seq", created.id
    )
    versions = [row["resource_version"] for row in rows]
    assert versions == list(range(1, len(versions) + 1))
    assert len(versions) >= 5


async def test_other_tenant_gets_not_found(platform: Platform):
    created = await subscribe(platform, await fee(platform))
    _, other_key = await platform.new_tenant("other")
    stub = platform.stub(SubscriptionServiceStub, key=other_key)
    request = subscription_service_pb2.GetSubscriptionRequest(subscription_id=created.id)
    assert (await refused(stub.GetSubscription(request))).reason == "SUBSCRIPTION_NOT_FOUND"
    customer = await new_customer(platform)
    foreign = subscription_service_pb2.ListSubscriptionsRequest(customer_id=customer.id)
    assert not (await stub.ListSubscriptions(foreign)).subscriptions


@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Auckland", "Pacific/Honolulu"])
@pytest.mark.parametrize("start_at", ["0001-01-02T00:00:00", "9999-12-31T23:59:59", "1969-12-31T23:59:59"])
@pytest.mark.parametrize("trial_days", [0, 730])
async def test_a_start_outside_of_business_time_is_refused_by_name(
    platform: Platform, timezone: str, start_at: str, trial_days: int
):
    await platform.rows("UPDATE tenants SET timezone = $2 WHERE id = $1", platform.tenant_id, timezone)
    start = timestamp(datetime.fromisoformat(start_at).replace(tzinfo=UTC))
    price = await fee(platform)
    refusal = await refused(subscribe(platform, price, start_at=start, trial_days=trial_days))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "SUBSCRIPTION_START_INVALID")


async def test_a_subscription_begins_on_the_whole_second(platform: Platform):
    """So that usage which a client stamps in whole seconds is never before it."""
    platform.clock.advance(seconds=0.9)
    created = await subscribe(platform, await metered(platform))
    now = platform.clock.now()
    assert now.microsecond == 900_000
    assert instant(created.start_at) == now.replace(microsecond=0)
    assert instant(created.current_period_start) == now.replace(microsecond=0)
    assert created.state == ACTIVE
    await use(platform, created.id, 1, now.replace(microsecond=0))


@pytest.mark.parametrize("now", [EARLIEST, LATEST])
@pytest.mark.parametrize("timezone", ["UTC", "Pacific/Auckland", "Pacific/Honolulu"])
async def test_a_sandbox_bills_at_both_ends_of_business_time(
    platform: Platform, now: datetime, timezone: str
):
    platform.tenant_id, platform.tenant_key = await platform.new_tenant("box", clock_time=now)
    await platform.rows("UPDATE tenants SET timezone = $2 WHERE id = $1", platform.tenant_id, timezone)
    price = await metered(platform, interval_unit=period_pb2.INTERVAL_UNIT_YEAR)
    created = await subscribe(platform, price)
    await use(platform, created.id, 1, now)
    on_trial = await subscribe(platform, price, trial_days=730)
    assert on_trial.state == TRIALING
    for out_of_reach, reason in (
        (datetime(1, 1, 1, tzinfo=UTC), "USAGE_TOO_OLD"),
        (now - timedelta(days=36), "USAGE_TOO_OLD"),
        (now - timedelta(days=34), "USAGE_OUTSIDE_SUBSCRIPTION"),
        (datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), "USAGE_IN_FUTURE"),
    ):
        assert (await refused(use(platform, created.id, 1, out_of_reach))).reason == reason
    await cancel(platform, created.id)
    await platform.drain()


@pytest.mark.parametrize(
    "terms",
    [
        {"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "unit_amount": "10000000000"},
        {
            "model": catalog_pb2.PRICE_MODEL_GRADUATED,
            "unit_amount": "",
            "tiers": [catalog_pb2.PriceTier(unit_amount="10000000000")],
        },
    ],
    ids=["per unit", "graduated"],
)
async def test_a_fee_that_no_invoice_line_can_hold_is_refused_at_the_subscription(
    platform: Platform, terms: dict[str, Any]
):
    price = await new_price(platform, (await new_product(platform)).id, "seat", **terms)
    customer = await new_customer(platform)

    def create(quantity: str):
        return platform.stub(SubscriptionServiceStub).CreateSubscription(
            subscription_service_pb2.CreateSubscriptionRequest(
                request_id=new_id("req"),
                customer_id=customer.id,
                items=[subscription_service_pb2.NewSubscriptionItem(price_id=price.id, quantity=quantity)],
            )
        )

    refusal = await refused(create("1000.000000000001"))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "SUBSCRIPTION_ITEMS_INVALID")
    assert "take at most 1000 " in refusal.message
    assert (await create("1000")).subscription.state == ACTIVE
