"""Rates that several servers share through a real Redis, which comes and goes."""

import asyncio
import signal
from contextlib import AbstractAsyncContextManager

from billing.catalog.v1 import catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from structlog.testing import capture_logs

from corebilling.rpc.rate_limit import Rate
from corebilling.rpc.shared_rates import Patience, SharedRates
from tests.support.app import refused
from tests.support.clock import FakeClock
from tests.support.issuer import SECRET, TestIssuer, bearer
from tests.support.platform import running_platform, second_process
from tests.support.postgres import TestDatabase
from tests.support.redis import RedisServer, redis

__all__ = ["redis"]

SELDOM = Rate(per_second=0.001, burst=5)
"""So seldom that no time passes as far as the rate is concerned."""
LIST = rpc.ListCustomersRequest()
PLANS = catalog_service_pb2.ListPlansRequest()
SOON_S = 0.02
AT_MOST_S = 20


def rates(server: RedisServer, answer_s: float = AT_MOST_S) -> AbstractAsyncContextManager[SharedRates]:
    """Patient, since a busy machine is not what is tested."""
    return SharedRates.open(server.url, FakeClock(), Patience(answer_s, ask_again_s=SOON_S))


def counted_alone() -> float:
    return REGISTRY.get_sample_value("corebilling_api_rate_limited_alone_total") or 0


async def back(shared: SharedRates) -> None:
    """Returns when Redis counts again."""
    async with asyncio.timeout(AT_MOST_S):
        while True:
            before = counted_alone()
            await shared.take("until it is back", SELDOM)
            if counted_alone() == before:
                return
            await asyncio.sleep(SOON_S)


async def test_servers_count_together_however_they_race(redis: RedisServer) -> None:
    async with rates(redis) as first, rates(redis) as second:
        waits = await asyncio.gather(*((first, second)[n % 2].take("a", SELDOM) for n in range(64)))
        assert sum(wait_s == 0 for wait_s in waits) == SELDOM.burst
        assert all(990 < wait_s <= 1000 for wait_s in waits if wait_s)
        assert await second.take("b", SELDOM) == 0


async def test_whoever_waits_as_long_as_told_is_let_in(redis: RedisServer) -> None:
    often = Rate(per_second=10, burst=1)
    async with rates(redis) as shared:
        assert await shared.take("a", often) == 0
        wait_s = await shared.take("a", often)
        assert 0 < wait_s <= 0.1
        await asyncio.sleep(wait_s)
        assert await shared.take("a", often) == 0


async def test_tenants_at_rest_are_forgotten(redis: RedisServer) -> None:
    async with rates(redis) as shared, Redis.from_url(redis.url) as store:
        for _ in range(2):
            await shared.take("a", SELDOM)
        assert 1_990_000 < await store.pttl("corebilling:rate:a") <= 2_000_000


async def test_without_redis_each_server_counts_for_itself_and_says_so_once(redis: RedisServer) -> None:
    async with rates(redis) as first, rates(redis) as second:
        with capture_logs() as logs:
            redis.kill()
            before = counted_alone()
            for shared in (first, second):
                waits = await asyncio.gather(*(shared.take("a", SELDOM) for _ in range(20)))
                assert sum(wait_s == 0 for wait_s in waits) == SELDOM.burst
            assert counted_alone() == before + 40
            assert [entry["event"] for entry in logs] == ["rate_limit_store_away"] * 2
            redis.start()
            for shared in (first, second):
                await back(shared)
            assert [entry["event"] for entry in logs][2:] == ["rate_limit_store_back"] * 2
            before = counted_alone()
        # What was counted is gone with the old server; from now on they count together again.
        waits = [await shared.take("a", SELDOM) for shared in (first, second) for _ in range(5)]
        assert sum(wait_s == 0 for wait_s in waits) == SELDOM.burst
        assert counted_alone() == before


async def test_redis_that_hangs_holds_calls_up_for_a_moment_only(redis: RedisServer) -> None:
    async with rates(redis, answer_s=0.5) as shared:
        redis.send_signal(signal.SIGSTOP)
        async with asyncio.timeout(AT_MOST_S):
            waits = await asyncio.gather(*(shared.take("a", SELDOM) for _ in range(50)))
            assert sum(wait_s == 0 for wait_s in waits) == SELDOM.burst
        redis.send_signal(signal.SIGCONT)
        await back(shared)


async def test_server_without_redis_starts_and_serves(redis: RedisServer, database: TestDatabase) -> None:
    redis.kill()
    settings = {"redis_url": redis.url, "rate_limit_rps": 0.001, "rate_limit_burst": 1}
    async with running_platform(database, **settings) as platform:
        await platform.stub(CustomerServiceStub).ListCustomers(LIST)
        assert (
            await refused(platform.stub(CustomerServiceStub).ListCustomers(LIST))
        ).reason == "RATE_LIMITED"


async def test_settings_decide_where_calls_are_counted(redis: RedisServer, database: TestDatabase) -> None:
    settings = {"redis_url": redis.url, "rate_limit_rps": 0.001, "rate_limit_burst": 1}
    async with (
        running_platform(database, **settings) as platform,
        second_process(platform, **settings) as second,
    ):
        await platform.stub(CustomerServiceStub).ListCustomers(LIST)
        refusal = await refused(second.stub(CustomerServiceStub).ListCustomers(LIST))
        assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
        assert refusal.retry_after_s is not None
        assert 990 < refusal.retry_after_s <= 1000


async def test_an_account_has_one_tenth_of_all_servers_together(
    redis: RedisServer, database: TestDatabase
) -> None:
    settings = {"redis_url": redis.url, "rate_limit_rps": 0.001, "rate_limit_burst": 10, "jwt_secret": SECRET}
    async with (
        running_platform(database, **settings) as platform,
        second_process(platform, **settings) as second,
    ):
        ada = bearer(TestIssuer(platform.clock, platform.tenant_id).token(username="ada"))
        first = platform.stub(CatalogServiceStub, key="")
        await first.ListPlans(PLANS, metadata=ada)
        for stub in (first, second.stub(CatalogServiceStub, key="")):
            refusal = await refused(stub.ListPlans(PLANS, metadata=ada))
            assert (refusal.reason, refusal.facts["burst"]) == ("RATE_LIMITED", "1")
        for stub in (platform.stub(CatalogServiceStub), *[second.stub(CatalogServiceStub)] * 8):
            await stub.ListPlans(PLANS)
        refusal = await refused(platform.stub(CatalogServiceStub).ListPlans(PLANS))
        assert (refusal.reason, refusal.facts["burst"]) == ("RATE_LIMITED", "10")
