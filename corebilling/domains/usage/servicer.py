"""gRPC door of usage."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from datetime import date
from functools import partial
from typing import TypeVar

from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceServicer

from corebilling.db.transaction import Transaction
from corebilling.domains.usage import metrics
from corebilling.domains.usage.corrections import CorrectionService
from corebilling.domains.usage.reconciliation import reconcile_usage
from corebilling.domains.usage.service import NO_LIMIT, MonthsMissing, PeriodsFull, UsageService
from corebilling.domains.usage.totals import list_usage_buckets, list_usage_totals
from corebilling.errors import ResourceExhausted
from corebilling.rpc.door import Context, Door

MAX_STREAM_PROBLEMS = 100

Request = TypeVar("Request", rpc.ReportUsageRequest, rpc.BatchReportUsageRequest, rpc.StreamUsageRequest)
BatchRequest = TypeVar("BatchRequest", rpc.BatchReportUsageRequest, rpc.StreamUsageRequest)
Response = TypeVar("Response", rpc.ReportUsageResponse, rpc.BatchReportUsageResponse)


class UsageServicer(UsageServiceServicer):
    def __init__(self, door: Door, usage: UsageService, corrections: CorrectionService) -> None:
        self._door = door
        self._usage = usage
        self._corrections = corrections

    async def ReportUsage(self, request: rpc.ReportUsageRequest, context: Context) -> rpc.ReportUsageResponse:
        try:
            response = await self._write(request, self._usage.report_usage)
        except ResourceExhausted as refusal:
            if refusal.reason != "QUOTA_EXCEEDED":
                raise
            # A refused call leaves nothing behind, a batch does: it tells that the quota is used up.
            batch = rpc.BatchReportUsageRequest(tenant_id=request.tenant_id, records=[request.record])
            if not (await self._write_batch(batch)).accepted:
                raise
            return rpc.ReportUsageResponse(outcome=usage_pb2.USAGE_OUTCOME_ACCEPTED)
        metrics.ACCEPTED.add(response.outcome == usage_pb2.USAGE_OUTCOME_ACCEPTED)
        return response

    async def BatchReportUsage(
        self, request: rpc.BatchReportUsageRequest, context: Context
    ) -> rpc.BatchReportUsageResponse:
        return await self._write_batch(request)

    async def StreamUsage(
        self, requests: AsyncIterator[rpc.StreamUsageRequest], context: Context
    ) -> rpc.StreamUsageResponse:
        summary = rpc.StreamUsageResponse()
        first_index = 0
        async for request in requests:
            add_batch(summary, await self._write_batch(request), first_index)
            first_index += len(request.records)
        return summary

    async def ListUsageTotals(
        self, request: rpc.ListUsageTotalsRequest, context: Context
    ) -> rpc.ListUsageTotalsResponse:
        return await self._door.read(request, list_usage_totals)

    async def ListUsageBuckets(
        self, request: rpc.ListUsageBucketsRequest, context: Context
    ) -> rpc.ListUsageBucketsResponse:
        return await self._door.read(request, list_usage_buckets)

    async def RetractUsage(
        self, request: rpc.RetractUsageRequest, context: Context
    ) -> rpc.RetractUsageResponse:
        return await self._door.write(request, self._corrections.retract_usage)

    async def CorrectUsage(
        self, request: rpc.CorrectUsageRequest, context: Context
    ) -> rpc.CorrectUsageResponse:
        return await self._door.write(request, self._corrections.correct_usage)

    async def ListUsageCorrections(
        self, request: rpc.ListUsageCorrectionsRequest, context: Context
    ) -> rpc.ListUsageCorrectionsResponse:
        return await self._door.read(request, self._corrections.list_usage_corrections)

    async def ReconcileUsage(
        self, request: rpc.ReconcileUsageRequest, context: Context
    ) -> rpc.ReconcileUsageResponse:
        response = await self._door.read(request, reconcile_usage)
        metrics.count_reconciled(response.balances)
        return response

    async def _write_batch(self, request: BatchRequest) -> rpc.BatchReportUsageResponse:
        response = await self._write(request, self._usage.batch_report_usage)
        metrics.ACCEPTED.add(response.accepted)
        return response

    async def _write(self, request: Request, use_case: Callable[..., Awaitable[Response]]) -> Response:
        """Once a month this process meets a month for the first time, and takes a second attempt.

        Usage that a period has no room for takes one too, and further ones while others fill that period.
        """
        room = NO_LIMIT
        while True:
            try:
                return await self._door.ingest(request, partial(use_case, room=room))
            except MonthsMissing as missing:
                await self._make_partitions(request, missing.months)
            except PeriodsFull as full:
                room = {**room, **full.room}

    async def _make_partitions(self, request: Request, months: Collection[date]) -> None:
        async def make(tx: Transaction, _: Request) -> rpc.BatchReportUsageResponse:
            await self._usage.make_partitions(tx, months)
            return rpc.BatchReportUsageResponse()

        await self._door.ingest(request, make)
        self._usage.know_partitions(months)


def add_batch(
    summary: rpc.StreamUsageResponse, batch: rpc.BatchReportUsageResponse, first_index: int
) -> None:
    """Adds a batch whose first record has this index in the stream."""
    summary.accepted += batch.accepted
    summary.duplicates += batch.duplicates
    for result in batch.results:
        if result.outcome == usage_pb2.USAGE_OUTCOME_DUPLICATE:
            continue
        if result.outcome == usage_pb2.USAGE_OUTCOME_CONFLICT:
            summary.conflicts += 1
        else:
            summary.rejected += 1
        if len(summary.problems) < MAX_STREAM_PROBLEMS:
            summary.problems.add(
                index=first_index + result.index,
                outcome=result.outcome,
                reason=result.reason,
                message=result.message,
                facts=result.facts,
            )
