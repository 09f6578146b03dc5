"""What the server bears, and what it refuses to protect the rest."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.customer.v1 import customer_pb2
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceServicer, CustomerServiceStub
from billing.usage.v1 import usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceServicer, UsageServiceStub
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub
from structlog.testing import capture_logs

from corebilling.db.transaction import Transaction
from corebilling.domains.customer.service import CustomerService
from corebilling.domains.customer.servicer import CustomerServicer
from corebilling.rpc.answer import MAX_MESSAGE_BYTES
from corebilling.rpc.call import current
from corebilling.rpc.concerns import CallLimits
from corebilling.rpc.door import Context, Door
from tests.support.app import App, app, refused, running_app
from tests.support.postgres import TestDatabase

__all__ = ["app"]

GET = rpc.GetCustomerRequest(customer_id="cus_1")


class Waiting(CustomerServiceServicer):
    """Answers GetCustomer when told to."""

    def __init__(self) -> None:
        self.waiting = 0
        self.cancelled = asyncio.Event()
        self.arrived = asyncio.Event()
        self.released = asyncio.Event()

    async def GetCustomer(self, request: rpc.GetCustomerRequest, context: Context) -> rpc.GetCustomerResponse:
        self.waiting += 1
        self.arrived.set()
        try:
            await self.released.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return rpc.GetCustomerResponse()

    async def CreateCustomer(self, request: Any, context: Any) -> Any: ...
    async def RegisterCustomer(self, request: Any, context: Any) -> Any: ...
    async def ListCustomers(self, request: Any, context: Any) -> Any: ...
    async def UpdateCustomer(self, request: Any, context: Any) -> Any: ...
    async def EraseCustomer(self, request: Any, context: Any) -> Any: ...


class Silent(UsageServiceServicer):
    """Reads streams to their end."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()

    async def StreamUsage(
        self, request_iterator: AsyncIterator[Any], context: Any
    ) -> usage_service_pb2.StreamUsageResponse:
        self.arrived.set()
        async for _ in request_iterator:
            pass
        return usage_service_pb2.StreamUsageResponse()

    async def ReportUsage(self, request: Any, context: Any) -> Any: ...
    async def BatchReportUsage(self, request: Any, context: Any) -> Any: ...
    async def ListUsageTotals(self, request: Any, context: Any) -> Any: ...
    async def ListUsageBuckets(self, request: Any, context: Any) -> Any: ...
    async def RetractUsage(self, request: Any, context: Any) -> Any: ...
    async def CorrectUsage(self, request: Any, context: Any) -> Any: ...
    async def ListUsageCorrections(self, request: Any, context: Any) -> Any: ...
    async def ReconcileUsage(self, request: Any, context: Any) -> Any: ...


def limits(max_calls: int = 64, deadline_s: float = 10, stream_deadline_s: float = 10) -> CallLimits:
    return CallLimits(max_calls, max_calls, deadline_s, stream_deadline_s)


def waiting_service(servicer: Waiting) -> Any:
    return lambda _: {"billing.customer.v1.CustomerService": servicer}


async def test_call_beyond_the_limit_is_told_to_come_back(database: TestDatabase) -> None:
    servicer = Waiting()
    async with running_app(database, extra=waiting_service(servicer), limits=limits(max_calls=1)) as app:
        stub = app.stub(CustomerServiceStub)
        call = asyncio.ensure_future(stub.GetCustomer(GET))
        await servicer.arrived.wait()
        refusal = await refused(stub.GetCustomer(GET))
        assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        assert (refusal.facts, refusal.retry_after_s) == ({"what": "calls", "limit": "1"}, 1.0)
        servicer.released.set()
        await call
        await stub.GetCustomer(GET)


