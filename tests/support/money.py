"""Coupons, credits, taxes and invoices, made and read through the RPCs."""

from typing import Any

from billing.credit.v1 import credit_pb2, credit_service_pb2
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceStub
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.discount.v1 import discount_pb2, discount_service_pb2
from billing.discount.v1.discount_service_pb2_grpc import DiscountServiceStub
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.ledger.v1 import ledger_pb2, ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from billing.tax.v1 import tax_pb2, tax_service_pb2
from billing.tax.v1.tax_service_pb2_grpc import TaxServiceStub

from corebilling.values.ids import new_id
from tests.support.catalog import new_customer
from tests.support.platform import Platform


async def coupon(platform: Platform, code: str, **terms: Any) -> discount_pb2.Coupon:
    """A percentage for ever, unless the terms say otherwise."""
    chosen = {"name": code, "duration": discount_pb2.DISCOUNT_DURATION_FOREVER, **terms}
    chosen["kind"] = (
        discount_pb2.DISCOUNT_KIND_FIXED if "amount_minor" in terms else discount_pb2.DISCOUNT_KIND_PERCENT
    )
    request = discount_service_pb2.CreateCouponRequest(request_id=new_id("req"), code=code, **chosen)
    return (await platform.stub(DiscountServiceStub).CreateCoupon(request)).coupon


async def redeem(
    platform: Platform, code: str, customer_id: str, subscription_id: str = ""
) -> discount_pb2.Discount:
    request = discount_service_pb2.RedeemCouponRequest(
        request_id=new_id("req"), code=code, customer_id=customer_id, subscription_id=subscription_id
    )
    return (await platform.stub(DiscountServiceStub).RedeemCoupon(request)).discount


async def discount_of(platform: Platform, customer_id: str) -> discount_pb2.Discount:
    request = discount_service_pb2.ListDiscountsRequest(customer_id=customer_id)
    (discount,) = (await platform.stub(DiscountServiceStub).ListDiscounts(request)).discounts
    return discount


async def credit(platform: Platform, customer_id: str, amount_minor: int, **terms: Any) -> credit_pb2.Credit:
    chosen = {"kind": credit_pb2.CREDIT_KIND_PROMOTIONAL, **terms}
    request = credit_service_pb2.GrantCreditRequest(
        request_id=new_id("req"), customer_id=customer_id, amount_minor=amount_minor, **chosen
    )
    return (await platform.stub(CreditServiceStub).GrantCredit(request)).credit


async def credit_left(platform: Platform, credit_id: str) -> int:
    request = credit_service_pb2.GetCreditRequest(credit_id=credit_id)
    return (await platform.stub(CreditServiceStub).GetCredit(request)).credit.remaining_minor


async def tax_rate(platform: Platform, percent: str, **terms: Any) -> tax_pb2.TaxRate:
    chosen = {"name": "VAT", "country": "DE", **terms}
    request = tax_service_pb2.CreateTaxRateRequest(request_id=new_id("req"), percent=percent, **chosen)
    return (await platform.stub(TaxServiceStub).CreateTaxRate(request)).tax_rate


async def set_terms(platform: Platform, **terms: Any) -> None:
    request = tax_service_pb2.SetTaxTermsRequest(request_id=new_id("req"), terms=tax_pb2.TaxTerms(**terms))
    await platform.stub(TaxServiceStub).SetTaxTerms(request)


async def customer_in(platform: Platform, country: str, region: str = "") -> str:
    details = customer_service_pb2.CustomerDetails(
        name="Ada", address=customer_pb2.Address(country=country, region=region)
    )
    return (await new_customer(platform, details=details)).id


def item(unit_amount: str, category: str = "", quantity: str = "") -> invoice_service_pb2.OneTimeItem:
    return invoice_service_pb2.OneTimeItem(
        description="Work", unit_amount=unit_amount, quantity=quantity, tax_category=category
    )


async def invoice(
    platform: Platform, customer_id: str, *items: invoice_service_pb2.OneTimeItem, finalize: bool = True
) -> invoice_pb2.Invoice:
    """A one-off invoice."""
    request = invoice_service_pb2.CreateInvoiceRequest(
        request_id=new_id("req"), customer_id=customer_id, items=items, finalize=finalize
    )
    return (await platform.stub(InvoiceServiceStub).CreateInvoice(request)).invoice


async def pay(
    platform: Platform, invoice_id: str, amount_minor: int, currency: str = "USD"
) -> invoice_pb2.Invoice:
    request = invoice_service_pb2.RecordPaymentRequest(
        request_id=new_id("req"), invoice_id=invoice_id, amount_minor=amount_minor, currency=currency
    )
    return (await platform.stub(InvoiceServiceStub).RecordPayment(request)).invoice


async def apply_credits(
    platform: Platform, invoice_id: str, request_id: str = "", *, as_key: str | None = None
) -> invoice_pb2.Invoice:
    request = invoice_service_pb2.ApplyCreditsRequest(
        request_id=request_id or new_id("req"), invoice_id=invoice_id
    )
    return (await platform.stub(InvoiceServiceStub, key=as_key).ApplyCredits(request)).invoice


async def write_off(platform: Platform, invoice_id: str, request_id: str = "") -> invoice_pb2.Invoice:
    request = invoice_service_pb2.WriteOffInvoiceRequest(
        request_id=request_id or new_id("req"), invoice_id=invoice_id
    )
    return (await platform.stub(InvoiceServiceStub).WriteOffInvoice(request)).invoice


async def void(platform: Platform, invoice_id: str) -> invoice_pb2.Invoice:
    request = invoice_service_pb2.VoidInvoiceRequest(request_id=new_id("req"), invoice_id=invoice_id)
    return (await platform.stub(InvoiceServiceStub).VoidInvoice(request)).invoice


async def give_back(
    platform: Platform, invoice_id: str, **items: int
) -> invoice_service_pb2.IssueCreditNoteResponse:
    """A credit note over amounts of lines, by the line's id; over all that is left without any."""
    request = invoice_service_pb2.IssueCreditNoteRequest(
        request_id=new_id("req"),
        invoice_id=invoice_id,
        items=[
            invoice_pb2.CreditNoteItem(invoice_line_id=line_id, amount_minor=amount)
            for line_id, amount in items.items()
        ],
        reason="it did not work",
    )
    return await platform.stub(InvoiceServiceStub).IssueCreditNote(request)


async def balances(platform: Platform) -> dict[str, int]:
    """What accounts stand at, debits less credits; those at zero left out."""
    request = ledger_service_pb2.GetTrialBalanceRequest()
    trial = await platform.stub(LedgerServiceStub).GetTrialBalance(request)
    assert trial.balanced
    names = ledger_pb2.AccountType.Name
    return {
        names(row.account_type).removeprefix("ACCOUNT_TYPE_"): row.balance_minor
        for row in trial.balances
        if row.balance_minor
    }
