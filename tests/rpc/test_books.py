"""The books can be proven at any time; expired credits leave them."""

import random
from datetime import timedelta
from typing import Any

import grpc
import pytest
from billing.credit.v1 import credit_pb2, credit_service_pb2
from billing.credit.v1.credit_service_pb2_grpc import CreditServiceStub
from billing.ledger.v1 import ledger_service_pb2 as rpc
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub

from corebilling.mapping import instant, timestamp
from tests.scenarios.test_deferred_revenue import ahead
from tests.support.catalog import new_customer
from tests.support.money import (
    balances,
    credit,
    credit_left,
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


async def verify(platform: Platform, key: str | None = None) -> rpc.VerifyBooksResponse:
    return await platform.stub(LedgerServiceStub, key=key).VerifyBooks(rpc.VerifyBooksRequest())


async def differing(platform: Platform) -> set[str]:
    answer = await verify(platform)
    found = {check.name for check in answer.checks if check.differing_customers}
    assert answer.sound == (not found)
    return found


async def a_bit_of_everything(platform: Platform) -> str:
    """An invoice in each state, in two currencies, with tax, credits, notes and deferred revenue."""
    await tax_rate(platform, "19", country="US")
    details: dict[str, Any] = {"name": "Ada", "address": {"country": "US"}}
    customer_id = (await new_customer(platform, details=details)).id
    await credit(platform, customer_id, 500)
    await credit(platform, customer_id, 700, kind=PREPAID)
    await credit(platform, customer_id, 5, currency="JPY", kind=PREPAID)
    await invoice(platform, customer_id, item("20"), finalize=False)
    await pay(platform, (await invoice(platform, customer_id, item("10"))).id, 100)
    await void(platform, (await invoice(platform, customer_id, item("30"))).id)
    await write_off(platform, (await invoice(platform, customer_id, item("40"))).id)
    sold = await invoice(platform, customer_id, ahead("50"), item("60"))
    await give_back(platform, sold.id, **{sold.lines[0].id: 1000})
    await platform.pass_time(days=70)
    return customer_id


async def test_books_with_a_bit_of_everything_are_proven(platform: Platform) -> None:
    await a_bit_of_everything(platform)
    answer = await verify(platform)
    assert answer.sound
    assert {(check.name, check.currency) for check in answer.checks if check.found_minor != "0"} == {
        ("bad_debt", "USD"),
        ("customer_credit", "JPY"),
        ("deferred_revenue", "USD"),
        ("receivable", "USD"),
        ("revenue", "USD"),
        ("tax_payable", "USD"),
        ("customer_credit", "USD"),
    } - ({("customer_credit", "USD")} if not (await balances(platform)).get("CUSTOMER_CREDIT") else set())
    assert all(check.expected_minor == check.found_minor for check in answer.checks)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("UPDATE invoices SET amount_due_minor = amount_due_minor + 1 WHERE state = 'open'", {"receivable"}),
        ("UPDATE invoices SET amount_due_minor = 0 WHERE state = 'uncollectible'", {"bad_debt"}),
        ("UPDATE invoices SET tax_minor = tax_minor + 1 WHERE state = 'open'", {"tax_payable"}),
        ("UPDATE invoices SET subtotal_minor = subtotal_minor - 1 WHERE state = 'open'", {"revenue"}),
        (
            "UPDATE credits SET remaining_minor = remaining_minor - 1 WHERE currency = 'JPY'",
            {"customer_credit"},
        ),
        (
            (
                "UPDATE revenue_deferrals SET deferred_minor = deferred_minor + 1, "
                "remaining_minor = remaining_minor + 1"
            ),
            {"deferred_revenue"},
        ),
        ("DELETE FROM credit_notes", {"revenue", "tax_payable"}),
    ],
)
async def test_what_does_not_fit_the_books_is_found(platform: Platform, damage: str, found: set[str]) -> None:
    customer_id = await a_bit_of_everything(platform)
    await platform.rows(damage)
    assert await differing(platform) == found
    answer = await verify(platform)
    assert {check.differing_customer_id for check in answer.checks if check.differing_customers} == {
        customer_id
    }


async def test_an_entry_that_was_changed_is_found_though_sums_of_others_make_up_for_it(
    platform: Platform,
) -> None:
    first, second = [(await new_customer(platform)).id for _ in range(2)]
    for customer_id in (first, second):
        await invoice(platform, customer_id, item("10"))
    await platform.rows("ALTER TABLE ledger_entries DISABLE TRIGGER ALL")
    await platform.rows(
        "UPDATE ledger_entries e SET amount_minor = amount_minor + "
        "CASE j.customer_id WHEN $1 THEN 1 ELSE -1 END "
        "FROM ledger_journals j WHERE j.id = e.journal_id AND e.direction = 'debit'",
        first,
    )
    assert await differing(platform) == {"receivable", "debits_less_credits"}
    assert {check.differing_customers for check in (await verify(platform)).checks} == {0, 2}


