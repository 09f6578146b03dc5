"""What is due is given up, and may still be paid."""

import asyncio
from typing import Any

import pytest
from billing.invoice.v1 import invoice_pb2 as pb
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub

from corebilling.values.ids import new_id
from tests.support.app import refused
from tests.support.money import balances, customer_in, give_back, invoice, item, pay, tax_rate, void
from tests.support.platform import Platform, platform

__all__ = ["platform"]


async def write_off(platform: Platform, invoice_id: str, request_id: str = "") -> pb.Invoice:
    request = rpc.WriteOffInvoiceRequest(request_id=request_id or new_id("req"), invoice_id=invoice_id)
    return (await platform.stub(InvoiceServiceStub).WriteOffInvoice(request)).invoice


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
