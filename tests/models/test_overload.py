"""Whose call takes whose place."""

import asyncio
from typing import Any

import pytest

from corebilling.errors import ResourceExhausted
from corebilling.rpc.call import Call, Credential
from corebilling.rpc.method import find_method
from corebilling.rpc.overload import concurrency_limit

METHOD: Any = find_method("billing.customer.v1.CustomerService/GetCustomer")
NOBODY: Any = None
"""In place of a connection, which this concern does not ask for."""


def call_of(tenant_id: str, account: str | None = None) -> Call:
    credential = Credential(tenant_id, "someone", "role", frozenset(), account)
    return Call(METHOD, NOBODY, {}, "cor_1", "", NOBODY, credential)


async def test_one_account_does_not_take_all_calls_of_its_tenant_and_places_are_given_back() -> None:
    ended = asyncio.Event()

    async def work(request: Any, call: Any) -> Any:
        await ended.wait()
        return request

    answer = concurrency_limit(max_calls=4, max_streams=1)(METHOD, work)
    for _ in range(2):
        ended.clear()
        under_way = [asyncio.ensure_future(answer(b"", call_of("a", "ada")))]
        await asyncio.sleep(0)
        with pytest.raises(ResourceExhausted) as caught:
            await answer(b"", call_of("a", "ada"))
        assert (caught.value.reason, caught.value.facts["limit"]) == ("TENANT_OVERLOADED", "1")
        under_way.append(asyncio.ensure_future(answer(b"", call_of("a", "bob"))))
        await asyncio.sleep(0)
        ended.set()
        assert await asyncio.gather(*under_way) == [b"", b""]


async def test_what_is_on_its_way_in_takes_no_place_until_it_is_there() -> None:
    there = asyncio.Event()

    async def slowly() -> bytes:
        await there.wait()
        return b"slow"

    async def work(request: Any, call: Any) -> Any:
        return request

    answer = concurrency_limit(max_calls=1, max_streams=1)(METHOD, work)
    slow = asyncio.ensure_future(answer(slowly, call_of("a")))
    await asyncio.sleep(0)
    assert await answer(b"fast", call_of("a")) == b"fast"
    there.set()
    assert await slow == b"slow"
