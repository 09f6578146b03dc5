"""What is due is given up, and may still be paid."""

import asyncio
from typing import Any

import pytest
from billing.credit.v1 import credit_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub

from tests.rpc.test_books import verify
from tests.rpc.test_rerating import START, invoiced
from tests.support.app import refused
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.correction import rerate, retract
from tests.support.invoice import invoices_of
from tests.support.money import (
    apply_credits,
    balances,
    coupon,
    credit,
    customer_in,
    give_back,
    invoice,
    item,
    pay,
    redeem,
    tax_rate,
    void,
    write_off,
)
from tests.support.platform import Platform, platform
from tests.support.reporting import use

__all__ = ["platform"]


async def owed(platform: Platform) -> pb.Invoice:
    """119.00 with 19.00 tax, of which 9.00 are paid."""
    await tax_rate(platform, "19")
    made = await invoice(platform, await customer_in(platform, "DE"), item("100"))
    return await pay(platform, made.id, 900)


async def test_what_is_due_becomes_bad_debt_and_its_tax_stays_payable(platform: Platform) -> None:
    given_up = await write_off(platform, (await owed(platform)).id)
    assert (given_up.state, given_up.amount_due_minor) == (pb.INVOICE_STATE_UNCOLLECTIBLE, 11000)
    assert given_up.HasField("written_off_at")
    assert await balances(platform) == {
        "CASH": 900,
        "BAD_DEBT": 11000,
        "REVENUE": -10000,
        "TAX_PAYABLE": -1900,
    }
    (event,) = await platform.events("invoice.written_off")
    assert (event.invoice_id, event.number, event.amount_minor) == (given_up.id, given_up.number, 11000)
    change = (await platform.events("invoice.status.changed"))[-1]
    assert (getattr(change, "from"), change.to) == (pb.INVOICE_STATE_OPEN, pb.INVOICE_STATE_UNCOLLECTIBLE)


async def test_a_later_payment_is_a_recovery_and_the_last_one_pays_the_invoice(platform: Platform) -> None:
    given_up = await write_off(platform, (await owed(platform)).id)
    partly = await pay(platform, given_up.id, 1000)
    assert (partly.state, partly.amount_due_minor) == (pb.INVOICE_STATE_UNCOLLECTIBLE, 10000)
    assert (await balances(platform))["BAD_DEBT"] == 10000
    paid = await pay(platform, given_up.id, 10000)
    assert (paid.state, paid.amount_due_minor, paid.amount_paid_minor) == (pb.INVOICE_STATE_PAID, 0, 11900)
    assert await balances(platform) == {"CASH": 11900, "REVENUE": -10000, "TAX_PAYABLE": -1900}
    assert [event.recovered for event in await platform.events("invoice.payment.recorded")] == [
        False,
        True,
        True,
    ]
    statement = await platform.stub(LedgerServiceStub).GetStatement(
        ledger_service_pb2.GetStatementRequest(customer_id=paid.customer_id)
    )
    assert [(line.source_type, line.change.owed_minor) for line in statement.lines] == [
        ("invoice.finalized", 11900),
        ("payment.recorded", -900),
        ("invoice.written_off", -11000),
        ("invoice.recovered", 1000),
        ("payment.recorded", -1000),
        ("invoice.recovered", 10000),
        ("payment.recorded", -10000),
    ]
    assert {line.number for line in statement.lines} == {paid.number}


async def test_no_more_is_recovered_than_was_due(platform: Platform) -> None:
    given_up = await write_off(platform, (await owed(platform)).id)
    refusal = await refused(pay(platform, given_up.id, 11001))
    assert (refusal.reason, refusal.facts) == ("PAYMENT_AMOUNT_INVALID", {"amount_due_minor": "11000"})
    assert refusal.message == "A payment is in USD, above zero and at most the 110.00 that are due."