async def test_one_tenant_does_not_take_all_calls(database: TestDatabase) -> None:
    servicer = Waiting()
    async with running_app(database, extra=waiting_service(servicer), limits=limits(max_calls=4)) as app:
        other = app.stub(CustomerServiceStub, key=await app.new_key(await app.new_tenant("other")))
        stub = app.stub(CustomerServiceStub)
        calls = [asyncio.ensure_future(stub.GetCustomer(GET)) for _ in range(2)]
        while servicer.waiting < 2:
            servicer.arrived.clear()
            await servicer.arrived.wait()
        refusal = await refused(stub.GetCustomer(GET))
        assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "TENANT_OVERLOADED")
        assert (refusal.facts, refusal.retry_after_s) == ({"what": "calls", "limit": "2"}, 1.0)
        calls.append(asyncio.ensure_future(other.GetCustomer(GET)))
        servicer.released.set()
        await asyncio.gather(*calls)


async def test_strangers_and_who_may_not_ask_take_no_place(database: TestDatabase) -> None:
    servicer = Waiting()
    async with running_app(database, extra=waiting_service(servicer), limits=limits(max_calls=1)) as app:
        viewer = await app.new_key(app.tenant_id, api_key_pb2.ROLE_VIEWER)
        call = asyncio.ensure_future(app.stub(CustomerServiceStub).GetCustomer(GET))
        await servicer.arrived.wait()
        for key, reason in (("", "CREDENTIAL_MISSING"), (viewer, "PERMISSION_MISSING")):
            stub = app.stub(CustomerServiceStub, key=key)
            assert (await refused(stub.CreateCustomer(rpc.CreateCustomerRequest()))).reason == reason
        servicer.released.set()
        await call


async def test_health_is_answered_while_calls_are_refused_and_the_log_says_so_once(
    database: TestDatabase,
) -> None:
    servicer = Waiting()
    async with (
        running_app(database, extra=waiting_service(servicer), limits=limits(max_calls=1)) as app,
        grpc.aio.insecure_channel(app.target) as channel,
    ):
        stub = app.stub(CustomerServiceStub)
        health: Any = HealthStub(channel)
        for _ in range(2):
            servicer.arrived.clear()
            servicer.released.clear()
            with capture_logs() as logs:
                call = asyncio.ensure_future(stub.GetCustomer(GET))
                await servicer.arrived.wait()
                for _ in range(3):
                    assert (await refused(stub.GetCustomer(GET))).reason == "OVERLOADED"
                    answer = await health.Check(HealthCheckRequest())
                    assert answer.status == HealthCheckResponse.SERVING
                servicer.released.set()
                await call
            assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["overloaded"]


async def test_call_without_a_deadline_gets_one(database: TestDatabase) -> None:
    servicer = Waiting()
    async with running_app(database, extra=waiting_service(servicer), limits=limits(deadline_s=1.5)) as app:
        refusal = await refused(app.stub(CustomerServiceStub).GetCustomer(GET))
        assert (refusal.code, refusal.reason) == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
        assert servicer.cancelled.is_set()


async def test_too_long_a_deadline_is_cut(database: TestDatabase) -> None:
    servicer = Waiting()
    async with running_app(database, extra=waiting_service(servicer), limits=limits(deadline_s=1.5)) as app:
        refusal = await refused(app.stub(CustomerServiceStub).GetCustomer(GET, timeout=3600))
        assert refusal.facts == {"limit_seconds": "1.5"}


async def test_work_stops_when_the_clients_deadline_has_passed(database: TestDatabase) -> None:
    servicer = Waiting()
    async with running_app(database, extra=waiting_service(servicer)) as app:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await app.stub(CustomerServiceStub).GetCustomer(GET, timeout=0.1)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await asyncio.wait_for(servicer.cancelled.wait(), 5)


async def test_of_a_large_request_the_first_broken_rule_is_told(app: App) -> None:
    """To look for all of them in a list that is far too long took the server seconds."""
    access = app.stub(AccessServiceStub)

    def asked(name: str, count: int) -> access_service_pb2.CreateApiKeyRequest:
        return access_service_pb2.CreateApiKeyRequest(
            request_id="r", name=name, role=api_key_pb2.ROLE_VIEWER, scopes=[""] * count
        )

    assert (await refused(access.CreateApiKey(asked("", 1)))).fields == ("name", "scopes[0]")
    assert (await refused(access.CreateApiKey(asked("n", 5000)))).fields == ("scopes",)


