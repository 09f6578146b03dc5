"""Negotiated amounts on invoices: a subscription's go before its customer's, and these before a price's."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2, price_override_pb2, price_override_service_pb2
from billing.catalog.v1.price_override_service_pb2_grpc import PriceOverrideServiceStub
from billing.rating.v1 import rating_service_pb2
from billing.rating.v1.rating_service_pb2_grpc import RatingServiceStub
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import (
    change,
    metered_price,
    new_customer,
    new_meter,
    new_price,
    new_product,
    pause,
    resume,
    subscribe,
)
from tests.support.invoice import invoices_of
from tests.support.platform import Platform
from tests.support.reporting import use

IMMEDIATELY = subscription_pb2.PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY


async def fee(platform: Platform, code: str = "fee", **terms: Any) -> catalog_pb2.Price:
    """31 a month."""
    product = await new_product(platform, code)
    return await new_price(platform, product.id, code, **{"unit_amount": "31", **terms})


async def negotiate(
    platform: Platform,
    price: catalog_pb2.Price,
    unit_amount: str,
    *,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
    **request: Any,
) -> price_override_pb2.PriceOverride:
    answer = await platform.stub(PriceOverrideServiceStub).SetPriceOverride(
        price_override_service_pb2.SetPriceOverrideRequest(
            request_id=new_id("req"),
            price_id=price.id,
            unit_amount=unit_amount,
            valid_from=None if valid_from is None else timestamp(valid_from),
            valid_until=None if valid_until is None else timestamp(valid_until),
            **request,
        )
    )
    return answer.price_override


async def end(platform: Platform, override_id: str) -> price_override_pb2.PriceOverride:
    request = price_override_service_pb2.EndPriceOverrideRequest(
        request_id=new_id("req"), price_override_id=override_id
    )
    return (await platform.stub(PriceOverrideServiceStub).EndPriceOverride(request)).price_override


async def lines(platform: Platform, subscription_id: str) -> list[list[int]]:
    """Of each of its invoices, oldest first, the lines' cents."""
    made = await invoices_of(platform, subscription_id)
    return [[line.amount_minor for line in invoice.lines] for invoice in made]


async def test_a_subscriptions_amounts_go_before_its_customers_and_these_before_the_price(platform: Platform):
    price, ada = await fee(platform), (await new_customer(platform)).id
    await negotiate(platform, price, "20", customer_id=ada)
    special = await subscribe(platform, price, customer_id=ada)
    usual = await subscribe(platform, price, customer_id=ada)
    other = await subscribe(platform, price)
    override = await negotiate(platform, price, "12.5", subscription_id=special.id)
    assert (override.customer_id, override.currency, override.version) == (ada, "USD", 1)
    await platform.pass_time(days=32)
    assert [await lines(platform, made.id) for made in (special, usual, other)] == [
        [[1250]],
        [[2000]],
        [[3100]],
    ]
    (cycle_id,) = [
        event.cycle_id
        for event in await platform.events("rating.completed")
        if event.subscription_id == special.id
    ]
    charges = await platform.stub(RatingServiceStub).ListCharges(
        rating_service_pb2.ListChargesRequest(cycle_id=cycle_id)
    )
    assert [(charge.price_id, charge.price_override_id) for charge in charges.charges] == [
        (price.id, override.id)
    ]
    made = await platform.events("price.override.set")
    assert [event.subscription_id for event in made] == ["", special.id]


async def test_what_is_set_or_ended_within_a_period_counts_from_the_next_one_on(platform: Platform):
    price = await fee(platform)
    made = await subscribe(platform, price)
    await platform.pass_time(days=10)
    override = await negotiate(platform, price, "20", customer_id=made.customer_id)
    await platform.pass_time(days=22)
    await platform.pass_time(days=10)
    ended = await end(platform, override.id)
    assert ended.valid_until.ToDatetime() == platform.clock.now().replace(tzinfo=None, microsecond=0)
    assert await end(platform, override.id) == ended
    await platform.pass_time(days=52)
    assert await lines(platform, made.id) == [[3100], [2000], [3100]]
    (event,) = await platform.events("price.override.ended")
    assert (event.price_override_id, event.replaced_by_id) == (override.id, "")


async def test_the_current_period_can_be_had_by_a_subscription(platform: Platform):
    price = await fee(platform)
    made = await subscribe(platform, price)
    start = made.current_period_start.ToDatetime(tzinfo=platform.clock.now().tzinfo)
    await platform.pass_time(days=10)
    too_early = negotiate(
        platform, price, "20", subscription_id=made.id, valid_from=start - timedelta(seconds=1)
    )
    refusal = await refused(too_early)
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PRICE_OVERRIDE_TIME_INVALID")
    backwards = negotiate(platform, price, "20", customer_id=made.customer_id, valid_from=start)
    assert (await refused(backwards)).reason == "PRICE_OVERRIDE_TIME_INVALID"
    await negotiate(platform, price, "20", subscription_id=made.id, valid_from=start)
    await platform.pass_time(days=22)
    assert await lines(platform, made.id) == [[2000]]


