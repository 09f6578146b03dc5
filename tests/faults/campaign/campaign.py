"""Load, faults, healing and judgement, again and again: `run` is what the tests call."""

import asyncio
import random
import time
from collections.abc import Mapping
from pathlib import Path

import asyncpg

from tests.faults.campaign.checker import check
from tests.faults.campaign.evidence import gather, unfinished
from tests.faults.campaign.fire import EVERYTHING, Fire
from tests.faults.campaign.fleet import Fleet
from tests.faults.campaign.load import Load, Sink
from tests.support.broker import BrokerServer

DRAINED_WITHIN_S = 60.0


async def run(
    folder: Path,
    broker: BrokerServer,
    *,
    faults: int,
    per_round: int,
    seed: int,
    mix: Mapping[str, int] = EVERYTHING,
) -> None:
    """Raises AssertionError with every broken promise, the seed and where the logs are."""
    print(f"{broker.name}: {faults} faults, SEED={seed}, logs in {folder}", flush=True)
    async with Sink() as sink, Fleet.open(folder, broker) as fleet:
        load = Load(fleet.target, await fleet.platform_key(), sink, seed)
        fire = Fire(fleet, seed, mix)
        try:
            await load.prepare()
            while (dealt := fire.dealt.total()) < faults:
                await _round(fleet, load, fire, min(per_round, faults - dealt))
                await _judge(fleet, load, sink, fire, seed)
        finally:
            await load.close()


async def _round(fleet: Fleet, load: Load, fire: Fire, faults: int) -> None:
    """The clients work while it burns; then all is mended and they finish what they began."""
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(load.work(stop))
        for _ in range(faults):
            await fire.strike()
            fleet.assert_nobody_died()
        stop.set()
        await fleet.mend()


async def _judge(fleet: Fleet, load: Load, sink: Sink, fire: Fire, seed: int) -> None:
    connection = await asyncpg.connect(fleet.database_url)
    try:
        drained_s = await settle(connection)
        evidence = await gather(connection, load.journal, sink)
    finally:
        await connection.close()
    violations = check(evidence)
    print(
        f"{fleet.broker.name}: {fire.dealt.total()} faults {dict(fire.dealt)}; {len(evidence.log)} events, "
        f"{len(evidence.invoices)} invoices, {len(evidence.received)} webhooks; "
        f"drained in {drained_s:.1f} s; {len(violations)} violations",
        flush=True,
    )
    assert not violations, "\n".join(
        [f"SEED={seed}, logs in {fleet.folder}", *(f"{promise}: {what}" for promise, what in violations[:40])]
    )


async def settle(connection: asyncpg.Connection) -> float:
    """Waits until nothing is under way any more, or the time for it is up; returns how long it took."""
    began = time.monotonic()
    while await unfinished(connection) and time.monotonic() - began < DRAINED_WITHIN_S:  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    return time.monotonic() - began


def new_seed() -> int:
    return random.SystemRandom().randrange(10**6)
