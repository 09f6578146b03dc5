"""Wholes divided into parts, all in the same smallest unit: the parts always sum to the whole.

What is left over after dividing goes to parts by a rule that depends on nothing but the input, so that the
same division comes out the same on every day and every machine.
"""

from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate, pairwise

from corebilling.values.money import Rounding, round_number

Weight = int | Fraction


def largest_remainder(whole: int, weights: Sequence[Weight]) -> list[int]:
    """The whole divided in proportion to the weights.

    Every part is its exact share rounded down or up, up for those that lose most otherwise; of equals, for
    those that come first. A weight of zero gets nothing, unless all are zero: then all count alike. A
    negative whole is divided as its opposite is.

    Raises:
        ValueError: A weight is negative, or there is no part to hold a whole that is not zero.
    """
    return apportion(whole, shares(whole, weights))


def cumulative(whole: int, weights: Sequence[Weight], rounding: Rounding = Rounding.HALF_UP) -> list[int]:
    """The whole divided in proportion to the weights, in their order: the parts so far always sum to the
    rounded share so far. No part is more than one unit off, and none depends on those after it.

    Raises:
        ValueError: As `largest_remainder`.
    """
    running = [round_number(share, rounding) for share in accumulate(shares(whole, weights))]
    return [now - before for before, now in pairwise([0, *running])]


def shares(whole: Weight, weights: Sequence[Weight]) -> list[Fraction]:
    """The exact share of each weight in the whole.

    Raises:
        ValueError: As `largest_remainder`.
    """
    if any(weight < 0 for weight in weights) or (whole and not weights):
        raise ValueError(f"{whole} cannot be divided by the weights {list(map(str, weights))}")
    total = sum(weights)
    if not total:
        return [Fraction(whole) / len(weights) for _ in weights]
    return [Fraction(whole) * weight / total for weight in weights]


def apportion(whole: int, targets: Sequence[Fraction]) -> list[int]:
    """The parts next to their exact targets that sum to the whole, which is the targets' sum rounded.

    Targets may have either sign. Each part is its target cut to an integer; what the whole has beyond these
    goes, one unit each, to those of its sign that were cut most, of equals to the first.

    Raises:
        ValueError: The whole is no neighbour of the targets' sum.
    """
    if not targets and not whole:
        return []
    if abs(whole - sum(targets, Fraction(0))) >= 1:
        raise ValueError(f"{whole} is not the rounded sum of {list(map(str, targets))}")
    parts = [round_number(target, Rounding.DOWN) for target in targets]
    missing = whole - sum(parts)
    sign = 1 if missing > 0 else -1
    cut = [(target - part) * sign for target, part in zip(targets, parts, strict=True)]
    by_loss = sorted(range(len(parts)), key=lambda place: -cut[place])
    for place in by_loss[: abs(missing)]:
        parts[place] += sign
    return parts
