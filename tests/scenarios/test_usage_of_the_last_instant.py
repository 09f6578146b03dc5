"""What is used in the very instant in which service ends is billed once, as its period's own usage."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.subscription.v1 import subscription_pb2
from billing_db import rating as rating_sql

from corebilling.domains.rating import charge_rows
from corebilling.domains.rating.model import ChargeKind
from corebilling.values.caller import Caller
from corebilling.values.ids import new_id
from tests.rpc.test_reconcile import books
from tests.scenarios.test_subscription_changes_are_invoiced import IMMEDIATELY
from tests.scenarios.test_usage_is_billed_to_the_end import (
    ADJUSTMENT,
    PERIOD_END,
    RECURRING,
    START,
    USAGE,
    cancel,
    contract,
)
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
from tests.support.correction import correct, rerate, retract
from tests.support.invoice import invoices_of, lines_of
from tests.support.platform import Platform
from tests.support.reporting import use

GRADUATED = {
    "model": catalog_pb2.PRICE_MODEL_GRADUATED,
    "unit_amount": "",
    "tiers": [
        catalog_pb2.PriceTier(up_to="100", unit_amount="1"),
        catalog_pb2.PriceTier(unit_amount="0.1"),
    ],
}
BEGINNINGS: dict[str, dict[str, Any]] = {
    "creation": {},
    "creation, with a billing day": {"billing_day": 31},
    "end of a trial": {"trial_days": 10},
    "end of a trial, with a billing day": {"trial_days": 10, "billing_day": 15},
}


async def tokens(platform: Platform, **terms: Any) -> catalog_pb2.Price:
    product, meter = await new_product(platform), await new_meter(platform)
    return await metered_price(platform, product.id, meter.id, **terms)


async def subtotals(platform: Platform) -> list[int]:
    return [made.subtotal_minor for made in await invoices_of(platform)]


async def prove(platform: Platform) -> None:
    """Every invoice can be worked out again, and the books of usage agree with them."""
    for made in await invoices_of(platform):
        assert differences(as_fields(await bundle_of(platform, made.id))) == []
    assert (await books(platform)).balanced


async def canceled_at_once(platform: Platform, beginning: str, *, quantity: int = 40) -> str:
    """Of tokens for 1 each: used, and canceled, in the instant in which paid service begins."""
    made = await subscribe(platform, await tokens(platform), **BEGINNINGS[beginning])
    await platform.pass_time(days=BEGINNINGS[beginning].get("trial_days", 0))
    if quantity:
        await use(platform, made.id, quantity, key="first")
    await cancel(platform, made.id)
    await platform.pass_time(days=1)
    return made.id


async def resumed(platform: Platform, price: catalog_pb2.Price) -> str:
    """Used for 100, paused, and resumed just now."""
    made = await subscribe(platform, price)
    await use(platform, made.id, 100, key="before")
    platform.clock.advance(days=3)
    await pause(platform, made.id)
    await platform.pass_time(days=1)
    await resume(platform, made.id)
    return made.id


@pytest.mark.parametrize("beginning", BEGINNINGS)
async def test_canceled_when_it_begins_its_usage_is_billed_once_and_follows_corrections(
    platform: Platform, beginning: str
):
    await canceled_at_once(platform, beginning)
    assert await lines_of(platform) == [[(USAGE, "40", 4000)]]
    await prove(platform)
    await correct(platform, "first", "36")
    await platform.pass_time(days=1)
    await retract(platform, "first")
    await platform.pass_time(days=1)
    assert (await lines_of(platform))[1:] == [[(ADJUSTMENT, "-4", -400)], [(ADJUSTMENT, "-36", -3600)]]
    await prove(platform)


@pytest.mark.parametrize("beginning", BEGINNINGS)
async def test_where_nothing_was_used_nothing_is_billed(platform: Platform, beginning: str):
    await canceled_at_once(platform, beginning, quantity=0)
    assert await lines_of(platform) == []


async def test_canceled_in_the_instant_of_renewal_its_usage_is_that_of_the_new_period(platform: Platform):
    made = await subscribe(platform, *await contract(platform))
    await platform.pass_time(days=31)
    await use(platform, made.id, 5, PERIOD_END, key="first")
    await use(platform, made.id, 3, PERIOD_END + timedelta(minutes=1))
    await cancel(platform, made.id)
    await platform.pass_time(days=1)
    march, april = await lines_of(platform)
    assert march == [(RECURRING, "1", 3100), (USAGE, "0", 0)]
    assert april == [(RECURRING, "1", 0), (USAGE, "8", 800)]
    await correct(platform, "first", "4")
    await platform.pass_time(days=1)
    assert (await lines_of(platform))[2:] == [[(ADJUSTMENT, "-1", -100)]]
    await prove(platform)


@pytest.mark.parametrize("ends", ["canceled", "paused and canceled"])
async def test_canceled_in_the_instant_of_resuming_tiers_go_on(platform: Platform, ends: str):
    subscription_id = await resumed(platform, await tokens(platform, **GRADUATED))
    await use(platform, subscription_id, 40, key="after")
    if ends == "paused and canceled":
        await pause(platform, subscription_id)
    await cancel(platform, subscription_id)
    await platform.pass_time(days=1)
    assert await lines_of(platform) == [[(USAGE, "100", 10000), (USAGE, "40", 400)]]
    await correct(platform, "after", "30")
    await correct(platform, "before", "90")
    await platform.pass_time(days=1)
    assert sum(await subtotals(platform)) == 9000 + 1000 + 20 * 10
    await prove(platform)


async def test_canceled_in_the_instant_of_an_invoice_at_once_its_usage_is_on_the_next(platform: Platform):
    fee, one = await contract(platform)
    other = await metered_price(platform, fee.product_id, one.meter_id, "other", unit_amount="2")
    made = await subscribe(platform, fee, one)
    await use(platform, made.id, 5)
    platform.clock.advance(days=3)
    await change(platform, made.id, fee, other, proration_behavior=IMMEDIATELY)
    await use(platform, made.id, 4)
    await cancel(platform, made.id)
    await platform.pass_time(days=1)
    first, last = await lines_of(platform)
    assert first == [(RECURRING, "1", 300), (USAGE, "5", 500)]
    assert last == [(RECURRING, "1", 0), (USAGE, "4", 800)]
    await prove(platform)


@pytest.mark.parametrize(
    ("aggregation", "quantity"),
    [
        (catalog_pb2.AGGREGATION_SUM, "7"),
        (catalog_pb2.AGGREGATION_COUNT, "2"),
        (catalog_pb2.AGGREGATION_MAX, "4"),
        (catalog_pb2.AGGREGATION_MIN, "3"),
        (catalog_pb2.AGGREGATION_AVERAGE, "3.5"),
        (catalog_pb2.AGGREGATION_LATEST, "4"),
        (catalog_pb2.AGGREGATION_TIME_WEIGHTED, "0"),
    ],
)
@pytest.mark.parametrize("billing_day", [0, 31])
async def test_it_is_what_the_meter_makes_of_it(
    platform: Platform, aggregation: Any, quantity: str, billing_day: int
):
    _, price = await contract(platform, aggregation)
    made = await subscribe(platform, price, billing_day=billing_day)
    for one in (3, 4):  # The later one by a breath, which is what the latest goes by.
        await use(platform, made.id, one, START + timedelta(microseconds=one))
    await cancel(platform, made.id)
    await platform.pass_time(days=1)
    assert [[line[:2] for line in lines] for lines in await lines_of(platform)] == [[(USAGE, quantity)]]
    await prove(platform)


@pytest.mark.parametrize("billing_day", [0, 31])
async def test_what_a_threshold_billed_of_it_is_not_billed_again(platform: Platform, billing_day: int):
    thresholds = [subscription_pb2.SpendThreshold(amount_minor=1000)]
    made = await subscribe(
        platform, await tokens(platform), billing_day=billing_day, spend_thresholds=thresholds
    )
    await use(platform, made.id, 40, key="first")
    await platform.drain()
    assert await subtotals(platform) == [4000]
    await cancel(platform, made.id)
    await correct(platform, "first", "36")
    await platform.pass_time(days=1)
    assert await lines_of(platform) == [[(USAGE, "40", 4000)], [(USAGE, "-4", -400)]]
    await prove(platform)


async def test_its_price_can_be_corrected(platform: Platform):
    made = await subscribe(platform, wrong := await tokens(platform), billing_day=31)
    await use(platform, made.id, 40)
    await cancel(platform, made.id)
    await platform.pass_time(days=1)
    terms = {"usage": catalog_pb2.PRICE_USAGE_METERED, "unit_amount": "0.5", "meter_id": wrong.meter_id}
    right = await new_price(
        platform, wrong.product_id, "right", model=catalog_pb2.PRICE_MODEL_PER_UNIT, **terms
    )
    (first,) = await invoices_of(platform)
    await rerate(platform, first.cycle_id, wrong.id, right.id)
    assert await subtotals(platform) == [4000, -2000]
    await prove(platform)


async def test_usage_of_a_period_that_never_came_can_be_worked_out_again(platform: Platform):
    made = await subscribe(platform, await tokens(platform, maximum_amount="60", minimum_amount="50"))
    platform.clock.advance(days=31, minutes=-2)
    await use(platform, made.id, 40, PERIOD_END + timedelta(minutes=1), key="first")
    await cancel(platform, made.id)
    await platform.pass_time(days=1)
    assert (await lines_of(platform))[0][1] == (ADJUSTMENT, "40", 4000)
    await correct(platform, "first", "70")
    await platform.pass_time(days=1)
    assert (await lines_of(platform))[1] == [(ADJUSTMENT, "30", 2000)]
    await prove(platform)


async def test_a_period_without_length_is_found_out_where_it_came(platform: Platform):
    await canceled_at_once(platform, "creation")
    (made,) = await invoices_of(platform)

    def never_came(bundle: dict[str, Any]) -> None:
        full_period = bundle["evidence"][0]["charge"]["basis"]["full_period"]
        full_period["end"] = full_period["start"]

    found = differences(as_fields(await bundle_of(platform, made.id)), never_came)
    assert ("line 1", "months", "1", "0") in found


async def test_a_total_has_all_that_is_billed_of_it_by_whatever_charges(platform: Platform):
    made = await subscribe(platform, await tokens(platform))
    await use(platform, made.id, 40)
    await platform.pass_time(days=31, hours=2)
    ids = [row["id"] for row in await platform.rows("SELECT id FROM billing_cycles ORDER BY period_start")]
    caller = Caller(platform.tenant_id, actor="handler:test", role="worker", permissions=frozenset())
    async with platform.app.router._database.transaction(caller) as tx:
        (charge,) = await rating_sql.list_charges(tx, tenant_id=tx.tenant_id, cycle_ids=ids)
        more = [
            replace(charge, id=new_id("chg"), cycle_id=ids[1], kind=kind)
            for kind in (ChargeKind.USAGE, ChargeKind.ADJUSTMENT, ChargeKind.RECURRING)
        ]
        await charge_rows.insert(tx, more)
    (total,) = await platform.rows("SELECT billed_quantity, billed_amount FROM usage_totals")
    assert (int(total["billed_quantity"]), int(total["billed_amount"])) == (120, 120)
