"""Previews of what has not been done: equal to what comes when it is, and without a trace."""

from datetime import timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.credit.v1 import credit_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.subscription.v1 import subscription_pb2
from billing.subscription.v1 import subscription_service_pb2 as subscriptions
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.rpc.test_rerating import invoiced
from tests.support.app import refused
from tests.support.catalog import new_customer, new_meter, new_price, new_product, subscribe
from tests.support.correction import retract
from tests.support.footprint import footprint
from tests.support.invoice import invoices_of
from tests.support.money import coupon, credit, redeem
from tests.support.platform import Platform, platform
from tests.support.reporting import use

__all__ = ["platform"]

UNTRUE_BUT_NOW = ("id", "number", "version", "state", "finalized_at", "due_at", "paid_at", "created_at")
AT_ONCE = subscription_pb2.PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY
LATER = subscription_pb2.PRORATION_BEHAVIOR_CREATE_PRORATIONS
NEVER = subscription_pb2.PRORATION_BEHAVIOR_NONE
Item = subscriptions.NewSubscriptionItem


async def prices(platform: Platform) -> dict[str, catalog_pb2.Price]:
    """A fee, seats, tokens in tiers, and the same tokens at another price."""
    product, meter = await new_product(platform), await new_meter(platform)
    metered: dict[str, Any] = {"usage": catalog_pb2.PRICE_USAGE_METERED, "meter_id": meter.id}
    return {
        "fee": await new_price(platform, product.id, "fee"),
        "seats": await new_price(
            platform, product.id, "seats", model=catalog_pb2.PRICE_MODEL_PER_UNIT, unit_amount="9.99"
        ),
        "tokens": await new_price(
            platform,
            product.id,
            "tokens",
            model=catalog_pb2.PRICE_MODEL_GRADUATED,
            unit_amount="",
            tiers=[
                catalog_pb2.PriceTier(up_to="1000", unit_amount="0.0123"),
                catalog_pb2.PriceTier(unit_amount="0.007"),
            ],
            **metered,
        ),
        "cheap": await new_price(
            platform,
            product.id,
            "cheap",
            model=catalog_pb2.PRICE_MODEL_PER_UNIT,
            unit_amount="0.001",
            **metered,
        ),
    }


async def preview(platform: Platform, **request: Any) -> pb.Invoice:
    answer = await platform.stub(InvoiceServiceStub).PreviewInvoice(rpc.PreviewInvoiceRequest(**request))
    return answer.invoice


def plain(invoice: pb.Invoice, *more: str) -> pb.Invoice:
    """Without what is not known, or not true, before it is made."""
    copy = pb.Invoice()
    copy.CopyFrom(invoice)
    for name in (*UNTRUE_BUT_NOW, *more):
        copy.ClearField(name)
    # The scheduler came later than it could have.
    copy.terms.ClearField("worked_out_at")
    for line in copy.lines:
        # Items that a change makes have other ids each time.
        for name in ("id", "charge_id", "subscription_item_id", *more):
            if name in line.DESCRIPTOR.fields_by_name:
                line.ClearField(name)
    for discount in copy.discounts:
        for name in ("discount_id", *more):
            if name in discount.DESCRIPTOR.fields_by_name:
                discount.ClearField(name)
    return copy


CHANGES = {
    "now, billed in parts": {"proration_behavior": LATER},
    "now, invoiced at once": {"proration_behavior": AT_ONCE},
    "with the next period": {"at_period_end": True},
    "later in the period": {"effective_in": 5, "proration_behavior": LATER},
    "later in the period, invoiced then": {"effective_in": 5, "proration_behavior": AT_ONCE},
    "now, fees as they are": {"proration_behavior": NEVER},
    "with a commitment": {"minimum_commitment_minor": 12_345},
}


