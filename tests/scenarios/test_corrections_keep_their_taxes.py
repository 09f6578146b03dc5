"""What is corrected had been taxed, and paid by credits: what was charged is given back, as it was then."""

import pytest
from billing.invoice.v1 import invoice_pb2
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.tax.v1 import tax_pb2, tax_service_pb2
from billing.tax.v1.tax_service_pb2_grpc import TaxServiceStub

from corebilling.values.ids import new_id
from tests.rpc.test_rerating import START, Contract, agreed
from tests.support.app import refused
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import metered_price, new_meter, new_product, subscribe
from tests.support.correction import correct, rerate, retract
from tests.support.invoice import invoices_of
from tests.support.money import balances, coupon, credit, customer_in, pay, redeem, tax_rate, void
from tests.support.platform import Platform
from tests.support.reporting import use

A_MONTH = {"days": 31, "hours": 2}


async def invoiced(platform: Platform, *, promotional_minor: int = 0) -> Contract:
    """500 units for 1 each, and what is due of it paid."""
    product, meter = await new_product(platform), await new_meter(platform)
    price = await metered_price(platform, product.id, meter.id)
    customer_id = await customer_in(platform, "DE")
    subscription = await subscribe(platform, price, customer_id=customer_id)
    if promotional_minor:
        await credit(platform, customer_id, promotional_minor)
    await use(platform, subscription.id, 500, START, key="first")
    await platform.pass_time(**A_MONTH)
    (first,) = await invoices_of(platform)
    if first.amount_due_minor:
        await pay(platform, first.id, first.amount_due_minor)
    made = Contract(product.id, meter.id, price, price)
    made.customer_id, made.subscription_id = customer_id, subscription.id
    return made


async def books_once_taken_back(platform: Platform) -> dict[str, int]:
    await retract(platform, "first")
    await platform.pass_time(days=31)
    for invoice in await invoices_of(platform):
        assert differences(as_fields(await bundle_of(platform, invoice.id))) == []
    return await balances(platform)


async def test_a_rate_that_came_later_is_not_given_back(platform: Platform):
    await invoiced(platform)
    await tax_rate(platform, "19")
    assert await books_once_taken_back(platform) == {"CASH": 50000, "CUSTOMER_CREDIT": -50000}


async def test_a_rate_that_is_over_is_given_back(platform: Platform):
    rate = await tax_rate(platform, "19")
    await invoiced(platform)
    archive = tax_service_pb2.ArchiveTaxRateRequest(request_id=new_id("req"), tax_rate_id=rate.id)
    await platform.stub(TaxServiceStub).ArchiveTaxRate(archive)
    await tax_rate(platform, "25")
    assert await books_once_taken_back(platform) == {"CASH": 59500, "CUSTOMER_CREDIT": -59500}
    given_back = (await invoices_of(platform))[-1]
    assert [(tax.percent, tax.tax_minor) for tax in given_back.taxes if tax.tax_minor] == [("19", -9500)]


async def test_an_exemption_that_came_later_gives_back_the_tax(platform: Platform):
    await tax_rate(platform, "19")
    made = await invoiced(platform)
    exemption = tax_service_pb2.SetTaxExemptionRequest(
        request_id=new_id("req"),
        customer_id=made.customer_id,
        exemption=tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE,
    )
    await platform.stub(TaxServiceStub).SetTaxExemption(exemption)
    assert await books_once_taken_back(platform) == {"CASH": 59500, "CUSTOMER_CREDIT": -59500}


@pytest.mark.parametrize("withdrawn", [False, True])
async def test_what_charged_most_says_how_all_is_taxed(platform: Platform, withdrawn: bool):
    """500 units without tax, and a late one with it: whether its invoice is withdrawn or not."""
    made = await invoiced(platform)
    await tax_rate(platform, "19")
    await use(platform, made.subscription_id, 1, START, key="late")
    await platform.pass_time(days=31)
    late = (await invoices_of(platform))[-1]
    if withdrawn:
        await void(platform, late.id)
    await retract(platform, "late")
    books = await books_once_taken_back(platform)
    assert books["CUSTOMER_CREDIT"] == -(50000 if withdrawn else 50100)
    assert -books.get("TAX_PAYABLE", 0) == (0 if withdrawn else 19)


