"""The `corebilling` command."""

import asyncio
from collections.abc import Coroutine
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, TypeVar
from urllib.parse import urlsplit

import asyncpg
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from corebilling.commands.audit import audit_app
from corebilling.commands.auth import auth_app
from corebilling.commands.call import call
from corebilling.commands.catalog import catalog_app
from corebilling.commands.clock import clock_app
from corebilling.commands.connection import failure
from corebilling.commands.dead_letters import dead_letters_app
from corebilling.commands.events import events_app
from corebilling.commands.invoice import invoice_app
from corebilling.commands.ledger import ledger_app
from corebilling.commands.replay import replay
from corebilling.commands.tls import ClientApp
from corebilling.commands.usage import usage_app
from corebilling.config import ROLES, Settings, SettingsInvalid, read_settings
from corebilling.db import migrate
from corebilling.db.migrate import MIGRATIONS

console = Console(highlight=False, markup=False, emoji=False)

main = ClientApp(no_args_is_help=True)
main.command()(call)
main.command()(replay)
main.add_typer(audit_app, name="audit")
main.add_typer(auth_app, name="auth")
main.add_typer(catalog_app, name="catalog")
main.add_typer(clock_app, name="clock")
main.add_typer(dead_letters_app, name="dead-letters")
main.add_typer(events_app, name="events")
main.add_typer(invoice_app, name="invoice")
main.add_typer(ledger_app, name="ledger")
main.add_typer(usage_app, name="usage")

T = TypeVar("T")

_CANNOT_CONNECT = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"corebilling {version('corebilling')}")
        raise typer.Exit


@main.callback()
def corebilling(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Prints the version.")
    ] = False,
) -> None:
    """CoreBilling: usage, rating, invoices and a ledger over gRPC."""


@main.command()
def up(
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept; made if missing.")] = None,
    grpc_port: Annotated[int | None, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = None,
    http_port: Annotated[int | None, typer.Option(min=0, max=65_535, help="0 takes a free one.")] = None,
) -> None:
    """Runs everything in this one process, on a Postgres of its own. Ctrl-C stops it; the data stays."""
    settings = _settings()
    folder = data_dir or settings.data_dir
    changes = {"grpc_port": grpc_port, "port": http_port}
    settings = settings.model_copy(
        update={name: value for name, value in changes.items() if value is not None}
    )
    # Imported here, since all else that the command does starts faster without the servers' libraries.
    from corebilling.running import StartFailed, run_embedded

    try:
        run_embedded(settings, folder)
    except StartFailed as error:
        raise failure(str(error)) from None
    console.print(f"Stopped. The data stays in {folder}; `corebilling up` goes on from there.")


@main.command()
def serve(
    roles: Annotated[str, typer.Option(help=f"Comma-separated, of: {', '.join(ROLES)}.")] = ",".join(ROLES),
) -> None:
    """Runs some or all roles against DATABASE_URL, which is migrated already."""
    settings = _settings()
    chosen = tuple(role.strip() for role in roles.split(","))
    if unknown := sorted(set(chosen) - set(ROLES)):
        raise failure(f"There is no role {', '.join(unknown)}; choose from {', '.join(ROLES)}.")
    url = _servers_url(settings)
    from corebilling.running import StartFailed, run_roles

    try:
        run_roles(settings, url, chosen)
    except StartFailed as error:
        raise failure(str(error)) from None


@auth_app.command("new-platform-key")
def new_platform_key() -> None:
    """Prints a new key of the operators, made in DATABASE_URL with the servers' master key.

    For when theirs is lost. The others work on until RevokeApiKey.
    """
    settings = _settings()
    url = _servers_url(settings)
    from corebilling.running import StartFailed
    from corebilling.running import new_platform_key as issue

    try:
        # Alone, so that it can be taken into a variable.
        print(issue(settings, url))
    except StartFailed as error:
        raise failure(str(error)) from None


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
        table.add_row(status.file, "applied" if status.applied else Text("pending", "yellow"))
    console.print(table)


def _settings() -> Settings:
    try:
        return read_settings()
    except SettingsInvalid as error:
        raise failure(str(error)) from None


def _servers_url(settings: Settings) -> str:
    url = settings.database_url.get_secret_value()
    if not url:
        raise failure("Set DATABASE_URL, or use `corebilling up`, which brings its own Postgres.")
    return url


def _administrator_url() -> str:
    url = _settings().database_url.get_secret_value()
    if not url:
        raise failure("Set DATABASE_URL to a database and an administrator of it.")
    return url


def _migrating(work: Coroutine[None, None, T]) -> T:
    try:
        return asyncio.run(work)
    except migrate.MigrationError as error:
        raise failure(str(error)) from None
    except _CANNOT_CONNECT as error:
        url = urlsplit(_administrator_url())
        # Without the password.
        server = url.netloc.rpartition("@")[2] or "the local socket"
        raise failure(
            f"DATABASE_URL names the database '{url.path.removeprefix('/')}' at {server}, "
            f"which cannot be connected to: {error}"
        ) from None
