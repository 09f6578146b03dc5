"""What the server promises for every method: one effect per request id, a reason, no leaks."""

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from corebilling.db.transaction import Transaction
from corebilling.domains.customer.service import CustomerService
from corebilling.domains.customer.servicer import CustomerServicer
from corebilling.rpc.door import Door
from corebilling.rpc.server import MethodMissing
from tests.support.app import App, app, refused, running_app
from tests.support.postgres import TestDatabase

if TYPE_CHECKING:
    from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceAsyncStub

__all__ = ["app"]

CREATE = "billing.customer.v1.CustomerService/CreateCustomer"


def customers(app: App, key: str | None = None) -> "CustomerServiceAsyncStub":
    return app.stub(CustomerServiceStub, key=key)


def creation(request_id: str = "req-1", name: str = "Ada", **fields: Any) -> rpc.CreateCustomerRequest:
    return rpc.CreateCustomerRequest(
        request_id=request_id, currency="EUR", details=rpc.CustomerDetails(name=name), **fields
    )


async def count(app: App, table: str) -> int:
    (row,) = await app.database.admin(
        f"SELECT count(*) AS n FROM {table} WHERE tenant_id = $1", app.tenant_id
    )
    return int(row["n"])


async def test_same_request_id_returns_the_first_answer_and_has_one_effect(app: App) -> None:
    first = await customers(app).CreateCustomer(creation())
    app.clock.advance(hours=1)
    assert await customers(app).CreateCustomer(creation()) == first
    assert await count(app, "customers") == 1


@pytest.mark.parametrize(
    "request_id", ["'", "\\", "'); DROP TABLE customers; --", "$1", "%s", "заказ", "订单", "a\nb", "\\x00"]
)
async def test_request_id_may_be_any_text(app: App, request_id: str) -> None:
    first = await customers(app).CreateCustomer(creation(request_id))
    assert await customers(app).CreateCustomer(creation(request_id)) == first
    assert await count(app, "customers") == 1


async def test_request_id_that_is_no_text_is_refused(app: App) -> None:
    refusal = await refused(customers(app).CreateCustomer(creation("a\0b")))
    assert refusal.reason == "REQUEST_INVALID"


async def test_naming_the_tenant_or_not_is_the_same_request(app: App) -> None:
    first = await customers(app).CreateCustomer(creation())
    assert await customers(app).CreateCustomer(creation(tenant_id=app.tenant_id)) == first


async def test_request_id_with_other_input_is_refused(app: App) -> None:
    await customers(app).CreateCustomer(creation(name="Ada"))
    refusal = await refused(customers(app).CreateCustomer(creation(name="Bob")))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
    assert refusal.facts == {"request_id": "req-1"}
    assert await count(app, "customers") == 1


async def test_upper_and_lower_case_are_different_request_ids(app: App) -> None:
    request_id = "0198c8b2-7f3a-7abc-8def-0123456789ab"
    first = await customers(app).CreateCustomer(creation(request_id))
    assert await customers(app).CreateCustomer(creation(request_id.upper())) != first
    assert await customers(app).CreateCustomer(creation(request_id)) == first
    assert await count(app, "customers") == 2


async def test_request_ids_are_a_tenants_own_and_a_methods_own(app: App) -> None:
    other = await app.new_key(await app.new_tenant("other"))
    first = await customers(app).CreateCustomer(creation())
    second = await customers(app, other).CreateCustomer(creation())
    assert first.customer.id != second.customer.id
    update = rpc.UpdateCustomerRequest(
        request_id="req-1", customer_id=first.customer.id, details=rpc.CustomerDetails(name="Eve")
    )
    update.update_mask.paths.append("name")
    assert (await customers(app).UpdateCustomer(update)).customer.name == "Eve"


async def test_refused_request_keeps_nothing_and_its_id_can_be_used_again(app: App) -> None:
    before = await count(app, "audit_entries")
    refusal = await refused(
        customers(app).CreateCustomer(
            rpc.CreateCustomerRequest(
                request_id="req-1", currency="XXX", details=rpc.CustomerDetails(name="Ada")
            )
        )
    )
    assert refusal.reason == "CURRENCY_UNKNOWN"
    assert (await count(app, "audit_entries"), await count(app, "customers")) == (before, 0)
    await customers(app).CreateCustomer(creation())


