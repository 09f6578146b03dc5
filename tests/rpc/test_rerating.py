"""Invoiced cycles rated again with a corrected price: the difference once, for its period, in the books."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import pytest
from billing.catalog.v1 import catalog_pb2
from billing.customer.v1 import customer_service_pb2
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.rating.v1 import rating_pb2
from billing.subscription.v1 import subscription_pb2
from billing.types.v1 import period_pb2

from corebilling.mapping import instant
from tests.rpc.test_reconcile import books
from tests.scenarios.test_negotiated_prices import negotiate
from tests.scenarios.test_usage_is_billed_to_the_end import ADJUSTMENT, cancel
from tests.support.app import refused
from tests.support.catalog import new_customer, new_meter, new_price, new_product, subscribe
from tests.support.correction import correct, preview, rerate, retract
from tests.support.invoice import lines_of
from tests.support.money import balances, coupon, pay, redeem, void
from tests.support.platform import Platform
from tests.support.reporting import use

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE_TIME = invoice_pb2.INVOICE_LINE_TYPE_ONE_TIME
SIX = {
    "tiers": [
        catalog_pb2.PriceTier(up_to="3", unit_amount="6"),
        catalog_pb2.PriceTier(unit_amount="4", flat_amount="1"),
    ],
    "model": catalog_pb2.PRICE_MODEL_GRADUATED,
    "unit_amount": "",
}


@dataclass
class Contract:
    product_id: str
    meter_id: str
    fee: catalog_pb2.Price
    tokens: catalog_pb2.Price
    subscription_id: str = ""
    cycle_id: str = ""
    customer_id: str = ""

    async def price(self, platform: Platform, code: str, **terms: Any) -> str:
        """Another price for tokens."""
        chosen: dict[str, Any] = {
            "model": catalog_pb2.PRICE_MODEL_PER_UNIT,
            "usage": catalog_pb2.PRICE_USAGE_METERED,
            "meter_id": self.meter_id,
            **terms,
        }
        return (await new_price(platform, self.product_id, code, **chosen)).id


async def invoiced(platform: Platform, quantity: int = 5, **terms: Any) -> Contract:
    """A March that was invoiced: a fee of 31, and so many tokens for 1 each."""
    made = await agreed(platform, **terms)
    await use(platform, made.subscription_id, quantity, START, key="first")
    await platform.pass_time(days=31, hours=2)
    return made


async def agreed(
    platform: Platform,
    *,
    committed_minor: int = 0,
    consolidate_invoices: bool = False,
    spend_thresholds: Sequence[subscription_pb2.SpendThreshold] = (),
    **terms: Any,
) -> Contract:
    product, meter = await new_product(platform), await new_meter(platform)
    made = Contract(product.id, meter.id, catalog_pb2.Price(), catalog_pb2.Price())
    made.fee = await new_price(platform, product.id, "fee", unit_amount="31", **terms)
    made.tokens = catalog_pb2.Price(id=await made.price(platform, "tokens", unit_amount="1", **terms))
    details = customer_service_pb2.CustomerDetails(name="Ada", consolidate_invoices=consolidate_invoices)
    currency = {"currency": terms["currency"]} if "currency" in terms else {}
    made.customer_id = (await new_customer(platform, details=details, **currency)).id
    created = await subscribe(
        platform,
        made.fee,
        made.tokens,
        customer_id=made.customer_id,
        minimum_commitment_minor=committed_minor,
        spend_thresholds=spend_thresholds,
    )
    made.subscription_id = created.id
    (cycle,) = await platform.rows("SELECT id FROM billing_cycles")
    made.cycle_id = cycle["id"]
    return made


async def test_what_was_too_dear_becomes_credit_at_once_for_its_period(platform: Platform):
    made = await invoiced(platform)
    cheaper = await made.price(platform, "cheaper", unit_amount="0.4")
    shown = await preview(platform, made.cycle_id, made.tokens.id, cheaper)
    assert await platform.rows("SELECT FROM rerated_charges") == []
    answer = await rerate(platform, made.cycle_id, made.tokens.id, cheaper)
    (charge,) = answer.charges
    assert (charge.kind, charge.quantity) == (rating_pb2.CHARGE_KIND_USAGE, "5")
    assert (charge.billed_minor, charge.amount_minor, charge.difference_minor) == (500, 200, -300)
    assert (charge.price_id, charge.corrected_price_id, charge.revision) == (made.tokens.id, cheaper, 1)
    assert charge.invoice_id == answer.invoice.id
    (line,) = answer.invoice.lines
    assert (line.type, line.amount_minor, line.price_id) == (ONE_TIME, -300, cheaper)
    assert (instant(line.period.start), line.quantity, line.unit_amount) == (START, "1", "-3")
    assert line.description == "tokens (price corrected)"
    assert answer.invoice.state == invoice_pb2.INVOICE_STATE_PAID
    assert (answer.invoice.total_minor, answer.invoice.prepaid_minor) == (-300, -300)
    assert [line.amount_minor for line in shown.invoice.lines] == [-300]
    assert (shown.charges[0].difference_minor, shown.invoice.id) == (-300, "")
    assert (shown.invoice.prepaid_minor, shown.invoice.amount_due_minor) == (-300, 0)
    assert await balances(platform) == {"CUSTOMER_CREDIT": -300, "RECEIVABLE": 3600, "REVENUE": -3300}
    (event,) = await platform.events("billing.cycle.rerated")
    assert (event.cycle_id, event.invoice_id, event.difference_minor) == (
        made.cycle_id,
        answer.invoice.id,
        -300,
    )
    assert (event.price_id, event.corrected_price_id, event.currency) == (made.tokens.id, cheaper, "USD")
    await platform.drain()
    assert (await books(platform)).balanced


async def test_what_was_too_cheap_is_invoiced_fees_like_usage(platform: Platform):
    made = await invoiced(platform)
    fee = await new_price(platform, made.product_id, "more", unit_amount="40.005")
    answer = await rerate(platform, made.cycle_id, made.fee.id, fee.id)
    assert [(line.amount_minor, line.description) for line in answer.invoice.lines] == [
        (901, "fee (price corrected)")
    ]
    assert (answer.invoice.state, answer.invoice.amount_due_minor) == (invoice_pb2.INVOICE_STATE_OPEN, 901)
    assert (await balances(platform))["RECEIVABLE"] == 3600 + 901
    tiered = await made.price(platform, "tiered", **SIX)
    answer = await rerate(platform, made.cycle_id, made.tokens.id, tiered)
    assert [line.amount_minor for line in answer.invoice.lines] == [3 * 600 + 100 + 2 * 400 - 500]


async def test_the_same_correction_is_never_made_twice(platform: Platform):
    made = await invoiced(platform)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    calls = [rerate(platform, made.cycle_id, made.tokens.id, dearer) for _ in range(4)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert len([one for one in answers if not isinstance(one, grpc.aio.AioRpcError)]) == 1
    refusal = await refused(rerate(platform, made.cycle_id, made.tokens.id, dearer))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "RERATING_PRICE_UNUSED")
    assert refusal.facts == {"cycle_id": made.cycle_id, "price_id": made.tokens.id}
    assert (await refused(preview(platform, made.cycle_id, made.tokens.id, dearer))).reason == refusal.reason
    assert len(await lines_of(platform)) == 2


async def test_a_correction_is_taken_back_by_the_opposite_one(platform: Platform):
    made = await invoiced(platform)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    for wrong, right, difference in ((made.tokens.id, dearer, 500), (dearer, made.tokens.id, -500)):
        (charge,) = (await rerate(platform, made.cycle_id, wrong, right)).charges
        assert charge.difference_minor == difference
    request = invoice_service_pb2.ListReratedChargesRequest(cycle_id=made.cycle_id, page_size=1)
    stub, seen = platform.stub(InvoiceServiceStub), []
    for _ in range(2):
        page = await stub.ListReratedCharges(request)
        seen += [(one.revision, one.corrected_price_id, one.difference_minor) for one in page.charges]
        request.page_token = page.next_page_token
    assert seen == [(1, dearer, 500), (2, made.tokens.id, -500)]
    assert request.page_token == ""


async def test_what_comes_late_is_rated_with_the_corrected_price(platform: Platform):
    made = await invoiced(platform)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    await rerate(platform, made.cycle_id, made.tokens.id, dearer)
    await use(platform, made.subscription_id, 3, START)
    await platform.drain()
    assert (await platform.events("usage.rated"))[-1].amount == "16"
    await platform.pass_time(days=30)
    assert (await lines_of(platform))[-1][-1] == (ADJUSTMENT, "3", 600)
    # And what came late is rated again with the rest.
    answer = await rerate(platform, made.cycle_id, dearer, made.tokens.id)
    assert [(one.quantity, one.billed_minor, one.amount_minor) for one in answer.charges] == [
        ("8", 1600, 800)
    ]


async def test_corrected_usage_and_corrected_price_come_to_what_both_cost(platform: Platform):
    made = await invoiced(platform)
    await correct(platform, "first", "7")
    dearer = await made.price(platform, "dearer", unit_amount="2")
    await rerate(platform, made.cycle_id, made.tokens.id, dearer)
    await use(platform, made.subscription_id, 4, START, key="second")
    await retract(platform, "second")
    await platform.pass_time(days=31)
    march = await platform.rows(
        "SELECT sum(amount_minor) FROM invoice_lines WHERE period_start = $1 AND subscription_item_id = "
        "(SELECT id FROM subscription_items WHERE meter_code IS NOT NULL)",
        START,
    )
    assert march[0][0] == 7 * 200
    assert (await books(platform)).balanced


async def test_without_usage_the_price_is_corrected_and_nothing_invoiced(platform: Platform):
    made = await agreed(platform)
    await platform.pass_time(days=31, hours=2)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    answer = await rerate(platform, made.cycle_id, made.tokens.id, dearer)
    assert not answer.HasField("invoice")
    assert not (await preview(platform, made.cycle_id, dearer, made.tokens.id)).HasField("invoice")
    await use(platform, made.subscription_id, 3, START)
    await platform.pass_time(days=31)
    assert (await lines_of(platform))[-1][-1] == (ADJUSTMENT, "3", 600)


async def test_what_is_given_back_had_been_discounted(platform: Platform):
    made = await agreed(platform)
    await coupon(platform, "TENTH", percent="10")
    await redeem(platform, "TENTH", made.customer_id)
    await use(platform, made.subscription_id, 50, START)
    await platform.pass_time(days=31, hours=2)
    cheaper = await made.price(platform, "cheaper", unit_amount="0.8")
    (charge,) = (await preview(platform, made.cycle_id, made.tokens.id, cheaper)).charges
    assert (charge.billed_minor, charge.amount_minor, charge.difference_minor) == (5000, 4000, -1000)
    shown = (await preview(platform, made.cycle_id, made.tokens.id, cheaper)).invoice
    assert (shown.discount_minor, shown.total_minor) == (-100, -900)
    dearer = await made.price(platform, "dearer", unit_amount="1.2")
    answer = await rerate(platform, made.cycle_id, made.tokens.id, dearer)
    assert (answer.charges[0].difference_minor, answer.invoice.total_minor) == (1000, 900)


@pytest.mark.parametrize(("currency", "billed", "amount"), [("JPY", 5, 8), ("KWD", 5000, 7500)])
async def test_currencies_have_the_decimals_they_have(
    platform: Platform, currency: str, billed: int, amount: int
):
    made = await invoiced(platform, currency=currency)
    dearer = await made.price(platform, "dearer", unit_amount="1.5", currency=currency)
    (charge,) = (await rerate(platform, made.cycle_id, made.tokens.id, dearer)).charges
    assert (charge.billed_minor, charge.amount_minor) == (billed, amount)


async def test_only_invoiced_cycles_are_rated_again(platform: Platform):
    made = await agreed(platform)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    refusal = await refused(rerate(platform, made.cycle_id, made.tokens.id, dearer))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "CYCLE_NOT_RERATABLE")
    assert refusal.facts == {"cycle_id": made.cycle_id, "state": "open"}
    await platform.pass_time(days=31, hours=2)
    (invoice,) = await platform.rows("SELECT id FROM invoices")
    await void(platform, invoice["id"])
    refusal = await refused(rerate(platform, made.cycle_id, made.tokens.id, dearer))
    assert (refusal.reason, refusal.facts["state"]) == ("CYCLE_NOT_RERATABLE", "invoiced")
    assert "was voided" in refusal.message
    assert "CreateInvoice" in refusal.message


async def test_a_paid_invoice_stays_as_it_is(platform: Platform):
    made = await invoiced(platform)
    (invoice,) = await platform.rows("SELECT id FROM invoices")
    await pay(platform, invoice["id"], 3600)
    cheaper = await made.price(platform, "cheaper", unit_amount="0.4")
    assert (await rerate(platform, made.cycle_id, made.tokens.id, cheaper)).invoice.prepaid_minor == -300
    rows = await platform.rows("SELECT state, total_minor FROM invoices WHERE id = $1", invoice["id"])
    assert tuple(rows[0]) == ("paid", 3600)
    assert await balances(platform) == {"CASH": 3600, "CUSTOMER_CREDIT": -300, "REVENUE": -3300}


async def test_prices_that_cannot_take_each_others_place_are_refused(platform: Platform):
    made = await invoiced(platform)
    euros = await made.price(platform, "euros", unit_amount="2", currency="EUR")
    for wrong, right, detail in (
        (made.tokens.id, made.tokens.id, "it is the price itself"),
        (made.tokens.id, made.fee.id, "one of them is metered or charged once, the other is not"),
    ):
        refusal = await refused(rerate(platform, made.cycle_id, wrong, right))
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "RERATING_PRICE_INVALID")
        assert refusal.facts["detail"] == detail
    yearly = await made.price(platform, "yearly", interval_unit=period_pb2.INTERVAL_UNIT_YEAR)
    refusal = await refused(rerate(platform, made.cycle_id, made.tokens.id, yearly))
    assert refusal.facts["detail"] == "they are charged at different intervals"
    refusal = await refused(rerate(platform, made.cycle_id, made.tokens.id, euros))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PRICE_CURRENCY_MISSING")
    refusal = await refused(rerate(platform, made.cycle_id, "pri_none", made.tokens.id))
    assert (refusal.reason, refusal.facts) == ("PRICE_NOT_FOUND", {"price_id": "pri_none"})


async def test_where_amounts_were_negotiated_no_price_is_corrected(platform: Platform):
    made = await agreed(platform)
    await negotiate(platform, made.tokens, "0.5", subscription_id=made.subscription_id)
    await use(platform, made.subscription_id, 5, START, key="first")
    await platform.pass_time(days=31, hours=2)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    await refuse_negotiated(platform, made, made.tokens.id, dearer, of=made.tokens.id)


async def test_a_corrected_price_that_has_negotiated_amounts_is_refused(platform: Platform):
    made = await agreed(platform)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    await negotiate(platform, catalog_pb2.Price(id=dearer), "1.5", customer_id=made.customer_id)
    await use(platform, made.subscription_id, 5, START, key="first")
    await platform.pass_time(days=31, hours=2)
    await refuse_negotiated(platform, made, made.tokens.id, dearer, of=dearer)


async def refuse_negotiated(platform: Platform, made: Contract, wrong: str, right: str, *, of: str):
    for call in (rerate, preview):
        refusal = await refused(call(platform, made.cycle_id, wrong, right))
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "RERATING_NEGOTIATED")
        assert refusal.facts == {"cycle_id": made.cycle_id, "price_id": of}
    assert not await platform.rows("SELECT FROM rerated_charges")
    assert len(await platform.rows("SELECT FROM invoices")) == 1


async def test_a_period_that_is_held_to_a_commitment_is_not_rated_again(platform: Platform):
    made = await invoiced(platform, committed_minor=10_000)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    for call in (rerate, preview):
        refusal = await refused(call(platform, made.cycle_id, made.tokens.id, dearer))
        assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "RERATING_COMMITTED")
        assert refusal.facts == {"cycle_id": made.cycle_id}
    assert not await platform.rows("SELECT FROM rerated_charges")


async def test_an_amount_that_no_invoice_holds_is_refused(platform: Platform):
    made = await invoiced(platform)
    huge = await made.price(platform, "huge", unit_amount="9" * 13)
    refusal = await refused(rerate(platform, made.cycle_id, made.tokens.id, huge))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "VALUE_OUT_OF_RANGE")


async def test_other_tenant_gets_not_found(platform: Platform):
    made = await invoiced(platform)
    dearer = await made.price(platform, "dearer", unit_amount="2")
    _, key = await platform.new_tenant("other")
    refusal = await refused(rerate(platform, made.cycle_id, made.tokens.id, dearer, as_key=key))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "BILLING_CYCLE_NOT_FOUND")
    request = invoice_service_pb2.ListReratedChargesRequest(cycle_id=made.cycle_id)
    await rerate(platform, made.cycle_id, made.tokens.id, dearer)
    listed = await platform.stub(InvoiceServiceStub, key=key).ListReratedCharges(request)
    assert list(listed.charges) == []


async def test_the_rest_of_a_fee_that_was_prorated_is_too(platform: Platform):
    made = await agreed(platform)
    platform.clock.advance(days=10)
    await cancel(platform, made.subscription_id)
    await platform.pass_time(hours=2)
    dearer = await new_price(platform, made.product_id, "more", unit_amount="62")
    (charge,) = (await rerate(platform, made.cycle_id, made.fee.id, dearer.id)).charges
    assert (charge.billed_minor, charge.amount_minor) == (1000, 2000)
    assert instant(charge.period.end) == START + timedelta(days=10)
