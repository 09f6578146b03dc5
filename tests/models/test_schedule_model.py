from datetime import UTC, datetime, timedelta

import pytest

from corebilling.domains.schedule.model import CycleState, CycleStep, check_clock_target, decide_step
from corebilling.errors import BillingError

END = datetime(2025, 2, 1, tzinfo=UTC)


def test_a_due_cycle_opens_then_waits_out_the_grace_then_closes():
    assert decide_step(CycleState.SCHEDULED, period_end=END, grace_s=3600) == CycleStep(CycleState.OPEN, END)
    assert decide_step(CycleState.OPEN, period_end=END, grace_s=3600) == CycleStep(
        CycleState.GRACE, END + timedelta(hours=1)
    )
    assert decide_step(CycleState.GRACE, period_end=END, grace_s=3600) == CycleStep(CycleState.CLOSED, None)


@pytest.mark.parametrize("state", [CycleState.CLOSED, CycleState.RATED, CycleState.INVOICED])
def test_a_settled_cycle_is_never_due(state):
    with pytest.raises(ValueError, match=state):
        decide_step(state, period_end=END, grace_s=0)


@pytest.mark.parametrize(
    ("target", "wanted", "reason"),
    [
        (END, END - timedelta(seconds=1), "TEST_CLOCK_TARGET_INVALID"),
        (END, END + timedelta(days=732), "TEST_CLOCK_TARGET_INVALID"),
        (END + timedelta(days=1), END + timedelta(days=2), "TEST_CLOCK_ADVANCING"),
    ],
)
def test_a_clock_is_not_sent_back_too_far_or_while_it_moves(target, wanted, reason):
    with pytest.raises(BillingError) as refused:
        check_clock_target(now=END, target=target, wanted=wanted)
    assert refused.value.reason == reason


def test_a_clock_may_be_sent_to_where_it_is():
    check_clock_target(now=END, target=END, wanted=END)
