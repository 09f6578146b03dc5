"""What each wall around a use case costs: the same calls with none, and with one more at a time.

Each server runs in a process of its own, on a database of its own; the same client calls them in turn.
"""

import asyncio
import itertools
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeVar

import asyncpg
import grpc
import uvloop
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from google.protobuf.message import Message

from bench.platform import TENANT, BenchDatabase, NewDatabase, in_own_process
from bench.report import Row, console, median_ratio, rates
from bench.rpc import ADD_TENANT, calls_per_second
from corebilling.db.embedded import SUPERUSER
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.access.model import OF_ONE_ACCOUNT, Role, allowed
from corebilling.domains.access.service import AccessService
from corebilling.domains.customer.service import CustomerService
from corebilling.domains.customer.servicer import CustomerServicer
from corebilling.events import outbox
from corebilling.rpc.accounts import Accounts
from corebilling.rpc.answer import serializing
from corebilling.rpc.authentication import Authentication
from corebilling.rpc.authorization import Authorization
from corebilling.rpc.call import Behaviour, Call, Concern, Credential
from corebilling.rpc.concerns import CallLimits, concerns
from corebilling.rpc.deadline import deadline
from corebilling.rpc.door import Door
from corebilling.rpc.errors import errors
from corebilling.rpc.method import Method
from corebilling.rpc.rate_limit import ProcessRates, Rate, RateLimit
from corebilling.rpc.server import RpcPolicy, RpcServer
from corebilling.rpc.telemetry import telemetry
from corebilling.rpc.tokens import Tokens
from corebilling.rpc.validation import parsing, validation
from corebilling.running import collect_garbage_seldom
from corebilling.secrets import Secrets
from corebilling.telemetry.logs import configure_logs
from corebilling.values.caller import Caller
from corebilling.values.clock import SystemClock
from corebilling.values.ids import new_id

ROUNDS = 15
CUSTOMERS = 300

_OWNER = Caller(TENANT, actor="bench", role=Role.OWNER, permissions=allowed(Role.OWNER, ()))
_LIMITS = CallLimits(max_calls=64, max_streams=64, deadline_s=10, stream_deadline_s=10)
_KEEP_S = 30.0
_SERVICE = "billing.customer.v1.CustomerService"

Request = TypeVar("Request", bound=Message)
Response = TypeVar("Response", bound=Message)


class Walls(IntEnum):
    """What stands before a use case; each stands behind those before it."""

    NONE = 0
    """Still there: the contract's validation, one transaction, the event, errors, deadline, telemetry."""
    ACCESS = 1
    """Authentication, rate limit, permission, tenant and account."""
    ROW_SECURITY = 2
    REQUEST_ID = 3
    """Idempotency, and the audit entry that is written with the answer."""
    AUDITED_CHANGES = 4
    """What rows were and became: everything, as in production."""


_ADDED = {
    Walls.ACCESS: "access control",
    Walls.ROW_SECURITY: "row-level security",
    Walls.REQUEST_ID: "idempotency, audit entry",
    Walls.AUDITED_CHANGES: "audited changes (all)",
}


class _OpenDoor(Door):
    """Keeps nothing of a call."""

    async def write(
        self, request: Request, use_case: Callable[[Transaction, Request], Awaitable[Response]]
    ) -> Response:
        return await self.read(request, use_case)


@dataclass(frozen=True, slots=True)
class _Target:
    stub: Any
    metadata: tuple[tuple[str, str], ...]
    some: "itertools.cycle[rpc.GetCustomerRequest]"

    async def create(self) -> Any:
        details = rpc.CustomerDetails(name="Ada", company="Analytical Engines", email="ada@example.com")
        request = rpc.CreateCustomerRequest(
            tenant_id=TENANT, request_id=new_id("req"), currency="USD", details=details
        )
        return await self.stub.CreateCustomer(request, metadata=self.metadata)

    async def get(self) -> Any:
        return await self.stub.GetCustomer(next(self.some), metadata=self.metadata)


async def measure(new_database: NewDatabase) -> list[Row]:
    async with AsyncExitStack() as stack:
        targets = {walls: await _target(stack, walls, new_database) for walls in Walls}
        console.print(f"access: {ROUNDS} rounds of mutations and gets, with one wall more at a time")
        # In turn, so that a slow moment of the machine hits all.
        mutations: dict[Walls, list[float]] = {walls: [] for walls in Walls}
        gets: dict[Walls, list[float]] = {walls: [] for walls in Walls}
        for _ in range(ROUNDS):
            for walls, target in targets.items():
                gets[walls].append(await calls_per_second(target.get))
                mutations[walls].append(await calls_per_second(target.create))
    # A get keeps nothing: of those, the last two are the same.
    return [
        *_rows("unary mutation", mutations, Walls.AUDITED_CHANGES),
        *_rows("unary get", gets, Walls.ROW_SECURITY),
    ]


