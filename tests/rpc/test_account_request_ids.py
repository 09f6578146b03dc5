"""The request ids of consumers are their account's own: none meets another's, or the tenant's."""

from typing import Any

from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.subscription.v1 import subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from google.protobuf.field_mask_pb2 import FieldMask

from tests.support.market import Market, Person, market

__all__ = ["market"]


async def rename(person: Person, name: str, request_id: str) -> customer_pb2.Customer:
    answer = await person.call(
        "customer",
        "UpdateCustomer",
        request_id=request_id,
        customer_id=person.customer_id,
        details=customer_service_pb2.CustomerDetails(name=name),
        update_mask=FieldMask(paths=["name"]),
    )
    renamed: customer_pb2.Customer = answer.customer
    return renamed


def staff_cancels(market: Market, person: Person) -> Any:
    return market.platform.stub(SubscriptionServiceStub).CancelSubscription(
        subscription_service_pb2.CancelSubscriptionRequest(
            request_id="order-18", subscription_id=person.subscription_id
        )
    )


async def test_consumer_neither_burns_nor_finds_the_ids_of_the_tenant(market: Market) -> None:
    ada, bob = market.ada, market.bob
    canceled = await ada.call(
        "subscription", "CancelSubscription", request_id="order-18", subscription_id=ada.subscription_id
    )
    assert (await staff_cancels(market, bob)).subscription.id == bob.subscription_id
    refusal = await bob.refused(
        "subscription", "CancelSubscription", request_id="order-18", subscription_id=bob.subscription_id
    )
    assert refusal.reason != "REQUEST_ID_REUSED", "nothing says that the staff used it"
    repeated = await ada.call(
        "subscription", "CancelSubscription", request_id="order-18", subscription_id=ada.subscription_id
    )
    assert repeated == canceled


async def test_accounts_do_not_share_request_ids(market: Market) -> None:
    ada, bob = market.ada, market.bob
    first = await rename(ada, "Ada L.", "once")
    assert (await rename(bob, "Bob M.", "once")).name == "Bob M."
    assert await rename(ada, "Ada L.", "once") == first
    repeated = await ada.refused(
        "customer",
        "UpdateCustomer",
        request_id="once",
        customer_id=ada.customer_id,
        details=customer_service_pb2.CustomerDetails(name="Ada the second"),
        update_mask=FieldMask(paths=["name"]),
    )
    assert repeated.reason == "REQUEST_ID_REUSED"


async def test_an_account_keeps_its_ids_with_another_token(market: Market) -> None:
    ada = market.ada
    first = await rename(ada, "Ada L.", "once")
    ada.token = market.issuer.token("consumer", "ada", sub="the same account, somebody else")
    assert await rename(ada, "Ada L.", "once") == first


async def test_no_account_is_named_in_what_is_kept(market: Market) -> None:
    """An account may be called by a mail address."""
    await rename(market.ada, "Ada L.", "once")
    rows = await market.platform.rows("SELECT account FROM request_keys WHERE request_id = 'once'")
    (account,) = {row["account"] for row in rows}
    assert account
    assert "ada" not in account
