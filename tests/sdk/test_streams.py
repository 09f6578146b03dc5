"""Streams: taken up again where they broke, and counted once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from billing_sdk import Billing, ErrorReason, InvalidArgument, ResourceExhausted, Retry, Unavailable
from billing_sdk.event import WatchEventsResponse
from billing_sdk.google.protobuf import Struct
from billing_sdk.replay import ReplayFilter, ReplayState
from billing_sdk.usage import StreamUsageRequest, UsageRecord

from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.tcp_proxy import tcp_proxy

PATIENCE_S = 20
SOON = Retry(first_backoff_s=0.01, max_backoff_s=0.05)


async def publish(billing: Billing, resource_id: str) -> None:
    await billing.event.publish_event(subject="order.shipped", resource_id=resource_id, data=Struct())


async def seen(watch: AsyncIterator[WatchEventsResponse], count: int) -> list[str]:
    found: list[str] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            message = await anext(watch)
            if message.event is not None:
                found.append(message.event.resource_id)
    return found


async def test_a_watch_goes_on_where_its_connection_broke(platform: Platform):
    async with (
        tcp_proxy(platform.app.grpc_address) as proxy,
        Billing(platform.app.grpc_address, platform.tenant_key) as publisher,
        Billing(proxy.address, platform.tenant_key, retry=SOON) as billing,
        aclosing(billing.event.watch_events(subjects=["order.*"])) as watch,
    ):
        first = await anext(watch)
        assert (first.event, bool(first.resume_token)) == (None, True)
        wanted = []
        for round_number in range(3):
            for number in range(4):
                await publish(publisher, f"o-{round_number}-{number}")
                wanted.append(f"o-{round_number}-{number}")
            assert await seen(watch, 2) == wanted[-4:-2]
            proxy.cut()
            await publish(publisher, f"late-{round_number}")
            wanted.append(f"late-{round_number}")
            assert await seen(watch, 3) == wanted[-3:]


async def test_a_watch_goes_on_when_the_server_ends_it_well(database: TestDatabase):
    async with (
        running_platform(database, grpc_stream_deadline_seconds=0.4) as platform,
        Billing(platform.app.grpc_address, platform.tenant_key) as billing,
        aclosing(billing.event.watch_events()) as watch,
    ):
        await anext(watch)
        signs_of_life = 1
        async with asyncio.timeout(PATIENCE_S):
            while signs_of_life < 4:  # The first message of each stream is one.
                assert (await anext(watch)).event is None
                signs_of_life += 1
        await publish(billing, "o-1")
        assert await seen(watch, 1) == ["o-1"]


async def test_a_watch_that_nobody_answers_ends_with_an_error(platform: Platform):
    async with tcp_proxy(platform.app.grpc_address) as proxy:
        billing = Billing(proxy.address, platform.tenant_key, timeout_s=0.5, retry=SOON)
        watch = billing.event.watch_events()
        await anext(watch)
        await proxy.stop()
        with pytest.raises(Unavailable):
            async with asyncio.timeout(PATIENCE_S):
                await anext(watch)
        await billing.close()


async def test_a_watch_that_is_refused_is_not_tried_again(database: TestDatabase):
    """RESOURCE_EXHAUSTED without RetryInfo, and what is simply wrong."""
    async with (
        running_platform(database, event_watches_per_tenant=1) as platform,
        Billing(platform.app.grpc_address, platform.tenant_key) as billing,
        aclosing(billing.event.watch_events()) as watch,
    ):
        await anext(watch)
        with pytest.raises(ResourceExhausted) as caught:
            await anext(billing.event.watch_events())
        assert (caught.value.reason, caught.value.attempts) == (ErrorReason.WATCH_LIMIT_REACHED, 1)
        with pytest.raises(InvalidArgument):
            await anext(billing.event.watch_events(subjects=["Not A Subject"]))


async def test_a_replay_whose_stream_broke_is_followed_to_its_end(platform: Platform):
    async with (
        tcp_proxy(platform.app.grpc_address) as proxy,
        Billing(proxy.address, platform.tenant_key, retry=SOON) as billing,
    ):
        for number in range(3):
            await publish(billing, f"o-{number}")
        await platform.drain()
        states = []
        replay = billing.replay.replay(
            filter=ReplayFilter(subject="order.shipped"), reason="The handler was wrong."
        )
        async with asyncio.timeout(PATIENCE_S):
            async for message in replay:
                assert message.replay is not None
                states.append((message.replay.id, message.replay.state))
                if len(states) == 1:
                    proxy.cut()
                await platform.drain()
    assert len({replay_id for replay_id, _ in states if replay_id}) == 1
    assert states[-1][1] is ReplayState.FINISHED


async def test_a_stream_of_usage_is_summed_up(platform: Platform):
    async def requests() -> AsyncIterator[StreamUsageRequest]:
        for batch in range(3):
            yield StreamUsageRequest(records=[UsageRecord(idempotency_key=f"{batch}-{n}") for n in range(2)])

    async with Billing(platform.app.grpc_address, platform.tenant_key) as billing:
        summary = await billing.usage.stream_usage(requests())
    assert (summary.accepted, summary.rejected) == (0, 6)
    assert [problem.index for problem in summary.problems] == list(range(6))
