"""The checker can fail: every kind of damage, done to what a real, quiet run left behind, is found.

Each plant changes the database (in a transaction that is rolled back), what the clients were told, or what
the receiver got, and names the promise that must be found broken.
"""

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from tests.faults.campaign.campaign import settle
from tests.faults.campaign.checker import CHECKS, check
from tests.faults.campaign.evidence import Evidence, gather
from tests.faults.campaign.fleet import Fleet
from tests.faults.campaign.load import Journal, Load, Sink
from tests.support.broker import LocalBroker

WORKED_S = 6.0


@dataclass
class Scene:
    """A run that went well: everything settled, nobody at work any more."""

    connection: asyncpg.Connection
    journal: Journal
    sink: Sink

    @asynccontextmanager
    async def damaged(self, sql: str) -> AsyncIterator[None]:
        transaction = self.connection.transaction()
        await transaction.start()
        try:
            # Triggers and foreign keys stand back: what they prevent must be found all the same.
            await self.connection.execute("SET LOCAL session_replication_role = replica")
            await self.connection.execute(sql)
            yield
        finally:
            await transaction.rollback()

    async def evidence(self) -> Evidence:
        return await gather(self.connection, self.journal, self.sink)


@pytest.fixture(scope="module")
async def scene() -> AsyncIterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="cb-checker-"))
    folder.chmod(0o711)
    async with Sink() as sink, Fleet.open(folder, LocalBroker()) as fleet:
        load = Load(fleet.target, await fleet.platform_key(), sink, seed=1)
        await load.prepare()
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(WORKED_S, stop.set)
        await load.work(stop)
        await load.close()
        connection = await asyncpg.connect(fleet.database_url)
        await settle(connection)
        yield Scene(connection, load.journal, sink)
        await connection.close()
    shutil.rmtree(folder)


async def test_a_quiet_run_breaks_no_promise_and_shows_every_kind_of_evidence(scene: Scene):
    evidence = await scene.evidence()
    assert check(evidence) == []
    assert len(evidence.published) > 50
    assert len(evidence.invoices) > 3
    assert all([evidence.effects, evidence.received, evidence.journals, evidence.usage_records])
    assert len(evidence.audited) > 50


DAMAGE: list[tuple[str, str, str]] = re.findall(
    r"^-- ([A-L]): (.*)\n((?:.+\n)+)", Path(__file__).with_name("damage.sql").read_text(), re.MULTILINE
)


@pytest.mark.parametrize(("promise", "what", "sql"), DAMAGE, ids=[what for _, what, _ in DAMAGE])
async def test_damage_in_the_database_is_found(scene: Scene, promise: str, what: str, sql: str):
    async with scene.damaged(sql):
        found = check(await scene.evidence())
    assert promise in {violation.promise for violation in found}


def _answer_twice(journal: Journal, sink: Sink) -> None:
    journal.published.append(journal.published[0])


def _answers_out_of_order(journal: Journal, sink: Sink) -> None:
    of_one = [number for number, (_, name) in enumerate(journal.published) if name == "order-1"]
    first, second = of_one[:2]
    journal.published[first], journal.published[second] = journal.published[second], journal.published[first]


def _never_logged(journal: Journal, sink: Sink) -> None:
    journal.published.append(("evt_nowhere", "order-1"))


def _not_received(journal: Journal, sink: Sink) -> None:
    lost = sink.received[0][0]
    sink.received = [row for row in sink.received if row[0] != lost]


def _wrong_signature(journal: Journal, sink: Sink) -> None:
    event_id, tenant_id, _ = sink.received[0]
    sink.received.append((event_id, tenant_id, False))


def _wrong_receiver(journal: Journal, sink: Sink) -> None:
    sink.received.append(("evt_of_another", "ten_other", True))


def _usage_unanswered(journal: Journal, sink: Sink) -> None:
    journal.usage[next(iter(journal.usage))] += 1


def _change_unaudited(journal: Journal, sink: Sink) -> None:
    tenant_id, action, _ = journal.changes[0]
    journal.changes.append((tenant_id, action, "another"))


def _change_unanswered(journal: Journal, sink: Sink) -> None:
    journal.changes.pop()


CLAIMS: list[tuple[str, Callable[[Journal, Sink], None]]] = [
    ("A", _never_logged),
    ("B", _answer_twice),
    ("C", _answers_out_of_order),
    ("F", _wrong_receiver),
    ("G", _change_unaudited),
    ("G", _change_unanswered),
    ("I", _not_received),
    ("I", _wrong_signature),
    ("K", _usage_unanswered),
]


@pytest.mark.parametrize(("promise", "plant"), CLAIMS, ids=[plant.__name__ for _, plant in CLAIMS])
async def test_answers_and_arrivals_that_do_not_fit_are_found(
    scene: Scene, promise: str, plant: Callable[[Journal, Sink], None]
):
    journal, sink = deepcopy(scene.journal), Sink()
    sink.received = list(scene.sink.received)
    plant(journal, sink)
    found = check(await gather(scene.connection, journal, sink))
    assert promise in {violation.promise for violation in found}


def test_every_check_is_proven_able_to_fail():
    assert {promise for promise, _ in CHECKS} == {promise for promise, *_ in [*DAMAGE, *CLAIMS]}
