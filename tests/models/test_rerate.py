from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.money import minor_units
from corebilling.values.price import Price, PriceModel, Tier, rate
from corebilling.values.rerate import InvoicedPeriod, late_lines, reach_back, rerate, rerate_by_period
from tests.models.test_price import prices, quantities

runs = st.lists(quantities, min_size=1, max_size=5)


def cents(amount: Fraction) -> Fraction:
    return Fraction(minor_units(amount, "USD"), 100)


@given(prices(), runs)
def test_runs_bill_together_what_the_last_quantity_costs(price: Price, quantities: list[Decimal]) -> None:
    billed = sum(run.total_amount for run in rerate(price, quantities, cents))
    assert billed == cents(rate(price, quantities[-1]).amount)


@given(prices(), runs, runs)
def test_it_does_not_matter_in_which_steps_a_quantity_was_reached(
    price: Price, one: list[Decimal], other: list[Decimal]
) -> None:
    last = one[-1]
    total = sum(run.total_amount for run in rerate(price, one, cents))
    assert sum(run.total_amount for run in rerate(price, [*other, last], cents)) == total


@given(prices(), runs)
def test_lines_account_for_what_tiers_charge(price: Price, quantities: list[Decimal]) -> None:
    plain = Price(
        price.id,
        "",
        "USD",
        price.model,
        True,
        price.unit_amount,
        price.unit_size,
        tuple(Tier(tier.up_to, tier.unit_amount, tier.flat_amount, tier.block_size) for tier in price.tiers),
        price.included_quantity,
        minimum_amount=price.minimum_amount,
        zero_usage_flat_fee=price.zero_usage_flat_fee,
    )
    for run in rerate(plain, quantities, Fraction):
        assert sum(line.quantity * line.unit_amount for line in run.lines) == run.total_amount


@given(prices(), quantities)
def test_running_again_bills_nothing(price: Price, quantity: Decimal) -> None:
    first, again = rerate(price, [quantity, quantity], cents)
    assert again.total_amount == 0 or price.minimum_amount is not None
    assert first.total_amount + again.total_amount == cents(rate(price, quantity).amount)


def test_a_fee_is_taken_back_as_a_fee_not_as_units_of_the_same_amount() -> None:
    price = Price(
        "pri_1",
        "",
        "USD",
        PriceModel.GRADUATED,
        True,
        tiers=(Tier(Decimal(5), Decimal(2)), Tier(None, Decimal(1), Decimal(2))),
    )
    _, back = rerate(price, [Decimal(6), Decimal(4)], cents)
    assert back.total_amount == -5
    assert sorted((int(line.quantity), int(line.unit_amount)) for line in back.lines) == [
        (-1, 1),
        (-1, 2),
        (-1, 2),
    ]


@given(prices(), st.lists(st.lists(quantities, min_size=3, max_size=3), min_size=1, max_size=4))
def test_periods_bill_together_what_their_whole_usage_costs(
    price: Price, snapshots: list[list[Decimal]]
) -> None:
    runs = [sorted(snapshot)[: place + 1] for place, snapshot in enumerate(snapshots[:3])]
    billed = sum(sum(amounts) for amounts in rerate_by_period(price, runs, cents))
    assert billed == cents(rate(price, runs[-1][-1]).amount)


@given(st.lists(st.tuples(st.dates(date(2026, 1, 1), date(2026, 6, 30)), quantities), max_size=10))
def test_late_usage_is_billed_once_in_the_period_it_was_used(usage: list[tuple[date, Decimal]]) -> None:
    price = Price("pri_1", "", "USD", PriceModel.PER_UNIT, True, Decimal("0.01"))
    bounds = [date(2026, month, 1) for month in range(1, 8)]
    pairs = list(pairwise(bounds))
    open_periods = [InvoicedPeriod(start, end, Fraction(0)) for start, end in pairs]
    lines = late_lines(price, open_periods, usage, date.min, cents)
    assert sum(line.quantity for line in lines) == sum(
        Fraction(quantity)
        for day, quantity in usage
        if any(line.period.start <= day < line.period.end for line in lines)
    )
    billed = {line.period.start: line.amount for line in lines}
    settled = [InvoicedPeriod(start, end, billed.get(start, Fraction(0))) for start, end in pairs]
    assert late_lines(price, settled, usage, date.min, cents) == ()


def test_an_invoice_reaches_back_to_periods_that_started_so_many_months_ago() -> None:
    price = Price("pri_1", "", "USD", PriceModel.PER_UNIT, True, Decimal(1))
    bounds = [date(2026, month, 1) for month in range(1, 6)]
    periods = [InvoicedPeriod(start, end, Fraction(0)) for start, end in pairwise(bounds)]
    usage = [(start + timedelta(days=3), Decimal(2)) for start in bounds]
    lines = late_lines(price, periods, usage, reach_back(date(2026, 4, 1), 2), cents)
    assert [line.period.start.month for line in lines] == [2, 3, 4]


def test_withdrawn_usage_is_a_credit() -> None:
    price = Price("pri_1", "", "USD", PriceModel.PER_UNIT, True, Decimal(1))
    invoiced = InvoicedPeriod(date(2026, 1, 1), date(2026, 2, 1), Fraction(5))
    (line,) = late_lines(price, [invoiced], [(date(2026, 1, 9), Decimal(2))], date.min, cents)
    assert line.amount == -3
