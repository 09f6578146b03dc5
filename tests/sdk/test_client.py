"""The client against a real server: what it fills in, what it passes on, and what it raises."""

import asyncio
from typing import Any

import pytest
from billing.event.v1 import event_pb2
from billing_sdk import (
    Aborted,
    AlreadyExists,
    Billing,
    BillingError,
    ErrorReason,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    Unauthenticated,
)
from billing_sdk.customer import Address, CustomerDetails, CustomerStatus
from billing_sdk.google.protobuf import FieldMask

from tests.support.platform import Platform

ADA = CustomerDetails(name="Ada", address=Address(city="London", country="GB"))


def billing_of(platform: Platform, **options: Any) -> Billing:
    return Billing(platform.app.grpc_address, platform.tenant_key, **options)


async def request_ids(platform: Platform) -> list[str]:
    """Of the customers that were created."""
    rows = await platform.rows(
        "SELECT request_id FROM request_keys WHERE method LIKE '%CreateCustomer' ORDER BY created_at"
    )
    return [row["request_id"] for row in rows]


async def failed(call: Any) -> BillingError:
    with pytest.raises(BillingError) as caught:
        await call
    return caught.value


async def test_a_service_calls_in_five_lines(platform: Platform):
    async with Billing(platform.app.grpc_address, platform.tenant_key) as billing:
        customer = await billing.customer.create_customer(currency="EUR", details=ADA)
        found = await billing.customer.get_customer(customer_id=customer.id)
    assert found == customer
    assert (found.name, found.currency, found.status) == ("Ada", "EUR", CustomerStatus.ACTIVE)
    assert found.address == Address(city="London", country="GB")
    assert found.tenant_id == platform.tenant_id


async def test_every_call_has_a_request_id_of_its_own_unless_it_is_given_one(platform: Platform):
    async with billing_of(platform) as billing:
        first = await billing.customer.create_customer(details=ADA)
        second = await billing.customer.create_customer(details=ADA)
        mine = await billing.customer.create_customer(details=ADA, request_id="mine")
        again = await billing.customer.create_customer(details=ADA, request_id="mine")
    assert len({first.id, second.id, mine.id}) == 3
    assert again == mine
    made = await request_ids(platform)
    assert len(set(made)) == 3
    assert made[2] == "mine"


async def test_a_platform_key_acts_for_the_tenant_it_was_given(platform: Platform):
    other_id, _ = await platform.new_tenant("other")
    async with Billing(
        platform.app.grpc_address, platform.operator_key, tenant_id=platform.tenant_id
    ) as billing:
        ours = await billing.customer.create_customer(details=ADA)
        theirs = await billing.customer.create_customer(details=ADA, tenant_id=other_id)
        also = await billing.with_options(tenant_id=other_id).customer.get_customer(customer_id=theirs.id)
        tenant = await billing.tenant.get_tenant(tenant_id=other_id)
    assert (ours.tenant_id, theirs.tenant_id, also) == (platform.tenant_id, other_id, theirs)
    assert tenant.slug == "other"


async def test_refusals_are_typed_and_tell_what_the_server_told(platform: Platform):
    async with billing_of(platform) as billing:
        missing = await failed(billing.customer.get_customer(customer_id="cus_none"))
        assert isinstance(missing, NotFound)
        assert missing.reason is ErrorReason.CUSTOMER_NOT_FOUND
        assert missing.metadata == {"customer_id": "cus_none"}
        assert missing.attempts == 1

        wrong = await failed(billing.customer.get_customer(customer_id="x" * 65))
        assert isinstance(wrong, InvalidArgument)
        assert wrong.reason is ErrorReason.REQUEST_INVALID
        assert [violation.field for violation in wrong.violations] == ["customer_id"]

        await billing.customer.create_customer(details=ADA, external_id="ada")
        taken = await failed(billing.customer.create_customer(details=ADA, external_id="ada"))
        assert isinstance(taken, AlreadyExists)
        assert taken.reason is ErrorReason.CUSTOMER_EXTERNAL_ID_TAKEN
        assert str(taken).startswith("ALREADY_EXISTS: ")
        assert "(CUSTOMER_EXTERNAL_ID_TAKEN external_id=ada)" in str(taken)

        other = await failed(billing.customer.get_customer(customer_id="c", tenant_id="ten_other"))
        assert isinstance(other, PermissionDenied)
        assert other.reason is ErrorReason.TENANT_MISMATCH


