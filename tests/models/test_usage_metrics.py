"""The rate of what came in lately."""

from corebilling.domains.usage.metrics import WINDOW_S, RecentRate


def test_what_came_in_the_last_minute_counts_and_nothing_before():
    now = 1000.0
    rate = RecentRate(lambda: now)
    rate.add(60)
    now += 0.5
    rate.add(60)
    now += WINDOW_S - 1
    assert rate.per_second() == 2
    rate.add(30)
    assert rate.per_second() == 2.5
    now += 1
    assert rate.per_second() == 0.5


def test_it_keeps_no_more_than_a_minute():
    now = 0.0
    rate = RecentRate(lambda: now)
    for _ in range(1000):
        rate.add(1)
        now += 1
    assert len(rate._seconds) == WINDOW_S