async def test_twenty_at_once_with_one_request_id_have_one_effect(app: App) -> None:
    answers = await asyncio.gather(*[_insist(app) for _ in range(20)])
    assert len({answer.SerializeToString() for answer in answers}) == 1
    assert await count(app, "customers") == 1
    events = await app.database.admin("SELECT FROM billing_events WHERE subject = 'customer.created'")
    assert len(events) == 1


class Gate(CustomerService):
    """Creates a customer, and then waits to be let through."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def create_customer(
        self, tx: Transaction, request: rpc.CreateCustomerRequest
    ) -> rpc.CreateCustomerResponse:
        response = await super().create_customer(tx, request)
        self.reached.set()
        await self.opened.wait()
        return response


async def test_request_in_flight_is_to_be_asked_again(database: TestDatabase) -> None:
    gate = Gate()
    async with running_app(database, extra=lambda door: _customer_service(door, gate)) as app:
        first = asyncio.ensure_future(customers(app).CreateCustomer(creation()))
        await gate.reached.wait()
        refusal = await refused(customers(app).CreateCustomer(creation()))
        assert (refusal.code, refusal.reason) == ("ABORTED", "REQUEST_IN_FLIGHT")
        assert refusal.retry_after_s == 0.1
        gate.opened.set()
        answered = await first
        assert await customers(app).CreateCustomer(creation()) == answered


async def test_client_that_goes_away_leaves_no_effect(database: TestDatabase) -> None:
    gate = Gate()
    async with running_app(database, extra=lambda door: _customer_service(door, gate)) as app:
        call = customers(app).CreateCustomer(creation())
        await gate.reached.wait()
        call.cancel()
        gate.reached.clear()
        # Free again, hence rolled back: the same id starts anew.
        retried = asyncio.ensure_future(_insist(app))
        await gate.reached.wait()
        gate.opened.set()
        await retried
        assert await count(app, "customers") == 1


async def _insist(app: App) -> rpc.CreateCustomerResponse:
    """Repeats the request for as long as it is told to."""
    while True:
        try:
            return await customers(app).CreateCustomer(creation())
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.ABORTED:
                raise


def _customer_service(door: Door, service: CustomerService) -> dict[str, object]:
    return {"billing.customer.v1.CustomerService": CustomerServicer(door, service)}


async def test_audit_tells_who_did_what_from_where(app: App) -> None:
    await customers(app).CreateCustomer(creation("req-9"), metadata=(("x-correlation-id", "order-7"),))
    (entry,) = await app.database.admin("SELECT * FROM audit_entries WHERE request_id = 'req-9'")
    (key,) = await app.database.admin("SELECT id FROM api_keys WHERE tenant_id = $1", app.tenant_id)
    assert (entry["tenant_id"], entry["actor"], entry["action"]) == (app.tenant_id, key["id"], CREATE)
    assert (entry["correlation_id"], entry["occurred_at"]) == ("order-7", app.clock.now())
    assert entry["ip"] == "127.0.0.1"
    assert entry["user_agent"].startswith("grpc-python-asyncio/")
    assert "Ada" not in str(dict(entry))


async def test_reads_leave_neither_audit_nor_request_key(app: App) -> None:
    before = await count(app, "audit_entries"), await count(app, "request_keys")
    await customers(app).ListCustomers(rpc.ListCustomersRequest())
    assert (await count(app, "audit_entries"), await count(app, "request_keys")) == before


@pytest.mark.parametrize("sent", ["order-7", "", "two words", "x" * 129])
async def test_correlation_id_is_returned_and_made_when_missing_or_malformed(app: App, sent: str) -> None:
    call = customers(app).CreateCustomer(creation(), metadata=(("x-correlation-id", sent),) if sent else ())
    returned = dict(await call.trailing_metadata())["x-correlation-id"]
    assert returned == sent if sent == "order-7" else str(returned).startswith("cor_")
    await call
    (event,) = await app.database.admin(
        "SELECT correlation_id FROM billing_events WHERE subject = 'customer.created'"
    )
    assert event["correlation_id"] == returned


async def test_traceparent_travels_into_the_event(app: App) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await customers(app).CreateCustomer(creation(), metadata=(("traceparent", trace),))
    (event,) = await app.database.admin(
        "SELECT traceparent FROM billing_events WHERE subject = 'customer.created'"
    )
    assert event["traceparent"] == trace


async def test_broken_rules_are_named_field_by_field(app: App) -> None:
    request = creation(request_id="", tenant_id=app.tenant_id)
    request.details.name = "x" * 1000
    refusal = await refused(customers(app).CreateCustomer(request))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")
    assert refusal.fields == ("request_id", "details.name")


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x02\xc3\x28"])
async def test_bytes_that_are_no_message_are_refused_like_any_wrong_request(app: App, data: bytes) -> None:
    async with grpc.aio.insecure_channel(app.target) as channel:
        call: Any = channel.unary_unary("/billing.customer.v1.CustomerService/GetCustomer")
        refusal = await refused(call(data, metadata=(("x-api-key", app.tenant_key),)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")


async def test_text_that_cannot_be_stored_is_refused(app: App) -> None:
    refusal = await refused(customers(app).CreateCustomer(creation(name="a\0b")))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")


@pytest.mark.parametrize("method", ["billing.customer.v1.CustomerService/DeleteAll", "no.Such/Method"])
async def test_unknown_method_is_unimplemented(app: App, method: str) -> None:
    async with grpc.aio.insecure_channel(app.target) as channel:
        call: Any = channel.unary_unary(f"/{method}")
        refusal = await refused(call(b""))
    assert (refusal.code, refusal.reason) == ("UNIMPLEMENTED", "METHOD_UNKNOWN")


class Broken(CustomerService):
    async def get_customer(self, tx: Transaction, request: rpc.GetCustomerRequest) -> rpc.GetCustomerResponse:
        raise RuntimeError("the password is hunter2")


async def test_fault_is_answered_with_the_correlation_id_and_nothing_else(
    database: TestDatabase, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running_app(database, extra=lambda door: _customer_service(door, Broken())) as app:
        call = customers(app).GetCustomer(
            rpc.GetCustomerRequest(customer_id="cus_1"), metadata=(("x-correlation-id", "order-7"),)
        )
        refusal = await refused(call)
    assert (refusal.code, refusal.reason) == ("INTERNAL", "INTERNAL")
    assert refusal.facts == {"correlation_id": "order-7"}
    assert "hunter2" not in str(refusal)
    logged = capsys.readouterr().out
    assert "hunter2" in logged
    assert "order-7" in logged


async def test_fault_of_the_database_names_neither_statement_nor_table(app: App) -> None:
    await app.database.admin("ALTER TABLE customers RENAME TO hidden")
    refusal = await refused(customers(app).GetCustomer(rpc.GetCustomerRequest(customer_id="cus_1")))
    assert (refusal.code, refusal.reason) == ("INTERNAL", "INTERNAL")
    assert set(refusal.facts) == {"correlation_id"}
    assert "customers" not in refusal.message


class Forgetful:
    """Implements nothing of its service."""


async def test_servicer_without_its_methods_is_refused_at_the_start(database: TestDatabase) -> None:
    with pytest.raises(MethodMissing, match="Forgetful does not implement"):
        async with running_app(
            database, extra=lambda _: {"billing.customer.v1.CustomerService": Forgetful()}
        ):
            pass


async def test_health_is_reported_for_the_server_and_each_service(app: App) -> None:
    async with grpc.aio.insecure_channel(app.target) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        for service in ("", "billing.customer.v1.CustomerService"):
            answer = await stub.Check(health_pb2.HealthCheckRequest(service=service))
            assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_reflection_describes_the_services(app: App) -> None:
    names = await asyncio.to_thread(_reflected, app.target)
    assert "billing.customer.v1.CustomerService/CreateCustomer" in names


async def test_reflection_can_be_switched_off(database: TestDatabase) -> None:
    async with running_app(database, reflection=False) as app:
        with pytest.raises(grpc.RpcError) as caught:
            await asyncio.to_thread(_reflected, app.target)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def _reflected(target: str) -> list[str]:
    with grpc.insecure_channel(target) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        pool = DescriptorPool(database)
        services = [
            pool.FindServiceByName(name) for name in database.get_services() if name.startswith("billing.")
        ]
        return [f"{service.full_name}/{method.name}" for service in services for method in service.methods]
