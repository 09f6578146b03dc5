"""Subscriptions: a customer's agreement to pay, period after period.

    created ──> trialing ──> active ──> canceled
       │            │        ^    │        ^
       ├────────────┼──────> │    v        │
       │            │        paused ──────>│
       └────────────┴──────────────────────┘

`created` is skipped when the start has come, `trialing` when there is no trial.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from corebilling.errors import FailedPrecondition, InvalidArgument, ResourceExhausted
from corebilling.values.clock import EARLIEST, LATEST
from corebilling.values.period import BillingCalendar, IntervalUnit, Period, Segment, anchor_on, trial_end

MAX_START_AHEAD = timedelta(days=731)
MAX_CHANGE_AHEAD = timedelta(days=731)
MAX_ITEMS_BEGUN = 500
"""By changes within one full period: all of them are read to bill it, and to accept its usage."""
_INSTANT = timedelta(microseconds=1)


class SubscriptionState(StrEnum):
    CREATED = "created"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAUSED = "paused"
    CANCELED = "canceled"


_STEPS = {
    SubscriptionState.CREATED: {
        SubscriptionState.TRIALING,
        SubscriptionState.ACTIVE,
        SubscriptionState.CANCELED,
    },
    SubscriptionState.TRIALING: {SubscriptionState.ACTIVE, SubscriptionState.CANCELED},
    SubscriptionState.ACTIVE: {SubscriptionState.PAUSED, SubscriptionState.CANCELED},
    SubscriptionState.PAUSED: {SubscriptionState.ACTIVE, SubscriptionState.CANCELED},
    SubscriptionState.CANCELED: set(),
}


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A step of the lifecycle, announced as `subscription.status.changed`."""

    old: SubscriptionState
    new: SubscriptionState


def apply_lifecycle(old: SubscriptionState, new: SubscriptionState) -> StatusChange:
    """The step from one state to another.

    Raises:
        FailedPrecondition: SUBSCRIPTION_TRANSITION_INVALID, naming both states.
    """
    if new not in _STEPS[old]:
        raise _transition_invalid(old, new)
    return StatusChange(old, new)


def _transition_invalid(old: SubscriptionState, new: SubscriptionState) -> FailedPrecondition:
    return FailedPrecondition(
        "SUBSCRIPTION_TRANSITION_INVALID",
        f"A subscription that is {old} cannot become {new}.",
        {"from": old, "to": new},
    )


@dataclass(frozen=True, slots=True)
class OfferedPrice:
    """What a subscription must know of a price to take it: by currency, how much an invoice line can hold.

    A one-time price has no interval.
    """

    id: str
    code: str
    max_quantities: Mapping[str, Decimal | None]
    metered: bool
    meter_id: str | None
    interval_unit: IntervalUnit | None
    interval_count: int | None

    @property
    def one_time(self) -> bool:
        return self.interval_unit is None


@dataclass(frozen=True, slots=True)
class WantedItem:
    price_id: str
    quantity: Decimal | None
    one_time: bool = False


def decide_items(
    wanted: Sequence[WantedItem], prices: dict[str, OfferedPrice], currency: str
) -> tuple[Sequence[WantedItem], IntervalUnit, int]:
    """The items with their quantities filled in, and the interval that those which recur share.

    Raises:
        InvalidArgument: SUBSCRIPTION_ITEMS_INVALID, saying what contradicts what, or PRICE_CURRENCY_MISSING.
    """
    taken = [prices[item.price_id] for item in wanted]
    first = next((price for price in taken if not price.one_time), None)
    if first is None:
        raise _items_invalid("at least one price recurs; bill what is due once with CreateInvoice")
    meters = [price.meter_id for price in taken if price.metered]
    if len(set(meters)) < len(meters):
        raise _items_invalid("two items have the same meter")
    for item, price in zip(wanted, taken, strict=True):
        interval = (price.interval_unit, price.interval_count)
        if not price.one_time and interval != (first.interval_unit, first.interval_count):
            raise _items_invalid("all prices have the same billing interval")
        if currency not in price.max_quantities:
            raise _currency_missing(price, currency)
        if price.metered and item.quantity is not None:
            raise _items_invalid("a metered item's quantity comes from its meter: leave it empty")
    filled = [
        item
        if price.metered
        else WantedItem(item.price_id, Decimal(1) if item.quantity is None else item.quantity, price.one_time)
        for item, price in zip(wanted, taken, strict=True)
    ]
    for item in filled:
        check_quantity(item.price_id, item.quantity, prices[item.price_id].max_quantities[currency])
    unit, count = first.interval_unit, first.interval_count
    assert unit is not None, "it recurs"
    assert count is not None, "it recurs"
    return filled, unit, count


def check_quantity(price_id: str, quantity: Decimal | None, most: Decimal | None) -> None:
    """Refuses more than an invoice line can hold; None is no limit.

    Raises:
        InvalidArgument: SUBSCRIPTION_ITEMS_INVALID.
    """
    if quantity is not None and most is not None and quantity > most:
        raise _items_invalid(f"take at most {most:f} of price {price_id}: an invoice line holds no more")


def check_interval(held: tuple[str, int], wanted: tuple[str, int]) -> None:
    """Refuses a change of the billing interval: periods would no longer follow one another.

    Raises:
        InvalidArgument: SUBSCRIPTION_ITEMS_INVALID.
    """
    if held != wanted:
        raise _items_invalid("the billing interval stays as it is; start a new subscription for another")