@pytest.mark.parametrize("terms", list(CHANGES.values()), ids=list(CHANGES))
async def test_the_invoice_that_comes_after_a_change_is_the_one_previewed(
    platform: Platform, terms: dict[str, Any]
) -> None:
    price = await prices(platform)
    made = await subscribe(platform, price["fee"], price["tokens"])
    await credit(platform, made.customer_id, 333, kind=credit_pb2.CREDIT_KIND_PROMOTIONAL)
    await use(platform, made.id, 1500)
    await platform.pass_time(days=9, hours=3, seconds=7)
    moment = dict(terms)
    if "effective_in" in moment:
        later = platform.clock.now().replace(microsecond=0) + timedelta(days=moment.pop("effective_in"))
        moment["effective_at"] = timestamp(later)
    change = subscriptions.ChangeSubscriptionRequest(
        request_id=new_id("req"),
        subscription_id=made.id,
        items=[Item(price_id=price["seats"].id, quantity="7"), Item(price_id=price["cheap"].id)],
        **moment,
    )
    before = await footprint(platform)
    supposed = await preview(platform, change=change)
    assert await footprint(platform) == before
    assert supposed.subtotal_minor
    await platform.stub(SubscriptionServiceStub).ChangeSubscription(change)
    await platform.pass_time(days=30)
    first, *_ = await invoices_of(platform, made.id)
    assert plain(supposed) == plain(first)


@pytest.mark.parametrize("how", ["cancel", "cancel at the end", "pause"])
async def test_the_invoice_that_comes_after_the_end_of_service_is_the_one_previewed(
    platform: Platform, how: str
) -> None:
    price = await prices(platform)
    made = await subscribe(platform, price["fee"], price["tokens"], minimum_commitment_minor=5000)
    await use(platform, made.id, 700)
    await platform.pass_time(days=9, hours=3, seconds=7)
    stub = platform.stub(SubscriptionServiceStub)
    named = {"request_id": new_id("req"), "subscription_id": made.id}
    request: Any
    call: Any
    if how == "pause":
        request = subscriptions.PauseSubscriptionRequest(**named)
        supposed, call = await preview(platform, pause=request), stub.PauseSubscription
    else:
        request = subscriptions.CancelSubscriptionRequest(at_period_end="end" in how, **named)
        supposed, call = await preview(platform, cancel=request), stub.CancelSubscription
    await call(request)
    await platform.pass_time(days=30)
    (invoice,) = await invoices_of(platform, made.id)
    assert plain(supposed) == plain(invoice)


async def test_below_zero_it_shows_the_credit_that_is_to_come(platform: Platform) -> None:
    made = await invoiced(platform, 500)
    await retract(platform, "first")
    shown = await preview(platform, subscription_id=made.subscription_id)
    assert (shown.total_minor, shown.prepaid_minor, shown.amount_due_minor) == (-46900, -46900, 0)
    await platform.pass_time(days=31)
    assert plain(shown) == plain((await invoices_of(platform))[-1], "credits")


async def test_a_subscription_that_does_not_exist_is_previewed_with_coupon_and_usage(
    platform: Platform,
) -> None:
    price = await prices(platform)
    ada = (await new_customer(platform)).id
    await coupon(platform, "TEN", percent="10")
    create = subscriptions.CreateSubscriptionRequest(
        request_id=new_id("req"),
        customer_id=ada,
        items=[Item(price_id=price["fee"].id), Item(price_id=price["tokens"].id)],
        trial_days=14,
    )
    before = await footprint(platform)
    supposed = await preview(
        platform,
        create=create,
        coupon_code="TEN",
        assumed_usage=[rpc.AssumedUsage(meter_code="tokens", quantity="2500")],
    )
    assert await footprint(platform) == before
    made = (await platform.stub(SubscriptionServiceStub).CreateSubscription(create)).subscription
    await redeem(platform, "TEN", ada, subscription_id=made.id)
    await platform.pass_time(days=20)
    await use(platform, made.id, 2500)
    await platform.pass_time(days=30)
    (invoice,) = await invoices_of(platform, made.id)
    assert (invoice.subtotal_minor, invoice.discount_minor) == (2000 + 1230 + 1050, 428)
    gone = ("subscription_id", "cycle_id")
    assert plain(supposed, *gone) == plain(invoice, *gone)


