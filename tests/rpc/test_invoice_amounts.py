"""Discounts, credits and taxes, on invoices and in the books."""

import io
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pypdf
import pytest
import structlog
from billing.credit.v1 import credit_pb2, credit_service_pb2
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceStub
from billing.discount.v1 import discount_pb2, discount_service_pb2
from billing.discount.v1.discount_service_pb2_grpc import DiscountServiceStub
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.tax.v1 import tax_pb2, tax_service_pb2
from billing.tax.v1.tax_service_pb2_grpc import TaxServiceStub

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import new_customer, new_price, new_product, subscribe
from tests.support.invoice import invoices_of
from tests.support.money import (
    balances,
    coupon,
    credit,
    credit_left,
    customer_in,
    discount_of,
    invoice,
    item,
    redeem,
    set_terms,
    tax_rate,
    void,
)
from tests.support.platform import Platform, platform

__all__ = ["platform"]

ONCE = discount_pb2.DISCOUNT_DURATION_ONCE
PREPAID = credit_pb2.CREDIT_KIND_PREPAID


async def months(platform: Platform, count: int) -> None:
    for _ in range(count):
        await platform.pass_time(days=31, seconds=3600)


async def test_an_invoice_is_worked_out_step_by_step_and_every_cent_is_in_the_books(
    platform: Platform,
) -> None:
    await tax_rate(platform, "20")
    ada = await customer_in(platform, "DE")
    await coupon(platform, "TEN", percent="10")
    discount = await redeem(platform, "TEN", ada)
    promo, prepaid = await credit(platform, ada, 1000), await credit(platform, ada, 5000, kind=PREPAID)
    made = await invoice(platform, ada, item("60"), item("40"))
    assert [line.discount_minor for line in made.lines] == [600, 400]
    assert [line.credit_minor for line in made.lines] == [600, 400]
    assert [line.tax_minor for line in made.lines] == [960, 640]
    assert (made.subtotal_minor, made.discount_minor, made.credit_minor) == (10000, 1000, 1000)
    assert (made.tax_minor, made.total_minor, made.prepaid_minor, made.amount_due_minor) == (
        1600,
        9600,
        5000,
        4600,
    )
    (taken,), (tax,) = made.discounts, made.taxes
    assert (taken.discount_id, taken.name, taken.percent, taken.amount_minor) == (
        discount.id,
        "TEN",
        "10",
        1000,
    )
    assert (tax.name, tax.percent, tax.taxable_minor, tax.tax_minor) == ("VAT", "20", "8000", 1600)
    assert [(use.credit_id, use.amount_minor) for use in made.credits] == [
        (promo.id, 1000),
        (prepaid.id, 5000),
    ]
    assert await balances(platform) == {
        "RECEIVABLE": 4600,
        "REVENUE": -9000,
        "TAX_PAYABLE": -1600,
        "CASH": 5000,
        "EXPENSE": 1000,
    }
    applied = await platform.events("credit.applied")
    assert [(event.credit_id, event.invoice_id, event.remaining_minor) for event in applied] == [
        (promo.id, made.id, 0),
        (prepaid.id, made.id, 0),
    ]


async def test_a_printed_invoice_shows_each_step(platform: Platform) -> None:
    await tax_rate(platform, "19", name="MwSt")
    ada = await customer_in(platform, "DE")
    await coupon(platform, "WELCOME", amount_minor=500, currency="USD")
    await redeem(platform, "WELCOME", ada)
    await credit(platform, ada, 1000, kind=PREPAID)
    made = await invoice(platform, ada, item("105"))
    printed = await platform.stub(InvoiceServiceStub).RenderInvoice(
        rpc.RenderInvoiceRequest(invoice_id=made.id)
    )
    text = pypdf.PdfReader(io.BytesIO(printed.pdf)).pages[0].extract_text()
    steps = ("Subtotal", "105.00", "WELCOME", "−5.00", "MwSt 19 %", "19.00", "119.00", "Prepaid", "109.00")
    assert [shown for shown in steps if shown not in text] == []


async def test_a_printed_one_off_invoice_says_what_it_is_about_and_why_it_is_not_taxed(
    platform: Platform,
) -> None:
    await tax_rate(platform, "19")
    ada = await customer_in(platform, "DE")
    await platform.stub(TaxServiceStub).SetTaxExemption(
        tax_service_pb2.SetTaxExemptionRequest(
            request_id=new_id("req"), customer_id=ada, exemption=tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE
        )
    )
    stub = platform.stub(InvoiceServiceStub)
    request = rpc.CreateInvoiceRequest(
        request_id=new_id("req"), customer_id=ada, items=[item("10")], description="Workshop in #Berlin"
    )
    made = (await stub.CreateInvoice(request)).invoice
    printed = await stub.RenderInvoice(rpc.RenderInvoiceRequest(invoice_id=made.id))
    text = pypdf.PdfReader(io.BytesIO(printed.pdf)).pages[0].extract_text()
    shown = ("Workshop in #Berlin", "· Reverse charge", "Reverse charge: the customer owes the tax.", "draft")
    assert [part for part in shown if part not in text] == []


