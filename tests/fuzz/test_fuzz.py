"""Hostile input for every RPC, over gRPC and over HTTP: no fault, and no memory that stays taken.

FUZZ_SEED=n FUZZ_INPUTS=200000 pytest -s -m long tests/fuzz
"""

import asyncio
import gc
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import aiohttp
import grpc
import orjson
import pytest
from google.protobuf import json_format

from corebilling.http.rules import rules_of
from corebilling.rpc.method import Method
from tests.fuzz.mutation import JSON_VALUES, TEXTS, Mutation, hostile_json
from tests.isolation.quiet import quiet
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.requests.calling import METHODS, Caller, with_key
from tests.support.requests.making import Requests, renewed
from tests.support.requests.world import SETTINGS, World, make_failing, new_world

SEED = int(os.environ.get("FUZZ_SEED", "20261122"))
INPUTS = int(os.environ.get("FUZZ_INPUTS", "200000"))
IN_CI = 1500
# Where each input is a stream, or moves the time of all others.
ASIDE = {"AdvanceTestClock", "WatchEvents", "Replay"}
ROUNDS_PER_WORLD = 20
PER_REQUEST = 8
FAULTS = {"INTERNAL", "UNKNOWN"}
HTTP_FAULTS = {500, 501, 502}
GROWTH = 1.15
PATIENCE_S = 20
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def platform_of_worlds(database: TestDatabase) -> AsyncIterator[Platform]:
    with quiet():
        async with running_platform(database, **SETTINGS) as platform:
            await make_failing(platform)
            yield platform


class UsedUp(Exception):
    """The world has no more of what a request takes: its plan is deprecated, say."""


class Fuzzing:
    """Attacks by one client, until there were so many."""

    def __init__(self, caller: Caller, session: aiohttp.ClientSession, inputs: int) -> None:
        self._chance = Random(SEED)
        self._caller = caller
        self._session = session
        self._inputs = inputs
        self.told: Counter[str] = Counter()
        self.faults: list[str] = []
        self.memory: list[int] = []

    @property
    def done(self) -> bool:
        return self.told.total() >= self._inputs

    async def use_up(self, world: World) -> None:
        """Round by round, until it has nothing more to give."""
        requests = Requests(world, await world.now())
        with suppress(UsedUp):
            for _ in range(ROUNDS_PER_WORLD):
                for method in METHODS:
                    if method.name not in ASIDE and not self.done:
                        await self._attack(world, method, await valid(requests, method))
                self.memory.append(resident())
                told = f"{self.told.total()} of {self._inputs} inputs, {self.memory[-1] >> 20} MiB"
                print(f"SEED={SEED} {told}", flush=True)

    async def _attack(self, world: World, method: Method, request: Any) -> None:
        if method.tenant_scoped:
            request.tenant_id = world.tenant_id
        key = world.owner_key if method.tenant_scoped else world.platform.operator_key
        mutation = Mutation(self._chance, [*world.ids.values(), world.tenant_id, world.code])
        for _ in range(PER_REQUEST):
            await self._over_grpc(method, mutation.hostile(renewed(request)), key)
        if not method.client_streaming:
            await self._over_http(method, renewed(request), key)
        assert self.faults == [], f"SEED={SEED}\n" + "\n".join(self.faults)

    async def _over_grpc(self, method: Method, data: bytes, key: str) -> None:
        code = "OK"
        try:
            async with asyncio.timeout(PATIENCE_S):
                async for _ in self._caller.responses(method, data, with_key(key)):
                    pass
        except grpc.aio.AioRpcError as error:
            code = error.code().name
        self.told[code] += 1
        if code in FAULTS:
            self.faults.append(f"{method.full_name}: {code} for {data[:300].hex()}")

    async def _over_http(self, method: Method, request: Any, key: str) -> None:
        """The same request as JSON, with values of wrong types, and odd paths, queries and headers."""
        chance = self._chance
        rule = chance.choice(list(rules_of(method.full_name)))
        content = json_format.MessageToDict(request, preserving_proto_field_name=True)
        path = self._path(rule.template, content)
        headers = {"X-API-Key": key, "Content-Type": "application/json"}
        if chance.random() < 0.2:
            headers["X-Idempotency-Key"] = chance.choice(("", "x" * 200, "ü", "a b"))
        body, query = None, {}
        if rule.body:
            body = self._body(content)
        else:
            query = {name: str(chance.choice(JSON_VALUES)(chance))[:300] for name in [*content, "odd"][:6]}
        async with self._session.request(
            rule.verb, path, data=body, params=query, headers=headers
        ) as response:
            told = await response.read()
        self.told[f"HTTP {response.status}"] += 1
        if response.status in HTTP_FAULTS:
            asked = f"{rule.verb} {path} {body!r}"
            self.faults.append(f"{method.full_name}: HTTP {response.status} for {asked}: {told[:200]!r}")

    def _path(self, template: str, content: dict[str, Any]) -> str:
        """With what the request has for its variables, or something else."""
        path = template
        while "{" in path:
            name = path[path.index("{") + 1 : path.index("}")]
            said = content.pop(name, "x")
            value = said if self._chance.random() < 0.6 else self._chance.choice(TEXTS)[:500]
            path = path.replace(f"{{{name}}}", quote(str(value), safe="") or "x")
        return path

    def _body(self, content: dict[str, Any]) -> bytes:
        body = orjson.dumps(hostile_json(self._chance, content))
        if self._chance.random() < 0.1:
            return self._chance.choice((b"", b"{", b"[" * 5000, b"\xff", b"nul", body[:-1]))
        return body


async def valid(requests: Requests, method: Method) -> Any:
    """Raises UsedUp."""
    try:
        return await requests.valid(method)
    except (AssertionError, LookupError) as error:
        raise UsedUp(str(error)) from None


async def fuzz(platform: Platform, inputs: int) -> Fuzzing:
    """So many inputs; now and then in a new world, since much of the old one is used up."""
    caller = Caller(platform.app.grpc_address)
    async with aiohttp.ClientSession(platform.app.http_address) as session:
        fuzzing = Fuzzing(caller, session, inputs)
        for number in count():
            if fuzzing.done:
                break
            await fuzzing.use_up(await new_world(platform, caller, f"fuzz{number}"))
    await caller.close()
    print(dict(fuzzing.told))
    return fuzzing


def resident() -> int:
    """Bytes of memory that the process, server and client together, holds."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES


@pytest.fixture
async def platform(database: TestDatabase) -> AsyncIterator[Platform]:
    async with platform_of_worlds(database) as opened:
        yield opened


async def test_hostile_input_is_refused_and_never_a_fault(platform: Platform) -> None:
    told = (await fuzz(platform, IN_CI)).told
    assert told["OK"] > 0
    assert told["INVALID_ARGUMENT"] > IN_CI / 5


@pytest.mark.long
async def test_very_much_hostile_input_leaves_nothing_behind(platform: Platform) -> None:
    memory = (await fuzz(platform, INPUTS)).memory
    # Caches are full in the second quarter.
    quarter = len(memory) // 4
    assert min(memory[-quarter:]) < min(memory[quarter : 2 * quarter]) * GROWTH, [one >> 20 for one in memory]
