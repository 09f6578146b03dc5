from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.period import Period
from corebilling.values.proration import Grain, Proration
from tests.support.shares import APRIL, NOTHING, SPAN, moments, prices, segment_shares, segments, terms, utc


@given(cuts=st.lists(moments, max_size=6), rules=terms)
def test_shares_of_a_partition_sum_to_one(cuts, rules):
    shares = segment_shares(segments(cuts), SPAN, rules)
    assert sum(share.factor for share in shares) == 1
    assert all(0 <= share.factor <= 1 for share in shares)


@given(start=moments, end=moments, rules=terms, price=prices)
def test_a_part_costs_nothing_at_least_and_never_more_than_the_whole(start, end, rules, price):
    share = rules.share(Period(start, end), SPAN)
    assert 0 <= share.factor <= 1
    assert 0 <= rules.minor(Fraction(price) * share.factor, "USD") <= rules.minor(price, "USD")


@given(rules=terms)
def test_what_has_no_length_costs_nothing(rules):
    assert rules.share(NOTHING, APRIL).factor == 0
    assert rules.share(APRIL, NOTHING).factor == 0
    assert segment_shares([NOTHING, APRIL, NOTHING], APRIL, rules)[1].factor == 1


def test_a_day_that_a_change_cuts_belongs_to_the_new():
    rules = Proration(Grain.DAY, "Europe/Berlin")
    noon = utc(2025, 4, 16, 12)
    assert rules.share(Period(APRIL.start, noon), APRIL).units == 15
    assert rules.share(Period(noon, APRIL.end), APRIL).units == 15


@pytest.mark.parametrize(
    ("start", "end", "fixed", "units"),
    [
        ((2023, 5, 23), (2023, 6, 15), 30, 22),
        ((2023, 6, 23), (2023, 7, 15), 30, 22),
        ((2023, 2, 23), (2023, 3, 15), 30, 22),
        ((2024, 2, 23), (2024, 3, 15), 30, 22),
        ((2023, 5, 23), (2023, 6, 15), 28, 20),
        ((2023, 5, 3), (2023, 5, 13), 30, 10),
    ],
)
def test_fixed_months_have_so_many_days(start, end, fixed, units):
    share = Proration(Grain.DAY, fixed_days=fixed).share(Period(utc(*start), utc(*end)), APRIL)
    assert (share.units, share.of) == (units, fixed)


def test_a_scaled_factor_is_rounded_before_it_meets_a_price():
    rules = Proration(Grain.DAY, factor_scale=2)
    assert rules.share(Period(APRIL.start, utc(2025, 4, 11)), APRIL).factor == Fraction(33, 100)
