"""A file of usage becomes totals, through the import command and a real server."""

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import grpc
import pytest
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub, add_UsageServiceServicer_to_server
from hypothesis import given
from hypothesis import strategies as st

from corebilling.mapping import instant, timestamp
from corebilling.usage_file import ColumnMapping, FileInvalid, UsageFile, derive_key, parse_time
from corebilling.usage_import import Checkpoint, ImportSummary, upload
from tests.support.usage import NOW, TENANT, Usage, record, usage

__all__ = ["usage"]

TRACE = os.environ.get("COREBILLING_TEST_USAGE_TRACE", "")
BY_COLUMN = ColumnMapping("sub_a", "TIMESTAMP", (("calls", "ContextTokens"), ("requests", "GeneratedTokens")))
_COMMAND = "from corebilling.commands.usage import usage_app; usage_app()"


@dataclass
class Server:
    """The usage service on a port of its own, that can be stopped and started again."""

    usage: Usage
    address: str = "127.0.0.1:0"
    running: grpc.aio.Server | None = None

    async def start(self) -> None:
        self.running = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        add_UsageServiceServicer_to_server(self.usage.door(), self.running)
        port = self.running.add_insecure_port(self.address)
        self.address = f"127.0.0.1:{port}"
        await self.running.start()

    async def stop(self) -> None:
        assert self.running is not None
        await self.running.stop(None)


@pytest.fixture
async def server(usage: Usage) -> AsyncIterator[Server]:
    started = Server(usage)
    await started.start()
    yield started
    await started.stop()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "corebilling" / "usage-import"


