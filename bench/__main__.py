"""`make bench`: every measured path as a ratio to a baseline of the same run."""

import argparse
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import asyncpg
import uvloop

from bench import (
    access,
    billing_growth,
    billing_run,
    bus,
    entitlement,
    events,
    history,
    overload,
    rpc,
    usage,
    webhooks,
)
from bench.platform import BenchDatabase, NewDatabase
from bench.report import Row, console, show
from corebilling.db import migrate
from corebilling.db.embedded import SUPERUSER, EmbeddedPostgres
from corebilling.running import collect_garbage_seldom


async def new_database(server: EmbeddedPostgres, name: str) -> BenchDatabase:
    await migrate.create_database(server.url(SUPERUSER, "postgres"), name)
    database = BenchDatabase(
        admin=server.url(SUPERUSER, name),
        app=server.url("corebilling_app", name),
        worker=server.url("corebilling_worker", name),
    )
    await migrate.up(database.admin, migrate.MIGRATIONS)
    return database


async def bench_events(new_database: NewDatabase) -> list[Row]:
    database = await new_database("events")
    connection = await asyncpg.connect(database.admin)
    for statement in events.SCRATCH:
        await connection.execute(statement)
    await connection.close()
    return await events.measure(database.app, database.worker)


async def run(server: EmbeddedPostgres, only: str, long: bool) -> list[Row]:
    rows = []
    for name, bench in benches(long).items():
        if only in ("", name):
            rows += await bench(partial(new_database, server))
    return rows


def benches(long: bool) -> dict[str, Callable[[NewDatabase], Awaitable[list[Row]]]]:
    return {
        "events": bench_events,
        "bus": bus.measure,
        "history": partial(history.measure, long=long),
        "usage": partial(usage.measure, filled=long),
        "rpc": rpc.measure,
        "access": access.measure,
        "overload": overload.measure,
        "entitlement": entitlement.measure,
        "billing_run": partial(billing_run.measure, long=long),
        "billing_growth": partial(billing_growth.measure, long=long),
        "webhooks": partial(webhooks.measure, long=long),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the platform against baselines of the same run.")
    parser.add_argument("only", nargs="?", default="", choices=["", *benches(False)], help="one bench alone")
    parser.add_argument("--long", action="store_true", help="20 million usage records more, and longer runs")
    options = parser.parse_args()
    # As every process of the platform does when it starts.
    collect_garbage_seldom()
    folder = Path(tempfile.mkdtemp(prefix="corebilling-bench-"))
    folder.chmod(0o711)
    server = EmbeddedPostgres.start(folder / "data")
    try:
        rows = uvloop.run(run(server, options.only, options.long))
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
    show(rows)
    if missed := [row.path for row in rows if not row.met and not row.informative]:
        console.print(f"[red]Below must: {', '.join(missed)}[/red]")
        sys.exit(1)


if __name__ == "__main__":
    main()
