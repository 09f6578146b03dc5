"""What the month shows: its steps, the invoice, the ledger."""

from decimal import Decimal

from billing.invoice.v1 import invoice_pb2
from billing.ledger.v1 import ledger_pb2, ledger_service_pb2
from billing.ledger.v1.ledger_service_pb2_grpc import LedgerServiceStub
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from corebilling.client import Client
from corebilling.mapping import enum_text
from corebilling.values.currency import EXPONENTS

console = Console()


def major(minor: int) -> str:
    """US cents as dollars."""
    return f"{Decimal(minor) / 100:,.2f}"


def unit_price(line: invoice_pb2.InvoiceLine, currency: str) -> str:
    """With all its decimals, and at least as many as the currency has."""
    _, _, decimals = line.unit_amount.partition(".")
    size = f" / {int(line.unit_size):,}" if line.unit_size != "1" else ""
    return f"{Decimal(line.unit_amount):,.{max(len(decimals), EXPONENTS[currency])}f}{size}"


def invoice_table(invoice: invoice_pb2.Invoice) -> Table:
    state = enum_text(invoice_pb2.InvoiceState, invoice.state)
    table = Table(title=f"Invoice {invoice.number} ({state})", title_justify="left", show_footer=True)
    table.add_column("what", footer="Total")
    table.add_column("quantity", justify="right")
    table.add_column("price", justify="right")
    table.add_column(invoice.currency, justify="right", footer=major(invoice.total_minor))
    for line in invoice.lines:
        table.add_row(
            line.description,
            f"{Decimal(line.quantity):,f}",
            unit_price(line, invoice.currency),
            major(line.amount_minor),
        )
    return table


async def show_ledger(client: Client) -> bool:
    answer = await client.stub(LedgerServiceStub).GetTrialBalance(ledger_service_pb2.GetTrialBalanceRequest())
    table = Table(title="Trial balance", title_justify="left", show_footer=True)
    table.add_column("account", footer="Sum")
    table.add_column(
        "balance", justify="right", footer=major(sum(row.balance_minor for row in answer.balances))
    )
    for row in answer.balances:
        name = enum_text(ledger_pb2.AccountType, row.account_type)
        table.add_row(f"{name}, {row.currency}", major(row.balance_minor))
    console.print(table)
    return answer.balanced


def step(text: str) -> None:
    console.print(f"[bold cyan]>[/bold cyan] {escape(text)}", highlight=False, soft_wrap=True)
