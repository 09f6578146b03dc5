"""Runs the migrations of `sql/migrations`: dbmate's file format and its table `schema_migrations`."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from billing_db.connection import Connection

OWNER = "corebilling_owner"

_INSTALLED = Path(__file__).parents[1] / "sql" / "migrations"
_CHECKOUT = Path(__file__).parents[2] / "sql" / "migrations"
MIGRATIONS = _INSTALLED if _INSTALLED.exists() else _CHECKOUT
"""The platform's own migrations: packed into the wheel, or beside the package in a checkout."""

_LOCK = 0x636F72656269  # any constant; holds off a second migrator of the same database
_FILE = re.compile(r"(\d+)_\w+\.sql")
_PARTS = re.compile(r"\A\s*-- migrate:up[ \t]*\n(.*)^-- migrate:down[ \t]*\n(.*)\Z", re.DOTALL | re.MULTILINE)


class MigrationError(Exception):
    """The files and the database do not fit together; the message names the file."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: str
    file: str
    up: str
    down: str


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    file: str
    applied: bool


def load(folder: Path) -> list[Migration]:
    """The migrations of a folder by version. Raises MigrationError if a file is malformed."""
    migrations = [_parse(path) for path in sorted(folder.glob("*.sql"))]
    if not migrations:
        raise MigrationError(f"no migrations in {folder}")
    if len({m.version for m in migrations}) < len(migrations):
        raise MigrationError(f"two migrations in {folder} have the same version")
    return migrations


async def create_database(url: str, name: str) -> None:
    """Create the database unless it exists; `url` connects to another one, as an administrator."""
    connection = await asyncpg.connect(url)
    try:
        if not await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()


async def up(url: str, folder: Path) -> list[str]:
    """Apply what is pending, each file in a transaction of its own; returns the files applied.

    `url` connects as an administrator: the first file creates the roles. Raises MigrationError.
    """
    migrations = load(folder)
    async with _session(url) as (connection, applied):
        pending = _pending(migrations, applied)
        for migration in pending:
            async with connection.transaction():
                await _run(connection, migration.up, as_owner=migration is not migrations[0])
                await connection.execute(
                    "INSERT INTO public.schema_migrations (version) VALUES ($1)", migration.version
                )
    return [migration.file for migration in pending]


async def down(url: str, folder: Path, count: int) -> list[str]:
    """Undo the last `count` migrations, latest first; returns their files. Raises MigrationError."""
    migrations = load(folder)
    async with _session(url) as (connection, applied):
        _pending(migrations, applied)
        undone = [m for m in reversed(migrations) if m.version in applied][:count]
        for migration in undone:
            async with connection.transaction():
                await _run(connection, migration.down, as_owner=migration is not migrations[0])
                await connection.execute(
                    "DELETE FROM public.schema_migrations WHERE version = $1", migration.version
                )
    return [migration.file for migration in undone]


async def status(url: str, folder: Path) -> list[MigrationStatus]:
    """Every migration, and whether the database has it. Raises MigrationError."""
    migrations = load(folder)
    async with _session(url) as (_, applied):
        _pending(migrations, applied)
        return [MigrationStatus(m.file, m.version in applied) for m in migrations]


async def missing(connection: Connection, folder: Path) -> list[str]:
    """Files that the connected database lacks; needs no administrator. For readiness."""
    rows = await connection.fetch("SELECT version FROM public.schema_migrations")
    applied = {row["version"] for row in rows}
    return [migration.file for migration in load(folder) if migration.version not in applied]


def _parse(path: Path) -> Migration:
    name, parts = _FILE.fullmatch(path.name), _PARTS.match(path.read_text())
    if name is None or parts is None:
        raise MigrationError(f"{path.name}: expected <version>_<name>.sql with -- migrate:up and :down")
    return Migration(version=name[1], file=path.name, up=parts[1], down=parts[2])


def _pending(migrations: list[Migration], applied: set[str]) -> list[Migration]:
    if unknown := applied - {migration.version for migration in migrations}:
        raise MigrationError(
            f"the database has migration {min(unknown)}, whose file is missing; run the release that has it"
        )
    pending = [migration for migration in migrations if migration.version not in applied]
    if pending and applied and pending[0].version < max(applied):
        raise MigrationError(
            f"{pending[0].file} is older than {max(applied)}, already applied; give it a later version"
        )
    return pending


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[tuple[asyncpg.Connection, set[str]]]:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS public.schema_migrations (version varchar(128) PRIMARY KEY)"
        )
        rows = await connection.fetch("SELECT version FROM public.schema_migrations")
        yield connection, {row["version"] for row in rows}
    finally:
        await connection.close()


async def _run(connection: asyncpg.Connection, sql: str, *, as_owner: bool) -> None:
    # Objects belong to whoever creates them, and row-level security must bind their owner too: so the
    # administrator steps down for every file but the first, which creates the owner.
    if as_owner:
        await connection.execute(f"SET LOCAL ROLE {OWNER}")
    await connection.execute(sql)
    if as_owner:
        await connection.execute("RESET ROLE")
