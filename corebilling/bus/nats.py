"""The bus over NATS JetStream: one stream, a subject and a durable pull consumer per shard.

    COREBILLING (stream) <- corebilling.events.17 -> router-17 (consumer), pulled by whoever holds shard 17

The stream is a courier's bag, not an archive: it may be lost with the server, and is made again when missing.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, StorageType, StreamConfig
from nats.js.errors import APIError

from corebilling.bus.consuming import consume_persistently, decoded
from corebilling.bus.delivery import Delivery
from corebilling.bus.nats_pull import ConsumerGone, Pull
from corebilling.bus.port import BusUnavailable, Consumer, EventRefused
from corebilling.bus.wire import delivery_id, encode

log = structlog.get_logger(__name__)

_DEFAULT_MAX_BYTES = 1024 * 1024
_HEADERS_BYTES = 512
_KEPT_S = 7 * 24 * 3600.0
_DUPLICATES_S = 120.0
_ACK_WAIT_S = 60.0
_PUBLISH_TIMEOUT_S = 5.0
_RECONNECT_S = 0.25
_ASSIGNMENT_POLL_S = 0.1
_MAX_PENDING_ACKS = 16_000
_MESSAGE_TOO_LARGE = 10054
"""JetStream's error code of a message larger than the stream takes."""


@dataclass(frozen=True, slots=True)
class NatsAddress:
    """Where the server is, who we are to it, and the stream's name there."""

    url: str
    stream: str
    username: str = ""
    password: str = ""
    tls_ca_file: Path | None = None
    replicas: int = 1

    def subject(self, shard: int) -> str:
        return f"{self.stream.lower()}.events.{shard}"

    def consumer(self, shard: int) -> str:
        return f"router-{shard}"


