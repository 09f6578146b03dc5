"""`corebilling usage`: usage records from files, and the books of usage."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from corebilling.client import Client
from corebilling.commands.connection import (
    TARGET,
    ApiKey,
    Target,
    Tenant,
    console,
    failure,
    moment,
    print_table,
    run,
    say,
)
from corebilling.commands.tls import ClientApp
from corebilling.mapping import instant, timestamp
from corebilling.usage_file import ColumnMapping, FileInvalid, UsageFile
from corebilling.usage_import import Checkpoint, ImportSummary, upload

usage_app = ClientApp(no_args_is_help=True, help="Reports usage, and checks its books.")


@usage_app.command("import")
def import_file(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True,
            dir_okay=False,
            help="A .csv file with a header, or .jsonl; its rows may have properties.",
        ),
    ],
    subscription: Annotated[
        str, typer.Option(help="Subscription of every row; empty: the column subscription_id.")
    ] = "",
    recorded_at: Annotated[
        str, typer.Option(help="Column with the time; UTC unless it has an offset.")
    ] = "recorded_at",
    meter: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE=COLUMN",
            help="A meter and the column with its quantity; repeatable. None: columns meter_code, quantity.",
        ),
    ] = None,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Reports every row of a file. Safe to repeat and to interrupt: no record counts twice."""
    mapping = ColumnMapping(subscription, recorded_at, tuple(_meter(text) for text in meter or ()))
    try:
        summary = run(target, api_key, lambda client: upload_file(client, tenant, file, mapping, target))
    except FileInvalid as error:
        raise failure(str(error)) from None
    report(summary)
    console.print(
        "Next: corebilling call billing.usage.v1.UsageService/ListUsageTotals "
        f"""-d '{{"subscription_id": "{subscription or "SUBSCRIPTION"}"}}'""",
        highlight=False,
        soft_wrap=True,
    )
    if not summary.clean:
        raise typer.Exit(1)


async def upload_file(
    client: Client, tenant_id: str, file: Path, mapping: ColumnMapping, target: str
) -> ImportSummary:
    """Sends the file, showing how far it is; goes on where an interrupted import of it ended."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("bytes"),
        TimeRemainingColumn(),
    )
    checkpoint = Checkpoint.of(file, mapping, f"{target} {tenant_id}")
    with (
        closing(UsageFile(file, mapping)) as opened,
        Progress(*columns, transient=True, console=console) as progress,
    ):
        task = progress.add_task("importing", total=opened.size_bytes)

        def show(summary: ImportSummary) -> None:
            progress.update(task, completed=opened.read_bytes, description=f"{summary.records:,} records")

        return await upload(client.stub(UsageServiceStub), tenant_id, opened, checkpoint, show)


def report(summary: ImportSummary) -> None:
    """Prints what became of the records."""
    table = Table("records", "accepted", "duplicate", "conflict", "rejected")
    counts = (summary.records, summary.accepted, summary.duplicates, summary.conflicts, summary.rejected)
    table.add_row(*(f"{count:,}" for count in counts))
    console.print(table)
    for problem in summary.problems:
        console.print(problem, highlight=False)
    if summary.nothing_changed:
        console.print(
            "Nothing changed: every record was known." if summary.records else "The file has no rows."
        )


@usage_app.command()
def reconcile(
    start: Annotated[str, typer.Argument(help="First moment of the span, as 2026-03-01.")],
    end: Annotated[str, typer.Argument(help="Its end: periods that start before are in it.")],
    meter: Annotated[str, typer.Option(help="Code of one meter; empty: all.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=500, help="Most differences to show.")] = 20,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Compares records, totals and invoices of all periods that start in a span. Exits 1 if they differ."""
    request = rpc.ReconcileUsageRequest(
        tenant_id=tenant,
        page_size=limit,
        start=timestamp(moment(start)),
        end=timestamp(moment(end)),
        meter_code=meter,
    )
    books = run(target, api_key, lambda client: client.stub(UsageServiceStub).ReconcileUsage(request))
    _print_balances(books.balances)
    if books.balanced:
        say("The books agree: what was accepted is billed, pending or excluded.")
        return
    _print_drifts(books.drifts)
    raise failure("The books differ. Each line is a period of an item: compare its records with its total.")


def _print_balances(balances: Iterable[usage_pb2.UsageBalance]) -> None:
    table = Table(
        *(
            "meter",
            "of",
            "accepted",
            "billed",
            "pending",
            "trial",
            "retracted",
            "filtered",
            "voided",
            "differ",
        )
    )
    for one in balances:
        table.add_row(
            one.meter_code,
            "quantity",
            one.accepted_quantity,
            one.billed_quantity,
            one.pending_quantity,
            one.trial_quantity,
            one.retracted_quantity,
            one.filtered_quantity,
            one.voided_quantity,
            str(one.drift_count),
        )
        counts = (
            one.accepted_records,
            one.billed_records,
            one.pending_records,
            one.trial_records,
            one.retracted_records,
            one.filtered_records,
        )
        table.add_row("", "records", *map(str, counts), "", "")
    print_table(table)


def _print_drifts(drifts: Iterable[usage_pb2.UsageDrift]) -> None:
    table = Table(
        *("item", "meter", "period", "records", "in total", "quantity", "in total", "filtered", "in total"),
        *("rated", "invoiced"),
    )
    for drift in drifts:
        table.add_row(
            drift.subscription_item_id,
            drift.meter_code,
            f"{instant(drift.period_start):%Y-%m-%d %H:%M}" if drift.HasField("period_start") else "none",
            str(drift.record_count),
            str(drift.counted_record_count),
            drift.quantity,
            drift.counted_quantity,
            f"{drift.filtered_records}: {drift.filtered_quantity}",
            f"{drift.counted_filtered_records}: {drift.counted_filtered_quantity}",
            drift.billed_quantity,
            drift.invoiced_quantity,
        )
    print_table(table)


def _meter(text: str) -> tuple[str, str]:
    code, separator, column = text.partition("=")
    if not (code and separator and column):
        raise typer.BadParameter(f"'{text}' is not CODE=COLUMN, as in input_tokens=ContextTokens.")
    return code, column
