"""The README's tour, run as it is printed."""

import asyncio
import os
import re
import sys
from pathlib import Path

from examples.platform import Platform

README = Path(__file__).parents[2] / "README.md"


def tour() -> str:
    blocks = re.findall(r"<!-- tour -->\n```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(blocks) == 6
    return "set -euo pipefail\n" + "\n".join(blocks)


async def test_the_tour_of_the_readme_works_as_printed(server_folder: Path):
    async with Platform.start(server_folder / "corebilling-data") as platform:
        process = await asyncio.create_subprocess_exec(
            "bash",
            "-c",
            tour(),
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
    live, _, sandbox = out.decode().partition("It is 2026-04-01T01:00:00 now")
    assert process.returncode == 0, err.decode()
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
