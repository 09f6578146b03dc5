"""The server that tests call: in this process, on a free port, on a real Postgres, at a time of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc
import pytest
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.tenant.v1 import tenant_pb2, tenant_service_pb2
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from corebilling.client import Client
from corebilling.db.pool import Database
from corebilling.domains.access.explanation_service import ExplanationService
from corebilling.domains.access.model import OF_ONE_ACCOUNT, allowed
from corebilling.domains.access.service import AccessService
from corebilling.domains.access.servicer import AccessServicer
from corebilling.domains.customer.service import CustomerService
from corebilling.domains.customer.servicer import CustomerServicer
from corebilling.domains.tenant.service import TenantService
from corebilling.domains.tenant.servicer import TenantServicer
from corebilling.events import outbox
from corebilling.rpc.accounts import Accounts
from corebilling.rpc.authentication import Authentication
from corebilling.rpc.authorization import Authorization
from corebilling.rpc.concerns import CallLimits, concerns
from corebilling.rpc.door import Door
from corebilling.rpc.issuers import Issuer
from corebilling.rpc.key_attempts import KeyAttempts
from corebilling.rpc.method import find_method
from corebilling.rpc.rate_limit import ProcessRates, Rate, RateLimit
from corebilling.rpc.server import RpcPolicy, RpcServer
from corebilling.rpc.tokens import Tokens
from corebilling.secrets import Secrets
from corebilling.values.caller import Caller
from corebilling.values.ids import PLATFORM_TENANT, new_id
from tests.support.clock import FakeClock
from tests.support.postgres import TestDatabase

MASTER_KEY = bytes(range(32))
CACHE_S = 3.0

Stub = TypeVar("Stub")


@dataclass
class App:
    """A running server with one tenant of its own, and the keys to it."""

    database: TestDatabase
    clock: FakeClock
    pool: Database
    secrets: Secrets
    target: str
    platform_key: str
    tenant_id: str = ""
    tenant_key: str = ""
    _clients: dict[str, Client] = field(default_factory=dict)

    def stub(self, stub_class: Callable[[grpc.aio.Channel], Stub], *, key: str | None = None) -> Stub:
        """Calls carry the tenant's owner key, or the one given; '' for none."""
        api_key = self.tenant_key if key is None else key
        client = self._clients.get(api_key)
        if client is None:
            client = self._clients[api_key] = Client(self.target, api_key)
        return client.stub(stub_class)

    async def new_tenant(self, slug: str) -> str:
        tenants = self.stub(TenantServiceStub, key=self.platform_key)
        created = await tenants.CreateTenant(
            tenant_service_pb2.CreateTenantRequest(
                request_id=new_id("req"), name=slug, slug=slug, mode=tenant_pb2.TENANT_MODE_LIVE
            )
        )
        return created.tenant.id

    async def new_key(self, tenant_id: str, role: int = api_key_pb2.ROLE_OWNER) -> str:
        access = self.stub(AccessServiceStub, key=self.platform_key)
        request = access_service_pb2.CreateApiKeyRequest(
            tenant_id=tenant_id, request_id=new_id("req"), name="test", role=api_key_pb2.Role.Name(role)
        )
        return (await access.CreateApiKey(request)).secret

    async def close(self) -> None:
        for client in self._clients.values():
            await client.close()


@dataclass(frozen=True)
class Refusal:
    """What a client is told when it is refused."""

    code: str
    reason: str
    facts: Mapping[str, str]
    message: str
    fields: tuple[str, ...] = ()
    retry_after_s: float | None = None


async def refused(call: Awaitable[Any]) -> Refusal:
    """The refusal that the call ends in; fails the test when it is answered."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return refusal_of(caught.value)


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    details = dict(error.trailing_metadata() or ())["grpc-status-details-bin"]
    assert isinstance(details, bytes)
    status = status_pb2.Status.FromString(details)
    assert (status.code, status.message) == (error.code().value[0], error.details())
    info = detail(status, error_details_pb2.ErrorInfo)
    assert info is not None
    assert info.domain == "corebilling"
    bad = detail(status, error_details_pb2.BadRequest)
    retry = detail(status, error_details_pb2.RetryInfo)
    return Refusal(
        code=error.code().name,
        reason=info.reason,
        facts=dict(info.metadata),
        message=status.message,
        fields=tuple(violation.field for violation in bad.field_violations) if bad else (),
        retry_after_s=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
    )


def detail(status: status_pb2.Status, kind: type[Any]) -> Any:
    for packed in status.details:
        found: Message = kind()
        if packed.Unpack(found):
            return found
    return None


def services(door: Door, secrets: Secrets, tokens: Tokens) -> dict[str, object]:
    return {
        "billing.access.v1.AccessService": AccessServicer(
            door, AccessService(secrets), ExplanationService(find_method, tokens)
        ),
        "billing.customer.v1.CustomerService": CustomerServicer(door, CustomerService()),
        "billing.tenant.v1.TenantService": TenantServicer(door, TenantService()),
    }


@asynccontextmanager
async def running_app(
    database: TestDatabase,
    *,
    extra: Callable[[Door], Mapping[str, object]] = lambda door: {},
    limits: CallLimits | None = None,
    rate: Rate | None = None,
    failures: Rate | None = None,
    reflection: bool = True,
    interceptors: Sequence[Any] = (),
    issuers: Sequence[Issuer] = (),
) -> AsyncIterator[App]:
    """`extra` adds services, or replaces them; tests call as often as they like unless a rate is given."""
    clock, secrets = FakeClock(), Secrets(MASTER_KEY)
    pool = await Database.open(
        database.url("corebilling_app"), role="corebilling_app", clock=clock, max_size=8, flush=outbox.flush
    )
    door = Door(pool)
    tokens = Tokens(issuers, clock)
    attempts = KeyAttempts(failures, clock) if failures else None
    order = concerns(
        Authentication(pool, secrets, clock, tokens, allowed, OF_ONE_ACCOUNT, attempts, keep_s=CACHE_S),
        Authorization(pool, clock, keep_s=CACHE_S),
        Accounts(pool),
        limits or CallLimits(max_calls=64, max_streams=64, deadline_s=10, stream_deadline_s=10),
        RateLimit(rate, ProcessRates(clock), clock) if rate else None,
    )
    policy = RpcPolicy(host="127.0.0.1", port=0, max_concurrent_streams=128, reflection=reflection)
    server = RpcServer({**services(door, secrets, tokens), **extra(door)}, order, policy, interceptors)
    port = await server.start()
    platform = Caller(PLATFORM_TENANT, actor="test", role="platform_admin", permissions=frozenset())
    async with pool.transaction(platform) as tx:
        platform_key = await AccessService(secrets).ensure_platform_key(tx)
    assert platform_key is not None
    app = App(database, clock, pool, secrets, f"127.0.0.1:{port}", platform_key)
    app.tenant_id = await app.new_tenant("acme")
    app.tenant_key = await app.new_key(app.tenant_id)
    yield app
    await app.close()
    await server.stop(grace_s=0)
    await pool.close()


@pytest.fixture
async def app(database: TestDatabase) -> AsyncIterator[App]:
    async with running_app(database) as opened:
        yield opened
