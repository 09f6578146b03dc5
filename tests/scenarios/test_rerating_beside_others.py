"""Corrected prices beside whatever else makes invoices: several subscriptions, discounts, thresholds."""

from datetime import timedelta

import pytest
from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.subscription.v1 import subscription_pb2

from corebilling.values.ids import new_id
from corebilling.values.page import encode_page_token
from tests.rpc.test_reconcile import books
from tests.rpc.test_rerating import START, agreed, invoiced
from tests.scenarios.test_usage_is_billed_to_the_end import ADJUSTMENT
from tests.support.app import refused
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import change, subscribe
from tests.support.correction import preview, rerate
from tests.support.invoice import invoices_of, lines_of
from tests.support.money import coupon, redeem, void
from tests.support.platform import Platform, platform
from tests.support.reporting import use

__all__ = ["platform"]


async def test_what_invoices_over_several_subscriptions_hold_is_not_charged_again(platform: Platform):
    made = await agreed(platform, consolidate_invoices=True)
    await subscribe(platform, made.fee, customer_id=made.customer_id)
    await use(platform, made.subscription_id, 5, START)
    await platform.pass_time(days=31, hours=2)
    await use(platform, made.subscription_id, 3, START)
    await platform.pass_time(days=31)
    assert [ADJUSTMENT in {line[0] for line in invoice} for invoice in await lines_of(platform)] == [
        False,
        True,
    ]
    assert not await platform.rows("SELECT FROM invoices WHERE subscription_id IS NOT NULL")
    dearer = await made.price(platform, "dearer", unit_amount="2")
    answer = await rerate(platform, made.cycle_id, made.tokens.id, dearer)
    (charge,) = answer.charges
    assert (charge.quantity, charge.billed_minor, charge.amount_minor) == ("8", 800, 1600)
    assert (charge.difference_minor, answer.invoice.subscription_id) == (800, made.subscription_id)
    await platform.drain()
    assert (await books(platform)).balanced


async def test_one_that_was_issued_again_counts_once(platform: Platform):
    made = await agreed(platform, consolidate_invoices=True)
    await subscribe(platform, made.fee, customer_id=made.customer_id)
    await use(platform, made.subscription_id, 5, START)
    await platform.pass_time(days=31, hours=2)
    (invoice,) = await platform.rows("SELECT id FROM invoices")
    request = invoice_service_pb2.ReissueInvoiceRequest(
        request_id=new_id("req"), invoice_id=invoice["id"], finalize=True
    )
    again = (await platform.stub(InvoiceServiceStub).ReissueInvoice(request)).invoice
    dearer = await made.price(platform, "dearer", unit_amount="2")
    (charge,) = (await preview(platform, made.cycle_id, made.tokens.id, dearer)).charges
    assert charge.difference_minor == 500
    await void(platform, again.id)
    refusal = await refused(rerate(platform, made.cycle_id, made.tokens.id, dearer))
    assert (refusal.reason, refusal.facts["state"]) == ("CYCLE_NOT_RERATABLE", "invoiced")


async def test_what_is_still_owed_has_the_discount_that_the_invoice_had(platform: Platform):
    made = await agreed(platform)
    await coupon(platform, "HALF", percent="50")
    await redeem(platform, "HALF", made.customer_id, subscription_id=made.subscription_id)
    await use(platform, made.subscription_id, 5, START)
    await platform.pass_time(days=31, hours=2)
    await coupon(platform, "FREE", percent="100")
    await redeem(platform, "FREE", made.customer_id)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    shown = (await preview(platform, made.cycle_id, made.tokens.id, dearer)).invoice
    answer = await rerate(platform, made.cycle_id, made.tokens.id, dearer)
    assert (answer.charges[0].difference_minor, answer.invoice.total_minor) == (500, 250)
    assert [line.subscription_id for line in answer.invoice.lines] == [made.subscription_id]
    assert shown.total_minor == answer.invoice.total_minor


