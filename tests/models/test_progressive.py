from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from corebilling.values.progressive import Threshold, bill_progressively, level_reached

QUANTITIES = st.lists(st.integers(0, 10**6).map(Decimal), max_size=6)
THRESHOLDS = st.lists(st.builds(Threshold, st.integers(1, 10**6), st.booleans()), max_size=4)


def cents(quantity: Decimal) -> Fraction:
    return Fraction(quantity) / 3


def events(*quantities: int) -> list[tuple[str, Decimal]]:
    return [(str(place), Decimal(quantity)) for place, quantity in enumerate(quantities)]


@given(THRESHOLDS, st.lists(QUANTITIES, max_size=3))
def test_the_invoices_of_a_period_sum_to_its_fees(thresholds, periods) -> None:
    numbered = [[(str(n), quantity) for n, quantity in enumerate(period)] for period in periods]
    with_thresholds = bill_progressively(thresholds, numbered, price=cents, plan_minor=5)
    without = bill_progressively([], numbered, price=cents, plan_minor=5)
    for period, plain in zip(with_thresholds, without, strict=True):
        assert period.progressive_minor + period.closing_minor == plain.closing_minor
        assert all(invoice.amount_minor > 0 for invoice in period.progressive)
        assert period.closing_minor >= 0


def test_a_threshold_is_reached_once_in_the_life_of_a_subscription() -> None:
    first, second = bill_progressively(
        [Threshold(100)], [events(60), events(39, 1, 500)], price=lambda quantity: Fraction(quantity)
    )
    assert first.progressive == ()
    assert [(invoice.event_id, invoice.amount_minor) for invoice in second.progressive] == [("1", 40)]
    assert second.closing_minor == 500


def test_recurring_thresholds_repeat_above_the_last_one_and_several_at_once_make_one_invoice() -> None:
    (period,) = bill_progressively(
        [Threshold(100), Threshold(50, recurring=True)],
        [events(60, 40, 49, 1, 120)],
        price=lambda quantity: Fraction(quantity),
    )
    assert [(invoice.event_id, invoice.amount_minor) for invoice in period.progressive] == [
        ("1", 100),
        ("3", 50),
        ("4", 120),
    ]


@given(THRESHOLDS, st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_level_never_falls_and_lies_at_what_was_used_at_most(thresholds, one, other) -> None:
    before, now = sorted((one, other))
    assert level_reached(thresholds, before) <= level_reached(thresholds, now) <= now
    passed = any(before < one.amount_minor <= now for one in thresholds if not one.recurring)
    assert not passed or level_reached(thresholds, now) > level_reached(thresholds, before)
