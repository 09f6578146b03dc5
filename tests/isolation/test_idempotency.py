"""Every mutating RPC called many times at once with one request id: one effect, one answer."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import protovalidate
import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from corebilling.rpc.method import Idempotency, Method
from tests.isolation.quiet import quiet
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.requests.calling import METHODS, Answer, Caller, Headers, with_key
from tests.support.requests.making import Requests
from tests.support.requests.world import SETTINGS, make_failing, new_world

MUTATING = [
    method
    for method in METHODS
    if method.idempotency is Idempotency.REQUEST_ID and not method.server_streaming
]
# What rows there are, and how often they were changed.
COLUMNS = (
    "SELECT c.relname AS name, "
    "bool_or(a.attname = 'version' AND a.atttypid = 'bigint'::regtype) AS versioned "
    "FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
    "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
    "GROUP BY c.relname"
)

Effect = Mapping[str, tuple[int, int]]
"""Rows more than before, and changes of rows, by table; where there are any."""


@pytest.mark.parametrize("at_once", [8, pytest.param(50, marks=pytest.mark.long)])
async def test_one_request_id_has_one_effect_and_one_answer(database: TestDatabase, at_once: int) -> None:
    problems: list[str] = []
    with quiet():
        async with running_platform(database, **SETTINGS) as platform:
            await make_failing(platform)
            caller = Caller(platform.app.grpc_address)
            world = await new_world(platform, caller, "kestrel")
            repeating = Repeating(platform, caller, Requests(world, await world.now()))
            for method in MUTATING:
                headers = with_key(world.owner_key if method.tenant_scoped else platform.operator_key)
                problems += [
                    f"{method.name}: {problem}"
                    for problem in await repeating.problems(method, headers, at_once)
                ]
            await caller.close()
    print(f"{len(MUTATING)} RPCs, {at_once} calls at once each, {repeating.aborted} told to come again")
    assert not problems, "\n".join(problems)


class Repeating:
    def __init__(self, platform: Platform, caller: Caller, requests: Requests) -> None:
        self._platform = platform
        self._caller = caller
        self._requests = requests
        self.aborted = 0

    async def problems(self, method: Method, headers: Headers, at_once: int) -> list[str]:
        # The first call of all may bring about more, as an account or a counter.
        for _ in range(2):
            request = await self._requests.valid(method)
            before = await self._rows()
            answer = await self._insist(method, request, headers)
            assert answer.code == "OK", f"{method.name}: {answer.told} {answer.message}"
            once = _effect(before, await self._rows())
        request = await self._requests.valid(method)
        before = await self._rows()
        answers = await asyncio.gather(*(self._insist(method, request, headers) for _ in range(at_once)))
        many = _effect(before, await self._rows())
        changed = await self._caller.call_once(method, changed_input(request), headers)
        return [
            *(f"{answer.told}, {answer.message}" for answer in answers if answer.code != "OK"),
            *_differing(method, answers),
            *([f"had the effect {many}, once it is {once}"] if many != once else []),
            *([] if changed.reason == "REQUEST_ID_REUSED" else [f"other input: {changed.told}"]),
        ]

    async def _insist(self, method: Method, request: Message, headers: Headers) -> Answer:
        """Asks again as long as it is told to."""
        while True:
            answer: Answer = await self._caller.call_once(method, request, headers)
            if answer.code != "ABORTED":
                return answer
            assert answer.retry_after_s, "a client is told when"
            self.aborted += 1
            await asyncio.sleep(answer.retry_after_s)

    async def _rows(self) -> Effect:
        tables = await self._platform.rows(COLUMNS)
        each = [
            f"SELECT '{table['name']}' AS name, count(*) AS n, "
            f"{'coalesce(sum(version), 0)' if table['versioned'] else '0'}::bigint AS changes "
            f"FROM {table['name']}"
            for table in tables
        ]
        rows = await self._platform.rows(" UNION ALL ".join(each))
        return {row["name"]: (row["n"], row["changes"]) for row in rows}


def _effect(before: Effect, after: Effect) -> Effect:
    return {
        table: (after[table][0] - before[table][0], after[table][1] - before[table][1])
        for table in after
        if after[table] != before[table]
    }


def _differing(method: Method, answers: list[Answer]) -> Iterator[str]:
    """What is shown once is shown to one; all else is the same for all."""
    responses: list[Any] = [
        method.response_class.FromString(answer.responses[0]) for answer in answers if answer.responses
    ]
    for name in method.secret_fields:
        shown = sum(bool(getattr(response, name)) for response in responses)
        if shown != 1:
            yield f"{name} is shown {shown} times"
        for response in responses:
            response.ClearField(name)
    if len({response.SerializeToString(deterministic=True) for response in responses}) > 1:
        yield "answers differ"


def changed_input(request: Any) -> Any:
    """The same request id with something else, that is a valid request all the same."""
    for changed in _changes(request):
        if not protovalidate.collect_violations(changed) and changed != request:
            return changed
    raise AssertionError(f"nothing of it can be changed: {request}")


def _changes(request: Any) -> Iterator[Any]:
    for field in request.DESCRIPTOR.fields:
        if field.is_repeated or field.name in ("tenant_id", "request_id"):
            continue
        if field.message_type is not None:
            values: Iterator[Any] = _changes(getattr(request, field.name))
        else:
            values = iter(_other_values(field, getattr(request, field.name)))
        for value in values:
            changed = type(request)()
            changed.CopyFrom(request)
            if field.message_type is not None:
                getattr(changed, field.name).CopyFrom(value)
            else:
                setattr(changed, field.name, value)
            yield changed


def _other_values(field: FieldDescriptor, value: Any) -> list[Any]:
    match field.type:
        case FieldDescriptor.TYPE_STRING:
            return [value + "1", value[:-1], "1"]
        case FieldDescriptor.TYPE_BOOL:
            return [not value]
        case FieldDescriptor.TYPE_BYTES:
            return [value + b"1"]
        case _:
            return [value + 1, value - 1]