@pytest.mark.parametrize(
    ("terms", "discounted"),
    [
        ({"duration": ONCE}, [200, 0, 0]),
        ({"duration": discount_pb2.DISCOUNT_DURATION_REPEATING, "duration_invoices": 2}, [200, 200, 0]),
        ({}, [200, 200, 200]),
    ],
)
async def test_a_discount_lasts_as_many_invoices_as_its_coupon_says(
    platform: Platform, terms: dict[str, Any], discounted: list[int]
) -> None:
    fee = await new_price(platform, (await new_product(platform)).id, "fee")
    subscription = await subscribe(platform, fee)
    await coupon(platform, "TEN", percent="10", **terms)
    await redeem(platform, "TEN", subscription.customer_id, subscription.id)
    await months(platform, 3)
    made = await invoices_of(platform, subscription.id)
    assert [one.discount_minor for one in made] == discounted
    assert len(await platform.events("discount.ended")) == (1 if terms else 0)


async def test_a_discount_is_for_its_prices_and_its_subscription_alone(platform: Platform) -> None:
    product = await new_product(platform)
    seats = await new_price(platform, product.id, "seats", unit_amount="30")
    fee = await new_price(platform, product.id, "fee", unit_amount="10")
    first = await subscribe(platform, seats, fee)
    other = await subscribe(platform, seats, customer_id=first.customer_id)
    await coupon(platform, "HALF", percent="50", price_ids=[seats.id])
    await redeem(platform, "HALF", first.customer_id, first.id)
    await months(platform, 1)
    (made,) = await invoices_of(platform, first.id)
    (untouched,) = await invoices_of(platform, other.id)
    assert [line.discount_minor for line in made.lines] == [1500, 0]
    assert untouched.discount_minor == 0


@pytest.mark.parametrize("used", ["credit", "discount"])
async def test_cycles_are_invoiced_together_also_when_they_use_what_a_customer_has(
    platform: Platform, used: str
) -> None:
    fee = await new_price(platform, (await new_product(platform)).id, "fee")
    first = await subscribe(platform, fee)
    for _ in range(3):
        await subscribe(platform, fee, customer_id=first.customer_id)
    if used == "credit":
        await credit(platform, first.customer_id, 10_000)
    else:
        await coupon(platform, "ONCE", percent="50", duration=ONCE)
        await redeem(platform, "ONCE", first.customer_id)
    with structlog.testing.capture_logs() as logs:
        await months(platform, 1)
    assert [line for line in logs if line["event"] == "router.batch_failed"] == []
    subject = "credit.applied" if used == "credit" else "discount.ended"
    causes = await platform.rows(
        "SELECT DISTINCT c.subject FROM billing_events e JOIN billing_events c ON c.id = e.causation_id "
        "WHERE e.subject = $1",
        subject,
    )
    assert [row["subject"] for row in causes] == ["rating.completed"]