@pytest.mark.parametrize(("promotional_minor", "given_back_minor"), [(50000, 0), (25000, 29750), (1, 59499)])
async def test_what_credits_before_tax_paid_is_not_given_back(
    platform: Platform, promotional_minor: int, given_back_minor: int
):
    """Nor is tax that was not charged for it."""
    await tax_rate(platform, "19")
    await invoiced(platform, promotional_minor=promotional_minor)
    books = await books_once_taken_back(platform)
    assert books.get("CUSTOMER_CREDIT", 0) == -given_back_minor
    assert books.get("TAX_PAYABLE", 0) == 0


async def test_a_corrected_price_extends_no_credit(platform: Platform):
    """Half was paid by a credit: of twice the price, no more than that is; of half of it, half again."""
    made = await invoiced(platform, promotional_minor=25000)
    (cycle,) = await platform.rows("SELECT id FROM billing_cycles WHERE state = 'invoiced'")
    twice, half = [
        await metered_price(platform, made.product_id, made.meter_id, code=code, unit_amount=amount)
        for code, amount in (("twice", "2"), ("half", "0.5"))
    ]
    nets, price_id = [], made.tokens.id
    for corrected in (twice, half, made.tokens):
        answer = await rerate(platform, cycle["id"], price_id, corrected.id)
        (line,) = answer.invoice.lines
        nets.append(line.amount_minor - line.discount_minor)
        assert differences(as_fields(await bundle_of(platform, answer.invoice.id))) == []
        price_id = corrected.id
    assert nets == [50000, -62500, 12500]


@pytest.mark.parametrize(("redeemed", "nets"), [("before", 25000 + 50000), ("after", 50000 + 25000)])
async def test_a_true_up_in_the_place_of_usage_has_its_discounts(
    platform: Platform, redeemed: str, nets: int
):
    """Of two months committed to 500.00, one is half off, whatever is taken back."""
    made = await agreed(platform, committed_minor=50000)
    await coupon(platform, "OFF", percent="50", duration=1)
    if redeemed == "before":
        await redeem(platform, "OFF", made.customer_id)
    await use(platform, made.subscription_id, 469, START, key="first")
    await platform.pass_time(**A_MONTH)
    if redeemed == "after":
        await redeem(platform, "OFF", made.customer_id)
    await retract(platform, "first")
    await platform.pass_time(days=31)
    invoices = await invoices_of(platform)
    assert sum(one.subtotal_minor - one.discount_minor for one in invoices) == nets
    for invoice in invoices:
        assert differences(as_fields(await bundle_of(platform, invoice.id))) == []


async def test_what_was_corrected_is_not_issued_again(platform: Platform):
    """It would be charged with the discounts of now, and what was given back stays."""
    made = await agreed(platform)
    await use(platform, made.subscription_id, 500, START, key="first")
    await platform.pass_time(**A_MONTH)
    await correct(platform, "first", "480")
    await platform.pass_time(days=31)
    first, second = await invoices_of(platform)
    stub = platform.stub(InvoiceServiceStub)
    refusal = await refused(
        stub.ReissueInvoice(rpc.ReissueInvoiceRequest(request_id=new_id("req"), invoice_id=first.id))
    )
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "INVOICE_HAS_CORRECTIONS")
    again = await stub.ReissueInvoice(
        rpc.ReissueInvoiceRequest(request_id=new_id("req"), invoice_id=second.id, finalize=True)
    )
    assert again.voided.state == invoice_pb2.INVOICE_STATE_VOID
    assert again.invoice.total_minor == second.total_minor