async def test_a_wrong_key_is_refused_at_once(platform: Platform):
    async with Billing(platform.app.grpc_address, "made-up") as billing:
        refused = await failed(billing.customer.get_customer(customer_id="c"))
    assert isinstance(refused, Unauthenticated)
    assert refused.reason is ErrorReason.CREDENTIAL_INVALID


async def test_a_change_based_on_an_old_etag_is_refused_at_once(platform: Platform):
    """ABORTED, but repeating it would never help: no RetryInfo comes with it."""
    async with billing_of(platform) as billing:
        created = await billing.customer.create_customer(details=ADA)
        refused = await failed(
            billing.customer.update_customer(
                customer_id=created.id,
                details=CustomerDetails(name="Augusta"),
                update_mask=FieldMask(paths=["name"]),
                etag="old",
            )
        )
    assert isinstance(refused, Aborted)
    assert (refused.reason, refused.attempts) == (ErrorReason.ETAG_MISMATCH, 1)
    assert refused.metadata == {"etag": created.etag}


async def test_one_request_made_many_times_at_once_has_one_answer(platform: Platform):
    """While one is being worked on, the others are ABORTED, and ask again."""
    async with billing_of(platform) as billing:
        answers = await asyncio.gather(
            *(billing.customer.create_customer(details=ADA, request_id="same") for _ in range(20))
        )
        customers = [customer async for customer in billing.customer.iter_customers()]
    assert len({answer.id for answer in answers}) == len(customers) == 1


async def test_lists_can_be_iterated_over_page_by_page(platform: Platform):
    async with billing_of(platform) as billing:
        for number in range(7):
            await billing.customer.create_customer(details=CustomerDetails(name=f"c-{number}"))
        page = await billing.customer.list_customers(page_size=3)
        everyone = [customer async for customer in billing.customer.iter_customers(page_size=3)]
    assert len(page.customers) == 3
    assert page.next_page_token
    assert everyone[:3] == page.customers
    assert {customer.name for customer in everyone} == {f"c-{number}" for number in range(7)}
    assert len(everyone) == 7


async def test_correlation_and_trace_reach_the_events(platform: Platform):
    traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with billing_of(platform) as billing:
        traced = billing.with_options(correlation_id="order-4711", traceparent=traceparent)
        created = await traced.customer.create_customer(details=ADA)
        missing = await failed(traced.customer.get_customer(customer_id="none"))
        unnamed = await failed(billing.customer.get_customer(customer_id="none"))
        events = [event async for event in billing.event.iter_events(correlation_id="order-4711")]
    assert missing.correlation_id == "order-4711"
    assert unnamed.correlation_id.startswith("cor_")
    assert [(event.subject, event.resource_id) for event in events] == [("customer.created", created.id)]
    [row] = await platform.rows("SELECT traceparent FROM billing_events WHERE resource_id = $1", created.id)
    assert row["traceparent"].split("-")[1] == traceparent.split("-")[1]


async def test_tokens_are_asked_for_with_every_attempt(platform: Platform):
    given: list[str] = []

    async def token() -> str:
        given.append(platform.tenant_key)
        return given[-1]

    async with Billing(platform.app.grpc_address, token) as billing:
        created = await billing.customer.create_customer(details=ADA)
        await billing.customer.get_customer(customer_id=created.id)
    assert len(given) == 2


async def test_messages_are_those_of_the_contract(platform: Platform):
    """What the dataclasses read is what protobuf's own messages wrote."""
    async with billing_of(platform) as billing:
        created = await billing.customer.create_customer(details=ADA)
        [event] = [event async for event in billing.event.iter_events(resource_id=created.id)]
    assert event_pb2.Event.FromString(bytes(event)).subject == event.subject == "customer.created"
    assert event.created_at == created.created_at
