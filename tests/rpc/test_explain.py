"""Every line says where each cent of it comes from."""

from datetime import timedelta
from fractions import Fraction
from typing import Any

from billing.catalog.v1 import catalog_pb2
from billing.credit.v1 import credit_pb2
from billing.invoice.v1 import bundle_pb2 as pb
from billing.invoice.v1 import invoice_pb2
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.rating.v1 import rating_pb2
from billing.tax.v1 import tax_pb2

from corebilling.mapping import instant
from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.catalog import change, new_meter, new_price, new_product, subscribe
from tests.support.money import (
    coupon,
    credit,
    customer_in,
    invoice,
    item,
    redeem,
    set_terms,
    tax_rate,
    void,
)
from tests.support.platform import Platform, platform
from tests.support.reporting import use_in_turn

__all__ = ["platform"]

TIERS = [
    catalog_pb2.PriceTier(up_to="100", unit_amount="0.5", flat_amount="3"),
    catalog_pb2.PriceTier(unit_amount="0.25"),
]


async def explain(
    platform: Platform, line_id: str, **request: Any
) -> tuple[pb.LineExplanation, rpc.ExplainLineResponse]:
    answer = await platform.stub(InvoiceServiceStub).ExplainLine(
        rpc.ExplainLineRequest(invoice_line_id=line_id, **request)
    )
    return answer.explanation, answer


async def metered(platform: Platform, code: str = "tokens", **terms: Any) -> catalog_pb2.Price:
    product, meter = await new_product(platform, code), await new_meter(platform, code)
    return await new_price(
        platform,
        product.id,
        code,
        usage=catalog_pb2.PRICE_USAGE_METERED,
        meter_id=meter.id,
        **{"model": catalog_pb2.PRICE_MODEL_PER_UNIT, "unit_amount": "0.015", **terms},
    )


async def month(platform: Platform) -> None:
    await platform.pass_time(days=31, seconds=3600)


async def lines_of(platform: Platform, subscription_id: str) -> list[invoice_pb2.InvoiceLine]:
    """Of the newest invoice."""
    stub = platform.stub(InvoiceServiceStub)
    listed = await stub.ListInvoices(rpc.ListInvoicesRequest(subscription_id=subscription_id))
    answer = await stub.GetInvoice(rpc.GetInvoiceRequest(invoice_id=listed.invoices[0].id))
    return list(answer.invoice.lines)


async def test_a_usage_line_names_its_price_its_total_its_tiers_and_its_records(platform: Platform) -> None:
    price = await metered(platform, tiers=TIERS, model=catalog_pb2.PRICE_MODEL_GRADUATED, unit_amount="")
    subscription = await subscribe(platform, price)
    start = platform.clock.now()
    await use_in_turn(platform, subscription.id, "100", "0.5", "7")
    await month(platform)
    (line,) = await lines_of(platform, subscription.id)
    told, answer = await explain(platform, line.id)
    assert told.line == line
    assert told.evidence.price == price
    charge = told.evidence.charge
    assert (charge.id, charge.quantity, charge.amount) == (line.charge_id, "107.5", "54.875")
    assert (told.exact_amount, line.amount_minor, told.rounding_minor) == ("54.875", 5488, "0.5")
    assert (charge.basis.record_count, instant(charge.basis.first_recorded_at)) == (3, start)
    assert [tier.amount for tier in charge.tiers] == ["53", "1.875"]
    total = told.evidence.total
    assert (total.quantity, total.billed_quantity, total.aggregation) == (
        "107.5",
        "107.5",
        catalog_pb2.AGGREGATION_SUM,
    )
    (part,) = told.evidence.parts
    assert (part.charge_id, part.lines[0].invoice_line_id) == (charge.id, line.id)
    assert [record.quantity for record in answer.records] == ["100", "0.5", "7"]
    assert [instant(record.recorded_at) - start for record in answer.records] == [
        timedelta(seconds=second) for second in range(3)
    ]
    assert answer.next_page_token == ""


async def test_records_come_in_pages_across_hours(platform: Platform) -> None:
    subscription = await subscribe(platform, await metered(platform))
    for hour in range(3):
        await use_in_turn(platform, subscription.id, *(str(hour * 10 + n) for n in range(4)))
        platform.clock.advance(seconds=3600)
    await month(platform)
    (line,) = await lines_of(platform, subscription.id)
    found, token = [], ""
    for _ in range(5):
        _, answer = await explain(platform, line.id, page_size=3, page_token=token)
        assert len(answer.records) <= 3
        found += [record.quantity for record in answer.records]
        token = answer.next_page_token
        if not token:
            break
    assert found == [str(hour * 10 + n) for hour in range(3) for n in range(4)]


async def test_an_adjustment_names_what_was_billed_before_and_on_which_invoice(platform: Platform) -> None:
    subscription = await subscribe(platform, await metered(platform))
    start = platform.clock.now()
    await use_in_turn(platform, subscription.id, "100")
    await month(platform)
    (first,) = await lines_of(platform, subscription.id)
    platform.clock.advance(seconds=1)
    await use_in_turn(platform, subscription.id, "11", at=start)
    await month(platform)
    (*_, line) = await lines_of(platform, subscription.id)
    told, answer = await explain(platform, line.id)
    assert line.type == invoice_pb2.INVOICE_LINE_TYPE_ADJUSTMENT
    assert told.evidence.charge.basis.quantity_before == "100"
    assert [(part.kind, part.quantity) for part in told.evidence.parts] == [
        (rating_pb2.CHARGE_KIND_USAGE, "100"),
        (rating_pb2.CHARGE_KIND_ADJUSTMENT, "11"),
    ]
    assert told.evidence.parts[0].lines[0].invoice_line_id == first.id
    assert [record.quantity for record in answer.records] == ["11"]
    assert [record.quantity for record in (await explain(platform, first.id))[1].records] == ["100"]


