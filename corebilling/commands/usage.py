"""`corebilling usage`: usage records from files."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from corebilling.client import Client
from corebilling.commands.connection import TARGET, ApiKey, Target, Tenant, console, failure, run
from corebilling.usage_file import ColumnMapping, FileInvalid, UsageFile
from corebilling.usage_import import Checkpoint, ImportSummary, upload

usage_app = typer.Typer(no_args_is_help=True, help="Reports usage.")


@usage_app.callback()
def usage() -> None:
    """Keeps `import` a command of its own name, though it is the only one."""


@usage_app.command("import")
def import_file(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A .csv file with a header, or .jsonl.")
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


def _meter(text: str) -> tuple[str, str]:
    code, separator, column = text.partition("=")
    if not (code and separator and column):
        raise typer.BadParameter(f"'{text}' is not CODE=COLUMN, as in input_tokens=ContextTokens.")
    return code, column
