"""What customers and accounts stood at, at any time, and what changed it."""

import asyncio
import os
import sys
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from billing.credit.v1 import credit_pb2
from billing.ledger.v1 import ledger_pb2 as pb
from billing.ledger.v1 import ledger_service_pb2 as rpc
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub

from corebilling.mapping import timestamp
from corebilling.values.page import encode_page_token
from tests.support.app import refused
from tests.support.catalog import new_customer
from tests.support.money import credit, give_back, invoice, item, pay, void
from tests.support.platform import Platform, platform

if TYPE_CHECKING:
    from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceAsyncStub

__all__ = ["platform"]


def books(platform: Platform, key: str | None = None) -> "LedgerServiceAsyncStub":
    return platform.stub(LedgerServiceStub, key=key)


async def command(platform: Platform, *arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "corebilling", "ledger", *arguments),
        env={
            **os.environ,
            "COREBILLING_TARGET": platform.app.grpc_address,
            "COREBILLING_API_KEY": platform.tenant_key,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


async def a_story(platform: Platform) -> tuple[str, list[datetime]]:
    """A fact a day: credit 5.00, invoice 30.00 less that, paid 10.00, 6.00 given back, another voided."""
    customer_id, days = (await new_customer(platform)).id, []

    async def next_day() -> None:
        days.append(platform.clock.now())
        platform.clock.advance(days=1)

    await credit(platform, customer_id, 500, kind=credit_pb2.CREDIT_KIND_PREPAID)
    await next_day()
    sold = await invoice(platform, customer_id, item("30"))
    await next_day()
    await pay(platform, sold.id, 1000)
    await next_day()
    await give_back(platform, sold.id, **{sold.lines[0].id: 600})
    await next_day()
    wrong = await invoice(platform, customer_id, item("7"))
    await next_day()
    await void(platform, wrong.id)
    await next_day()
    return customer_id, days


def standing(balance: pb.CustomerBalance) -> tuple[int, int]:
    return balance.owed_minor, balance.credit_minor


async def test_a_statement_tells_a_customers_facts_in_order_with_where_they_stood(platform: Platform) -> None:
    customer_id, _ = await a_story(platform)
    statement = await books(platform).GetStatement(rpc.GetStatementRequest(customer_id=customer_id))
    assert [
        (line.source_type, line.number, *standing(line.change), *standing(line.balance))
        for line in statement.lines
    ] == [
        ("credit.granted", "", 0, 500, 0, 500),
        ("invoice.finalized", "INV-2026-000001", 2500, -500, 2500, 0),
        ("payment.recorded", "INV-2026-000001", -1000, 0, 1500, 0),
        ("credit_note.issued", "CN-2026-000001", -600, 0, 900, 0),
        ("invoice.finalized", "INV-2026-000002", 700, 0, 1600, 0),
        ("invoice.voided", "INV-2026-000002", -700, 0, 900, 0),
    ]
    assert (standing(statement.opening), standing(statement.closing)) == ((0, 0), (900, 0))
    assert statement.currency == "USD"


async def test_a_statement_of_a_period_opens_with_what_was_before_and_leaves_out_what_came_after(
    platform: Platform,
) -> None:
    customer_id, days = await a_story(platform)
    request = rpc.GetStatementRequest(
        customer_id=customer_id, start=timestamp(days[1]), end=timestamp(days[3])
    )
    statement = await books(platform).GetStatement(request)
    assert [line.source_type for line in statement.lines] == ["invoice.finalized", "payment.recorded"]
    assert (standing(statement.opening), standing(statement.closing)) == ((0, 500), (1500, 0))


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_pages_of_a_statement_continue_each_other(platform: Platform, size: int) -> None:
    customer_id, days = await a_story(platform)
    request = rpc.GetStatementRequest(customer_id=customer_id, start=timestamp(days[1]))
    whole = await books(platform).GetStatement(request)
    lines: list[pb.StatementLine] = []
    request.page_size = size
    while True:
        page = await books(platform).GetStatement(request)
        lines += page.lines
        assert (page.opening, page.closing) == (whole.opening, whole.closing)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert lines == list(whole.lines)


async def test_a_statement_is_in_one_currency(platform: Platform) -> None:
    customer_id, _ = await a_story(platform)
    await credit(platform, customer_id, 77, currency="KWD")
    statement = await books(platform).GetStatement(
        rpc.GetStatementRequest(customer_id=customer_id, currency="KWD")
    )
    assert [standing(line.balance) for line in statement.lines] == [(0, 77)]


async def test_the_trial_balance_of_a_day_knows_nothing_of_later_ones(platform: Platform) -> None:
    _, days = await a_story(platform)
    found = []
    for at in (days[0] - timedelta(microseconds=1), days[0], days[2], days[5]):
        request = rpc.GetTrialBalanceRequest(as_of=timestamp(at))
        trial = await books(platform).GetTrialBalance(request)
        assert trial.balanced
        receivable = next(row for row in trial.balances if row.account_type == pb.ACCOUNT_TYPE_RECEIVABLE)
        found.append(receivable.balance_minor)
        request_of_one = rpc.GetAccountBalanceRequest(account_id=receivable.account_id, as_of=timestamp(at))
        assert (await books(platform).GetAccountBalance(request_of_one)).balance == receivable
    assert found == [0, 0, 1500, 900]


@pytest.mark.parametrize("size", [1, 3, 50])
async def test_an_accounts_statement_adds_up_page_by_page(platform: Platform, size: int) -> None:
    _, days = await a_story(platform)
    accounts = (await books(platform).ListAccounts(rpc.ListAccountsRequest())).accounts
    receivable = next(account for account in accounts if account.type == pb.ACCOUNT_TYPE_RECEIVABLE)
    request = rpc.GetAccountStatementRequest(
        account_id=receivable.id, page_size=size, start=timestamp(days[2])
    )
    lines = []
    while True:
        page = await books(platform).GetAccountStatement(request)
        lines += [(line.source_type, line.amount_minor, line.balance_minor) for line in page.lines]
        assert (page.opening_minor, page.closing_minor) == (2500, 900)
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert lines == [
        ("payment.recorded", 1000, 1500),
        ("credit_note.issued", 600, 900),
        ("invoice.finalized", 700, 1600),
        ("invoice.voided", 700, 900),
    ]


async def test_what_another_tenant_asks_for_is_not_found(platform: Platform) -> None:
    customer_id, _ = await a_story(platform)
    account_id = (await books(platform).ListAccounts(rpc.ListAccountsRequest())).accounts[0].id
    _, key = await platform.new_tenant("other")
    other = books(platform, key)
    of_account: dict[str, Any] = {"account_id": account_id}
    for call, reason in (
        (other.GetStatement(rpc.GetStatementRequest(customer_id=customer_id)), "CUSTOMER_NOT_FOUND"),
        (other.GetAccountStatement(rpc.GetAccountStatementRequest(**of_account)), "ACCOUNT_NOT_FOUND"),
        (other.GetAccountBalance(rpc.GetAccountBalanceRequest(**of_account)), "ACCOUNT_NOT_FOUND"),
    ):
        refusal = await refused(call)
        assert (refusal.code, refusal.reason) == ("NOT_FOUND", reason)


async def test_a_period_that_ends_before_it_starts_and_a_forged_token_are_refused_by_name(
    platform: Platform,
) -> None:
    customer_id, days = await a_story(platform)
    at = timestamp(days[0])
    refusal = await refused(
        books(platform).GetStatement(rpc.GetStatementRequest(customer_id=customer_id, start=at, end=at))
    )
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "STATEMENT_PERIOD_INVALID")
    for forged in (
        ("yesterday", "jrn_1", "0"),
        ("0001-01-01T00:00:00+01:00", "jrn_1", "0"),
        (days[0].isoformat(), "jrn_1", str(2**31)),
        (days[0].isoformat(), "jrn_1", "x"),
    ):
        token = encode_page_token(*forged)
        refusal = await refused(
            books(platform).GetStatement(rpc.GetStatementRequest(customer_id=customer_id, page_token=token))
        )
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")


async def test_the_command_prints_both(platform: Platform) -> None:
    customer_id, days = await a_story(platform)
    out = await command(platform, "statement", customer_id)
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    assert rows[2][1:] == ["invoice.finalized", "INV-2026-000001", "25.00", "25.00", "-5.00", "0.00"]
    assert (rows[0][1], rows[-1][1], rows[-1][4]) == ("opening", "closing", "9.00")
    out = await command(platform, "trial-balance", "--as-of", f"{days[2]:%Y-%m-%dT%H:%M:%S}")
    assert "Debits equal credits." in out
    assert any("receivable" in line and "15.00" in line for line in out.splitlines())
    accounts = (await books(platform).ListAccounts(rpc.ListAccountsRequest())).accounts
    receivable = next(account for account in accounts if account.type == pb.ACCOUNT_TYPE_RECEIVABLE)
    assert "receivable, in USD." in await command(platform, "statement", receivable.id)
