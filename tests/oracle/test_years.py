"""Random customers' years on the platform, against what a second, naive reckoning says they come to.

`make oracle SEED=7 CUSTOMERS=10000` lives very many of them, as many batches at a time as there are cores,
and says on the standard error how far it is. Each batch has a seed of its own, counted from SEED. One that
differs prints its smallest customer; `make oracle SEED=9 ONLY=customer-17` lives that one again, by itself.
"""

import os
from collections.abc import Callable
from dataclasses import fields
from random import Random
from typing import Any

import pytest

from tests.oracle.conftest import HOW_MANY
from tests.oracle.engine import live
from tests.oracle.generator import Generator
from tests.oracle.life import Life
from tests.oracle.world import Customer, Seller, Year
from tests.support.platform import Platform

GRAINS = ("second", "day", "none")
SAMPLE = 8
BATCH = 400
"""Customers that share a clock, of which each step costs the less for each, the more there are."""
VISITING_TIMES, SCHEDULES = 24, 20
SEED = int(os.environ.get("SEED", "1"))
CUSTOMERS = int(os.environ.get("CUSTOMERS", "200"))
ONLY = os.environ.get("ONLY", "")


@pytest.mark.parametrize(("grain", "seed"), [("second", 6), ("day", 7), ("none", 5), ("day", 28)])
async def test_random_years_come_to_what_the_oracle_says(platform: Platform, grain: str, seed: int):
    await check(platform, grain, seed, SAMPLE, schedules=2)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEED, SEED + (1 if ONLY else -(-CUSTOMERS // BATCH))))
async def test_very_many_years_come_to_what_the_oracle_says(
    platform: Platform, seed: int, record_property: Callable[[str, object], None]
):
    count = 1 if ONLY else min(BATCH, CUSTOMERS - (seed - SEED) * BATCH)
    record_property(HOW_MANY, count)
    await check(platform, GRAINS[seed % len(GRAINS)], seed, count, schedules=SCHEDULES)


async def check(platform: Platform, grain: str, seed: int, count: int, *, schedules: int) -> None:
    """Who each customer is follows from the seed, the grain and the schedules, however many there are."""
    generator = Generator(Random(seed))
    seller = generator.seller(grain)
    times = generator.visiting_times(seller, VISITING_TIMES)
    shared = generator.schedules(times, schedules)
    made = (
        generator.customer(f"customer-{number}", generator.chance.choice(shared), times)
        for number in range(BATCH if ONLY else count)
    )
    customers = [customer for customer in made if ONLY in ("", customer.name)]
    assert customers, f"no customer of SEED={seed} is called {ONLY}"
    years = await live(platform, seller, customers)
    failures = []
    for customer, lived in zip(customers, years, strict=True):
        expected = Life(customer, seller).live()
        if lived != expected:
            failures.append((customer, expected, lived))
    if failures:
        smallest = min(failures, key=lambda failure: len(repr(failure[0])))
        names = ", ".join(customer.name for customer, _, _ in failures[:20])
        text = told(seller, *smallest)
        pytest.fail(f"{len(failures)} of {len(customers)} customers differ with SEED={seed}: {names}\n{text}")


def told(seller: Seller, customer: Customer, expected: Year, lived: Year) -> str:
    lines = [f"{seller}", *(f"{one.name} = {getattr(customer, one.name)!r}" for one in fields(customer)[:-1])]
    answers = iter(zip(expected.answers, lived.answers, strict=True))
    for visit in customer.visits:
        lines += [f"{visit.at}  {action}  {next(answers)}" for action in visit.actions]
    return "\n".join([*lines, "", "oracle | platform:", *differences("", expected, lived)])


def differences(at: str, expected: Any, lived: Any) -> list[str]:
    if expected == lived:
        return []
    if isinstance(expected, tuple) and len(expected) == len(lived):
        pairs = enumerate(zip(expected, lived, strict=True))
        return [text for place, pair in pairs for text in differences(f"{at}[{place}]", *pair)]
    if hasattr(expected, "__dataclass_fields__") and type(expected) is type(lived):
        names = [one.name for one in fields(expected)]
        return [
            text
            for name in names
            for text in differences(f"{at}.{name}", getattr(expected, name), getattr(lived, name))
        ]
    return [f"{at}: {expected} | {lived}"]
