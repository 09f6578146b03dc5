"""Consuming from JetStream: a durable pull consumer per shard, pulled by whoever holds the shard.

One request is always open at the server, which sends what comes as it comes; a batch is what has arrived when
there is time for it. (The library's `fetch` waits for a full batch, or its timeout.)
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig
from prometheus_client import Counter

from corebilling.bus.cancellation import CanceledFromInside, answer_of
from corebilling.bus.consuming import consume_persistently, decoded
from corebilling.bus.nats_connection import NatsAddress, NatsConnection, Session, is_stream_missing
from corebilling.bus.port import Consumer

log = structlog.get_logger(__name__)

_BINDS = Counter("corebilling_bus_pulls_total", "Times that the pull of a shard was begun, or begun again.")

_MAX_BATCH = 500
_MAX_BATCH_BYTES = 4 * 1024 * 1024
_EXPIRES_S = 30.0
_HEARTBEAT_S = 5.0
_SILENCE_S = 2.5 * _HEARTBEAT_S
_ACK_WAIT_S = 30.0
_DRAIN_TIMEOUT_S = 2.0
_AGAIN_S = 0.25
_NANOSECONDS = 1_000_000_000

_SHORT_REPLY_TOKENS = 9
_HEARTBEAT = "100"
_ENDED = ("404", "408")
_ENDED_EARLY = ("Message Size Exceeds MaxBytes", "Batch Completed")
"""The request is answered, with nothing wrong."""


class PullBroken(Exception):
    """The consumer, its stream, the server or the connection is not what it was: bind anew."""


class Left(Exception):
    """The shard is someone else's now."""


class Pull:
    """Messages of one consumer, in the order of the stream."""

    def __init__(self, session: Session, request_subject: str) -> None:
        self._session = session
        self._request_subject = request_subject
        self._inbox = session.client.new_inbox()
        self._arrived = asyncio.Event()
        self._messages: list[Msg] = []
        self._unacknowledged: list[Msg] = []
        self._outstanding = 0
        self._broken = ""
        self._left = False

    @staticmethod
    @asynccontextmanager
    async def open(session: Session, stream: str, consumer: str) -> "AsyncIterator[Pull]":
        pull = Pull(session, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}")
        session.ended.add_done_callback(pull._on_lost)
        subscription = await session.client.subscribe(pull._inbox, cb=pull._take)
        try:
            yield pull
        finally:
            session.ended.remove_done_callback(pull._on_lost)
            if not session.ended.done():
                await pull._end(subscription)

    def leave(self) -> None:
        """The batch in hand is the last."""
        self._left = True
        self._arrived.set()

    async def arrival(self) -> None:
        """Returns when there is something to take.

        Raises PullBroken, also after a silence that a living server does not keep, and Left.
        """
        while not self._messages and not self._left:
            if self._broken:
                raise PullBroken(self._broken)
            if self._outstanding <= 0:
                await self._request()
            await self._next_news()
        if self._left:
            raise Left

    def take(self) -> list[Msg]:
        """All that has arrived: at most what was asked for."""
        self._unacknowledged, self._messages = self._messages, []
        return self._unacknowledged

    async def done(self) -> None:
        """Acknowledges the batch, and with it all before: such is the consumer's policy."""
        # After a disconnect it is not known what these numbers mean to the server.
        if not self._session.ended.done():
            await max(self._unacknowledged, key=_sequence).ack()
        self._unacknowledged = []

    async def _next_news(self) -> None:
        self._arrived.clear()
        try:
            async with asyncio.timeout(_SILENCE_S):
                await self._arrived.wait()
        except TimeoutError:
            raise PullBroken("the server is silent") from None

    async def _request(self) -> None:
        wish = {
            "batch": _MAX_BATCH,
            "max_bytes": max(_MAX_BATCH_BYTES, 2 * self._session.client.max_payload),
            "expires": int(_EXPIRES_S * _NANOSECONDS),
            "idle_heartbeat": int(_HEARTBEAT_S * _NANOSECONDS),
        }
        self._outstanding = _MAX_BATCH
        await self._session.client.publish(
            self._request_subject, json.dumps(wish).encode(), reply=self._inbox
        )

    async def _take(self, message: Msg) -> None:
        headers = message.headers or {}
        status = None if message.data else headers.get("Status")
        if status is None:
            self._outstanding -= 1
            self._messages.append(message)
        elif status in _ENDED or headers.get("Description") in _ENDED_EARLY:
            self._outstanding = 0
        elif status != _HEARTBEAT:
            self._broken = f"{status} {headers.get('Description', '')}"
        self._arrived.set()

    def _on_lost(self, _: object) -> None:
        self._broken = "disconnected"
        self._arrived.set()

    async def _end(self, subscription: Subscription) -> None:
        """What was not done goes to the next who pulls, at once: also what is still coming while we say that
        we leave. If the server does not hear us it finds out by itself, after a while."""
        try:
            async with asyncio.timeout(_DRAIN_TIMEOUT_S):
                await subscription.drain()  # type: ignore[no-untyped-call]
                for message in (*self._unacknowledged, *self._messages):
                    await message.nak()
        except (NatsError, TimeoutError) as error:
            log.info("nats.not_given_back", error=repr(error))