async def test_nothing_of_a_request_is_read_for_who_may_not_ask(app: App) -> None:
    viewer = await app.new_key(app.tenant_id, api_key_pb2.ROLE_VIEWER)
    async with grpc.aio.insecure_channel(app.target) as channel:
        call: Any = channel.unary_unary("/billing.customer.v1.CustomerService/CreateCustomer")
        refusal = await refused(call(b"\xff", metadata=(("x-api-key", viewer),)))
    assert refusal.reason == "PERMISSION_MISSING"


async def nothing_until(ended: asyncio.Event) -> AsyncIterator[usage_service_pb2.StreamUsageRequest]:
    await ended.wait()
    for request in list[usage_service_pb2.StreamUsageRequest]():
        yield request


async def test_one_tenant_does_not_take_all_streams(database: TestDatabase) -> None:
    silent = Silent()
    async with running_app(
        database, extra=lambda _: {"billing.usage.v1.UsageService": silent}, limits=limits(max_calls=2)
    ) as app:
        ended = asyncio.Event()
        stub = app.stub(UsageServiceStub)
        other = app.stub(UsageServiceStub, key=await app.new_key(await app.new_tenant("other")))
        streams = [asyncio.ensure_future(stub.StreamUsage(nothing_until(ended)))]
        await silent.arrived.wait()
        refusal = await refused(stub.StreamUsage(nothing_until(ended)))
        assert (refusal.reason, refusal.facts) == ("TENANT_OVERLOADED", {"what": "streams", "limit": "1"})
        silent.arrived.clear()
        streams.append(asyncio.ensure_future(other.StreamUsage(nothing_until(ended))))
        await silent.arrived.wait()
        ended.set()
        await asyncio.gather(*streams)


async def test_streams_that_say_nothing_do_not_crowd_out_calls(database: TestDatabase) -> None:
    silent = Silent()
    async with running_app(
        database, extra=lambda _: {"billing.usage.v1.UsageService": silent}, limits=limits(max_calls=1)
    ) as app:
        ended = asyncio.Event()
        stub = app.stub(UsageServiceStub)
        open_stream = asyncio.ensure_future(stub.StreamUsage(nothing_until(ended)))
        await silent.arrived.wait()
        await app.stub(CustomerServiceStub).ListCustomers(rpc.ListCustomersRequest())
        refusal = await refused(stub.StreamUsage(nothing_until(ended)))
        assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "OVERLOADED")
        ended.set()
        await open_stream


async def test_message_above_four_mebibytes_is_refused(app: App) -> None:
    async with grpc.aio.insecure_channel(app.target) as channel:
        call: Any = channel.unary_unary("/billing.customer.v1.CustomerService/GetCustomer")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(b"\0" * (MAX_MESSAGE_BYTES + 1), metadata=(("x-api-key", app.tenant_key),))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


class Verbose(CustomerService):
    """Does what it is asked, and answers with more than a message may hold."""

    async def get_customer(self, tx: Transaction, request: rpc.GetCustomerRequest) -> rpc.GetCustomerResponse:
        return rpc.GetCustomerResponse(customer=_long())

    async def create_customer(
        self, tx: Transaction, request: rpc.CreateCustomerRequest
    ) -> rpc.CreateCustomerResponse:
        await super().create_customer(tx, request)
        return rpc.CreateCustomerResponse(customer=_long())


def _long() -> customer_pb2.Customer:
    return customer_pb2.Customer(name="x" * MAX_MESSAGE_BYTES)


async def test_answer_above_four_mebibytes_is_refused_and_nothing_is_done(database: TestDatabase) -> None:
    def verbose(door: Door) -> dict[str, object]:
        return {"billing.customer.v1.CustomerService": CustomerServicer(door, Verbose())}

    creation = rpc.CreateCustomerRequest(
        request_id="req-1", currency="EUR", details=rpc.CustomerDetails(name="Ada")
    )
    async with running_app(database, extra=verbose) as app:
        stub = app.stub(CustomerServiceStub)
        for call in (stub.GetCustomer(GET), stub.CreateCustomer(creation)):
            refusal = await refused(call)
            assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "ANSWER_TOO_LARGE")
            assert refusal.facts == {"limit_bytes": str(MAX_MESSAGE_BYTES)}
        for left in (
            "FROM customers",
            "FROM request_keys WHERE request_id = 'req-1'",
            "FROM billing_events WHERE subject = 'customer.created'",
        ):
            assert await app.database.admin(f"SELECT {left}") == []