def _rows(path: str, measured: dict[Walls, list[float]], last: Walls) -> list[Row]:
    return [
        _row(f"{path}, + {_ADDED[walls]}", list(zip(measured[walls], measured[Walls.NONE], strict=True)))
        for walls in Walls
        if Walls.NONE < walls <= last
    ]


def _row(path: str, pairs: list[tuple[float, float]]) -> Row:
    return Row(path, "without any", median_ratio(pairs), 0, 0, rates(pairs), informative=True)


async def _target(stack: AsyncExitStack, walls: Walls, new_database: NewDatabase) -> _Target:
    database = await new_database(f"access_{walls.name.lower()}")
    admin = await asyncpg.connect(database.admin)
    await admin.execute(ADD_TENANT, TENANT)
    if walls < Walls.AUDITED_CHANGES:
        await admin.execute("DROP TRIGGER audited ON customers")
    await admin.close()
    port, key = await stack.enter_async_context(in_own_process(_serve, walls, database))
    channel = await stack.enter_async_context(grpc.aio.insecure_channel(f"127.0.0.1:{port}"))
    target = _Target(CustomerServiceStub(channel), (("x-api-key", key),), itertools.cycle(()))
    created = [await target.create() for _ in range(CUSTOMERS)]
    asked = [rpc.GetCustomerRequest(tenant_id=TENANT, customer_id=answer.customer.id) for answer in created]
    return _Target(target.stub, target.metadata, itertools.cycle(asked))


def _serve(walls: Walls, database: BenchDatabase, started: Any) -> None:
    async def run() -> None:
        clock, secrets = SystemClock(), Secrets(os.urandom(32))
        secured = walls >= Walls.ROW_SECURITY
        pool = await Database.open(
            database.app if secured else database.admin,
            role="corebilling_app" if secured else SUPERUSER,
            clock=clock,
            max_size=16,
            flush=outbox.flush,
        )
        door = Door(pool) if walls >= Walls.REQUEST_ID else _OpenDoor(pool)
        policy = RpcPolicy(host="127.0.0.1", port=0, max_concurrent_streams=128, reflection=False)
        services = {_SERVICE: CustomerServicer(door, CustomerService())}
        order = _guarded(pool, secrets, clock) if walls >= Walls.ACCESS else _unguarded()
        server = RpcServer(services, order, policy)
        started.put((await server.start(), await _new_key(pool, secrets)))
        await asyncio.Event().wait()

    # Lines go to a file, as under a supervisor.
    with tempfile.TemporaryFile("w") as log:
        sys.stdout = log
        configure_logs("json", "info")
        collect_garbage_seldom()
        uvloop.run(run())


def _guarded(pool: Database, secrets: Secrets, clock: SystemClock) -> tuple[Concern, ...]:
    # Counted as always, and never refused: the bench is one tenant.
    rate_limit = RateLimit(Rate(100_000, 100_000), ProcessRates(clock), clock)
    tokens = Tokens((), clock)
    return concerns(
        Authentication(pool, secrets, clock, tokens, allowed, OF_ONE_ACCOUNT, None, keep_s=_KEEP_S),
        Authorization(pool, clock, keep_s=_KEEP_S),
        Accounts(pool),
        _LIMITS,
        rate_limit,
    )


def _unguarded() -> tuple[Concern, ...]:
    return (
        telemetry,
        errors,
        deadline(call_s=_LIMITS.deadline_s, stream_s=_LIMITS.stream_deadline_s),
        _trusting,
        serializing,
        parsing,
        validation,
    )


def _trusting(_method: Method, following: Behaviour) -> Behaviour:
    async def answer(request: Any, call: Call) -> Any:
        call.credential = Credential(TENANT, _OWNER.actor, _OWNER.role, _OWNER.permissions)
        call.tenant_id = TENANT
        return await following(request, call)

    return answer


async def _new_key(pool: Database, secrets: Secrets) -> str:
    request = access_service_pb2.CreateApiKeyRequest(name="bench", role=api_key_pb2.ROLE_OWNER)
    async with pool.transaction(_OWNER) as tx:
        return str((await AccessService(secrets).create_api_key(tx, request)).secret)
