"""gRPC door of replays."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from functools import partial

from billing.replay.v1 import replay_pb2 as pb
from billing.replay.v1 import replay_service_pb2 as rpc
from billing.replay.v1.replay_service_pb2_grpc import ReplayServiceServicer

from corebilling.domains.replay.service import ReplayService, counting
from corebilling.errors import ResourceExhausted
from corebilling.rpc.door import Context, Door

STREAMS_PER_TENANT = 32
_POLL_S = 0.1
_SIGN_OF_LIFE_S = 5.0


class ReplayServicer(ReplayServiceServicer):
    """`stream_s`: after so long a stream ends by itself, before the deadline that every stream has."""

    def __init__(self, door: Door, replays: ReplayService, *, stream_s: float) -> None:
        self._door = door
        self._replays = replays
        self._stream_s = stream_s
        self._streams: Counter[str] = Counter()

    async def Replay(self, request: rpc.ReplayRequest, context: Context) -> AsyncIterator[rpc.ReplayResponse]:
        """The stream drives the replay: each step is a transaction, and whoever comes back takes the next."""
        with self._room(request.tenant_id):
            found = await self._door.read(request, self._replays.find)
            if request.dry_run or found is None:
                count = await self._door.read(request, self._replays.begin_count)
                yield counting(request, count)
                while not count.complete:
                    count = await self._door.read(request, partial(self._replays.count_on, count=count))
                    yield counting(request, count)
                if request.dry_run:
                    return
                await self._door.ingest(request, partial(self._replays.begin, count=count))
            async with aclosing(self._follow(request)) as responses:
                async for response in responses:
                    yield response

    async def _follow(self, request: rpc.ReplayRequest) -> AsyncGenerator[rpc.ReplayResponse, None]:
        """What changes, until it is finished or the stream's time is over."""
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._stream_s
        said, said_at = None, loop.time()
        while True:
            response = await self._door.ingest(request, self._replays.advance)
            over = response.replay.state == pb.REPLAY_STATE_FINISHED or loop.time() >= ends_at
            if over or response != said or loop.time() >= said_at + _SIGN_OF_LIFE_S:
                said, said_at = response, loop.time()
                yield response
            if over:
                return
            await asyncio.sleep(_POLL_S)

    @contextmanager
    def _room(self, tenant_id: str) -> Iterator[None]:
        if self._streams[tenant_id] >= STREAMS_PER_TENANT:
            raise ResourceExhausted(
                "REPLAY_LIMIT_REACHED",
                "The tenant's replays are followed in too many streams; end one, or wait.",
                {"limit": str(STREAMS_PER_TENANT)},
            )
        self._streams[tenant_id] += 1
        try:
            yield
        finally:
            self._streams[tenant_id] -= 1
            if not self._streams[tenant_id]:
                del self._streams[tenant_id]
