"""Billing cycles: one period of one subscription, from its start to its invoice.

    scheduled ──> open ──> grace ──> closed ──> rated ──> invoiced
        start_at   period_end  end of grace

The scheduler takes the first three steps when they fall due; rating and invoicing take the others.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from corebilling.errors import FailedPrecondition, InvalidArgument

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
    """The state a due cycle moves to, and when it falls due again (None: no more)."""

    state: CycleState
    due_at: datetime | None


def decide_step(state: CycleState, *, period_end: datetime, grace_s: int) -> CycleStep:
    """What the scheduler does with a cycle that is due."""
    match state:
        case CycleState.SCHEDULED:
            return CycleStep(CycleState.OPEN, due_at=period_end)
        case CycleState.OPEN:
            return CycleStep(CycleState.GRACE, due_at=period_end + timedelta(seconds=grace_s))
        case CycleState.GRACE:
            return CycleStep(CycleState.CLOSED, due_at=None)
        case _:
            raise ValueError(f"a cycle that is {state} is never due")


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
    if not now <= wanted <= now + MAX_CLOCK_ADVANCE:
        raise InvalidArgument(
            "TEST_CLOCK_TARGET_INVALID",
            "A clock moves forward, at most two years at once.",
            {"now": now.isoformat()},
        )
