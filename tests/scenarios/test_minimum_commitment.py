"""What a subscription commits to at least is charged, once per period, and shown with where it comes from."""

from datetime import timedelta
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.subscription.v1 import subscription_pb2
from billing.subscription.v1.subscription_service_pb2 import CancelSubscriptionRequest
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub

from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import (
    change,
    new_meter,
    new_price,
    new_product,
    pause,
    resume,
    subscribe,
    subscription,
)
from tests.support.invoice import invoices_of
from tests.support.money import coupon, redeem
from tests.support.platform import Platform, platform
from tests.support.reporting import use

__all__ = ["platform"]

TRUE_UP = pb.INVOICE_LINE_TYPE_TRUE_UP


async def prices(platform: Platform) -> tuple[catalog_pb2.Price, catalog_pb2.Price]:
    """A fee of 20.00 a month, and tokens at 0.01."""
    product, meter = await new_product(platform), await new_meter(platform)
    metered = {"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "usage": catalog_pb2.PRICE_USAGE_METERED}
    return (
        await new_price(platform, product.id, "fee"),
        await new_price(platform, product.id, "tokens", unit_amount="0.01", meter_id=meter.id, **metered),
    )


def lines(invoice: pb.Invoice) -> list[tuple[int, int]]:
    return [(line.type, line.amount_minor) for line in invoice.lines]


def true_ups(invoice: pb.Invoice) -> list[int]:
    return [line.amount_minor for line in invoice.lines if line.type == TRUE_UP]


async def test_what_a_period_lacks_is_charged_with_its_invoice_and_explained(platform: Platform) -> None:
    fee, tokens = await prices(platform)
    made = await subscribe(platform, fee, tokens, minimum_commitment_minor=50_000)
    assert made.minimum_commitment_minor == 50_000
    await coupon(platform, "TEN", percent="10")
    await redeem(platform, "TEN", made.customer_id)
    await use(platform, made.id, 10_000)
    await platform.pass_time(days=32)
    (invoice,) = await invoices_of(platform, made.id)
    assert [amount for _, amount in lines(invoice)] == [2000, 10_000, 38_000]
    line = invoice.lines[-1]
    assert (line.type, line.description, line.unit_amount, line.subscription_id, line.discount_minor) == (
        TRUE_UP,
        "Minimum commitment",
        "380",
        made.id,
        3800,
    )
    assert (line.evidence.minimum_minor, line.evidence.lines_minor) == (50_000, 12_000)
    assert (line.period.start, line.period.end) == (invoice.period.start, invoice.period.end)
    assert (invoice.subtotal_minor, invoice.total_minor) == (50_000, 45_000)


async def test_who_uses_as_much_pays_nothing_more(platform: Platform) -> None:
    fee, tokens = await prices(platform)
    made = await subscribe(platform, fee, tokens, minimum_commitment_minor=50_000)
    await use(platform, made.id, 48_000)
    await platform.pass_time(days=32)
    (invoice,) = await invoices_of(platform, made.id)
    assert [amount for _, amount in lines(invoice)] == [2000, 48_000]


async def test_a_period_cut_short_owes_the_same_share_of_fee_and_commitment(platform: Platform) -> None:
    fee, _ = await prices(platform)
    made = await subscribe(platform, fee, minimum_commitment_minor=20_000)
    await platform.pass_time(days=7)
    await platform.stub(SubscriptionServiceStub).CancelSubscription(
        CancelSubscriptionRequest(request_id=new_id("req"), subscription_id=made.id)
    )
    await platform.pass_time(days=1)
    (invoice,) = await invoices_of(platform, made.id)
    (line, true_up) = invoice.lines
    # Ten times the fee: rounded by themselves, the shares differ by less than ten halves of a cent.
    assert abs(invoice.subtotal_minor - 10 * line.amount_minor) < 6
    assert true_up.amount_minor == invoice.subtotal_minor - line.amount_minor


async def test_a_period_invoiced_in_parts_is_trued_up_once_with_the_last(platform: Platform) -> None:
    fee, tokens = await prices(platform)
    made = await subscribe(platform, fee, tokens, minimum_commitment_minor=30_000)
    await use(platform, made.id, 1000)
    await platform.pass_time(days=10)
    at_once = subscription_pb2.PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY
    changed = await change(
        platform,
        made.id,
        fee,
        tokens,
        quantity="2",
        proration_behavior=at_once,
        minimum_commitment_minor=60_000,
    )
    assert changed.subscription.minimum_commitment_minor == 60_000
    assert changed.change.minimum_commitment_minor == 60_000
    await platform.pass_time(days=22)
    first, last = await invoices_of(platform, made.id)
    assert true_ups(first) == []
    (true_up,) = true_ups(last)
    due = last.lines[-1].evidence
    assert 30_000 < due.minimum_minor < 60_000
    assert first.subtotal_minor + last.subtotal_minor == due.minimum_minor
    assert true_up == due.minimum_minor - due.lines_minor


@pytest.mark.parametrize(("committed_minor", "due_minor"), [(31_000, 10_000), (1_000, 323)])
async def test_a_last_part_that_has_nothing_else_on_it_is_trued_up_all_the_same(
    platform: Platform, committed_minor: int, due_minor: int
) -> None:
    """Ten days were served and invoiced; then it was paused until the period's end."""
    fee, _ = await prices(platform)
    made = await subscribe(platform, fee, minimum_commitment_minor=committed_minor)
    await platform.pass_time(days=10)
    at_once = subscription_pb2.PRORATION_BEHAVIOR_INVOICE_IMMEDIATELY
    await change(platform, made.id, fee, quantity="2", proration_behavior=at_once)
    await pause(platform, made.id)
    await platform.drain()
    request = rpc.PreviewInvoiceRequest(subscription_id=made.id)
    shown = (await platform.stub(InvoiceServiceStub).PreviewInvoice(request)).invoice
    await platform.pass_time(days=22)
    first, *rest = await invoices_of(platform, made.id)
    assert [line.amount_minor for line in first.lines] == [645]
    trued_up = [lines(invoice) for invoice in rest]
    assert trued_up == ([[(TRUE_UP, due_minor - 645)]] if due_minor > 645 else [])
    assert [lines(shown)] == (trued_up or [[]])
    assert (shown.currency, shown.customer_id) == ("USD", made.customer_id)
    for invoice in rest:
        assert (invoice.currency, invoice.subscription_id) == ("USD", made.id)
        assert differences(as_fields(await bundle_of(platform, invoice.id))) == []
    await platform.pass_time(days=31)
    assert len(await invoices_of(platform, made.id)) == 1 + len(rest)


async def test_late_usage_counts_towards_the_commitment_of_its_own_period(platform: Platform) -> None:
    fee, tokens = await prices(platform)
    made = await subscribe(platform, fee, tokens, minimum_commitment_minor=50_000)
    await platform.pass_time(days=32)
    await use(platform, made.id, 10_000, platform.clock.now() - timedelta(days=10))
    await use(platform, made.id, 1)
    await platform.pass_time(days=31)
    first, second = await invoices_of(platform, made.id)
    assert lines(first)[-1] == (TRUE_UP, 48_000)
    assert sorted(true_ups(second)) == [-10_000, 47_999]
    given_back = next(line for line in second.lines if line.amount_minor == -10_000)
    assert given_back.period.start == first.period.start
    assert (given_back.evidence.lines_minor, given_back.evidence.trued_up_minor) == (12_000, 48_000)
    assert second.subtotal_minor == 50_000


async def test_a_commitment_changes_only_so_often_in_a_period(platform: Platform) -> None:
    """So that all that a period holds which is yet to be invoiced are kept: here, one a second."""
    fee, _ = await prices(platform)
    made = await subscribe(platform, fee, minimum_commitment_minor=1)
    await platform.pass_time(days=1)
    await platform.rows(
        "UPDATE subscriptions SET commitments = (SELECT jsonb_agg(jsonb_build_object('minimum_minor', n, "
        "'starts_at', start_at + n * interval '1 second', 'ends_at', "
        "CASE n WHEN 499 THEN '9000-01-01T00:00:00Z' ELSE start_at + (n + 1) * interval '1 second' END)) "
        "FROM generate_series(1, 499) n) WHERE id = $1",
        made.id,
    )
    await change(platform, made.id, fee, minimum_commitment_minor=8)
    refusal = await refused(change(platform, made.id, fee, minimum_commitment_minor=9))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "SUBSCRIPTION_CHANGE_LIMIT_REACHED")
    assert (await refused(pause(platform, made.id))).reason == refusal.reason
    await platform.pass_time(days=32)
    await change(platform, made.id, fee, minimum_commitment_minor=9)
    assert (await subscription(platform, made.id)).minimum_commitment_minor == 9
    (kept,) = await platform.rows("SELECT jsonb_array_length(commitments) FROM subscriptions")
    assert kept[0] == 501


