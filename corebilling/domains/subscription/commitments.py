"""What a subscription's periods come to at least: kept in its row, and changed along with its items."""

from collections.abc import Callable, Sequence
from datetime import datetime

from billing_db.models import Subscription

from corebilling.domains.subscription.change_model import ProrationBehavior
from corebilling.values.commitment import Committed, Kept, commit, interrupt, kept, read, resume, standing
from corebilling.values.period import ALWAYS, Period


def first(minimum_minor: int) -> list[Kept] | None:
    """As a new subscription's row keeps it."""
    return kept(commit([], minimum_minor, ALWAYS.start))


def now(subscription: Subscription) -> int:
    return standing(read(subscription.commitments))


def begun(subscription: Subscription, since: datetime) -> int:
    """How many have begun since then."""
    return sum(one.span.start >= since for one in read(subscription.commitments))


def change(
    subscription: Subscription,
    minimum_minor: int | None,
    behavior: ProrationBehavior,
    *,
    at: datetime,
    period: Period,
) -> list[str]:
    """Takes the minimum, if there is another; which field that changes. It begins with the change's fees."""
    if minimum_minor is None:
        return []
    put_off = behavior is ProrationBehavior.NONE and period.start < at < period.end
    begins = period.end if put_off else at
    return _change(subscription, lambda spans: commit(spans, minimum_minor, begins))


def pause(subscription: Subscription, at: datetime) -> None:
    _change(subscription, lambda spans: interrupt(spans, at))


def go_on(subscription: Subscription, at: datetime) -> None:
    _change(subscription, lambda spans: resume(spans, at))


def _change(
    subscription: Subscription, changed: Callable[[Sequence[Committed]], Sequence[Committed]]
) -> list[str]:
    before = read(subscription.commitments)
    after = changed(before)
    if after == before:
        return []
    subscription.commitments = kept(after)
    return ["minimum_commitment_minor"]
