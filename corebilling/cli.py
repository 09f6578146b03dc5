"""The `corebilling` command."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
from base64 import b64encode
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, TypeVar

import typer
import uvloop
from rich.console import Console
from rich.table import Table

from corebilling.app import ROLES, App, DatabaseUrls
from corebilling.commands.call import call
from corebilling.commands.catalog import catalog_app
from corebilling.commands.clock import clock_app
from corebilling.commands.usage import usage_app
from corebilling.config import Settings
from corebilling.db import migrate
from corebilling.db.embedded import SUPERUSER, EmbeddedPostgres, EmbeddedPostgresError
from corebilling.db.migrate import MIGRATIONS
from corebilling.telemetry.logs import configure_logs
from corebilling.values.clock import SystemClock

console = Console(highlight=False)
problems = Console(stderr=True, highlight=False)

main = typer.Typer(no_args_is_help=True, help="CoreBilling: usage, rating, invoices and a ledger over gRPC.")
main.command()(call)
main.add_typer(catalog_app, name="catalog")
main.add_typer(clock_app, name="clock")
main.add_typer(usage_app, name="usage")

DATABASE = "corebilling"

T = TypeVar("T")


@main.command()
def up(
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept; made if missing.")] = None,
    grpc_port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
    http_port: Annotated[int | None, typer.Option(help="0 takes a free one.")] = None,
) -> None:
    """Runs everything in this one process, on a Postgres of its own. Ctrl-C stops it; the data stays."""
    settings = Settings()
    folder = data_dir or settings.data_dir
    changes = {"grpc_port": grpc_port, "port": http_port}
    settings = settings.model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )
    configure_logs(settings.log_format, settings.log_level)
    try:
        postgres = EmbeddedPostgres.start(folder)
    except EmbeddedPostgresError as error:
        raise _failure(str(error)) from None
    try:
        uvloop.run(_up(settings, folder, postgres))
    finally:
        postgres.stop()
    console.print(f"Stopped. The data stays in {folder}; `corebilling up` goes on from there.")


@main.command()
def serve(
    roles: Annotated[str, typer.Option(help=f"Comma-separated, of: {', '.join(ROLES)}.")] = ",".join(ROLES),
) -> None:
    """Runs some or all roles against DATABASE_URL, which is migrated already."""
    settings = Settings()
    chosen = tuple(role.strip() for role in roles.split(","))
    if unknown := sorted(set(chosen) - set(ROLES)):
        raise _failure(f"There is no role {', '.join(unknown)}; choose from {', '.join(ROLES)}.")
    url = settings.database_url.get_secret_value()
    if not url:
        raise _failure("Set DATABASE_URL, or use `corebilling up`, which brings its own Postgres.")
    configure_logs(settings.log_format, settings.log_level)
    uvloop.run(_serve(settings, DatabaseUrls(app=url, worker=url), chosen))


migrate_app = typer.Typer(no_args_is_help=True, help="Brings the database's schema up or down.")
main.add_typer(migrate_app, name="migrate")


@migrate_app.command("up")
def migrate_up() -> None:
    """Applies what is pending. DATABASE_URL connects as an administrator."""
    applied = _migrating(migrate.up(_administrator_url(), MIGRATIONS))
    console.print(
        "\n".join(f"applied {file}" for file in applied) or "Nothing to do: the schema is up to date."
    )


@migrate_app.command("down")
def migrate_down(count: Annotated[int, typer.Argument(min=1, help="How many to undo.")] = 1) -> None:
    """Undoes the latest migrations. What their tables held is gone."""
    undone = _migrating(migrate.down(_administrator_url(), MIGRATIONS, count))
    console.print("\n".join(f"undone {file}" for file in undone) or "Nothing to undo.")


@migrate_app.command("status")
def migrate_status() -> None:
    """Shows which migrations the database has."""
    table = Table("migration", "state")
    for status in _migrating(migrate.status(_administrator_url(), MIGRATIONS)):
        table.add_row(status.file, "applied" if status.applied else "[yellow]pending[/yellow]")
    console.print(table)


async def _up(settings: Settings, folder: Path, postgres: EmbeddedPostgres) -> None:
    await migrate.create_database(postgres.url(SUPERUSER, "postgres"), DATABASE)
    await migrate.up(postgres.url(SUPERUSER, DATABASE), MIGRATIONS)
    settings = settings.model_copy(
        update={"master_key_file": _master_key_file(folder), "webhook_allow_private": True}
    )
    urls = DatabaseUrls(
        app=postgres.url("corebilling_app", DATABASE), worker=postgres.url("corebilling_worker", DATABASE)
    )
    key_file = folder / "platform.key"
    async with App.open(
        settings, urls, SystemClock(), issue_platform_key=not key_file.exists(), worker_id="embedded"
    ) as app:
        if app.new_platform_key:
            _write_private(key_file, app.new_platform_key)
        _write_private(
            folder / "endpoints.json", json.dumps({"grpc": app.grpc_address, "http": app.http_address})
        )
        console.print(
            f"CoreBilling is up.\n"
            f"  gRPC  {app.grpc_address}\n"
            f"  HTTP  {app.http_address}/health /ready /metrics\n"
            f"  data  {folder}, operators' key in {key_file}\n\n"
            f"Try:\n"
            f'  grpcurl -plaintext -H "x-api-key: $(cat {key_file})" {app.grpc_address} '
            f"billing.tenant.v1.TenantService/ListTenants\n"
            f"  COREBILLING_API_KEY=$(cat {key_file}) corebilling call --target {app.grpc_address} "
            f"billing.tenant.v1.TenantService/ListTenants\n\n"
            f"Ctrl-C stops it.",
            soft_wrap=True,
        )
        await _until_stopped(app)


async def _serve(settings: Settings, urls: DatabaseUrls, roles: tuple[str, ...]) -> None:
    async with App.open(settings, urls, SystemClock(), roles) as app:
        console.print(f"serving {', '.join(roles)}: gRPC {app.grpc_address or '-'}, HTTP {app.http_address}")
        if app.new_platform_key:
            console.print(f"operators' key, shown this once: {app.new_platform_key}")
        await _until_stopped(app)


async def _until_stopped(app: App) -> None:
    """Runs the roles until SIGINT or SIGTERM. A role that dies takes the process down with its error."""
    running = asyncio.create_task(app.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


def _master_key_file(folder: Path) -> Path:
    """The embedded installation's own master key, made at its first start."""
    file = folder / "master.key"
    if not file.exists():
        _write_private(file, b64encode(secrets.token_bytes(32)).decode())
    return file


def _write_private(file: Path, text: str) -> None:
    """Whole or not at all, and for the owner's eyes only."""
    unfinished = file.with_suffix(".unfinished")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    unfinished.replace(file)


def _administrator_url() -> str:
    url = Settings().database_url.get_secret_value()
    if not url:
        raise _failure("Set DATABASE_URL to a database and an administrator of it.")
    return url


def _migrating(work: Coroutine[None, None, T]) -> T:
    try:
        return asyncio.run(work)
    except (migrate.MigrationError, OSError) as error:
        raise _failure(str(error)) from None


def _failure(message: str) -> typer.Exit:
    problems.print(f"[red]{message}[/red]")
    return typer.Exit(1)
