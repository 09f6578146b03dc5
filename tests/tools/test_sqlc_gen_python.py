"""The plugin behind the real sqlc: the text it writes, its types, what it refuses, and that it runs."""

import importlib
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from pathlib import Path
from random import Random
from types import ModuleType

import asyncpg
import pytest

PLUGIN = Path(__file__).parents[2] / "tools" / "sqlc-gen-python"
SQLC = Path(sys.executable).with_name("sqlc")
CONFIG = f"""
version: "2"
plugins:
  - {{name: python, env: [PATH], process: {{cmd: {PLUGIN}, format: json}}}}
sql:
  - engine: postgresql
    schema: schema
    queries: queries
    codegen: [{{plugin: python, out: generated_db}}]
"""
SCHEMA = """
-- migrate:up
CREATE TYPE grade AS ENUM ('good', 'bad');
CREATE TABLE ledger_entries (
    tenant_id text NOT NULL,
    id text NOT NULL,
    seq bigint NOT NULL GENERATED ALWAYS AS IDENTITY,
    quantity numeric NOT NULL,
    labels text[] NOT NULL DEFAULT '{}',
    grade grade,
    note text,
    at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id)
);
COMMENT ON TABLE ledger_entries IS 'One side of a booking.';
CREATE FUNCTION entries_of(wanted text) RETURNS SETOF ledger_entries LANGUAGE sql SECURITY DEFINER
AS $$ SELECT * FROM ledger_entries WHERE tenant_id = wanted $$;
-- migrate:down
DROP TABLE ledger_entries;
"""
QUERIES = r"""
-- name: GetLedgerEntry :one
-- One entry; "quoted".
SELECT * FROM ledger_entries WHERE tenant_id = @tenant_id AND id = @id;

-- name: FindLedgerEntry :one
SELECT * FROM ledger_entries WHERE tenant_id = @tenant_id AND id = @id;

-- name: GetNote :one
SELECT note FROM ledger_entries WHERE tenant_id = @tenant_id AND id = @id;

-- name: FindNote :one
SELECT note FROM ledger_entries WHERE tenant_id = @tenant_id AND id = @id;

-- name: CountLedgerEntries :one
SELECT count(*)::bigint AS entries FROM ledger_entries WHERE tenant_id = @tenant_id AND id ~ '^\w+$';

-- name: ListLedgerEntries :many
-- The page after a position.
-- A row comparison, so that the primary key's order is followed.
SELECT id, quantity, grade FROM ledger_entries
WHERE tenant_id = @tenant_id AND (at, id) > (@after_at::timestamptz, @after_id::text)
  AND grade = ANY(@grades::grade[])
ORDER BY at, id LIMIT @page_size;

-- name: ListIds :many
SELECT id FROM ledger_entries WHERE tenant_id = @tenant_id ORDER BY id;

-- name: ListThroughFunction :many
SELECT * FROM entries_of(@tenant_id);

-- name: InsertLedgerEntry :one
WITH inserted AS (
    INSERT INTO ledger_entries (tenant_id, id, quantity, labels, grade, at)
    VALUES (@tenant_id, @id, @quantity, @labels, @grade, @at) RETURNING *
)
SELECT * FROM inserted;

-- name: InsertLedgerEntries :execrows
INSERT INTO ledger_entries (tenant_id, id, quantity, at)
SELECT @tenant_id::text, u.id, u.quantity, @at::timestamptz
FROM ROWS FROM (unnest(@ids::text[]), unnest(@quantities::numeric[])) AS u (id, quantity);

-- name: MarkNoted :execrows
UPDATE ledger_entries SET note = sqlc.narg(note) WHERE tenant_id = @tenant_id;

-- name: DeleteLedgerEntries :exec
DELETE FROM ledger_entries;

-- name: ListUnnested :many
SELECT
    unnest(@texts::text[])::text AS text, unnest(@numbers::bigint[])::bigint AS number,
    unnest(@quantities::numeric[])::numeric AS quantity, unnest(@times::timestamptz[])::timestamptz AS time,
    unnest(@raw::bytea[])::bytea AS raw;

-- name: CountUnnested :one
SELECT (count(*) FILTER (WHERE u.id = ANY (@ids::text[])))::bigint AS known
FROM unnest(@ids::text[]) AS u (id);

-- name: CopyLedgerEntries :copyfrom
INSERT INTO ledger_entries (tenant_id, id, quantity, at) VALUES (@tenant_id, @id, @quantity, @at);

-- name: NoteEach :batchexec
UPDATE ledger_entries SET note = @note WHERE id = @id;

-- name: LatestPerEntry :many
-- nullable: last_at
SELECT e.id, max(e.at)::timestamptz AS last_at FROM ledger_entries AS e GROUP BY e.id;
"""
CALLER = """
import asyncpg
from asyncpg.pool import PoolConnectionProxy

from generated_db import Connection, entry
from generated_db.models import LedgerEntry


async def drivers_satisfy_connection(
    direct: asyncpg.Connection[asyncpg.Record], pooled: PoolConnectionProxy[asyncpg.Record]
) -> list[LedgerEntry]:
    connections: list[Connection] = [direct, pooled]
    return [await entry.get_ledger_entry(conn, tenant_id="t", id="e") for conn in connections]


async def a_missing_row_must_be_considered(conn: Connection) -> str:
    found = await entry.find_ledger_entry(conn, tenant_id="t", id="e")
    return found.id  # error: found may be None
"""


