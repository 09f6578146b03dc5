"""Subscriptions: a customer's agreement to pay, period after period.

    created ──> trialing ──> active ──> canceled
       │            │        ^    │        ^
       ├────────────┼──────> │    v        │
       │            │        paused ──────>│
       └────────────┴──────────────────────┘

`created` is skipped when the start has come, `trialing` when there is no trial.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from corebilling.domains.subscription.item_model import items_invalid
from corebilling.errors import FailedPrecondition, InvalidArgument
from corebilling.values.clock import EARLIEST, LATEST
from corebilling.values.period import BillingCalendar, IntervalUnit, Period, Segment, anchor_on, trial_end

MAX_START_AHEAD = timedelta(days=731)


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
        raise items_invalid("a billing day is for what is billed by the month or year")
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
