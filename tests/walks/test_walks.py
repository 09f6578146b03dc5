"""Random calls about money, in any order, and what holds after each.

`make walks SEED=7 WALKS=100 STEPS=60` takes many, with seeds counted from SEED. One that fails tells its seed
and its story: `SEED=9 WALKS=1` with the same STEPS takes that one again.
"""

import os
from random import Random

import grpc
import pytest

from tests.support.platform import Platform
from tests.walks.shop import open_shop
from tests.walks.twins import Twins
from tests.walks.walk import Walk

SEED = int(os.environ.get("SEED", "1"))
WALKS = int(os.environ.get("WALKS", "50"))
STEPS = int(os.environ.get("STEPS", "40"))


@pytest.mark.parametrize("seed", [1, 2])
async def test_whatever_is_called_the_books_are_sound_and_invoices_follow_from_their_evidence(
    platform: Platform, seed: int
) -> None:
    await take(platform, seed, steps=25)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEED, SEED + WALKS))
async def test_many_walks(platform: Platform, seed: int) -> None:
    await take(platform, seed, STEPS)


@pytest.mark.parametrize("seed", [11, 14])
async def test_what_is_put_right_comes_to_what_it_would_have_from_the_start(
    platform: Platform, seed: int
) -> None:
    await take(platform, seed, 25, Twins)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(SEED, SEED + WALKS))
async def test_many_twins(platform: Platform, seed: int) -> None:
    await take(platform, seed, STEPS, Twins)


async def take(platform: Platform, seed: int, steps: int, kind: type[Walk | Twins] = Walk) -> None:
    chance = Random(seed)
    walk = kind(platform, chance, await open_shop(platform, chance))
    try:
        await walk.go(steps)
    except (AssertionError, grpc.aio.AioRpcError) as error:
        story = "\n".join(walk.story)
        pytest.fail(f"SEED={seed} STEPS={steps}\n{story}\n{error}")
