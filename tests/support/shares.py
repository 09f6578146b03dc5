"""Periods cut into segments, and what these have of them: said once more, for charges to be held to."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise

from hypothesis import strategies as st

from corebilling.values.money import Rounding
from corebilling.values.period import Period
from corebilling.values.proration import Grain, Proration, Share


def utc(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


APRIL = Period(utc(2025, 4, 1), utc(2025, 5, 1))
NOTHING = Period(APRIL.start, APRIL.start)

zones = st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Apia"])
grains = st.sampled_from(list(Grain))
terms = st.builds(Proration, grain=grains, timezone=zones, rounding=st.sampled_from(list(Rounding)))
prices = st.decimals(0, 10**6, places=4)
moments = st.timedeltas(timedelta(0), timedelta(days=40)).map(lambda span: utc(2025, 3, 1) + span)
SPAN = Period(utc(2025, 3, 1), utc(2025, 4, 10))


def segments(cuts: list[datetime]) -> list[Period]:
    bounds = [SPAN.start, *sorted(cuts), SPAN.end]
    return [Period(start, end) for start, end in pairwise(bounds)]


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
