"""Unary calls with everything included, as shares of a method that does nothing.

The same client calls both; each server runs in a process of its own.
"""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import grpc
import uvloop
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub

from bench.platform import TENANT, NewDatabase, in_own_process, running_api
from bench.report import Row, console, median_ratio, rates
from corebilling.values.ids import new_id

AT_ONCE = 16
SECONDS = 0.5
ROUNDS = 21
CUSTOMERS = 1_000

ADD_TENANT = """
INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at)
VALUES ($1, 'Bench', 'bench', 'live', 'USD', 'UTC', now())
"""


async def measure(new_database: NewDatabase) -> list[Row]:
    database = await new_database("rpc")
    admin = await asyncpg.connect(database.admin)
    await admin.execute(ADD_TENANT, TENANT)
    await admin.close()
    async with running_api(database) as api, in_own_process(_serve_nothing) as port:
        key = await api.tenant_key(TENANT)
        async with (
            grpc.aio.insecure_channel(api.address) as channel,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as empty_channel,
        ):
            return await _rounds(CustomerServiceStub(channel), CustomerServiceStub(empty_channel), key)


async def _rounds(stub: Any, empty_stub: Any, key: str) -> list[Row]:
    """Takes the three in turn, so that a slow moment of the machine hits all."""
    # Without the client's interceptor, which is no part of what is compared.
    metadata = (("x-api-key", key),)

    def create() -> Any:
        details = rpc.CustomerDetails(name="Ada", company="Analytical Engines", email="ada@example.com")
        request = rpc.CreateCustomerRequest(request_id=new_id("req"), currency="USD", details=details)
        return stub.CreateCustomer(request, metadata=metadata)

    created = [await create() for _ in range(CUSTOMERS)]
    some = itertools.cycle([rpc.GetCustomerRequest(customer_id=answer.customer.id) for answer in created])
    mutations, gets = [], []
    console.print(f"rpc: {ROUNDS} rounds of mutations, gets and empty calls")
    for _ in range(ROUNDS):
        bare = await calls_per_second(lambda: empty_stub.GetCustomer(next(some), metadata=metadata))
        get = await calls_per_second(lambda: stub.GetCustomer(next(some), metadata=metadata))
        mutation = await calls_per_second(create)
        mutations.append((mutation, bare))
        gets.append((get, bare))
    baseline = "empty grpc.aio method"
    return [
        Row("unary mutation", baseline, median_ratio(mutations), 0.20, 0.30, rates(mutations)),
        Row("unary get", baseline, median_ratio(gets), 0.35, 0.50, rates(gets)),
    ]


async def calls_per_second(call: Callable[[], Awaitable[Any]]) -> float:
    """Calls per second, a fixed number of them under way at any time."""
    done = 0

    async def work() -> None:
        nonlocal done
        while time.perf_counter() < end:
            await call()
            done += 1

    started = time.perf_counter()
    end = started + SECONDS
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return done / (time.perf_counter() - started)


def _serve_nothing(started: Any) -> None:
    async def answer(_request: Any, _context: Any) -> rpc.GetCustomerResponse:
        return rpc.GetCustomerResponse()

    async def run() -> None:
        server = grpc.aio.server()
        method = grpc.unary_unary_rpc_method_handler(
            answer, rpc.GetCustomerRequest.FromString, rpc.GetCustomerResponse.SerializeToString
        )
        service = "billing.customer.v1.CustomerService"
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(service, {"GetCustomer": method})]
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        started.put(port)
        await server.wait_for_termination()

    uvloop.run(run())
