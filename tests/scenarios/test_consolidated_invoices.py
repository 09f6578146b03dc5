"""Periods of subscriptions that end at the same instant are on one invoice, if a customer wants it."""

from collections import Counter
from typing import Any

import asyncpg
import pytest
from billing.catalog.v1 import catalog_pb2
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.subscription.v1 import subscription_service_pb2 as subscriptions
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from google.protobuf.field_mask_pb2 import FieldMask

from corebilling.domains.invoice import cycle_draft, preview_service
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_customer, new_price, new_product, pause, subscribe
from tests.support.invoice import invoices_of
from tests.support.money import coupon, credit, redeem, tax_rate, void
from tests.support.platform import Platform, platform
from tests.support.replay import replay

__all__ = ["platform"]


async def consolidating(platform: Platform, wanted: bool = True) -> str:
    details = customer_service_pb2.CustomerDetails(
        name="Ada", address=customer_pb2.Address(country="DE"), consolidate_invoices=wanted
    )
    made = await new_customer(platform, details=details)
    assert made.consolidate_invoices == wanted
    return made.id


async def fees(platform: Platform, *amounts: str) -> list[catalog_pb2.Price]:
    product = await new_product(platform)
    return [await new_price(platform, product.id, f"p{amount}", unit_amount=amount) for amount in amounts]


async def test_what_ends_together_is_one_invoice_with_discounts_credits_and_tax_once_over_all(
    platform: Platform,
) -> None:
    ada = await consolidating(platform)
    await tax_rate(platform, "20")
    await coupon(platform, "TEN", percent="10")
    await coupon(platform, "FIVE", amount_minor=500, currency="USD")
    await redeem(platform, "TEN", ada)
    prices = await fees(platform, "20", "30.5", "7.01")
    made = [await subscribe(platform, price, customer_id=ada) for price in prices]
    await redeem(platform, "FIVE", ada, subscription_id=made[1].id)
    await credit(platform, ada, 700)
    await platform.pass_time(days=32)
    (invoice,) = await invoices_of(platform, customer_id=ada)
    assert (invoice.subscription_id, invoice.cycle_id, invoice.number) == ("", "", "INV-2026-000001")
    assert [line.subscription_id for line in invoice.lines] == [one.id for one in made]
    assert [line.amount_minor for line in invoice.lines] == [2000, 3050, 701]
    assert [line.discount_minor for line in invoice.lines] == [200, 805, 70]
    assert (invoice.discount_minor, invoice.credit_minor) == (1075, 700)
    assert invoice.tax_minor == round((5751 - 1075 - 700) * 0.2)
    for one in made:
        assert await invoices_of(platform, one.id) == [invoice]
    (generated,) = await platform.events("invoice.generated")
    assert generated.invoice_id == invoice.id
    await platform.pass_time(days=31)
    assert len(await invoices_of(platform, customer_id=ada)) == 2


async def test_others_have_their_invoices_as_before_and_so_do_periods_that_end_apart(
    platform: Platform,
) -> None:
    (price,) = await fees(platform, "20")
    ada, bob = await consolidating(platform), await consolidating(platform, wanted=False)
    first = await subscribe(platform, price, customer_id=ada)
    for _ in range(2):
        await subscribe(platform, price, customer_id=bob)
    await platform.pass_time(days=2)
    second = await subscribe(platform, price, customer_id=ada)
    await platform.pass_time(days=40)
    assert len(await invoices_of(platform, customer_id=bob)) == 2
    found = await invoices_of(platform, customer_id=ada)
    assert [invoice.subscription_id for invoice in found] == [first.id, second.id]
    assert all(invoice.cycle_id for invoice in found)
    rows = await platform.rows("SELECT invoice_id FROM invoice_cycles ORDER BY 1")
    assert [row["invoice_id"] for row in rows] == [invoice.id for invoice in found]


async def test_nothing_is_invoiced_twice_whatever_is_handled_again(platform: Platform) -> None:
    ada = await consolidating(platform)
    prices = await fees(platform, "20", "30")
    for price in prices:
        await subscribe(platform, price, customer_id=ada)
    await platform.pass_time(days=32)
    await replay(platform, subject="rating.completed")
    await replay(platform, subject="billing.cycle.closed")
    (invoice,) = await invoices_of(platform, customer_id=ada)
    (row,) = await platform.rows("SELECT cycle_id FROM invoice_cycles LIMIT 1")
    with pytest.raises(asyncpg.UniqueViolationError, match="invoice_cycles_once"):
        await platform.rows(
            "WITH other AS (INSERT INTO invoices SELECT (jsonb_populate_record(i, jsonb_build_object("
            "'id', 'inv_other', 'number', 'X'))).* FROM invoices i RETURNING tenant_id, id) "
            "INSERT INTO invoice_cycles (tenant_id, invoice_id, cycle_id, subscription_id) "
            "SELECT tenant_id, id, $1, '' FROM other",
            row["cycle_id"],
        )
    assert invoice.lines[1].amount_minor == 3000