async def test_a_pause_interrupts_the_commitment_as_it_does_fees(platform: Platform) -> None:
    fee, _ = await prices(platform)
    made = await subscribe(platform, fee, minimum_commitment_minor=20_000)
    await platform.pass_time(days=5)
    await pause(platform, made.id)
    await platform.pass_time(days=10)
    await resume(platform, made.id)
    await platform.pass_time(days=17)
    (invoice,) = await invoices_of(platform, made.id)
    fees = sum(amount for kind, amount in lines(invoice) if kind != TRUE_UP)
    assert invoice.subtotal_minor < 20_000
    assert abs(invoice.subtotal_minor - 10 * fees) < 12


@pytest.mark.parametrize(
    ("behavior", "whole_old"),
    [
        (subscription_pb2.PRORATION_BEHAVIOR_NONE, True),
        (subscription_pb2.PRORATION_BEHAVIOR_CREATE_PRORATIONS, False),
    ],
)
async def test_a_commitment_changes_with_the_fees_of_the_change(
    platform: Platform, behavior: Any, whole_old: bool
) -> None:
    fee, _ = await prices(platform)
    made = await subscribe(platform, fee, minimum_commitment_minor=20_000)
    await platform.pass_time(days=5)
    await change(platform, made.id, fee, proration_behavior=behavior, minimum_commitment_minor=0)
    assert (await subscription(platform, made.id)).minimum_commitment_minor == 0
    await platform.pass_time(days=27)
    await platform.pass_time(days=31)
    first, second = await invoices_of(platform, made.id)
    assert (first.subtotal_minor == 20_000) == whole_old
    assert true_ups(first)
    assert true_ups(second) == []
    updated = [event.changed_fields for event in await platform.events("subscription.updated")]
    assert ["minimum_commitment_minor"] in [list(fields) for fields in updated]
