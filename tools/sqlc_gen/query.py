"""One named query, checked: whatever sqlc passes on wrongly typed is refused here with its remedy."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from sqlc_gen.schema import Column, QueryError, Schema, is_guessed, is_unknown, is_void, read_column, snake

COMMANDS = (":one", ":many", ":exec", ":execrows", ":copyfrom", ":batchexec")
_ROW_BY_ROW = (":copyfrom", ":batchexec")
# A verb that says the row may be absent: nothing found, nothing to claim, precondition not met.
_MAY_BE_ABSENT = ("Find", "Mark", "Claim", "Try")
_NULLABLE_COMMENT = "nullable:"
_LOCAL_NAMES = ("conn", "row", "rows", "value", "tag")


@dataclass(frozen=True, slots=True)
class Query:
    """A query that correct code can be generated for."""

    name: str
    command: str
    source: str
    text: str
    comment: tuple[str, ...]
    params: tuple[Column, ...]
    columns: tuple[Column, ...]
    insert_into: str
    written_out: frozenset[str] = frozenset()
    """Array parameters that are sent as their text."""

    @property
    def function(self) -> str:
        return snake(self.name)

    @property
    def constant(self) -> str:
        return snake(self.name).upper()

    @property
    def may_be_absent(self) -> bool:
        return re.match(rf"({'|'.join(_MAY_BE_ABSENT)})([A-Z]|$)", self.name) is not None


def checked_query(raw: Any, schema: Schema) -> Query:
    """Read one query of the request; raises QueryError with the remedy."""
    if raw["cmd"] not in COMMANDS:
        raise QueryError(f"{raw['cmd']} is not supported; use one of {' '.join(COMMANDS)}")
    comment, nullable = _split_comment(raw["comments"])
    returns_rows = raw["cmd"] in (":one", ":many")
    query = Query(
        name=raw["name"],
        command=raw["cmd"],
        source=raw["filename"],
        text=raw["text"].strip(),
        comment=comment,
        params=tuple(_checked_param(param["column"], param["number"]) for param in raw["params"]),
        columns=tuple(_checked_column(column) for column in raw["columns"]) if returns_rows else (),
        insert_into=(raw["insert_into_table"] or {}).get("name", ""),
    )
    _check_names(query)
    _check_uncast_params(query)
    query = replace(query, columns=_with_nullable(query, nullable))
    for column in query.columns:
        schema.python_type(column, parameter=False)
    for param in query.params:
        schema.python_type(param, parameter=True)
    return query if query.command in _ROW_BY_ROW else _with_arrays_written_out(query)


def _with_arrays_written_out(query: Query) -> Query:
    """Arrays that are only unnested go as text, which Postgres takes apart itself.

    The driver examines each element of an array several times, and takes five times as long. Elsewhere, as
    in `= ANY`, Postgres might take the text apart anew for each row.
    """
    text, written_out = query.text, set()
    for number, param in enumerate(query.params, start=1):
        unnested = re.compile(rf"\bunnest\(\s*\${number}::([\w ]+\[\])\s*\)")
        only_unnested = len(unnested.findall(text)) == len(re.findall(rf"\${number}\b", text))
        if only_unnested and param.is_array and not param.nullable and param.type != "bytea":
            text = unnested.sub(rf"unnest(${number}::text::\1)", text)
            written_out.add(param.name)
    return replace(query, text=text, written_out=frozenset(written_out))


def _split_comment(lines: list[str]) -> tuple[tuple[str, ...], set[str] | None]:
    """The comment for the docstring, and the columns that a `-- nullable: a, b` line names."""
    text = [line.strip() for line in lines]
    nullable = [line.removeprefix(_NULLABLE_COMMENT) for line in text if line.startswith(_NULLABLE_COMMENT)]
    names = {name.strip() for line in nullable for name in line.split(",")} if nullable else None
    return tuple(line for line in text if not line.startswith(_NULLABLE_COMMENT)), names


def _checked_param(raw: Any, number: int) -> Column:
    if raw["is_sqlc_slice"]:
        raise QueryError(f"sqlc.slice is not supported; write `= ANY(@{raw['name']}::text[])`")
    if not raw["name"]:
        raise QueryError(f"parameter ${number} has no name; write `@name::type`")
    if not raw["name"].isidentifier():
        raise QueryError(
            f'sqlc misread the parameter "{raw["name"]}": @ binds looser than + - * /; '
            "write `sqlc.arg(name)::type` before such an operator"
        )
    if is_unknown(raw):
        raise QueryError(f"sqlc does not know the type of @{raw['name']}; write `@{raw['name']}::type`")
    return read_column(raw)


def _checked_column(raw: Any) -> Column:
    if raw["embed_table"]:
        raise QueryError("sqlc.embed is not supported; list the columns")
    if not raw["name"]:
        raise QueryError("a result column has no name; write `expression::type AS name`")
    if is_void(raw):
        raise QueryError(f'"{raw["name"]}" is void; use :exec')
    if is_unknown(raw) or is_guessed(raw):
        raise QueryError(
            f'sqlc can only guess the type of the computed column "{raw["name"]}"; '
            f"write `(expression)::type AS {raw['name']}`"
        )
    return read_column(raw)


def _check_names(query: Query) -> None:
    for kind, columns in (("parameter", query.params), ("result column", query.columns)):
        names = [column.name for column in columns]
        for name in names:
            if names.count(name) > 1:
                raise QueryError(f'two of its {kind}s are named "{name}"; name them apart (@name, AS name)')
            if not name.isidentifier():
                raise QueryError(f'the {kind} name "{name}" is no Python name; use AS')
    for param in query.params:
        if param.name in _LOCAL_NAMES:
            raise QueryError(f'the parameter name "{param.name}" is taken by the generated code; rename it')


def _check_uncast_params(query: Query) -> None:
    """Refuse the two places where sqlc gives a parameter a wrong type without a word."""
    array_use = {int(n) for n in re.findall(r"\b(?:ANY|ALL)\s*\(\s*\$(\d+)\s*\)", query.text, re.IGNORECASE)}
    row_use: set[int] = set()
    for row in re.findall(r"\)\s*(?:[<>]=?|=|<>)\s*\(([^()]*,[^()]*)\)", query.text):
        row_use |= {int(n) for n in re.findall(r"\$(\d+)\s*(?=,|$)", row)}
    for number, param in enumerate(query.params, start=1):
        if number in array_use:
            raise QueryError(
                f"ANY(@{param.name}) needs a cast to an array; write `ANY(@{param.name}::text[])`"
            )
        if number in row_use:
            raise QueryError(f"in a row comparison each parameter needs a cast; write `@{param.name}::type`")


def _with_nullable(query: Query, nullable: set[str] | None) -> tuple[Column, ...]:
    if nullable is None:
        if re.search(r"\b(LEFT|FULL)(\s+OUTER)?\s+JOIN\s+(LATERAL\b|\()", query.text, re.IGNORECASE):
            raise QueryError(
                "sqlc takes the columns of an outer-joined subquery for NOT NULL; "
                "add a comment line `-- nullable: column, column` (or `-- nullable: none`)"
            )
        return query.columns
    unknown = nullable - {column.name for column in query.columns} - {"none"}
    if unknown:
        raise QueryError(f"its `-- nullable:` line names {', '.join(sorted(unknown))}, no result column")
    return tuple(replace(c, nullable=c.nullable or c.name in nullable) for c in query.columns)
