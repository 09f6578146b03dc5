"""Each kind of change of a subscription, up to the invoices that it leads to.

March begins at noon and has 31 days: fees of 31 and 62 a month are 1 and 2 a day.
"""

from datetime import timedelta

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import invoice_pb2
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import (
    change,
    metered_price,
    new_meter,
    new_price,
    new_product,
    pause,
    resume,
    subscribe,
)
from tests.support.invoice import invoices_of, lines_of
from tests.support.platform import Platform
from tests.support.reporting import use

RECURRING = invoice_pb2.INVOICE_LINE_TYPE_RECURRING
USAGE = invoice_pb2.INVOICE_LINE_TYPE_USAGE
ADJUSTMENT = invoice_pb2.INVOICE_LINE_TYPE_ADJUSTMENT
IMMEDIATELY = subscription_pb2.PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY
NONE = subscription_pb2.PRORATION_BEHAVIOR_NONE


async def plans(platform: Platform) -> tuple[catalog_pb2.Price, catalog_pb2.Price]:
    """Fees of 31 and 62 a month."""
    product = await new_product(platform)
    basic = await new_price(platform, product.id, "basic", unit_amount="31")
    return basic, await new_price(platform, product.id, "pro", unit_amount="62")


async def tokens(platform: Platform) -> tuple[catalog_pb2.Price, catalog_pb2.Price]:
    """Tokens for 1 and for 2 each, of one meter, and 3 for having it at all."""
    product, meter = await new_product(platform, "metered"), await new_meter(platform)
    one, two = [
        await metered_price(
            platform,
            product.id,
            meter.id,
            f"tokens-{amount}",
            model=catalog_pb2.PRICE_MODEL_GRADUATED,
            unit_amount="",
            tiers=[catalog_pb2.PriceTier(unit_amount=amount, flat_amount="3")],
        )
        for amount in ("1", "2")
    ]
    return one, two


async def fees(platform: Platform) -> list[list[int]]:
    return [[amount for kind, _, amount in lines if kind == RECURRING] for lines in await lines_of(platform)]


async def test_an_upgrade_bills_each_plan_for_its_days(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro)
    await platform.pass_time(days=22)
    assert await fees(platform) == [[1000, 4200]]
    await platform.pass_time(days=31)
    assert await fees(platform) == [[1000, 4200], [6200]]


async def test_several_changes_bill_every_segment(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro)
    await platform.pass_time(days=11)
    await change(platform, created.id, basic)
    await platform.pass_time(days=11)
    assert await fees(platform) == [[1000, 2200, 1000]]


async def test_a_change_taken_back_at_once_costs_nothing(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro)
    await change(platform, created.id, basic)
    await platform.pass_time(days=22)
    assert await fees(platform) == [[1000, 2100]]


async def test_more_seats_are_billed_from_the_change_on(platform: Platform):
    product = await new_product(platform)
    seat = await new_price(
        platform, product.id, "seat", model=catalog_pb2.PRICE_MODEL_PER_UNIT, unit_amount="31"
    )
    created = await subscribe(platform, seat)
    await platform.pass_time(days=10)
    await change(platform, created.id, seat, quantity="3")
    await platform.pass_time(days=22)
    assert await lines_of(platform) == [[(RECURRING, "1", 1000), (RECURRING, "3", 6300)]]


async def test_invoiced_immediately_the_part_so_far_is_not_waited_for(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro, proration_behavior=IMMEDIATELY)
    await platform.drain()
    assert await fees(platform) == [[1000]]
    await platform.pass_time(days=22)
    assert await fees(platform) == [[1000], [4200]]
    await platform.pass_time(days=31)
    assert await fees(platform) == [[1000], [4200], [6200]]


