"""Prepaid credits that came later are set off against what is due of an open invoice."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from billing.credit.v1 import credit_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.ledger.v1 import ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub

from corebilling.mapping import instant, timestamp
from tests.rpc.test_books import verify
from tests.rpc.test_rerating import invoiced
from tests.support.app import refused
from tests.support.bundle import as_fields, bundle_of, differences
from tests.support.catalog import new_customer
from tests.support.correction import retract
from tests.support.invoice import invoices_of
from tests.support.money import (
    apply_credits,
    balances,
    credit,
    credit_left,
    customer_in,
    give_back,
    invoice,
    item,
    pay,
    tax_rate,
    void,
    write_off,
)
from tests.support.platform import Platform, platform

__all__ = ["platform"]

PREPAID = credit_pb2.CREDIT_KIND_PREPAID


async def owed(platform: Platform, unit_amount: str = "100") -> pb.Invoice:
    return await invoice(platform, (await new_customer(platform)).id, item(unit_amount))


async def check(platform: Platform, invoice_id: str) -> None:
    """The books are sound, and the invoice follows from its evidence."""
    assert (await verify(platform)).sound
    assert differences(as_fields(await bundle_of(platform, invoice_id))) == []


async def test_what_a_correction_gave_back_is_set_off(platform: Platform) -> None:
    await invoiced(platform, 500)
    await retract(platform, "first")
    await platform.pass_time(days=31)
    first, gave = await invoices_of(platform)
    assert (first.amount_due_minor, gave.prepaid_minor) == (53100, -46900)
    applied = await apply_credits(platform, first.id)
    assert (applied.state, applied.amount_due_minor, applied.prepaid_minor) == (
        pb.INVOICE_STATE_OPEN,
        6200,
        46900,
    )
    (use,) = applied.credits
    assert (use.credit_id, use.kind) == (gave.credits[0].credit_id, PREPAID)
    assert (use.amount_minor, use.available_minor) == (46900, 46900)
    assert use.HasField("applied_at")
    assert await credit_left(platform, use.credit_id) == 0
    (told,) = await platform.events("credit.applied")
    assert (told.credit_id, told.invoice_id, told.amount_minor, told.remaining_minor) == (
        use.credit_id,
        first.id,
        46900,
        0,
    )
    (told,) = await platform.events("invoice.credits_applied")
    assert (told.invoice_id, told.number, told.currency) == (first.id, first.number, "USD")
    assert (told.amount_minor, told.amount_due_minor) == (46900, 6200)
    assert await balances(platform) == {"RECEIVABLE": 6200, "REVENUE": -6200}
    statement = await platform.stub(LedgerServiceStub).GetStatement(
        ledger_service_pb2.GetStatementRequest(customer_id=first.customer_id)
    )
    last = statement.lines[-1]
    assert (last.source_type, last.number) == ("invoice.credits_applied", first.number)
    assert (last.change.owed_minor, last.change.credit_minor) == (-46900, -46900)
    await check(platform, first.id)
    await check(platform, gave.id)


async def test_credits_are_used_in_their_order_and_only_those_that_hold(platform: Platform) -> None:
    made = await owed(platform)
    ada, now = made.customer_id, platform.clock.now()
    later = await credit(platform, ada, 9000, kind=PREPAID, priority=2)
    sooner = await credit(platform, ada, 4000, kind=PREPAID, priority=1)
    others: list[dict[str, Any]] = [
        {},
        {"kind": PREPAID, "currency": "EUR"},
        {"kind": PREPAID, "valid_from": timestamp(now + timedelta(days=1))},
        {"kind": PREPAID, "valid_until": timestamp(now + timedelta(microseconds=1))},
    ]
    left = [await credit(platform, ada, 700, **terms) for terms in others]
    platform.clock.advance(seconds=1)
    paid = await apply_credits(platform, made.id)
    assert [(use.credit_id, use.amount_minor, use.available_minor) for use in paid.credits] == [
        (sooner.id, 4000, 4000),
        (later.id, 6000, 9000),
    ]
    assert {instant(use.applied_at) for use in paid.credits} == {instant(paid.paid_at)}
    assert (paid.state, paid.amount_due_minor, paid.amount_paid_minor) == (pb.INVOICE_STATE_PAID, 0, 0)
    assert await credit_left(platform, later.id) == 3000
    assert [await credit_left(platform, one.id) for one in left] == [700] * len(left)
    (event,) = await platform.events("invoice.paid")
    assert (event.invoice_id, event.amount_paid_minor) == (made.id, 0)
    change = (await platform.events("invoice.status.changed"))[-1]
    assert (getattr(change, "from"), change.to) == (pb.INVOICE_STATE_OPEN, pb.INVOICE_STATE_PAID)
    await check(platform, made.id)


async def test_what_was_used_comes_back_when_the_invoice_is_voided(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    held = await credit(platform, ada, 1000, kind=PREPAID)
    reserved = await invoice(platform, ada, item("4"), finalize=False)
    made = await invoice(platform, ada, item("15"))
    assert (made.prepaid_minor, made.amount_due_minor) == (600, 900)
    await void(platform, reserved.id)
    applied = await apply_credits(platform, made.id)
    assert [(use.credit_id, use.amount_minor) for use in applied.credits] == [(held.id, 600), (held.id, 400)]
    other = await credit(platform, ada, 100, kind=PREPAID)
    platform.clock.advance(seconds=1)
    applied = await apply_credits(platform, made.id)
    assert (applied.prepaid_minor, applied.amount_due_minor) == (1100, 400)
    await check(platform, made.id)
    await void(platform, made.id)
    assert (await credit_left(platform, held.id), await credit_left(platform, other.id)) == (1000, 100)
    assert await balances(platform) == {"CASH": 1100, "CUSTOMER_CREDIT": -1100}
    await check(platform, made.id)


async def test_a_credit_note_gives_back_what_was_used_as_prepaid_credit(platform: Platform) -> None:
    await tax_rate(platform, "19")
    ada = await customer_in(platform, "DE")
    made = await invoice(platform, ada, item("100"))
    await credit(platform, ada, 3000, kind=PREPAID)
    await apply_credits(platform, made.id)
    await pay(platform, made.id, 900)
    answer = await give_back(platform, made.id)
    assert (answer.credit_note.due_minor, answer.credit_note.refunded_minor) == (8000, 3900)
    assert answer.invoice.state == pb.INVOICE_STATE_PAID
    assert await balances(platform) == {"CASH": 3900, "CUSTOMER_CREDIT": -3900}
    await check(platform, made.id)


@pytest.mark.parametrize(
    ("state", "instead"),
    [
        ("draft", "finalize it first"),
        ("paid", "nothing of it is due"),
        ("void", "it was withdrawn"),
        ("uncollectible", "it was written off"),
    ],
)
async def test_only_what_is_open_is_set_off(platform: Platform, state: str, instead: str) -> None:
    ada = (await new_customer(platform)).id
    made = await invoice(platform, ada, item("5"), finalize=state != "draft")
    steps: dict[str, Any] = {
        "paid": lambda: pay(platform, made.id, 500),
        "void": lambda: void(platform, made.id),
        "uncollectible": lambda: write_off(platform, made.id),
    }
    if state in steps:
        await steps[state]()
    held = await credit(platform, ada, 300, kind=PREPAID)
    refusal = await refused(apply_credits(platform, made.id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "INVOICE_TRANSITION_INVALID")
    assert refusal.facts == {"from": state, "to": "paid"}
    assert instead in refusal.message
    assert await credit_left(platform, held.id) == 300


async def test_without_prepaid_credit_there_is_nothing_to_set_off(platform: Platform) -> None:
    made = await owed(platform)
    await credit(platform, made.customer_id, 300)
    refusal = await refused(apply_credits(platform, made.id))
    assert (refusal.code, refusal.reason) == ("FAILED_PRECONDITION", "PREPAID_CREDIT_MISSING")
    assert refusal.facts == {"customer_id": made.customer_id, "currency": "USD"}


async def test_it_happens_once_however_often_it_is_asked_for(platform: Platform) -> None:
    made = await owed(platform)
    await credit(platform, made.customer_id, 300, kind=PREPAID)
    first = await apply_credits(platform, made.id, "one")
    await credit(platform, made.customer_id, 300, kind=PREPAID)
    assert await apply_credits(platform, made.id, "one") == first
    assert (await balances(platform))["RECEIVABLE"] == 9700


async def test_two_at_once_use_each_cent_once(platform: Platform) -> None:
    ada = (await new_customer(platform)).id
    made = [await invoice(platform, ada, item("5")) for _ in range(2)]
    held = await credit(platform, ada, 700, kind=PREPAID)
    calls = [apply_credits(platform, one.id) for one in [*made, *made]]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    used = [one.prepaid_minor for one in answers if isinstance(one, pb.Invoice)]
    assert sorted(used) == [200, 500]
    assert await credit_left(platform, held.id) == 0
    assert await balances(platform) == {"CASH": 700, "RECEIVABLE": 300, "REVENUE": -1000}
    for one in made:
        await check(platform, one.id)


async def test_another_tenant_does_not_find_it(platform: Platform) -> None:
    made = await owed(platform)
    _, key = await platform.new_tenant("other")
    refusal = await refused(apply_credits(platform, made.id, as_key=key))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "INVOICE_NOT_FOUND")


@pytest.mark.parametrize(
    "lie",
    [
        lambda use: use.update(amount_minor="299"),
        lambda use: use.update(available_minor="400"),
        lambda use: use.update(applied_at="2020-01-01T00:00:00Z"),
        lambda use: use.pop("applied_at"),
        lambda use: use.pop("available_minor"),
    ],
)
async def test_what_is_said_of_it_is_checked(platform: Platform, lie: Callable[[Any], object]) -> None:
    made = await owed(platform)
    platform.clock.advance(seconds=1)
    await credit(platform, made.customer_id, 300, kind=PREPAID)
    await apply_credits(platform, made.id)
    fields = as_fields(await bundle_of(platform, made.id))
    assert differences(fields, lambda told: lie(told["invoice"]["credits"][0])) != []


async def test_of_other_credits_none_is_set_off(platform: Platform) -> None:
    """A bundle that says so is found out."""
    made = await owed(platform)
    platform.clock.advance(seconds=1)
    await credit(platform, made.customer_id, 300, kind=PREPAID)
    await apply_credits(platform, made.id)

    def promotional(told: dict[str, Any]) -> None:
        for one in (told["invoice"]["credits"][0], told["credits"][0]):
            one.update(kind="CREDIT_KIND_PROMOTIONAL")

    assert differences(as_fields(await bundle_of(platform, made.id)), promotional) != []
