"""`corebilling invoice`: says where an invoice comes from, and checks it without the platform."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from billing.invoice.v1 import bundle_pb2
from billing.invoice.v1 import invoice_service_pb2 as rpc
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub

from corebilling.client import Client
from corebilling.commands.connection import (
    TARGET,
    ApiKey,
    Target,
    Tenant,
    console,
    failure,
    print_table,
    problems,
    run,
    say,
)
from corebilling.commands.invoice_file import Changed, bundle_text, export, read_bundle
from corebilling.commands.invoice_view import checks_table, records_table, story
from corebilling.commands.tls import ClientApp
from corebilling.domains.invoice.bundle_reading import Unreadable
from corebilling.domains.invoice.verification import verify

invoice_app = ClientApp(no_args_is_help=True, help="Explains, exports and checks invoices.")

_SHOWN_RECORDS = 20
_UNREADABLE = 2


@invoice_app.command()
def explain(
    line_or_invoice: Annotated[str, typer.Argument(help="A line, ili_…, or all lines of an invoice, inv_….")],
    records: Annotated[
        int, typer.Option(min=0, max=500, help="How many usage records to show of a line, from the first.")
    ] = _SHOWN_RECORDS,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Tells where each cent of a line comes from."""

    async def work(client: Client) -> list[rpc.ExplainLineResponse]:
        stub = client.stub(InvoiceServiceStub)
        line_ids = [line_or_invoice]
        if not line_or_invoice.startswith("ili_"):
            request = rpc.GetInvoiceRequest(tenant_id=tenant, invoice_id=line_or_invoice)
            line_ids = [line.id for line in (await stub.GetInvoice(request)).invoice.lines]
        return [
            await stub.ExplainLine(
                rpc.ExplainLineRequest(tenant_id=tenant, invoice_line_id=line_id, page_size=max(records, 1))
            )
            for line_id in line_ids
        ]

    answers = run(target, api_key, work)
    for answer in answers:
        console.print(story(answer.explanation), soft_wrap=True)
        if records and answer.records:
            print_table(records_table(answer.records, more=bool(answer.next_page_token)))
    if answers:
        invoice_id = answers[0].explanation.invoice_id
        say(f"Next: corebilling invoice export {invoice_id} --output {invoice_id}.json")
    else:
        say("The invoice has no lines.")


@invoice_app.command("export")
def export_invoice(
    invoice_id: Annotated[str, typer.Argument(help="The invoice, inv_….")],
    output: Annotated[Path, typer.Option(dir_okay=False, help="The file to write.")],
    records: Annotated[bool, typer.Option("--records", help="With the usage records.")] = False,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Writes the invoice with all its evidence into one JSON file."""
    try:
        bundle = run(target, api_key, lambda client: export(client, tenant, invoice_id, with_records=records))
        output.write_text(bundle_text(bundle), "utf-8")
    except Changed:
        raise failure("The invoice changed while it was exported; export it again.") from None
    except OSError as error:
        raise failure(f"{output} cannot be written: {error.strerror}.") from None
    say(f"Wrote {_extent(bundle)} to {output}. Next: corebilling invoice verify {output}")


@invoice_app.command("verify")
def verify_file(file: Annotated[Path, typer.Argument(help="What `invoice export` wrote.")]) -> None:
    """Works the invoice out again from the file alone: without a server, a database or a network.

    Exits with 1 when a figure differs, and with 2 when the file cannot be read.
    """
    try:
        bundle = read_bundle(file)
        checks = verify(bundle)
    except Unreadable as error:
        problems.print(str(error), style="red", highlight=False, soft_wrap=True)
        raise typer.Exit(_UNREADABLE) from None
    print_table(checks_table(checks))
    wrong: Sequence[object] = [check for check in checks if not check.ok]
    name = bundle.invoice.number or bundle.invoice.id
    if wrong:
        say(f"{name} does not come out: {len(wrong)} of {len(checks)} figures differ.")
        raise typer.Exit(1)
    say(f"{name} comes out to the cent: {len(checks)} figures of {_extent(bundle)} were worked out again.")


def _extent(bundle: bundle_pb2.InvoiceBundle) -> str:
    lines = len(bundle.invoice.lines)
    records = f" and {len(bundle.records):,} records" if bundle.with_records else ""
    return f"{lines:,} {'line' if lines == 1 else 'lines'}{records}"
