"""Usage from files: rows become records, with keys derived so that a repeated import changes nothing.

A record's key is time-ordered, as the server likes it: its time in milliseconds, then a hash of its
subscription, meter, time, quantity and properties, and of how many records exactly like it stand before it in
the file.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO

from billing.usage.v1 import usage_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from corebilling.sdk.usage_key import content_hash, derived_key

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?\s?(Z|[+-]\d\d:?\d\d)?", re.ASCII | re.IGNORECASE
)
_JSON_LINES = (".jsonl", ".ndjson")

Row = Mapping[str, Any]


class FileInvalid(Exception):
    """The file as a whole cannot be read; the message says why."""


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """Which columns hold what. Without `meters`, each row names its own in `meter_code` and `quantity`."""

    subscription_id: str = ""
    """Of every row; empty: the column `subscription_id`."""
    recorded_at: str = "recorded_at"
    meters: tuple[tuple[str, str], ...] = ()
    """Pairs of meter code and the column with its quantity; an empty cell is no usage."""

    def columns(self) -> list[str]:
        quantities = [column for _, column in self.meters] or ["meter_code", "quantity"]
        return [self.recorded_at, *quantities, *([] if self.subscription_id else ["subscription_id"])]


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A record, or why its row gives none; `row` counts from 1, the header aside."""

    row: int
    record: usage_pb2.UsageRecord | None
    problem: str = ""


class UsageFile:
    """An open CSV or JSON Lines file, read row by row. Rows of JSON may have `properties`."""

    def __init__(self, path: Path, mapping: ColumnMapping) -> None:
        self._path = path
        self._mapping = mapping
        self._is_json = path.suffix in _JSON_LINES
        self._file: BinaryIO = path.open("rb")
        self.size_bytes = path.stat().st_size
        self.rows = 0

    @property
    def read_bytes(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[FileRecord]:
        """Raises FileInvalid for a missing column, or what is neither text nor table."""
        earlier: Counter[bytes] = Counter()
        for row in self._rows():
            self.rows += 1
            try:
                records = list(self._records(row))
            except ValueError as error:
                yield FileRecord(self.rows, None, str(error))
                continue
            for record in records:
                if not record.idempotency_key:
                    record.idempotency_key = derive_key(record, earlier)
                yield FileRecord(self.rows, record)

    def _rows(self) -> Iterator[Row]:
        text = TextIOWrapper(self._file, encoding="utf-8-sig", newline="")
        try:
            yield from self._json_rows(text) if self._is_json else self._csv_rows(text)
        except (UnicodeDecodeError, csv.Error) as error:
            raise FileInvalid(f"{self._path.name}, after row {self.rows}: {error}.") from None
        finally:
            if not self._file.closed:  # as it is for who gave up on the way
                text.detach()

    def _csv_rows(self, text: TextIOWrapper) -> Iterator[Row]:
        reader = csv.DictReader(text, strict=True)
        missing = [column for column in self._mapping.columns() if column not in (reader.fieldnames or ())]
        if missing:
            found = ", ".join(reader.fieldnames or ())
            raise FileInvalid(
                f"{self._path.name} has no column {', '.join(missing)}; it has {found or 'none'}."
            )
        yield from reader

    def _json_rows(self, text: TextIOWrapper) -> Iterator[Row]:
        for line in text:
            if line.strip():
                try:
                    # Numbers stay the text they are: no quantity passes through a float.
                    row = json.loads(line, parse_float=str, parse_int=str)
                except ValueError as error:
                    row = {self._mapping.recorded_at: f"no JSON: {error}"}
                yield row if isinstance(row, dict) else {}

    def _records(self, row: Row) -> Iterator[usage_pb2.UsageRecord]:
        recorded_at = parse_time(_text(row, self._mapping.recorded_at))
        subscription_id = self._mapping.subscription_id or _text(row, "subscription_id")
        properties = _properties(row) if self._is_json else {}
        if not self._mapping.meters:
            yield usage_pb2.UsageRecord(
                idempotency_key=_text(row, "idempotency_key"),
                subscription_id=subscription_id,
                meter_code=_text(row, "meter_code"),
                quantity=_text(row, "quantity"),
                recorded_at=recorded_at,
                properties=properties,
            )
        for meter_code, column in self._mapping.meters:
            if quantity := _text(row, column):
                yield usage_pb2.UsageRecord(
                    subscription_id=subscription_id,
                    meter_code=meter_code,
                    quantity=quantity,
                    recorded_at=recorded_at,
                    properties=properties,
                )


def parse_time(text: str) -> Timestamp:
    """UTC unless the text names an offset; up to nine decimals of a second, cut to the microsecond.

    Raises:
        ValueError: It is no such time.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no time, as in 2026-01-31 23:59:59.999999")
    day, clock, decimals, offset = found.groups()
    zone = "+00:00" if offset is None or offset in "zZ" else offset
    whole = datetime.fromisoformat(f"{day}T{clock}{zone}")
    nanos = int((decimals or "").ljust(9, "0")[:6]) * 1000
    return Timestamp(seconds=(whole - _EPOCH) // timedelta(seconds=1), nanos=nanos)


def derive_key(record: usage_pb2.UsageRecord, earlier: Counter[bytes]) -> str:
    """A UUID of version 7 made of the record alone; counts the record among the `earlier` ones."""
    at = record.recorded_at
    content = content_hash(
        record.subscription_id, record.meter_code, record.quantity, at.seconds, at.nanos, record.properties
    )
    number = earlier[content]
    earlier[content] += 1
    return derived_key(at.seconds, at.nanos, content, number)


def _text(row: Row, column: str) -> str:
    value = row.get(column)
    return "" if value is None else str(value).strip()


def _properties(row: Row) -> Mapping[str, str]:
    """What a row of JSON says of itself.

    Raises:
        ValueError: It is no object of texts.
    """
    value = row.get("properties")
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
        raise ValueError('\'properties\' is no object of texts, as in {"region": "eu"}')
    return value
