from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest

from corebilling.domains.subscription.model import (
    OfferedPrice,
    StatusChange,
    SubscriptionState,
    WantedItem,
    apply_lifecycle,
    decide_cancellation,
    decide_items,
    decide_opening,
    next_segment,
)
from corebilling.errors import FailedPrecondition, InvalidArgument
from corebilling.values.period import Period

NOW = datetime(2025, 1, 31, 12, tzinfo=UTC)
ALLOWED = {
    ("created", "trialing"),
    ("created", "active"),
    ("created", "canceled"),
    ("trialing", "active"),
    ("trialing", "canceled"),
    ("active", "canceled"),
}


@pytest.mark.parametrize(("old", "new"), list(product(SubscriptionState, repeat=2)))
def test_only_the_drawn_steps_are_taken_and_others_name_both_states(old, new):
    if (old, new) in ALLOWED:
        assert (apply_lifecycle(old, new).old, apply_lifecycle(old, new).new) == (old, new)
        return
    with pytest.raises(FailedPrecondition) as refused:
        apply_lifecycle(old, new)
    assert refused.value.reason == "SUBSCRIPTION_TRANSITION_INVALID"
    assert refused.value.facts == {"from": old, "to": new}


def opening(start_at=NOW, trial_days=0, now=NOW):
    return decide_opening(
        start_at=start_at,
        trial_days=trial_days,
        interval_unit="month",
        interval_count=1,
        timezone="UTC",
        now=now,
    )


def test_a_subscription_that_starts_now_is_active_in_its_first_month():
    begun = opening()
    assert begun.state is SubscriptionState.ACTIVE
    assert begun.segment.period == Period(NOW, datetime(2025, 2, 28, 12, tzinfo=UTC))


def test_a_trial_comes_first_and_billing_is_anchored_at_its_end():
    begun = opening(trial_days=14)
    assert begun.state is SubscriptionState.TRIALING
    assert begun.segment.period == Period(NOW, NOW + timedelta(days=14))
    assert next_segment(begun.calendar, begun.segment.period).period.start == NOW + timedelta(days=14)


def test_a_future_start_waits_as_created():
    assert opening(start_at=NOW + timedelta(days=1)).state is SubscriptionState.CREATED


@pytest.mark.parametrize("start_at", [NOW - timedelta(days=32), NOW + timedelta(days=732)])
def test_a_start_out_of_reach_is_refused(start_at):
    with pytest.raises(InvalidArgument) as refused:
        opening(start_at=start_at)
    assert refused.value.reason == "SUBSCRIPTION_START_INVALID"


def offered(price_id="pri_1", currency="USD", meter_id=None, unit="month", count=1):
    return OfferedPrice(price_id, currency, meter_id is not None, meter_id, unit, count, None)


def test_licensed_items_count_one_unless_told_otherwise_and_metered_ones_nothing():
    prices = {"a": offered("a"), "b": offered("b"), "c": offered("c", meter_id="mtr_1")}
    wanted = [WantedItem("a", None), WantedItem("b", Decimal(7)), WantedItem("c", None)]
    items, unit, count = decide_items(wanted, prices, "USD")
    assert [item.quantity for item in items] == [Decimal(1), Decimal(7), None]
    assert (unit, count) == ("month", 1)


@pytest.mark.parametrize(
    ("prices", "quantity", "detail"),
    [
        ([offered("a"), offered("b", unit="year")], None, "interval"),
        ([offered("a"), offered("b", currency="EUR")], None, "EUR"),
        ([offered("a", meter_id="m"), offered("b", meter_id="m")], None, "same meter"),
        ([offered("a", meter_id="m")], Decimal(1), "leave it empty"),
    ],
)
def test_items_that_do_not_fit_together_are_refused(prices, quantity, detail):
    with pytest.raises(InvalidArgument) as refused:
        decide_items([WantedItem(p.id, quantity) for p in prices], {p.id: p for p in prices}, "USD")
    assert refused.value.reason == "SUBSCRIPTION_ITEMS_INVALID"
    assert detail in refused.value.message


def cancellation(state=SubscriptionState.ACTIVE, at_period_end=False):
    return decide_cancellation(
        state, at_period_end=at_period_end, period_end=NOW + timedelta(days=9), start_at=NOW, now=NOW
    )


def test_cancel_now_ends_service_now():
    decided = cancellation()
    assert decided.change == StatusChange(SubscriptionState.ACTIVE, SubscriptionState.CANCELED)
    assert decided.ended_at == NOW


def test_cancel_at_period_end_keeps_service_until_then():
    decided = cancellation(at_period_end=True)
    assert decided.change is None
    assert decided.ended_at == NOW + timedelta(days=9)


@pytest.mark.parametrize("state", [SubscriptionState.CREATED, SubscriptionState.TRIALING])
@pytest.mark.parametrize("at_period_end", [False, True])
def test_usage_is_free_when_no_billed_period_begins(state, at_period_end):
    assert cancellation(state, at_period_end).before_billing
    assert not cancellation(SubscriptionState.ACTIVE, at_period_end).before_billing


def test_a_canceled_subscription_cannot_be_canceled_again():
    with pytest.raises(FailedPrecondition):
        cancellation(SubscriptionState.CANCELED)