def trace(path: Path, rows: int) -> Path:
    """A file like an inference trace: seven decimals, two quantities, some rows exactly alike."""
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for number in range(rows):
        at = NOW - timedelta(days=3) + timedelta(seconds=number // 2)
        lines.append(f"{at:%Y-%m-%d %H:%M:%S}.6805900,{number % 2 + 100},{number % 4 // 2 + 1}")
    path.write_text("\n".join(lines) + "\n")
    return path


async def load(server: Server, file: Path, mapping: ColumnMapping = BY_COLUMN) -> ImportSummary:
    opened = UsageFile(file, mapping)
    async with grpc.aio.insecure_channel(server.address) as channel:
        try:
            checkpoint = Checkpoint.of(file, mapping, server.address)
            return await upload(UsageServiceStub(channel), TENANT, opened, checkpoint, lambda _: None)
        finally:
            opened.close()


async def command(server: Server, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "COREBILLING_TARGET": server.address, "COLUMNS": "200"}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _COMMAND,
        "import",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, output.decode()


async def sums(usage: Usage) -> dict[str, tuple[int, str]]:
    return {total.meter_code: (total.record_count, total.quantity) for total in await usage.totals()}


async def test_file_is_imported_once_however_often_the_command_runs(
    server: Server, usage: Usage, tmp_path: Path, state: Path
) -> None:
    file = trace(tmp_path / "trace.csv", 2500)
    arguments = [
        str(file),
        *("--subscription", "sub_a", "--recorded-at", "TIMESTAMP"),
        *("--meter", "calls=ContextTokens", "--meter", "requests=GeneratedTokens"),
    ]
    code, output = await command(server, *arguments)
    assert code == 0, output
    assert "5,000" in output
    assert "Next: corebilling call billing.usage.v1.UsageService/ListUsageTotals" in output
    assert await sums(usage) == {"calls": (2500, "251250"), "requests": (2500, "2500")}

    code, output = await command(server, *arguments)
    assert code == 0
    assert "Nothing changed: every record was known." in output
    assert await sums(usage) == {"calls": (2500, "251250"), "requests": (2500, "2500")}
    assert list(state.iterdir()) == []


async def test_bad_rows_are_named_and_fail_the_command_but_not_the_others(
    server: Server, usage: Usage, tmp_path: Path, state: Path
) -> None:
    file = tmp_path / "usage.jsonl"
    rows = [
        {
            "subscription_id": "sub_a",
            "meter_code": "calls",
            "quantity": 1.10,
            "recorded_at": "2026-03-10T11:00:00Z",
        },
        {
            "subscription_id": "sub_a",
            "meter_code": "calls",
            "quantity": "x",
            "recorded_at": "2026-03-10T11:00:00Z",
        },
        {"subscription_id": "sub_a", "meter_code": "calls", "quantity": 2, "recorded_at": "yesterday"},
        {
            "subscription_id": "sub_a",
            "meter_code": "calls",
            "quantity": 2,
            "recorded_at": "2025-03-10T11:00:00Z",
        },
    ]
    file.write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n")
    code, output = await command(server, str(file))
    assert code == 1
    assert "row 2: USAGE_RECORD_INVALID" in output
    assert "row 3: USAGE_RECORD_INVALID 'yesterday' is no time" in output
    assert "row 4: USAGE_TOO_OLD" in output
    assert "row 5: USAGE_RECORD_INVALID" in output
    assert await sums(usage) == {"calls": (1, "1.1")}


async def test_properties_of_json_lines_are_those_of_the_records(
    server: Server, usage: Usage, tmp_path: Path, state: Path
) -> None:
    file = tmp_path / "usage.jsonl"
    common = {"subscription_id": "sub_a", "meter_code": "calls", "recorded_at": "2026-03-10T11:00:00Z"}
    said = [{"region": "eu"}, {"region": "us", "size": 1.10}, {}, None, {"region": True}, "eu"]
    rows = [{**common, "quantity": 2, "properties": one} for one in said]
    file.write_text("\n".join(map(json.dumps, rows)))
    code, output = await command(server, str(file))
    assert code == 1
    assert "row 5: USAGE_RECORD_INVALID 'properties' is no object of texts" in output
    assert "row 6: USAGE_RECORD_INVALID 'properties' is no object of texts" in output
    stored = await usage.db.admin("SELECT properties FROM usage_records ORDER BY properties")
    assert [row["properties"] and json.loads(row["properties"]) for row in stored] == [
        {"region": "eu"},
        {"region": "us", "size": "1.1"},
        None,
        None,
    ]
    # In another order, they are the same records: properties are part of what a key is made of.
    file.write_text("\n".join(map(json.dumps, reversed(rows[:4]))))
    code, output = await command(server, str(file))
    assert code == 0, output
    assert "Nothing changed: every record was known." in output


async def test_missing_column_is_refused_by_name(server: Server, tmp_path: Path, state: Path) -> None:
    file = tmp_path / "usage.csv"
    file.write_text("when,what\n2026-03-10 11:00:00,1\n")
    code, output = await command(server, str(file), "--subscription", "sub_a", "--meter", "calls=tokens")
    assert code == 1
    assert "usage.csv has no column recorded_at, tokens; it has when, what." in output


async def test_interrupted_import_goes_on_where_it_stopped(
    server: Server, usage: Usage, tmp_path: Path, state: Path
) -> None:
    file = trace(tmp_path / "trace.csv", 4000)
    checkpoint = Checkpoint.of(file, BY_COLUMN, server.address)

    class Interrupted(Exception):
        pass

    def interrupt(summary: ImportSummary) -> None:
        if summary.records >= 2000:
            raise Interrupted

    opened = UsageFile(file, BY_COLUMN)
    async with grpc.aio.insecure_channel(server.address) as channel:
        with pytest.raises(Interrupted):
            await upload(UsageServiceStub(channel), TENANT, opened, checkpoint, interrupt)
    opened.close()
    assert checkpoint.load().records == 2000

    summary = await load(server, file)
    assert (summary.records, summary.accepted + summary.duplicates) == (8000, 8000)
    # Only what was under way when it stopped went out twice.
    assert summary.duplicates <= 3000
    assert await sums(usage) == {"calls": (4000, "402000"), "requests": (4000, "4000")}
    assert list(state.iterdir()) == []


async def test_import_waits_for_a_server_that_restarts(
    server: Server, usage: Usage, tmp_path: Path, state: Path
) -> None:
    file = trace(tmp_path / "trace.csv", 1000)
    await server.stop()
    loading = asyncio.create_task(load(server, file))
    await asyncio.wait([loading], timeout=0.3)
    assert not loading.done()
    await server.start()
    assert (await loading).accepted == 2000


@pytest.mark.skipif(not TRACE, reason="COREBILLING_TEST_USAGE_TRACE names no inference trace")
async def test_inference_trace_comes_to_its_known_sums(server: Server, usage: Usage, state: Path) -> None:
    then = datetime(2023, 11, 17, tzinfo=UTC)
    await usage.db.admin("UPDATE tenants SET mode = 'sandbox' WHERE id = $1", TENANT)
    await usage.db.admin(
        "INSERT INTO test_clocks (tenant_id, now_at, target_at) VALUES ($1, $2, $2)", TENANT, then
    )
    await usage.db.admin(
        "UPDATE subscriptions SET start_at = $1, anchor_at = $1 WHERE id = 'sub_a'", then - timedelta(days=16)
    )
    await usage.db.admin("UPDATE subscription_items SET aggregation = 'sum' WHERE subscription_id = 'sub_a'")
    summary = await load(server, Path(TRACE))
    assert (summary.accepted, summary.duplicates, summary.clean) == (38_732, 0, True)
    assert await sums(usage) == {"calls": (19_366, "22361870"), "requests": (19_366, "4088665")}
    assert (await load(server, Path(TRACE))).duplicates == 38_732


def test_keys_are_stable_time_ordered_and_tell_identical_rows_apart(tmp_path: Path) -> None:
    file = trace(tmp_path / "trace.csv", 400)

    def keys() -> list[str]:
        opened = UsageFile(file, ColumnMapping("sub_a", "TIMESTAMP", (("calls", "ContextTokens"),)))
        found = [entry.record.idempotency_key for entry in opened if entry.record]
        opened.close()
        return found

    first = keys()
    assert first == keys()
    assert len(set(first)) == 400
    assert [key[:13] for key in first] == sorted(key[:13] for key in first)
    assert {(UUID(key).version, UUID(key).variant) for key in first} == {(7, "specified in RFC 4122")}


def test_each_of_several_identical_records_has_a_key_of_its_own() -> None:
    earlier: Counter[bytes] = Counter()
    keys = {derive_key(record("", "1"), earlier) for _ in range(5)}
    assert len(keys) == 5
    assert derive_key(record("", "1"), Counter()) in keys
    assert derive_key(record("", "2"), Counter()) not in keys


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 1, 1)))  # noqa: DTZ001 (hypothesis wants them naive)
def test_every_spelling_of_a_time_is_the_same_instant(naive: datetime) -> None:
    at = naive.replace(tzinfo=UTC)
    text = f"{at:%Y}".zfill(4) + f"{at:-%m-%d %H:%M:%S}"
    expected = timestamp(at)
    assert parse_time(f"{text}.{at:%f}") == expected
    assert parse_time(f"{text}.{at:%f}999Z") == expected
    assert parse_time(f"{text.replace(' ', 'T')}.{at:%f}+00:00") == expected


def test_offset_moves_the_instant() -> None:
    assert instant(parse_time("2026-03-10T12:00:00+02:00")) == datetime(2026, 3, 10, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    ["", "yesterday", "2026-02-30 00:00:00", "2026-01-01", "2026-01-01 24:00:01", "٢٠٢٦-01-01 00:00:00"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"time|day|hour"):
        parse_time(text)


def test_file_that_is_no_text_is_refused_with_its_name(tmp_path: Path) -> None:
    file = tmp_path / "usage.csv"
    file.write_bytes(b"recorded_at,subscription_id,meter_code,quantity\n\xff\xfe\n")
    opened = UsageFile(file, ColumnMapping())
    with pytest.raises(FileInvalid, match=r"usage\.csv"):
        list(opened)
    opened.close()
