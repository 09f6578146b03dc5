"""The text of one generated module: a constant and a function per query, and the row classes they need."""

from __future__ import annotations

from dataclasses import dataclass

from sqlc_gen import layout
from sqlc_gen.query import Query
from sqlc_gen.schema import Schema, pascal


def render(source: str, queries: list[Query], schema: Schema) -> str:
    """The module for one query file."""
    body = "\n\n".join(part for query in queries for part in _parts(query, schema))
    models = [table.class_name for table in schema.tables.values()]
    local = {
        "connection": ["Connection", "Json", "RowNotFound", "array_text", "rows_affected"],
        "models": models + [pascal(name) for name in schema.enums],
    }
    return f"{layout.header(source)}\n{layout.imports(body, local)}\n{body}"


_RETURN_COUNT = "    return rows_affected(tag)\n"


@dataclass(frozen=True, slots=True)
class _Body:
    """What differs from command to command: the return annotation and the statements."""

    returns: str
    statements: str


def _parts(query: Query, schema: Schema) -> list[str]:
    sql = layout.sql_literal(f"-- name: {query.name} {query.command}", query.text)
    constant = f"{query.constant}: Final = {sql}"
    if query.command == ":copyfrom":
        return [_params_class(query, schema), _function(query, [_rows_param(query)], _copyfrom(query))]
    if query.command == ":batchexec":
        return [
            constant,
            _params_class(query, schema),
            _function(query, [_rows_param(query)], _batchexec(query)),
        ]
    params = [f"{param.field}: {schema.python_type(param, parameter=True)}" for param in query.params]
    function = _function(query, ["*", *params] if params else [], _body(query, schema))
    if len(query.columns) < 2 or schema.table_of(query.columns):
        return [constant, function]
    row_class = layout.dataclass(f"{query.name}Row", f"A row of `{query.function}`.", query.columns, schema)
    return [constant, row_class, function]


def _function(query: Query, params: list[str], body: _Body) -> str:
    signature = layout.signature(query.function, ["conn: Connection", *params], body.returns)
    return signature + layout.docstring(query.comment) + body.statements


def _body(query: Query, schema: Schema) -> _Body:
    match query.command:
        case ":one":
            return _one(query, schema)
        case ":many":
            return _many(query, schema)
        case ":execrows":
            return _execrows(query)
        case _:
            return _exec(query)


def _one(query: Query, schema: Schema) -> _Body:
    if len(query.columns) == 1:
        return _one_value(query, schema)
    row_type = _row_type(query, schema)
    fetch = layout.call("row = await conn.fetchrow", _arguments(query))
    if query.may_be_absent:
        return _Body(f"{row_type} | None", f"{fetch}    return None if row is None else {row_type}(*row)\n")
    return _Body(row_type, f"{fetch}{_raise_if_none('row', query)}    return {row_type}(*row)\n")


def _one_value(query: Query, schema: Schema) -> _Body:
    value_type = schema.python_type(query.columns[0], parameter=False)
    nullable = query.columns[0].nullable
    if nullable and not query.may_be_absent:  # fetchval could not tell a missing row from NULL
        fetch = layout.call("row = await conn.fetchrow", _arguments(query))
        value = f"    value: {value_type} = row[0]\n    return value\n"
        return _Body(value_type, fetch + _raise_if_none("row", query) + value)
    optional = value_type if nullable else f"{value_type} | None"
    fetch = layout.call(f"value: {optional} = await conn.fetchval", _arguments(query))
    if query.may_be_absent:
        return _Body(optional, f"{fetch}    return value\n")
    return _Body(value_type, f"{fetch}{_raise_if_none('value', query)}    return value\n")


def _raise_if_none(name: str, query: Query) -> str:
    return f'    if {name} is None:\n        raise RowNotFound("{query.function}")\n'


def _many(query: Query, schema: Schema) -> _Body:
    fetch = layout.call("rows = await conn.fetch", _arguments(query))
    if len(query.columns) == 1:
        value_type = schema.python_type(query.columns[0], parameter=False)
        return _Body(f"list[{value_type}]", f"{fetch}    return [row[0] for row in rows]\n")
    row_type = _row_type(query, schema)
    return _Body(f"list[{row_type}]", f"{fetch}    return [{row_type}(*row) for row in rows]\n")


def _row_type(query: Query, schema: Schema) -> str:
    table = schema.table_of(query.columns)
    return table.class_name if table else f"{query.name}Row"


def _exec(query: Query) -> _Body:
    return _Body("None", layout.call("await conn.execute", _arguments(query)))


def _execrows(query: Query) -> _Body:
    return _Body("int", layout.call("tag = await conn.execute", _arguments(query)) + _RETURN_COUNT)


def _arguments(query: Query) -> list[str]:
    fields = (
        f"array_text({param.field})" if param.name in query.written_out else param.field
        for param in query.params
    )
    return [query.constant, *fields]


def _copyfrom(query: Query) -> _Body:
    columns = "".join(f'"{column.name}", ' for column in query.params).strip()
    columns = columns if len(query.params) == 1 else columns.removesuffix(",")
    arguments = [f'"{query.insert_into}"', "records=rows", f"columns=({columns})"]
    return _Body("int", layout.call("tag = await conn.copy_records_to_table", arguments) + _RETURN_COUNT)


def _batchexec(query: Query) -> _Body:
    return _Body("None", layout.call("await conn.executemany", [query.constant, "rows"]))


def _params_class(query: Query, schema: Schema) -> str:
    """asyncpg wants tuples here; a NamedTuple is one, with names and types."""
    fields = "".join(f"    {c.field}: {schema.python_type(c, parameter=True)}\n" for c in query.params)
    return f'class {query.name}Params(NamedTuple):\n    """One row for `{query.function}`."""\n\n{fields}'


def _rows_param(query: Query) -> str:
    return f"rows: Iterable[{query.name}Params]"
