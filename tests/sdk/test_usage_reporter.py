"""Usage reported in the background: each record counts once, or its reporter is told why not."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
from billing_sdk import (
    Billing,
    ErrorReason,
    Retry,
    Unauthenticated,
    Unavailable,
    UsageNotReported,
    UsageRefusal,
    UsageReporter,
)
from billing_sdk.usage import UsageOutcome, UsageRecord

from tests.support.platform import Platform
from tests.support.quota import metered_plan, on_plan
from tests.support.tcp_proxy import TcpProxy, tcp_proxy

PATIENCE_S = 20
IMPATIENT = Retry(first_backoff_s=0.01, max_backoff_s=0.05, attempt_timeout_s=1)


@dataclass
class Metered:
    """A subscription with a meter, a client behind a proxy, and what was refused."""

    platform: Platform
    proxy: TcpProxy
    billing: Billing
    subscription_id: str
    refused: list[UsageRefusal] = field(default_factory=list)

    def reporter(self, **options: Any) -> UsageReporter:
        chosen: dict[str, Any] = {"flush_interval_s": 0.05, **options}
        return UsageReporter(self.billing, on_refused=self.refused.append, **chosen)

    def record(self, number: int = 0, **fields: Any) -> UsageRecord:
        at = self.platform.clock.now() + timedelta(seconds=number)
        values: dict[str, Any] = {"meter_code": "calls", "quantity": "1", "recorded_at": at, **fields}
        return UsageRecord(subscription_id=self.subscription_id, **values)

    async def counted(self) -> int:
        totals = [
            total
            async for total in self.billing.usage.iter_usage_totals(subscription_id=self.subscription_id)
        ]
        return sum(total.record_count for total in totals)

    async def batches(self) -> list[int]:
        return [event.accepted for event in await self.platform.events("usage.reported")]


@pytest.fixture
async def metered(platform: Platform) -> AsyncIterator[Metered]:
    plan = await metered_plan(platform)
    subscription = await on_plan(platform, plan)
    platform.clock.advance(hours=6)
    async with (
        tcp_proxy(platform.app.grpc_address) as proxy,
        Billing(proxy.address, platform.tenant_key, retry=IMPATIENT) as billing,
    ):
        yield Metered(platform, proxy, billing, subscription.id)


async def test_records_are_gathered_and_each_counts_once(metered: Metered):
    async with metered.reporter(flush_interval_s=60) as reporter:
        for number in range(2300):
            await reporter.report(metered.record(-number))
    assert (reporter.accepted, reporter.duplicates, metered.refused) == (2300, 0, [])
    assert await metered.counted() == 2300
    [row] = await metered.platform.rows("SELECT count(*) AS n FROM usage_records")
    assert row["n"] == 2300


async def test_a_batch_does_not_wait_to_be_full(metered: Metered):
    reporter = metered.reporter(flush_interval_s=0.02)
    await reporter.report(metered.record())
    async with asyncio.timeout(PATIENCE_S):
        while not await metered.counted():
            pass
    await reporter.close()


async def test_records_exactly_alike_all_count(metered: Metered):
    """They are reported one by one: that they say the same does not make them the same."""
    async with metered.reporter() as one, metered.reporter() as other:
        for _ in range(5):
            await one.report(metered.record())
            await other.report(metered.record())
    assert await metered.counted() == 10


async def test_a_named_source_that_reports_again_changes_nothing(metered: Metered):
    for _ in range(2):
        async with metered.reporter(source="trips of 2026-03-01") as reporter:
            for number in (0, 0, -1):
                await reporter.report(metered.record(number))
    assert (reporter.accepted, reporter.duplicates) == (0, 3)
    async with metered.reporter(source="trips of 2026-03-02") as reporter:
        await reporter.report(metered.record())
    assert await metered.counted() == 4


async def test_keys_follow_the_time_of_the_records(metered: Metered):
    records = [metered.record(-number) for number in range(50)]
    async with metered.reporter() as reporter:
        for record in records:
            await reporter.report(record)
    keys = [record.idempotency_key for record in records]
    assert sorted(keys, reverse=True) == keys
    assert len(set(keys)) == 50


async def test_records_that_do_not_count_are_told_of_by_name(metered: Metered):
    async with metered.reporter() as reporter:
        await reporter.report(metered.record(idempotency_key="k"))
        await reporter.report(metered.record(meter_code="unknown"))
        await reporter.report(metered.record(quantity="-1"))
        await reporter.report(metered.record(quantity="2", idempotency_key="k"))
        await reporter.report(metered.record(idempotency_key="k"))
    assert (reporter.accepted, reporter.duplicates) == (1, 1)
    told = {(refusal.outcome, refusal.reason, refusal.record.quantity) for refusal in metered.refused}
    assert told == {
        (UsageOutcome.REJECTED, ErrorReason.USAGE_ITEM_NOT_FOUND, "1"),
        (UsageOutcome.REJECTED, ErrorReason.USAGE_RECORD_INVALID, "-1"),
        (UsageOutcome.CONFLICT, ErrorReason.USAGE_KEY_CONFLICT, "2"),
    }


async def test_connections_that_break_lose_and_double_nothing(metered: Metered):
    async def disturb() -> None:
        for _ in range(5):
            metered.proxy.answered.clear()
            await metered.proxy.answered.wait()
            metered.proxy.cut()

    disturbing = asyncio.create_task(disturb())
    async with metered.reporter(flush_interval_s=0.01) as reporter:
        for number in range(200):
            await reporter.report(metered.record(-number))
            if number % 20 == 0:
                await asyncio.sleep(0.02)
    disturbing.cancel()
    assert reporter.accepted + reporter.duplicates == 200
    assert await metered.counted() == 200
    assert metered.proxy.connections > 1


async def test_a_server_that_is_away_for_long_is_waited_for(metered: Metered):
    """Longer than a call may take: records wait, at most so many, and nobody hears of it."""
    hasty = metered.billing.with_options(timeout_s=0.1)
    await metered.proxy.stop()
    reporter = UsageReporter(hasty, on_refused=metered.refused.append, max_buffered=10, flush_interval_s=0.01)

    async def report() -> None:
        for number in range(1100):
            await reporter.report(metered.record(-number))

    reporting = asyncio.create_task(report())
    _, waiting = await asyncio.wait([reporting], timeout=0.5)
    assert waiting, "there is room for a batch and ten records"
    await metered.proxy.start()
    async with asyncio.timeout(PATIENCE_S):
        await reporting
        await reporter.flush()
    assert await metered.counted() == 1100
    await reporter.close()


async def test_what_is_not_taken_is_handed_back_at_the_end(metered: Metered):
    await metered.proxy.stop()
    hasty = metered.billing.with_options(timeout_s=0.1)
    reporter = UsageReporter(hasty, on_refused=metered.refused.append, flush_interval_s=0.01)
    for number in range(3):
        await reporter.report(metered.record(-number))
    with pytest.raises(UsageNotReported) as caught:
        await reporter.close()
    assert isinstance(caught.value.cause, Unavailable)
    assert len(caught.value.records) == 3

    await metered.proxy.start()
    async with metered.reporter() as again:
        for record in (*caught.value.records, caught.value.records[0]):
            await again.report(record)
    assert (again.accepted, again.duplicates) == (3, 1), "they kept their keys"


async def test_a_key_that_is_refused_is_told_to_who_reports_next(metered: Metered):
    async with Billing(metered.proxy.address, "made-up") as billing:
        reporter = UsageReporter(billing, on_refused=metered.refused.append, flush_interval_s=0.01)
        await reporter.report(metered.record())
        with pytest.raises(UsageNotReported) as caught:
            await reporter.flush()
        assert isinstance(caught.value.cause, Unauthenticated)
        assert [record.quantity for record in caught.value.records] == ["1"]
        await reporter.close()


async def test_a_careless_on_refused_stops_nothing(metered: Metered):
    def careless(_: UsageRefusal) -> None:
        raise ValueError

    async with UsageReporter(metered.billing, on_refused=careless, flush_interval_s=0.01) as reporter:
        await reporter.report(metered.record(meter_code="unknown"))
        await reporter.flush()
        await reporter.report(metered.record())
    assert reporter.accepted == 1


async def test_batches_too_large_for_a_message_are_divided(metered: Metered):
    """Properties can make a thousand records larger than a message may be."""
    properties = {f"{'p' * 60}{number:02}": "ü" * 128 for number in range(16)}
    async with metered.reporter(flush_interval_s=60) as reporter:
        for number in range(1000):
            await reporter.report(metered.record(-number, properties=properties))
    assert reporter.accepted == 1000
