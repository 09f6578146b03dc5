"""Items of one price that follow one another within a period: priced as if one had served all along."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.rating.charging import decide_charges
from corebilling.domains.rating.model import BilledUsage, Charge, ChargeKind, LateUsage, PricedItem
from corebilling.domains.rating.usage_charges import have_others_beside, running_price
from corebilling.values.money import exact_amount
from corebilling.values.period import ALWAYS, Period
from corebilling.values.price import Price, PriceModel, Tier, rate
from corebilling.values.proration import Grain, Proration

MARCH = Period(datetime(2025, 3, 1, 12, tzinfo=UTC), datetime(2025, 4, 1, 12, tzinfo=UTC))
MAY = Period(datetime(2025, 5, 1, 12, tzinfo=UTC), datetime(2025, 6, 1, 12, tzinfo=UTC))
TINY = Fraction(1, 10**30)

PLAIN = Price(
    "pri_calls",
    "Calls",
    "USD",
    PriceModel.GRADUATED,
    metered=True,
    tiers=(Tier(Decimal(10), Decimal("0.333")), Tier(None, Decimal("0.1"), Decimal(3))),
    included_quantity=Decimal(5),
)
prices = st.sampled_from(
    [
        PLAIN,
        replace(PLAIN, minimum_amount=Decimal(20)),
        replace(PLAIN, maximum_amount=Decimal(4)),
        replace(PLAIN, model=PriceModel.VOLUME, minimum_amount=Decimal(1), maximum_amount=Decimal(4)),
        replace(PLAIN, model=PriceModel.PACKAGE, tiers=(), unit_amount=Decimal(7), unit_size=Decimal(4)),
    ]
)
moments = st.timedeltas(timedelta(0), MARCH.end - MARCH.start).map(lambda span: MARCH.start + span)
quantities = st.lists(st.decimals(0, 30, places=1), min_size=6, max_size=6)
aggregations = st.sampled_from(["sum", "count", "max"])
grains = st.sampled_from(Grain)


def followers(
    price: Price, cuts: Sequence[datetime], aggregation: str = "sum", *, pause: timedelta = timedelta(0)
) -> list[PricedItem]:
    """Items of the price, one up to each cut and one after the last; a pause lies behind each cut."""
    bounds = [ALWAYS.start, *sorted(cuts), ALWAYS.end]
    return [
        PricedItem(
            f"sit_{place}",
            price,
            None,
            served=Period(start if place == 0 else min(start + pause, end), end),
            aggregation=aggregation,
        )
        for place, (start, end) in enumerate(pairwise(bounds))
    ]


def total(charges: Sequence[Charge]) -> Fraction:
    return sum((Fraction(charge.amount) for charge in charges), Fraction(0))


def together(aggregation: str, used: Sequence[Decimal]) -> Decimal:
    return max(used) if aggregation == "max" else exact_amount(sum(map(Fraction, used), Fraction(0)))


@given(prices, st.lists(moments, max_size=5), quantities, aggregations, grains)
def test_pauses_of_no_length_change_nothing_of_what_is_billed(price, cuts, used, aggregation, grain):
    items = followers(price, cuts, aggregation)
    usage = {item.id: quantity for item, quantity in zip(items, used, strict=False)}
    charges = decide_charges(MARCH, MARCH, items, usage, [], Proration(grain))
    (alone,) = decide_charges(
        MARCH,
        MARCH,
        [PricedItem("sit_0", price, None, aggregation=aggregation)],
        {"sit_0": together(aggregation, list(usage.values()))},
        [],
        Proration(grain),
    )
    assert -TINY < total(charges) - Fraction(alone.amount) < TINY
    assert all(charge.kind is ChargeKind.USAGE for charge in charges)
    assert {charge.item_id: charge.quantity for charge in charges if charge.quantity} == {
        item_id: quantity for item_id, quantity in usage.items() if quantity
    }
    so_far = Decimal(0)
    for charge in charges:
        assert charge.amount_before == so_far
        so_far = exact_amount(Fraction(so_far) + Fraction(charge.amount))


@given(st.lists(moments, max_size=5), quantities, grains, st.timedeltas(timedelta(0), timedelta(days=3)))
def test_however_often_it_pauses_cap_and_minimum_are_due_for_what_was_served(cuts, used, grain, pause):
    for price in (replace(PLAIN, maximum_amount=Decimal(4)), replace(PLAIN, minimum_amount=Decimal(500))):
        items = followers(price, cuts, pause=pause)
        usage = {item.id: quantity for item, quantity in zip(items, used, strict=False)}
        charged = total(decide_charges(MARCH, MARCH, items, usage, [], Proration(grain)))
        share = served_share(items, Proration(grain))
        if price.maximum_amount:
            assert charged <= 4 * (share or 1) + TINY  # What serves no time has all of the cap.
        else:
            assert 500 * share - TINY < charged <= 500


def served_share(items: Sequence[PricedItem], terms: Proration) -> Fraction:
    """Of March, by all items: not more than all of it, though two may have served on the same day."""
    spans = (
        Period(max(MARCH.start, item.served.start), min(MARCH.end, item.served.end))
        for item in items
        if item.served.start < min(MARCH.end, item.served.end)
    )
    return min(sum((terms.share(span, MARCH).factor for span in spans), Fraction(0)), Fraction(1))


@given(prices, st.lists(moments, max_size=3), moments, quantities, aggregations)
def test_a_period_invoiced_in_parts_goes_on_where_it_stopped(price, cuts, at, used, aggregation):
    items = followers(price, cuts, aggregation)
    usage = {item.id: quantity for item, quantity in zip(items, used, strict=False)}
    first, rest = Period(MARCH.start, at), Period(at, MARCH.end)
    # What serves on is billed with the rest, as is what was accepted for an item that served no time.
    ended = {item.id: usage[item.id] for item in items if item.served.end <= at}
    billed = {
        item_id: [BilledUsage(max(MARCH.start, item.served.start), usage[item_id])]
        for item in items
        if (item_id := item.id) in ended and max(MARCH.start, item.served.start) < MARCH.end
    }
    left = {item_id: quantity for item_id, quantity in usage.items() if item_id not in ended}
    parts = decide_charges(first, MARCH, items, ended, [])
    parts += decide_charges(rest, MARCH, items, left, [], billed=billed)
    whole = decide_charges(MARCH, MARCH, items, usage, [])
    if at > MARCH.start and at < MARCH.end:
        assert -TINY < total(parts) - total(whole) < TINY


@given(prices, st.lists(moments, max_size=3), quantities, quantities, aggregations)
def test_late_usage_of_any_of_them_comes_to_what_it_would_have_cost_in_time(
    price, cuts, used, more, aggregation
):
    items = followers(price, cuts, aggregation)
    before = {item.id: quantity for item, quantity in zip(items, used, strict=False)}
    after = {
        item.id: max(used[place], more[place]) if aggregation == "max" else used[place] + more[place]
        for place, item in enumerate(items)
    }
    starts = {item.id: max(MARCH.start, item.served.start) for item in items}
    items = [item for item in items if starts[item.id] < MARCH.end]
    late = [
        LateUsage(
            item.id,
            Period(starts[item.id], min(item.served.end, MARCH.end)),
            after[item.id],
            before[item.id],
            MARCH,
        )
        for item in items
        if after[item.id] != before[item.id]
    ]
    billed = {item.id: [BilledUsage(starts[item.id], before[item.id])] for item in items}
    in_time = decide_charges(MARCH, MARCH, items, {item.id: before[item.id] for item in items}, [])
    too_late = [
        charge
        for charge in decide_charges(MAY, MAY, items, {}, late, billed=billed)
        if charge.kind is ChargeKind.ADJUSTMENT
    ]
    at_once = decide_charges(MARCH, MARCH, items, {item.id: after[item.id] for item in items}, [])
    assert -TINY < total(in_time + too_late) - total(at_once) < TINY


@given(prices, st.lists(moments, max_size=4), quantities, aggregations)
def test_running_amounts_add_up_to_what_all_used_together(price, cuts, used, aggregation):
    items = followers(price, cuts, aggregation)
    quantities_used = {item.id: quantity for item, quantity in zip(items, used, strict=False)}
    amounts = [running_price(item, items, MARCH, quantities_used, ALWAYS).amount for item in items]
    whole = rate(price, together(aggregation, list(quantities_used.values())), final=False)
    assert sum(amounts, Fraction(0)) == whole.amount


def test_only_metered_items_of_the_same_price_are_priced_together():
    fee = Price("pri_fee", "Fee", "USD", PriceModel.FLAT, metered=False, unit_amount=Decimal(1))
    other = replace(PLAIN, id="pri_other")
    items = [
        PricedItem("sit_1", fee, Decimal(1)),
        PricedItem("sit_2", fee, Decimal(1)),
        PricedItem("sit_3", PLAIN, None),
        PricedItem("sit_4", other, None),
        PricedItem("sit_5", PLAIN, None),
    ]
    assert have_others_beside(items) == ["sit_3", "sit_5"]
