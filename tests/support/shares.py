"""What segments of a period have of it, said once more: the rule that charges are held to."""

from collections.abc import Sequence

from corebilling.values.exact import Fraction
from corebilling.values.period import Period
from corebilling.values.proration import Grain, Proration, Share


def segment_shares(segments: Sequence[Period], full: Period, terms: Proration) -> list[Share]:
    """What segments that follow one another, in order, have of the full period; of a whole one, 1 in sum.

    Where nothing is prorated, the terms that a period ends with are those of all of it: the last segment
    that has a length takes what all of them have together.
    """
    shares = [terms.share(segment, full) for segment in segments]
    if terms.grain is not Grain.NONE:
        return shares
    last = max((place for place, share in enumerate(shares) if share.units), default=None)
    nothing = Share(Fraction(0), Fraction(1), Fraction(0))
    return [share if place == last else nothing for place, share in enumerate(shares)]
