"""The fault campaign: the platform as production runs it, under load, while everything is ended in turn.

Short here, for a few minutes with `make faults`, long with `make faults LONG=1`; SEED=… repeats a run.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.faults.campaign.campaign import new_seed, run
from tests.faults.campaign.fire import EVERYTHING, WIPES
from tests.support.broker import BrokerServer, LocalBroker

SHORT_FAULTS = 8
FAULTS = 500 if os.environ.get("LONG") else 50
FAULTS_PER_ROUND = 25
WIPED = 5


@pytest.fixture
def folder() -> Path:
    """Of the database and the logs; a failed campaign leaves it for a look."""
    path = Path(tempfile.mkdtemp(prefix="cb-campaign-"))
    path.chmod(0o711)
    return path


@pytest.fixture(params=["local", "nats", "kafka"])
def broker(request: pytest.FixtureRequest) -> BrokerServer:
    if request.param == "local":
        return LocalBroker()
    server: BrokerServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture(params=["nats", "kafka"])
def remote(request: pytest.FixtureRequest) -> BrokerServer:
    server: BrokerServer = request.getfixturevalue(request.param)
    return server


async def campaign(
    folder: Path,
    broker: BrokerServer,
    *,
    faults: int,
    per_round: int = FAULTS_PER_ROUND,
    mix: Mapping[str, int] = EVERYTHING,
) -> None:
    seed = int(os.environ.get("SEED") or new_seed())
    await run(folder, broker, faults=faults, per_round=per_round, seed=seed, mix=mix)
    shutil.rmtree(folder)


async def test_a_few_faults_change_nothing(folder: Path, broker: BrokerServer):
    await campaign(folder, broker, faults=SHORT_FAULTS)


async def test_a_broker_that_loses_its_data_changes_nothing(folder: Path, remote: BrokerServer):
    await campaign(folder, remote, faults=1, per_round=1, mix=WIPES)


@pytest.mark.long
async def test_many_faults_change_nothing(folder: Path, remote: BrokerServer):
    await campaign(folder, remote, faults=FAULTS)


@pytest.mark.long
async def test_a_broker_that_loses_its_data_again_and_again_changes_nothing(
    folder: Path, remote: BrokerServer
):
    await campaign(folder, remote, faults=WIPED, per_round=1, mix=WIPES)
