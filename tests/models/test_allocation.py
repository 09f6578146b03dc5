from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.allocation import apportion, cumulative, largest_remainder, shares
from corebilling.values.money import Rounding

WHOLES = st.integers(-(10**12), 10**12)
WEIGHTS = st.lists(st.integers(0, 10**9) | st.fractions(0, 100), min_size=1, max_size=12)


@given(WHOLES, WEIGHTS)
def test_parts_sum_to_the_whole_and_each_is_its_share_rounded_down_or_up(whole, weights) -> None:
    parts = largest_remainder(whole, weights)
    assert sum(parts) == whole
    assert all(abs(part - share) < 1 for part, share in zip(parts, shares(whole, weights), strict=True))


@given(WHOLES, WEIGHTS, st.sampled_from(Rounding))
def test_parts_of_cumulative_rounding_sum_to_the_whole_too(whole, weights, rounding) -> None:
    assert sum(cumulative(whole, weights, rounding)) == whole


@given(WHOLES, WEIGHTS)
def test_a_negative_whole_is_divided_as_its_opposite_is(whole, weights) -> None:
    assert largest_remainder(-whole, weights) == [-part for part in largest_remainder(whole, weights)]


@given(WHOLES, WEIGHTS)
def test_a_weight_of_zero_gets_nothing_beside_others(whole, weights) -> None:
    parts = largest_remainder(whole, [*weights, 1, 0])
    assert parts[-1] == 0


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=8), st.data())
def test_no_part_of_at_most_all_weights_is_above_its_weight(weights, data) -> None:
    whole = data.draw(st.integers(0, sum(weights)))
    parts = largest_remainder(whole, weights)
    assert all(0 <= part <= weight for part, weight in zip(parts, weights, strict=True))


@given(st.lists(st.fractions(-1000, 1000), max_size=10), st.booleans())
def test_targets_of_either_sign_get_neighbouring_parts_that_sum_to_their_rounded_sum(targets, up) -> None:
    total = sum(targets, Fraction(0))
    whole = total.__ceil__() if up else total.__floor__()
    parts = apportion(whole, targets)
    assert sum(parts) == whole
    assert all(abs(part - target) < 1 for part, target in zip(parts, targets, strict=True))


@pytest.mark.parametrize(
    ("whole", "weights", "parts"),
    [
        (5, [1, 1, 1], [2, 2, 1]),
        (-5, [1, 1, 1], [-2, -2, -1]),
        (10000, [1, 1, 1], [3334, 3333, 3333]),
        (1, [1, 2], [0, 1]),
        (3, [0, 0], [2, 1]),
        (0, [], []),
        (7, [0, 5, 0], [0, 7, 0]),
    ],
)
def test_what_is_left_over_goes_to_those_cut_most_and_of_equals_to_the_first(whole, weights, parts) -> None:
    assert largest_remainder(whole, weights) == parts


def test_cumulative_rounding_is_off_by_at_most_half_at_any_point() -> None:
    assert cumulative(10000, [1, 1, 1]) == [3333, 3334, 3333]
    assert cumulative(2, [1, 1, 1, 1]) == [1, 0, 1, 0]


@pytest.mark.parametrize("weights", [[], [1, -1]])
def test_a_whole_is_not_divided_among_nobody_or_by_negative_weights(weights) -> None:
    with pytest.raises(ValueError, match="cannot be divided"):
        largest_remainder(1, weights)


def test_parts_are_refused_that_their_targets_do_not_round_to() -> None:
    with pytest.raises(ValueError, match="rounded sum"):
        apportion(3, [Fraction(1), Fraction(1)])
