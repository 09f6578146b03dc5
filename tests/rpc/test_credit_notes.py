"""One-off invoices, invoices issued again, and credit notes."""

import io

import pypdf
from billing.credit.v1 import credit_pb2, credit_service_pb2
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceStub
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.tax.v1 import tax_pb2

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
    give_back,
    invoice,
    item,
    pay,
    redeem,
    set_terms,
    tax_rate,
    void,
)
from tests.support.platform import Platform, platform

__all__ = ["platform"]


async def reissue(
    platform: Platform, invoice_id: str, *, finalize: bool = True
) -> rpc.ReissueInvoiceResponse:
    return await platform.stub(InvoiceServiceStub).ReissueInvoice(
        rpc.ReissueInvoiceRequest(request_id=new_id("req"), invoice_id=invoice_id, finalize=finalize)
    )


async def test_a_one_off_invoice_is_a_draft_until_it_is_finalized(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    draft = await invoice(platform, ada, item("12.345", quantity="2"), item("-4"), finalize=False)
    assert (draft.state, draft.number, draft.total_minor) == (pb.INVOICE_STATE_DRAFT, "", 2069)
    assert [line.type for line in draft.lines] == [pb.INVOICE_LINE_TYPE_ONE_TIME] * 2
    assert await balances(platform) == {}
    final = (
        await platform.stub(InvoiceServiceStub).FinalizeInvoice(
            rpc.FinalizeInvoiceRequest(request_id=new_id("req"), invoice_id=draft.id)
        )
    ).invoice
    assert (final.state, final.number) == (pb.INVOICE_STATE_OPEN, "INV-2026-000001")
    await platform.drain()
    assert await platform.rows("SELECT * FROM event_handler_failures") == []


async def test_an_invoice_for_an_unknown_customer_is_refused(platform: Platform) -> None:
    refusal = await refused(invoice(platform, "cus_none", item("1")))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "CUSTOMER_NOT_FOUND")


