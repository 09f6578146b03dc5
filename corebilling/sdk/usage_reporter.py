"""Usage from a running program: gathered into batches, sent in the background, answered record by record."""

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextvars import Context
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Self

from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing_sdk.billing.errors.v1 import ErrorReason
from billing_sdk.billing.usage.v1 import UsageOutcome, UsageRecord

from corebilling.sdk.client import Client
from corebilling.sdk.connection import MAX_MESSAGE_BYTES
from corebilling.sdk.errors import Aborted, DeadlineExceeded, ResourceExhausted, Unavailable
from corebilling.sdk.method import Idempotency, Method
from corebilling.sdk.usage_key import content_hash, derived_key

BATCH_RECORDS = 1000

_LIKELY_TO_PASS = (Aborted, DeadlineExceeded, ResourceExhausted, Unavailable)
# protobuf's own messages: of the dataclasses, a batch would hold the loop up for a tenth of a second.
_REPORT = Method(
    "/billing.usage.v1.UsageService/BatchReportUsage",
    rpc.BatchReportUsageRequest,
    rpc.BatchReportUsageResponse,
    Idempotency.BY_KEY,
    tenant_scoped=True,
)
_log = logging.getLogger("billing_sdk")


@dataclass(frozen=True, slots=True)
class UsageRefusal:
    """A record that does not count."""

    record: UsageRecord
    outcome: UsageOutcome
    """CONFLICT: its key came with other content before; or REJECTED."""
    reason: ErrorReason
    message: str
    facts: Mapping[str, str]


class UsageNotReported(Exception):
    """Records that no server took, with the keys that they were given: report them again, or keep them."""

    def __init__(self, cause: Exception, records: Sequence[UsageRecord]) -> None:
        super().__init__(f"{len(records)} records of usage were not reported: {cause}")
        self.cause = cause
        self.records = records


class UsageReporter:
    """Reports records in batches of up to 1,000; `close`, or leaving its context, sends what is left.

    A record without a key is given one, by its time and content, which repetitions of the call have too. What
    a program reports when it runs again counts again, unless it names its `source`, as in "trips of
    2026-03-01": then the same records, however often such a source reports them, count once.

    `on_refused` is told of every record that does not count. At most `max_buffered` records wait: then
    `report` waits too. While no server answers, records are kept and sent again.
    """

    def __init__(
        self,
        billing: Client,
        *,
        on_refused: Callable[[UsageRefusal], None],
        source: str = "",
        max_buffered: int = 10_000,
        flush_interval_s: float = 1.0,
    ) -> None:
        self.accepted = 0
        self.duplicates = 0
        self._billing = billing
        self._on_refused = on_refused
        # Two programs may report records that are exactly alike: each is a source of its own.
        self._source = source.encode() or os.urandom(16)
        self._earlier: Counter[bytes] | None = Counter() if source else None
        self._numbers = count()
        # None ends a batch before it is full.
        self._waiting: asyncio.Queue[UsageRecord | None] = asyncio.Queue(max_buffered)
        self._flush_interval_s = flush_interval_s
        self._closing = False
        self._failed: list[UsageRecord] = []
        self._failure: Exception | None = None
        self._sender: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def report(self, record: UsageRecord) -> None:
        """Fills in the record's key, and its time if it has none: now.

        Raises:
            UsageNotReported: Records before this one were not taken; this one was not looked at.
        """
        self._raise_failure()
        if self._sender is None:
            # Batches are nobody's part: none of them belongs to the span that happened to be open here.
            self._sender = asyncio.create_task(self._send_batches(), context=Context())
        record.recorded_at = record.recorded_at or datetime.now(UTC)
        record.idempotency_key = record.idempotency_key or self._key(record)
        await self._waiting.put(record)

    async def flush(self) -> None:
        """Returns when all that was reported has been answered.

        Raises:
            UsageNotReported: Some of it was not taken.
        """
        if self._sender is not None:
            await self._waiting.put(None)
            await self._waiting.join()
        self._raise_failure()

    async def close(self) -> None:
        """Sends what is left, for as long as a call may take; raises UsageNotReported if some remains."""
        self._closing = True
        try:
            await self.flush()
        finally:
            if self._sender is not None:
                self._sender.cancel()
                self._sender = None

    async def _send_batches(self) -> None:
        while True:
            batch = await self._batch()
            records = [record for record in batch if record is not None]
            if records:
                await self._send(records)
            for _ in batch:
                self._waiting.task_done()

    async def _batch(self) -> Sequence[UsageRecord | None]:
        """What waits, up to a full batch; not waiting longer for it than may be."""
        batch = [await self._waiting.get()]
        try:
            async with asyncio.timeout(self._flush_interval_s):
                while batch[-1] is not None and len(batch) < BATCH_RECORDS:
                    batch.append(await self._waiting.get())
        except TimeoutError:
            pass
        return batch

    async def _send(self, records: Sequence[UsageRecord]) -> None:
        """Until they are answered, or it is clear that they will not be."""
        request = rpc.BatchReportUsageRequest(records=map(_wire, records))
        if request.ByteSize() > MAX_MESSAGE_BYTES * 3 // 4 and len(records) > 1:
            half = len(records) // 2
            await self._send(records[:half])
            await self._send(records[half:])
            return
        while self._failure is None:
            try:
                answer = await self._billing.unary(_REPORT, request)
            except _LIKELY_TO_PASS as error:
                _log.warning("usage is not taken yet, %d records wait: %s", self._waiting.qsize(), error)
                if self._closing:
                    self._failure = error
            except Exception as error:
                self._failure = error
            else:
                self._settle(records, answer)
                return
        # Those after a failure too: they stay in order, and whoever reports learns of it.
        self._failed += records

    def _settle(self, records: Sequence[UsageRecord], answer: rpc.BatchReportUsageResponse) -> None:
        self.accepted += answer.accepted
        self.duplicates += answer.duplicates
        for result in answer.results:
            outcome = UsageOutcome(result.outcome)
            if outcome is not UsageOutcome.DUPLICATE:
                reason = ErrorReason.__members__.get(result.reason, ErrorReason.UNSPECIFIED)
                record = records[result.index]
                self._tell(UsageRefusal(record, outcome, reason, result.message, dict(result.facts)))

    def _tell(self, refusal: UsageRefusal) -> None:
        try:
            self._on_refused(refusal)
        except Exception:  # It must not stop the records behind it.
            _log.exception("on_refused failed on %s", refusal)

    def _raise_failure(self) -> None:
        """Hands over what was not taken; the next records are tried again."""
        if self._failure is not None:
            cause, records = self._failure, tuple(self._failed)
            self._failure, self._failed = None, []
            raise UsageNotReported(cause, records)

    def _key(self, record: UsageRecord) -> str:
        wire = _wire(record)
        at = wire.recorded_at
        content = content_hash(
            wire.subscription_id, wire.meter_code, wire.quantity, at.seconds, at.nanos, wire.properties
        )
        number = next(self._numbers)
        if self._earlier is not None:
            number = self._earlier[content]
            self._earlier[content] += 1
        return derived_key(at.seconds, at.nanos, content, number, self._source)


def _wire(record: UsageRecord) -> usage_pb2.UsageRecord:
    wire = usage_pb2.UsageRecord(
        idempotency_key=record.idempotency_key,
        subscription_id=record.subscription_id,
        meter_code=record.meter_code,
        quantity=record.quantity,
        properties=record.properties,
    )
    if record.recorded_at is not None:
        wire.recorded_at.FromDatetime(record.recorded_at)
    return wire