async def test_the_last_of_them_to_be_rated_brings_the_invoice(platform: Platform) -> None:
    """Though one is held up: its subscription's cycle is in order, only late."""
    ada = await consolidating(platform)
    prices = await fees(platform, "20", "30")
    made = [await subscribe(platform, price, customer_id=ada) for price in prices]
    await platform.rows(
        "UPDATE billing_cycles SET retry_at = now() + interval '100 years' WHERE subscription_id = $1",
        made[0].id,
    )
    await platform.pass_time(days=32)
    assert await invoices_of(platform, customer_id=ada) == []
    await platform.rows("UPDATE billing_cycles SET retry_at = '1000-01-01+00'")
    for _ in range(3):
        await platform.pass_time(hours=1)
    (invoice,) = await invoices_of(platform, customer_id=ada)
    assert Counter(line.subscription_id for line in invoice.lines) == Counter(one.id for one in made)


async def test_the_last_of_them_brings_the_invoice_though_nothing_of_it_is_there(platform: Platform) -> None:
    """It was paused all the time, and its cycle is late."""
    ada = await consolidating(platform)
    prices = await fees(platform, "20", "30")
    made = [await subscribe(platform, price, customer_id=ada) for price in prices]
    await pause(platform, made[1].id)
    await platform.pass_time(days=32)
    await platform.rows(
        "UPDATE billing_cycles SET retry_at = now() + interval '100 years' WHERE subscription_id = $1",
        made[1].id,
    )
    await platform.pass_time(days=31)
    assert len(await invoices_of(platform, customer_id=ada)) == 1
    await platform.rows("UPDATE billing_cycles SET retry_at = '1000-01-01+00'")
    for _ in range(3):
        await platform.pass_time(hours=1)
    _, invoice = await invoices_of(platform, customer_id=ada)
    assert (invoice.subscription_id, [line.amount_minor for line in invoice.lines]) == (made[0].id, [2000])


async def test_a_canceled_one_and_one_that_never_began_hold_up_no_other(platform: Platform) -> None:
    ada = await consolidating(platform)
    prices = await fees(platform, "20", "30", "40", "50")
    made = [await subscribe(platform, price, customer_id=ada) for price in prices[:3]]
    start = made[0].current_period_end
    ahead = await subscribe(platform, prices[3], customer_id=ada, start_at=start)
    stub = platform.stub(SubscriptionServiceStub)
    for one in (ahead, made[2]):
        await stub.CancelSubscription(
            subscriptions.CancelSubscriptionRequest(request_id=new_id("req"), subscription_id=one.id)
        )
    trial = await subscribe(platform, prices[3], customer_id=ada, trial_days=31)
    await platform.pass_time(days=32)
    together = (await invoices_of(platform, customer_id=ada))[-1]
    assert [line.subscription_id for line in together.lines] == [made[0].id, made[1].id]
    assert await invoices_of(platform, trial.id) == []


async def test_a_consolidated_invoice_can_be_voided_and_issued_again(platform: Platform) -> None:
    ada = await consolidating(platform)
    prices = await fees(platform, "20", "30")
    made = [await subscribe(platform, price, customer_id=ada) for price in prices]
    await platform.pass_time(days=32)
    (invoice,) = await invoices_of(platform, customer_id=ada)
    stub = platform.stub(InvoiceServiceStub)
    again = (
        await stub.ReissueInvoice(
            rpc.ReissueInvoiceRequest(request_id=new_id("req"), invoice_id=invoice.id, finalize=True)
        )
    ).invoice
    assert [line.subscription_id for line in again.lines] == [one.id for one in made]
    await void(platform, again.id)
    rows = await platform.rows("SELECT invoice_id, void FROM invoice_cycles ORDER BY invoice_id")
    assert [(row["invoice_id"], row["void"]) for row in rows] == [
        (invoice.id, True),
        (invoice.id, True),
        (again.id, True),
        (again.id, True),
    ]


async def test_commitments_are_each_subscriptions_own(platform: Platform) -> None:
    ada = await consolidating(platform)
    prices = await fees(platform, "20", "30")
    for price in prices:
        await subscribe(platform, price, customer_id=ada, minimum_commitment_minor=2500)
    await platform.pass_time(days=32)
    (invoice,) = await invoices_of(platform, customer_id=ada)
    assert [line.amount_minor for line in invoice.lines] == [2000, 500, 3000]


