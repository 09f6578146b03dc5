"""Random customers' years on the platform, against what a second, naive reckoning says they come to.

`LONG=1 SEED=7 CUSTOMERS=10000 pytest -s -m long tests/oracle` lives more of them, and says how far it is.
"""

import os
import time
from dataclasses import fields
from random import Random
from typing import Any

import pytest

from tests.oracle.engine import live
from tests.oracle.generator import Generator
from tests.oracle.life import Life
from tests.oracle.world import Customer, Seller, Year
from tests.support.platform import Platform

GRAINS = ("second", "day", "none")
CUSTOMERS_EACH = 8
VISITING_TIMES = 24


@pytest.mark.parametrize(("grain", "seed"), [("second", 4), ("day", 7), ("none", 12), ("day", 28)])
async def test_random_years_come_to_what_the_oracle_says(platform: Platform, grain: str, seed: int):
    await check(platform, grain, seed, CUSTOMERS_EACH)


@pytest.mark.long
async def test_very_many_years_come_to_what_the_oracle_says(platform: Platform):
    seed, wanted = (
        int(os.environ.get("SEED", time.time_ns() // 10**6)),
        int(os.environ.get("CUSTOMERS", "200")),
    )
    each, lived = 60, 0
    while lived < wanted:
        await check(platform, GRAINS[seed % len(GRAINS)], seed, min(each, wanted - lived))
        seed, lived = seed + 1, lived + each
        print(f"{min(lived, wanted)} of {wanted} customers' years agree; the next seed is {seed}", flush=True)


async def check(platform: Platform, grain: str, seed: int, count: int) -> None:
    generator = Generator(Random(seed))
    seller = generator.seller(grain)
    times = generator.visiting_times(seller, VISITING_TIMES)
    schedules = generator.schedules(times, 2 + count // 20)
    customers = [
        generator.customer(f"customer-{number}", generator.chance.choice(schedules), times)
        for number in range(count)
    ]
    years = await live(platform, seller, customers)
    failures = []
    for customer, lived in zip(customers, years, strict=True):
        expected = Life(customer, seller).live()
        if lived != expected:
            failures.append((customer, expected, lived))
    if failures:
        smallest = min(failures, key=lambda failure: len(repr(failure[0])))
        pytest.fail(
            f"{len(failures)} of {count} customers differ with SEED={seed}:\n{told(seller, *smallest)}"
        )


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
