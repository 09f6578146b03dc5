"""The tours of the README and of the guide to money, run as they are printed."""

import asyncio
import os
import re
import sys
from pathlib import Path

from typer.main import get_group

from corebilling.cli import main
from examples.platform import Platform

ROOT = Path(__file__).parents[2]


def tour(file: str, count: int) -> str:
    blocks = re.findall(r"<!-- tour -->\n```sh\n(.*?)```", (ROOT / file).read_text(), re.DOTALL)
    assert len(blocks) == count
    return "set -euo pipefail\n" + "\n".join(blocks)


async def taken(commands: str, server_folder: Path) -> str:
    """What the commands print."""
    async with Platform.start(server_folder / "corebilling-data") as platform:
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            commands,
            cwd=server_folder,
            env={
                **os.environ,
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "COREBILLING_TARGET": platform.grpc,
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


async def test_the_tour_of_the_readme_works_as_printed(server_folder: Path):
    printed = await taken(tour("README.md", 6), server_folder)
    live, _, sandbox = printed.partition("It is 2026-04-01T01:00:00 now")
    assert '"total_minor": "9925"' in live
    assert "billing.event.v1.EventService/TraceEvents" in live
    assert "subscription.created" in live.partition('"events"')[2]
    assert '"subject": "usage.reported"' in live.partition('"events"')[2]
    assert '"subject": "usage.rated"' in live.partition('"events"')[2]
    assert '"number": "INV-2026-000001"' in sandbox
    assert '"state": "INVOICE_STATE_OPEN"' in sandbox
    assert '"total_minor": "9925"' in sandbox
    assert '"balanced": true' in sandbox
    assert (server_folder / "invoice.pdf").read_bytes().startswith(b"%PDF-")
    # Who takes the tour in a clone has nothing there to commit afterwards.
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert all(f"/{left.name}{'/' * left.is_dir()}" in ignored for left in server_folder.iterdir())


def test_the_readme_names_every_command() -> None:
    table = "\n".join(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith("|"))
    names = list(get_group(main).commands)
    assert {"up", "ledger"} <= set(names)
    assert [name for name in names if f"`corebilling {name}" not in table] == []


def test_the_readme_leads_to_every_document() -> None:
    text = (ROOT / "README.md").read_text()
    documents = [file.name for file in (ROOT / "docs").glob("*.md")]
    assert [name for name in documents if f"(docs/{name}" not in text] == []


async def test_the_tour_of_the_guide_to_money_works_as_printed(server_folder: Path):
    printed = await taken(tour("docs/money.md", 10), server_folder)
    invoice, _, credit_note = printed.partition('"credit_note"')
    for field, amount in (
        ("subtotal", 20000),
        ("discount", 2000),
        ("credit", 2000),
        ("tax", 3040),
        ("total", 19040),
        ("amount_due", 19040),
    ):
        assert f'"{field}_minor": "{amount}"' in invoice
    assert '"total_minor": "1904"' in credit_note
    assert '"balanced": true' in credit_note
    assert "The books agree" in credit_note
    assert '"amount_minor": "-4000"' in credit_note
    assert '"difference_minor": "-2500"' in credit_note
    assert "-20.00 USD: 10 % Spring" in credit_note
    assert "comes out to the cent" in credit_note
    assert '"remaining_minor": "110137"' in printed
    assert re.search(r"deferred_revenue +│ USD +│ .* │ +-1,101\.37", printed)
    assert "Debits equal credits." in printed
    assert "The books are sound." in printed