async def test_each_tenant_proves_its_own_books(platform: Platform) -> None:
    await a_bit_of_everything(platform)
    await platform.rows("UPDATE invoices SET tax_minor = tax_minor + 1")
    _, key = await platform.new_tenant("other")
    other = await verify(platform, key)
    assert (list(other.checks), other.sound) == ([], True)


@pytest.mark.parametrize(
    ("kind", "account"), [(PREPAID, "BREAKAGE"), (credit_pb2.CREDIT_KIND_PROMOTIONAL, "EXPENSE")]
)
async def test_a_credit_that_was_never_used_expires_in_the_books(
    platform: Platform, kind: credit_pb2.CreditKind, account: str
) -> None:
    customer_id = (await new_customer(platform)).id
    end = platform.clock.now() + timedelta(days=10)
    granted = await credit(platform, customer_id, 1000, kind=kind, valid_until=timestamp(end))
    await invoice(platform, customer_id, item("3"))
    await platform.pass_time(days=9)
    assert (await balances(platform))["CUSTOMER_CREDIT"] == -700
    await platform.pass_time(days=1, seconds=3)
    found = await balances(platform)
    assert "CUSTOMER_CREDIT" not in found
    assert found[account] == (-700 if kind == PREPAID else 300)
    (event,) = await platform.events("credit.expired")
    assert (event.credit_id, event.amount_minor) == (granted.id, 700)
    assert await credit_left(platform, granted.id) == 0
    read = credit_service_pb2.GetCreditRequest(credit_id=granted.id)
    assert (await platform.stub(CreditServiceStub).GetCredit(read)).credit.HasField("expired_at")
    statement = await platform.stub(LedgerServiceStub).GetStatement(
        rpc.GetStatementRequest(customer_id=customer_id)
    )
    assert (statement.lines[-1].source_type, instant(statement.lines[-1].posted_at)) == (
        "credit.expired",
        end,
    )
    assert (await verify(platform)).sound


async def test_what_is_given_back_of_a_credit_after_its_end_expires_too(platform: Platform) -> None:
    customer_id = (await new_customer(platform)).id
    end = platform.clock.now() + timedelta(days=10)
    granted = await credit(platform, customer_id, 1000, kind=PREPAID, valid_until=timestamp(end))
    used = await invoice(platform, customer_id, item("6"), item("9"), finalize=False)
    await platform.pass_time(days=11)
    assert await platform.events("credit.expired") == []
    await void(platform, used.id)
    assert await credit_left(platform, granted.id) == 0
    (event,) = await platform.events("credit.expired")
    assert event.amount_minor == 1000
    found = await balances(platform)
    assert (found["CASH"], found["BREAKAGE"]) == (1000, -1000)
    assert (await verify(platform)).sound


@pytest.mark.parametrize("seed", range(3))
async def test_the_books_stay_sound_whatever_is_done_in_whatever_order(platform: Platform, seed: int) -> None:
    chance = random.Random(seed)
    await tax_rate(platform, "7.7", country="US")
    details: dict[str, Any] = {"name": "Ada", "address": {"country": "US"}}
    customers = [(await new_customer(platform, details=details)).id for _ in range(2)]
    made: list[str] = []
    for _ in range(40):
        step, customer_id = chance.randrange(8), chance.choice(customers)
        amount = str(chance.randrange(1, 5000) / 100)
        try:
            match step:
                case 0:
                    end = platform.clock.now() + timedelta(days=chance.randrange(1, 40))
                    kind = chance.choice([PREPAID, credit_pb2.CREDIT_KIND_REFUND])
                    await credit(
                        platform,
                        customer_id,
                        chance.randrange(1, 3000),
                        kind=kind,
                        valid_until=timestamp(end),
                    )
                case 1 | 2:
                    start = platform.clock.now() + timedelta(days=chance.randrange(-60, 60))
                    service = (start, start + timedelta(days=chance.randrange(1, 200), seconds=7))
                    items = [ahead(amount, service), item(str(chance.randrange(-3, 9)))]
                    one = await invoice(platform, customer_id, *items, finalize=chance.random() < 0.8)
                    made.append(one.id)
                case 3 if made:
                    await pay(platform, chance.choice(made), chance.randrange(1, 1000))
                case 4 if made:
                    await void(platform, chance.choice(made))
                case 5 if made:
                    await give_back(platform, chance.choice(made))
                case 6 if made:
                    await write_off(platform, chance.choice(made))
                case _:
                    await platform.pass_time(days=chance.randrange(1, 20))
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INVALID_ARGUMENT):
                raise
        assert await differing(platform) == set()
    await platform.pass_time(days=400)
    assert await differing(platform) == set()
    deferred = [row for row in (await verify(platform)).checks if row.name == "deferred_revenue"]
    assert all(row.found_minor == "0" for row in deferred)
