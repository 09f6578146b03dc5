"""One-time prices: charged once, in full, with the next invoice, whatever becomes of the subscription.

March begins at noon and has 31 days: fees of 31 and 62 a month are 1 and 2 a day.
"""

import pytest
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.invoice.v1 import invoice_pb2
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import (
    change,
    new_customer,
    new_price,
    new_product,
    pause,
    resume,
    subscribe,
    subscription,
)
from tests.support.invoice import invoices_of
from tests.support.platform import Platform

RECURRING = invoice_pb2.INVOICE_LINE_TYPE_RECURRING
ONE_TIME = invoice_pb2.INVOICE_LINE_TYPE_ONE_TIME


async def prices(platform: Platform) -> tuple[catalog_pb2.Price, catalog_pb2.Price, catalog_pb2.Price]:
    """Fees of 31 and 62 a month, and 100 for the setup."""
    product = await new_product(platform)
    basic = await new_price(platform, product.id, "basic", unit_amount="31")
    pro = await new_price(platform, product.id, "pro", unit_amount="62")
    setup = await new_price(
        platform, product.id, "setup", unit_amount="100", one_time=True, interval_unit=None
    )
    return basic, pro, setup


async def invoices(platform: Platform) -> list[list[tuple[int, int]]]:
    """Of each invoice, oldest first: what its lines are, and for how many cents."""
    return [
        [(line.type, line.amount_minor) for line in invoice.lines] for invoice in await invoices_of(platform)
    ]


async def once(platform: Platform) -> list[list[int]]:
    return [[amount for kind, amount in lines if kind == ONE_TIME] for lines in await invoices(platform)]


async def test_a_setup_fee_is_on_the_first_invoice_and_on_no_other(platform: Platform):
    basic, _, setup = await prices(platform)
    created = await subscribe(platform, basic, setup)
    assert [(item.price_id, item.one_time) for item in created.items] == [
        (basic.id, False),
        (setup.id, True),
    ]
    await platform.pass_time(days=32)
    await platform.pass_time(days=31)
    assert await invoices(platform) == [[(RECURRING, 3100), (ONE_TIME, 10000)], [(RECURRING, 3100)]]


async def test_a_plan_may_have_a_setup_fee(platform: Platform):
    basic, _, setup = await prices(platform)
    plan = await platform.stub(CatalogServiceStub).CreatePlan(
        catalog_service_pb2.CreatePlanRequest(
            request_id=new_id("req"),
            code="basic",
            name="Basic",
            items=[catalog_pb2.PlanItem(price_id=setup.id), catalog_pb2.PlanItem(price_id=basic.id)],
        )
    )
    created = await subscribe(platform, plan_id=plan.plan.id)
    assert created.interval_unit == basic.interval_unit
    await platform.pass_time(days=63)
    assert await once(platform) == [[10000], []]


async def test_added_by_a_change_it_is_on_the_next_invoice_in_full(platform: Platform):
    basic, pro, setup = await prices(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro, setup)
    await platform.pass_time(days=5)
    await change(platform, created.id, basic, setup)
    await platform.pass_time(days=48)
    assert await once(platform) == [[10000], []]


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [
        (subscription_pb2.PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY, [[10000], [], []]),
        (subscription_pb2.PRORATION_BEHAVIOR_NONE, [[10000], []]),
    ],
)
async def test_the_next_invoice_is_the_immediate_one_or_else_the_periods(platform, behavior, expected):
    basic, pro, setup = await prices(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, pro, setup, proration_behavior=behavior)
    await platform.pass_time(hours=2)
    await platform.pass_time(days=53)
    assert await once(platform) == expected


async def test_left_out_by_a_later_change_it_is_charged_all_the_same(platform: Platform):
    basic, pro, setup = await prices(platform)
    created = await subscribe(platform, basic, setup)
    await platform.pass_time(days=10)
    changed = await change(platform, created.id, pro)
    assert [item.price_id for item in changed.subscription.items] == [pro.id]
    await platform.pass_time(days=53)
    assert await once(platform) == [[10000], []]


async def test_taken_back_in_the_same_instant_it_costs_nothing(platform: Platform):
    basic, _, setup = await prices(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, basic, setup)
    await change(platform, created.id, basic)
    await platform.pass_time(days=22)
    assert await once(platform) == [[]]


async def test_asked_for_once_more_it_is_charged_once_more(platform: Platform):
    basic, _, setup = await prices(platform)
    created = await subscribe(platform, basic, setup)
    await platform.pass_time(days=10)
    await change(platform, created.id, basic, setup, setup)
    await platform.pass_time(days=53)
    assert await once(platform) == [[10000, 10000], []]


async def test_a_pause_charges_it_neither_twice_nor_never(platform: Platform):
    basic, _, setup = await prices(platform)
    created = await subscribe(platform, setup, basic)
    await pause(platform, created.id)
    await platform.pass_time(days=1)
    await resume(platform, created.id)
    assert [item.price_id for item in (await subscription(platform, created.id)).items] == [
        setup.id,
        basic.id,
    ]
    await platform.pass_time(days=5)
    await pause(platform, created.id)
    await platform.pass_time(days=30)
    await resume(platform, created.id)
    await platform.pass_time(days=27)
    assert await once(platform) == [[10000], []]


async def test_a_trial_puts_it_off_and_a_trial_that_ends_in_nothing_never_charges_it(platform: Platform):
    basic, _, setup = await prices(platform)
    await subscribe(platform, basic, setup, trial_days=14)
    ended = await subscribe(platform, basic, setup, trial_days=14)
    await cancel(platform, ended.id)
    await platform.pass_time(days=15)
    assert await invoices(platform) == []
    await platform.pass_time(days=31)
    assert await once(platform) == [[10000]]


async def test_canceled_at_once_it_is_due_with_the_last_invoice(platform: Platform):
    basic, _, setup = await prices(platform)
    created = await subscribe(platform, basic)
    await platform.pass_time(days=10)
    await change(platform, created.id, basic, setup)
    await cancel(platform, created.id)
    await platform.pass_time(days=1)
    assert await invoices(platform) == [[(RECURRING, 1000), (ONE_TIME, 10000)]]


async def test_a_subscription_of_one_time_prices_alone_is_refused(platform: Platform):
    _, _, setup = await prices(platform)
    refusal = await refused(subscribe(platform, setup, customer_id=(await new_customer(platform)).id))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "SUBSCRIPTION_ITEMS_INVALID")
    assert "CreateInvoice" in refusal.message


async def cancel(platform: Platform, subscription_id: str) -> None:
    await platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(
            request_id=new_id("req"), subscription_id=subscription_id
        )
    )