async def test_assumed_usage_stands_in_for_what_was_used_by_now(platform: Platform) -> None:
    price = await prices(platform)
    made = await subscribe(platform, price["cheap"])
    await use(platform, made.id, 5000)
    assumed = [rpc.AssumedUsage(meter_code="tokens", quantity="12000")]
    supposed = await preview(platform, subscription_id=made.id, assumed_usage=assumed)
    assert supposed.subtotal_minor == 1200
    await use(platform, made.id, 7000)
    await platform.pass_time(days=32)
    (invoice,) = await invoices_of(platform, made.id)
    assert plain(supposed) == plain(invoice)


async def test_what_an_earlier_period_still_takes_is_not_promised_twice(platform: Platform) -> None:
    """In the grace of a period: its invoice comes first, and takes the credit."""
    price = await prices(platform)
    made = await subscribe(platform, price["fee"])
    await credit(platform, made.customer_id, 2500, kind=credit_pb2.CREDIT_KIND_PROMOTIONAL)
    await platform.pass_time(days=31, minutes=10)
    assert await invoices_of(platform, made.id) == []
    change = subscriptions.ChangeSubscriptionRequest(
        request_id=new_id("req"),
        subscription_id=made.id,
        items=[Item(price_id=price["seats"].id, quantity="3")],
        at_period_end=True,
    )
    supposed = await preview(platform, change=change)
    await platform.stub(SubscriptionServiceStub).ChangeSubscription(change)
    await platform.pass_time(hours=2)
    await platform.pass_time(days=31)
    _, second, *_ = await invoices_of(platform, made.id)
    assert (supposed.credit_minor, second.credit_minor) == (500, 500)
    assert plain(supposed) == plain(second)


async def test_a_preview_that_contradicts_itself_is_refused(platform: Platform) -> None:
    price = await prices(platform)
    made = await subscribe(platform, price["fee"])
    named = {"request_id": "preview", "subscription_id": made.id}
    pause = subscriptions.PauseSubscriptionRequest(**named)
    create = subscriptions.CreateSubscriptionRequest(
        request_id="preview", customer_id=made.customer_id, items=[Item(price_id=price["fee"].id)]
    )
    unknown = [rpc.AssumedUsage(meter_code="storage", quantity="1")]
    twice = [rpc.AssumedUsage(meter_code="tokens", quantity=one) for one in "12"]
    metered = await subscribe(platform, price["tokens"])
    for request in (
        {"assumed_usage": unknown},
        {"subscription_id": "sub_other", "pause": pause},
        {"subscription_id": made.id, "create": create},
        {"subscription_id": made.id, "assumed_usage": unknown},
        {"subscription_id": metered.id, "assumed_usage": twice},
    ):
        refusal = await refused(preview(platform, **request))
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PREVIEW_INVALID")
    assert (await refused(preview(platform))).reason == "SUBSCRIPTION_NOT_FOUND"
    refusal = await refused(preview(platform, subscription_id=made.id, coupon_code="NONE"))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "COUPON_NOT_FOUND")


async def test_other_tenant_gets_not_found(platform: Platform) -> None:
    price = await prices(platform)
    made = await subscribe(platform, price["fee"])
    _, key = await platform.new_tenant("other")
    pause = subscriptions.PauseSubscriptionRequest(request_id="preview", subscription_id=made.id)
    call = platform.stub(InvoiceServiceStub, key=key).PreviewInvoice(rpc.PreviewInvoiceRequest(pause=pause))
    assert (await refused(call)).reason == "SUBSCRIPTION_NOT_FOUND"