async def test_an_item_larger_than_a_line_may_be_is_refused(platform: Platform) -> None:
    refusal = await refused(invoice(platform, (await new_customer(platform)).id, item("1" + "0" * 19)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "VALUE_OUT_OF_RANGE")


async def test_an_invoice_is_issued_again_under_the_rules_of_now(platform: Platform) -> None:
    fee = await new_price(platform, (await new_product(platform)).id, "fee")
    ada = await customer_in(platform, "DE")
    subscription = await subscribe(platform, fee, customer_id=ada)
    await platform.pass_time(days=31, seconds=3600)
    (wrong,) = await invoices_of(platform, subscription.id)
    await tax_rate(platform, "20")
    answer = await reissue(platform, wrong.id)
    await platform.drain()
    assert (answer.voided.state, answer.invoice.state) == (pb.INVOICE_STATE_VOID, pb.INVOICE_STATE_OPEN)
    assert (answer.invoice.replaces_invoice_id, answer.invoice.cycle_id) == (wrong.id, wrong.cycle_id)
    assert (answer.invoice.tax_minor, answer.invoice.total_minor) == (400, 2400)
    assert answer.invoice.number == "INV-2026-000002"
    assert await balances(platform) == {"RECEIVABLE": 2400, "REVENUE": -2000, "TAX_PAYABLE": -400}
    again = await refused(reissue(platform, wrong.id))
    assert again.reason == "INVOICE_TRANSITION_INVALID"


async def test_a_note_on_an_open_invoice_lowers_what_is_due(platform: Platform) -> None:
    await tax_rate(platform, "20")
    made = await invoice(platform, await customer_in(platform, "DE"), item("100"), item("50"))
    first, second = made.lines
    answer = await give_back(platform, made.id, **{first.id: 2500})
    note = answer.credit_note
    assert (note.number, note.subtotal_minor, note.tax_minor, note.total_minor) == (
        "CN-2026-000001",
        2500,
        500,
        3000,
    )
    assert (note.due_minor, note.refunded_minor) == (3000, 0)
    assert (answer.invoice.amount_due_minor, answer.invoice.credited_minor) == (15000, 3000)
    assert await balances(platform) == {"RECEIVABLE": 15000, "REVENUE": -12500, "TAX_PAYABLE": -2500}
    rest = await give_back(platform, made.id)
    assert rest.credit_note.total_minor == 15000
    assert (rest.invoice.state, rest.invoice.amount_due_minor) == (pb.INVOICE_STATE_PAID, 0)
    assert await balances(platform) == {}
    issued = await platform.events("credit_note.issued")
    assert [event.total_minor for event in issued] == [3000, 15000]
    more = await refused(give_back(platform, made.id, **{second.id: 1}))
    assert (more.code, more.reason) == ("INVALID_ARGUMENT", "CREDIT_EXCEEDS_INVOICE")


async def test_what_was_paid_comes_back_as_prepaid_credit(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    made = await invoice(platform, ada, item("100"))
    await pay(platform, made.id, 8000)
    answer = await give_back(platform, made.id)
    assert (answer.credit_note.due_minor, answer.credit_note.refunded_minor) == (2000, 8000)
    assert answer.invoice.state == pb.INVOICE_STATE_PAID
    assert await balances(platform) == {"CASH": 8000, "CUSTOMER_CREDIT": -8000}
    held = (
        await platform.stub(CreditServiceStub).GetCredit(
            credit_service_pb2.GetCreditRequest(credit_id=answer.credit_note.credit_id)
        )
    ).credit
    assert (held.kind, held.remaining_minor) == (credit_pb2.CREDIT_KIND_PREPAID, 8000)
    later = await invoice(platform, ada, item("50"))
    assert (later.prepaid_minor, later.amount_due_minor, later.state) == (5000, 0, pb.INVOICE_STATE_PAID)


async def test_notes_give_back_neither_discounts_nor_credits_used_before_tax(platform: Platform) -> None:
    await tax_rate(platform, "20")
    ada = await customer_in(platform, "DE")
    await coupon(platform, "TEN", percent="10")
    await redeem(platform, "TEN", ada)
    await credit(platform, ada, 1000)
    made = await invoice(platform, ada, item("66.67"), item("33.33"))
    for line in made.lines:
        await give_back(platform, made.id, **{line.id: line.amount_minor})
    notes = (
        await platform.stub(InvoiceServiceStub).ListCreditNotes(
            rpc.ListCreditNotesRequest(invoice_id=made.id)
        )
    ).credit_notes
    assert sum(note.total_minor for note in notes) == made.total_minor == 9600
    assert sum(note.tax_minor for note in notes) == made.tax_minor
    assert await balances(platform) == {"EXPENSE": 1000, "REVENUE": -1000}


async def test_notes_on_inclusive_amounts_take_the_tax_out_of_them(platform: Platform) -> None:
    await tax_rate(platform, "20")
    await set_terms(platform, behavior=tax_pb2.TAX_BEHAVIOR_INCLUSIVE)
    made = await invoice(platform, await customer_in(platform, "DE"), item("120"))
    note = (await give_back(platform, made.id, **{made.lines[0].id: 3000})).credit_note
    assert (note.subtotal_minor, note.tax_minor, note.total_minor) == (2500, 500, 3000)


async def test_drafts_are_not_given_back_nor_are_credited_invoices_voided(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    draft = await invoice(platform, ada, item("10"), finalize=False)
    refusal = await refused(give_back(platform, draft.id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "INVOICE_NOT_CREDITABLE")
    made = await invoice(platform, ada, item("10"))
    await give_back(platform, made.id, **{made.lines[0].id: 100})
    refusal = await refused(void(platform, made.id))
    assert (refusal.reason, refusal.facts) == ("INVOICE_HAS_CREDIT_NOTES", {"credited_minor": "100"})


async def test_credits_used_after_tax_come_back_as_what_they_were(platform: Platform) -> None:
    await set_terms(platform, credit_application=tax_pb2.CREDIT_APPLICATION_AFTER_TAX)
    ada = (await new_customer(platform)).id
    first, second = await credit(platform, ada, 3000), await credit(platform, ada, 2000)
    made = await invoice(platform, ada, item("60"))
    assert (made.total_minor, made.amount_due_minor) == (1000, 1000)
    await pay(platform, made.id, 1000)
    (line,) = made.lines
    answers = [await give_back(platform, made.id, **{line.id: amount}) for amount in (1500, 4500)]
    notes = [answer.credit_note for answer in answers]
    # What was paid comes first.
    assert [(note.refunded_minor, note.returned_minor) for note in notes] == [(1000, 500), (0, 4500)]
    assert [await credit_left(platform, one.id) for one in (first, second)] == [3000, 2000]
    assert await balances(platform) == {"CASH": 1000, "EXPENSE": 5000, "CUSTOMER_CREDIT": -6000}
    returned = await platform.events("credit.reversed")
    assert [(one.credit_id, one.amount_minor) for one in returned] == [
        (first.id, 500),
        (first.id, 2500),
        (second.id, 2000),
    ]


async def test_a_note_is_a_change_of_the_invoice(platform: Platform) -> None:
    made = await invoice(platform, (await new_customer(platform)).id, item("10"))
    answer = await give_back(platform, made.id, **{made.lines[0].id: 100})
    assert answer.invoice.version == made.version + 1
    (credited,) = await platform.events("invoice.credited")
    assert (credited.credit_note_id, credited.amount_minor) == (answer.credit_note.id, 100)
    assert credited.amount_due_minor == 900


async def test_a_note_over_nothing_is_refused(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    made, below_zero = await invoice(platform, ada, item("10")), await invoice(platform, ada, item("-10"))
    refusals = [
        await refused(give_back(platform, made.id, ili_unknown=0)),
        await refused(give_back(platform, made.id, **{made.lines[0].id: 0})),
        await refused(give_back(platform, below_zero.id)),
    ]
    await give_back(platform, made.id)
    refusals.append(await refused(give_back(platform, made.id)))
    assert [(one.code, one.reason) for one in refusals] == [
        ("INVALID_ARGUMENT", "CREDIT_EXCEEDS_INVOICE")
    ] * 4


async def test_an_invoice_below_zero_becomes_prepaid_credit(platform: Platform) -> None:
    await tax_rate(platform, "20")
    ada = await customer_in(platform, "DE")
    made = await invoice(platform, ada, item("-10"))
    assert (made.total_minor, made.prepaid_minor, made.amount_due_minor) == (-1200, -1200, 0)
    assert made.state == pb.INVOICE_STATE_PAID
    (use,) = made.credits
    assert (await credit_left(platform, use.credit_id), use.amount_minor) == (1200, -1200)
    assert await balances(platform) == {"REVENUE": 1000, "TAX_PAYABLE": 200, "CUSTOMER_CREDIT": -1200}
    (granted,) = await platform.events("credit.granted")
    assert (granted.credit_id, granted.amount_minor) == (use.credit_id, 1200)
    later = await invoice(platform, ada, item("25"))
    assert (later.prepaid_minor, later.amount_due_minor) == (1200, 1800)
    request = rpc.RenderInvoiceRequest(invoice_id=made.id)
    printed = await platform.stub(InvoiceServiceStub).RenderInvoice(request)
    text = pypdf.PdfReader(io.BytesIO(printed.pdf)).pages[0].extract_text()
    assert "Kept as credit" in text
    assert "Please pay" not in text


async def test_a_draft_below_zero_becomes_credit_once_it_is_finalized(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    draft = await invoice(platform, ada, item("-10"), finalize=False)
    assert (draft.amount_due_minor, await platform.events("credit.granted")) == (-1000, [])
    request = rpc.FinalizeInvoiceRequest(request_id=new_id("req"), invoice_id=draft.id)
    final = (await platform.stub(InvoiceServiceStub).FinalizeInvoice(request)).invoice
    assert (final.prepaid_minor, final.amount_due_minor) == (-1000, 0)
    assert [use.amount_minor for use in final.credits] == [-1000]


async def test_a_draft_can_be_discarded_and_holds_nothing_then(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    held = await credit(platform, ada, 1000)
    draft = await invoice(platform, ada, item("10"), finalize=False)
    assert (await void(platform, draft.id)).state == pb.INVOICE_STATE_VOID
    assert await credit_left(platform, held.id) == 1000
    assert await balances(platform) == {"EXPENSE": 1000, "CUSTOMER_CREDIT": -1000}
    final = await invoice(platform, ada, item("30"))
    assert (final.number, final.credit_minor) == ("INV-2026-000001", 1000)


async def test_what_comes_back_of_a_voided_credit_is_void_too(platform: Platform) -> None:
    await tax_rate(platform, "20")
    await tax_rate(platform, "0", category="free")
    ada = await customer_in(platform, "DE")
    held = await credit(platform, ada, 10000)
    # It leaves something of the credit, and something due: the tax.
    made = await invoice(platform, ada, item("100"), item("-30", "free"))
    assert (made.credit_minor, made.amount_due_minor) == (7000, 600)
    request = credit_service_pb2.VoidCreditRequest(request_id=new_id("req"), credit_id=held.id)
    await platform.stub(CreditServiceStub).VoidCredit(request)
    await void(platform, made.id)
    assert [one.amount_minor for one in await platform.events("credit.voided")] == [3000, 7000]
    assert (await credit_left(platform, held.id), await balances(platform)) == (0, {})


async def test_an_invoice_issued_again_is_taxed_by_category_though_there_were_no_rates(
    platform: Platform,
) -> None:
    product = await new_product(platform, tax_category="book")
    fee = await new_price(platform, product.id, "fee", unit_amount="100")
    ada = await customer_in(platform, "DE")
    subscription = await subscribe(platform, fee, customer_id=ada)
    await platform.pass_time(days=31, seconds=3600)
    (wrong,) = await invoices_of(platform, subscription.id)
    await tax_rate(platform, "19")
    await tax_rate(platform, "7", category="book")
    assert (await reissue(platform, wrong.id)).invoice.tax_minor == 700
