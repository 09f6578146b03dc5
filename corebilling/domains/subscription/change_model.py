"""Changes of a subscription's items: what they end and add, when they take effect, and for which fees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from corebilling.domains.subscription.item_model import WantedItem
from corebilling.domains.subscription.model import SubscriptionState
from corebilling.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from corebilling.values.clock import LATEST
from corebilling.values.period import Period

MAX_CHANGE_AHEAD = timedelta(days=731)
MAX_ITEMS_BEGUN = 500
"""By changes within one full period: all of them are read to bill it, and to accept its usage."""
_INSTANT = timedelta(microseconds=1)


class ProrationBehavior(StrEnum):
    """How a change within a period shows in that period's fees."""

    CREATE_PRORATIONS = "create_prorations"
    INVOICE_IMMEDIATELY = "invoice_immediately"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class HeldItem:
    """What a subscription is made of, and pays for from `billed_from` on."""

    id: str
    price_id: str
    quantity: Decimal | None
    billed_from: datetime
    one_time: bool = False


@dataclass(frozen=True, slots=True)
class ItemChange:
    """The items that a change ends, and those that it adds.

    Each has its place in the order asked for, from 1: `places` of those added, `kept` of the others by id.
    """

    ended: tuple[HeldItem, ...]
    added: tuple[WantedItem, ...]
    places: tuple[int, ...]
    kept: Mapping[str, int]

    @property
    def changes_nothing(self) -> bool:
        """The items are the same; in which order does not count then."""
        return not self.ended and not self.added


def decide_item_change(held: Sequence[HeldItem], wanted: Sequence[WantedItem]) -> ItemChange:
    """What it takes to get from the items held to those wanted.

    An item of the same price and quantity stays as it is: its usage is priced together, and what is charged
    once is not charged again.
    """
    left = dict(enumerate(wanted, start=1))
    ended: list[HeldItem] = []
    kept: dict[str, int] = {}
    for item in held:
        same = WantedItem(item.price_id, item.quantity, item.one_time)
        place = next((place for place, other in left.items() if other == same), None)
        if place is None:
            ended.append(item)
        else:
            kept[item.id] = place
            del left[place]
    return ItemChange(tuple(ended), tuple(left.values()), tuple(left), kept)


def check_change_limit(begun: int, period_end: datetime) -> None:
    """Refuses a change after so many items, or commitments, that began in the full period.

    Raises:
        ResourceExhausted: SUBSCRIPTION_CHANGE_LIMIT_REACHED.
    """
    if begun >= MAX_ITEMS_BEGUN:
        raise ResourceExhausted(
            "SUBSCRIPTION_CHANGE_LIMIT_REACHED",
            f"Changes have added {MAX_ITEMS_BEGUN} items or commitments in the current period; wait until it "
            "ends.",
            {"limit": str(MAX_ITEMS_BEGUN), "period_end": period_end.isoformat()},
        )


@dataclass(frozen=True, slots=True)
class ChangeMoment:
    """When a change takes effect; `scheduled`: that moment is still to come."""

    at: datetime
    scheduled: bool


def decide_change_moment(
    state: SubscriptionState,
    *,
    at_period_end: bool,
    effective_at: datetime | None,
    period: Period | None,
    invoiced_before: bool,
    last_change_at: datetime,
    ended_at: datetime | None,
    now: datetime,
) -> ChangeMoment:
    """When a change of items takes effect: at the moment asked for, and now if none was.

    `period` is the part of the current period that is not invoiced. Before it, or before the last change,
    nothing can be changed any more; that is how far back a change may lie. If a part was `invoiced_before`,
    the change lies behind the period's start: with the rest, items are billed for usage since the full
    period's beginning, and one that ended where the rest begins would never be.

    Raises:
        FailedPrecondition: SUBSCRIPTION_TRANSITION_INVALID unless the subscription runs.
        InvalidArgument: SUBSCRIPTION_CHANGE_TIME_INVALID when the moment lies too far back or ahead, or when
            service has ended by then.
    """
    if state not in (SubscriptionState.TRIALING, SubscriptionState.ACTIVE) or period is None:
        raise FailedPrecondition(
            "SUBSCRIPTION_TRANSITION_INVALID",
            f"A subscription that is {state} cannot be changed; only one that is trialing or active can.",
            {"from": state, "to": SubscriptionState.ACTIVE},
        )
    earliest = max(period.start + _INSTANT if invoiced_before else period.start, last_change_at)
    if at_period_end and effective_at is None:
        at = period.end
    else:
        # On the whole second, as a start is: usage stamped with whole seconds is priced anew from it on.
        at = effective_at or max(now.replace(microsecond=0), earliest)
    too_late = min(now + MAX_CHANGE_AHEAD, LATEST, ended_at or LATEST)
    if (at_period_end and effective_at is not None) or not earliest <= at < too_late:
        raise InvalidArgument(
            "SUBSCRIPTION_CHANGE_TIME_INVALID",
            "A change takes effect at the period's end, or at one moment: within the current period, after "
            "what was invoiced of it and not before its last change, or later, before the subscription ends.",
            {"effective_at": at.isoformat(), "earliest": earliest.isoformat()},
        )
    return ChangeMoment(at, scheduled=at > now)


@dataclass(frozen=True, slots=True)
class FeeChange:
    """Until when the old items' fees are due, from when on each new one's, and whether to invoice so far."""

    until: datetime
    begins: tuple[datetime, ...]
    invoice_now: bool


def decide_fee_change(
    behavior: ProrationBehavior,
    *,
    at: datetime,
    period: Period,
    change: ItemChange,
    billed_in_parts: bool,
) -> FeeChange:
    """What a change means for the fees of the period that it falls in.

    Where an earlier change has left the period's fees as they were, they stay so: an item whose own fee has
    not begun hands that beginning on to the one that follows it. `billed_in_parts`: there is a part to be
    invoiced now; not so in a trial, nor where the tenant prorates nothing. One-time fees are due at once.
    """
    within = period.start < at < period.end
    if behavior is ProrationBehavior.NONE and within:
        begins = tuple(at if item.one_time else period.end for item in change.added)
        return FeeChange(period.end, begins, invoice_now=False)
    old = _predecessors(change)
    begins = tuple(
        max(at, old[place].billed_from) if place in old else at for place in range(len(change.added))
    )
    invoice_now = behavior is ProrationBehavior.INVOICE_IMMEDIATELY and within and billed_in_parts
    return FeeChange(at, begins, invoice_now)


def _predecessors(change: ItemChange) -> dict[int, HeldItem]:
    """Which ended item each added one follows, by its place: that of its price, else the next of its kind."""
    left = [item for item in change.ended if not item.one_time]
    found: dict[int, HeldItem] = {}
    for follows in (_same_price, _same_kind):
        for place, new in enumerate(change.added):
            unmatched = place not in found and not new.one_time
            old = next((old for old in left if unmatched and follows(old, new)), None)
            if old is not None:
                found[place] = old
                left.remove(old)
    return found


def _same_price(old: HeldItem, new: WantedItem) -> bool:
    return old.price_id == new.price_id


def _same_kind(old: HeldItem, new: WantedItem) -> bool:
    """Both are licensed, or both metered."""
    return (old.quantity is None) == (new.quantity is None)