def generate(folder: Path, queries: str) -> subprocess.CompletedProcess[str]:
    for name, text in (("sqlc.yaml", CONFIG), ("schema/0001.sql", SCHEMA), ("queries/entry.sql", queries)):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return subprocess.run([SQLC, "generate"], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that holds the package `generated_db`."""
    folder = tmp_path_factory.mktemp("sqlc")
    run = generate(folder, QUERIES)
    assert run.returncode == 0, run.stderr
    return folder


def function(generated: Path, name: str) -> str:
    """The text of one generated function."""
    text = (generated / "generated_db" / "entry.py").read_text()
    return text.partition(f"async def {name}(")[2].partition("\n\n\n")[0].rstrip()


def test_get_raises_when_the_row_is_missing(generated: Path) -> None:
    assert function(generated, "get_ledger_entry") == (
        "conn: Connection, *, tenant_id: str, id: str) -> LedgerEntry:\n"
        '    """One entry; "quoted"."""\n'
        "    row = await conn.fetchrow(GET_LEDGER_ENTRY, tenant_id, id)\n"
        "    if row is None:\n"
        '        raise RowNotFound("get_ledger_entry")\n'
        "    return LedgerEntry(*row)"
    )


def test_find_answers_none_when_the_row_is_missing(generated: Path) -> None:
    text = function(generated, "find_ledger_entry")
    assert "-> LedgerEntry | None:" in text
    assert "return None if row is None else LedgerEntry(*row)" in text


def test_long_signature_is_exploded_and_comments_become_the_docstring(generated: Path) -> None:
    assert function(generated, "list_ledger_entries").startswith(
        "\n    conn: Connection,\n    *,\n    tenant_id: str,\n    after_at: datetime.datetime,\n"
        "    after_id: str,\n    grades: Sequence[Grade],\n    page_size: int,\n"
        ") -> list[ListLedgerEntriesRow]:\n"
        '    """The page after a position.\n'
        "    A row comparison, so that the primary key's order is followed.\n"
        '    """\n'
    )


def test_single_column_is_returned_as_its_value(generated: Path) -> None:
    assert "-> list[str]:" in function(generated, "list_ids")
    assert "-> int:" in function(generated, "count_ledger_entries")
    assert "-> str | None:" in function(generated, "get_note")


def test_whole_rows_of_functions_and_modifying_ctes_reuse_the_model(generated: Path) -> None:
    assert "-> list[LedgerEntry]:" in function(generated, "list_through_function")
    assert "-> LedgerEntry:" in function(generated, "insert_ledger_entry")


def test_query_name_is_sent_to_the_server(generated: Path) -> None:
    text = (generated / "generated_db" / "entry.py").read_text()
    assert 'LIST_IDS: Final = """-- name: ListIds :many\nSELECT id FROM' in text


def test_column_named_nullable_in_a_comment_may_be_none(generated: Path) -> None:
    text = (generated / "generated_db" / "entry.py").read_text()
    assert "    last_at: datetime.datetime | None\n" in text
    assert "nullable:" not in text


def test_model_carries_the_table_comment_and_types(generated: Path) -> None:
    text = (generated / "generated_db" / "models.py").read_text()
    assert 'Grade = Literal["good", "bad"]\n' in text
    assert text.endswith(
        '@dataclass(slots=True)\nclass LedgerEntry:\n    """One side of a booking."""\n\n'
        "    tenant_id: str\n    id: str\n    seq: int\n    quantity: Decimal\n    labels: list[str]\n"
        "    grade: Grade | None\n    note: str | None\n    at: datetime.datetime\n"
    )


def test_same_input_gives_the_same_text(generated: Path) -> None:
    assert subprocess.run([SQLC, "diff"], cwd=generated, check=False).returncode == 0


