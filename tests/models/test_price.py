from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.money import minor_units
from corebilling.values.price import (
    BY_RECORD,
    Price,
    PriceModel,
    Rated,
    StepKind,
    Tier,
    difference,
    prorate,
    rate,
    rate_increase,
    rate_more,
)
from corebilling.values.price_matrix import CapacityTier, Cell, rate_cells, reached_capacity
from corebilling.values.price_percentage import (
    Allowance,
    Percentage,
    RatedTransactions,
    Transactions,
    rate_groups,
    rate_transactions,
)

quantities = st.decimals(0, 10**12, places=12)
amounts = st.decimals(0, 10**6, places=12)
sizes = st.sampled_from([Decimal(1), Decimal(3), Decimal(1000), Decimal(1_000_000), Decimal("0.5")])
optional_amounts = st.none() | amounts
TIERED = (PriceModel.GRADUATED, PriceModel.VOLUME)
OF_QUANTITIES = tuple(model for model in PriceModel if model not in BY_RECORD)


@st.composite
def tier_lists(draw: st.DrawFn) -> tuple[Tier, ...]:
    bounds = sorted(draw(st.sets(st.decimals("0.000000000001", 10**12, places=12), max_size=5)))
    return tuple(
        Tier(up_to, draw(amounts), draw(amounts), draw(st.none() | sizes), draw(optional_amounts))
        for up_to in [*bounds, None]
    )


@st.composite
def prices(draw: st.DrawFn, models: tuple[PriceModel, ...] = OF_QUANTITIES) -> Price:
    """Any price of these models; a cap is never below the minimum."""
    model = draw(st.sampled_from(models))
    least, most = draw(optional_amounts), draw(optional_amounts)
    return Price(
        id="pri_1",
        description="Calls",
        currency="USD",
        model=model,
        metered=True,
        unit_amount=None if model in TIERED else draw(amounts),
        unit_size=draw(sizes),
        tiers=draw(tier_lists()) if model in TIERED else (),
        included_quantity=draw(st.just(Decimal(0)) | quantities),
        maximum_amount=None if most is None else max(most, least or most),
        minimum_amount=least,
        discount_percent=draw(st.decimals(0, 100, places=4)),
        zero_usage_flat_fee=draw(st.booleans()),
    )


def tiered(model: PriceModel, *tiers: Tier, included: str = "0", unit_size: str = "1") -> Price:
    return Price(
        "pri_1",
        "Calls",
        "USD",
        model,
        True,
        tiers=tiers,
        unit_size=Decimal(unit_size),
        included_quantity=Decimal(included),
    )


def tier(up_to: str, unit_amount: str, flat_amount: str = "0", block_size: str = "") -> Tier:
    bound, block = Decimal(up_to) if up_to else None, Decimal(block_size) if block_size else None
    return Tier(bound, Decimal(unit_amount), Decimal(flat_amount), block)


def total(rated: Rated) -> Fraction:
    parts = [tier.amount for tier in rated.tiers] + [step.amount for step in rated.steps]
    return sum(parts, Fraction(0))


@given(prices((PriceModel.PER_UNIT, PriceModel.GRADUATED, PriceModel.PACKAGE)), quantities)
def test_every_unit_falls_in_exactly_one_tier(price: Price, quantity: Decimal) -> None:
    tiers = rate(price, quantity).tiers
    for one, following in pairwise(tiers):
        assert one.up_to == following.from_quantity
        assert one.quantity == one.up_to - one.from_quantity or not following.quantity
    if tiers:
        assert tiers[0].from_quantity == 0
        assert sum(tier.quantity for tier in tiers) == quantity
    else:
        assert quantity <= price.included_quantity


@given(prices((PriceModel.VOLUME,)), quantities)
def test_volume_puts_all_units_in_the_tier_that_holds_the_last_one(price: Price, quantity: Decimal) -> None:
    reached = [tier for tier in rate(price, quantity).tiers if tier.up_to != price.included_quantity]
    if quantity > price.included_quantity:
        (charge,) = reached
        assert charge.quantity == quantity - price.included_quantity
        assert charge.from_quantity < quantity
        assert charge.up_to is None or quantity <= charge.up_to


@given(prices(), quantities)
def test_tiers_and_steps_account_for_the_whole_amount(price: Price, quantity: Decimal) -> None:
    rated = rate(price, quantity)
    assert total(rated) == rated.amount


