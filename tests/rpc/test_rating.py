from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.event.v1 import event_pb2 as eventv1
from billing.rating.v1 import rating_pb2
from billing.rating.v1 import rating_service_pb2 as rpc
from billing.subscription.v1 import subscription_service_pb2
from billing.types.v1 import money_pb2

from corebilling.errors import NotFound
from tests.support.billing import OTHER_TENANT, TENANT, Billing, TenantDoor, billing

__all__ = ["billing"]

APRIL = datetime(2026, 4, 1, tzinfo=UTC)
AFTER_GRACE = timedelta(hours=1)


async def charges(billing: Billing, cycle_id: str) -> list[rating_pb2.Charge]:
    response = await billing.call(billing.rating.list_charges, rpc.ListChargesRequest(cycle_id=cycle_id))
    return list(response.charges)


async def test_a_closed_cycle_is_charged_its_fee_and_its_usage_exactly(billing: Billing) -> None:
    prices = [
        await billing.price("plan", unit_amount="20.00"),
        await billing.price("input", meter="input", unit_amount="0.15", unit_size="1000000"),
        await billing.price("output", meter="output", unit_amount="0.60", unit_size="1000000"),
    ]
    subscription = await billing.subscribe(await billing.customer(), *prices)
    await billing.use(subscription.id, "input", "22361870")
    await billing.use(subscription.id, "output", "4088665")
    await billing.advance(APRIL + AFTER_GRACE)
    march, april = await billing.cycles(subscription.id)
    found = await charges(billing, march.id)
    assert [charge.amount for charge in found] == ["20", "3.3542805", "2.453199"]
    assert [charge.kind for charge in found] == [
        rating_pb2.CHARGE_KIND_RECURRING,
        rating_pb2.CHARGE_KIND_USAGE,
        rating_pb2.CHARGE_KIND_USAGE,
    ]
    assert (found[1].quantity, found[1].unit_amount, found[1].unit_size) == ("22361870", "0.15", "1000000")
    assert found[1].period == march.period
    assert await charges(billing, april.id) == []
    ((_, completed),) = await billing.events("rating.completed")
    assert (completed.charge_count, completed.amount, completed.currency) == (3, "25.8074795", "USD")


async def test_a_graduated_charge_shows_what_each_tier_contributed(billing: Billing) -> None:
    tiers = [
        catalog_pb2.PriceTier(up_to="100", unit_amount="0"),
        catalog_pb2.PriceTier(unit_amount="0.5", flat_amount="3"),
    ]
    price = await billing.price("calls", meter="calls", tiers=tiers)
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.use(subscription.id, "calls", "104")
    await billing.advance(APRIL + AFTER_GRACE)
    (charge,) = await charges(billing, (await billing.cycles(subscription.id))[0].id)
    assert (charge.amount, charge.unit_amount) == ("5", "")
    assert [(tier.from_quantity, tier.up_to, tier.quantity, tier.amount) for tier in charge.tiers] == [
        ("0", "100", "100", "0"),
        ("100", "", "4", "5"),
    ]


async def test_rating_a_cycle_again_changes_nothing(billing: Billing) -> None:
    subscription = await billing.subscribe(
        await billing.customer(), await billing.price("plan", unit_amount="20")
    )
    await billing.advance(APRIL + AFTER_GRACE)
    cycle = (await billing.cycles(subscription.id))[0]
    before = await charges(billing, cycle.id)
    await billing.call(billing.rating.rate_cycles, {cycle.id: eventv1.Event()})
    assert await charges(billing, cycle.id) == before
    assert len(await billing.events("rating.completed")) == 1


async def test_what_is_used_within_the_grace_still_enters_the_closing_cycle(billing: Billing) -> None:
    price = await billing.price("calls", meter="calls", unit_amount="1")
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.advance(APRIL + timedelta(minutes=59))
    await billing.use(subscription.id, "calls", "7", at=APRIL - timedelta(microseconds=1))
    await billing.use(subscription.id, "calls", "100", at=APRIL)
    await billing.advance(APRIL + AFTER_GRACE)
    (charge,) = await charges(billing, (await billing.cycles(subscription.id))[0].id)
    assert charge.amount == "7"


async def test_late_usage_is_adjusted_in_the_next_cycle_and_once(billing: Billing) -> None:
    tiers = [
        catalog_pb2.PriceTier(up_to="100", unit_amount="0", flat_amount="5"),
        catalog_pb2.PriceTier(unit_amount="1"),
    ]
    price = await billing.price("calls", meter="calls", tiers=tiers)
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.use(subscription.id, "calls", "90")
    await billing.advance(APRIL + AFTER_GRACE)
    await billing.use(subscription.id, "calls", "30", at=APRIL - timedelta(days=2))
    await billing.advance(datetime(2026, 6, 1, tzinfo=UTC) + AFTER_GRACE)
    march, april, may, _ = await billing.cycles(subscription.id)
    assert [charge.amount for charge in await charges(billing, march.id)] == ["5"]
    usage, adjustment = await charges(billing, april.id)
    assert (usage.amount, adjustment.amount, adjustment.quantity) == ("5", "20", "30")
    assert adjustment.kind == rating_pb2.CHARGE_KIND_ADJUSTMENT
    assert adjustment.period == march.period
    assert [charge.kind for charge in await charges(billing, may.id)] == [rating_pb2.CHARGE_KIND_USAGE]


