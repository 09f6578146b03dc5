"""The example does what it says."""

import asyncio
import sys
from pathlib import Path


async def test_a_client_reports_usage_and_previews_the_invoice():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "examples.client"),
        cwd=Path(__file__).parents[2],
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    lines = output.decode().splitlines()
    assert lines[0].startswith("refused: ")
    assert lines[1].startswith("a record does not count: USAGE_ITEM_NOT_FOUND ")
    assert lines[2] == "1,000 records accepted"
    assert "event: subscription.created" in lines
    assert "event: usage.reported" in lines
    assert lines[-1] == "the invoice would be 2.00 USD by now"