@pytest.mark.parametrize("state", ["draft", "paid", "void", "uncollectible"])
async def test_only_what_is_open_is_written_off(platform: Platform, state: str) -> None:
    customer_id = await customer_in(platform, "DE")
    made = await invoice(platform, customer_id, item("5"), finalize=state != "draft")
    steps: dict[str, Any] = {
        "paid": lambda: pay(platform, made.id, 500),
        "void": lambda: void(platform, made.id),
        "uncollectible": lambda: write_off(platform, made.id),
    }
    if state in steps:
        await steps[state]()
    refusal = await refused(write_off(platform, made.id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "INVOICE_TRANSITION_INVALID")
    assert refusal.facts == {"from": state, "to": "uncollectible"}


async def test_what_was_written_off_is_neither_voided_nor_credited(platform: Platform) -> None:
    made = await invoice(platform, await customer_in(platform, "DE"), item("5"))
    await write_off(platform, made.id)
    assert (await refused(void(platform, made.id))).reason == "INVOICE_TRANSITION_INVALID"
    assert (await refused(give_back(platform, made.id))).reason == "INVOICE_NOT_CREDITABLE"


async def corrected(platform: Platform, how: str) -> pb.Invoice:
    """500.00 of usage and a fee of 31.00, never paid; of the usage nothing is left, but prepaid credit."""
    made = await invoiced(platform, 500)
    (first,) = await invoices_of(platform)
    if how == "retracted":
        await retract(platform, "first")
        await platform.pass_time(days=31)  # The next fee is taken off the credit.
    else:
        free = await made.price(platform, "free", unit_amount="0")
        await rerate(platform, made.cycle_id, made.tokens.id, free)
    return first


@pytest.mark.parametrize(("how", "due_minor"), [("retracted", 6200), ("rerated", 3100)])
async def test_what_corrections_gave_back_is_set_off_before_the_rest_is_written_off(
    platform: Platform, how: str, due_minor: int
) -> None:
    first = await corrected(platform, how)
    refusal = await refused(write_off(platform, first.id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "INVOICE_HAS_CORRECTIONS")
    assert refusal.facts == {"invoice_id": first.id, "credit_minor": str(53100 - due_minor)}
    assert "ApplyCredits" in refusal.message
    await apply_credits(platform, first.id)
    given_up = await write_off(platform, first.id)
    assert (given_up.state, given_up.amount_due_minor) == (pb.INVOICE_STATE_UNCOLLECTIBLE, due_minor)
    assert await balances(platform) == {"BAD_DEBT": due_minor, "REVENUE": -due_minor}
    assert (await verify(platform)).sound
    assert differences(as_fields(await bundle_of(platform, first.id))) == []


async def test_what_was_given_back_and_used_elsewhere_is_lost_like_the_rest(platform: Platform) -> None:
    first = await corrected(platform, "rerated")
    other = await invoice(platform, first.customer_id, item("500"))
    assert other.amount_due_minor == 0
    await write_off(platform, first.id)
    assert await balances(platform) == {"BAD_DEBT": 53100, "REVENUE": -53100}


async def test_what_is_no_more_than_corrections_left_is_written_off_beside_credit(platform: Platform) -> None:
    first = await corrected(platform, "rerated")
    await pay(platform, first.id, 49999)
    assert (await refused(write_off(platform, first.id))).reason == "INVOICE_HAS_CORRECTIONS"
    await pay(platform, first.id, 1)
    assert (await write_off(platform, first.id)).amount_due_minor == 3100


async def test_credit_that_no_correction_gave_does_not_stand_in_the_way(platform: Platform) -> None:
    """Whatever discounts, credit notes and taxes made of it."""
    await tax_rate(platform, "19")
    ada = await customer_in(platform, "DE")
    await coupon(platform, "THIRD", percent="33.333")
    await redeem(platform, "THIRD", ada)
    made = await invoice(platform, ada, item("66.67"), item("33.33"), item("0.01"))
    await give_back(platform, made.id, **{line.id: line.amount_minor // 3 for line in made.lines[:2]})
    await credit(platform, ada, 100, kind=credit_pb2.CREDIT_KIND_PREPAID)
    assert (await write_off(platform, made.id)).state == pb.INVOICE_STATE_UNCOLLECTIBLE


async def test_late_usage_does_not_stand_in_the_way(platform: Platform) -> None:
    made = await invoiced(platform, 5)
    (first,) = await invoices_of(platform)
    await use(platform, made.subscription_id, 7, START, key="late")
    await platform.pass_time(days=31)
    await credit(platform, made.customer_id, 100, kind=credit_pb2.CREDIT_KIND_PREPAID)
    assert (await write_off(platform, first.id)).amount_due_minor == 3600


async def test_it_happens_once_however_often_it_is_asked_for(platform: Platform) -> None:
    made = await invoice(platform, await customer_in(platform, "DE"), item("5"))
    first = await write_off(platform, made.id, "one")
    assert await write_off(platform, made.id, "one") == first
    assert (await balances(platform))["BAD_DEBT"] == 500


async def test_a_payment_and_a_write_off_at_once_leave_the_books_whole(platform: Platform) -> None:
    made = await invoice(platform, await customer_in(platform, "DE"), item("5"))
    await asyncio.gather(
        write_off(platform, made.id),
        *(pay(platform, made.id, 100) for _ in range(3)),
        return_exceptions=False,
    )
    found = await balances(platform)
    assert (found["CASH"], found["BAD_DEBT"], found.get("RECEIVABLE", 0)) == (300, 200, 0)


async def test_another_tenant_does_not_find_it(platform: Platform) -> None:
    made = await invoice(platform, await customer_in(platform, "DE"), item("5"))
    _, key = await platform.new_tenant("other")
    request = rpc.WriteOffInvoiceRequest(request_id="r", invoice_id=made.id)
    refusal = await refused(platform.stub(InvoiceServiceStub, key=key).WriteOffInvoice(request))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "INVOICE_NOT_FOUND")
