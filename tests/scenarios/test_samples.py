"""The sample invoices, printed as `make samples` does."""

import asyncio
import os
import sys
from pathlib import Path

import pypdf


async def test_samples_are_printed_on_paper_and_as_pages(server_folder: Path):
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "examples.invoices",
        f"--out={server_folder / 'out'}",
        cwd=Path(__file__).parents[2],
        env={**os.environ, "XDG_STATE_HOME": str(server_folder / "state")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    shown = {
        "plain": ["API calls", "140.00 USD"],
        "every-line": [
            *("Seats (prorated)", "plafonné", "Training, once", "Mails (late usage)", "556,24 USD"),
            *("Queries by region", "tout le reste", "Payments taken", "2,9 % de 262,50"),
        ],
        "arabic-japanese": ["115,876 JPY"],
    }
    for name, parts in shown.items():
        pdf = pypdf.PdfReader(server_folder / "out" / f"{name}.pdf")
        printed = " ".join(page.extract_text() for page in pdf.pages).replace("\u00a0", " ")
        page = (server_folder / "out" / f"{name}.html").read_text()
        for part in parts:
            assert part in printed, part
            assert part in page, part