async def test_refusal_fits_into_metadata_however_much_is_wrong(app: App) -> None:
    request = rpc.UpdateCustomerRequest(request_id="", customer_id="")
    request.update_mask.paths.extend("x" * 300 for _ in range(2000))
    refusal = await refused(app.stub(CustomerServiceStub).UpdateCustomer(request))
    assert refusal.reason == "REQUEST_INVALID"
    assert len(refusal.fields) <= 20


class Streaming(UsageServiceServicer):
    """Notes the tenant of every message, by the transaction it would be written in."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.tenants: list[str] = []

    async def StreamUsage(
        self, requests: AsyncIterator[usage_service_pb2.StreamUsageRequest], context: Context
    ) -> usage_service_pb2.StreamUsageResponse:
        async for request in requests:
            await self._door.ingest(request, self._note)
        return usage_service_pb2.StreamUsageResponse(accepted=len(self.tenants))

    async def _note(
        self, tx: Transaction, request: usage_service_pb2.StreamUsageRequest
    ) -> usage_service_pb2.StreamUsageResponse:
        assert current().tenant_id == tx.tenant_id
        self.tenants.append(tx.tenant_id)
        return usage_service_pb2.StreamUsageResponse()

    async def ReportUsage(self, request: Any, context: Any) -> Any: ...
    async def BatchReportUsage(self, request: Any, context: Any) -> Any: ...
    async def ListUsageTotals(self, request: Any, context: Any) -> Any: ...
    async def ListUsageBuckets(self, request: Any, context: Any) -> Any: ...
    async def ReconcileUsage(self, request: Any, context: Any) -> Any: ...
    async def RetractUsage(self, request: Any, context: Any) -> Any: ...
    async def CorrectUsage(self, request: Any, context: Any) -> Any: ...
    async def ListUsageCorrections(self, request: Any, context: Any) -> Any: ...


def streamed(tenant_id: str, records: int = 1) -> usage_service_pb2.StreamUsageRequest:
    request = usage_service_pb2.StreamUsageRequest(tenant_id=tenant_id)
    for n in range(records):
        request.records.add(idempotency_key=str(n))
    return request


class Streams:
    """Builds the streaming servicer once the door exists."""

    servicer: Streaming

    def __call__(self, door: Door) -> dict[str, object]:
        self.servicer = Streaming(door)
        return {"billing.usage.v1.UsageService": self.servicer}


async def test_every_message_of_a_stream_has_its_tenant_settled(database: TestDatabase) -> None:
    streams = Streams()
    async with running_app(database, extra=streams) as app:
        other = await app.new_tenant("other")
        stub = app.stub(UsageServiceStub, key=app.platform_key)
        order = [app.tenant_id, other, app.tenant_id]
        answer = await stub.StreamUsage(iter([streamed(tenant_id) for tenant_id in order]))
        assert answer.accepted == 3
        assert streams.servicer.tenants == order


async def test_stream_ends_at_the_first_message_for_another_tenant(database: TestDatabase) -> None:
    streams = Streams()
    async with running_app(database, extra=streams) as app:
        other = await app.new_tenant("other")
        stub = app.stub(UsageServiceStub)
        refusal = await refused(stub.StreamUsage(iter([streamed(""), streamed(other)])))
        assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "TENANT_MISMATCH")
        assert streams.servicer.tenants == [app.tenant_id]


async def test_every_message_of_a_stream_is_checked(database: TestDatabase) -> None:
    streams = Streams()
    async with running_app(database, extra=streams) as app:
        refusal = await refused(app.stub(UsageServiceStub).StreamUsage(iter([streamed(""), streamed("", 0)])))
        assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("records",))
        refusal = await refused(
            app.stub(UsageServiceStub, key="").StreamUsage(iter([streamed(app.tenant_id)]))
        )
        assert refusal.reason == "CREDENTIAL_MISSING"
