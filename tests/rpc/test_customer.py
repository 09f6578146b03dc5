import asyncio

from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from google.protobuf.field_mask_pb2 import FieldMask

from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_customer
from tests.support.platform import Platform


def details(**fields):
    return customer_service_pb2.CustomerDetails(**fields)


async def update(platform: Platform, customer_id: str, mask: list[str], etag: str = "", **fields):
    return await platform.stub(CustomerServiceStub).UpdateCustomer(
        customer_service_pb2.UpdateCustomerRequest(
            request_id=new_id("req"),
            customer_id=customer_id,
            details=details(**fields),
            update_mask=FieldMask(paths=mask),
            etag=etag,
        )
    )


async def test_a_customer_is_created_with_the_tenants_defaults_and_announced(platform: Platform):
    address = customer_pb2.Address(line1="1 Main St", country="GB")
    customer = await new_customer(platform, details=details(name="Ada", email="a@b.c", address=address))
    assert (customer.currency, customer.timezone, customer.version) == ("USD", "UTC", 1)
    assert customer.address.line1 == "1 Main St"
    (event,) = await platform.events("customer.created")
    assert (event.customer_id, event.currency) == (customer.id, "USD")


async def test_personal_data_is_in_no_event_and_no_audit_entry(platform: Platform):
    await new_customer(
        platform, details=details(name="Grace Hopper", email="grace@navy.example", tax_id="T-77")
    )
    for table in ("billing_events", "audit_entries"):
        for row in await platform.rows(f"SELECT t::text AS text FROM {table} t"):
            for secret in ("Grace", "grace@navy", "T-77"):
                assert secret not in row["text"]
                assert secret.encode().hex() not in row["text"]


async def test_same_request_id_returns_the_first_customer(platform: Platform):
    request = customer_service_pb2.CreateCustomerRequest(request_id="once", details=details(name="Ada"))
    stub = platform.stub(CustomerServiceStub)
    first, second = await stub.CreateCustomer(request), await stub.CreateCustomer(request)
    assert first == second
    assert len(await platform.events("customer.created")) == 1


async def test_an_external_id_is_taken_once_per_tenant(platform: Platform):
    await new_customer(platform, external_id="crm-1")
    refusal = await refused(new_customer(platform, external_id="crm-1"))
    assert (refusal.code, refusal.reason) == ("ALREADY_EXISTS", "CUSTOMER_EXTERNAL_ID_TAKEN")
    assert refusal.facts == {"external_id": "crm-1"}
    await new_customer(platform)
    await new_customer(platform)  # without one, any number


async def register(platform: Platform, external_id: str, **fields):
    return await platform.stub(CustomerServiceStub).RegisterCustomer(
        customer_service_pb2.RegisterCustomerRequest(
            request_id=new_id("req"), external_id=external_id, details=details(**fields)
        )
    )


async def test_registering_an_external_id_again_finds_its_customer_unchanged(platform: Platform):
    first = await register(platform, "crm-1", name="Ada")
    second = await register(platform, "crm-1", name="Grace")
    assert (first.created, second.created) == (True, False)
    assert second.customer == first.customer
    assert len(await platform.events("customer.created")) == 1


async def test_an_external_id_registered_many_times_at_once_is_one_customer(platform: Platform):
    answers = await asyncio.gather(*(register(platform, "crm-1", name="Ada") for _ in range(20)))
    assert {answer.customer.id for answer in answers} == {answers[0].customer.id}
    assert [answer.created for answer in answers].count(True) == 1


async def test_an_update_changes_what_its_mask_names_and_nothing_else(platform: Platform):
    customer = await new_customer(platform, details=details(name="Ada", company="Engines"))
    answer = await update(platform, customer.id, ["name"], name="Augusta", company="ignored")
    assert (answer.customer.name, answer.customer.company, answer.customer.version) == (
        "Augusta",
        "Engines",
        2,
    )
    (event,) = await platform.events("customer.updated")
    assert list(event.changed_fields) == ["name"]


async def test_an_update_from_a_stale_read_is_refused(platform: Platform):
    customer = await new_customer(platform)
    await update(platform, customer.id, ["name"], etag=customer.etag, name="first")
    refusal = await refused(update(platform, customer.id, ["name"], etag=customer.etag, name="second"))
    assert (refusal.code, refusal.reason, refusal.facts) == ("ABORTED", "ETAG_MISMATCH", {"etag": "2"})


async def test_a_mask_that_names_something_else_is_refused(platform: Platform):
    customer = await new_customer(platform)
    refusal = await refused(update(platform, customer.id, ["status"]))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "UPDATE_MASK_INVALID")


async def test_unknown_currency_and_time_zone_are_refused_by_name(platform: Platform):
    assert (await refused(new_customer(platform, currency="XXQ"))).reason == "CURRENCY_UNKNOWN"
    refusal = await refused(new_customer(platform, details=details(timezone="Mars/Olympus")))
    assert refusal.reason == "TIMEZONE_UNKNOWN"


async def test_lists_go_newest_first_page_by_page(platform: Platform):
    created = [(await new_customer(platform)).id for _ in range(5)]
    stub = platform.stub(CustomerServiceStub)
    seen, token = [], ""
    while True:
        page = await stub.ListCustomers(
            customer_service_pb2.ListCustomersRequest(page_size=2, page_token=token)
        )
        seen += [customer.id for customer in page.customers]
        token = page.next_page_token
        if not token:
            break
    assert seen == created[::-1]
    refusal = await refused(stub.ListCustomers(customer_service_pb2.ListCustomersRequest(page_token="xx")))
    assert refusal.reason == "PAGE_TOKEN_INVALID"


async def test_other_tenant_gets_not_found(platform: Platform):
    customer = await new_customer(platform)
    _, other_key = await platform.new_tenant("other")
    stub = platform.stub(CustomerServiceStub, key=other_key)
    refusal = await refused(
        stub.GetCustomer(customer_service_pb2.GetCustomerRequest(customer_id=customer.id))
    )
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "CUSTOMER_NOT_FOUND")
    assert not (await stub.ListCustomers(customer_service_pb2.ListCustomersRequest())).customers