class ShardConsumer:
    """Pulls one shard: acknowledged is what is committed."""

    def __init__(
        self,
        address: NatsAddress,
        connection: NatsConnection,
        shard: int,
        consumer: Consumer,
        limit: asyncio.Semaphore,
    ) -> None:
        self._address = address
        self._connection = connection
        self._shard = shard
        self._name = f"router-{shard}"
        self._consumer = consumer
        self._limit = limit
        self._pull: Pull | None = None
        self._left = False

    def leave(self) -> None:
        """Ends `run` after the batch in hand."""
        self._left = True
        if self._pull is not None:
            self._pull.leave()

    async def run(self) -> None:
        """Binds again and again. Returns when it has left; raises what the consumer raises."""
        while not self._left:
            session = await self._connection.next_session()
            try:
                await self._bind(session)
                await self._consume(session)
            except Left:
                return
            except PullBroken as broken:
                log.info("nats.pull_broken", shard=self._shard, why=str(broken))
            except (NatsError, TimeoutError, CanceledFromInside) as error:
                if is_stream_missing(error):
                    self._connection.mend(session)
                log.info("nats.not_bound", shard=self._shard, error=repr(error))
            await asyncio.sleep(_AGAIN_S * random.uniform(0.8, 1.2))

    async def _bind(self, session: Session) -> None:
        """Makes the consumer if it is missing."""
        config = ConsumerConfig(
            name=self._name,
            durable_name=self._name,
            filter_subject=self._address.subject(self._shard),
            ack_policy=AckPolicy.ALL,
            ack_wait=_ACK_WAIT_S,
            max_ack_pending=-1,
        )
        await answer_of(session.jetstream.add_consumer(self._address.stream, config))

    async def _consume(self, session: Session) -> None:
        source = self._address.subject(self._shard)
        async with Pull.open(session, self._address.stream, self._name) as pull:
            _BINDS.inc()
            self._pull = pull
            while not self._left:
                await pull.arrival()
                await consume_persistently(
                    self._consumer,
                    lambda: decoded(
                        (message.data for message in pull.take()),
                        source,
                        self._address.installation,
                        self._shard,
                    ),
                    self._limit,
                )
                await pull.done()


def _sequence(message: Msg) -> int:
    """In the stream. The last to come need not be the highest, when others come again.

    `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.…`, or with `<domain>.<account>` before the stream.
    """
    tokens = message.reply.split(".")
    return int(tokens[5] if len(tokens) == _SHORT_REPLY_TOKENS else tokens[7])
