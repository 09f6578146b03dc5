"""When negotiated amounts are in force.

    to come ──> in force ──> over

What is over stays so; another override of the same price, for the same customer or subscription, ends those
that would be in force beside it.
"""

from datetime import datetime, timedelta

from corebilling.errors import InvalidArgument
from corebilling.values.clock import LATEST
from corebilling.values.period import Period

MAX_OVERRIDES = 1000
"""Of one price, for one customer: all of them are read when it is rated."""
MAX_START_AHEAD = timedelta(days=731)


def decide_validity(
    *,
    valid_from: datetime | None,
    valid_until: datetime | None,
    now: datetime,
    unbilled: Period | None,
) -> tuple[datetime, datetime | None]:
    """From when to when an override is in force: from now on, and for ever, unless it is said otherwise.

    `unbilled` is the subscription's current period if nothing of it is invoiced: it may begin there. What is
    in force when a period begins counts for all of it, so nothing before can be changed any more.

    Raises:
        InvalidArgument: PRICE_OVERRIDE_TIME_INVALID.
    """
    # From the whole second on, as subscriptions start: one that starts in the same second has it.
    present = now.replace(microsecond=0)
    earliest = present if unbilled is None else min(present, unbilled.start)
    start = present if valid_from is None else valid_from
    if not earliest <= start <= min(now + MAX_START_AHEAD, LATEST):
        raise _time_invalid(start, earliest)
    if valid_until is not None and not start < valid_until <= LATEST:
        raise _time_invalid(start, earliest)
    return start, valid_until


def _time_invalid(valid_from: datetime, earliest: datetime) -> InvalidArgument:
    return InvalidArgument(
        "PRICE_OVERRIDE_TIME_INVALID",
        "An override is valid for some time, from now on or at most two years ahead; a subscription's also "
        "from the beginning of its current period on, if nothing of that is invoiced.",
        {"valid_from": valid_from.isoformat(), "earliest": earliest.isoformat()},
    )
