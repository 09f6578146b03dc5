"""Whatever usage is accepted is billed, however a subscription ends and however late the scheduler comes."""

import asyncio
import random
from collections import Counter
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import invoice_pb2
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.usage.v1 import usage_pb2

from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import (
    metered_price,
    new_meter,
    new_price,
    new_product,
    pause,
    subscribe,
    subscription,
)
from tests.support.invoice import invoices_of, lines_of
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.reporting import use

ACCEPTED = usage_pb2.USAGE_OUTCOME_ACCEPTED
DUPLICATE = usage_pb2.USAGE_OUTCOME_DUPLICATE
USAGE = invoice_pb2.INVOICE_LINE_TYPE_USAGE
ADJUSTMENT = invoice_pb2.INVOICE_LINE_TYPE_ADJUSTMENT
RECURRING = invoice_pb2.INVOICE_LINE_TYPE_RECURRING
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
PERIOD_END = datetime(2026, 4, 1, 12, tzinfo=UTC)


async def contract(
    platform: Platform, aggregation: Any = catalog_pb2.AGGREGATION_SUM, *, unit_amount: str = "1"
) -> tuple[catalog_pb2.Price, catalog_pb2.Price]:
    """A fee of 31 a month, and tokens for 1 each, or what is said."""
    product, meter = await new_product(platform), await new_meter(platform, aggregation=aggregation)
    tokens = await metered_price(platform, product.id, meter.id, unit_amount=unit_amount)
    return await new_price(platform, product.id, "fee", unit_amount="31"), tokens


async def cancel(
    platform: Platform, subscription_id: str, *, at_period_end: bool = False
) -> subscription_pb2.Subscription:
    request = subscription_service_pb2.CancelSubscriptionRequest(
        request_id=new_id("req"), subscription_id=subscription_id, at_period_end=at_period_end
    )
    return (await platform.stub(SubscriptionServiceStub).CancelSubscription(request)).subscription


async def test_usage_after_the_last_invoice_is_billed_with_one_more_and_without_fee(platform: Platform):
    created = await subscribe(platform, *await contract(platform))
    await platform.pass_time(days=1)
    await use(platform, created.id, 5)
    await cancel(platform, created.id)
    await platform.pass_time(hours=2)
    assert await use(platform, created.id, 100, START, key="late") == ACCEPTED
    assert await use(platform, created.id, 7, START + timedelta(hours=1)) == ACCEPTED
    assert await use(platform, created.id, 100, START, key="late") == DUPLICATE
    await platform.pass_time(hours=2)
    final, closing = await lines_of(platform)
    assert final == [(RECURRING, "1", 100), (USAGE, "5", 500)]
    assert closing == [(ADJUSTMENT, "107", 10700)]


async def test_more_of_it_gets_another_invoice_and_a_repetition_none(platform: Platform):
    created = await subscribe(platform, *await contract(platform))
    await platform.pass_time(days=1)
    await cancel(platform, created.id)
    for quantity in (3, 4):
        await platform.pass_time(hours=2)
        assert await use(platform, created.id, quantity, START, key=str(quantity)) == ACCEPTED
    await platform.pass_time(hours=2)
    assert await use(platform, created.id, 4, START, key="4") == DUPLICATE
    await platform.pass_time(days=40)
    assert (await lines_of(platform))[1:] == [[(ADJUSTMENT, "3", 300)], [(ADJUSTMENT, "4", 400)]]
    assert (await platform.rows("SELECT count(*) FROM billing_cycles"))[0][0] == 3


