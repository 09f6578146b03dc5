from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.subscription.change_model import (
    ChangeMoment,
    HeldItem,
    ProrationBehavior,
    decide_change_moment,
    decide_fee_change,
    decide_item_change,
)
from corebilling.domains.subscription.item_model import OfferedPrice, WantedItem, decide_items
from corebilling.domains.subscription.model import (
    StatusChange,
    SubscriptionState,
    apply_lifecycle,
    decide_cancellation,
    decide_opening,
    next_segment,
)
from corebilling.errors import FailedPrecondition, InvalidArgument
from corebilling.values.period import ALWAYS, Period

NOW = datetime(2025, 1, 31, 12, tzinfo=UTC)
ALLOWED = {
    ("created", "trialing"),
    ("created", "active"),
    ("created", "canceled"),
    ("trialing", "active"),
    ("trialing", "canceled"),
    ("active", "canceled"),
    ("active", "paused"),
    ("paused", "active"),
    ("paused", "canceled"),
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


def opening(start_at=NOW, trial_days=0, now=NOW, **terms):
    return decide_opening(
        **{
            "start_at": start_at,
            "trial_days": trial_days,
            "interval_unit": "month",
            "interval_count": 1,
            "timezone": "UTC",
            "now": now,
            **terms,
        }
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


@pytest.mark.parametrize(
    ("billing_day", "timezone", "first", "second"),
    [
        (1, "UTC", datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)),
        (1, "Asia/Tokyo", datetime(2025, 1, 31, 15, tzinfo=UTC), datetime(2025, 2, 28, 15, tzinfo=UTC)),
        (30, "UTC", datetime(2025, 2, 28, tzinfo=UTC), datetime(2025, 3, 30, tzinfo=UTC)),
        (31, "UTC", datetime(2025, 2, 28, tzinfo=UTC), datetime(2025, 3, 31, tzinfo=UTC)),
    ],
)
def test_periods_begin_on_the_billing_day_from_midnight_on(billing_day, timezone, first, second):
    begun = opening(billing_day=billing_day, timezone=timezone)
    assert begun.segment.period.start == NOW
    following = next_segment(begun.calendar, begun.segment.period)
    if billing_day == 31:  # NOW lies on January 31 itself, behind its midnight.
        assert begun.calendar.whole(begun.segment).start == datetime(2025, 1, 31, tzinfo=UTC)
    assert begun.segment.period.end == first
    assert following.period == Period(first, second)


def test_a_billing_day_follows_the_trial():
    begun = opening(trial_days=14, billing_day=1)
    following = next_segment(begun.calendar, begun.segment.period)
    assert following.period == Period(NOW + timedelta(days=14), datetime(2025, 3, 1, tzinfo=UTC))
    assert begun.calendar.whole(following).start == datetime(2025, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize("interval_unit", ["day", "week"])
def test_what_is_billed_by_the_day_or_week_has_no_billing_day(interval_unit):
    with pytest.raises(InvalidArgument) as refused:
        opening(interval_unit=interval_unit, billing_day=1)
    assert refused.value.reason == "SUBSCRIPTION_ITEMS_INVALID"


def test_a_future_start_waits_as_created():
    assert opening(start_at=NOW + timedelta(days=1)).state is SubscriptionState.CREATED


@pytest.mark.parametrize("start_at", [NOW - timedelta(days=32), NOW + timedelta(days=732)])
def test_a_start_out_of_reach_is_refused(start_at):
    with pytest.raises(InvalidArgument) as refused:
        opening(start_at=start_at)
    assert refused.value.reason == "SUBSCRIPTION_START_INVALID"


def offered(price_id="pri_1", currency="USD", meter_id=None, unit="month", count=1):
    return OfferedPrice(price_id, price_id, {currency: None}, meter_id is not None, meter_id, unit, count)


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
        ([offered("a", meter_id="m"), offered("b", meter_id="m")], None, "same meter"),
        ([offered("a", meter_id="m")], Decimal(1), "leave it empty"),
    ],
)
def test_items_that_do_not_fit_together_are_refused(prices, quantity, detail):
    with pytest.raises(InvalidArgument) as refused:
        decide_items([WantedItem(p.id, quantity) for p in prices], {p.id: p for p in prices}, "USD")
    assert refused.value.reason == "SUBSCRIPTION_ITEMS_INVALID"
    assert detail in refused.value.message


def test_a_price_that_is_not_sold_in_the_customers_currency_is_refused_with_what_to_do():
    with pytest.raises(InvalidArgument) as refused:
        decide_items([WantedItem("a", None)], {"a": offered("a", currency="EUR")}, "USD")
    assert refused.value.reason == "PRICE_CURRENCY_MISSING"
    assert refused.value.facts == {"price_id": "a", "code": "a", "currency": "USD", "currencies": "EUR"}
    assert "currency option for USD" in refused.value.message


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


MARCH = Period(datetime(2025, 3, 1, tzinfo=UTC), datetime(2025, 4, 1, tzinfo=UTC))
wanted_items = st.lists(
    st.builds(
        WantedItem, st.sampled_from(["pri_a", "pri_b"]), st.sampled_from([None, Decimal(1), Decimal(2)])
    )
)


def held(items: list[WantedItem], billed_from: datetime = ALWAYS.start) -> list[HeldItem]:
    return [
        HeldItem(f"sit_{place}", item.price_id, item.quantity, billed_from)
        for place, item in enumerate(items)
    ]


