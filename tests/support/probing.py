"""Whatever query the program runs for a tenant, run for another in the same instant, without its filter.

The connections log in as superuser and act as the program's role. Before a named query of the victim's is
run, it is run in a savepoint, with the arguments of that very moment:

- as the role of the app, and that of the workers, for a stranger who has nothing, without the tenant's
  predicate: once with the victim's id and once with the stranger's own (the attacks);
- as superuser, past all policies, without the predicate (the control): the attack was worth trying;
- as superuser with the predicate, for the stranger (the truth): what the stranger may see.

An attack that returns a row that the truth lacks, or changes a row of the victim's, is a leak.
"""

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from asyncpg import exceptions as pg

from corebilling.db import pool
from corebilling.db.embedded import SUPERUSER
from tests.support.unfiltered import NamedQuery, named_queries

APP, WORKER = "corebilling_app", "corebilling_worker"
_ENOUGH = 4
_WORDS = re.compile(r"\w+")
_WRITES = re.compile(r"\b(?:INSERT INTO|UPDATE|DELETE FROM)\s+(\w+)")
_LIMITS = "SET LOCAL lock_timeout = '300ms'; SET LOCAL statement_timeout = '5s'"


@dataclass
class Verdict:
    """What is known of one query."""

    query: NamedQuery
    tries: int = 0
    proven: bool = False
    """The control reached the victim's rows where the attacks did not."""
    crosses: bool = False
    """Workers reach what is shared with them."""
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Run:
    """What a statement did, before it was undone."""

    rows: Sequence[str] = ()
    error: Exception | None = None
    touched: str = ""
    """Checksums of the victim's rows in the tables of the query."""


class Prober:
    """`tables`: those with tenants' rows, each with the column that says whose they are; `views` of these.
    `shared`: tables and views of which workers see all rows.
    """

    def __init__(self, tables: Mapping[str, str], views: Set[str], shared: set[str]) -> None:
        self.victim = self.stranger = ""
        concerned = tables.keys() | views | {"claim_request", "find_api_key"}
        self.verdicts = {
            query.text: Verdict(query)
            for query in named_queries()
            if concerned.intersection(_WORDS.findall(query.text))
        }
        self._tables = tables
        self._shared = shared

    async def probe(self, connection: asyncpg.Connection, text: str, args: Sequence[Any]) -> None:
        verdict = self.verdicts.get(text)
        if verdict is None or not self.victim or verdict.proven or verdict.tries == _ENOUGH:
            return
        if not connection.is_in_transaction():
            await _plainly(connection, "BEGIN")
            await self._try(connection, verdict, args)
            await _plainly(connection, "ROLLBACK")
            return
        (setting,) = await _fetch(connection, "SELECT current_setting('corebilling.tenant_id', true)")
        if setting[0] == self.victim:
            await self._try(connection, verdict, args)

    async def _try(self, connection: asyncpg.Connection, verdict: Verdict, args: Sequence[Any]) -> None:
        verdict.tries += 1
        query, own_args = verdict.query, [self.stranger if arg == self.victim else arg for arg in args]
        # Those that are only read cannot change, but by what others commit meanwhile.
        writes = _WRITES.findall(query.text)
        tables = sorted(self._tables.keys() & set(writes))
        nothing = await self._run(connection, SUPERUSER, "SELECT WHERE false", (), tables)
        truth = await self._run(connection, SUPERUSER, query.text, own_args, tables)
        control = await self._run(connection, SUPERUSER, query.unfiltered, args, tables)
        if isinstance(control.error, pg.SyntaxOrAccessError):
            verdict.problems.append(f"without its filter it is no query: {control.error}")
        for role in (APP, WORKER):
            for whose in (args, own_args):
                attack = await self._run(connection, role, query.unfiltered, whose, tables)
                if not (leak := self._leak(attack, truth, nothing)):
                    continue
                if (await self._run(connection, SUPERUSER, "SELECT WHERE false", (), tables)) != nothing:
                    continue  # Others have changed them meanwhile.
                if role == WORKER and self._shared.intersection(_WORDS.findall(query.text)):
                    verdict.crosses = True
                else:
                    verdict.problems.append(f"{role}: {leak}")
        if self._leak(control, truth, nothing):
            verdict.proven = True

    def _leak(self, run: _Run, truth: _Run, nothing: _Run) -> str:
        if run.error is not None:
            return ""
        if run.touched != nothing.touched:
            return "changed rows of the victim's"
        more = [row for row in run.rows if row.replace(self.victim, self.stranger) not in truth.rows]
        return f"got {more[0][:300]}" if more else ""

    async def _run(
        self,
        connection: asyncpg.Connection,
        role: str,
        text: str,
        args: Sequence[Any],
        tables: Sequence[str],
    ) -> _Run:
        """As this role for the stranger; undone in the end."""
        await _plainly(
            connection,
            f"SAVEPOINT attempt; {_LIMITS}; SET LOCAL ROLE {role}; "
            f"SET LOCAL corebilling.tenant_id = '{self.stranger}'",
        )
        try:
            rows = [repr(tuple(row)) for row in await _fetch(connection, text, *args)]
            touched = await self._sum(connection, tables)
            run = _Run(rows, None, touched)
        except asyncpg.PostgresError as error:
            run = _Run((), error, "")
        await _plainly(connection, "ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt")
        return run

    async def _sum(self, connection: asyncpg.Connection, tables: Sequence[str]) -> str:
        if not tables:
            return ""
        await _plainly(connection, f"SET LOCAL ROLE {SUPERUSER}")
        return repr([tuple(row) for row in await _fetch(connection, self._sums(tables), self.victim)])

    def _sums(self, tables: Sequence[str]) -> str:
        each = [
            f"SELECT '{table}', md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t "
            f"WHERE {self._tables[table]} = $1"
            for table in tables
        ]
        return " UNION ALL ".join(each) or "SELECT $1::text"


async def _fetch(connection: asyncpg.Connection, text: str, *args: Any) -> list[asyncpg.Record]:
    return await asyncpg.Connection.fetch(connection, text, *args)


async def _plainly(connection: asyncpg.Connection, text: str) -> None:
    await asyncpg.Connection.execute(connection, text)


@contextmanager
def probing(prober: Prober, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Pools opened within try every named query before they run it."""

    class Probing(pool._Connection):
        async def fetch(self, query: str, *args: Any, **more: Any) -> Any:
            await prober.probe(self, query, args)
            return await super().fetch(query, *args, **more)

        async def fetchrow(self, query: str, *args: Any, **more: Any) -> Any:
            await prober.probe(self, query, args)
            return await super().fetchrow(query, *args, **more)

        async def fetchval(self, query: str, *args: Any, **more: Any) -> Any:
            await prober.probe(self, query, args)
            return await super().fetchval(query, *args, **more)

        async def execute(self, query: str, *args: Any, **more: Any) -> Any:
            await prober.probe(self, query, args)
            if query.startswith("BEGIN"):
                # One transaction may wait for another that tries many queries.
                query += "; SET LOCAL idle_in_transaction_session_timeout = 0"
            return await super().execute(query, *args, **more)

        async def executemany(self, command: str, args: Any, **more: Any) -> Any:
            several = list(args)
            await prober.probe(self, command, several[0])
            return await super().executemany(command, several, **more)

    with patch.context() as patched:
        patched.setattr(pool, "_Connection", Probing)
        yield
