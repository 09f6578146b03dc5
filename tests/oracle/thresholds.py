"""Usage that is invoiced within its period, as soon as it comes to a threshold."""

from collections.abc import Sequence

from tests.oracle.world import Threshold


def level_reached(thresholds: Sequence[Threshold], spent_minor: int) -> int:
    """The highest of all amounts that are invoiced at, up to what was spent; 0 if there is none.

    Recurring ones are counted from the last of the others.
    """
    once = [one.amount_minor for one in thresholds if not one.recurring]
    levels = [amount_minor for amount_minor in once if amount_minor <= spent_minor]
    for one in thresholds:
        if one.recurring:
            level_minor = max(once, default=0) + one.amount_minor
            while level_minor <= spent_minor:
                levels.append(level_minor)
                level_minor += one.amount_minor
    return max(levels, default=0)