@given(before=wanted_items, after=wanted_items)
def test_a_change_leaves_what_is_wanted_and_touches_nothing_that_stays(before, after):
    change = decide_item_change(held(before), after)
    kept = [item for item in held(before) if item not in change.ended]
    left = [WantedItem(item.price_id, item.quantity) for item in kept] + list(change.added)
    assert Counter(left) == Counter(after)
    gone = [WantedItem(item.price_id, item.quantity) for item in change.ended]
    assert not set(gone) & set(change.added)
    places = {change.kept[item.id]: WantedItem(item.price_id, item.quantity) for item in kept}
    places |= dict(zip(change.places, change.added, strict=True))
    assert [places[place] for place in sorted(places)] == after


def moment(**terms):
    asked = {
        "at_period_end": False,
        "effective_at": None,
        "period": MARCH,
        "invoiced_before": False,
        "last_change_at": ALWAYS.start,
        "ended_at": None,
        "now": datetime(2025, 3, 10, 12, 0, 0, 7, tzinfo=UTC),
    }
    return decide_change_moment(SubscriptionState.ACTIVE, **(asked | terms))


def test_a_change_takes_effect_now_back_ahead_or_at_the_end():
    now = datetime(2025, 3, 10, 12, tzinfo=UTC)
    assert moment() == ChangeMoment(now, scheduled=False)
    assert moment(last_change_at=now.replace(microsecond=3)).at == now.replace(microsecond=3)
    assert moment(at_period_end=True) == ChangeMoment(MARCH.end, scheduled=True)
    assert moment(effective_at=MARCH.start) == ChangeMoment(MARCH.start, scheduled=False)
    assert moment(effective_at=now + timedelta(days=90)).scheduled


def test_a_change_in_the_second_of_an_invoice_takes_effect_behind_it():
    begun = MARCH.start.replace(microsecond=7)
    behind = MARCH.start.replace(microsecond=1)
    assert moment(invoiced_before=True, now=begun) == ChangeMoment(behind, scheduled=False)
    assert moment(invoiced_before=True, now=MARCH.start) == ChangeMoment(behind, scheduled=True)


@pytest.mark.parametrize(
    "terms",
    [
        {"effective_at": MARCH.start - timedelta(seconds=1)},
        {"effective_at": MARCH.start, "last_change_at": MARCH.start + timedelta(days=1)},
        {"effective_at": MARCH.start, "invoiced_before": True},
        {"effective_at": MARCH.end, "ended_at": MARCH.end},
        {"effective_at": MARCH.end, "at_period_end": True},
        {"effective_at": MARCH.end + timedelta(days=800)},
    ],
)
def test_a_change_too_far_back_or_ahead_is_refused(terms):
    with pytest.raises(InvalidArgument) as refused:
        moment(**terms)
    assert refused.value.reason == "SUBSCRIPTION_CHANGE_TIME_INVALID"


@pytest.mark.parametrize("state", ["created", "paused", "canceled"])
def test_only_what_runs_can_be_changed(state):
    with pytest.raises(FailedPrecondition) as refused:
        decide_change_moment(
            SubscriptionState(state),
            at_period_end=False,
            effective_at=None,
            period=MARCH,
            invoiced_before=False,
            last_change_at=ALWAYS.start,
            ended_at=None,
            now=MARCH.start,
        )
    assert refused.value.facts == {"from": state, "to": "active"}


@pytest.mark.parametrize(
    ("behavior", "at", "in_parts", "expected"),
    [
        ("create_prorations", 10, True, (10, False)),
        ("invoice_immediately", 10, True, (10, True)),
        ("invoice_immediately", 10, False, (10, False)),
        ("invoice_immediately", 0, True, (0, False)),
        ("none", 10, True, (31, False)),
        ("none", 31, True, (31, False)),
    ],
)
def test_fees_follow_the_behavior_that_was_asked_for(behavior, at, in_parts, expected):
    fees = decide_fee_change(
        ProrationBehavior(behavior),
        at=MARCH.start + timedelta(days=at),
        period=MARCH,
        change=decide_item_change([], [WantedItem("pri_a", Decimal(1))]),
        billed_in_parts=in_parts,
    )
    assert ((fees.until - MARCH.start).days, fees.invoice_now) == expected
    assert fees.begins == (fees.until,)


def test_fees_that_were_left_as_they_are_stay_so_for_the_period():
    at = MARCH.start + timedelta(days=10)
    later = HeldItem("sit_1", "pri_basic", Decimal(1), MARCH.end)
    seat = HeldItem("sit_2", "pri_seat", Decimal(1), ALWAYS.start)
    calls = HeldItem("sit_3", "pri_calls", None, MARCH.end)
    added = [("pri_seat", 5), ("pri_more", None), ("pri_pro", 1), ("pri_addon", 1)]
    fees = decide_fee_change(
        ProrationBehavior.CREATE_PRORATIONS,
        at=at,
        period=MARCH,
        change=decide_item_change(
            [calls, later, seat],
            [WantedItem(name, None if count is None else Decimal(count)) for name, count in added],
        ),
        billed_in_parts=True,
    )
    assert (fees.until, fees.begins) == (at, (at, MARCH.end, MARCH.end, at))
