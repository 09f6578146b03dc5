"""The demo with a file of the user's own."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
WANTED = "Wanted are the columns TIMESTAMP, ContextTokens, GeneratedTokens."


async def demo(folder: Path, file: Path) -> tuple[int, str, str]:
    """Plays the month of this file; returns the exit code and what was printed, out and err."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "examples.month",
        f"--usage={file}",
        f"--out={folder / 'out'}",
        cwd=Path(__file__).parents[2],
        env={**os.environ, "XDG_STATE_HOME": str(folder / "state"), "COLUMNS": "120"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_of_a_longer_file_the_month_from_its_first_row_is_billed(server_folder: Path):
    file = server_folder / "requests.csv"
    file.write_text(
        HEADER
        + "2026-02-15 11:59:59.999999,7000000,7000000\n"  # after a month to the microsecond is still in it
        + "2026-02-15 12:00:00,9000000,9000000\n"
        + "2026-01-15 12:00:00,1000000,1000000\n"  # rows are in no order
        + "2026-04-01 00:00:00,9000000,9000000\n"
    )
    code, out, err = await demo(server_folder, file)
    assert (code, err) == (0, "")
    beforehand, _, after = out.partition("platform up")
    assert "requests.csv goes on until 2026-04-01" in beforehand
    assert "the month from its first row, of 2026-01-15; 2 later rows are left out" in beforehand
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in after.splitlines()]
    assert ["4", "4", "0", "0", "0"] in cells  # both rows with both meters
    assert ["Monthly fee", "1", "20.00", "20.00"] in cells
    assert ["Input tokens", "8,000,000", "0.15 / 1,000,000", "1.20"] in cells
    assert ["Output tokens", "8,000,000", "0.60 / 1,000,000", "4.80"] in cells
    assert (
        "webhooks received and verified: invoice.generated, invoice.status.changed, "
        "invoice.payment.recorded, invoice.status.changed, invoice.paid\n"
    ) in after
    assert (server_folder / "out" / "INV-2026-000001.pdf").exists()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "{file} cannot be read: No such file or directory."),
        (
            "when,ContextTokens,GeneratedTokens\n",
            "requests.csv has no column TIMESTAMP; it has when, ContextTokens, GeneratedTokens. " + WANTED,
        ),
        (
            HEADER + "2026-01-01 00:00:00,1,1\nyesterday,1,1\n",
            "requests.csv, row 2: 'yesterday' is no time, as in 2026-01-31 23:59:59.999999. " + WANTED,
        ),
        ("", "requests.csv has no column TIMESTAMP, ContextTokens, GeneratedTokens; it has none. " + WANTED),
        (HEADER, "{file} has no rows with usage."),
    ],
    ids=["missing file", "missing column", "bad time", "empty", "header alone"],
)
async def test_file_that_cannot_be_billed_is_refused_in_one_line(
    server_folder: Path, content: str | None, complaint: str
):
    file = server_folder / "requests.csv"
    if content is not None:
        file.write_text(content)
    assert await demo(server_folder, file) == (1, "", complaint.format(file=file) + "\n")
