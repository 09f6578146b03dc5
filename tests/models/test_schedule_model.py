from datetime import UTC, datetime, timedelta

import pytest

from corebilling.domains.schedule.model import CycleState, CycleStep, check_clock_target, decide_step
from corebilling.errors import BillingError

END = datetime(2025, 2, 1, tzinfo=UTC)


def test_a_cycle_opens_when_its_period_begins_and_waits_out_the_grace_when_it_ends():
    assert decide_step(CycleState.SCHEDULED, period_end=END, grace_s=3600) == CycleStep(CycleState.OPEN, END)
    assert decide_step(CycleState.OPEN, period_end=END, grace_s=3600) == CycleStep(
        CycleState.GRACE, END + timedelta(hours=1)
    )


@pytest.mark.parametrize(
    "state", [CycleState.GRACE, CycleState.CLOSED, CycleState.RATED, CycleState.INVOICED]
)
def test_a_cycle_whose_period_ended_has_no_boundary_ahead(state):
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