async def test_a_preview_shows_what_the_invoice_will_be_and_uses_nothing(platform: Platform) -> None:
    await tax_rate(platform, "10")
    fee = await new_price(platform, (await new_product(platform)).id, "fee")
    ada = await customer_in(platform, "DE")
    subscription = await subscribe(platform, fee, customer_id=ada)
    await coupon(platform, "ONCE", percent="50", duration=ONCE)
    await redeem(platform, "ONCE", ada)
    held = await credit(platform, ada, 300)
    preview = (
        await platform.stub(InvoiceServiceStub).PreviewInvoice(
            rpc.PreviewInvoiceRequest(subscription_id=subscription.id)
        )
    ).invoice
    assert (preview.discount_minor, preview.credit_minor, preview.tax_minor) == (1000, 300, 70)
    assert await credit_left(platform, held.id) == 300
    assert (await discount_of(platform, ada)).remaining_invoices == 1
    await months(platform, 1)
    (made,) = await invoices_of(platform, subscription.id)
    assert (made.total_minor, made.lines[0].tax_minor) == (preview.total_minor, 70)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"max_redemptions": 1}, "it was redeemed as often as it can be"),
        ({"amount_minor": 100, "currency": "EUR"}, "it is in another currency"),
    ],
)
async def test_a_coupon_is_refused_by_name(platform: Platform, terms: dict[str, Any], reason: str) -> None:
    await coupon(platform, "C", **({"percent": "10"} if "amount_minor" not in terms else {}), **terms)
    if "max_redemptions" in terms:
        await redeem(platform, "C", (await new_customer(platform)).id)
    refusal = await refused(redeem(platform, "C", (await new_customer(platform)).id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "COUPON_NOT_REDEEMABLE")
    assert refusal.facts["detail"] == reason


async def test_a_coupon_is_redeemed_while_it_is_valid_once_by_a_customer_and_not_once_archived(
    platform: Platform,
) -> None:
    now = platform.clock.now()
    ada, eve = (await new_customer(platform)).id, (await new_customer(platform)).id
    made = await coupon(
        platform,
        "LATER",
        percent="10",
        valid_from=timestamp(now + timedelta(days=1)),
        valid_until=timestamp(now + timedelta(days=2)),
    )
    assert (await refused(redeem(platform, "LATER", ada))).facts["detail"] == "it is not valid now"
    platform.clock.advance(days=1)
    await redeem(platform, "LATER", ada)
    again = await refused(redeem(platform, "LATER", ada))
    assert again.facts["detail"] == "the customer has it already"
    stub = platform.stub(DiscountServiceStub)
    archive = discount_service_pb2.ArchiveCouponRequest(request_id=new_id("req"), coupon_id=made.id)
    assert (await stub.ArchiveCoupon(archive)).coupon.redemptions == 1
    assert (await refused(redeem(platform, "LATER", eve))).facts["detail"] == "it is archived"
    assert (await refused(redeem(platform, "NONE", eve))).reason == "COUPON_NOT_FOUND"


async def test_contradicting_coupons_are_refused(platform: Platform) -> None:
    for terms in ({"percent": "0"}, {"percent": "10", "currency": "USD"}, {"amount_minor": 5}):
        refusal = await refused(coupon(platform, "BAD", **terms))
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "COUPON_INVALID")