def test_generated_code_is_formatted(generated: Path) -> None:
    command = [sys.executable, "-m", "ruff", "format", "--diff", "--line-length=110", "generated_db"]
    assert subprocess.run(command, cwd=generated, check=False).returncode == 0


def test_generated_code_is_strictly_typed_and_callers_are_held_to_it(generated: Path) -> None:
    (generated / "caller.py").write_text(CALLER)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-version=3.11", "caller.py", "generated_db"]
    run = subprocess.run(command, cwd=generated, capture_output=True, text=True, check=False)
    errors = [line for line in run.stdout.splitlines() if "error:" in line]
    expected_line = CALLER.splitlines().index("    return found.id  # error: found may be None") + 1
    assert len(errors) == 1, run.stdout
    assert errors[0].startswith(f"caller.py:{expected_line}:")
    assert '"None" has no attribute "id"' in errors[0] or '"None" of "LedgerEntry | None"' in errors[0]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (":many\nSELECT id FROM ledger_entries WHERE id = ANY(@ids)", "write `ANY(@ids::text[])`"),
        (":many\nSELECT id FROM ledger_entries WHERE (at, id) > (@after_at, @after_id)", "`@after_at::type`"),
        (":one\nSELECT sum(quantity) AS total FROM ledger_entries", "`(expression)::type AS total`"),
        (":many\nSELECT date_trunc('day', at) AS day FROM ledger_entries", "`(expression)::type AS day`"),
        (":one\nSELECT quantity * 2 AS twice FROM ledger_entries", "`(expression)::type AS twice`"),
        (
            ":many\nWITH s AS (SELECT sum(e.seq) AS total FROM ledger_entries e) SELECT s.total FROM s",
            "`(expression)::type AS total`",
        ),
        (":many\nSELECT x.id FROM unnest(@ids::text[]) AS x (id)", "`(expression)::type AS id`"),
        (":many\nSELECT greatest(seq, 1), id FROM ledger_entries", "a result column has no name"),
        (":many\nSELECT id FROM ledger_entries LIMIT 1 + $1::bigint", "parameter $1 has no name"),
        (":many\nSELECT id FROM ledger_entries WHERE at > $1 AND at < $2", 'parameters are named "at"'),
        (":many\nSELECT a.id, b.id FROM ledger_entries a, ledger_entries b", 'result columns are named "id"'),
        (":many\nSELECT id FROM ledger_entries WHERE seq = @value", 'the parameter name "value" is taken'),
        (":execrows\nUPDATE ledger_entries SET seq = @n + 1", "write `sqlc.arg(name)::type`"),
        (":many\nSELECT id FROM ledger_entries WHERE id IN (sqlc.slice(ids))", "sqlc.slice is not supported"),
        (":many\nSELECT sqlc.embed(ledger_entries) FROM ledger_entries", "sqlc.embed is not supported"),
        (":execresult\nDELETE FROM ledger_entries", ":execresult is not supported; use one of :one"),
        (":one\nSELECT pg_advisory_xact_lock(1)", "is void; use :exec"),
        (":one\nSELECT now()::timestamp AS local", "SQL type 'timestamp', which has no Python type"),
        (
            ":many\nSELECT b.at FROM ledger_entries a LEFT JOIN (SELECT at FROM entries_of('t')) b ON true",
            "add a comment line `-- nullable:",
        ),
        (":many\n-- nullable: absent\nSELECT id FROM ledger_entries", "names absent, no result column"),
    ],
)
def test_query_that_would_be_wrongly_typed_is_refused(tmp_path: Path, query: str, message: str) -> None:
    run = generate(tmp_path, f"-- name: Refused {query};")
    assert run.returncode == 1
    assert "entry.sql: Refused: " in run.stderr
    assert message in run.stderr
    assert not (tmp_path / "generated_db").exists()


def test_every_problem_is_listed_at_once(tmp_path: Path) -> None:
    run = generate(tmp_path, "-- name: First :one\nSELECT 1 + 1;\n-- name: Second :one\nSELECT now() AS at;")
    assert "entry.sql: First: " in run.stderr
    assert "entry.sql: Second: " in run.stderr


def test_arrays_that_are_only_unnested_are_written_out(generated: Path) -> None:
    text = (generated / "generated_db" / "entry.py").read_text()
    assert "unnest($1::text::text[])" in text
    assert "array_text(texts)" in text
    assert "unnest($5::bytea[])" in text
    assert "unnest($1::text[]) AS u (id)" in text, "it is looked through for each row as well"


@pytest.fixture
def entry(generated: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(generated))
    return importlib.import_module("generated_db.entry")