@given(prices(), quantities)
def test_each_tiers_amount_follows_from_its_evidence(price: Price, quantity: Decimal) -> None:
    limits = {tier.maximum_amount for tier in price.tiers}
    for charge in rate(price, quantity).tiers:
        owed = Fraction(charge.unit_amount) * charge.units + Fraction(charge.flat_amount)
        assert charge.amount == owed or (charge.amount < owed and charge.amount in limits)


@given(
    prices((PriceModel.FLAT, PriceModel.PER_UNIT, PriceModel.GRADUATED, PriceModel.PACKAGE)),
    quantities,
    quantities,
)
def test_more_never_costs_less(price: Price, one: Decimal, other: Decimal) -> None:
    assert rate(price, min(one, other)).amount <= rate(price, max(one, other)).amount


@given(prices(), st.lists(quantities, min_size=1, max_size=5))
def test_usage_billed_in_parts_costs_what_the_whole_does(price: Price, parts: list[Decimal]) -> None:
    totals = [Decimal(0)]
    for part in parts:
        totals.append(totals[-1] + part)
    increases = [rate_increase(price, *pair) for pair in pairwise(totals)]
    billed = rate(price, Decimal(0)).amount + sum(step.amount for step in increases)
    assert billed == rate(price, totals[-1]).amount


@given(
    prices((PriceModel.PER_UNIT, PriceModel.GRADUATED, PriceModel.PACKAGE)),
    st.lists(quantities, min_size=1, max_size=5),
)
def test_parts_billed_one_after_the_other_reach_the_same_cap_and_minimum(
    price: Price, parts: list[Decimal]
) -> None:
    so_far = Decimal(0)
    billed = rate(price, so_far, final=False).amount
    for place, part in enumerate(parts):
        billed += rate_more(price, so_far, part, billed=billed, final=place == len(parts) - 1).amount
        so_far += part
    assert billed == rate(price, so_far).amount


@given(prices(), quantities, quantities)
def test_the_evidence_of_a_change_accounts_for_all_of_it(price: Price, one: Decimal, other: Decimal) -> None:
    change = rate_increase(price, one, other)
    assert total(change) == change.amount
    back = rate_increase(price, other, one)
    assert back.amount == -change.amount


@given(prices(), quantities, quantities)
def test_the_quantities_of_a_change_sum_to_it(price: Price, one: Decimal, other: Decimal) -> None:
    if price.model is not PriceModel.FLAT and price.zero_usage_flat_fee:
        change = difference(rate(price, other), rate(price, one))
        unchanged_free = sum((tier.quantity for tier in change.tiers), Fraction(0))
        assert unchanged_free == Fraction(other) - Fraction(one)


@given(prices(), quantities)
def test_the_period_is_charged_between_its_minimum_and_its_cap(price: Price, quantity: Decimal) -> None:
    amount = rate(price, quantity).amount
    assert price.minimum_amount is None or amount >= price.minimum_amount
    assert price.maximum_amount is None or amount <= price.maximum_amount


@given(prices(), quantities, st.fractions(0, 1))
def test_cap_and_minimum_of_a_shortened_period_are_shortened_alike(
    price: Price, quantity: Decimal, share: Fraction
) -> None:
    amount = rate(price, quantity, share=share).amount
    assert price.minimum_amount is None or amount >= Fraction(price.minimum_amount) * share
    assert price.maximum_amount is None or amount <= Fraction(price.maximum_amount) * share


@given(prices(), quantities, st.fractions(0, 1))
def test_a_prorated_amount_is_still_the_sum_of_its_evidence(
    price: Price, quantity: Decimal, share: Fraction
) -> None:
    rated = prorate(rate(price, quantity), share)
    assert rated.amount == total(rated) == rate(price, quantity).amount * share


@pytest.mark.parametrize(
    ("quantity", "amount"), [("0", "5"), ("10", "15"), ("10.5", "25.25"), ("11", "25.5"), ("20", "30")]
)
def test_a_bound_belongs_to_the_tier_it_ends_and_the_next_ones_flat_amount_comes_with_it(
    quantity: str, amount: str
) -> None:
    price = tiered(PriceModel.GRADUATED, tier("10", "1", "5"), tier("", "0.5", "10"))
    assert rate(price, Decimal(quantity)).amount == Decimal(amount)


