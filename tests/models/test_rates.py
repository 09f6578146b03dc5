"""How calls are counted in one process, against a bucket that fills with exact fractions."""

import random
from dataclasses import dataclass
from fractions import Fraction

import pytest

from corebilling.rpc.rate_limit import ProcessRates, Rate
from tests.support.clock import FakeClock


@dataclass
class Bucket:
    """Holds `burst` calls, fills with `per_second`, and tells how long the next one takes to arrive."""

    per_second: int
    burst: int
    full: Fraction
    at_us: int = 0

    def take(self, now_us: int) -> Fraction:
        gained = Fraction((now_us - self.at_us) * self.per_second, 1_000_000)
        self.full, self.at_us = min(Fraction(self.burst), self.full + gained), now_us
        if self.full >= 1:
            self.full -= 1
            return Fraction(0)
        return (1 - self.full) / self.per_second


@pytest.mark.parametrize(("per_second", "burst"), [(100, 200), (1, 1), (50, 3), (1000, 1)])
async def test_rates_agree_with_a_bucket(per_second: int, burst: int) -> None:
    dice, clock = random.Random(per_second), FakeClock()
    rates, rate = ProcessRates(clock), Rate(per_second, burst)
    bucket = Bucket(per_second, burst, Fraction(burst))
    start, refused = clock.now().timestamp(), 0
    for _ in range(2_000):
        wait_s = await rates.take("a", rate)
        now_us = round((clock.now().timestamp() - start) * 1e6)
        assert wait_s == pytest.approx(float(bucket.take(now_us)), abs=2e-6)
        refused += wait_s > 0
        if dice.random() < 0.5:
            clock.advance(microseconds=dice.randrange(3_000_000 // per_second))
    assert 100 < refused < 1_900


async def test_whoever_waits_as_long_as_told_is_let_in() -> None:
    clock = FakeClock()
    rates, rate = ProcessRates(clock), Rate(3, 2)
    for _ in range(2):
        assert await rates.take("a", rate) == 0
    for _ in range(20):
        wait_s = await rates.take("a", rate)
        clock.advance(microseconds=wait_s * 1e6 - 1)
        assert await rates.take("a", rate) == pytest.approx(1e-6)
        clock.advance(microseconds=1)
        assert await rates.take("a", rate) == 0


async def test_tenants_at_rest_are_forgotten() -> None:
    clock = FakeClock()
    rates, rate = ProcessRates(clock), Rate(100, 200)
    most = 0
    for number in range(50_000):
        await rates.take(f"tenant {number}", rate)
        clock.advance(milliseconds=1)
        most = max(most, len(rates))
    assert most <= 1024


async def test_whoever_is_busy_is_not_forgotten() -> None:
    clock = FakeClock()
    rates, rate = ProcessRates(clock), Rate(1, 1)
    assert await rates.take("busy", rate) == 0
    for number in range(5_000):
        await rates.take(f"tenant {number}", rate)
    assert await rates.take("busy", rate) == 1


async def test_clock_set_back_refuses_nobody() -> None:
    clock = FakeClock()
    rates, rate = ProcessRates(clock), Rate(10, 5)
    for _ in range(5):
        assert await rates.take("a", rate) == 0
    clock.advance(hours=-1)
    for _ in range(5):
        assert await rates.take("a", rate) == 0
    assert await rates.take("a", rate) == pytest.approx(0.1)
