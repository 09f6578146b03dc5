"""Every RPC, called by all who must get nothing: the right refusal, not a byte told, not a row changed."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeAlias

import pytest

from corebilling.db.embedded import EmbeddedPostgres
from corebilling.rpc.method import Idempotency, Method
from corebilling.values.ids import new_id
from tests.isolation.matrix import ANY_REFUSAL, Worlds, credentials, two_worlds
from tests.isolation.quiet import quiet
from tests.support.postgres import new_database
from tests.support.requests.calling import METHODS, Answer, with_key
from tests.support.requests.filling import Path
from tests.support.requests.making import foreign_places, renewed, spelled
from tests.support.unfiltered import named_queries

Walls: TypeAlias = Callable[[], AbstractContextManager[None]]
Values: TypeAlias = list[tuple[Path, str]]

WITHOUT_TENANT = {query: query.unfiltered for query in named_queries()}
REFUSALS = {"INVALID_ARGUMENT", "NOT_FOUND", "PERMISSION_DENIED"}
FAULTS = {"INTERNAL", "UNKNOWN"}


@pytest.fixture(scope="module")
async def worlds(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[Worlds]:
    with quiet():
        async with new_database(postgres, migrated_template) as database, two_worlds(database) as opened:
            await opened.ask_everything()
            yield opened


@contextmanager
def unfiltered() -> Iterator[None]:
    """The program's queries without the predicates of the tenant: the policies of the database are alone."""
    for query, text in WITHOUT_TENANT.items():
        setattr(query.module, query.constant, text)
    yield
    for query in WITHOUT_TENANT:
        setattr(query.module, query.constant, query.text)


@contextmanager
def filtered() -> Iterator[None]:
    yield


async def test_every_rpc_answers_who_may_call_it(worlds: Worlds) -> None:
    assert not worlds.unanswered, "\n".join(worlds.unanswered)


async def test_no_credential_opens_more_than_it_may(worlds: Worlds) -> None:
    found = Findings(worlds)
    table = await credentials(worlds)
    await worlds.settle()
    for method in METHODS:
        await found.begin(method)
        request = worlds.asked[method]
        for credential in table:
            expected = credential.expected(method)
            if expected is None:
                continue
            answer = await worlds.caller.call(method, request, credential.headers)
            found.note(method, credential.name, answer, expected)
    await found.compare()
    found.show()
    assert found.problems == []


@pytest.mark.parametrize("walls", [filtered, unfiltered])
async def test_ids_of_others_lead_nowhere(worlds: Worlds, walls) -> None:
    found = Findings(worlds)
    await worlds.settle()
    for method in METHODS:
        await found.begin(method)
        asking = Asking(worlds, method, walls)
        for name, foreign, made_up in attempts(worlds, method):
            as_nobodys = await asking.ask(made_up)
            answer = await asking.ask(foreign)
            expected = as_nobodys.told if walls is filtered else answer.told
            found.note(method, name, answer, expected)
    await found.compare()
    found.show()
    assert found.problems == []


async def test_without_either_wall_the_same_attempts_succeed(worlds: Worlds) -> None:
    """So that finding nothing means something. The last test: what the worlds hold is mixed up after it."""
    found = Findings(worlds)
    await worlds.settle()
    await worlds.open_the_wall()
    for method in METHODS:
        if method.idempotency is not Idempotency.READ:
            continue
        asking = Asking(worlds, method, unfiltered)
        for name, foreign, _ in attempts(worlds, method):
            answer = await asking.ask(foreign)
            found.note(method, name, answer, answer.told)
    leaking = {place.partition(" ")[0] for place in found.problems}
    print(f"without either wall {len(leaking)} reading RPCs tell of others: {sorted(leaking)}")
    assert len(leaking) > 40


class Asking:
    """Calls of a method by the stranger, who has all that it takes."""

    def __init__(self, worlds: Worlds, method: Method, walls: Walls) -> None:
        self._worlds = worlds
        self._method = method
        self._walls = walls
        self._own: Any = None

    async def ask(self, values: Values) -> Answer:
        """Something of its own, but for these values."""
        stranger = self._worlds.stranger
        if self._own is None:
            self._own = await stranger.valid(self._method)
        request = renewed(self._own)
        for path, value in values:
            self._worlds.said.add(value.encode())
            request = stranger.with_foreign(request, path, value)
        with self._walls():
            answer = await self._worlds.caller.call(self._method, request, with_key(stranger.world.owner_key))
        if answer.code == "OK" and self._method.idempotency is not Idempotency.READ:
            self._own = None
        return answer


def attempts(worlds: Worlds, method: Method) -> Iterator[tuple[str, Values, Values]]:
    """What of the victim's is named, and what that nobody has: one field at a time, then all at once."""
    foreign: Values = []
    made_up: Values = []
    for path, kind in foreign_places(method):
        theirs, nobodys = values_of(worlds, method, kind)
        yield spelled(path), [(path, theirs)], [(path, nobodys)]
        if kind != "request":
            foreign.append((path, theirs))
            made_up.append((path, nobodys))
    yield "all", foreign, made_up


def values_of(worlds: Worlds, method: Method, kind: str) -> tuple[str, str]:
    ids = worlds.victim.world.ids
    match kind:
        case "request":
            return worlds.asked[method].request_id, new_id("req")
        case "page_token":
            return worlds.page_tokens[method], ""
        case "resume_token":
            return ids[kind], worlds.stranger.world.ids[kind]
    assert kind in ids, f"{kind}: let worlds have one, and say in world.py what its id is"
    return ids[kind], ids[kind][:-4] + "0000" if "_" in ids[kind] else "nobody"


class Findings:
    """What was told and touched, cell by cell."""

    def __init__(self, worlds: Worlds) -> None:
        self._worlds = worlds
        self._cells: dict[str, dict[str, str]] = defaultdict(dict)
        self._service = ""
        self.problems: list[str] = []

    def note(self, method: Method, cell: str, answer: Answer, expected: str) -> None:
        place = f"{method.name} [{cell}]"
        self._cells[method.full_name][cell] = answer.told
        if leaked := self._worlds.leaks(answer):
            self.problems.append(f"{place}: tells {sorted(leaked)[:3]}")
        if expected == ANY_REFUSAL and answer.code in REFUSALS:
            return
        if answer.told != expected or answer.code in FAULTS:
            self.problems.append(f"{place}: {answer.told}, expected {expected}; {answer.message}")

    async def compare(self) -> None:
        if changed := await self._worlds.changed():
            self.problems.append(f"{self._service}: changed the victim's {changed}")

    async def begin(self, method: Method) -> None:
        """To know in which service it was that something changed."""
        if method.service != self._service:
            await self.compare()
            self._service = method.service

    def show(self) -> None:
        for method, cells in self._cells.items():
            print(f"{method.removeprefix('billing.'):60}", " | ".join(f"{k}: {v}" for k, v in cells.items()))
        told = Counter(told for cells in self._cells.values() for told in cells.values())
        print(*self.problems, sep="\n")
        print(f"{len(self._cells)} RPCs, {told.total()} cells: {dict(told)}")