async def test_a_preview_shows_what_the_others_bring(platform: Platform) -> None:
    ada = await consolidating(platform)
    prices = await fees(platform, "20", "30", "40")
    made = [await subscribe(platform, price, customer_id=ada) for price in prices[:2]]
    await platform.pass_time(days=3)
    change = subscriptions.ChangeSubscriptionRequest(
        request_id=new_id("req"),
        subscription_id=made[0].id,
        items=[subscriptions.NewSubscriptionItem(price_id=prices[2].id)],
    )
    stub = platform.stub(InvoiceServiceStub)
    supposed = (await stub.PreviewInvoice(rpc.PreviewInvoiceRequest(change=change))).invoice
    await platform.stub(SubscriptionServiceStub).ChangeSubscription(change)
    await platform.pass_time(days=32)
    invoice = (await invoices_of(platform, customer_id=ada))[0]
    assert supposed.subtotal_minor == invoice.subtotal_minor
    assert [_shown(line) for line in supposed.lines] == [_shown(line) for line in invoice.lines]


async def test_a_preview_of_one_as_it_is_shows_the_invoice_of_all(platform: Platform) -> None:
    ada = await consolidating(platform)
    prices = await fees(platform, "20", "30")
    made = [await subscribe(platform, price, customer_id=ada) for price in prices]
    stub = platform.stub(InvoiceServiceStub)
    seen = (await stub.PreviewInvoice(rpc.PreviewInvoiceRequest(subscription_id=made[1].id))).invoice
    await platform.pass_time(days=32)
    (invoice,) = await invoices_of(platform, customer_id=ada)
    assert (seen.subscription_id, seen.total_minor) == ("", invoice.total_minor)
    assert [_shown(line) for line in seen.lines] == [_shown(line) for line in invoice.lines]


async def test_what_a_preview_does_not_get_to_is_said_and_never_left_out(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada = await consolidating(platform)
    prices = await fees(platform, "20", "30")
    made = [await subscribe(platform, price, customer_id=ada) for price in prices]
    stub = platform.stub(InvoiceServiceStub)
    cancel = subscriptions.CancelSubscriptionRequest(
        request_id=new_id("req"), subscription_id=made[0].id, at_period_end=True
    )
    monkeypatch.setattr(cycle_draft, "_MOST_PENDING", 1)
    refusal = await refused(stub.PreviewInvoice(rpc.PreviewInvoiceRequest(subscription_id=made[0].id)))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "PREVIEW_LIMIT_REACHED")
    assert refusal.facts == {"limit": "1"}
    supposed = rpc.PreviewInvoiceRequest(cancel=cancel)
    assert len((await stub.PreviewInvoice(supposed)).invoice.lines) == 2
    monkeypatch.setattr(preview_service, "_MOST_STEPS", 3)
    refusal = await refused(stub.PreviewInvoice(supposed))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "PREVIEW_LIMIT_REACHED")
    assert refusal.facts == {"limit": "3"}


async def test_a_trial_is_previewed_as_nothing(platform: Platform) -> None:
    ada = await consolidating(platform)
    (price,) = await fees(platform, "20")
    made = await subscribe(platform, price, customer_id=ada, trial_days=14)
    request = rpc.PreviewInvoiceRequest(subscription_id=made.id)
    invoice = (await platform.stub(InvoiceServiceStub).PreviewInvoice(request)).invoice
    assert (len(invoice.lines), invoice.total_minor, invoice.currency) == (0, 0, "USD")


def _shown(line: pb.InvoiceLine) -> tuple[Any, ...]:
    return (line.subscription_id, line.description, line.amount_minor)


async def test_a_customer_can_choose_it_from_the_next_period_on(platform: Platform) -> None:
    ada = await consolidating(platform, wanted=False)
    prices = await fees(platform, "20", "30")
    for price in prices:
        await subscribe(platform, price, customer_id=ada)
    await platform.stub(CustomerServiceStub).UpdateCustomer(
        customer_service_pb2.UpdateCustomerRequest(
            request_id=new_id("req"),
            customer_id=ada,
            details=customer_service_pb2.CustomerDetails(consolidate_invoices=True),
            update_mask=FieldMask(paths=["consolidate_invoices"]),
        )
    )
    await platform.pass_time(days=32)
    await platform.pass_time(days=31)
    assert [len(invoice.lines) for invoice in await invoices_of(platform, customer_id=ada)] == [1, 1, 2]