async def test_the_parts_of_a_fee_add_up_to_the_fee_also_in_whole_cents(platform: Platform):
    basic, pro = await plans(platform)
    product = await new_product(platform, "support")
    support = await new_price(platform, product.id, "support", unit_amount="10.01")
    created = await subscribe(platform, basic, support)
    await platform.pass_time(days=15, hours=12)
    await change(platform, created.id, pro, support, proration_behavior=IMMEDIATELY)
    await platform.pass_time(days=17)
    assert await fees(platform) == [[1550, 501], [3100, 500]]


async def test_without_proration_the_periods_fee_stays(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro, proration_behavior=NONE)
    await platform.pass_time(days=5)
    await change(platform, created.id, basic)
    await change(platform, created.id, pro)
    await platform.pass_time(days=17)
    assert await fees(platform) == [[3100]]
    await platform.pass_time(days=31)
    assert await fees(platform) == [[3100], [6200]]


async def test_fees_that_were_left_as_they_are_do_not_hold_up_those_of_other_items(platform: Platform):
    basic, pro = await plans(platform)
    product = await new_product(platform, "seats")
    seat = await new_price(
        platform, product.id, "seat", model=catalog_pb2.PRICE_MODEL_PER_UNIT, unit_amount="31"
    )
    created = await subscribe(platform, basic, seat)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro, seat, proration_behavior=NONE)
    await platform.pass_time(days=10)
    await change(platform, created.id, basic, seat, quantity="5")
    await platform.pass_time(days=12)
    # Of basic there are five then, too, but from April on.
    assert await fees(platform) == [[3100, 2000, 5500]]


async def test_a_downgrade_at_period_end_leaves_the_period_alone(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, pro)
    await platform.pass_time(days=10)
    await change(platform, created.id, basic, at_period_end=True)
    await platform.pass_time(days=22)
    await platform.pass_time(days=31)
    assert await fees(platform) == [[6200], [3100]]


async def test_a_scheduled_change_bills_each_plan_for_its_days(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic)
    at = platform.clock.now() + timedelta(days=10)
    await change(platform, created.id, pro, effective_at=timestamp(at))
    await platform.pass_time(days=32)
    assert await fees(platform) == [[1000, 4200]]


async def test_a_change_back_in_time_bills_each_plan_for_its_days(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic)
    at = platform.clock.now() + timedelta(days=10)
    await platform.pass_time(days=15)
    await change(platform, created.id, pro, effective_at=timestamp(at))
    await platform.pass_time(days=17)
    assert await fees(platform) == [[1000, 4200]]


async def test_a_change_in_a_trial_costs_nothing_then(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic, trial_days=14)
    await platform.pass_time(days=5)
    await change(platform, created.id, pro, proration_behavior=IMMEDIATELY)
    await platform.pass_time(days=42)
    assert await fees(platform) == [[6200]]


async def test_a_pause_is_not_billed_and_a_period_of_it_has_no_invoice(platform: Platform):
    basic, _ = await plans(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await pause(platform, created.id)
    await platform.pass_time(days=10)
    await resume(platform, created.id)
    await platform.pass_time(days=1)
    await pause(platform, created.id)
    await platform.pass_time(days=45)
    assert await fees(platform) == [[1000, 100]]
    await platform.pass_time(days=1)
    await resume(platform, created.id)
    await platform.pass_time(days=40)
    assert len(await fees(platform)) == 2


async def test_canceling_after_a_change_bills_what_was_served(platform: Platform):
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro)
    await platform.pass_time(days=5)
    await platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(
            request_id=new_id("req"), subscription_id=created.id
        )
    )
    await platform.pass_time(days=1)
    assert await fees(platform) == [[1000, 1000]]


async def test_usage_is_priced_as_of_its_time_also_when_it_comes_late(platform: Platform):
    one, two = await tokens(platform)
    created = await subscribe(platform, one)
    await use(platform, created.id, 5)
    await platform.pass_time(days=10)
    before = platform.clock.now() - timedelta(seconds=1)
    await change(platform, created.id, two)
    await use(platform, created.id, 7)
    await use(platform, created.id, 1, before)
    await platform.pass_time(days=22)
    assert await lines_of(platform) == [[(USAGE, "6", 900), (USAGE, "7", 1700)]]
    await use(platform, created.id, 2, before)
    await platform.pass_time(days=31)
    assert (await lines_of(platform))[1] == [(USAGE, "0", 300), (ADJUSTMENT, "2", 200)]


