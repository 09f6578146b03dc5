"""The modules that all query modules share: models, connection, and the package itself."""

from __future__ import annotations

import json

from sqlc_gen import layout
from sqlc_gen.query import Query
from sqlc_gen.schema import Schema, pascal

_CONNECTION = r'''
from collections.abc import Iterable, Sequence
from typing import Any, Protocol, TypeAlias

import orjson

Json: TypeAlias = Any
"""What a jsonb column holds, decoded: dict, list, str, int, float, bool or None."""


class RowNotFound(LookupError):
    """A query that must find its row found none; the message is the query function's name."""


class Connection(Protocol):
    """What the query functions ask of a connection: asyncpg's connections and pool proxies have it."""

    async def fetch(self, query: str, /, *args: Any) -> Iterable[Any]: ...

    async def fetchrow(self, query: str, /, *args: Any) -> Any: ...

    async def fetchval(self, query: str, /, *args: Any) -> Any: ...

    async def execute(self, query: str, /, *args: Any) -> str: ...

    async def executemany(self, command: str, /, args: Iterable[Sequence[Any]]) -> None: ...

    async def copy_records_to_table(
        self, table_name: str, /, *, records: Iterable[Sequence[Any]], columns: Sequence[str]
    ) -> str: ...


def array_text(values: Sequence[Any]) -> str:
    """The array as Postgres reads it: JSON writes it alike, but for brackets and what takes a backslash."""
    try:
        text = orjson.dumps(list(values), default=str).decode()
    except orjson.JSONEncodeError:
        text = ""  # An integer of more than 64 bits, which is for Postgres to refuse.
    if text and "\\" not in text:
        return f"{{{text[1:-1]}}}"
    return f"{{{','.join(map(_element, values))}}}"


def _element(value: Any) -> str:
    if value is None:
        return "NULL"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'


def rows_affected(tag: str) -> int:
    """The row count in a command's status: `UPDATE 3` -> 3."""
    return int(tag.rpartition(" ")[2])
'''

_INIT = '''"""Typed query functions, one module per file of queries."""

from .connection import Connection, Json, RowNotFound

__all__ = ["Connection", "Json", "RowNotFound"]
'''


def render(queries: list[Query], schema: Schema) -> dict[str, str]:
    """File name -> text of the shared modules."""
    return {
        "__init__.py": layout.header("the schema and queries") + _INIT,
        "connection.py": layout.header("the schema and queries") + _CONNECTION,
        "models.py": _models(queries, schema),
        "py.typed": "",
    }


def _models(queries: list[Query], schema: Schema) -> str:
    """Only what queries use, so that an unused table adds nothing to read."""
    tables = {table.name: table for query in queries if (table := schema.table_of(query.columns))}
    used_types = {column.type for query in queries for column in query.params + query.columns}
    enums = [
        f"{pascal(name)} = Literal[{', '.join(json.dumps(value) for value in values)}]\n"
        for name, values in sorted(schema.enums.items())
        if name in used_types
    ]
    classes = [
        layout.dataclass(table.class_name, table.comment or f"A row of `{name}`.", table.columns, schema)
        for name, table in sorted(tables.items())
    ]
    body = "\n\n".join(["".join(enums), *classes] if enums else classes)
    imports = layout.imports(body, {"connection": ["Json"]})
    blocks = [layout.header("the schema"), imports, f"\n{body}" if body.startswith("@") else body]
    return "\n".join(block for block in blocks if block)