@pytest.mark.parametrize(("quantity", "amount"), [("0", "5"), ("10", "25"), ("10.5", "10.5"), ("20", "20")])
def test_of_a_volume_price_a_bound_belongs_to_the_lower_tier(quantity: str, amount: str) -> None:
    price = tiered(PriceModel.VOLUME, tier("10", "2", "5"), tier("", "1"))
    assert rate(price, Decimal(quantity)).amount == Decimal(amount)


def test_an_endless_fraction_of_a_price_rounds_once_at_the_end() -> None:
    price = tiered(
        PriceModel.GRADUATED, tier("1", "0.005"), tier("2", "0.005"), tier("", "0.005"), unit_size="3"
    )
    assert minor_units(rate(price, Decimal(3)).amount, "USD") == 1


@pytest.mark.parametrize(("used", "blocks"), [("0", 0), ("100", 1), ("100.5", 2), ("1000", 10), ("1001", 11)])
def test_started_blocks_are_charged_whole(used: str, blocks: int) -> None:
    price = tiered(
        PriceModel.GRADUATED, tier("1000", "1", block_size="100"), tier("", "1", block_size="5000")
    )
    assert rate(price, Decimal(used)).amount == blocks


def test_what_lies_above_the_last_tiers_bound_is_charged_at_its_price() -> None:
    price = tiered(PriceModel.GRADUATED, tier("10", "2"), tier("20", "1"))
    assert rate(price, Decimal(30)).amount == 40
    assert rate(tiered(PriceModel.VOLUME, *price.tiers), Decimal(30)).amount == 30


def test_included_units_come_first_and_tiers_count_from_there() -> None:
    price = tiered(PriceModel.GRADUATED, tier("10", "2"), tier("", "1"), included="100")
    rated = rate(price, Decimal(115))
    shown = [(int(one.from_quantity), one.up_to, int(one.quantity), int(one.amount)) for one in rated.tiers]
    assert shown == [(0, 100, 100, 0), (100, 110, 10, 20), (110, None, 5, 5)]


def test_a_volume_that_shrinks_takes_the_old_tier_back_and_charges_the_new_one() -> None:
    price = tiered(PriceModel.VOLUME, tier("10", "5", "3"), tier("", "1"))
    change = rate_increase(price, Decimal(15), Decimal(8))
    assert [(int(one.quantity), int(one.amount)) for one in change.tiers] == [(-15, -15), (8, 43)]
    assert change.amount == 28


def test_discount_cap_and_minimum_are_steps_of_their_own() -> None:
    price = Price(
        "pri_1",
        "",
        "USD",
        PriceModel.PER_UNIT,
        True,
        Decimal(10),
        maximum_amount=Decimal(100),
        minimum_amount=Decimal(20),
        discount_percent=Decimal(50),
    )
    capped, raised = rate(price, Decimal(30)), rate(price, Decimal(1))
    assert [(step.kind, int(step.amount)) for step in capped.steps] == [
        (StepKind.PERCENT_DISCOUNT, -150),
        (StepKind.CAP, -50),
    ]
    assert [(step.kind, int(step.amount)) for step in raised.steps] == [
        (StepKind.PERCENT_DISCOUNT, -5),
        (StepKind.MINIMUM, 15),
    ]
    assert rate(price, Decimal(1), final=False).amount == 5


# Percentages of transactions.

values = st.lists(st.decimals(0, 10**6, places=6), max_size=12)


@st.composite
def percentages(draw: st.DrawFn) -> Percentage:
    least, most = draw(optional_amounts), draw(optional_amounts)
    return Percentage(
        percent=draw(st.decimals(0, 100, places=4)),
        fixed_amount=draw(amounts),
        free_transactions=draw(st.none() | st.integers(0, 6)),
        free_value=draw(st.none() | st.decimals(0, 10**6, places=6)),
        minimum_amount=least,
        maximum_amount=None if most is None else max(most, least or most),
    )


@given(percentages(), values, st.integers(0, 12))
def test_transactions_rated_in_parts_cost_what_they_do_together(
    terms: Percentage, values: list[Decimal], cut: int
) -> None:
    whole = rate_transactions(terms, values)
    first = rate_transactions(terms, values[:cut])
    rest = rate_transactions(terms, values[cut:], first.allowance)
    assert first.amount + rest.amount == whole.amount
    assert first.free_value + rest.free_value == whole.free_value
    assert rest.allowance == whole.allowance


