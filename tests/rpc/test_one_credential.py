"""A call has one credential: which of two counts, a proxy that checks them would have to know."""

from collections.abc import Awaitable, Callable, Sequence

import grpc
import pytest
from aiohttp import ClientSession
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub

from tests.support.app import Refusal, refusal_of
from tests.support.http import refusal_in
from tests.support.platform import Platform

Headers = Sequence[tuple[str, str]]


async def over_grpc(platform: Platform, headers: Headers) -> Refusal | None:
    customers = platform.stub(CustomerServiceStub, key="")
    try:
        await customers.ListCustomers(rpc.ListCustomersRequest(), metadata=tuple(headers))
    except grpc.aio.AioRpcError as error:
        return refusal_of(error)
    return None


async def over_http(platform: Platform, headers: Headers) -> Refusal | None:
    async with (
        ClientSession(platform.app.http_address) as session,
        session.get("/v1/customers", headers=headers) as answer,
    ):
        return None if answer.status == 200 else refusal_in(await answer.json())


@pytest.mark.parametrize("ask", [over_grpc, over_http])
async def test_two_credentials_are_refused_and_one_said_twice_is_one(
    platform: Platform, ask: Callable[[Platform, Headers], Awaitable[Refusal | None]]
) -> None:
    _, other = await platform.new_tenant("other")
    mine = platform.tenant_key
    for headers in (
        [("x-api-key", other), ("x-api-key", mine)],
        [("x-api-key", f"{mine}, {other}")],
        [("authorization", f"Bearer {other}"), ("x-api-key", mine)],
        [("authorization", f"Bearer {other}"), ("authorization", f"bearer {mine}")],
        [("authorization", f"Bearer {other}"), ("authorization", "Basic eDp5"), ("x-api-key", mine)],
        [("authorization", f"Bearer {other}"), ("x-api-key", mine), ("x-api-key", mine)],
        [("authorization", "Bearer a.b.c"), ("x-api-key", mine)],
    ):
        refusal = await ask(platform, headers)
        assert refusal is not None, headers
        assert refusal.reason == "CREDENTIAL_INVALID"
        assert "More than one credential" in refusal.message
    for headers in (
        [("x-api-key", mine), ("x-api-key", mine)],
        [("authorization", f"Bearer {mine}"), ("x-api-key", mine)],
        [("authorization", "Basic eDp5"), ("x-api-key", mine)],
        [("authorization", "Basic eDp5"), ("authorization", f"Bearer {mine}")],
        [("x-correlation-id", "a"), ("x-correlation-id", "b"), ("x-api-key", mine)],
    ):
        assert await ask(platform, headers) is None, headers
    for headers in (
        [],
        [("authorization", "Basic eDp5")],
        [("x-api-key", "")],
        [("authorization", "Bearer ")],
    ):
        refusal = await ask(platform, headers)
        assert refusal is not None
        assert refusal.reason == "CREDENTIAL_MISSING"
