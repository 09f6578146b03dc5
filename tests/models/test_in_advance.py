from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.in_advance import (
    ChangeLine,
    Direction,
    component_share,
    credit_unused_service,
    cycles_started,
    fee_after_trial,
    price_change,
    price_phases,
    repair,
    switch_prepaid,
    upgrade_credit,
)
from corebilling.values.period import BillingCalendar, Period
from corebilling.values.proration import Grain, Proration
from tests.support.shares import APRIL, SPAN, moments, prices, segment_shares, segments, terms, utc


@given(change_at=moments, rules=terms, price=prices, quantity=st.integers(0, 1000).map(Decimal))
def test_a_change_to_the_same_price_costs_nothing(change_at, rules, price, quantity):
    lines = [ChangeLine(direction, price, quantity) for direction in Direction]
    change = price_change(lines, change_at, SPAN, "USD", rules)
    assert change.net_minor == 0
    assert change.credit_minor >= 0
    assert change.charge_minor >= 0


@given(
    first=prices,
    changes=st.lists(st.tuples(moments, prices), max_size=5).map(lambda found: sorted(found)),
    rules=terms,
)
def test_a_sequence_of_changes_prices_the_same_as_its_segments(first, changes, rules):
    """Exactly, before any rounding: credits and charges telescope into what each price served."""
    held, paid = first, Fraction(first)
    for at, price in changes:
        lines = [ChangeLine(Direction.CREDIT, held), ChangeLine(Direction.CHARGE, price)]
        paid += sum(line.amount for line in price_change(lines, at, SPAN, "USD", rules).lines)
        held = price
    parts = segments([at for at, _ in changes])
    shares = segment_shares(parts, SPAN, rules)
    by_segment = zip([first, *(price for _, price in changes)], shares, strict=True)
    assert paid == sum(Fraction(price) * share.factor for price, share in by_segment)


@given(change_at=moments, rules=terms)
def test_a_one_time_price_is_due_in_full(change_at, rules):
    line = ChangeLine(Direction.CHARGE, Decimal(500), Decimal(2), one_time=True)
    assert price_change([line], change_at, SPAN, "USD", rules).net_minor == 100_000


def test_a_change_outside_of_the_period_changes_all_of_it_or_nothing():
    lines = [ChangeLine(Direction.CHARGE, Decimal(10))]
    assert price_change(lines, APRIL.start - timedelta(days=1), APRIL, "USD", Proration()).net_minor == 1000
    assert price_change(lines, APRIL.end + timedelta(days=1), APRIL, "USD", Proration()).net_minor == 0


@given(days_left=st.integers(0, 31), nominal=st.integers(1, 400))
def test_a_component_of_another_interval_counts_its_own_days(days_left, nominal):
    month = Period(utc(2025, 1, 1), utc(2025, 2, 1))
    rest = Period(month.end - timedelta(days=days_left), month.end)
    share = component_share(rest, month, Proration(), nominal_days=nominal)
    alike = abs(31 - nominal) * 4 <= nominal
    assert share.factor == (Fraction(days_left, 31) if alike else min(Fraction(days_left, nominal), 1))


@given(old=st.integers(0, 10**6), new=st.integers(0, 10**6), at=moments, rules=terms)
def test_a_prepaid_switch_gives_back_no_more_than_was_paid(old, new, at, rules):
    rest = rules.share(Period(at, SPAN.end), SPAN)
    switch = switch_prepaid(old, new, rest, rules.rounding)
    assert 0 <= switch.credit_minor <= old
    assert 0 <= switch.charge_minor <= new
    assert switch_prepaid(old, old, rest, rules.rounding).net_minor == 0


@given(old=st.integers(0, 10**6), invoiced=st.integers(0, 10**6), at=moments, rules=terms)
def test_an_upgrade_credit_is_capped_at_what_was_invoiced(old, invoiced, at, rules):
    unused = rules.share(Period(at, SPAN.end), SPAN)
    free = upgrade_credit(old, unused, rules.rounding, invoiced_minor=None, tax_rate=Fraction(0))
    capped = upgrade_credit(old, unused, rules.rounding, invoiced_minor=invoiced, tax_rate=Fraction(0))
    assert 0 <= capped == min(free, invoiced)


def calendar(start: datetime, **rest) -> BillingCalendar:
    return BillingCalendar(start, "month", 1, "UTC", rest.pop("start_at", start), **rest)


@given(day=st.integers(1, 31), billing_day=st.integers(1, 31), days=st.integers(1, 400))
def test_cycles_in_advance_count_stubs_as_shares(day, billing_day, days):
    start = utc(2025, 1, 1) + timedelta(days=day)
    running = calendar(start, billing_day=billing_day, ended_at=start + timedelta(days=days))
    all_of_it = cycles_started(running, utc(2027, 1, 1), Proration(Grain.DAY))
    assert 0 < all_of_it <= Fraction(days, 28)
    assert cycles_started(running, start, Proration(Grain.DAY)) <= min(all_of_it, Fraction(1))
    assert cycles_started(running, start - timedelta(days=1), Proration(Grain.DAY)) == 0


def test_the_day_on_which_a_trial_ends_is_billed():
    share, fee = fee_after_trial(3100, utc(2025, 3, 15, 12), Proration(Grain.DAY))
    assert (int(share.units), int(share.of), fee) == (17, 31, 1700)


def test_a_trial_is_a_phase_at_no_price_before_the_paid_ones():
    start, paid_from = utc(2025, 5, 1), utc(2025, 5, 31)
    phases = price_phases(calendar(paid_from, start_at=start, trial_end_at=paid_from), Decimal(9), 2)
    assert [phase.amount for phase in phases] == [0, 9, 9]
    assert [phase.period.end for phase in phases] == [paid_from, utc(2025, 6, 30), utc(2025, 7, 31)]
    assert price_phases(calendar(start), Decimal(9), 1)[0].period == Period(start, utc(2025, 6, 1))


@given(st.integers(0, 10**8), st.fractions(0, 1), st.fractions(0, 30), st.integers(0, 2 * 10**8))
def test_unused_service_is_refunded_or_credited_and_never_beyond_what_was_paid(fee, unused, percent, paid):
    back = credit_unused_service(fee, unused=unused, used=1 - unused, tax_percent=percent, paid_minor=paid)
    assert back.refund_minor + back.credit_minor == back.total_minor
    assert 0 <= back.refund_minor <= paid
    assert back.credit_minor >= 0


def test_time_without_service_lowers_the_next_invoice() -> None:
    given_back = repair(9900, Fraction(6, 30))
    assert (given_back.amount_minor, given_back.next_due_minor) == (1980, 7920)
