from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.credit import (
    Credit,
    CreditKind,
    Movement,
    draw_wallet,
    usable_credits,
    use_credits,
)
from corebilling.values.grant import Grant, Usage, burn_grants, sort_grants

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def credit(
    credit_id: str,
    kind: CreditKind = CreditKind.PROMOTIONAL,
    *,
    minor: int = 100,
    currency: str = "USD",
    valid_from: datetime = NOW,
    valid_until: datetime | None = None,
    priority: int = 0,
) -> Credit:
    return Credit(credit_id, kind, currency, minor, valid_from, NOW, valid_until, priority)


def test_only_credits_that_hold_now_and_in_the_currency_are_used_oldest_first() -> None:
    held = [
        credit("ends now", valid_from=NOW - DAY, valid_until=NOW),
        credit("not yet", valid_from=NOW + DAY),
        credit("euros", currency="EUR"),
        credit("empty", minor=0),
        credit("newer"),
        credit("older", CreditKind.REFUND, valid_from=NOW - DAY),
    ]
    assert [one.id for one in usable_credits(held, "USD", NOW)] == ["older", "newer"]


def test_prepaid_credits_come_last_by_priority_then_expiry() -> None:
    prepaid = CreditKind.PREPAID
    held = [
        credit("never", prepaid),
        credit("late", prepaid, valid_until=NOW + 2 * DAY),
        credit("second", prepaid, priority=1, valid_until=NOW + DAY),
        credit("soon", prepaid, valid_until=NOW + DAY),
        credit("promo"),
    ]
    order = [one.id for one in usable_credits(held, "USD", NOW)]
    assert order == ["promo", "soon", "late", "never", "second"]


AMOUNTS = st.integers(0, 10**9)


@given(st.lists(AMOUNTS, max_size=6), st.integers(-(10**9), 10**10))
def test_credits_never_pay_more_than_they_hold_nor_than_is_due(held, due) -> None:
    uses = use_credits([credit(str(place), minor=minor) for place, minor in enumerate(held)], due)
    assert all(0 < use.amount_minor <= use.credit.remaining_minor for use in uses)
    assert sum(use.amount_minor for use in uses) == min(max(0, due), sum(held))


MOVEMENTS = st.lists(st.builds(Movement, AMOUNTS, st.booleans(), st.booleans()), max_size=8)


@given(AMOUNTS, MOVEMENTS, st.booleans())
def test_a_wallet_holds_what_came_in_less_what_it_paid(opening, movements, overage) -> None:
    balance = opening
    for movement, draw in zip(movements, draw_wallet(opening, movements, overage=overage), strict=True):
        if movement.grant:
            balance += movement.amount_minor
        else:
            balance -= movement.amount_minor - draw.due_minor
        assert draw.balance_minor == balance
        assert overage or balance >= 0
        assert draw.applied_minor == 0 or movement.eligible


def test_the_next_grant_repays_overage_first() -> None:
    charge, grant = draw_wallet(100, [Movement(130), Movement(50, grant=True)], overage=True)
    assert (charge.applied_minor, charge.due_minor, charge.balance_minor) == (100, 0, -30)
    assert (grant.repaid_minor, grant.balance_minor) == (30, 20)


def grant(grant_id: str, quantity: int, start: int, end: int | None, priority: int = 1) -> Grant:
    at = NOW + start * DAY
    return Grant(grant_id, priority, NOW, None if end is None else NOW + end * DAY, Decimal(quantity), at)


def usage(day: int, quantity: int) -> Usage:
    return Usage(NOW + day * DAY, Decimal(quantity))


def test_usage_burns_grants_in_their_order_and_what_remains_at_expiry_is_lost() -> None:
    burned = burn_grants(
        [grant("late", 100, 0, 20), grant("soon", 100, 0, 10), grant("last", 50, 0, None, priority=2)],
        [usage(1, 120), usage(10, 30)],
        NOW + 11 * DAY,
    )
    assert burned.balances == {"soon": 0, "late": 50, "last": 50}
    assert burned.overage_quantity == 0


def test_overage_is_repaid_by_the_grant_that_comes_next() -> None:
    grants = [grant("first", 10, 0, 5), grant("second", 100, 7, None)]
    spent = [usage(1, 40)]
    before = burn_grants(grants, spent, NOW + 6 * DAY)
    assert [*before.balances.values(), before.overage_quantity] == [0, 0, 30]
    after = burn_grants(grants, spent, NOW + 7 * DAY)
    assert [*after.balances.values(), after.overage_quantity] == [0, 70, 0]


def test_a_voided_grant_ends_at_once() -> None:
    voided = Grant("g", 1, NOW, None, Decimal(100), NOW, NOW + DAY)
    burned = burn_grants([voided], [usage(0, 30), usage(2, 5)], NOW + 3 * DAY)
    assert [burned.balances["g"], burned.overage_quantity] == [0, 5]


@given(
    st.lists(st.tuples(AMOUNTS, st.integers(0, 9), st.integers(1, 9)), max_size=5),
    st.lists(st.tuples(st.integers(0, 20), AMOUNTS), max_size=6),
)
def test_no_grant_is_overdrawn_and_overage_and_balance_never_coexist(held, used) -> None:
    grants = [grant(str(i), quantity, start, start + days) for i, (quantity, start, days) in enumerate(held)]
    burned = burn_grants(grants, [usage(day, quantity) for day, quantity in used], NOW + 30 * DAY)
    assert all(balance >= 0 for balance in burned.balances.values())
    assert burned.overage_quantity == 0 or not any(burned.balances.values())


def test_expiries_within_one_second_count_as_equal_where_that_is_asked_for() -> None:
    first = Grant("z", 1, NOW, NOW + timedelta(milliseconds=900))
    second = Grant("a", 1, NOW, NOW + timedelta(milliseconds=999))
    assert [one.id for one in sort_grants([second, first])] == ["z", "a"]
    assert [one.id for one in sort_grants([first, second], timedelta(seconds=1))] == ["a", "z"]
