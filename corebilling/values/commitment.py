"""Minimum commitments: what a subscription's periods come to at least, whatever is used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from corebilling.values.money import Rounding, round_number
from corebilling.values.period import ALWAYS, Period

Kept = Mapping[str, int | str]
"""A span as rows keep it, in JSON."""

MAX_KEPT = 1100
"""How many spans are kept: those of two periods and some more, for in each of them 500 may begin."""


@dataclass(frozen=True, slots=True)
class Committed:
    """An amount per full period, in minor units, and the time that it holds for."""

    minimum_minor: int
    span: Period


def standing(spans: Sequence[Committed]) -> int:
    """What is committed to now, or was when the subscription was paused."""
    return spans[-1].minimum_minor if spans else 0


def held(spans: Sequence[Committed], since: datetime) -> int:
    """The most that is committed to at any time from then on."""
    ahead = (one.minimum_minor for one in spans if one.span.end > since)
    return max([standing(spans), *ahead])


def commit(spans: Sequence[Committed], minimum_minor: int, at: datetime) -> list[Committed]:
    """Another minimum from then on; what was to begin later never does."""
    if minimum_minor == standing(spans) and (not spans or spans[-1].span.start <= at):
        return list(spans)
    return [*interrupt(spans, at), Committed(minimum_minor, Period(at, ALWAYS.end))][-MAX_KEPT:]


def interrupt(spans: Sequence[Committed], at: datetime) -> list[Committed]:
    """None from then on, as in a pause. The last one stays in any case: it may be resumed."""
    cut = [replace(one, span=Period(min(one.span.start, at), min(one.span.end, at))) for one in spans]
    return [one for one in cut[:-1] if one.span.start < one.span.end] + cut[-1:]


def resume(spans: Sequence[Committed], at: datetime) -> list[Committed]:
    """The one that a pause interrupted, anew."""
    if not standing(spans):
        return list(spans)
    return [*spans, Committed(standing(spans), Period(at, ALWAYS.end))][-MAX_KEPT:]


def due_minor(spans: Sequence[Committed], share: Callable[[Period], Fraction], rounding: Rounding) -> int:
    """What a period comes to at least: each minimum for its share of it, rounded once."""
    return round_number(sum((one.minimum_minor * share(one.span) for one in spans), Fraction(0)), rounding)


def true_up_minor(minimum_minor: int, lines_minor: int, trued_up_minor: int = 0) -> int:
    """What the lines lack to the minimum, less what was trued up before: below zero if that was too much."""
    return max(minimum_minor - lines_minor, 0) - trued_up_minor


def read(spans: Sequence[Kept] | None) -> list[Committed]:
    return [
        Committed(
            int(one["minimum_minor"]),
            Period(
                datetime.fromisoformat(str(one["starts_at"])), datetime.fromisoformat(str(one["ends_at"]))
            ),
        )
        for one in spans or ()
    ]


def kept(spans: Sequence[Committed]) -> list[Kept] | None:
    return [
        {
            "minimum_minor": one.minimum_minor,
            "starts_at": one.span.start.isoformat(),
            "ends_at": one.span.end.isoformat(),
        }
        for one in spans
    ] or None
