"""Usage that comes to a threshold is invoiced at once, and the period's last invoice bills the rest."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.subscription.v1 import subscription_pb2
from billing.subscription.v1 import subscription_service_pb2 as subscriptions
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.domains.rating.progressive_service import ProgressiveService
from corebilling.domains.rating.service import RatingService
from corebilling.mapping import timestamp
from corebilling.values.caller import Caller
from corebilling.values.ids import new_id
from tests.support import correction, reporting
from tests.support.app import refused
from tests.support.catalog import (
    change,
    new_customer,
    new_meter,
    new_price,
    new_product,
    subscribe,
    subscription,
)
from tests.support.invoice import invoices_of
from tests.support.platform import Platform, platform
from tests.support.replay import replay

__all__ = ["platform"]

Threshold = subscription_pb2.SpendThreshold
TIERS = {
    "model": catalog_pb2.PRICE_MODEL_GRADUATED,
    "unit_amount": "",
    "tiers": [
        catalog_pb2.PriceTier(up_to="1000", unit_amount="0.0123", flat_amount="1.5"),
        catalog_pb2.PriceTier(unit_amount="0.00777"),
    ],
}
VOLUME = {
    "model": catalog_pb2.PRICE_MODEL_VOLUME,
    "unit_amount": "",
    "tiers": [
        catalog_pb2.PriceTier(up_to="1000", unit_amount="0.0123"),
        catalog_pb2.PriceTier(unit_amount="0.00777"),
    ],
}
LIMITED = {
    "model": catalog_pb2.PRICE_MODEL_PER_UNIT,
    "unit_amount": "0.01",
    "minimum_amount": "70",
    "maximum_amount": "75.5",
}


async def prices(platform: Platform, terms: dict[str, Any] = TIERS) -> Sequence[catalog_pb2.Price]:
    product, meter = await new_product(platform), await new_meter(platform)
    metered = {"usage": catalog_pb2.PRICE_USAGE_METERED, "meter_id": meter.id}
    return (
        await new_price(platform, product.id, "fee"),
        await new_price(platform, product.id, "tokens", **terms, **metered),
    )


async def use(platform: Platform, subscription_id: str, quantity: int, **ago: float) -> None:
    """Reports it, and lets happen what follows."""
    await reporting.use(platform, subscription_id, quantity, platform.clock.now() - timedelta(**ago))
    await platform.drain()


async def test_a_threshold_makes_an_invoice_at_once_and_the_last_one_bills_the_rest(
    platform: Platform,
) -> None:
    fee, tokens = await prices(platform)
    thresholds = [Threshold(amount_minor=1000), Threshold(amount_minor=500, recurring=True)]
    made = await subscribe(platform, fee, tokens, spend_thresholds=thresholds)
    assert list(made.spend_thresholds) == thresholds
    await platform.pass_time(days=3)
    await use(platform, made.id, 500)
    assert await invoices_of(platform, made.id) == []
    await use(platform, made.id, 400)
    (first,) = await invoices_of(platform, made.id)
    (line,) = first.lines
    assert (line.type, line.description, line.quantity) == (
        pb.INVOICE_LINE_TYPE_USAGE,
        "tokens (so far)",
        "900",
    )
    assert (first.subtotal_minor, line.evidence.threshold_minor) == (150 + 1107, 1000)
    assert first.state == pb.INVOICE_STATE_OPEN
    assert first.period.start == made.start_at
    assert first.period.end == timestamp(platform.clock.now())
    await use(platform, made.id, 1)
    await platform.pass_time(hours=1)
    assert len(await invoices_of(platform, made.id)) == 1
    await use(platform, made.id, 1000)
    _, second = await invoices_of(platform, made.id)
    (line,) = second.lines
    assert (line.quantity, line.evidence.quantity_before, line.evidence.threshold_minor) == (
        "1001",
        "900",
        2000,
    )
    assert line.evidence.amount_before == "12.57"
    await use(platform, made.id, 9)
    await platform.pass_time(days=30)
    *_, last = await invoices_of(platform, made.id)
    rest = last.lines[1]
    assert (rest.description, rest.quantity, rest.evidence.quantity_before) == ("tokens (rest)", "9", "1901")
    assert rest.evidence.threshold_minor == 0
    whole = 150 + round(1000 * 1.23 + 910 * 0.777)
    assert first.subtotal_minor + second.subtotal_minor + rest.amount_minor == whole
    billed = [event.invoice_id for event in await platform.events("usage.billed")]
    assert billed == [first.id, second.id, last.id]
    stub = platform.stub(ScheduleServiceStub)
    cycles = await stub.ListBillingCycles(
        schedule_service_pb2.ListBillingCyclesRequest(subscription_id=made.id)
    )
    assert sorted(cycle.threshold_minor for cycle in cycles.cycles) == [0, 0, 1000, 2000]


@pytest.mark.parametrize("terms", [TIERS, VOLUME, LIMITED], ids=["graduated", "volume", "limits"])
@pytest.mark.parametrize("halfway", ["", "more seats", "other price", "cancel", "invoice"])
async def test_the_invoices_of_a_period_sum_to_what_a_single_one_would_have_been(
    platform: Platform, terms: dict[str, Any], halfway: str
) -> None:
    """To the cent, whatever happens in between: the same is done to a subscription without thresholds."""
    fee, tokens = await prices(platform, terms)
    thresholds = [Threshold(amount_minor=333, recurring=True)]
    ada = (await new_customer(platform)).id
    pair = [
        await subscribe(platform, fee, tokens, customer_id=ada, spend_thresholds=thresholds),
        await subscribe(platform, fee, tokens, customer_id=ada),
    ]
    for one in pair:
        await use(platform, one.id, 447)
        await use(platform, one.id, 301)
    await platform.pass_time(days=10, seconds=17)
    at_once = subscription_pb2.PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY
    for one in pair:
        match halfway:
            case "more seats":
                await change(platform, one.id, fee, tokens, quantity="3")
            case "invoice":
                await change(platform, one.id, fee, tokens, quantity="3", proration_behavior=at_once)
            case "other price":
                await change(platform, one.id, fee)
            case "cancel":
                await platform.stub(SubscriptionServiceStub).CancelSubscription(
                    subscriptions.CancelSubscriptionRequest(request_id=new_id("req"), subscription_id=one.id)
                )
        if halfway in ("", "more seats", "invoice"):
            await use(platform, one.id, 6000)
            await use(platform, one.id, 13)
    await platform.pass_time(days=22)
    for one in pair:
        await use(platform, one.id, 77, days=30)
    await platform.pass_time(days=31)
    in_parts, at_the_end = [await invoices_of(platform, one.id) for one in pair]
    assert len(in_parts) > len(at_the_end)
    assert sum(one.subtotal_minor for one in in_parts) == sum(one.subtotal_minor for one in at_the_end)
    balances = await platform.rows(
        "SELECT subscription_id, sum(quantity_sum - billed_quantity) AS left, sum(billed_amount) AS amount "
        "FROM usage_totals WHERE NOT excluded GROUP BY 1"
    )
    assert {row["left"] for row in balances} == {0}
    assert len({row["amount"] for row in balances}) == 1


async def test_whatever_is_handled_again_or_at_the_same_time_makes_no_second_invoice(
    platform: Platform,
) -> None:
    fee, tokens = await prices(platform)
    made = await subscribe(platform, fee, tokens, spend_thresholds=[Threshold(amount_minor=500)])
    await use(platform, made.id, 800)
    await replay(platform, subject="usage.reported")
    await replay(platform, subject="billing.cycle.closed")
    assert len(await invoices_of(platform, made.id)) == 1
    await use(platform, made.id, 100_000)
    caller = Caller(platform.tenant_id, actor="handler:test", role="worker", permissions=frozenset())
    database = platform.app.router._database
    async with database.transaction(caller) as tx:
        await tx.lock(made.customer_id)
        await ProgressiveService(RatingService()).bill_reached(tx, made.id)
        assert tx.events == []
    assert len(await invoices_of(platform, made.id)) == 1


async def test_each_period_comes_to_its_thresholds_anew(platform: Platform) -> None:
    _, tokens = await prices(platform)
    made = await subscribe(platform, tokens, spend_thresholds=[Threshold(amount_minor=500)])
    await use(platform, made.id, 800)
    await platform.pass_time(days=32)
    await use(platform, made.id, 800)
    first, closing, second = await invoices_of(platform, made.id)
    assert first.subtotal_minor == second.subtotal_minor == 1134
    assert closing.subtotal_minor == 0
    assert closing.state == pb.INVOICE_STATE_PAID


async def test_thresholds_count_towards_a_commitment_and_not_in_a_trial(platform: Platform) -> None:
    fee, tokens = await prices(platform)
    made = await subscribe(
        platform,
        fee,
        tokens,
        trial_days=5,
        spend_thresholds=[Threshold(amount_minor=500)],
        minimum_commitment_minor=10_000,
    )
    await use(platform, made.id, 8000)
    assert await invoices_of(platform, made.id) == []
    await platform.pass_time(days=6)
    await use(platform, made.id, 800)
    await platform.pass_time(days=31)
    first, last = await invoices_of(platform, made.id)
    assert first.subtotal_minor == 1134
    assert first.subtotal_minor + last.subtotal_minor == 10_000
    assert last.lines[-1].evidence.lines_minor == 1134 + 2000


async def test_a_flat_amount_is_billed_once_though_all_usage_was_taken_back_within_the_period(
    platform: Platform,
) -> None:
    """A threshold that other usage reaches gives back what was used, but not what even no usage costs."""
    _, tokens = await prices(platform)
    metered = {"usage": catalog_pb2.PRICE_USAGE_METERED, "meter_id": (await new_meter(platform, "calls")).id}
    calls = await new_price(
        platform, tokens.product_id, "calls", model=catalog_pb2.PRICE_MODEL_PER_UNIT, **metered
    )
    made = await subscribe(
        platform, tokens, calls, spend_thresholds=[Threshold(amount_minor=500, recurring=True)]
    )
    first = reporting.usage_record(platform, made.id, "800", platform.clock.now())
    await reporting.use_batch(platform, [first])
    await platform.drain()
    await correction.correct(platform, first.idempotency_key, "0")
    second = reporting.usage_record(platform, made.id, "1", platform.clock.now(), meter="calls")
    await reporting.use_batch(platform, [second])
    await platform.drain()
    await platform.pass_time(days=32)
    amounts = [[line.amount_minor for line in one.lines] for one in await invoices_of(platform, made.id)]
    assert amounts == [[150 + 984], [-984, 2000], [0, 0]]


async def test_thresholds_can_be_set_and_taken_away(platform: Platform) -> None:
    _, tokens = await prices(platform)
    made = await subscribe(platform, tokens)
    await use(platform, made.id, 800)
    stub = platform.stub(SubscriptionServiceStub)

    async def set_them(*thresholds: Any) -> subscription_pb2.Subscription:
        request = subscriptions.SetSpendThresholdsRequest(
            request_id=new_id("req"), subscription_id=made.id, spend_thresholds=thresholds
        )
        return (await stub.SetSpendThresholds(request)).subscription

    wanted = Threshold(amount_minor=500)
    assert list((await set_them(wanted)).spend_thresholds) == [wanted]
    (event,) = await platform.events("subscription.updated")
    assert list(event.changed_fields) == ["spend_thresholds"]
    await use(platform, made.id, 1)
    assert len(await invoices_of(platform, made.id)) == 1
    assert list((await set_them()).spend_thresholds) == []
    assert list((await subscription(platform, made.id)).spend_thresholds) == []
    refusal = await refused(set_them(Threshold(amount_minor=0)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")
    _, key = await platform.new_tenant("other")
    request = subscriptions.SetSpendThresholdsRequest(request_id=new_id("req"), subscription_id=made.id)
    other = await refused(platform.stub(SubscriptionServiceStub, key=key).SetSpendThresholds(request))
    assert (other.code, other.reason) == ("NOT_FOUND", "SUBSCRIPTION_NOT_FOUND")