async def test_generated_functions_run_on_postgres(entry: ModuleType, postgres_url: str) -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    conn = await asyncpg.connect(postgres_url)
    try:
        await conn.execute("CREATE SCHEMA sqlc_gen; SET search_path = sqlc_gen")
        await conn.execute(SCHEMA.partition("-- migrate:down")[0])
        await written_rows_are_read_back(entry, conn, now)
    finally:
        await conn.execute("DROP SCHEMA IF EXISTS sqlc_gen CASCADE")
        await conn.close()


def random_row(chance: Random) -> tuple[str, int, Decimal, datetime, bytes]:
    characters = "aé日\U0001f600 \\\"',{}\n\t\x01\x7f\u2028"
    text = "".join(chance.choices(characters, k=chance.randrange(6)))
    number = chance.choice([0, 1, -(2**63), 2**63 - 1, chance.getrandbits(40)])
    quantity = Decimal(chance.getrandbits(80) - 2**79).scaleb(-chance.randrange(13), Context(prec=50))
    time = datetime(1, 1, 2, tzinfo=UTC) + timedelta(microseconds=chance.getrandbits(57))
    return text, number, quantity, time, text.encode()


async def test_arrays_arrive_as_they_were_sent(entry: ModuleType, postgres_url: str) -> None:
    chance = Random(1)
    conn = await asyncpg.connect(postgres_url)
    try:
        for length in (0, 1, 2, *[20] * 50):
            rows = [random_row(chance) for _ in range(length)]
            texts, numbers, quantities, times, raw = zip(*rows, strict=True) if rows else [()] * 5
            found = await entry.list_unnested(
                conn, texts=texts, numbers=numbers, quantities=quantities, times=times, raw=raw
            )
            assert [(one.text, one.number, one.quantity, one.time, one.raw) for one in found] == rows
        for text in ("", "NULL", "null", "{a,b}", "\\", '"'):
            (one,) = await entry.list_unnested(
                conn, texts=[text], numbers=[], quantities=[], times=[], raw=[]
            )
            assert one.text == text
        with pytest.raises(asyncpg.NumericValueOutOfRangeError):
            await entry.list_unnested(conn, texts=[], numbers=[2**63], quantities=[], times=[], raw=[])
    finally:
        await conn.close()


async def written_rows_are_read_back(entry: ModuleType, conn: asyncpg.Connection, now: datetime) -> None:
    first = {
        "tenant_id": "t",
        "id": "a",
        "quantity": Decimal("1.50"),
        "labels": ["x"],
        "grade": "good",
        "at": now,
    }
    inserted = await entry.insert_ledger_entry(conn, **first)
    assert inserted == await entry.get_ledger_entry(conn, tenant_id="t", id="a")
    assert (inserted.seq, inserted.quantity, inserted.labels, inserted.at) == (1, Decimal("1.50"), ["x"], now)

    assert await entry.find_ledger_entry(conn, tenant_id="other", id="a") is None
    with pytest.raises(LookupError, match="get_ledger_entry"):
        await entry.get_ledger_entry(conn, tenant_id="other", id="a")
    assert await entry.get_note(conn, tenant_id="t", id="a") is None
    with pytest.raises(LookupError, match="get_note"):
        await entry.get_note(conn, tenant_id="other", id="a")

    bulk = {"tenant_id": "t", "at": now, "ids": ["b", "c"], "quantities": [Decimal(2), Decimal(3)]}
    assert await entry.insert_ledger_entries(conn, **bulk) == 2
    assert (
        await entry.copy_ledger_entries(conn, [entry.CopyLedgerEntriesParams("t", "d", Decimal(4), now)]) == 1
    )
    await entry.note_each(
        conn, [entry.NoteEachParams(note="n", id="b"), entry.NoteEachParams(note=None, id="c")]
    )
    assert await entry.find_note(conn, tenant_id="t", id="b") == "n"
    assert await entry.list_ids(conn, tenant_id="t") == ["a", "b", "c", "d"]
    assert await entry.count_ledger_entries(conn, tenant_id="t") == 4

    page = {"after_at": now, "after_id": "", "grades": ["good"], "page_size": 10}
    rows = await entry.list_ledger_entries(conn, tenant_id="t", **page)
    assert rows == [entry.ListLedgerEntriesRow(id="a", quantity=Decimal("1.50"), grade="good")]
    assert len(await entry.list_through_function(conn, tenant_id="t")) == 4
    assert await entry.mark_noted(conn, note=None, tenant_id="t") == 4
    await entry.delete_ledger_entries(conn)
    assert await entry.list_ids(conn, tenant_id="t") == []