async def test_late_usage_of_a_period_billed_as_unused_pays_no_flat_fee_again(billing: Billing) -> None:
    tiers = [catalog_pb2.PriceTier(unit_amount="1", flat_amount="5")]
    price = await billing.price("calls", meter="calls", tiers=tiers)
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.advance(APRIL + AFTER_GRACE)
    await billing.use(subscription.id, "calls", "3", at=APRIL - timedelta(days=2))
    await billing.advance(datetime(2026, 5, 1, tzinfo=UTC) + AFTER_GRACE)
    march, april, _ = await billing.cycles(subscription.id)
    assert [charge.amount for charge in await charges(billing, march.id)] == ["5"]
    assert [charge.amount for charge in await charges(billing, april.id)] == ["5", "3"]


async def test_a_trial_is_neither_charged_nor_its_usage_rated(billing: Billing) -> None:
    price = await billing.price("calls", meter="calls", unit_amount="1")
    subscription = await billing.subscribe(await billing.customer(), price, trial_days=14)
    await billing.use(subscription.id, "calls", "7")
    await billing.advance(datetime(2026, 4, 15, 1, tzinfo=UTC))
    trial, first, _ = await billing.cycles(subscription.id)
    assert await charges(billing, trial.id) == []
    assert [charge.amount for charge in await charges(billing, first.id)] == ["0"]
    assert await billing.events("usage.rated") == []


async def test_a_canceled_period_prorates_the_fee_by_the_second(billing: Billing) -> None:
    price = await billing.price("plan", unit_amount="31")
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.advance(datetime(2026, 3, 11, 12, tzinfo=UTC))
    request = subscription_service_pb2.CancelSubscriptionRequest(subscription_id=subscription.id)
    await billing.call(billing.subscriptions.cancel_subscription, request)
    await billing.advance(APRIL)
    (cycle,) = await billing.cycles(subscription.id)
    (charge,) = await charges(billing, cycle.id)
    assert (charge.amount, charge.description) == ("10.5", "plan (prorated)")


async def test_each_report_of_usage_tells_what_the_period_costs_so_far(billing: Billing) -> None:
    price = await billing.price("calls", meter="calls", unit_amount="0.001")
    subscription = await billing.subscribe(await billing.customer(), price)
    for quantity in ("5", "7"):
        await billing.use(subscription.id, "calls", quantity)
    await billing.drain()
    rated = await billing.events("usage.rated")
    assert [(payload.quantity, payload.amount) for _, payload in rated] == [("5", "0.005"), ("12", "0.012")]
    assert [event.metadata.resource_version for event, _ in rated] == [1, 2]


async def test_totals_hold_what_was_billed(billing: Billing) -> None:
    price = await billing.price("calls", meter="calls", unit_amount="0.5")
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.use(subscription.id, "calls", "9")
    await billing.advance(APRIL + AFTER_GRACE)
    await billing.use(subscription.id, "calls", "1", at=APRIL - timedelta(days=1))
    await billing.advance(datetime(2026, 5, 1, 1, tzinfo=UTC))
    (total,) = await billing.db.admin("SELECT billed_quantity, billed_amount FROM usage_totals")
    assert tuple(total) == (Decimal(10), Decimal(5))


async def test_a_price_is_previewed_without_writing_anything(billing: Billing) -> None:
    tiers = [catalog_pb2.PriceTier(up_to="2", unit_amount="1"), catalog_pb2.PriceTier(unit_amount="0.25")]
    price = await billing.price("calls", meter="calls", tiers=tiers)
    request = rpc.PreviewPriceRequest(price_id=price, quantity="3")
    preview = await billing.call(billing.rating.preview_price, request)
    assert (preview.amount, preview.currency, len(preview.tiers)) == ("2.25", "USD", 2)


@pytest.mark.parametrize(
    ("quantity", "amount", "steps"),
    [
        ("0", "20", [("MINIMUM", "20")]),
        ("7", "20", [("MINIMUM", "6")]),
        ("12", "24", []),
        ("60", "100", [("CAP", "-20")]),
    ],
)
async def test_a_preview_says_what_cap_and_minimum_change(
    billing: Billing, quantity: str, amount: str, steps: list[tuple[str, str]]
) -> None:
    price = await billing.price(
        "calls", meter="calls", unit_amount="2", minimum_amount="20", maximum_amount="100"
    )
    request = rpc.PreviewPriceRequest(price_id=price, quantity=quantity)
    preview = await billing.call(billing.rating.preview_price, request)
    kinds = [
        money_pb2.ChargeStepKind.Name(step.kind).removeprefix("CHARGE_STEP_KIND_") for step in preview.steps
    ]
    assert preview.amount == amount
    assert list(zip(kinds, [step.amount for step in preview.steps], strict=True)) == steps


