"""Usage, reported through the RPCs."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.support.platform import Platform


def usage_record(
    platform: Platform,
    subscription_id: str,
    quantity: str | int = 1,
    at: datetime | None = None,
    *,
    meter: str = "tokens",
    key: str = "",
) -> usage_pb2.UsageRecord:
    """Of now, with a key of its own, unless told otherwise."""
    return usage_pb2.UsageRecord(
        idempotency_key=key or new_id("key"),
        subscription_id=subscription_id,
        meter_code=meter,
        quantity=str(quantity),
        recorded_at=timestamp(at or platform.clock.now()),
    )


async def use(
    platform: Platform,
    subscription_id: str,
    quantity: str | int = 1,
    at: datetime | None = None,
    *,
    meter: str = "tokens",
    key: str = "",
) -> int:
    """Reports one record; returns its outcome."""
    record = usage_record(platform, subscription_id, quantity, at, meter=meter, key=key)
    answer = await platform.stub(UsageServiceStub).ReportUsage(rpc.ReportUsageRequest(record=record))
    return answer.outcome


async def use_in_turn(
    platform: Platform,
    subscription_id: str,
    *quantities: str,
    at: datetime | None = None,
    meter: str = "tokens",
) -> None:
    """One record a second, from now on, all of them new."""
    start = at or platform.clock.now()
    records = [
        usage_record(platform, subscription_id, quantity, start + timedelta(seconds=place), meter=meter)
        for place, quantity in enumerate(quantities)
    ]
    assert (await use_batch(platform, records)).accepted == len(records)


async def use_batch(
    platform: Platform, records: Sequence[usage_pb2.UsageRecord]
) -> rpc.BatchReportUsageResponse:
    return await platform.stub(UsageServiceStub).BatchReportUsage(
        rpc.BatchReportUsageRequest(records=records)
    )
