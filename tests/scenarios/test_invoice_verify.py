"""An exported invoice is worked out again from its file alone; what was changed in it is named."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.customer.v1 import customer_service_pb2
from billing.invoice.v1 import bundle_pb2, invoice_pb2
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.subscription.v1 import subscription_pb2
from billing.tax.v1 import tax_pb2
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.commands.invoice_file import bundle_text
from corebilling.domains.invoice.bundle_reading import Unreadable
from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.scenarios import test_progressive_billing as progressive
from tests.scenarios.test_deferred_revenue import ahead
from tests.scenarios.test_event_commands import access, command
from tests.scenarios.test_negotiated_prices import negotiate
from tests.support import reporting
from tests.support.bundle import as_fields, bundle_of, differences, month, rich_invoice, use
from tests.support.catalog import (
    change,
    metered_price,
    new_customer,
    new_meter,
    new_price,
    new_product,
    subscribe,
)
from tests.support.invoice import invoices_of
from tests.support.money import (
    coupon,
    credit,
    customer_in,
    give_back,
    invoice,
    item,
    pay,
    redeem,
    set_terms,
    tax_rate,
    void,
)
from tests.support.platform import Platform, platform, running_platform
from tests.support.postgres import TestDatabase

__all__ = ["platform"]

Fields = dict[str, Any]


def charge(fields: Fields, line: int) -> Fields:
    """The evidence of a line."""
    line_id = fields["invoice"]["lines"][line]["id"]
    return next(one for one in fields["evidence"] if one["invoice_line_id"] == line_id)


def more(fields: Fields, name: str, by: int = 1) -> None:
    fields[name] = str(int(fields.get(name, 0)) + by)


def all_more(entries: list[Fields]) -> None:
    for entry in entries:
        more(entry, "amount_minor")


LIES: dict[str, tuple[Callable[[Fields], object], str]] = {
    "a line's amount": (lambda b: more(b["invoice"]["lines"][0], "amount_minor"), "amount in minor units"),
    "a quantity": (lambda b: b["invoice"]["lines"][2].update(quantity="152"), "quantity"),
    "a charged quantity": (lambda b: charge(b, 2)["charge"].update(quantity="152"), "exact amount"),
    "an exact amount": (lambda b: charge(b, 2)["charge"].update(amount="1"), "exact amount"),
    "a tier of the price": (
        lambda b: charge(b, 2)["price"]["tiers"][1].update(unit_amount="0.256"),
        "exact amount",
    ),
    "a tier of the line": (
        lambda b: b["invoice"]["lines"][2]["tiers"][0].update(amount="1"),
        "tier 1 amount",
    ),
    "a tier of the charge": (
        lambda b: charge(b, 2)["charge"]["tiers"].pop(),
        "number of tiers of the charge",
    ),
    "a cap": (lambda b: charge(b, 3)["price"].update(maximum_amount="10"), "exact amount"),
    "a step": (lambda b: b["invoice"]["lines"][3]["steps"][0].update(amount="-1"), "step 1 amount"),
    "a span": (lambda b: charge(b, 0)["charge"]["basis"]["span"].update(end="2026-04-09T00:00:00Z"), "share"),
    "a share": (lambda b: charge(b, 0)["charge"]["basis"].update(share="1/2"), "share"),
    "how long a period is": (lambda b: charge(b, 0)["price"].update(interval_count=2), "months"),
    "what a charge says of its part": (
        lambda b: charge(b, 2)["parts"][0].update(rated_at="2026-01-01T00:00:00Z"),
        "rated at",
    ),
    "the start of a total": (
        lambda b: charge(b, 2)["total"]["period"].update(start="2026-01-01T00:00:00Z"),
        "start",
    ),
    "the first record that was there": (
        lambda b: charge(b, 2)["charge"]["basis"].update(first_recorded_at="2026-12-01T00:00:00Z"),
        "first record when rated",
    ),
    "what is left of a credit": (lambda b: more(b["credits"][0], "remaining_minor", 10_000), "left of"),
    "what was billed before": (
        lambda b: charge(b, 4)["charge"]["basis"].update(quantity_before="60"),
        "quantity before",
    ),
    "an earlier part": (lambda b: charge(b, 4)["parts"][0].update(quantity="60"), "quantity before"),
    "what a total holds": (lambda b: charge(b, 2)["total"].update(quantity="151"), "quantity of the total"),
    "what a total says is billed": (
        lambda b: charge(b, 2)["total"].update(billed_quantity="151"),
        "quantity of all parts",
    ),
    "a record's quantity": (lambda b: b["records"][0].update(quantity="1"), "quantity of the total"),
    "a record's time": (
        lambda b: b["records"][0].update(recorded_at="2030-01-01T00:00:00Z"),
        "number of records",
    ),
    "a record left out": (lambda b: b["records"].pop(), "number of records"),
    "a record twice": (lambda b: b["records"].append(b["records"][0]), "number of keys"),
    "a line's discount": (lambda b: more(b["invoice"]["lines"][0], "discount_minor"), "part"),
    "a coupon's percentage": (lambda b: coupon_of(b, "TENTH").update(percent="11"), "TENTH"),
    "a coupon's amount": (lambda b: coupon_of(b, "FIVE").update(amount_minor="501"), "FIVE"),
    "a discount": (lambda b: more(b["invoice"]["discounts"][0], "amount_minor"), "TENTH"),
    "a line's credit": (lambda b: more(b["invoice"]["lines"][1], "credit_minor"), "part"),
    "a credit": (lambda b: more(b["invoice"]["credits"][0], "amount_minor"), "crd_"),
    "what a credit had left": (lambda b: more(b["invoice"]["credits"][0], "available_minor", -1), "crd_"),
    "more than was granted": (
        lambda b: more(b["invoice"]["credits"][1], "available_minor", 10_000),
        "beyond what was granted",
    ),
    "a line's tax": (lambda b: more(b["invoice"]["lines"][0], "tax_minor"), "part"),
    "a tax of a line": (lambda b: more(b["invoice"]["lines"][0]["taxes"][0], "tax_minor"), "VAT"),
    "a rate of a line": (
        lambda b: b["invoice"]["lines"][0]["taxes"][0].update(percent="20"),
        "percentage of VAT",
    ),
    "a rate in force": (lambda b: b["tax_rates"][0].update(percent="20"), "percentage of"),
    "a tax": (lambda b: more(b["invoice"]["taxes"][1], "tax_minor"), "City"),
    "what is taxed": (lambda b: b["invoice"]["taxes"][0].update(taxable_minor="1"), "VAT of"),
    "when credits come off": (
        lambda b: b["invoice"]["terms"].update(credit_application="CREDIT_APPLICATION_AFTER_TAX"),
        "part",
    ),
    "the subtotal": (lambda b: more(b["invoice"], "subtotal_minor"), "subtotal_minor"),
    "the total": (lambda b: more(b["invoice"], "total_minor"), "total_minor"),
    "what was prepaid": (lambda b: more(b["invoice"], "prepaid_minor"), "prepaid_minor"),
    "what is due": (lambda b: more(b["invoice"], "amount_due_minor"), "amount_due_minor"),
    "a payment": (lambda b: more(b["payments"][0], "amount_minor"), "amount_paid_minor"),
    "a credit note": (lambda b: more(b["credit_notes"][0], "total_minor"), "credited_minor"),
    "an entry": (lambda b: more(b["journals"][0]["entries"][0], "amount_minor"), "debits and credits in USD"),
    "two entries": (
        lambda b: all_more(opposite(b["journals"][0]["entries"])),
        "revenue of invoice.finalized",
    ),
    "a journal left out": (lambda b: b["journals"].pop(), "revenue of invoice.finalized"),
    "entries in another currency": (lambda b: in_yen(b["journals"][0]["entries"]), "currency"),
    "that it is paid": (lambda b: b["invoice"].update(state="INVOICE_STATE_PAID"), "state"),
    "that it is a draft": (lambda b: b["invoice"].update(state="INVOICE_STATE_DRAFT"), "state"),
    "that it is withdrawn": (lambda b: b["invoice"].update(state="INVOICE_STATE_VOID"), "state"),
    "that it is written off": (lambda b: b["invoice"].update(state="INVOICE_STATE_UNCOLLECTIBLE"), "state"),
    "that it was never final": (lambda b: b["invoice"].pop("finalized_at"), "state"),
    "a time of withdrawal": (
        lambda b: b["invoice"].update(voided_at=b["invoice"]["finalized_at"]),
        "state",
    ),
    "a number left out": (lambda b: b["invoice"].pop("number"), "has a number"),
    "when it is to be paid": (lambda b: b["invoice"].pop("due_at"), "has a time to be paid by"),
    "when it was paid": (
        lambda b: b["invoice"].update(paid_at=b["invoice"]["finalized_at"]),
        "has a time of being paid",
    ),
    "a payment's currency": (lambda b: b["payments"][0].update(currency="JPY"), "currency of payment"),
    "a payment's invoice": (lambda b: b["payments"][0].update(invoice_id="inv_1"), "invoice of payment"),
    "a note's currency": (lambda b: b["credit_notes"][0].update(currency="JPY"), "currency of CN-"),
    "a note's subtotal": (lambda b: b["credit_notes"][0].update(subtotal_minor="1"), "subtotal of CN-"),
    "a note's tax": (lambda b: b["credit_notes"][0].update(tax_minor="777"), "tax of CN-"),
    "a note's parts": (lambda b: more(b["credit_notes"][0], "due_minor"), "parts of CN-"),
    "a note's item": (lambda b: more(b["credit_notes"][0]["items"][0], "amount_minor", 50), "total of CN-"),
    "a note over more than there is": (
        lambda b: more(b["credit_notes"][0]["items"][0], "amount_minor", 100_000),
        "items of CN-",
    ),
    "a note's customer": (lambda b: b["credit_notes"][0].update(customer_id="cus_1"), "customer of CN-"),
    "a credit's customer": (lambda b: b["credits"][0].update(customer_id="cus_1"), "customer of crd_"),
    "a coupon's currency": (lambda b: coupon_of(b, "FIVE").update(currency="JPY"), "currency of FIVE"),
    "a line's subscription": (
        lambda b: b["invoice"]["lines"][0].update(subscription_id="sub_1"),
        "subscription",
    ),
    "a total's subscription": (
        lambda b: charge(b, 2)["total"].update(subscription_id="sub_1"),
        "subscription",
    ),
    "a rate by another name": (lambda b: b["tax_rates"][0].update(id="txr_1"), "rate of VAT"),
    "all rates left out": (lambda b: b.pop("tax_rates"), "rate of VAT"),
    "another meter": (lambda b: charge(b, 2)["meter"].update(id="mtr_1"), "meter"),
    "how a meter counts": (
        lambda b: charge(b, 2)["meter"].update(aggregation="AGGREGATION_MAX"),
        "aggregation",
    ),
    "how a total counts": (
        lambda b: charge(b, 2)["total"].update(aggregation="AGGREGATION_MAX"),
        "aggregation",
    ),
    "a total left out": (lambda b: charge(b, 2).pop("total"), "quantity without a total"),
    "the end of a total": (
        lambda b: charge(b, 2)["total"]["period"].update(end="2026-12-01T00:00:00Z"),
        "end",
    ),
    "records that filters left out": (
        lambda b: charge(b, 2)["total"].update(filtered_count="1"),
        "records left out",
    ),
    "no quantity of a total": (lambda b: charge(b, 2)["total"].pop("quantity"), "has a quantity"),
    "an earlier first record": (
        lambda b: charge(b, 2)["total"].update(first_recorded_at="2026-01-01T00:00:00Z"),
        "first record",
    ),
    "no first record": (lambda b: charge(b, 2)["total"].pop("first_recorded_at"), "first record"),
    "an earlier first record that was there": (
        lambda b: charge(b, 2)["charge"]["basis"].update(first_recorded_at="2026-01-01T00:00:00Z"),
        "first record when rated",
    ),
    "no first record that was there": (
        lambda b: charge(b, 2)["charge"]["basis"].pop("first_recorded_at"),
        "first record when rated",
    ),
    "more records that were there": (
        lambda b: more(charge(b, 2)["charge"]["basis"], "record_count"),
        "records when rated",
    ),
    "fewer records that were there": (
        lambda b: more(charge(b, 2)["charge"]["basis"], "record_count", -1),
        "quantity when rated",
    ),
    "no records that were there": (
        lambda b: charge(b, 2)["charge"]["basis"].pop("record_count"),
        "quantity when rated",
    ),
    "that there are no records": (lambda b: b.pop("with_records"), "given"),
    "a line left out": (lambda b: b["invoice"]["lines"].pop(), "subtotal_minor"),
    "evidence left out": (lambda b: b["evidence"].pop(), "charge"),
}


MISSING: dict[str, Callable[[Fields], object]] = {
    "the state": lambda b: b["invoice"].pop("state"),
    "a meter": lambda b: charge(b, 2).pop("meter"),
    "how a meter counts": lambda b: charge(b, 2)["meter"].pop("aggregation"),
    "how a total counts": lambda b: charge(b, 2)["total"].pop("aggregation"),
    "a coupon": lambda b: b["coupons"].pop(),
    "a credit": lambda b: b["credits"].pop(),
}
"""Without these nothing can be said."""


def in_yen(entries: list[Fields]) -> None:
    for entry in entries:
        entry["currency"] = "JPY"


def coupon_of(fields: Fields, code: str) -> Fields:
    return next(coupon for coupon in fields["coupons"] if coupon["code"] == code)


def opposite(entries: list[Fields]) -> list[Fields]:
    """A debit, and revenue."""
    debit = next(entry for entry in entries if entry["direction"] == "ENTRY_DIRECTION_DEBIT")
    revenue = next(entry for entry in entries if entry["account_type"] == "ACCOUNT_TYPE_REVENUE")
    return [debit, revenue]


async def test_whatever_is_changed_in_a_bundle_is_named(platform: Platform) -> None:
    made = await rich_invoice(platform)
    assert len(made.lines) >= 5
    await pay(platform, made.id, 700)
    await give_back(platform, made.id, **{made.lines[0].id: 300})
    fields = as_fields(await bundle_of(platform, made.id))
    assert differences(fields) == []
    missed = []
    for name, (lie, figure) in LIES.items():
        found = differences(fields, lie)
        if not any(figure in one[1] for one in found):
            missed.append((name, found))
    assert missed == []
    for missing in MISSING.values():
        with pytest.raises(Unreadable, match="missing"):
            differences(fields, missing)


async def test_the_same_invoice_gives_the_same_bytes_in_pages_of_any_size(platform: Platform) -> None:
    made = await rich_invoice(platform)
    whole = await bundle_of(platform, made.id)
    assert bundle_text(whole) == bundle_text(await bundle_of(platform, made.id))
    paged, token = bundle_pb2.InvoiceBundle(), ""
    for _ in range(50):
        answer = await platform.stub(InvoiceServiceStub).ExportInvoice(
            rpc.ExportInvoiceRequest(invoice_id=made.id, with_records=True, page_size=1, page_token=token)
        )
        assert len(answer.part.invoice.lines) + len(answer.part.records) <= 1
        paged.MergeFrom(answer.part)
        token = answer.next_page_token
        if not token:
            break
    assert bundle_text(paged) == bundle_text(whole)
    bare = await bundle_of(platform, made.id, records=False)
    assert (len(bare.records), differences(as_fields(bare))) == (0, [])


@pytest.mark.parametrize("behavior", [tax_pb2.TAX_BEHAVIOR_INCLUSIVE, tax_pb2.TAX_BEHAVIOR_EXCLUSIVE])
@pytest.mark.parametrize("rounding", [tax_pb2.TAX_ROUNDING_PER_LINE, tax_pb2.TAX_ROUNDING_PER_INVOICE])
async def test_terms_are_those_of_the_time_of_the_invoice(
    platform: Platform, behavior: Any, rounding: Any
) -> None:
    await set_terms(
        platform,
        behavior=behavior,
        rounding=rounding,
        credit_application=tax_pb2.CREDIT_APPLICATION_AFTER_TAX,
    )
    await tax_rate(platform, "19")
    ada = await customer_in(platform, "DE")
    await credit(platform, ada, 100)
    made = await invoice(platform, ada, item("0.13"), item("0.13"), item("0.13"))
    await set_terms(platform, behavior=tax_pb2.TAX_BEHAVIOR_EXCLUSIVE)
    fields = as_fields(await bundle_of(platform, made.id))
    assert differences(fields) == []
    names = [tax_pb2.TaxRounding.Name(one) for one in (1, 2) if one != rounding]
    if behavior == tax_pb2.TAX_BEHAVIOR_EXCLUSIVE:
        assert differences(fields, lambda b: b["invoice"]["terms"].update(tax_rounding=names[0])) != []


async def test_drafts_voided_reissued_and_negative_invoices_come_out(platform: Platform) -> None:
    await tax_rate(platform, "19")
    ada = await customer_in(platform, "DE")
    await credit(platform, ada, 100)
    draft = await invoice(platform, ada, item("10"), finalize=False)
    below = await invoice(platform, ada, item("10"), item("-30"))
    assert below.prepaid_minor < 0
    product, meter = await new_product(platform), await new_meter(platform)
    price = await new_price(
        platform,
        product.id,
        "t",
        usage="PRICE_USAGE_METERED",
        meter_id=meter.id,
        model="PRICE_MODEL_PER_UNIT",
    )
    subscription = await subscribe(platform, price, customer_id=ada)
    await use(platform, subscription.id, "tokens", "12", "7.5")
    await month(platform)
    (billed,) = await invoices_of(platform, subscription.id)
    request = rpc.ReissueInvoiceRequest(request_id=new_id("req"), invoice_id=billed.id, finalize=True)
    again = (await platform.stub(InvoiceServiceStub).ReissueInvoice(request)).invoice
    await void(platform, draft.id)
    assert again.state == invoice_pb2.INVOICE_STATE_OPEN
    for one in (draft, below, billed, again):
        bundle = await bundle_of(platform, one.id)
        assert differences(as_fields(bundle)) == [], bundle.invoice.state
    becomes = as_fields(await bundle_of(platform, below.id))
    assert differences(becomes, lambda b: more(b["credits"][-1], "amount_minor")) != []
    assert differences(becomes, lambda b: b["invoice"].pop("credits")) != []
    assert differences(becomes, lambda b: b["invoice"].update(state="INVOICE_STATE_DRAFT")) != []
    voided = as_fields(await bundle_of(platform, billed.id))
    assert differences(voided, lambda b: b["journals"].pop()) != []


def option_of(fields: Fields) -> Fields:
    option: Fields = charge(fields, 0)["price"]["currency_options"][0]
    return option


async def test_negotiated_amounts_and_those_of_another_currency_come_out(platform: Platform) -> None:
    product, meter = await new_product(platform), await new_meter(platform)
    euros = catalog_pb2.CurrencyOption(currency="EUR", unit_amount="0.9")
    price = await new_price(
        platform,
        product.id,
        "tokens",
        usage="PRICE_USAGE_METERED",
        meter_id=meter.id,
        model="PRICE_MODEL_PER_UNIT",
        unit_amount="1",
        currency_options=[euros],
    )
    ada, eve = [await new_customer(platform, currency=currency) for currency in ("USD", "EUR")]
    agreed = await negotiate(platform, price, "0.5", customer_id=ada.id)
    subscriptions = [await subscribe(platform, price, customer_id=one.id) for one in (ada, eve)]
    for subscription in subscriptions:
        await use(platform, subscription.id, "tokens", "12", "7.5")
    await month(platform)
    dollars, other = [(await invoices_of(platform, subscription.id))[0] for subscription in subscriptions]
    assert (dollars.total_minor, other.total_minor, other.currency) == (975, 1755, "EUR")
    fields = as_fields(await bundle_of(platform, dollars.id))
    assert differences(fields) == []
    assert charge(fields, 0)["price_override"]["id"] == agreed.id
    assert differences(fields, lambda b: charge(b, 0)["price_override"].update(unit_amount="0.6")) != []
    fields = as_fields(await bundle_of(platform, other.id))
    assert differences(fields) == []
    assert differences(fields, lambda b: option_of(b).update(unit_amount="0.92")) != []


async def test_prices_that_look_at_records_and_meters_of_all_kinds_come_out(platform: Platform) -> None:
    product = await new_product(platform)
    by_meter: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "calls": (
            {"aggregation": "AGGREGATION_SUM"},
            {
                "model": "PRICE_MODEL_MATRIX",
                "dimensions": ["region"],
                "cells": [catalog_pb2.PriceCell(values=["eu"], unit_amount="0.333")],
                "default_unit_amount": "0.25",
            },
        ),
        "cards": (
            {"aggregation": "AGGREGATION_SUM"},
            {
                "model": "PRICE_MODEL_PERCENTAGE",
                "percentage": catalog_pb2.PricePercentage(
                    percent="2.9", fixed_amount="0.3", free_transactions=1, minimum_amount="0.5"
                ),
            },
        ),
        "users": ({"aggregation": "AGGREGATION_UNIQUE", "unique_property": "user"}, {}),
        "level": ({"aggregation": "AGGREGATION_LATEST"}, {}),
        "held": ({"aggregation": "AGGREGATION_TIME_WEIGHTED"}, {}),
        "least": ({"aggregation": "AGGREGATION_MIN"}, {}),
        "bytes": (
            {
                "aggregation": "AGGREGATION_AVERAGE",
                "filters": [catalog_pb2.MeterFilter(property="region", values=["eu"])],
                "transform": catalog_pb2.MeterTransform(divide_by="10", rounding="QUANTITY_ROUNDING_UP"),
            },
            {},
        ),
    }
    prices = []
    for code, (terms, price) in by_meter.items():
        request = catalog_service_pb2.CreateMeterRequest(
            request_id=new_id("req"), code=code, name=code, unit=code, **terms
        )
        meter = (await platform.stub(CatalogServiceStub).CreateMeter(request)).meter
        chosen: dict[str, Any] = {"model": "PRICE_MODEL_PER_UNIT", "unit_amount": "1.05"}
        if price:
            chosen = {**price, "unit_amount": ""}
        chosen |= {"usage": "PRICE_USAGE_METERED", "meter_id": meter.id}
        prices.append(await new_price(platform, product.id, code, **chosen))
    subscription = await subscribe(platform, *prices)

    async def report(*quantities: str, at: Any = None) -> None:
        platform.clock.advance(seconds=1)
        for code in by_meter:
            records = [
                usage_pb2.UsageRecord(
                    idempotency_key=new_id("key"),
                    subscription_id=subscription.id,
                    meter_code=code,
                    quantity=quantity,
                    recorded_at=at or timestamp(platform.clock.now() + timedelta(seconds=place)),
                    properties={"region": "eu" if place % 2 else "us", "user": f"u{place}"},
                )
                for place, quantity in enumerate(quantities)
            ]
            request = usage_service_pb2.BatchReportUsageRequest(records=records)
            answer = await platform.stub(UsageServiceStub).BatchReportUsage(request)
            assert answer.accepted == len(records), answer

    await report("10", "25.5", "3", "7.25")
    await month(platform)
    (first,) = await invoices_of(platform, subscription.id)
    fields = as_fields(await bundle_of(platform, first.id))
    assert differences(fields) == []
    await report("12", "8", at=first.period.start)
    await report("6", "9")
    await month(platform)
    second = (await invoices_of(platform, subscription.id))[1]
    again = as_fields(await bundle_of(platform, second.id))
    assert differences(again) == []
    lies: list[Callable[[Fields], object]] = [
        lambda b: charge(b, 0)["charge"]["by_record"]["cells"][0].update(quantity="1"),
        lambda b: charge(b, 0)["price"]["cells"][0].update(unit_amount="0.334"),
        lambda b: charge(b, 0)["price"].update(default_unit_amount="0.26"),
        lambda b: b["invoice"]["lines"][0]["by_record"]["cells"][0].update(amount="1"),
        lambda b: charge(b, 1)["charge"]["by_record"]["transactions"].update(paid_amount="1"),
        lambda b: charge(b, 1)["price"]["percentage"].update(percent="3"),
        lambda b: charge(b, 1)["price"]["percentage"].update(free_transactions=2),
        lambda b: charge(b, 2)["meter"].update(unique_property="region"),
        lambda b: charge(b, 6)["total"]["transform"].update(divide_by="5"),
        lambda b: b["records"][0]["properties"].update(region="eu"),
    ]
    for lie in lies:
        assert differences(fields, lie) != []


async def test_usage_that_is_invoiced_in_parts_comes_out(platform: Platform) -> None:
    thresholds = [subscription_pb2.SpendThreshold(amount_minor=500, recurring=True)]
    fee, tokens = await progressive.prices(platform)
    made = await subscribe(platform, fee, tokens, spend_thresholds=thresholds)
    for quantity in (900, 1000, 9):
        platform.clock.advance(seconds=1)
        await progressive.use(platform, made.id, quantity)
    await month(platform)
    invoices = await invoices_of(platform, made.id)
    assert len(invoices) == 3
    for one in invoices:
        assert differences(as_fields(await bundle_of(platform, one.id))) == []
    last = as_fields(await bundle_of(platform, invoices[-1].id))
    assert differences(last, lambda b: charge(b, 1)["parts"][0].update(amount="1")) != []


async def test_usage_in_the_very_instant_of_a_threshold_comes_out(platform: Platform) -> None:
    """By a clock that stands still: two parts at one moment, and usage that is not invoiced yet."""
    thresholds = [subscription_pb2.SpendThreshold(amount_minor=500, recurring=True)]
    fee, tokens = await progressive.prices(platform)
    made = await subscribe(platform, fee, tokens, spend_thresholds=thresholds)
    for quantity in (900, 1000, 9):
        await progressive.use(platform, made.id, quantity)
        for one in await invoices_of(platform, made.id):
            assert differences(as_fields(await bundle_of(platform, one.id))) == []
    (first, second) = await invoices_of(platform, made.id)
    fields = as_fields(await bundle_of(platform, first.id))
    assert differences(fields, lambda b: more(charge(b, 0)["charge"]["basis"], "record_count", 9)) != []
    await month(platform)
    for one in (first, second, (await invoices_of(platform, made.id))[-1]):
        assert differences(as_fields(await bundle_of(platform, one.id))) == []


async def test_corrected_and_retracted_records_come_out(platform: Platform) -> None:
    product, meter = await new_product(platform), await new_meter(platform)
    terms: Any = {"usage": "PRICE_USAGE_METERED", "meter_id": meter.id, "model": "PRICE_MODEL_PER_UNIT"}
    price = await new_price(platform, product.id, "tokens", unit_amount="1", **terms)
    subscription = await subscribe(platform, price)
    platform.clock.advance(seconds=1)
    records = [
        usage_pb2.UsageRecord(
            idempotency_key=key,
            subscription_id=subscription.id,
            meter_code="tokens",
            quantity=quantity,
            recorded_at=timestamp(platform.clock.now()),
        )
        for key, quantity in (("one", "5"), ("two", "7"), ("three", "11"))
    ]
    usage = platform.stub(UsageServiceStub)
    await usage.BatchReportUsage(usage_service_pb2.BatchReportUsageRequest(records=records))
    await month(platform)
    platform.clock.advance(seconds=1)
    retraction = usage_service_pb2.RetractUsageRequest(
        request_id=new_id("req"), idempotency_key="one", reason="sent twice"
    )
    await usage.RetractUsage(retraction)
    correction = usage_service_pb2.CorrectUsageRequest(
        request_id=new_id("req"), idempotency_key="two", quantity="9", reason="misread"
    )
    await usage.CorrectUsage(correction)
    await month(platform)
    for made in await invoices_of(platform, subscription.id):
        fields = as_fields(await bundle_of(platform, made.id))
        assert differences(fields) == []
        assert differences(fields, lambda b: b["records"][0].pop("corrected", None)) != []


async def test_a_commitment_a_fee_charged_once_and_deferred_revenue_come_out(platform: Platform) -> None:
    product = await new_product(platform)
    fee = await new_price(platform, product.id, "fee", unit_amount="10")
    once: Any = {"one_time": True, "interval_unit": 0}
    setup = await new_price(platform, product.id, "setup", unit_amount="7", **once)
    subscription = await subscribe(platform, fee, setup, minimum_commitment_minor=5000)
    await month(platform)
    (made,) = await invoices_of(platform, subscription.id)
    assert sorted(line.amount_minor for line in made.lines) == [700, 1000, 3300]
    fields = as_fields(await bundle_of(platform, made.id))
    assert differences(fields) == []
    place = next(n for n, line in enumerate(made.lines) if line.type == invoice_pb2.INVOICE_LINE_TYPE_TRUE_UP)
    lie = differences(fields, lambda b: more(b["invoice"]["lines"][place]["evidence"], "minimum_minor"))
    assert [one[1] for one in lie] == ["amount in minor units"]
    deferred = await invoice(platform, await customer_in(platform, "DE"), ahead("365"))
    assert differences(as_fields(await bundle_of(platform, deferred.id))) == []
    await month(platform)
    assert differences(as_fields(await bundle_of(platform, deferred.id))) == []


async def test_a_written_off_invoice_comes_out_before_and_after_some_of_it_is_paid(
    platform: Platform,
) -> None:
    made = await invoice(platform, await customer_in(platform, "DE"), item("10"))
    await pay(platform, made.id, 300)
    request = rpc.WriteOffInvoiceRequest(request_id=new_id("req"), invoice_id=made.id)
    await platform.stub(InvoiceServiceStub).WriteOffInvoice(request)
    assert differences(as_fields(await bundle_of(platform, made.id))) == []
    platform.clock.advance(days=1)
    await pay(platform, made.id, 200)
    fields = as_fields(await bundle_of(platform, made.id))
    assert differences(fields) == []
    assert differences(fields, lambda b: all_more(b["journals"][-1]["entries"])) != []


async def test_what_was_written_off_comes_out_by_a_clock_that_stands(platform: Platform) -> None:
    made = await invoice(platform, await customer_in(platform, "DE"), item("10"))
    await pay(platform, made.id, 100)
    request = rpc.WriteOffInvoiceRequest(request_id=new_id("req"), invoice_id=made.id)
    await platform.stub(InvoiceServiceStub).WriteOffInvoice(request)
    await pay(platform, made.id, 200)
    await pay(platform, made.id, 300)
    fields = as_fields(await bundle_of(platform, made.id))
    assert differences(fields) == []
    assert differences(fields, lambda b: all_more(b["journals"][-1]["entries"])) != []
    assert differences(fields, lambda b: b["invoice"].update(state="INVOICE_STATE_OPEN")) != []


@pytest.mark.parametrize("behavior", [tax_pb2.TAX_BEHAVIOR_INCLUSIVE, tax_pb2.TAX_BEHAVIOR_EXCLUSIVE])
async def test_credit_notes_come_out_until_nothing_is_left(platform: Platform, behavior: Any) -> None:
    await set_terms(platform, behavior=behavior)
    await tax_rate(platform, "19")
    ada = await customer_in(platform, "DE")
    await coupon(platform, "THIRD", percent="33.3")
    await redeem(platform, "THIRD", ada)
    await credit(platform, ada, 77)
    made = await invoice(platform, ada, item("10.01"), item("0.37"), item("3.33"))
    first, second, _ = [line.id for line in made.lines]
    await give_back(platform, made.id, **{first: 333})
    await give_back(platform, made.id, **{first: 111, second: 13})
    await give_back(platform, made.id)
    fields = as_fields(await bundle_of(platform, made.id))
    assert (len(fields["credit_notes"]), differences(fields)) == (3, [])
    assert differences(fields, lambda b: b["credit_notes"].append(b["credit_notes"][0])) != []


async def test_a_discount_of_one_subscription_comes_out_on_a_consolidated_invoice(
    platform: Platform,
) -> None:
    fee = await new_price(platform, (await new_product(platform)).id, "fee", unit_amount="100")
    details = customer_service_pb2.CustomerDetails(name="Ada", consolidate_invoices=True)
    ada = (await new_customer(platform, details=details)).id
    one, _ = [await subscribe(platform, fee, customer_id=ada) for _ in range(2)]
    await coupon(platform, "HALF", percent="50")
    discount = await redeem(platform, "HALF", ada, one.id)
    await month(platform)
    (made,) = await invoices_of(platform)
    assert [(used.discount_id, used.subscription_id) for used in made.discounts] == [(discount.id, one.id)]
    fields = as_fields(await bundle_of(platform, made.id))
    assert differences(fields) == []
    assert differences(fields, lambda b: b["invoice"]["discounts"][0].pop("subscription_id")) != []
    for line in made.lines:
        asked = rpc.ExplainLineRequest(invoice_line_id=line.id)
        told = (await platform.stub(InvoiceServiceStub).ExplainLine(asked)).explanation
        assert sum(part.amount_minor for part in told.discounts) == line.discount_minor


async def test_the_commands_explain_export_and_verify(database: TestDatabase, tmp_path: Path) -> None:
    async with running_platform(database) as platform:
        made = await rich_invoice(platform)
        code, out, err = await command("invoice", "explain", made.id, **access(platform))
        assert code == 0, err
        for told in ("graduated", "share", "also billed", "discount", "TENTH", "VAT 19 %", "77.7", "rounded"):
            assert told in out
        file = tmp_path / "invoice.json"
        code, out, err = await command(
            "invoice", "export", made.id, "--output", str(file), "--records", **access(platform)
        )
        assert (code, "Next: corebilling invoice verify" in out) == (0, True), err
        code, out, err = await command(
            "invoice", "export", "inv_none", "--output", str(file), **access(platform)
        )
        assert (code, "INVOICE_NOT_FOUND" in err) == (1, True)
    # The platform is gone, and nothing of the environment leads to one.
    nowhere = {"COREBILLING_TARGET": "127.0.0.1:1", "DATABASE_URL": ""}
    code, out, err = await command("invoice", "verify", str(file), **nowhere)
    assert (code, "comes out to the cent" in out) == (0, True), out + err
    fields = json.loads(file.read_text())
    more(fields["invoice"]["lines"][0], "amount_minor")
    file.write_text(json.dumps(fields))
    code, out, err = await command("invoice", "verify", str(file), **nowhere)
    assert (code, "differs" in out, "amount in minor units" in out) == (1, True, True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "is not JSON"),
        ("[]", "is no invoice bundle"),
        ("[" * 100_000, "nested too deeply"),
        ('{"invoice": {}}', "version None"),
        ('{"invoice": {}, "bundle_version": 2}', "version 2"),
        ('{"invoice": {"colour": 1}, "bundle_version": 1}', "no invoice bundle has"),
        ('{"invoice": {"currency": "XXX"}, "bundle_version": 1}', "is no currency"),
    ],
)
async def test_a_file_that_cannot_be_read_ends_with_2_and_a_sentence(
    tmp_path: Path, text: str, sentence: str
) -> None:
    file = tmp_path / "bundle.json"
    file.write_text(text)
    code, _, err = await command("invoice", "verify", str(file))
    assert (code, sentence in err, "Traceback" in err) == (2, True, False), err
    code, _, err = await command("invoice", "verify", str(tmp_path / "none.json"))
    assert (code, "cannot be read" in err) == (2, True)


async def test_what_looks_at_single_records_is_worked_out_again(platform: Platform):
    product = await new_product(platform)
    metered = {"usage": catalog_pb2.PRICE_USAGE_METERED, "unit_amount": ""}
    meters = [
        await new_meter(platform, "calls"),
        await new_meter(platform, "payments"),
        await new_meter(
            platform,
            "bytes",
            catalog_pb2.AGGREGATION_AVERAGE,
            transform=catalog_pb2.MeterTransform(divide_by="2", rounding=catalog_pb2.QUANTITY_ROUNDING_UP),
        ),
        await new_meter(platform, "storage", catalog_pb2.AGGREGATION_TIME_WEIGHTED),
    ]
    terms: list[dict[str, Any]] = [
        {
            "model": catalog_pb2.PRICE_MODEL_MATRIX,
            "dimensions": ["region"],
            "cells": [catalog_pb2.PriceCell(values=["eu"], unit_amount="2")],
            "default_unit_amount": "3",
            "maximum_amount": "40",
        },
        {
            "model": catalog_pb2.PRICE_MODEL_PERCENTAGE,
            "percentage": catalog_pb2.PricePercentage(
                percent="2.9", fixed_amount="0.3", free_transactions=1, minimum_amount="1"
            ),
        },
        {"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "unit_amount": "1"},
        {"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "unit_amount": "1"},
    ]
    prices = [
        await new_price(platform, product.id, meter.code, meter_id=meter.id, **{**metered, **more_terms})
        for meter, more_terms in zip(meters, terms, strict=True)
    ]
    subscription = await subscribe(platform, *prices)
    for meter in meters:
        await use(platform, subscription.id, meter.code, "5", "10", "0.5")
    await month(platform)
    for meter in meters[:2]:
        await use(platform, subscription.id, meter.code, "7")
    await month(platform)
    invoices = await invoices_of(platform, subscription.id)
    first, second = [as_fields(await bundle_of(platform, one.id)) for one in invoices]
    assert differences(first) == differences(second) == []
    assert differences(first, lambda b: charge(b, 0)["charge"]["by_record"]["cells"][0].update(quantity="9"))
    assert differences(first, lambda b: charge(b, 1)["price"]["percentage"].update(percent="9"))


async def test_a_percentage_without_transactions_has_no_terms_to_check(platform: Platform) -> None:
    product, meter = await new_product(platform), await new_meter(platform)
    price = await metered_price(
        platform,
        product.id,
        meter.id,
        "share",
        model=catalog_pb2.PRICE_MODEL_PERCENTAGE,
        unit_amount="",
        percentage=catalog_pb2.PricePercentage(percent="2.9", fixed_amount="0.3"),
    )
    subscription = await subscribe(platform, price)
    await month(platform)
    (made,) = await invoices_of(platform, subscription.id)
    assert differences(as_fields(await bundle_of(platform, made.id))) == []


async def test_records_ahead_of_the_clock_stay_with_an_item_that_is_ended(platform: Platform) -> None:
    """They were counted while the item ran, and are beyond its end since."""
    product, meter = await new_product(platform), await new_meter(platform)
    price = await metered_price(platform, product.id, meter.id, unit_amount="2")
    subscription = await subscribe(platform, price)
    await reporting.use(platform, subscription.id, 7, platform.clock.now() + timedelta(minutes=1))
    platform.clock.advance(seconds=1)
    await change(platform, subscription.id, await new_price(platform, product.id, "fee"))
    await month(platform)
    (made,) = await invoices_of(platform, subscription.id)
    line = next(line for line in made.lines if line.amount_minor == 1400)
    explained = await platform.stub(InvoiceServiceStub).ExplainLine(
        rpc.ExplainLineRequest(invoice_line_id=line.id)
    )
    assert [one.quantity for one in explained.records] == ["7"]
    assert differences(as_fields(await bundle_of(platform, made.id))) == []


@pytest.mark.parametrize(
    ("unit", "count"), [("DAY", 1), ("DAY", 10), ("WEEK", 2), ("MONTH", 1), ("MONTH", 3), ("YEAR", 1)]
)
async def test_periods_of_any_interval_come_out(platform: Platform, unit: str, count: int) -> None:
    """Where clocks change and months are short, by the customer's; the first one is a part of one."""
    product, meter = await new_product(platform), await new_meter(platform)
    terms: Any = {"interval_unit": f"INTERVAL_UNIT_{unit}", "interval_count": count}
    fee = await new_price(platform, product.id, "fee", **terms)
    tokens = await metered_price(platform, product.id, meter.id, **terms)
    details = customer_service_pb2.CustomerDetails(name="Ada", timezone="Europe/Berlin")
    ada = await new_customer(platform, details=details)
    day = {"billing_day": 31} if unit in ("MONTH", "YEAR") else {}
    subscription = await subscribe(platform, fee, tokens, customer_id=ada.id, **day)
    await reporting.use(platform, subscription.id, 3)
    for _ in range(4):
        await platform.pass_time(days=count * {"DAY": 1, "WEEK": 7, "MONTH": 31, "YEAR": 366}[unit])
    await platform.pass_time(hours=2)
    invoices = await invoices_of(platform, subscription.id)
    assert len(invoices) >= 4
    for one in invoices:
        fields = as_fields(await bundle_of(platform, one.id))
        assert differences(fields) == []
        assert differences(fields, lambda b: charge(b, 0)["price"].update(interval_count=count + 1))
