"""`corebilling ledger`: the books, as tables."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

import typer
from billing.ledger.v1 import ledger_pb2 as pb
from billing.ledger.v1 import ledger_service_pb2 as rpc
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from google.protobuf.timestamp_pb2 import Timestamp
from rich.table import Table

from corebilling.client import Client
from corebilling.commands.connection import TARGET, ApiKey, Target, Tenant, moment, print_table, run, say
from corebilling.commands.tls import ClientApp
from corebilling.mapping import enum_text, instant, timestamp
from corebilling.values.money import major_units

ledger_app = ClientApp(no_args_is_help=True, help="Balances and statements, now or at any time before.")

_PAGE = 500

Moment = Annotated[datetime | None, typer.Option(parser=moment, metavar="TIME", help="UTC.")]


@ledger_app.command("trial-balance")
def trial_balance(
    as_of: Moment = None, target: Target = TARGET, api_key: ApiKey = "", tenant: Tenant = ""
) -> None:
    """Prints what every account stands at, or stood at."""

    async def work(client: Client) -> rpc.GetTrialBalanceResponse:
        request = rpc.GetTrialBalanceRequest(tenant_id=tenant, as_of=_time(as_of))
        return await client.stub(LedgerServiceStub).GetTrialBalance(request)

    trial = run(target, api_key, work)
    table = _table("account", "currency", "debit", "credit", "balance", left=2)
    for row in trial.balances:
        amounts = (row.debit_minor, row.credit_minor, row.balance_minor)
        table.add_row(
            enum_text(pb.AccountType, row.account_type),
            row.currency,
            *map(_cells(row.currency), amounts),
        )
    print_table(table)
    say("Debits equal credits." if trial.balanced else "Debits and credits DIFFER.")
    if not trial.balanced:
        raise typer.Exit(1)


@ledger_app.command()
def verify(target: Target = TARGET, api_key: ApiKey = "", tenant: Tenant = "") -> None:
    """Proves the books: prints what they say beside what they must; fails when anything differs."""

    async def work(client: Client) -> rpc.VerifyBooksResponse:
        return await client.stub(LedgerServiceStub).VerifyBooks(rpc.VerifyBooksRequest(tenant_id=tenant))

    answer = run(target, api_key, work)
    table = _table("check", "currency", "must be", "is", "customers that differ", left=2)
    for check in answer.checks:
        amounts = (int(check.expected_minor), int(check.found_minor))
        differing = f"{check.differing_customers}, as {check.differing_customer_id}"
        table.add_row(
            check.name,
            check.currency,
            *map(_cells(check.currency), amounts),
            differing if check.differing_customers else "",
        )
    print_table(table)
    say("The books are sound." if answer.sound else "The books are NOT sound.")
    if not answer.sound:
        raise typer.Exit(1)


@ledger_app.command()
def statement(
    customer: Annotated[str, typer.Argument(help="cus_…, or acc_… for the statement of an account.")],
    start: Annotated[
        datetime | None, typer.Option("--from", parser=moment, metavar="TIME", help="UTC.")
    ] = None,
    end: Annotated[
        datetime | None, typer.Option("--until", parser=moment, metavar="TIME", help="UTC, not included.")
    ] = None,
    currency: Annotated[str, typer.Option(help="Of a customer; empty: their own.")] = "",
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Prints what a customer owed and had in credits, or what an account stood at, and each change of it."""
    if customer.startswith("acc_"):
        account = rpc.GetAccountStatementRequest(
            tenant_id=tenant, account_id=customer, start=_time(start), end=_time(end), page_size=_PAGE
        )
        run(target, api_key, lambda client: _print_account(client, account))
        return
    request = rpc.GetStatementRequest(
        tenant_id=tenant,
        customer_id=customer,
        start=_time(start),
        end=_time(end),
        currency=currency,
        page_size=_PAGE,
    )
    run(target, api_key, lambda client: _print_customer(client, request))


async def _print_customer(client: Client, request: rpc.GetStatementRequest) -> None:
    table = _table("time", "what", "number", "change", "owed", "credit change", "credit", left=3)
    first = page = await client.stub(LedgerServiceStub).GetStatement(request)
    cells = _cells(first.currency)
    table.add_row(
        "", "opening", "", "", cells(first.opening.owed_minor), "", cells(first.opening.credit_minor)
    )
    while True:
        for line in page.lines:
            table.add_row(
                _when(line.posted_at),
                line.source_type,
                line.number,
                cells(line.change.owed_minor),
                cells(line.balance.owed_minor),
                cells(line.change.credit_minor),
                cells(line.balance.credit_minor),
            )
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
        page = await client.stub(LedgerServiceStub).GetStatement(request)
    table.add_row(
        "", "closing", "", "", cells(first.closing.owed_minor), "", cells(first.closing.credit_minor)
    )
    print_table(table)
    say(f"In {first.currency}.")


async def _print_account(client: Client, request: rpc.GetAccountStatementRequest) -> None:
    table = _table("time", "what", "source", "customer", "debit", "credit", "balance", left=4)
    first = page = await client.stub(LedgerServiceStub).GetAccountStatement(request)
    cells = _cells(first.account.currency)
    table.add_row("", "opening", "", "", "", "", cells(first.opening_minor))
    while True:
        for line in page.lines:
            amount, debit = cells(line.amount_minor), line.direction == pb.ENTRY_DIRECTION_DEBIT
            table.add_row(
                _when(line.posted_at),
                line.source_type,
                line.source_id,
                line.customer_id,
                amount if debit else "",
                "" if debit else amount,
                cells(line.balance_minor),
            )
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
        page = await client.stub(LedgerServiceStub).GetAccountStatement(request)
    table.add_row("", "closing", "", "", "", "", cells(first.closing_minor))
    print_table(table)
    say(f"{enum_text(pb.AccountType, first.account.type)}, in {first.account.currency}.")


def _table(*columns: str, left: int) -> Table:
    """All but the columns on the left are amounts."""
    table = Table()
    for place, column in enumerate(columns):
        table.add_column(column, justify="left" if place < left else "right")
    return table


def _cells(currency: str) -> Callable[[int], str]:
    """How amounts of the currency are printed: 12,345.00."""
    return lambda amount_minor: f"{major_units(amount_minor, currency):,f}"


def _when(at: Timestamp) -> str:
    return f"{instant(at):%Y-%m-%d %H:%M:%S}"


def _time(at: datetime | None) -> Timestamp | None:
    return timestamp(at) if at else None