def in_groups(terms: Percentage, transactions: list[Decimal]) -> list[Transactions]:
    """As records are grouped: by whether they are free, and by what is paid for where that is limited."""
    groups: dict[tuple[bool, Fraction], Transactions] = {}
    before = Fraction(0)
    for place, value in enumerate(map(Fraction, transactions), start=1):
        room = Fraction(terms.free_value) - before if terms.free_value else value
        allowed = (
            bool(terms.free_transactions or terms.free_value)
            and (not terms.free_transactions or place <= terms.free_transactions)
            and (not terms.free_value or room > 0)
        )
        free = min(value, room) if allowed else Fraction(0)
        limited = terms.minimum_amount is not None or terms.maximum_amount is not None
        key = (allowed and value <= room, value - free if limited else Fraction(0))
        held = groups.get(key, Transactions(0, Fraction(0), Fraction(0), key[0]))
        groups[key] = replace(
            held,
            count=held.count + 1,
            paid_value=held.paid_value + value - free,
            free_value=held.free_value + free,
        )
        before += value
    return list(groups.values())


@given(percentages(), values)
def test_transactions_that_cost_the_same_are_rated_together(terms: Percentage, values: list[Decimal]) -> None:
    together = rate_groups(terms, in_groups(terms, values))
    assert replace(together, allowance=Allowance()) == replace(
        rate_transactions(terms, values), allowance=Allowance()
    )


@given(percentages(), values)
def test_every_transaction_is_free_or_paid_and_the_parts_sum(
    terms: Percentage, values: list[Decimal]
) -> None:
    rated = rate_transactions(terms, values)
    assert rated.free_transactions + rated.paid_transactions == len(values)
    assert rated.free_value + rated.paid_value == sum(map(Fraction, values))
    parts = rated.rate_amount + rated.fixed_amount + rated.floor_amount + rated.ceiling_amount
    assert rated.amount == parts
    assert not terms.free_transactions or rated.free_transactions <= terms.free_transactions
    assert not terms.free_value or rated.free_value <= terms.free_value


@given(percentages(), values)
def test_each_paid_transaction_costs_between_its_least_and_its_most(
    terms: Percentage, values: list[Decimal]
) -> None:
    rated = RatedTransactions()
    for place, value in enumerate(values):
        one = rate_transactions(terms, [value], rated.allowance if place else None)
        if one.paid_transactions:
            assert terms.minimum_amount is None or one.amount >= terms.minimum_amount
            assert terms.maximum_amount is None or one.amount <= terms.maximum_amount
        else:
            assert one.amount == 0
        rated = one


def test_the_transaction_that_crosses_the_free_value_pays_for_its_excess() -> None:
    terms = Percentage(Decimal("1.3"), Decimal(2), free_transactions=3, free_value=Decimal(250))
    rated = rate_transactions(terms, map(Decimal, (50, 100, 250, 400)))
    assert (rated.amount, rated.paid_value) == (Fraction("11.15"), Fraction(550))


# Prices of several quantities.


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), quantities), max_size=8))
def test_every_quantity_falls_in_exactly_one_cell(usage: list[tuple[str, str, Decimal]]) -> None:
    cells = [
        Cell((("region", "a"), ("size", "x")), Decimal(1)),
        Cell((("region", "a"),), Decimal(2)),
        Cell((), Decimal(3)),
    ]
    charges = rate_cells(cells, [({"region": r, "size": s}, quantity) for r, s, quantity in usage])
    assert sum((one.quantity for one in charges), Fraction(0)) == sum(Fraction(one[2]) for one in usage)
    rates = {("a", "x"): 1, ("a", "y"): 2, ("a", "z"): 2}
    owed = sum(Fraction(quantity) * rates.get((r, s), 3) for r, s, quantity in usage)
    assert sum((one.amount for one in charges), Fraction(0)) == owed


@pytest.mark.parametrize(
    ("cpu", "disk", "reached"), [("1", "5", 0), ("1.5", "1", 1), ("1", "11", 2), ("99", "0", 2)]
)
def test_the_first_tier_that_holds_every_unit_is_charged(cpu: str, disk: str, reached: int) -> None:
    tiers = [
        CapacityTier({"cpu": Decimal(1), "disk": Decimal(5)}, Decimal(10)),
        CapacityTier({"cpu": Decimal(2), "disk": Decimal(10)}, Decimal(20)),
        CapacityTier({"cpu": Decimal(4), "disk": None}, Decimal(30)),
    ]
    assert reached_capacity(tiers, {"cpu": Decimal(cpu), "disk": Decimal(disk)}) == reached
