"""Reported, corrected, retracted in any order: in sum, each period is billed what its final records cost."""

import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2

from tests.rpc.test_reconcile import books
from tests.scenarios.test_usage_is_billed_to_the_end import cancel
from tests.support.catalog import new_meter, new_price, new_product, subscribe
from tests.support.correction import correct, rerate, retract
from tests.support.money import balances
from tests.support.platform import Platform
from tests.support.reporting import use

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUM, COUNT, MAX, MIN = (
    catalog_pb2.AGGREGATION_SUM,
    catalog_pb2.AGGREGATION_COUNT,
    catalog_pb2.AGGREGATION_MAX,
    catalog_pb2.AGGREGATION_MIN,
)


def cost(quantity: int) -> int:
    """In cents, by `tiered`: 2.00 each up to ten, beyond them 5.00 once and 1.00 each."""
    return min(quantity, 10) * 200 + (500 + (quantity - 10) * 100 if quantity > 10 else 0)


def aggregated(aggregation: Any, quantities: list[int]) -> int:
    if aggregation == COUNT:
        return len(quantities)
    if aggregation == MIN:
        return min(quantities, default=0)
    return max(quantities, default=0) if aggregation == MAX else sum(quantities)


async def tiered(platform: Platform, aggregation: Any) -> tuple[catalog_pb2.Price, catalog_pb2.Price]:
    """For tokens: what `cost` says, and a price that is wrong."""
    product, meter = await new_product(platform), await new_meter(platform, aggregation=aggregation)
    metered: Any = {"usage": catalog_pb2.PRICE_USAGE_METERED, "meter_id": meter.id, "unit_amount": ""}
    tiers = [
        catalog_pb2.PriceTier(up_to="10", unit_amount="2"),
        catalog_pb2.PriceTier(unit_amount="1", flat_amount="5"),
    ]
    right = await new_price(
        platform, product.id, "right", model=catalog_pb2.PRICE_MODEL_GRADUATED, tiers=tiers, **metered
    )
    metered["unit_amount"] = "3"
    wrong = await new_price(platform, product.id, "wrong", model=catalog_pb2.PRICE_MODEL_PER_UNIT, **metered)
    return right, wrong


@pytest.mark.parametrize(("seed", "aggregation"), [(1, SUM), (2, COUNT), (3, MAX), (4, SUM), (5, MIN)])
async def test_each_period_is_billed_what_its_final_records_cost(
    platform: Platform, seed: int, aggregation: Any
):
    chance = random.Random(seed)
    right, wrong = await tiered(platform, aggregation)
    name = (await subscribe(platform, wrong if seed == 4 else right)).id
    records: dict[str, tuple[datetime, int]] = {}
    standing: dict[str, int] = {}
    ended_at = datetime(2030, 1, 1, tzinfo=UTC)

    async def act() -> None:
        choice = chance.random()
        if choice < 0.5 or not standing:
            key, quantity = f"key {len(records)}", chance.randrange(0, 12)
            back = chance.choice([0, 0, 1, 20]) * chance.random()
            at = max(START, min(ended_at, platform.clock.now()) - timedelta(days=back))
            await use(platform, name, quantity, at, key=key)
            records[key] = (at, quantity)
            standing[key] = quantity
        elif choice < 0.75:
            key, quantity = chance.choice(sorted(standing)), chance.randrange(0, 15)
            await correct(platform, key, str(quantity))
            standing[key] = quantity
        else:
            key = chance.choice(sorted(standing))
            await retract(platform, key)
            del standing[key]

    for _ in range(14):
        for _ in range(chance.randrange(1, 4)):
            await act()
        await platform.pass_time(days=chance.choice([1, 3, 9]), hours=2)
    assert (await books(platform)).balanced, f"seed {seed}"
    await cancel(platform, name)
    ended_at = platform.clock.now() - timedelta(seconds=1)
    for _ in range(3):  # After the last invoice, too.
        await platform.pass_time(hours=2)
        await act()
    await platform.pass_time(hours=2)
    if seed == 4:
        for cycle in await platform.rows(
            "SELECT id FROM billing_cycles WHERE full_period_start < full_period_end"
        ):
            await rerate(platform, cycle["id"], wrong.id, right.id)

    starts = await platform.rows("SELECT period_start FROM usage_totals ORDER BY period_start")
    used: dict[datetime, list[int]] = defaultdict(list)
    for key, quantity in standing.items():
        used[max(row["period_start"] for row in starts if row["period_start"] <= records[key][0])].append(
            quantity
        )
    expected = {
        row["period_start"]: cost(aggregated(aggregation, used[row["period_start"]])) for row in starts
    }
    billed = {
        row["period_start"]: row["billed"]
        for row in await platform.rows(
            "SELECT period_start, sum(amount_minor) AS billed FROM invoice_lines GROUP BY period_start"
        )
    }
    assert {start: billed.get(start, 0) for start in expected} == expected, f"seed {seed}"
    assert (await books(platform)).balanced, f"seed {seed}"
    await balances(platform)  # And those of the ledger balance.