async def test_usage_that_a_change_does_not_concern_is_priced_together(platform: Platform):
    basic, pro = await plans(platform)
    one, _ = await tokens(platform)
    created = await subscribe(platform, basic, one)
    await use(platform, created.id, 5)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro, one, proration_behavior=IMMEDIATELY)
    await platform.drain()
    await use(platform, created.id, 7)
    await platform.pass_time(days=22)
    assert await lines_of(platform) == [
        [(RECURRING, "1", 1000)],
        [(RECURRING, "1", 4200), (USAGE, "12", 1500)],
    ]
    totals = await platform.rows("SELECT quantity_sum, billed_quantity FROM usage_totals")
    assert [tuple(total) for total in totals] == [(12, 12)]


async def test_what_was_put_off_by_an_immediate_invoice_cannot_end_with_it(platform: Platform):
    basic, pro = await plans(platform)
    one, _ = await tokens(platform)
    created = await subscribe(platform, basic, one)
    await use(platform, created.id, 5)
    await platform.pass_time(days=10)
    at = platform.clock.now()
    await change(platform, created.id, pro, one, proration_behavior=IMMEDIATELY)
    await platform.pass_time(days=1)
    refusal = await refused(change(platform, created.id, pro, effective_at=timestamp(at)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "SUBSCRIPTION_CHANGE_TIME_INVALID")
    later = timestamp(at + timedelta(microseconds=1))
    await change(platform, created.id, pro, effective_at=later)
    await platform.pass_time(days=21)
    assert await lines_of(platform) == [[(RECURRING, "1", 1000)], [(RECURRING, "1", 4200), (USAGE, "5", 800)]]


async def cancel_at_period_end(platform: Platform, subscription_id: str) -> None:
    await platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(
            request_id=new_id("req"), subscription_id=subscription_id, at_period_end=True
        )
    )


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (10, [[(USAGE, "0", 300), (USAGE, "5", 1300)], [(USAGE, "0", 300)]]),
        (31, [[(USAGE, "0", 300)], [(USAGE, "5", 1300)]]),
    ],
)
async def test_usage_after_a_scheduled_change_is_priced_anew_however_late_the_scheduler_comes(
    platform: Platform, days: int, expected: list[list[tuple[int, str, int]]]
):
    one, two = await tokens(platform)
    created = await subscribe(platform, one)
    at = timestamp(platform.clock.now() + timedelta(days=days))
    await change(platform, created.id, two, effective_at=at)
    platform.clock.advance(days=days, seconds=1)
    await use(platform, created.id, 5)
    await platform.pass_time(hours=2)
    await platform.pass_time(days=62 - days)
    assert await lines_of(platform) == expected


async def test_usage_ahead_of_a_change_at_period_end_is_billed_with_the_period_that_it_lies_in(
    platform: Platform,
):
    one, two = await tokens(platform)
    created = await subscribe(platform, one)
    end = platform.clock.now() + timedelta(days=31)
    await change(platform, created.id, two, at_period_end=True)
    platform.clock.advance(days=31, minutes=-1)
    await use(platform, created.id, 5, end + timedelta(minutes=1))
    await platform.pass_time(hours=2)
    await cancel_at_period_end(platform, created.id)
    await platform.pass_time(days=31)
    assert await lines_of(platform) == [[(USAGE, "0", 300)], [(USAGE, "5", 800), (USAGE, "0", 300)]]


