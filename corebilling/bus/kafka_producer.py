"""A producer that is replaced when it fails.

An idempotent producer numbers what it sends. A batch that was refused leaves a gap in the numbers, and a
broker that lost its data does not know them: from then on everything is refused. And what is not acknowledged
it offers again for ever, long after its sender has given up. So a failure is a producer's last act.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError

from corebilling.bus.kafka_cluster import MAX_MESSAGE_BYTES, UNREACHABLE, KafkaAddress, ensure_topic, say

log = structlog.get_logger(__name__)

MAX_RECORD_BYTES = MAX_MESSAGE_BYTES - 1024
"""Leaves room for the header of its batch."""

_MAX_BATCH_BYTES = 512 * 1024
"""Larger ones bring nothing, and brokers that were set up by others may take no more than a megabyte."""
_START_TIMEOUT_S = 5.0
_ACKNOWLEDGE_TIMEOUT_S = 10.0


class Record(NamedTuple):
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes]]


@dataclass(slots=True)
class _Producer:
    """Closed by the last who uses it, once it has failed."""

    producer: AIOKafkaProducer
    users: int = 0
    failed: bool = False


class KafkaProducer:
    """Connects when first asked to send, and anew after each failure."""

    def __init__(self, address: KafkaAddress, connection: Mapping[str, Any]) -> None:
        self._address = address
        self._connection = connection
        self._current: _Producer | None = None
        self._connecting = asyncio.Lock()
        self._attempts = 0
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, partition: int, records: Sequence[Record]) -> None:
        """Returns once all in-sync replicas have them all, in this order.

        Raises:
            KafkaError, TimeoutError, OSError: none, some or all of them were taken.
            TopicMismatch: see there.
        """
        async with self._in_use() as producer, asyncio.timeout(_ACKNOWLEDGE_TIMEOUT_S):
            if partition not in await producer.partitions_for(self._address.topic):
                raise UnknownTopicOrPartitionError(f"{self._address.topic}[{partition}]")
            acknowledgements = [
                await self._hand_over(producer, batch, partition) for batch in _batches(producer, records)
            ]
            results = await asyncio.gather(*acknowledgements, return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result

    async def close(self) -> None:
        if self._current is not None:
            self._give_up(self._current)
        if self._closing:
            await asyncio.wait(self._closing)

    async def _hand_over(
        self, producer: AIOKafkaProducer, batch: Any, partition: int
    ) -> "asyncio.Future[object]":
        acknowledgement: asyncio.Future[object] = await producer.send_batch(
            batch, self._address.topic, partition=partition
        )
        # One that fails while another is still being handed over has nobody to tell.
        acknowledgement.add_done_callback(lambda done: done.cancelled() or done.exception())
        return acknowledgement

    @asynccontextmanager
    async def _in_use(self) -> AsyncIterator[AIOKafkaProducer]:
        used = await self._connected()
        used.users += 1
        try:
            yield used.producer
        except UNREACHABLE:
            self._give_up(used)
            raise
        finally:
            used.users -= 1
            self._close_if_unused(used)

    async def _connected(self) -> _Producer:
        attempt = self._attempts
        async with self._connecting:
            if self._current is None:
                if self._attempts > attempt:
                    raise KafkaConnectionError("it was tried a moment ago, in vain")
                self._attempts += 1
                self._current = _Producer(await self._connect())
            return self._current

    async def _connect(self) -> AIOKafkaProducer:
        await ensure_topic(self._address, self._connection)
        producer = AIOKafkaProducer(
            **self._connection,
            enable_idempotence=True,
            acks="all",
            max_batch_size=_MAX_BATCH_BYTES,
            max_request_size=MAX_MESSAGE_BYTES,
        )
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await producer.start()
        except BaseException:
            await _discard(producer)
            raise
        log.info("kafka.connected", brokers=self._address.brokers, topic=self._address.topic)
        return producer

    def _give_up(self, used: _Producer) -> None:
        used.failed = True
        if self._current is used:
            self._current = None
        self._close_if_unused(used)

    def _close_if_unused(self, used: _Producer) -> None:
        if used.failed and not used.users and not used.producer._closed:
            closing = asyncio.create_task(_discard(used.producer), name="kafka producer closes")
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


def _batches(producer: AIOKafkaProducer, records: Sequence[Record]) -> list[Any]:
    """As few as hold them. A batch always takes its first record: the broker refuses what is too large."""
    batches = [producer.create_batch()]
    for record in records:
        fields = {"timestamp": None, "key": record.key, "value": record.value, "headers": record.headers}
        if batches[-1].append(**fields) is None:
            batches.append(producer.create_batch())
            batches[-1].append(**fields)
    return batches


async def _discard(producer: AIOKafkaProducer) -> None:
    """Closes it with what it holds: the library's own `stop` would wait until that is delivered."""
    producer._closed = True
    try:
        await producer._sender.close()
    except UNREACHABLE as error:
        say("kafka.producer_failed", error)
    await producer.client.close()