async def test_once_a_part_is_invoiced_the_period_keeps_its_amounts(platform: Platform):
    price, other = await fee(platform), await fee(platform, "other")
    made = await subscribe(platform, price)
    start = made.current_period_start.ToDatetime(tzinfo=platform.clock.now().tzinfo)
    await platform.pass_time(days=10)
    await change(platform, made.id, price, other, proration_behavior=IMMEDIATELY)
    await platform.drain()
    late = negotiate(platform, price, "20", subscription_id=made.id, valid_from=start)
    assert (await refused(late)).reason == "PRICE_OVERRIDE_TIME_INVALID"
    await negotiate(platform, price, "20", subscription_id=made.id)
    await platform.pass_time(days=53)
    assert await lines(platform, made.id) == [[1000], [2100, 2100], [2000, 3100]]


async def test_once_usage_came_to_a_threshold_the_period_keeps_its_amounts(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    tokens = await metered_price(platform, product.id, meter.id)
    thresholds = [subscription_pb2.SpendThreshold(amount_minor=500)]
    made = await subscribe(platform, tokens, spend_thresholds=thresholds)
    start = made.current_period_start.ToDatetime(tzinfo=platform.clock.now().tzinfo)
    await platform.pass_time(days=10)
    await use(platform, made.id, "4")
    await platform.drain()
    early = await negotiate(platform, tokens, "2", subscription_id=made.id, valid_from=start)
    await use(platform, made.id, "1")
    await platform.drain()
    assert await lines(platform, made.id) == [[1000]]
    late = negotiate(platform, tokens, "3", subscription_id=made.id, valid_from=start)
    refusal = await refused(late)
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PRICE_OVERRIDE_TIME_INVALID")
    assert refusal.facts["earliest"] == platform.clock.now().replace(microsecond=0).isoformat()
    await use(platform, made.id, "1")
    await platform.pass_time(days=22)
    assert await lines(platform, made.id) == [[1000], [200]]
    assert not await platform.rows(
        "SELECT FROM price_overrides WHERE id = $1 AND valid_until IS NOT NULL", early.id
    )


async def test_another_one_takes_its_place_and_a_time_may_be_set(platform: Platform):
    price = await fee(platform)
    made = await subscribe(platform, price)
    first = await negotiate(platform, price, "20", subscription_id=made.id)
    april = platform.clock.now() + timedelta(days=31)
    second = await negotiate(
        platform,
        price,
        "10",
        subscription_id=made.id,
        valid_from=april - timedelta(days=1),
        valid_until=april + timedelta(days=1),
    )
    await platform.pass_time(days=32)
    await platform.pass_time(days=61)
    assert await lines(platform, made.id) == [[2000], [1000], [3100]]
    (event,) = await platform.events("price.override.ended")
    assert (event.price_override_id, event.replaced_by_id) == (first.id, second.id)
    listed = await platform.stub(PriceOverrideServiceStub).ListPriceOverrides(
        price_override_service_pb2.ListPriceOverridesRequest(subscription_id=made.id)
    )
    assert [one.id for one in listed.price_overrides] == [second.id, first.id]


async def test_a_price_that_comes_within_a_period_has_what_is_in_force_then(platform: Platform):
    basic, pro = await fee(platform), await fee(platform, "pro", unit_amount="62")
    made = await subscribe(platform, basic)
    await platform.pass_time(days=5)
    await negotiate(platform, pro, "31", customer_id=made.customer_id)
    await platform.pass_time(days=5)
    await change(platform, made.id, pro)
    await platform.pass_time(days=22)
    assert await lines(platform, made.id) == [[1000, 2100]]


async def test_a_pause_does_not_change_the_amounts_of_the_period(platform: Platform):
    price = await fee(platform)
    made = await subscribe(platform, price)
    await platform.pass_time(days=5)
    await negotiate(platform, price, "310", customer_id=made.customer_id)
    await pause(platform, made.id)
    await platform.pass_time(days=5)
    await resume(platform, made.id)
    await platform.pass_time(days=22)
    assert await lines(platform, made.id) == [[500, 2100]]


async def test_usage_is_priced_at_the_amounts_of_its_own_period_also_when_it_comes_late(platform: Platform):
    product, meter = await new_product(platform, "metered"), await new_meter(platform)
    terms: dict[str, Any] = {
        "model": catalog_pb2.PRICE_MODEL_PER_UNIT,
        "usage": catalog_pb2.PRICE_USAGE_METERED,
        "meter_id": meter.id,
        "included_quantity": "5",
    }
    price = await new_price(platform, product.id, "tokens", **terms, unit_amount="1")
    made = await subscribe(platform, price)
    march = platform.clock.now() + timedelta(days=1)
    await platform.pass_time(days=2)
    await use(platform, made.id, "15", march)
    await negotiate(
        platform, price, "0.5", customer_id=made.customer_id, included_quantity="0", maximum_amount="6"
    )
    await platform.pass_time(days=30)
    await use(platform, made.id, "2", march)
    await use(platform, made.id, "10")
    await platform.drain()
    rated = await platform.events("usage.rated")
    assert [event.amount for event in rated] == ["10", "12", "5"]
    await platform.pass_time(days=31)
    await use(platform, made.id, "100")
    await platform.pass_time(days=31)
    assert await lines(platform, made.id) == [[1000], [500, 200], [600]]


async def test_a_one_time_price_has_the_amount_of_its_moment(platform: Platform):
    price, ada = await fee(platform), (await new_customer(platform)).id
    setup = await fee(platform, "setup", one_time=True, interval_unit=None)
    await negotiate(platform, setup, "7", customer_id=ada)
    made = await subscribe(platform, price, setup, customer_id=ada)
    await platform.pass_time(days=32)
    assert await lines(platform, made.id) == [[3100, 700]]


async def test_amounts_are_those_of_the_currency_that_is_paid(platform: Platform):
    yen = catalog_pb2.CurrencyOption(currency="JPY", unit_amount="3000")
    price = await fee(platform, currency_options=[yen])
    customer = await new_customer(platform, currency="JPY")
    override = await negotiate(platform, price, "2000.4", customer_id=customer.id)
    assert override.currency == "JPY"
    made = await subscribe(platform, price, customer_id=customer.id)
    await platform.pass_time(days=32)
    assert await lines(platform, made.id) == [[2000]]
    dinar = await new_customer(platform, currency="KWD")
    refusal = await refused(negotiate(platform, price, "1", customer_id=dinar.id))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PRICE_CURRENCY_MISSING")


@pytest.mark.parametrize(
    ("request_fields", "reason"),
    [
        ({}, "PRICE_OVERRIDE_INVALID"),
        ({"customer_id": "cus_none", "subscription_id": "sub_none"}, "PRICE_OVERRIDE_INVALID"),
        ({"customer_id": "cus_none"}, "CUSTOMER_NOT_FOUND"),
        ({"subscription_id": "sub_none"}, "SUBSCRIPTION_NOT_FOUND"),
    ],
)
async def test_an_override_is_somebodys(platform: Platform, request_fields: dict[str, Any], reason: str):
    price = await fee(platform)
    assert (await refused(negotiate(platform, price, "1", **request_fields))).reason == reason


async def test_amounts_must_fit_the_price_and_an_invoice(platform: Platform):
    product, ada = await new_product(platform), (await new_customer(platform)).id
    seats = {"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "unit_amount": "1"}
    seat = await new_price(platform, product.id, "seat", **seats)
    assert (await refused(negotiate(platform, seat, "", customer_id=ada))).reason == "PRICE_INVALID"
    made = await platform.stub(SubscriptionServiceStub).CreateSubscription(
        subscription_service_pb2.CreateSubscriptionRequest(
            request_id=new_id("req"),
            customer_id=ada,
            items=[subscription_service_pb2.NewSubscriptionItem(price_id=seat.id, quantity="100")],
        )
    )
    refusal = await refused(negotiate(platform, seat, "1000000000000", customer_id=ada))
    assert (refusal.reason, refusal.facts) == ("VALUE_OUT_OF_RANGE", {"field": "unit_amount", "limit": "10"})
    await negotiate(platform, seat, "100000000000", customer_id=ada)
    too_many = change(platform, made.subscription.id, seat, quantity="101")
    assert "at most 100 " in (await refused(too_many)).message


async def test_no_more_is_accepted_than_an_invoice_can_hold_at_the_new_amounts(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    terms = {"usage": catalog_pb2.PRICE_USAGE_METERED, "meter_id": meter.id, "unit_amount": "1"}
    price = await new_price(platform, product.id, "tokens", model=catalog_pb2.PRICE_MODEL_PER_UNIT, **terms)
    made = await subscribe(platform, price)
    await use(platform, made.id, "1")
    await negotiate(platform, price, "1000000000000", subscription_id=made.id)
    refusal = await refused(use(platform, made.id, "10"))
    assert (refusal.reason, refusal.facts["limit"]) == ("VALUE_OUT_OF_RANGE", "10")
    await use(platform, made.id, "9")


async def test_other_tenant_gets_not_found(platform: Platform):
    price, ada = await fee(platform), (await new_customer(platform)).id
    override = await negotiate(platform, price, "20", customer_id=ada)
    _, other_key = await platform.new_tenant("other")
    stub = platform.stub(PriceOverrideServiceStub, key=other_key)
    ending = price_override_service_pb2.EndPriceOverrideRequest(
        request_id=new_id("req"), price_override_id=override.id
    )
    refusal = await refused(stub.EndPriceOverride(ending))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "PRICE_OVERRIDE_NOT_FOUND")
    reading = price_override_service_pb2.GetPriceOverrideRequest(price_override_id=override.id)
    assert (await refused(stub.GetPriceOverride(reading))).reason == "PRICE_OVERRIDE_NOT_FOUND"
    setting = price_override_service_pb2.SetPriceOverrideRequest(
        request_id=new_id("req"), price_id=price.id, customer_id=ada, unit_amount="1"
    )
    assert (await refused(stub.SetPriceOverride(setting))).reason == "PRICE_NOT_FOUND"
