"""Billing cycles: one period of one subscription, from its start to its invoice.

    scheduled ──> open ──> grace ──> closed ──> rated ──> invoiced
        start_at   period_end  end of grace

The scheduler takes the first three steps when they fall due; rating and invoicing take the others.

A subscription that ended has no next cycle to bill late usage with. It gets a closing cycle then, which has
no length and begins in grace: nothing but what came late is billed with it.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from corebilling.errors import FailedPrecondition, InvalidArgument
from corebilling.values.clock import LATEST

MAX_CLOCK_ADVANCE = timedelta(days=731)


class CycleState(StrEnum):
    SCHEDULED = "scheduled"
    OPEN = "open"
    GRACE = "grace"
    CLOSED = "closed"
    RATED = "rated"
    INVOICED = "invoiced"


@dataclass(frozen=True, slots=True)
class CycleStep:
    """The state that a cycle moves to at a boundary of its period, and when it falls due again."""

    state: CycleState
    due_at: datetime


def decide_step(state: CycleState, *, period_end: datetime, grace_s: int) -> CycleStep:
    """What happens to a cycle whose period begins or ends. (After the grace, it is closed.)"""
    match state:
        case CycleState.SCHEDULED:
            return CycleStep(CycleState.OPEN, due_at=period_end)
        case CycleState.OPEN:
            return CycleStep(CycleState.GRACE, due_at=period_end + timedelta(seconds=grace_s))
        case _:
            raise ValueError(f"a cycle that is {state} has no boundary ahead")


def check_clock_target(*, now: datetime, target: datetime, wanted: datetime) -> None:
    """Refuses a move that the test clock cannot make.

    Raises:
        FailedPrecondition: TEST_CLOCK_ADVANCING while an earlier move is under way.
        InvalidArgument: TEST_CLOCK_TARGET_INVALID when it lies in the past or too far ahead.
    """
    if now < target:
        raise FailedPrecondition(
            "TEST_CLOCK_ADVANCING",
            "The clock is on its way; wait until GetTestClock says it is ready.",
            {"target_at": target.isoformat()},
        )
    if not now <= wanted <= min(now + MAX_CLOCK_ADVANCE, LATEST):
        raise InvalidArgument(
            "TEST_CLOCK_TARGET_INVALID",
            f"A clock moves forward, at most two years at once, and never past {LATEST.date()}.",
            {"now": now.isoformat()},
        )