async def test_a_prorated_fee_names_its_span_and_its_share(platform: Platform) -> None:
    product = await new_product(platform)
    small = await new_price(platform, product.id, "small", unit_amount="31")
    large = await new_price(platform, product.id, "large", unit_amount="62")
    subscription = await subscribe(platform, small)
    start = platform.clock.now()
    platform.clock.advance(days=10)
    await change(platform, subscription.id, large)
    await platform.pass_time(days=21, seconds=3600)
    first, second = await lines_of(platform, subscription.id)
    months = [(await explain(platform, line.id))[0].evidence.charge.basis for line in (first, second)]
    spans = [(instant(basis.span.start), instant(basis.span.end)) for basis in months]
    turn = start + timedelta(days=10)
    assert spans == [(start, turn), (turn, instant(months[0].full_period.end))]
    assert sum(Fraction(basis.share) for basis in months) == 1
    assert months[0].share == "10/31"


async def test_a_lines_part_of_discounts_credits_and_taxes_is_told_with_the_residue(
    platform: Platform,
) -> None:
    await tax_rate(platform, "19")
    ada = await customer_in(platform, "DE")
    await coupon(platform, "TEN", percent="10")
    discount = await redeem(platform, "TEN", ada)
    held = await credit(platform, ada, 100)
    await credit(platform, ada, 50, kind=credit_pb2.CREDIT_KIND_PREPAID)
    made = await invoice(platform, ada, item("0.33"), item("0.33"), item("9.34"))
    told = [(await explain(platform, line.id))[0] for line in made.lines]
    assert [one.discounts[0].amount_minor for one in told] == [3, 3, 94]
    assert {(one.discounts[0].discount_id, one.discounts[0].percent) for one in told} == {(discount.id, "10")}
    assert [one.taxable_minor for one in told] == [26, 27, 747]
    assert {(one.credits[0].credit_id, one.credits[0].available_minor) for one in told} == {(held.id, 100)}
    taxes = [one.taxes[0] for one in told]
    assert [(tax.exact_minor, tax.tax_minor) for tax in taxes] == [("4.94", 5), ("5.13", 5), ("141.93", 142)]
    assert sum(tax.tax_minor for tax in taxes) == made.tax_minor
    assert [one.line.tax_minor for one in told] == [tax.tax_minor for tax in taxes]


async def test_lines_of_one_off_reissued_and_voided_invoices_explain_themselves(platform: Platform) -> None:
    ada = await customer_in(platform, "DE")
    made = await invoice(platform, ada, item("3.333", quantity="2"))
    await void(platform, made.id)
    told, answer = await explain(platform, made.lines[0].id)
    assert told.invoice_state == invoice_pb2.INVOICE_STATE_VOID
    assert not told.HasField("evidence")
    assert (told.exact_amount, told.rounding_minor) == ("6.666", "0.4")
    subscription = await subscribe(platform, await metered(platform))
    await use_in_turn(platform, subscription.id, "100")
    await month(platform)
    (line,) = await lines_of(platform, subscription.id)
    stub = platform.stub(InvoiceServiceStub)
    old = (await explain(platform, line.id))[0].invoice_id
    await set_terms(platform, behavior=tax_pb2.TAX_BEHAVIOR_INCLUSIVE)
    again = await stub.ReissueInvoice(rpc.ReissueInvoiceRequest(request_id=new_id("req"), invoice_id=old))
    told, answer = await explain(platform, again.invoice.lines[0].id)
    assert [record.quantity for record in answer.records] == ["100"]
    assert told.tax_behavior == tax_pb2.TAX_BEHAVIOR_INCLUSIVE
    (part,) = told.evidence.parts
    assert [held.invoice_state for held in part.lines] == [
        invoice_pb2.INVOICE_STATE_VOID,
        invoice_pb2.INVOICE_STATE_DRAFT,
    ]
    assert (await explain(platform, line.id))[0].evidence.charge == told.evidence.charge


async def test_another_tenants_line_and_strange_tokens_are_refused_by_name(platform: Platform) -> None:
    ada = await customer_in(platform, "DE")
    made = await invoice(platform, ada, item("1"))
    _, key = await platform.new_tenant("other")
    stub = platform.stub(InvoiceServiceStub, key=key)
    refusal = await refused(stub.ExplainLine(rpc.ExplainLineRequest(invoice_line_id=made.lines[0].id)))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "INVOICE_LINE_NOT_FOUND")
    refusal = await refused(stub.ExportInvoice(rpc.ExportInvoiceRequest(invoice_id=made.id)))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "INVOICE_NOT_FOUND")
    for token in ("?", "WyJ4IiwieSIsIiIsIiJd", "WyJyZWNvcmRzIiwiLTEiLCIiLCIiXQ"):
        request = rpc.ExportInvoiceRequest(invoice_id=made.id, page_token=token)
        refusal = await refused(platform.stub(InvoiceServiceStub).ExportInvoice(request))
        assert refusal.reason == "PAGE_TOKEN_INVALID"