async def test_what_served_no_time_owes_no_minimum_when_it_is_rated_again(platform: Platform):
    """Its usage was accepted ahead of the clock, before a change that took it away at once."""
    made = await agreed(platform)
    other = catalog_pb2.Price(id=await made.price(platform, "other", unit_amount="3", minimum_amount="20"))
    await use(platform, made.subscription_id, 5, START + timedelta(minutes=1))
    await change(platform, made.subscription_id, made.fee, other)
    await use(platform, made.subscription_id, 7, START + timedelta(minutes=2))
    await change(platform, made.subscription_id, made.fee)
    await platform.pass_time(days=31, hours=2)
    (invoice,) = await invoices_of(platform, made.subscription_id)
    assert [line.amount_minor for line in invoice.lines] == [3100, 500, 2100]
    fields = as_fields(await bundle_of(platform, invoice.id))
    assert differences(fields) == []
    shares = [evidence["charge"]["basis"].get("share") for evidence in fields["evidence"]]
    assert shares == [None, "0", "0"]
    lie = differences(fields, lambda one: one["evidence"][1]["charge"]["basis"].update(share="1"))
    assert [(part, figure) for part, figure, *_ in lie] == [("line 2", "share")]
    dearer = await made.price(platform, "dearer", unit_amount="4", minimum_amount="50")
    (charge,) = (await rerate(platform, made.cycle_id, made.tokens.id, dearer)).charges
    assert (charge.quantity, charge.amount_minor, charge.difference_minor) == ("5", 2000, 1500)
    capped = await made.price(platform, "capped", unit_amount="4", maximum_amount="25")
    (charge,) = (await rerate(platform, made.cycle_id, other.id, capped)).charges
    assert (charge.quantity, charge.amount_minor) == ("7", 2500)


async def test_what_thresholds_billed_is_rated_again_with_its_whole_period_alone(platform: Platform):
    thresholds = [subscription_pb2.SpendThreshold(amount_minor=500)]
    made = await agreed(platform, spend_thresholds=thresholds)
    dearer = await made.price(platform, "dearer", unit_amount="2", minimum_amount="30")
    await platform.pass_time(days=10)
    await use(platform, made.subscription_id, 5)
    await platform.drain()
    (part,) = await platform.rows("SELECT id FROM billing_cycles WHERE threshold_minor > 0")
    for _ in range(2):  # While the period runs, and once it is over.
        for call in (preview, rerate):
            refusal = await refused(call(platform, part["id"], made.tokens.id, dearer))
            assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "RERATING_PROGRESSIVE")
            assert refusal.facts == {"cycle_id": part["id"]}
        await use(platform, made.subscription_id, 4)
        await platform.pass_time(days=22)
    assert [[amount for *_, amount in lines] for lines in await lines_of(platform)] == [[500], [3100, 400]]
    answer = await rerate(platform, made.cycle_id, made.tokens.id, dearer)
    (charge,) = answer.charges
    assert (charge.quantity, charge.billed_minor, charge.amount_minor) == ("9", 900, 3000)
    await use(platform, made.subscription_id, 7, START + timedelta(days=20))
    await platform.pass_time(days=31)
    assert (await lines_of(platform))[-1][-1] == (ADJUSTMENT, "7", 200)


@pytest.mark.parametrize("revision", ["2147483648", "9" * 30, "-1", "one", "²"])
async def test_a_page_token_that_no_list_gave_is_refused(platform: Platform, revision: str):
    made = await agreed(platform)
    request = invoice_service_pb2.ListReratedChargesRequest(
        cycle_id=made.cycle_id, page_token=encode_page_token("sit_1", "usage", revision)
    )
    refusal = await refused(platform.stub(InvoiceServiceStub).ListReratedCharges(request))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_usage_on_its_way_to_an_invoice_is_awaited(platform: Platform):
    """Its next cycle is rated, and not invoiced yet: the late usage would be charged by both."""
    made = await invoiced(platform)
    await use(platform, made.subscription_id, 3, START)
    await platform.drain()
    platform.clock.advance(days=31)
    for _ in range(10):
        await platform.app.scheduler.run_once()
        if await platform.rows("SELECT FROM billing_cycles WHERE state = 'rated'"):
            break
        await platform.app.dispatcher.run_once()
    dearer = await made.price(platform, "dearer", unit_amount="2")
    for call in (rerate, preview):
        refusal = await refused(call(platform, made.cycle_id, made.tokens.id, dearer))
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "CYCLE_NOT_RERATABLE")
        assert refusal.facts == {"cycle_id": made.cycle_id, "state": "rated"}
    await platform.drain()
    (charge,) = (await rerate(platform, made.cycle_id, made.tokens.id, dearer)).charges
    assert (charge.billed_minor, charge.amount_minor) == (800, 1600)
