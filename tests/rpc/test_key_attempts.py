"""Wrong API keys: they cost little, drive out no right ones, and their sender is told to wait."""

import asyncio
from contextlib import nullcontext

import asyncpg
import pytest
from aiohttp import ClientSession, TCPConnector
from billing.access.v1 import access_service_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.catalog.v1 import catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub

from corebilling.errors import ResourceExhausted
from corebilling.rpc import authentication, remembering
from corebilling.rpc.authentication import Authentication
from corebilling.rpc.call import Call, Credential
from corebilling.rpc.key_attempts import KeyAttempts
from corebilling.rpc.rate_limit import Rate
from corebilling.values.api_key import new_api_key
from corebilling.values.ids import new_id
from tests.support.app import CACHE_S, App, Refusal, refused, running_app
from tests.support.clock import FakeClock
from tests.support.http import refusal_in
from tests.support.issuer import SECRET, TestIssuer, bearer
from tests.support.platform import running_platform
from tests.support.postgres import TestDatabase

LIST = rpc.ListCustomersRequest()
FAILURES = Rate(per_second=0.1, burst=3)


async def call(app: App, key: str) -> None:
    await app.stub(CustomerServiceStub, key=key).ListCustomers(LIST)


async def call_wrong(app: App) -> Refusal:
    return await refused(call(app, new_api_key().text))


async def use_up(app: App) -> None:
    for _ in range(FAILURES.burst):
        assert (await call_wrong(app)).reason == "CREDENTIAL_INVALID"


async def test_wrong_keys_beyond_the_burst_are_not_even_looked_up(database: TestDatabase) -> None:
    async with running_app(database, failures=FAILURES) as app:
        not_used_yet = await app.new_key(app.tenant_id)
        await use_up(app)
        for key in (new_api_key().text, not_used_yet):
            refusal = await refused(call(app, key))
            assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "KEY_ATTEMPTS_LIMITED")
            assert refusal.facts == {"limit": "0.1", "burst": "3"}
            assert refusal.retry_after_s == 10
        app.clock.advance(seconds=10)
        await call(app, not_used_yet)
        assert (await call_wrong(app)).reason == "CREDENTIAL_INVALID", "a right key took nothing"
        assert (await call_wrong(app)).reason == "KEY_ATTEMPTS_LIMITED"


async def test_a_key_that_was_right_before_works_on_beside_them(database: TestDatabase) -> None:
    """As behind a proxy, where all have one address: a key that is in use is looked up again all the same."""
    async with running_app(database, failures=FAILURES) as app:
        await call(app, app.tenant_key)
        await use_up(app)
        await call(app, app.tenant_key)
        app.clock.advance(seconds=CACHE_S + 1)
        await call(app, app.tenant_key)


async def test_a_key_that_was_revoked_counts_as_wrong_from_then_on(database: TestDatabase) -> None:
    async with running_app(database, failures=FAILURES) as app:
        access = app.stub(AccessServiceStub)
        made = await access.CreateApiKey(
            access_service_pb2.CreateApiKeyRequest(request_id=new_id("req"), name="k", role="ROLE_VIEWER")
        )
        await call(app, made.secret)
        await access.RevokeApiKey(
            access_service_pb2.RevokeApiKeyRequest(request_id=new_id("req"), api_key_id=made.api_key.id)
        )
        app.clock.advance(seconds=CACHE_S + 1)
        for _ in range(FAILURES.burst):
            assert (await refused(call(app, made.secret))).reason == "CREDENTIAL_INVALID"
        assert (await refused(call(app, made.secret))).reason == "KEY_ATTEMPTS_LIMITED"


async def test_wrong_keys_drive_no_right_one_out_of_memory(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remembering, "_MAX_ENTRIES", 4)
    async with running_app(database, failures=Rate(per_second=0.1, burst=8)) as app:
        await call(app, app.tenant_key)
        for _ in range(8):
            assert (await call_wrong(app)).reason == "CREDENTIAL_INVALID"
        await call(app, app.tenant_key)


async def test_what_is_no_key_at_all_costs_nothing_and_does_not_count(database: TestDatabase) -> None:
    async with running_app(database, failures=FAILURES) as app:
        mistyped = app.tenant_key[:-1] + ("0" if app.tenant_key[-1] != "0" else "1")
        for _ in range(2 * FAILURES.burst):
            assert (await refused(call(app, mistyped))).reason == "CREDENTIAL_INVALID"
        await use_up(app)


async def test_people_with_tokens_are_let_in_beside_them(database: TestDatabase) -> None:
    """Tokens are proven without the database; nor do expired ones, of which there are always some, count."""
    settings = {"api_key_failures_rps": 0.1, "api_key_failures_burst": 1, "jwt_secret": SECRET}
    async with running_platform(database, **settings) as platform:
        issuer = TestIssuer(platform.clock, platform.tenant_id)
        plans = platform.stub(CatalogServiceStub, key="")
        request = catalog_service_pb2.ListPlansRequest()
        expired = issuer.token(exp=1)
        for _ in range(3):
            assert (await refused(plans.ListPlans(request, metadata=bearer(expired)))).reason == (
                "TOKEN_INVALID"
            )
        wrong = platform.stub(CatalogServiceStub, key=new_api_key().text)
        assert (await refused(wrong.ListPlans(request))).reason == "CREDENTIAL_INVALID"
        assert (await refused(wrong.ListPlans(request))).reason == "KEY_ATTEMPTS_LIMITED"
        await plans.ListPlans(request, metadata=bearer(issuer.token()))


