"""Replays through the real door, while the router works beside them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

from billing.replay.v1 import replay_pb2 as pb
from billing.replay.v1 import replay_service_pb2 as rpc
from billing.replay.v1.replay_service_pb2_grpc import ReplayServiceStub

from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.support.platform import Platform

PATIENCE_S = 30


def replaying(
    *,
    request_id: str = "",
    reason: str = "the handler was wrong",
    ids: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    subject: str = "",
    correlation_id: str = "",
    **request: Any,
) -> rpc.ReplayRequest:
    wanted = pb.ReplayFilter(event_ids=ids, subject=subject, correlation_id=correlation_id)
    if since:
        wanted.since.CopyFrom(timestamp(since))
    if until:
        wanted.until.CopyFrom(timestamp(until))
    return rpc.ReplayRequest(request_id=request_id or new_id("req"), reason=reason, filter=wanted, **request)


@asynccontextmanager
async def working(platform: Platform, **every_round: float) -> AsyncIterator[None]:
    """Everything is done as it falls due; the clock moves by `every_round`, as in seconds=1."""

    async def work() -> None:
        while True:
            await platform.drain()
            platform.clock.advance(**every_round)
            await asyncio.sleep(0.01)

    task = asyncio.create_task(work())
    try:
        yield
        # Once more: what the replay's end led to.
        task.cancel()
        await asyncio.wait([task])
        await platform.drain()
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()


async def follow(
    platform: Platform, request: rpc.ReplayRequest, *, key: str | None = None
) -> list[rpc.ReplayResponse]:
    """All that the stream says until it ends."""
    async with asyncio.timeout(PATIENCE_S):
        return [response async for response in platform.stub(ReplayServiceStub, key=key).Replay(request)]


async def replay(platform: Platform, *, key: str | None = None, **wanted: Any) -> pb.Replay:
    """What has become of a replay in the end."""
    async with working(platform):
        responses = await follow(platform, replaying(**wanted), key=key)
    return responses[-1].replay


def counts(replay: pb.Replay) -> dict[str, int]:
    """Those that are not zero."""
    return {field.name: value for field, value in replay.progress.ListFields()}
