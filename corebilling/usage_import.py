"""Sends a file's usage in batches, several at once, and goes on where an interrupted import stopped."""

import asyncio
import json
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc

from corebilling.sdk.retry import Patience, Retry, repeated
from corebilling.usage_file import ColumnMapping, FileRecord, UsageFile

if TYPE_CHECKING:
    from billing.usage.v1.usage_service_pb2_grpc import UsageServiceAsyncStub

BATCH_RECORDS = 1000
MAX_BATCHES_IN_FLIGHT = 4
MAX_PROBLEMS = 10
# Of a batch, with all its attempts.
BATCH_TIMEOUT_S = 120.0

_RETRY = Retry(max_backoff_s=10.0, attempt_timeout_s=30.0)

InFlight = deque[tuple[list[FileRecord], asyncio.Task[rpc.BatchReportUsageResponse]]]


@dataclass(slots=True)
class ImportSummary:
    """What became of the file so far, up to and including record `records`."""

    records: int = 0
    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    problems: list[str] = field(default_factory=list)
    """The first few, each with its row."""

    @property
    def clean(self) -> bool:
        return not self.conflicts and not self.rejected

    @property
    def nothing_changed(self) -> bool:
        return self.clean and not self.accepted

    def note(self, row: int, reason: str, message: str) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(f"row {row}: {reason} {message}")


class Checkpoint:
    """The summary of an import that is under way, in the user's state folder; gone when it is complete."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def of(cls, file: Path, mapping: ColumnMapping, destination: str) -> "Checkpoint":
        """Of this very file, read this very way, for this server and tenant; another version starts anew."""
        stat = file.stat()
        identity = (str(file.resolve()), stat.st_size, stat.st_mtime_ns, asdict(mapping), destination)
        name = sha256(json.dumps(identity).encode()).hexdigest()[:32]
        state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        return cls(state / "corebilling" / "usage-import" / f"{name}.json")

    def load(self) -> ImportSummary:
        try:
            return ImportSummary(**json.loads(self._path.read_text()))
        except (OSError, ValueError, TypeError):
            return ImportSummary()

    def save(self, summary: ImportSummary) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".new")
        unfinished.write_text(json.dumps(asdict(summary)))
        unfinished.replace(self._path)

    def remove(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()


async def upload(
    usage: "UsageServiceAsyncStub",
    tenant_id: str,
    file: UsageFile,
    checkpoint: Checkpoint,
    progress: Callable[[ImportSummary], None],
) -> ImportSummary:
    """Sends every record that the checkpoint does not know to be done.

    Raises:
        grpc.RpcError: A batch failed for good; the checkpoint keeps what was done before it.
        FileInvalid: The file cannot be read on.
    """
    summary = checkpoint.load()
    records = iter(file)
    # Read once more, not sent: keys depend on the records before them.
    for _ in islice(records, summary.records):
        pass
    in_flight: InFlight = deque()
    try:
        for batch in _batches(records):
            in_flight.append((batch, asyncio.create_task(_send(usage, tenant_id, batch))))
            if len(in_flight) >= MAX_BATCHES_IN_FLIGHT:
                await _settle(in_flight, summary, checkpoint, progress)
        while in_flight:
            await _settle(in_flight, summary, checkpoint, progress)
    finally:
        for _, task in in_flight:
            task.cancel()
        await asyncio.gather(*(task for _, task in in_flight), return_exceptions=True)
    checkpoint.remove()
    return summary


def _batches(records: Iterator[FileRecord]) -> Iterator[list[FileRecord]]:
    while batch := list(islice(records, BATCH_RECORDS)):
        yield batch


async def _send(
    usage: "UsageServiceAsyncStub", tenant_id: str, batch: list[FileRecord]
) -> rpc.BatchReportUsageResponse:
    records = [entry.record for entry in batch if entry.record is not None]
    if not records:
        return rpc.BatchReportUsageResponse()
    request = rpc.BatchReportUsageRequest(tenant_id=tenant_id, records=records)
    # Whatever became of an attempt, repeating it is safe: the records carry their keys.
    return await repeated(
        lambda timeout_s: usage.BatchReportUsage(request, timeout=timeout_s),
        Patience(_RETRY, BATCH_TIMEOUT_S),
    )


async def _settle(
    in_flight: InFlight,
    summary: ImportSummary,
    checkpoint: Checkpoint,
    progress: Callable[[ImportSummary], None],
) -> None:
    """Waits for the oldest batch: what is done is always the beginning of the file."""
    batch, task = in_flight[0]
    _add(summary, batch, await task)
    in_flight.popleft()
    checkpoint.save(summary)
    progress(summary)


def _add(summary: ImportSummary, batch: list[FileRecord], response: rpc.BatchReportUsageResponse) -> None:
    summary.records += len(batch)
    summary.accepted += response.accepted
    summary.duplicates += response.duplicates
    for entry in batch:
        if entry.record is None:
            summary.rejected += 1
            summary.note(entry.row, "USAGE_RECORD_INVALID", entry.problem)
    sent = [entry for entry in batch if entry.record is not None]
    for result in response.results:
        if result.outcome == usage_pb2.USAGE_OUTCOME_DUPLICATE:
            continue
        if result.outcome == usage_pb2.USAGE_OUTCOME_CONFLICT:
            summary.conflicts += 1
        else:
            summary.rejected += 1
        summary.note(sent[result.index].row, result.reason, result.message)