async def test_lines_of_late_usage_add_up_to_what_the_whole_is_rounded_to(platform: Platform):
    created = await subscribe(platform, *await contract(platform, unit_amount="0.005"))
    await use(platform, created.id, 1)
    await platform.pass_time(days=1)
    await cancel(platform, created.id)
    for _ in range(4):
        await platform.pass_time(hours=2)
        await use(platform, created.id, 1, START)
    await platform.pass_time(hours=2)
    (_, in_time), *late = await lines_of(platform)
    assert [in_time, *(line for (line,) in late)] == [
        (USAGE, "1", 1),
        (ADJUSTMENT, "1", 0),
        (ADJUSTMENT, "1", 1),
        (ADJUSTMENT, "1", 0),
        (ADJUSTMENT, "1", 1),
    ]
    rows = await platform.rows(
        "SELECT amount, amount_before FROM charges WHERE kind = 'adjustment' ORDER BY created_at"
    )
    assert [(str(row["amount"]), str(row["amount_before"])) for row in rows] == [
        ("0.005", before) for before in ("0.005", "0.01", "0.015", "0.02")
    ]
    for made in await invoices_of(platform, created.id):
        assert differences(as_fields(await bundle_of(platform, made.id))) == []


async def test_late_usage_is_charged_on_top_of_the_minimum_that_an_unused_period_came_to(platform: Platform):
    least = {"usage": catalog_pb2.PRICE_USAGE_METERED, "minimum_amount": "1.004"}
    product, meter = await new_product(platform), await new_meter(platform)
    share = catalog_pb2.PricePercentage(percent="2")
    prices = [
        await new_price(platform, product.id, code, meter_id=meter.id, **least, **terms)
        for code, terms in {
            "tokens": {"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "unit_amount": "1.008"},
            "share": {"model": catalog_pb2.PRICE_MODEL_PERCENTAGE, "unit_amount": "", "percentage": share},
        }.items()
    ]
    subscriptions = [await subscribe(platform, price) for price in prices]
    await platform.pass_time(days=31, hours=2)
    for created, quantity in zip(subscriptions, (1, 100), strict=True):
        await use(platform, created.id, quantity, PERIOD_END - timedelta(days=1))
        await cancel(platform, created.id)
    await platform.pass_time(hours=2)
    late = [line for made in await lines_of(platform) for line in made if line[0] == ADJUSTMENT]
    assert sorted(late) == [(ADJUSTMENT, "1", 1), (ADJUSTMENT, "100", 100)]
    for created in subscriptions:
        for made in await invoices_of(platform, created.id):
            assert differences(as_fields(await bundle_of(platform, made.id))) == []


async def test_late_usage_that_costs_nothing_more_makes_no_invoice(platform: Platform):
    created = await subscribe(platform, *await contract(platform, catalog_pb2.AGGREGATION_MAX))
    await use(platform, created.id, 9)
    await platform.pass_time(days=1)
    await cancel(platform, created.id)
    await platform.pass_time(hours=2)
    assert await use(platform, created.id, 8, START) == ACCEPTED
    await platform.pass_time(days=40)
    assert len(await lines_of(platform)) == len(await platform.events("billing.invoice.pending")) == 1


async def test_without_grace_batches_of_one_instant_are_all_billed(database: TestDatabase):
    async with running_platform(database, billing_grace_seconds=0) as platform:
        created = await subscribe(platform, *await contract(platform))
        await platform.pass_time(days=1)
        await cancel(platform, created.id)
        for quantity in (3, 4):
            await platform.drain()
            assert await use(platform, created.id, quantity, START) == ACCEPTED
        await platform.drain()
        assert [made[-1] for made in (await lines_of(platform))[1:]] == [
            (ADJUSTMENT, "3", 300),
            (ADJUSTMENT, "4", 400),
        ]


async def test_canceling_after_a_renewal_that_is_overdue_bills_the_new_period_too(platform: Platform):
    created = await subscribe(platform, *await contract(platform))
    platform.clock.advance(days=31 + 15)  # The scheduler has not come.
    await use(platform, created.id, 6)
    canceled = await cancel(platform, created.id)
    assert instant(canceled.current_period_start) == PERIOD_END
    await platform.pass_time(hours=2)
    march, april = await lines_of(platform)
    assert march == [(RECURRING, "1", 3100), (USAGE, "0", 0)]
    assert april == [(RECURRING, "1", 1550), (USAGE, "6", 600)]  # 15 of 30 days


async def test_canceling_at_period_end_when_a_renewal_is_overdue_keeps_the_new_period(platform: Platform):
    created = await subscribe(platform, *await contract(platform))
    platform.clock.advance(days=32)
    pending = await cancel(platform, created.id, at_period_end=True)
    assert pending.state == subscription_pb2.SUBSCRIPTION_STATE_ACTIVE
    assert instant(pending.ended_at) == datetime(2026, 5, 1, 12, tzinfo=UTC)
    await platform.pass_time(days=40)
    assert [made[0] for made in await lines_of(platform)] == [(RECURRING, "1", 3100)] * 2


async def test_canceling_again_never_ends_service_later(platform: Platform):
    created = await subscribe(platform, *await contract(platform))
    await cancel(platform, created.id, at_period_end=True)
    platform.clock.advance(days=40)  # It has ended, and the scheduler has not come.
    for at_period_end in (False, True):
        refusal = await refused(cancel(platform, created.id, at_period_end=at_period_end))
        assert refusal.reason == "SUBSCRIPTION_TRANSITION_INVALID"
    assert instant((await subscription(platform, created.id)).ended_at) == PERIOD_END
    await platform.drain()
    assert len(await lines_of(platform)) == 1


async def test_what_started_before_the_scheduler_came_is_billed_up_to_its_cancellation(platform: Platform):
    start = START + timedelta(days=1)
    created = await subscribe(platform, *await contract(platform), start_at=timestamp(start))
    platform.clock.advance(days=2)
    await use(platform, created.id, 6)
    await cancel(platform, created.id)
    await platform.pass_time(hours=2)
    assert await lines_of(platform) == [[(RECURRING, "1", 100), (USAGE, "6", 600)]]


@pytest.mark.parametrize("at_period_end", [False, True])
async def test_usage_ahead_for_a_period_that_never_comes_is_billed_with_the_last(
    platform: Platform, at_period_end: bool
):
    created = await subscribe(platform, *await contract(platform))
    platform.clock.advance(days=31, minutes=-2)
    assert await use(platform, created.id, 100, PERIOD_END + timedelta(minutes=1)) == ACCEPTED
    await cancel(platform, created.id, at_period_end=at_period_end)
    await platform.pass_time(hours=2)
    ((_, usage, ahead),) = await lines_of(platform)
    assert (usage, ahead) == ((USAGE, "0", 0), (ADJUSTMENT, "100", 10000))


async def test_a_cap_holds_for_usage_ahead_of_a_period_that_never_comes(platform: Platform):
    product, meter = await new_product(platform), await new_meter(platform)
    capped = await metered_price(platform, product.id, meter.id, maximum_amount="100")
    created = await subscribe(platform, capped)
    platform.clock.advance(days=31, minutes=-2)
    ahead = PERIOD_END + timedelta(minutes=1)
    assert (await refused(use(platform, created.id, 10**14, ahead))).reason == "VALUE_OUT_OF_RANGE"
    assert await use(platform, created.id, 500, ahead) == ACCEPTED
    await cancel(platform, created.id)
    await platform.pass_time(hours=2)
    assert await lines_of(platform) == [[(USAGE, "0", 0), (ADJUSTMENT, "500", 10000)]]


async def test_usage_outside_the_agreed_life_is_refused(platform: Platform):
    fee, tokens = await contract(platform)
    start = START + timedelta(minutes=2)
    future = await subscribe(platform, fee, tokens, start_at=timestamp(start))
    refusal = await refused(use(platform, future.id, 1, start + timedelta(minutes=1)))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "USAGE_OUTSIDE_SUBSCRIPTION")
    ending = await subscribe(platform, fee, tokens)
    platform.clock.advance(days=31, minutes=-2)
    assert await use(platform, ending.id, 1) == ACCEPTED
    await cancel(platform, ending.id, at_period_end=True)
    assert await use(platform, ending.id, 1, PERIOD_END - timedelta(microseconds=1)) == ACCEPTED
    assert (await refused(use(platform, ending.id, 1, PERIOD_END))).reason == "USAGE_OUTSIDE_SUBSCRIPTION"
    # It is the clock that begins a subscription, not the scheduler, who may be late.
    assert await use(platform, future.id, 1) == ACCEPTED