async def test_a_preview_looks_at_one_record_where_the_price_does(billing: Billing) -> None:
    matrix = await billing.price(
        "calls",
        meter="calls",
        model=catalog_pb2.PRICE_MODEL_MATRIX,
        dimensions=["region"],
        cells=[catalog_pb2.PriceCell(values=["eu"], unit_amount="2")],
        default_unit_amount="3",
        minimum_amount="10",
    )
    request = rpc.PreviewPriceRequest(price_id=matrix, quantity="4", properties={"region": "eu"})
    preview = await billing.call(billing.rating.preview_price, request)
    assert (preview.amount, [step.amount for step in preview.steps]) == ("10", ["2"])
    assert [(dict(cell.properties), cell.amount) for cell in preview.by_record.cells] == [
        ({"region": "eu"}, "8")
    ]
    request = rpc.PreviewPriceRequest(price_id=matrix, quantity="4")
    assert (await billing.call(billing.rating.preview_price, request)).amount == "12"

    percentage = await billing.price(
        "payments",
        meter="payments",
        model=catalog_pb2.PRICE_MODEL_PERCENTAGE,
        percentage=catalog_pb2.PricePercentage(percent="2.9", fixed_amount="0.30"),
    )
    request = rpc.PreviewPriceRequest(price_id=percentage, quantity="100")
    preview = await billing.call(billing.rating.preview_price, request)
    assert (preview.amount, preview.by_record.transactions.rate_amount) == ("3.2", "2.9")


async def test_a_period_cut_short_has_the_same_part_of_cap_and_minimum(billing: Billing) -> None:
    prices = [
        await billing.price("least", meter="least", unit_amount="1", minimum_amount="310"),
        await billing.price("most", meter="most", unit_amount="1", maximum_amount="310"),
    ]
    subscription = await billing.subscribe(await billing.customer(), *prices)
    await billing.use(subscription.id, "least", "3")
    await billing.use(subscription.id, "most", "1000")
    await billing.advance(datetime(2026, 3, 11, tzinfo=UTC))
    cancel = subscription_service_pb2.CancelSubscriptionRequest(subscription_id=subscription.id)
    await billing.call(billing.subscriptions.cancel_subscription, cancel)
    await billing.advance(APRIL + AFTER_GRACE)
    found = await charges(billing, (await billing.cycles(subscription.id))[0].id)
    assert [charge.amount for charge in found] == ["100", "100"]


async def test_late_usage_is_no_reason_to_exceed_the_cap_or_pay_twice_for_the_minimum(
    billing: Billing,
) -> None:
    prices = [
        await billing.price("least", meter="least", unit_amount="1", minimum_amount="50"),
        await billing.price("most", meter="most", unit_amount="1", maximum_amount="50"),
    ]
    subscription = await billing.subscribe(await billing.customer(), *prices)
    await billing.use(subscription.id, "least", "30")
    await billing.use(subscription.id, "most", "40")
    await billing.advance(APRIL + AFTER_GRACE)
    for meter in ("least", "most"):
        await billing.use(subscription.id, meter, "30", at=APRIL - timedelta(days=2))
    await billing.advance(datetime(2026, 5, 1, tzinfo=UTC) + AFTER_GRACE)
    march, april, _ = await billing.cycles(subscription.id)
    assert [charge.amount for charge in await charges(billing, march.id)] == ["50", "40"]
    late = [charge for charge in await charges(billing, april.id) if charge.period == march.period]
    assert [charge.amount for charge in late] == ["10", "10"]


async def test_what_does_not_exist_or_is_anothers_is_not_found(billing: Billing) -> None:
    price = await billing.price("plan", unit_amount="1")
    with pytest.raises(NotFound) as no_price:
        request = rpc.PreviewPriceRequest(price_id=price, quantity="1")
        await billing.call(billing.rating.preview_price, request, OTHER_TENANT)
    assert no_price.value.reason == "PRICE_NOT_FOUND"
    with pytest.raises(NotFound) as no_cycle:
        await charges(billing, "cyc_0")
    assert no_cycle.value.reason == "BILLING_CYCLE_NOT_FOUND"


async def test_two_cycles_of_one_subscription_rated_together_bill_nothing_twice(billing: Billing) -> None:
    price = await billing.price("calls", meter="calls", unit_amount="1")
    subscription = await billing.subscribe(await billing.customer(), price)
    await billing.use(subscription.id, "calls", "7")
    billing.clock.advance(days=40)
    await billing.use(subscription.id, "calls", "5")
    billing.clock.advance(days=30)
    while await billing.scheduler.run_once():
        pass
    march, april, _ = await billing.cycles(subscription.id)
    causes = {cycle.id: eventv1.Event() for cycle in (april, march)}
    await TenantDoor(billing.worker, TENANT).read(causes, billing.rating.rate_cycles)
    assert [charge.amount for charge in await charges(billing, march.id)] == ["7"]
    assert [charge.amount for charge in await charges(billing, april.id)] == ["5"]