def _currency_missing(price: OfferedPrice, currency: str) -> InvalidArgument:
    sold_in = ", ".join(price.max_quantities)
    return InvalidArgument(
        "PRICE_CURRENCY_MISSING",
        f"The customer pays in {currency}, and price {price.code} is sold in {sold_in} only: create its next "
        f"version with a currency option for {currency}, or take another price.",
        {"price_id": price.id, "code": price.code, "currency": currency, "currencies": sold_in},
    )


def _items_invalid(detail: str) -> InvalidArgument:
    return InvalidArgument(
        "SUBSCRIPTION_ITEMS_INVALID", f"The items do not fit: {detail}.", {"detail": detail}
    )


@dataclass(frozen=True, slots=True)
class Opening:
    """How a subscription begins: its state, and the segment it is in or will begin with."""

    state: SubscriptionState
    calendar: BillingCalendar
    segment: Segment


def decide_opening(
    *,
    start_at: datetime,
    trial_days: int,
    interval_unit: IntervalUnit,
    interval_count: int,
    timezone: str,
    now: datetime,
    billing_day: int = 0,
) -> Opening:
    """The state and first period of a new subscription.

    A trial lasts `trial_days` times 24 hours, and the billed periods count from its end; or from midnight on
    the `billing_day` of the month, if there is one.

    Raises:
        InvalidArgument: SUBSCRIPTION_ITEMS_INVALID for a billing day of what is not billed by months.
        InvalidArgument: SUBSCRIPTION_START_INVALID when it starts more than one interval back, or more than
            two years ahead.
    """
    if not EARLIEST <= start_at <= min(now + MAX_START_AHEAD, LATEST):
        raise _start_invalid(start_at)
    trial_end_at = trial_end(start_at, trial_days) if trial_days else None
    billed_from = trial_end_at or start_at
    if billing_day and interval_unit not in ("month", "year"):
        raise _items_invalid("a billing day is for what is billed by the month or year")
    calendar = BillingCalendar(
        anchor_at=anchor_on(billing_day, billed_from, timezone) if billing_day else billed_from,
        interval_unit=interval_unit,
        interval_count=interval_count,
        timezone=timezone,
        start_at=start_at,
        trial_end_at=trial_end_at,
    )
    if replace(calendar, anchor_at=start_at).boundary(1) <= now:
        raise _start_invalid(start_at)
    segment = calendar.segment(start_at)
    assert segment is not None, "the calendar begins with the start"
    state = SubscriptionState.CREATED if start_at > now else running_state(segment)
    return Opening(state, calendar, segment)


def _start_invalid(start_at: datetime) -> InvalidArgument:
    return InvalidArgument(
        "SUBSCRIPTION_START_INVALID",
        "A subscription starts at most one billing interval back and two years ahead.",
        {"start_at": start_at.isoformat()},
    )


def decide_resumption(state: SubscriptionState) -> StatusChange:
    """The step from paused back to active.

    Raises:
        FailedPrecondition: SUBSCRIPTION_TRANSITION_INVALID when it is not paused.
    """
    if state is not SubscriptionState.PAUSED:
        raise _transition_invalid(state, SubscriptionState.ACTIVE)
    return apply_lifecycle(state, SubscriptionState.ACTIVE)


def running_state(segment: Segment, *, paused: bool = False) -> SubscriptionState:
    """The state of a subscription while the segment runs; a pause outlasts its period."""
    if paused:
        return SubscriptionState.PAUSED
    return SubscriptionState.TRIALING if segment.trial else SubscriptionState.ACTIVE


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


def next_segment(calendar: BillingCalendar, ended: Period) -> Segment:
    """What follows a period that ended."""
    segment = replace(calendar, ended_at=None).segment(ended.end)
    assert segment is not None, "a running subscription has a next period"
    return segment


@dataclass(frozen=True, slots=True)
class Cancellation:
    """When service ends: at once, or without a change of state when the period ends.

    `before_billing`: no billed period begins before it. Then all usage is free, also what was reported
    ahead of the clock for a period that never comes.
    """

    change: StatusChange | None
    ended_at: datetime
    at_period_end: bool
    before_billing: bool


def decide_cancellation(
    state: SubscriptionState,
    *,
    at_period_end: bool,
    period_end: datetime | None,
    start_at: datetime,
    now: datetime,
) -> Cancellation:
    """How a cancellation takes effect. One that has not started ends at its start, whatever was asked.

    `period_end` lies ahead: boundaries that have come are passed first. So a second cancellation never ends
    service later than the first.

    Raises:
        FailedPrecondition: SUBSCRIPTION_TRANSITION_INVALID when it is canceled already.
    """
    change = apply_lifecycle(state, SubscriptionState.CANCELED)
    if state is SubscriptionState.CREATED:
        return Cancellation(change, ended_at=start_at, at_period_end=False, before_billing=True)
    before_billing = state is SubscriptionState.TRIALING
    if not at_period_end:
        return Cancellation(change, ended_at=now, at_period_end=False, before_billing=before_billing)
    assert period_end is not None, "a subscription that runs is in a period"
    return Cancellation(None, ended_at=period_end, at_period_end=True, before_billing=before_billing)
