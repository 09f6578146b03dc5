"""A real Postgres for tests: one server per test process, one migrated template, a new database per test.

COREBILLING_TEST_POSTGRES_BIN names a folder with another server's `initdb` and `postgres`.
"""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import asyncpg
import pytest

from corebilling.db import migrate
from corebilling.db.embedded import SUPERUSER, EmbeddedPostgres
from corebilling.db.pool import Database
from corebilling.values.clock import SystemClock

MIGRATIONS = Path(__file__).parents[2] / "sql" / "migrations"
_TEMPLATE = "template_corebilling"
# A third faster than through the WAL as long as the server does not sync.
_COPY = "STRATEGY FILE_COPY"
_MEMORY_NEEDED_BYTES = 4 << 30
_numbers = count(1)


def server_binaries() -> Path | None:
    folder = os.environ.get("COREBILLING_TEST_POSTGRES_BIN")
    return Path(folder) if folder else None


@dataclass(frozen=True, slots=True)
class TestDatabase:
    """A migrated database of one test."""

    __test__ = False

    server: EmbeddedPostgres
    name: str

    def url(self, role: str) -> str:
        return self.server.url(role, self.name)

    @property
    def admin_url(self) -> str:
        return self.url(SUPERUSER)

    async def admin(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Run one statement as superuser, past row-level security: to arrange, and to look at everything."""
        connection = await asyncpg.connect(self.admin_url)
        try:
            return await connection.fetch(sql, *args)
        finally:
            await connection.close()


@pytest.fixture
def server_folder() -> Iterator[Path]:
    """A new folder that an unprivileged server can enter; pytest's own temporary folders are private."""
    folder = Path(tempfile.mkdtemp(prefix="cb-"))
    folder.chmod(0o711)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    folder = Path(tempfile.mkdtemp(prefix="cb-", dir=_memory()))
    folder.chmod(0o711)
    server = EmbeddedPostgres.start(folder / "data", durable=False, binaries=server_binaries())
    yield server
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
async def migrated_template(postgres: EmbeddedPostgres) -> str:
    await _administer(postgres, f"CREATE DATABASE {_TEMPLATE}")
    await migrate.up(postgres.url(SUPERUSER, _TEMPLATE), MIGRATIONS)
    return _TEMPLATE


@asynccontextmanager
async def new_database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[TestDatabase]:
    name = f"test_{next(_numbers)}"
    await _administer(postgres, f"CREATE DATABASE {name} TEMPLATE {template} {_COPY}")
    yield TestDatabase(postgres, name)
    await _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def database(postgres: EmbeddedPostgres, migrated_template: str) -> AsyncIterator[TestDatabase]:
    async with new_database(postgres, migrated_template) as made:
        yield made


@pytest.fixture
async def empty_database(postgres: EmbeddedPostgres) -> AsyncIterator[TestDatabase]:
    """Not migrated."""
    name = f"test_{next(_numbers)}"
    await _administer(postgres, f"CREATE DATABASE {name}")
    yield TestDatabase(postgres, name)
    await _administer(postgres, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(empty_database: TestDatabase) -> str:
    """A database for the tests of the query generator, as its administrator."""
    return empty_database.admin_url


@pytest.fixture
async def app_db(database: TestDatabase) -> AsyncIterator[Database]:
    """The pool that RPCs use."""
    opened = await Database.open(
        database.url("corebilling_app"), role="corebilling_app", clock=SystemClock(), max_size=8
    )
    yield opened
    await opened.close()


@pytest.fixture
async def worker_db(database: TestDatabase) -> AsyncIterator[Database]:
    """The pool that the dispatcher, router and scheduler use."""
    opened = await Database.open(
        database.url("corebilling_worker"), role="corebilling_worker", clock=SystemClock(), max_size=8
    )
    yield opened
    await opened.close()


def _memory() -> str | None:
    """Memory as a file system, where a database is copied up to ten times faster; None where it is too small
    (a container's default) or where no copied server could be executed."""
    shm = "/dev/shm"
    if not os.access(shm, os.W_OK) or os.statvfs(shm).f_flag & os.ST_NOEXEC:
        return None
    return shm if shutil.disk_usage(shm).free > _MEMORY_NEEDED_BYTES else None


async def _administer(server: EmbeddedPostgres, sql: str) -> None:
    connection = await asyncpg.connect(server.url(SUPERUSER, "postgres"))
    try:
        await connection.execute(sql)
    finally:
        await connection.close()
