"""How often a tenant may call a method, as its clients see it."""

from typing import Any

import aiohttp
import grpc
import pytest
from billing.access.v1 import access_service_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.catalog.v1 import catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from corebilling.rpc.rate_limit import Rate
from tests.rpc.test_limits import Streams, streamed
from tests.support.app import App, refusal_of, refused, running_app
from tests.support.http import Http
from tests.support.issuer import SECRET, TestIssuer, bearer
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase

LIST = rpc.ListCustomersRequest()
LIST_CUSTOMERS = "billing.customer.v1.CustomerService/ListCustomers"
RATE = Rate(per_second=2, burst=3)


async def use_up(app: App, **who: str) -> None:
    for _ in range(RATE.burst):
        await app.stub(CustomerServiceStub, **who).ListCustomers(LIST)


async def test_call_beyond_the_burst_is_told_when_to_come_back(database: TestDatabase) -> None:
    async with running_app(database, rate=RATE) as app:
        await use_up(app)
        refusal = await refused(app.stub(CustomerServiceStub).ListCustomers(LIST))
        assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
        assert refusal.facts == {"method": LIST_CUSTOMERS, "limit": "2", "burst": "3"}
        assert refusal.retry_after_s == 0.5
        app.clock.advance(seconds=0.4)
        refusal = await refused(app.stub(CustomerServiceStub).ListCustomers(LIST))
        assert refusal.retry_after_s == 0.1
        app.clock.advance(seconds=0.1)
        await app.stub(CustomerServiceStub).ListCustomers(LIST)


async def test_each_tenant_and_each_method_has_a_rate_of_its_own(database: TestDatabase) -> None:
    async with running_app(database, rate=RATE) as app:
        other = await app.new_key(await app.new_tenant("other"))
        second_key = await app.new_key(app.tenant_id)
        await use_up(app)
        assert (await refused(app.stub(CustomerServiceStub, key=second_key).ListCustomers(LIST))).reason == (
            "RATE_LIMITED"
        )
        await app.stub(CustomerServiceStub, key=other).ListCustomers(LIST)
        await app.stub(AccessServiceStub).ListApiKeys(access_service_pb2.ListApiKeysRequest())


async def test_operators_count_for_the_tenant_they_name_and_beside_it(database: TestDatabase) -> None:
    async with running_app(database, rate=RATE) as app:
        other = await app.new_tenant("other")
        customers = app.stub(CustomerServiceStub, key=app.platform_key)
        for _ in range(RATE.burst):
            await customers.ListCustomers(rpc.ListCustomersRequest(tenant_id=app.tenant_id))
        refusal = await refused(customers.ListCustomers(rpc.ListCustomersRequest(tenant_id=app.tenant_id)))
        assert refusal.reason == "RATE_LIMITED"
        await customers.ListCustomers(rpc.ListCustomersRequest(tenant_id=other))
        await use_up(app)


async def test_what_is_refused_is_not_even_read(database: TestDatabase) -> None:
    async with running_app(database, rate=RATE) as app:
        await use_up(app)
        async with grpc.aio.insecure_channel(app.target) as channel:
            call: Any = channel.unary_unary(f"/{LIST_CUSTOMERS}")
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await call(b"\xff no message", metadata=(("x-api-key", app.tenant_key),))
        assert refusal_of(caught.value).reason == "RATE_LIMITED"


async def test_every_message_of_a_stream_counts(database: TestDatabase) -> None:
    streams = Streams()
    async with running_app(database, extra=streams, rate=RATE) as app:
        messages = [streamed("") for _ in range(RATE.burst + 1)]
        refusal = await refused(app.stub(UsageServiceStub).StreamUsage(iter(messages)))
        assert refusal.reason == "RATE_LIMITED"
        assert len(streams.servicer.tenants) == RATE.burst


async def test_refusals_are_counted_by_method(database: TestDatabase) -> None:
    def counted() -> float:
        return (
            REGISTRY.get_sample_value("corebilling_api_rate_limited_total", {"method": LIST_CUSTOMERS}) or 0
        )

    async with running_app(database, rate=RATE) as app:
        before = counted()
        await use_up(app)
        assert counted() == before
        await refused(app.stub(CustomerServiceStub).ListCustomers(LIST))
        assert counted() == before + 1


async def test_settings_decide_the_rate(database: TestDatabase) -> None:
    async with running_platform(database, rate_limit_rps=0.5, rate_limit_burst=1) as platform:
        await platform.stub(CustomerServiceStub).ListCustomers(LIST)
        refusal = await refused(platform.stub(CustomerServiceStub).ListCustomers(LIST))
        assert (refusal.reason, refusal.retry_after_s) == ("RATE_LIMITED", 2)
        assert (refusal.facts["limit"], refusal.facts["burst"]) == ("0.5", "1")


async def test_calls_over_http_count_with_the_others_and_are_told_when_to_come_back(
    database: TestDatabase,
) -> None:
    async with (
        running_platform(database, rate_limit_rps=0.5, rate_limit_burst=2) as platform,
        aiohttp.ClientSession() as session,
    ):
        http = Http(platform, session)
        await platform.stub(CustomerServiceStub).ListCustomers(LIST)
        assert (await http.get("/v1/customers")).status == 200
        answer = await http.get("/v1/customers")
        assert (answer.status, answer.refusal.reason) == (429, "RATE_LIMITED")
        assert answer.headers["Retry-After"] == "2"


def person_lists_plans(platform: Platform, token: str) -> Any:
    stub = platform.stub(CatalogServiceStub, key="")
    return stub.ListPlans(catalog_service_pb2.ListPlansRequest(), metadata=bearer(token))


def staff_lists_plans(platform: Platform) -> Any:
    return platform.stub(CatalogServiceStub).ListPlans(catalog_service_pb2.ListPlansRequest())


async def test_one_account_uses_up_its_tenth_and_not_what_is_the_tenants(database: TestDatabase) -> None:
    settings = {"rate_limit_rps": 1, "rate_limit_burst": 20, "jwt_secret": SECRET}
    async with running_platform(database, **settings) as platform:
        issuer = TestIssuer(platform.clock, platform.tenant_id)
        ada, bob = issuer.token(username="ada"), issuer.token(username="bob")
        for _ in range(2):
            await person_lists_plans(platform, ada)
        another = issuer.token(username="ada", sub="another of her tokens")
        for token in (ada, another):
            for _ in range(20):
                refusal = await refused(person_lists_plans(platform, token))
                assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
                assert (refusal.facts["limit"], refusal.facts["burst"]) == ("0.1", "2")
                assert refusal.retry_after_s == 10
        await person_lists_plans(platform, bob)
        for _ in range(17):
            await staff_lists_plans(platform)
        # What accounts took is the tenant's, too; and once that is used up, they are told so.
        assert (await refused(staff_lists_plans(platform))).facts["burst"] == "20"
        assert (await refused(person_lists_plans(platform, bob))).facts["burst"] == "20"
        platform.clock.advance(seconds=10)
        await person_lists_plans(platform, ada)


async def test_the_log_says_who_was_refused_once_a_minute(database: TestDatabase) -> None:
    async with running_app(database, rate=RATE) as app:
        await use_up(app)
        with capture_logs() as logs:
            for _ in range(3):
                await refused(app.stub(CustomerServiceStub).ListCustomers(LIST))
        (noted,) = (entry for entry in logs if entry["event"] == "rate_limited")
        assert (noted["method"], noted["tenant_id"]) == (LIST_CUSTOMERS, app.tenant_id)
        assert noted["actor"].startswith("key_")