async def test_usage_of_the_first_instant_is_billed_though_its_item_ended_with_it(platform: Platform):
    one, two = await tokens(platform)
    created = await subscribe(platform, one)
    await use(platform, created.id, 5)
    await change(platform, created.id, two)
    await platform.pass_time(days=32)
    assert await lines_of(platform) == [[(USAGE, "5", 800), (USAGE, "0", 300)]]


@pytest.mark.parametrize(("grain", "amounts"), [("day", [[1000, 4200]]), ("none", [[6200]])])
async def test_the_tenant_decides_what_parts_are_counted_in(
    platform: Platform, grain: str, amounts: list[list[int]]
):
    await platform.rows("UPDATE tenants SET proration_grain = $2 WHERE id = $1", platform.tenant_id, grain)
    basic, pro = await plans(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10, hours=5)
    await change(platform, created.id, pro)
    await platform.pass_time(days=22)
    assert await fees(platform) == amounts


@pytest.mark.parametrize(("grain", "amount"), [("day", 1600), ("none", 3100)])
async def test_the_last_day_counts(platform: Platform, grain: str, amount: int):
    await platform.rows("UPDATE tenants SET proration_grain = $2 WHERE id = $1", platform.tenant_id, grain)
    basic, _ = await plans(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=15, hours=5)
    await platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(
            request_id=new_id("req"), subscription_id=created.id
        )
    )
    await platform.pass_time(days=1)
    assert await fees(platform) == [[amount]]


async def included(platform: Platform) -> catalog_pb2.Price:
    """Tokens for 1 each, 10 of them free, and 5 a month at least."""
    product, meter = await new_product(platform, "included"), await new_meter(platform)
    return await metered_price(
        platform, product.id, meter.id, "included", included_quantity="10", minimum_amount="5"
    )


async def test_a_pause_does_not_give_included_units_a_second_time(platform: Platform):
    price = await included(platform)
    created = await subscribe(platform, price)
    await use(platform, created.id, 8)
    for _ in range(3):
        await platform.pass_time(days=2)
        await pause(platform, created.id)
        await resume(platform, created.id)
        await use(platform, created.id, 8)
    await platform.drain()
    rated = await platform.events("usage.rated")
    assert [event.amount for event in rated] == ["0", "6", "8", "8"]
    await platform.pass_time(days=26)
    (lines,) = await lines_of(platform)
    assert [quantity for _, quantity, _ in lines] == ["8", "8", "8", "8"]
    assert sum(amount for *_, amount in lines) == 2200
    (invoice,) = await invoices_of(platform, created.id)
    assert differences(as_fields(await bundle_of(platform, invoice.id))) == []


async def test_a_change_and_back_goes_on_where_the_price_stopped_also_when_invoiced_in_parts(
    platform: Platform,
):
    price, basic = await included(platform), (await plans(platform))[0]
    other = (await tokens_of(platform, price))[0]
    created = await subscribe(platform, price)
    start = platform.clock.now()
    await use(platform, created.id, 15)
    await platform.pass_time(days=10)
    await change(platform, created.id, other, basic, proration_behavior=IMMEDIATELY)
    await platform.pass_time(days=1)
    await change(platform, created.id, price)
    await use(platform, created.id, 15)
    await platform.pass_time(days=21)
    await use(platform, created.id, 4, start + timedelta(hours=1))
    await platform.pass_time(days=32)
    lines = [line for invoice in await lines_of(platform) for line in invoice]
    own = [(kind, quantity, amount) for kind, quantity, amount in lines if quantity in ("15", "4")]
    # 30 tokens, of which 10 are free; 4 more that came late.
    assert own == [(USAGE, "15", 500), (USAGE, "15", 1500), (ADJUSTMENT, "4", 400)]
    for invoice in await invoices_of(platform, created.id):
        assert differences(as_fields(await bundle_of(platform, invoice.id))) == []


async def tokens_of(platform: Platform, like: catalog_pb2.Price) -> list[catalog_pb2.Price]:
    """Another price of the same meter."""
    return [await metered_price(platform, like.product_id, like.meter_id, "tokens-free", unit_amount="0")]
