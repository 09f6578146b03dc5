from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from billing.catalog.v1 import catalog_pb2 as pb

from corebilling.domains.catalog.defaults import PLANS
from corebilling.domains.rating.charging import decide_charges
from corebilling.domains.rating.model import ChargeKind, LateUsage, PricedItem
from corebilling.values.money import minor_units
from corebilling.values.period import Period
from corebilling.values.price import Price, PriceModel, Tier

MARCH = Period(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
FEBRUARY = Period(datetime(2026, 2, 1, tzinfo=UTC), MARCH.start)


def flat(amount: str) -> Price:
    return Price("pri_flat", "Plan", "USD", PriceModel.FLAT, False, Decimal(amount))


def per_unit(amount: str, unit_size: str = "1") -> Price:
    return Price("pri_unit", "Calls", "USD", PriceModel.PER_UNIT, True, Decimal(amount), Decimal(unit_size))


def graduated(*tiers: tuple[str, ...], unit_size: str = "1", metered: bool = True) -> Price:
    """Each tier as (up_to, unit_amount) or (up_to, unit_amount, flat_amount); '' is open-ended."""
    made = tuple(Tier(Decimal(up_to) if up_to else None, *map(Decimal, prices)) for up_to, *prices in tiers)
    return Price(
        "pri_tiers", "Calls", "USD", PriceModel.GRADUATED, metered, unit_size=Decimal(unit_size), tiers=made
    )


def test_a_flat_fee_and_two_rates_per_million_tokens_come_to_25_80() -> None:
    items = [
        PricedItem("sit_1", flat("20.00"), Decimal(1)),
        PricedItem("sit_2", per_unit("0.15", "1000000"), None),
        PricedItem("sit_3", per_unit("0.60", "1000000"), None),
    ]
    usage = {"sit_2": Decimal(22_361_870), "sit_3": Decimal(4_088_665)}
    charges = decide_charges(MARCH, MARCH, items, usage, [])
    assert [charge.amount for charge in charges] == [
        Decimal(20),
        Decimal("3.3542805"),
        Decimal("2.453199"),
    ]
    assert [minor_units(charge.amount, "USD") for charge in charges] == [2000, 335, 245]


def plan_items(code: str) -> list[PricedItem]:
    """The default plan's items, with the meter of each by its id."""
    models = {
        pb.PRICE_MODEL_FLAT: PriceModel.FLAT,
        pb.PRICE_MODEL_PER_UNIT: PriceModel.PER_UNIT,
        pb.PRICE_MODEL_GRADUATED: PriceModel.GRADUATED,
    }
    (plan,) = (plan for plan in PLANS if plan.code == code)
    return [
        PricedItem(
            price.meter or price.code,
            Price(
                price.code,
                price.description,
                "USD",
                models[price.model],
                bool(price.meter),
                Decimal(price.unit_amount) if price.unit_amount else None,
                Decimal(price.unit_size or 1),
                tuple(
                    Tier(Decimal(tier.up_to) if tier.up_to else None, Decimal(tier.unit_amount))
                    for tier in price.tiers
                ),
            ),
            Decimal(price.quantity) if price.quantity else None,
        )
        for price in plan.prices
    ]


@pytest.mark.parametrize(
    ("plan", "calls", "stored", "moved", "lines"),
    [
        ("free", "9000", "1", "0", [0, 0, 0, 0, 0, 0]),
        ("free", "1010000", "3", "1.5", [0, 1000, 100, 25, 0, 0]),
        ("starter", "3000000", "60", "130", [9900, 1000, 250, 750, 0, 0]),
        ("professional", "75000000", "500", "1000", [49900, 19500, 0, 0, 0, 0]),
        ("professional-volume", "75000000", "500", "1000", [49900, 17000, 0, 0, 0, 0]),
        ("professional-volume", "120000000", "510", "1010", [49900, 24000, 150, 150, 0, 0]),
        ("enterprise", "250000000", "6000", "10001", [249900, 15000, 10000, 10, 0, 0]),
    ],
)
def test_a_month_of_each_default_plan(
    plan: str, calls: str, stored: str, moved: str, lines: list[int]
) -> None:
    usage = {"api_calls": Decimal(calls), "storage_gb": Decimal(stored), "transfer_gb_out": Decimal(moved)}
    charges = decide_charges(MARCH, MARCH, plan_items(plan), usage, [])
    assert [minor_units(charge.amount, "USD") for charge in charges] == lines


def test_seats_beyond_those_included_are_charged_each() -> None:
    items = [PricedItem("sit_1", graduated(("5", "0"), ("", "49"), metered=False), Decimal(8))]
    (charge,) = decide_charges(MARCH, MARCH, items, {}, [])
    assert (charge.kind, charge.amount) == (ChargeKind.RECURRING, Decimal(147))
    assert [int(tier.quantity) for tier in charge.tiers] == [5, 3]
    assert [int(tier.amount) for tier in charge.tiers] == [0, 147]


def test_a_flat_fee_is_due_once_whatever_the_quantity() -> None:
    (charge,) = decide_charges(MARCH, MARCH, [PricedItem("sit_1", flat("20"), Decimal(7))], {}, [])
    assert (int(charge.amount), int(charge.quantity)) == (20, 1)


def test_a_period_cut_short_prorates_fees_by_the_second_and_usage_not_at_all() -> None:
    cut = Period(MARCH.start, MARCH.start + timedelta(days=10, seconds=1))
    items = [PricedItem("sit_1", flat("31"), Decimal(1)), PricedItem("sit_2", per_unit("2"), None)]
    fee, usage = decide_charges(cut, MARCH, items, {"sit_2": Decimal(5)}, [], service=cut)
    seconds = 31 * 86400
    assert minor_units(fee.amount * 10**6, "USD") == round(Fraction(31 * 864001, seconds) * 10**8)
    assert (fee.description, usage.description) == ("Plan (prorated)", "Calls")
    assert usage.amount == 10


def test_a_prorated_fees_tiers_still_sum_to_it() -> None:
    cut = Period(MARCH.start, MARCH.start + timedelta(days=7))
    items = [PricedItem("sit_1", graduated(("5", "1"), ("", "2"), metered=False), Decimal(8))]
    (charge,) = decide_charges(cut, MARCH, items, {}, [])
    assert sum(tier.amount for tier in charge.tiers) == Fraction(11 * 7, 31)


def test_a_period_ended_at_its_start_charges_no_fee() -> None:
    items = [PricedItem("sit_1", flat("20"), Decimal(1))]
    (charge,) = decide_charges(Period(MARCH.start, MARCH.start), MARCH, items, {}, [])
    assert charge.amount == 0


def test_late_usage_is_charged_as_an_adjustment_in_its_own_period_and_tier() -> None:
    item = PricedItem("sit_1", graduated(("100", "0"), ("", "0.5"), metered=True), None)
    late = LateUsage(
        "sit_1", FEBRUARY, quantity=Decimal(120), billed_quantity=Decimal(90), full_period=FEBRUARY
    )
    usage, adjustment = decide_charges(MARCH, MARCH, [item], {"sit_1": Decimal(10)}, [late])
    assert (usage.kind, usage.period, str(usage.amount)) == (ChargeKind.USAGE, MARCH, "0")
    assert (adjustment.kind, adjustment.period) == (ChargeKind.ADJUSTMENT, FEBRUARY)
    assert (int(adjustment.amount), int(adjustment.quantity)) == (10, 30)
    shown = [(int(tier.from_quantity), int(tier.quantity), int(tier.amount)) for tier in adjustment.tiers]
    assert shown == [(0, 10, 0), (100, 20, 10)]


def test_late_usage_of_a_period_billed_as_unused_does_not_pay_the_first_tiers_fee_again() -> None:
    item = PricedItem("sit_1", graduated(("", "1", "5"), metered=True), None)
    (unused,) = decide_charges(FEBRUARY, FEBRUARY, [item], {}, [])
    late = LateUsage("sit_1", FEBRUARY, quantity=Decimal(3), billed_quantity=Decimal(0), full_period=FEBRUARY)
    _, adjustment = decide_charges(MARCH, MARCH, [item], {}, [late])
    assert (int(unused.amount), int(adjustment.amount)) == (5, 3)


def test_a_closing_cycle_bills_what_came_late_without_fees_and_usage_of_its_own() -> None:
    items = [PricedItem("sit_1", flat("20"), Decimal(1)), PricedItem("sit_2", per_unit("2"), None)]
    late = LateUsage("sit_2", FEBRUARY, quantity=Decimal(5), billed_quantity=Decimal(2), full_period=FEBRUARY)
    closing = Period(MARCH.start, MARCH.start)
    (adjustment,) = decide_charges(closing, closing, items, {}, [late])
    assert (adjustment.kind, adjustment.period, int(adjustment.amount)) == (
        ChargeKind.ADJUSTMENT,
        FEBRUARY,
        6,
    )
    assert adjustment.description.endswith("(late usage)")


def test_usage_ahead_of_a_period_that_never_comes_says_so() -> None:
    never = Period(MARCH.start, MARCH.start)
    ahead = LateUsage("sit_1", MARCH, quantity=Decimal(5), billed_quantity=Decimal(0), full_period=never)
    item = PricedItem("sit_1", per_unit("2"), None)
    _, adjustment = decide_charges(FEBRUARY, FEBRUARY, [item], {}, [ahead])
    assert (adjustment.period, int(adjustment.amount)) == (MARCH, 10)
    assert adjustment.description.endswith("(usage ahead)")


def test_a_period_ended_at_its_start_charges_no_usage_unless_there_was_some() -> None:
    at_once = Period(MARCH.start, MARCH.start)
    tier = Tier(None, Decimal(1), flat_amount=Decimal(3))
    item = PricedItem("sit_1", Price("pri_1", "", "USD", PriceModel.GRADUATED, True, tiers=(tier,)), None)
    assert decide_charges(at_once, MARCH, [item], {}, []) == []
    (charge,) = decide_charges(at_once, MARCH, [item], {"sit_1": Decimal(4)}, [])
    assert charge.amount == 7