async def test_usage_while_it_is_paused_is_refused_and_says_so(platform: Platform):
    created = await subscribe(platform, *await contract(platform))
    platform.clock.advance(days=1)
    await pause(platform, created.id)
    platform.clock.advance(hours=1)
    refusal = await refused(use(platform, created.id, 1))
    assert refusal.reason == "USAGE_OUTSIDE_SUBSCRIPTION"
    assert "while it is paused" in refusal.message


async def test_all_usage_is_free_when_the_trial_is_canceled(platform: Platform):
    created = await subscribe(platform, *await contract(platform), trial_days=1)
    platform.clock.advance(hours=23, minutes=58)
    assert await use(platform, created.id, 1) == ACCEPTED
    assert await use(platform, created.id, 2, START + timedelta(days=1)) == ACCEPTED
    await cancel(platform, created.id)
    await platform.pass_time(days=2)
    assert await use(platform, created.id, 4, START) == ACCEPTED
    await platform.pass_time(days=40)
    assert await lines_of(platform) == []
    totals = await platform.rows("SELECT excluded, quantity_sum FROM usage_totals ORDER BY period_start")
    assert [(total["excluded"], int(total["quantity_sum"])) for total in totals] == [(True, 5), (True, 2)]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_every_accepted_quantity_is_billed_once_whatever_happens_in_whatever_order(
    platform: Platform, seed: int
):
    chance = random.Random(seed)
    prices = await contract(platform)
    subscriptions = [
        (await subscribe(platform, *prices, start_at=timestamp(START + timedelta(hours=hours)))).id
        for hours in (-600, -24, 0, 0, 24)
    ]
    trial = (await subscribe(platform, *prices, trial_days=2)).id
    accepted: Counter[str] = Counter()

    async def report() -> None:
        name, quantity = chance.choice([*subscriptions, trial]), chance.randrange(1, 1000)
        back = chance.choice([timedelta(minutes=-5), timedelta(0), timedelta(hours=1), timedelta(days=34)])
        at = platform.clock.now() - back * chance.random()
        if await happens(use(platform, name, quantity, at)):
            accepted[name] += quantity

    async def happens(call: Any) -> bool:
        try:
            await call
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.FAILED_PRECONDITION:
                raise
            return False
        return True

    for _ in range(60):
        steps: list[Coroutine[Any, Any, object]] = [report() for _ in range(chance.randrange(4))]
        if chance.random() < 0.15:
            name = chance.choice([*subscriptions, trial])
            steps.append(happens(cancel(platform, name, at_period_end=chance.random() < 0.5)))
        if chance.random() < 0.4:
            steps.append(platform.drain())
        await asyncio.gather(*steps)
        until_boundary = (PERIOD_END - platform.clock.now()).total_seconds()
        spans = [60.0, 3600.0, chance.random() * 5 * 86400, max(0.0, until_boundary)]
        platform.clock.advance(seconds=chance.choice(spans))
    for name in [*subscriptions, trial]:
        await happens(cancel(platform, name))
    await platform.pass_time(days=32)
    await platform.pass_time(hours=1)

    excluded = await platform.rows("SELECT subscription_id, quantity_sum FROM usage_totals WHERE excluded")
    assert {row["subscription_id"] for row in excluded} <= {trial}, f"seed {seed}"
    billed = await platform.rows(
        "SELECT i.subscription_id, l.quantity FROM invoice_lines l JOIN invoices i ON i.id = l.invoice_id "
        "WHERE l.type <> 'recurring'"
    )
    found: Counter[str] = Counter()
    for name, quantity in [*excluded, *billed]:
        found[name] += int(quantity)
    assert found == accepted, f"seed {seed}"