async def test_other_tenant_gets_not_found(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    made = await coupon(platform, "TEN", percent="10")
    given = await redeem(platform, "TEN", ada)
    _, key = await platform.new_tenant("other")
    theirs = platform.stub(DiscountServiceStub, key=key)
    calls: list[tuple[Awaitable[Any], str]] = [
        (theirs.GetCoupon(discount_service_pb2.GetCouponRequest(coupon_id=made.id)), "COUPON_NOT_FOUND"),
        (
            theirs.ArchiveCoupon(
                discount_service_pb2.ArchiveCouponRequest(request_id="r", coupon_id=made.id)
            ),
            "COUPON_NOT_FOUND",
        ),
        (
            theirs.RedeemCoupon(
                discount_service_pb2.RedeemCouponRequest(request_id="r", code="TEN", customer_id=ada)
            ),
            "CUSTOMER_NOT_FOUND",
        ),
        (
            theirs.EndDiscount(discount_service_pb2.EndDiscountRequest(request_id="r", discount_id=given.id)),
            "DISCOUNT_NOT_FOUND",
        ),
    ]
    for call, reason in calls:
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", reason)
    coupons = await theirs.ListCoupons(discount_service_pb2.ListCouponsRequest())
    discounts = await theirs.ListDiscounts(discount_service_pb2.ListDiscountsRequest(customer_id=ada))
    assert (list(coupons.coupons), list(discounts.discounts)) == ([], [])


async def test_taxes_go_by_jurisdiction_category_and_exemption(platform: Platform) -> None:
    await tax_rate(platform, "5", name="GST", country="CA")
    await tax_rate(platform, "10", name="QST", country="CA", region="Quebec", compound=True)
    await tax_rate(platform, "0", name="GST", country="CA", category="food")
    quebec = await customer_in(platform, "CA", "quebec")
    made = await invoice(platform, quebec, item("100"), item("100", "food"))
    assert [[(tax.name, tax.tax_minor) for tax in line.taxes] for line in made.lines] == [
        [("GST", 500), ("QST", 1050)],
        [("GST", 0), ("QST", 1000)],
    ]
    assert [(tax.name, tax.taxable_minor, tax.tax_minor) for tax in made.taxes] == [
        ("GST", "10000", 500),
        ("QST", "20500", 2050),
        ("GST", "10000", 0),
    ]
    abroad = await invoice(platform, await customer_in(platform, "US"), item("100"))
    assert (abroad.tax_minor, list(abroad.taxes)) == (0, [])
    request = tax_service_pb2.SetTaxExemptionRequest(
        request_id=new_id("req"), customer_id=quebec, exemption=tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE
    )
    await platform.stub(TaxServiceStub).SetTaxExemption(request)
    exempt = await invoice(platform, quebec, item("100"))
    assert (exempt.tax_minor, exempt.lines[0].tax_exemption) == (0, tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE)
    (changed,) = await platform.events("customer.tax_exemption.changed")
    assert changed.customer_id == quebec


async def test_inclusive_taxes_are_part_of_the_amounts_and_of_no_revenue(platform: Platform) -> None:
    await tax_rate(platform, "20")
    await set_terms(platform, behavior=tax_pb2.TAX_BEHAVIOR_INCLUSIVE)
    made = await invoice(platform, await customer_in(platform, "DE"), item("120"))
    assert (made.total_minor, made.tax_minor) == (12000, 2000)
    assert made.tax_behavior == tax_pb2.TAX_BEHAVIOR_INCLUSIVE
    assert await balances(platform) == {"RECEIVABLE": 12000, "REVENUE": -10000, "TAX_PAYABLE": -2000}


async def test_rounding_per_line_is_the_tenants_choice(platform: Platform) -> None:
    await tax_rate(platform, "7")
    ada = await customer_in(platform, "DE")
    lines = [item("0.33")] * 3
    assert (await invoice(platform, ada, *lines)).tax_minor == 7
    await set_terms(platform, rounding=tax_pb2.TAX_ROUNDING_PER_LINE)
    assert (await invoice(platform, ada, *lines)).tax_minor == 6


async def test_credits_after_tax_leave_the_tax_alone(platform: Platform) -> None:
    await tax_rate(platform, "20")
    await set_terms(platform, credit_application=tax_pb2.CREDIT_APPLICATION_AFTER_TAX)
    ada = await customer_in(platform, "DE")
    await credit(platform, ada, 5000)
    made = await invoice(platform, ada, item("10"))
    assert (made.tax_minor, made.credit_minor, made.total_minor) == (200, 1200, 0)
    assert made.state == pb.INVOICE_STATE_PAID
    assert (await balances(platform))["CUSTOMER_CREDIT"] == -3800


async def test_credits_are_used_oldest_first_while_they_hold_and_no_further_than_they_reach(
    platform: Platform,
) -> None:
    now = platform.clock.now()
    ada = (await new_customer(platform)).id
    newer = await credit(platform, ada, 300)
    older = await credit(platform, ada, 300, valid_from=timestamp(now - timedelta(days=3)))
    ended = await credit(
        platform,
        ada,
        300,
        valid_from=timestamp(now - timedelta(days=9)),
        valid_until=timestamp(now - timedelta(days=1)),
    )
    made = await invoice(platform, ada, item("4"))
    assert [(use.credit_id, use.amount_minor) for use in made.credits] == [(older.id, 300), (newer.id, 100)]
    assert [await credit_left(platform, one.id) for one in (newer, older, ended)] == [200, 0, 300]
    (balance,) = (
        await platform.stub(CreditServiceStub).GetCreditBalance(
            credit_service_pb2.GetCreditBalanceRequest(customer_id=ada)
        )
    ).balances
    assert (balance.currency, balance.prepaid_minor, balance.other_minor) == ("USD", 0, 200)


async def test_what_is_left_of_a_credit_can_be_voided_once(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    held = await credit(platform, ada, 1000)
    await invoice(platform, ada, item("4"))
    stub = platform.stub(CreditServiceStub)
    request = credit_service_pb2.VoidCreditRequest(request_id=new_id("req"), credit_id=held.id)
    assert (await stub.VoidCredit(request)).credit.remaining_minor == 0
    assert await balances(platform) == {"EXPENSE": 400, "REVENUE": -400}
    request.request_id = new_id("req")
    refusal = await refused(stub.VoidCredit(request))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "CREDIT_USED_UP")


async def test_voiding_an_invoice_gives_back_its_discounts_and_credits(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    await coupon(platform, "ONCE", percent="50", duration=ONCE)
    await redeem(platform, "ONCE", ada)
    held = await credit(platform, ada, 300)
    made = await invoice(platform, ada, item("20"))
    assert (await discount_of(platform, ada)).HasField("ended_at")
    await void(platform, made.id)
    discount = await discount_of(platform, ada)
    assert (discount.remaining_invoices, discount.HasField("ended_at")) == (1, False)
    (restored,) = await platform.events("discount.restored")
    assert (restored.discount_id, restored.invoice_id) == (discount.id, made.id)
    assert await credit_left(platform, held.id) == 300
    assert await balances(platform) == {"EXPENSE": 300, "CUSTOMER_CREDIT": -300}
    (reversed_use,) = await platform.events("credit.reversed")
    assert (reversed_use.credit_id, reversed_use.amount_minor) == (held.id, 300)
    again = await invoice(platform, ada, item("20"))
    assert (again.discount_minor, again.credit_minor) == (1000, 300)
