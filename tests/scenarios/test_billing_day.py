"""Subscriptions billed on a day of the month: a first part of a period, and whole ones from then on."""

from datetime import UTC, datetime

import pytest
from billing.customer.v1 import customer_service_pb2
from billing.subscription.v1 import subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.mapping import instant
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_customer, new_price, new_product
from tests.support.invoice import invoices_of
from tests.support.platform import Platform, platform

__all__ = ["platform"]


async def subscribed(platform: Platform, billing_day: int, timezone: str = "UTC") -> str:
    """To a fee of 31 a month, with at least 62 a month in all."""
    product = await new_product(platform)
    fee = await new_price(platform, product.id, "fee", unit_amount="31")
    details = customer_service_pb2.CustomerDetails(name="Ada", timezone=timezone)
    customer = await new_customer(platform, details=details)
    request = subscription_service_pb2.CreateSubscriptionRequest(
        request_id=new_id("req"),
        customer_id=customer.id,
        items=[subscription_service_pb2.NewSubscriptionItem(price_id=fee.id)],
        billing_day=billing_day,
        minimum_commitment_minor=6200,
    )
    answer = await platform.stub(SubscriptionServiceStub).CreateSubscription(request)
    return answer.subscription.id


async def go_to(platform: Platform, moment: datetime) -> None:
    platform.clock.advance(seconds=(moment - platform.clock.now()).total_seconds())
    await platform.drain()


async def test_the_first_period_is_a_part_and_the_others_are_whole_months(platform: Platform) -> None:
    await go_to(platform, datetime(2026, 3, 11, tzinfo=UTC))
    await subscribed(platform, 1)
    await go_to(platform, datetime(2026, 5, 1, 2, tzinfo=UTC))
    first, second = await invoices_of(platform)
    # 21 of the 31 days of March; then all of April. What is committed to is due for the same part.
    assert [line.amount_minor for line in first.lines] == [2100, 2100]
    assert [line.amount_minor for line in second.lines] == [3100, 3100]
    assert (instant(first.period.end), instant(second.period.start)) == (
        datetime(2026, 4, 1, tzinfo=UTC),
    ) * 2
    assert instant(second.period.end) == datetime(2026, 5, 1, tzinfo=UTC)


async def test_the_last_day_of_shorter_months_stands_for_the_billing_day(platform: Platform) -> None:
    await go_to(platform, datetime(2026, 3, 31, tzinfo=UTC))
    await subscribed(platform, 31)
    await go_to(platform, datetime(2026, 6, 30, 2, tzinfo=UTC))
    ends = [instant(invoice.period.end) for invoice in await invoices_of(platform)]
    assert ends == [datetime(2026, month, day, tzinfo=UTC) for month, day in ((4, 30), (5, 31), (6, 30))]
    assert [invoice.total_minor for invoice in await invoices_of(platform)] == [6200] * 3


async def test_the_day_begins_where_the_customer_is(platform: Platform) -> None:
    await go_to(platform, datetime(2026, 3, 11, tzinfo=UTC))
    await subscribed(platform, 1, "America/New_York")
    await go_to(platform, datetime(2026, 4, 1, 6, tzinfo=UTC))
    (invoice,) = await invoices_of(platform)
    assert instant(invoice.period.end) == datetime(2026, 4, 1, 4, tzinfo=UTC)


async def test_the_first_part_can_be_changed_from_its_beginning(platform: Platform) -> None:
    await go_to(platform, datetime(2026, 3, 11, tzinfo=UTC))
    subscription_id = await subscribed(platform, 1)
    product = await new_product(platform, "other")
    other = await new_price(platform, product.id, "other", unit_amount="62")
    await platform.stub(SubscriptionServiceStub).ChangeSubscription(
        subscription_service_pb2.ChangeSubscriptionRequest(
            request_id=new_id("req"),
            subscription_id=subscription_id,
            items=[subscription_service_pb2.NewSubscriptionItem(price_id=other.id)],
        )
    )
    await go_to(platform, datetime(2026, 4, 1, 2, tzinfo=UTC))
    (invoice,) = await invoices_of(platform)
    assert invoice.total_minor == 4200


@pytest.mark.parametrize("billing_day", [-1, 32])
async def test_a_billing_day_is_a_day_of_the_month(platform: Platform, billing_day: int) -> None:
    refusal = await refused(subscribed(platform, billing_day))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")
