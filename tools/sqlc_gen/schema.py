"""What the plugin needs of sqlc's catalog, and how SQL types become Python types."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


class QueryError(Exception):
    """Something in a query that no correct code can be generated for; the message names the remedy."""


# Both spellings of each type occur: sqlc normalizes some of them, and prefixes some with pg_catalog.
_CANONICAL = {
    "varchar": "text", "character varying": "text", "bpchar": "text", "char": "text", "name": "text",
    "citext": "text", "boolean": "bool",
    "int": "int4", "integer": "int4", "serial": "int4", "serial4": "int4",
    "smallint": "int2", "smallserial": "int2", "bigint": "int8", "bigserial": "int8", "serial8": "int8",
    "decimal": "numeric", "real": "float4", "double precision": "float8",
    "timestamp with time zone": "timestamptz", "json": "jsonb",
}  # fmt: skip

_PYTHON = {
    "text": "str", "bool": "bool", "int2": "int", "int4": "int", "int8": "int", "xid8": "int", "oid": "int",
    "numeric": "Decimal", "float4": "float", "float8": "float",
    "timestamptz": "datetime.datetime", "date": "datetime.date", "interval": "datetime.timedelta",
    "bytea": "bytes", "uuid": "UUID", "jsonb": "Json",
}  # fmt: skip

# Only sqlc's own guesses carry these spellings: casts and table columns arrive as pg_catalog.int8, bool, …
# The guesses are wrong too often: `numeric * 2` and `timestamptz + interval` are both said to be int.
_GUESSED = {"int", "integer", "bigint", "smallint", "numeric", "boolean", "real", "double precision"}
_GUESSED |= {"timestamp with time zone", "time with time zone", "character varying"}
_SYSTEM_SCHEMAS = ("pg_catalog", "information_schema", "pg_temp")
_UNKNOWN = {"", "any", "anyelement", "anyarray", "anynonarray", "anycompatible", "record", "unknown"}


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, a result or a parameter list."""

    name: str
    type: str  # canonical SQL type; an enum keeps its own name
    nullable: bool
    is_array: bool
    table: str = ""

    @property
    def field(self) -> str:
        """The name in Python."""
        return f"{self.name}_" if keyword.iskeyword(self.name) else self.name

    def same_value(self, other: Column) -> bool:
        """Whether both hold the same values under the same name, wherever they come from."""
        mine = (self.name, self.type, self.nullable, self.is_array)
        return mine == (other.name, other.type, other.nullable, other.is_array)


@dataclass(frozen=True, slots=True)
class Table:
    name: str
    comment: str
    columns: tuple[Column, ...]

    @property
    def class_name(self) -> str:
        return pascal(singular(self.name))


@dataclass(frozen=True, slots=True)
class Schema:
    """The user's tables and enums."""

    tables: Mapping[str, Table]
    enums: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, catalog: Any) -> Schema:
        own = [schema for schema in catalog["schemas"] if schema["name"] not in _SYSTEM_SCHEMAS]
        tables: dict[str, Table] = {}
        for table in (table for schema in own for table in schema["tables"]):
            columns = tuple(read_column(column) for column in table["columns"])
            tables[table["rel"]["name"]] = Table(table["rel"]["name"], table["comment"], columns)
        enums = {enum["name"]: tuple(enum["vals"]) for schema in own for enum in schema["enums"]}
        return cls(tables, enums)

    def table_of(self, columns: tuple[Column, ...]) -> Table | None:
        """The table whose whole row these result columns are, or None.

        A data-modifying CTE or a function hides the table's name; then the shape alone decides.
        """
        if len(columns) < 2:  # a single column is returned as its value
            return None
        source = columns[0].table
        candidates = [self.tables[source]] if source in self.tables else list(self.tables.values())
        for table in candidates:
            if len(table.columns) == len(columns) and all(map(Column.same_value, table.columns, columns)):
                return table
        return None

    def python_type(self, column: Column, *, parameter: bool) -> str:
        """The annotation of a column; raises QueryError when its SQL type is not mapped."""
        if column.type in self.enums:
            python = pascal(column.type)
        elif column.type in _PYTHON:
            python = _PYTHON[column.type]
        else:
            raise QueryError(
                f'"{column.name}" has the SQL type {column.type!r}, which has no Python type here; '
                "cast it in the query, or add the type to tools/sqlc_gen/schema.py"
            )
        if column.is_array:
            python = f"{'Sequence' if parameter else 'list'}[{python}]"
        return f"{python} | None" if column.nullable else python


def read_column(raw: Any) -> Column:
    inner_arrays = "[]" * (raw["array_dims"] - 1)  # an array of arrays is a type of its own, and not mapped
    return Column(
        name=raw["name"],
        type=_CANONICAL.get(type_name(raw), type_name(raw)) + inner_arrays,
        nullable=not raw["not_null"] and not type_name(raw).endswith("serial"),
        is_array=raw["is_array"],
        table=raw["table"]["name"] if raw["table"] else "",
    )


def type_name(raw: Any) -> str:
    name: str = raw["type"]["name"]
    return name.removeprefix("pg_catalog.").strip('"')


def is_guessed(raw: Any) -> bool:
    """Whether sqlc only guessed the type of this result column."""
    return raw["is_func_call"] or (not raw["type"]["schema"] and raw["type"]["name"] in _GUESSED)


def is_void(raw: Any) -> bool:
    return type_name(raw) == "void"


def is_unknown(raw: Any) -> bool:
    return type_name(raw) in _UNKNOWN


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def pascal(name: str) -> str:
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def singular(plural: str) -> str:
    """`ledger_entries` -> `ledger_entry`, `addresses` -> `address`, `usage` -> `usage`."""
    if plural.endswith("ies"):
        return plural[:-3] + "y"
    if re.search(r"(ss|sh|tch|rch|x|status)es$", plural):
        return plural[:-2]
    if plural.endswith("s") and not plural.endswith(("ss", "us", "is")):
        return plural[:-1]
    return plural
