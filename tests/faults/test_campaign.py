"""The fault campaign: the platform as production runs it, under load, while everything is ended in turn.

`make faults` runs the middle form, `make faults LONG=1` the long one; SEED=… repeats a run.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.faults.campaign.campaign import new_seed, run
from tests.support.broker import BrokerServer, LocalBroker

SHORT, MIDDLE, LONG = 6, 50, 500
PER_ROUND = 25


@pytest.fixture
def folder() -> Path:
    path = Path(tempfile.mkdtemp(prefix="cb-campaign-"))
    path.chmod(0o711)
    return path


async def campaign(folder: Path, broker: BrokerServer, faults: int) -> None:
    seed = int(os.environ.get("SEED") or new_seed())
    await run(folder, broker, faults=faults, per_round=min(faults, PER_ROUND), seed=seed)
    shutil.rmtree(folder)  # Kept when it failed: it holds the logs.


async def test_a_few_faults_change_nothing(folder: Path):
    await campaign(folder, LocalBroker(), SHORT)