class NatsBus:
    """Publishes with acknowledgement, and pulls the shards that `shards` names at the time."""

    def __init__(
        self, address: NatsAddress, shards: Callable[[], Collection[int]], concurrent_shards: int
    ) -> None:
        self._address = address
        self._shards = shards
        self._limit = asyncio.Semaphore(concurrent_shards)
        self._client = Client()
        self._jetstream: JetStreamContext = self._client.jetstream(
            publish_async_max_pending=_MAX_PENDING_ACKS
        )
        self._consumer: Consumer | None = None
        self._connecting: asyncio.Task[None] | None = None

    @staticmethod
    @asynccontextmanager
    async def open(
        address: NatsAddress, shards: Callable[[], Collection[int]], concurrent_shards: int
    ) -> "AsyncIterator[NatsBus]":
        """Connects in the background, for as long as it takes."""
        bus = NatsBus(address, shards, concurrent_shards)
        connecting = asyncio.create_task(bus._connect(), name="nats connection")
        try:
            yield bus
        finally:
            connecting.cancel()
            await asyncio.gather(connecting, return_exceptions=True)
            await bus._client.close()

    @property
    def max_event_bytes(self) -> int:
        limit = self._client.max_payload if self._client.is_connected else _DEFAULT_MAX_BYTES
        return limit - _HEADERS_BYTES

    def subscribe(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def publish(self, deliveries: Sequence[Delivery]) -> None:
        if not self._client.is_connected:
            raise BusUnavailable("NATS is not connected")
        acknowledgements = []
        try:
            for delivery in deliveries:
                # One by one: those sent before a failure must be known.
                acknowledgements.append(await self._send(delivery))  # noqa: PERF401
            async with asyncio.timeout(_PUBLISH_TIMEOUT_S):
                for delivery, acknowledgement in zip(deliveries, acknowledgements, strict=True):
                    await _answered(delivery, acknowledgement)
        except TimeoutError:
            raise BusUnavailable("NATS does not acknowledge") from None
        except NatsError as error:
            await self._repair()
            raise BusUnavailable(f"NATS: {error}") from error
        finally:
            for acknowledgement in acknowledgements:
                _forget(acknowledgement)

    async def run(self) -> None:
        """Follows the assignment: pulls each shard that is ours, and stops when it no longer is."""
        assert self._consumer is not None
        pulling: dict[int, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            while True:
                held = set(self._shards())
                for shard in pulling.keys() - held:
                    pulling.pop(shard).cancel()
                for shard in held - pulling.keys():
                    pulling[shard] = tasks.create_task(
                        self._pull(shard, self._consumer), name=f"nats shard {shard}"
                    )
                await asyncio.sleep(_ASSIGNMENT_POLL_S)

    async def _connect(self) -> None:
        tls = None
        if self._address.tls_ca_file is not None:
            tls = ssl.create_default_context(cafile=str(self._address.tls_ca_file))
        while True:
            try:
                await self._client.connect(
                    self._address.url,
                    name="corebilling",
                    user=self._address.username or None,
                    password=self._address.password or None,
                    tls=tls,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=_RECONNECT_S,  # type: ignore[arg-type]  # declared int, used as seconds
                    ping_interval=5,
                    error_cb=_say,
                    disconnected_cb=_say_disconnected,
                )
                await self._repair()
            except (NatsError, OSError, TimeoutError) as error:
                log.warning("nats.unreachable", url=self._address.url, error=repr(error))
                await asyncio.sleep(_RECONNECT_S * 4)
            else:
                return

    async def _repair(self) -> None:
        """Makes the stream if it is missing."""
        config = StreamConfig(
            name=self._address.stream,
            subjects=[f"{self._address.stream.lower()}.events.*"],
            storage=StorageType.FILE,
            num_replicas=self._address.replicas,
            max_age=_KEPT_S,
            duplicate_window=_DUPLICATES_S,
        )
        try:
            await self._jetstream.add_stream(config)
        except (NatsError, TimeoutError) as error:
            log.warning("nats.stream_not_made", stream=self._address.stream, error=repr(error))

    async def _send(self, delivery: Delivery) -> "asyncio.Future[object]":
        try:
            return await self._jetstream.publish_async(  # type: ignore[return-value]
                self._address.subject(delivery.shard),
                encode(delivery),
                wait_stall=_PUBLISH_TIMEOUT_S,
                headers={"Nats-Msg-Id": delivery_id(delivery)},
            )
        except MaxPayloadError as error:
            raise EventRefused(delivery, f"larger than NATS takes: {error}") from error

    async def _pull(self, shard: int, consumer: Consumer) -> None:
        """One shard, batch after batch: acknowledged when its effects are committed."""
        source = self._address.subject(shard)
        while True:
            try:
                await self._make_consumer(shard)
                async with Pull.open(
                    self._client, self._address.stream, self._address.consumer(shard)
                ) as pull:
                    while True:
                        messages = await pull.next_batch()
                        deliveries = decoded((message.data for message in messages), source)
                        await consume_persistently(consumer, deliveries, self._limit)
                        # Of the last: the consumer's policy takes it for all before.
                        await messages[-1].ack()
            except ConsumerGone as gone:
                log.warning("nats.consumer_gone", shard=shard, error=str(gone))
                await self._repair()
            except (NatsError, OSError, TimeoutError) as error:
                log.info("nats.pull_interrupted", shard=shard, error=repr(error))
            await asyncio.sleep(_RECONNECT_S)

    async def _make_consumer(self, shard: int) -> None:
        name = self._address.consumer(shard)
        await self._jetstream.add_consumer(
            self._address.stream,
            ConsumerConfig(
                name=name,
                durable_name=name,
                filter_subject=self._address.subject(shard),
                ack_policy=AckPolicy.ALL,
                ack_wait=_ACK_WAIT_S,
                max_ack_pending=-1,
            ),
        )


async def _answered(delivery: Delivery, acknowledgement: "asyncio.Future[object]") -> None:
    try:
        await acknowledgement
    except APIError as error:
        if error.err_code == _MESSAGE_TOO_LARGE:
            raise EventRefused(delivery, f"larger than the stream takes: {error.description}") from error
        raise


def _forget(acknowledgement: "asyncio.Future[object]") -> None:
    """Nobody waits for it any more; its failure has been told by another's."""
    if not acknowledgement.cancel() and not acknowledgement.cancelled():
        acknowledgement.exception()


async def _say(error: Exception) -> None:
    log.info("nats.error", error=repr(error))


async def _say_disconnected() -> None:
    log.warning("nats.disconnected")
