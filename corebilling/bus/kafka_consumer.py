"""A member of the consumer group, which starts its client anew whenever that fails or falls silent.

Each partition has a worker of its own, so that a slow shard holds up no other. What was consumed is committed
after the database did; whatever is fetched twice is recognized there.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord
from prometheus_client import Counter

from corebilling.bus.consuming import consume_persistently, decoded
from corebilling.bus.port import Consumer

log = structlog.get_logger(__name__)

_RESTARTS = Counter("corebilling_bus_consumer_restarts_total", "Kafka clients that were started anew.")

_MAX_BATCH = 500
_QUEUE_BATCHES = 4
_POLL_S = 0.1
_RESTART_S = 0.5
_STOP_TIMEOUT_S = 5.0
_WATCH_S = 5.0
_SILENCE_S = 15.0
_SESSION_MS = 6_000
_HEARTBEAT_MS = 500


class Silent(Exception):
    """The broker has records for us, and the client brings none: a known fault of clients."""


class _Partition:
    """Records that wait for their worker."""

    def __init__(self) -> None:
        self.records: list[ConsumerRecord] = []
        self.arrived = asyncio.Event()
        self.worker: asyncio.Task[None] | None = None

    def take(self) -> list[ConsumerRecord]:
        taken, self.records = self.records[:_MAX_BATCH], self.records[_MAX_BATCH:]
        if not self.records:
            self.arrived.clear()
        return taken


class KafkaConsumer(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """`prepare` runs before each start of the client: it makes what must be there."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        topic: str,
        group_id: str,
        consumer: Consumer,
        concurrent_shards: int,
        prepare: Callable[[], Awaitable[None]],
    ) -> None:
        self._connection = connection
        self._topic = topic
        self._group_id = group_id
        self._consumer = consumer
        self._limit = asyncio.Semaphore(concurrent_shards)
        self._prepare = prepare
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._client: AIOKafkaConsumer | None = None
        self._heard_at = 0.0

    async def run(self) -> None:
        """Until canceled. Errors of the client start a new one; any other ends it."""
        while True:
            try:
                await self._prepare()
                await self._consume()
            except (KafkaError, Silent, TimeoutError, OSError) as error:
                _RESTARTS.inc()
                log.warning("kafka.consumer_restarts", error=repr(error))
            await asyncio.sleep(_RESTART_S * random.uniform(0.8, 1.2))

    async def _consume(self) -> None:
        client = AIOKafkaConsumer(
            **self._connection,
            group_id=self._group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_SESSION_MS,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            fetch_max_wait_ms=500,
        )
        client.subscribe([self._topic], listener=self)
        self._client = client
        self._heard_at = asyncio.get_running_loop().time()
        try:
            await client.start()
            await self._fetch_and_watch(client)
        finally:
            await self._leave(client)

    async def _fetch_and_watch(self, client: AIOKafkaConsumer) -> None:
        """Ends with the first of the two that fails, under its own error."""
        loops = [asyncio.create_task(self._fetch(client)), asyncio.create_task(self._watch(client))]
        try:
            done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _end(loops)

    async def _leave(self, client: AIOKafkaConsumer) -> None:
        await self._drop(list(self._partitions))
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await client.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.info("kafka.consumer_not_stopped", error=repr(error))

    async def _fetch(self, client: AIOKafkaConsumer) -> None:
        while True:
            records = await client.getmany(timeout_ms=int(_POLL_S * 1000), max_records=_MAX_BATCH)
            if records:
                self._heard_at = asyncio.get_running_loop().time()
            for at, of_partition in records.items():
                self._queue(client, at, of_partition)
            self._raise_of_workers()

    def _queue(self, client: AIOKafkaConsumer, at: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        partition = self._partitions.setdefault(at, _Partition())
        partition.records.extend(records)
        partition.arrived.set()
        if partition.worker is None:
            partition.worker = asyncio.create_task(
                self._work(client, at, partition), name=f"kafka shard {at.partition}"
            )
        if len(partition.records) >= _QUEUE_BATCHES * _MAX_BATCH:
            client.pause(at)

    async def _work(self, client: AIOKafkaConsumer, at: TopicPartition, partition: _Partition) -> None:
        while True:
            await partition.arrived.wait()
            records = partition.take()
            deliveries = decoded((record.value or b"" for record in records), f"{at.topic}[{at.partition}]")
            await consume_persistently(self._consumer, deliveries, self._limit)
            await client.commit({at: records[-1].offset + 1})
            if at in client.paused() and len(partition.records) < _MAX_BATCH:
                client.resume(at)

    def _raise_of_workers(self) -> None:
        for partition in self._partitions.values():
            if partition.worker is not None and partition.worker.done():
                partition.worker.result()

    async def _watch(self, client: AIOKafkaConsumer) -> None:
        """Looks whether the broker has what the client does not bring."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_WATCH_S)
            if loop.time() - self._heard_at < _SILENCE_S:
                continue
            idle = client.assignment() - client.paused()
            ends = await client.end_offsets(idle) if idle else {}
            for at, end in ends.items():
                if end > await client.position(at):
                    raise Silent(f"partition {at.partition} has more, and nothing comes")

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._drop(revoked)

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        log.info("kafka.assigned", shards=sorted(at.partition for at in assigned))

    async def _drop(self, partitions: Collection[TopicPartition]) -> None:
        """Ends their workers; what they had in hand is rolled back, and comes to the next owner."""
        dropped = [self._partitions.pop(at) for at in partitions if at in self._partitions]
        await _end([partition.worker for partition in dropped if partition.worker is not None])


async def _end(tasks: Collection["asyncio.Task[None]"]) -> None:
    """Cancels them and waits. An error that is not the client's is nobody's to swallow."""
    for task in tasks:
        task.cancel()
    if tasks:
        await asyncio.wait(tasks)
    for task in tasks:
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, KafkaError | Silent | OSError | TimeoutError):
            raise error
