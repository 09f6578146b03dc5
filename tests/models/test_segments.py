"""Periods that changes cut into segments: each item is charged for its own."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.rating.charging import decide_charges
from corebilling.domains.rating.model import Charge, ChargeKind, LateUsage, PricedItem
from corebilling.values.money import exact_amount
from corebilling.values.period import ALWAYS, Period
from corebilling.values.price import Price, PriceModel, Tier
from corebilling.values.proration import Grain, Proration
from tests.support.shares import segment_shares

TINY = Fraction(1, 10**30)
"""Charges keep 40 decimals of an endless fraction."""

MARCH = Period(datetime(2025, 3, 1, 12, tzinfo=UTC), datetime(2025, 4, 1, 12, tzinfo=UTC))

moments = st.timedeltas(timedelta(0), MARCH.end - MARCH.start).map(lambda span: MARCH.start + span)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York"])


def fee(amount: Decimal) -> Price:
    return Price("pri_fee", "Fee", "USD", PriceModel.FLAT, metered=False, unit_amount=amount)


METERED = Price(
    "pri_calls",
    "Calls",
    "USD",
    PriceModel.GRADUATED,
    metered=True,
    tiers=(Tier(None, Decimal(1), Decimal(3)),),
    minimum_amount=Decimal(20),
)


def total(charges: list[Charge]) -> Fraction:
    return sum((Fraction(charge.amount) for charge in charges), Fraction(0))


def segments(cuts: list[datetime]) -> list[Period]:
    return [Period(start, end) for start, end in pairwise([ALWAYS.start, *sorted(cuts), ALWAYS.end])]


@given(
    cuts=st.lists(moments, max_size=5),
    amounts=st.lists(st.decimals(0, 1000, places=2), min_size=6, max_size=6),
    grain=st.sampled_from(Grain),
    timezone=zones,
)
def test_fees_are_shares_of_the_prices_that_held(cuts, amounts, grain, timezone):
    terms = Proration(grain, timezone)
    parts = segments(cuts)
    items = [
        PricedItem(f"sit_{place}", fee(amount), Decimal(1), billed=part)
        for place, (amount, part) in enumerate(zip(amounts, parts, strict=False))
    ]
    charges = decide_charges(MARCH, MARCH, items, {}, [], terms)
    inside = [Period(max(part.start, MARCH.start), min(part.end, MARCH.end)) for part in parts]
    shares = segment_shares(inside, MARCH, terms)
    exact = sum(Fraction(amount) * share.factor for amount, share in zip(amounts, shares, strict=False))
    assert -TINY < total(charges) - exact < TINY
    assert all(charge.amount >= 0 for charge in charges)


@given(at=moments.filter(lambda at: MARCH.start < at < MARCH.end), amount=st.decimals(1, 1000, places=2))
def test_a_period_invoiced_in_parts_costs_what_it_costs_at_once(at, amount):
    items = [
        PricedItem("sit_1", fee(amount), Decimal(1)),
        PricedItem("sit_2", METERED, None),
    ]
    used = {"sit_2": Decimal(12)}
    first = decide_charges(Period(MARCH.start, at), MARCH, items, {}, [])
    rest = decide_charges(Period(at, MARCH.end), MARCH, items, used, [])
    whole = decide_charges(MARCH, MARCH, items, used, [])
    assert -TINY < total(first + rest) - total(whole) < TINY
    assert [charge.period for charge in rest if charge.kind is ChargeKind.USAGE] == [MARCH]


@given(
    cuts=st.sets(moments, max_size=4),
    amount=st.decimals(0, 1000, places=3),
    grain=st.sampled_from(["second", "day"]),
)
def test_each_part_of_a_fee_knows_what_was_charged_before_and_the_last_makes_it_whole(cuts, amount, grain):
    item = PricedItem("sit_1", fee(amount), Decimal(1))
    parts = [Period(*bounds) for bounds in pairwise(sorted({MARCH.start, *cuts, MARCH.end}))]
    so_far = Decimal(0)
    for part in parts:
        for charge in decide_charges(part, MARCH, [item], {}, [], Proration(Grain(grain), "UTC")):
            assert charge.amount_before == so_far
            so_far = exact_amount(Fraction(so_far) + Fraction(charge.amount))
    assert so_far == amount


def test_an_item_of_another_time_is_not_charged():
    before = Period(ALWAYS.start, MARCH.start)
    after = Period(MARCH.end, ALWAYS.end)
    items = [
        PricedItem("sit_1", fee(Decimal(31)), Decimal(1), billed=before),
        PricedItem("sit_2", fee(Decimal(31)), Decimal(1), billed=after),
        PricedItem("sit_3", METERED, None, served=before),
        PricedItem("sit_4", METERED, None, served=after),
    ]
    assert decide_charges(MARCH, MARCH, items, {}, []) == []


@given(grain=st.sampled_from(Grain), hours=st.integers(0, 3), quantity=st.decimals(0, 1000, places=2))
def test_a_cap_holds_also_where_the_item_served_no_time(grain, hours, quantity):
    served = Period(MARCH.start, MARCH.start + timedelta(hours=hours))
    capped = replace(METERED, minimum_amount=None, maximum_amount=Decimal(100))
    item = PricedItem("sit_1", capped, None, served=served)
    never_came = LateUsage("sit_1", MARCH, quantity, Decimal(0), Period(MARCH.end, MARCH.end))
    charges = decide_charges(MARCH, MARCH, [item], {"sit_1": quantity}, [never_came], Proration(grain))
    assert all(charge.amount <= 100 for charge in charges)
    assert charges[-1].amount == min(quantity, 97)  # The flat amount of 3 is due unused, too.


def test_usage_that_was_accepted_is_charged_though_its_item_served_no_time():
    instant = MARCH.start + timedelta(days=3)
    item = PricedItem("sit_1", METERED, None, served=Period(instant, instant))
    (charge,) = decide_charges(MARCH, MARCH, [item], {"sit_1": Decimal(2)}, [])
    assert (charge.kind, charge.amount, charge.period.start) == (ChargeKind.USAGE, Decimal(5), instant)
