"""`make bench`: every measured path as a ratio to a baseline of the same run."""

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

import asyncpg
import uvloop

from bench import events
from bench.report import Row, console, show
from corebilling.db import migrate
from corebilling.db.embedded import SUPERUSER, EmbeddedPostgres


async def new_database(server: EmbeddedPostgres, name: str) -> str:
    """A migrated database of the bench's own."""
    await migrate.create_database(server.url(SUPERUSER, "postgres"), name)
    url = server.url(SUPERUSER, name)
    await migrate.up(url, migrate.MIGRATIONS)
    return url


async def bench_events(server: EmbeddedPostgres) -> list[Row]:
    connection = await asyncpg.connect(await new_database(server, "events"))
    for statement in events.SCRATCH:
        await connection.execute(statement)
    await connection.close()
    return await events.measure(
        server.url("corebilling_app", "events"), server.url("corebilling_worker", "events")
    )


async def run(server: EmbeddedPostgres, only: str) -> list[Row]:
    benches = {"events": bench_events}
    rows = []
    for name, bench in benches.items():
        if only in ("", name):
            rows += await bench(server)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the platform against baselines of the same run.")
    parser.add_argument("only", nargs="?", default="", help="one bench instead of all: events")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="corebilling-bench-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres.start(folder / "data")
    try:
        rows = uvloop.run(run(server, options.only))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    show(rows)
    if missed := [row.path for row in rows if not row.met]:
        console.print(f"[red]Below must: {', '.join(missed)}[/red]")
        sys.exit(1)


if __name__ == "__main__":
    main()