async def test_each_address_has_attempts_of_its_own(database: TestDatabase) -> None:
    settings = {"api_key_failures_rps": 0.1, "api_key_failures_burst": 1}
    async with running_platform(database, **settings) as platform:

        async def status(address: str) -> tuple[int, str | None]:
            connector = TCPConnector(local_addr=(address, 0))
            async with ClientSession(platform.app.http_address, connector=connector) as session:
                headers = {"x-api-key": new_api_key().text}
                async with session.get("/v1/customers", headers=headers) as answer:
                    return answer.status, answer.headers.get("Retry-After")

        assert await status("127.0.0.1") == (401, None)
        assert await status("127.0.0.1") == (429, "10")
        assert await status("127.0.0.2") == (401, None)


@pytest.mark.parametrize(
    ("first", "second", "together"),
    [
        ("ipv4:192.0.2.1:5000", "ipv4:192.0.2.1:5001", True),
        ("ipv4:192.0.2.1:5000", "ipv4:192.0.2.2:5000", False),
        ("ipv6:%5B2001:db8:0:1::1%5D:5000", "ipv6:%5B2001:db8:0:1:ffff::2%5D:5000", True),
        ("ipv6:[2001:db8:0:1::1]:5000", "ipv6:[2001:db8:0:2::1]:5000", False),
        ("ipv6:[::ffff:192.0.2.1]:5000", "ipv4:192.0.2.1:5000", True),
        ("ipv6:[::ffff:192.0.2.1]:5000", "ipv6:[::ffff:192.0.2.2]:5000", False),
        ("unix:/run/a", "unix:", True),
    ],
)
async def test_whose_attempts_count_together(first: str, second: str, together: bool) -> None:
    attempts = KeyAttempts(Rate(1, 1), FakeClock())
    await attempts.count(first)
    with pytest.raises(ResourceExhausted) if together else nullcontext():
        attempts.check(second)


WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_unknown_keys_that_are_looked_up_are_bounded_and_hold_up_none_that_are_known(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authentication, "_MAX_STRANGERS", 1)
    async with running_app(database) as app:
        await call(app, app.tenant_key)
        locking = await asyncpg.connect(database.admin_url)
        await locking.execute("BEGIN; LOCK TABLE api_keys")
        unknown = asyncio.create_task(call_wrong(app))
        async with asyncio.timeout(20):
            while not await database.admin(WAITING):
                pass
        refusal = await call_wrong(app)
        assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert (refusal.facts, refusal.retry_after_s) == ({"what": "credentials", "limit": "1"}, 1.0)
        await call(app, app.tenant_key)
        app.clock.advance(seconds=CACHE_S + 1)
        again = asyncio.create_task(call(app, app.tenant_key))
        await locking.close()
        await again
        assert (await unknown).reason == "CREDENTIAL_INVALID"
        assert (await call_wrong(app)).reason == "CREDENTIAL_INVALID"


@pytest.mark.parametrize("door", ["grpc", "http"])
async def test_who_hangs_up_is_bounded_and_counted_all_the_same(
    database: TestDatabase, monkeypatch: pytest.MonkeyPatch, door: str
) -> None:
    gone, counted = asyncio.Event(), asyncio.Queue[str]()
    authenticate, count = Authentication.authenticate, KeyAttempts.count

    async def watched(self: Authentication, call: Call) -> Credential:
        try:
            return await authenticate(self, call)
        except asyncio.CancelledError:
            gone.set()
            raise

    async def noted(self: KeyAttempts, peer: str) -> None:
        await count(self, peer)
        counted.put_nowait(peer)

    monkeypatch.setattr(authentication, "_MAX_STRANGERS", 1)
    monkeypatch.setattr(Authentication, "authenticate", watched)
    monkeypatch.setattr(KeyAttempts, "count", noted)
    settings = {"api_key_failures_rps": 0.1, "api_key_failures_burst": 1}
    async with running_platform(database, **settings) as platform:

        async def reason() -> str:
            key = new_api_key().text
            if door == "grpc":
                plans = platform.stub(CatalogServiceStub, key=key)
                return (await refused(plans.ListPlans(catalog_service_pb2.ListPlansRequest()))).reason
            async with (
                ClientSession(platform.app.http_address) as session,
                session.get("/v1/plans", headers={"x-api-key": key}) as answer,
            ):
                return refusal_in(await answer.json()).reason

        locking = await asyncpg.connect(database.admin_url)
        await locking.execute("BEGIN; LOCK TABLE api_keys")
        hanging_up = asyncio.create_task(reason())
        async with asyncio.timeout(20):
            while not await database.admin(WAITING):
                pass
            hanging_up.cancel()
            await gone.wait()
            assert await reason() == "OVERLOADED"
            await locking.close()
            assert "127.0.0.1" in await counted.get()
        assert await reason() == "KEY_ATTEMPTS_LIMITED"
