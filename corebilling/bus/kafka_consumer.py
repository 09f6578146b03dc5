"""A member of the consumer group, which starts its client anew whenever that fails or falls silent.

    fetch ──> queue of a partition ──> its worker ──> the consumer, then `done`
                                                                      └──> commit, now and then

A slow shard holds up no other. What is fetched twice, as too little was committed, is known to the database.
"""

import asyncio
import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import CommitFailedError, IllegalStateError
from aiokafka.structs import ConsumerRecord
from prometheus_client import Counter

from corebilling.bus.cancellation import CanceledFromInside, answer_of
from corebilling.bus.consuming import consume_persistently, decoded
from corebilling.bus.delivery import Delivery
from corebilling.bus.kafka_cluster import MAX_MESSAGE_BYTES, UNREACHABLE, KafkaAddress, ensure_topic, say
from corebilling.bus.port import Consumer

log = structlog.get_logger(__name__)

_RESTARTS = Counter("corebilling_bus_consumer_restarts_total", "Kafka clients that were started anew.")

_MAX_BATCH = 500
_MAX_QUEUED = 2_000
_POLL_MS = 100
_COMMIT_S = 0.5
_RESTART_S = 0.5
_RESTART_MAX_S = 4.0
_JOIN_TIMEOUT_S = 30.0
_FINISH_S = 2.0
_STOP_TIMEOUT_S = 10.0
_WATCH_S = 5.0
_SILENCE_S = 15.0
_SESSION_MS = 6_000
"""The shortest that brokers allow by default: a dead member's shards move after it."""
_HEARTBEAT_MS = 500
_REBALANCE_MS = 10_000


class Silent(Exception):
    """The brokers have something for us, and the client brings nothing: a known fault of clients."""


@dataclass(slots=True)
class _Partition:
    """Records that wait for their worker. Closed: the one batch it has in hand is its last.

    `taken_to` is the offset behind the last record taken.
    """

    at: TopicPartition
    installation: str
    taken_to: int = 0
    records: list[ConsumerRecord] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    worker: asyncio.Task[None] | None = None
    closed: bool = False

    def add(self, records: Sequence[ConsumerRecord]) -> None:
        self.records.extend(records)
        self.arrived.set()

    def take(self) -> list[Delivery]:
        if self.closed:
            return []
        taken, self.records = self.records[:_MAX_BATCH], self.records[_MAX_BATCH:]
        if not self.records:
            self.arrived.clear()
        self.taken_to = taken[-1].offset + 1
        source = f"{self.at.topic}[{self.at.partition}]"
        bodies = (record.value or b"" for record in taken)
        return decoded(bodies, source, self.installation, self.at.partition)

    def close(self) -> None:
        self.closed = True
        self.arrived.set()


class KafkaConsumer:
    """Calls `consumer` with what arrives, `concurrent_shards` at once and each in its order."""

    def __init__(
        self,
        address: KafkaAddress,
        connection: Mapping[str, Any],
        consumer: Consumer,
        concurrent_shards: int,
    ) -> None:
        self._address = address
        self._connection = connection
        self._consumer = consumer
        self._limit = asyncio.Semaphore(concurrent_shards)

    async def run(self) -> None:
        """Until canceled. Errors of the client start a new one; any other ends it, in an exception group.

        Raises TopicMismatch.
        """
        wait_s = _RESTART_S
        while True:
            try:
                await answer_of(ensure_topic(self._address, self._connection))
                wait_s = _RESTART_S
                member = _Member(self._address, self._connection, self._consumer, self._limit)
                await answer_of(asyncio.create_task(member.consume(), name="kafka member"))
            except* UNREACHABLE as errors:
                say("kafka.consumer_restarts", _first(errors))
            except* (Silent, CanceledFromInside) as errors:
                log.error("kafka.consumer_restarts", error=repr(_first(errors)))
            _RESTARTS.inc()
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
            wait_s = min(wait_s * 2, _RESTART_MAX_S)


class _Member(ConsumerRebalanceListener):  # type: ignore[misc]  # the library has no types
    """One life of a client in the group."""

    def __init__(
        self,
        address: KafkaAddress,
        connection: Mapping[str, Any],
        consumer: Consumer,
        limit: asyncio.Semaphore,
    ) -> None:
        self._installation = address.installation
        self._consumer = consumer
        self._limit = limit
        self._partitions: dict[TopicPartition, _Partition] = {}
        self._done: dict[TopicPartition, int] = {}
        self._client = AIOKafkaConsumer(
            **connection,
            group_id=address.group_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=_SESSION_MS,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            rebalance_timeout_ms=_REBALANCE_MS,
            max_partition_fetch_bytes=MAX_MESSAGE_BYTES,
            # Which shards it is does not matter, as nothing is kept of one here: even is enough.
            partition_assignment_strategy=(RoundRobinPartitionAssignor,),
        )
        self._client.subscribe([address.topic], listener=self)

    async def consume(self) -> None:
        """Raises, in an exception group, what ends it: Silent, errors of the library or of the consumer."""
        try:
            async with asyncio.TaskGroup() as tasks:
                async with asyncio.timeout(_JOIN_TIMEOUT_S):
                    await self._client.start()
                tasks.create_task(self._fetch(tasks), name="kafka fetch")
                tasks.create_task(self._commit_often(), name="kafka commit")
                tasks.create_task(self._watch(), name="kafka watch")
        finally:
            await self._leave()

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """Gives what is in hand a moment to end; the rest is rolled back, and comes to the next owner."""
        closed = [self._partitions.pop(at) for at in revoked if at in self._partitions]
        for partition in closed:
            partition.close()
        workers = [partition.worker for partition in closed if partition.worker is not None]
        if workers:
            _, late = await asyncio.wait(workers, timeout=_FINISH_S)
            for worker in late:
                worker.cancel()
            if late:
                await asyncio.wait(late)
        await self._commit_at_last()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        log.info("kafka.assigned", shards=sorted(at.partition for at in assigned))

    async def _fetch(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            records = await self._client.getmany(timeout_ms=_POLL_MS, max_records=_MAX_BATCH)
            for at, of_partition in records.items():
                self._partition(at, tasks).add(of_partition)
                if len(self._partitions[at].records) >= _MAX_QUEUED:
                    self._client.pause(at)

    def _partition(self, at: TopicPartition, tasks: asyncio.TaskGroup) -> _Partition:
        if at not in self._partitions:
            partition = self._partitions[at] = _Partition(at, self._installation)
            partition.worker = tasks.create_task(self._work(partition), name=f"kafka shard {at.partition}")
        return self._partitions[at]

    async def _work(self, partition: _Partition) -> None:
        at = partition.at
        while not partition.closed:
            await partition.arrived.wait()
            await consume_persistently(self._consumer, partition.take, self._limit)
            if partition.taken_to:
                self._done[at] = partition.taken_to
            if not partition.closed and len(partition.records) < _MAX_BATCH and at in self._client.paused():
                self._client.resume(at)

    async def _commit_often(self) -> None:
        while True:
            await asyncio.sleep(_COMMIT_S)
            await self._commit()

    async def _commit(self) -> None:
        done, self._done = self._done, {}
        if not done:
            return
        try:
            await self._client.commit(done)
        except (CommitFailedError, IllegalStateError) as error:
            # The group has moved on without us: their next owner fetches them again, and knows them.
            log.info("kafka.not_committed", error=repr(error))

    async def _commit_at_last(self) -> None:
        try:
            async with asyncio.timeout(_FINISH_S):
                await self._commit()
        except UNREACHABLE as error:
            log.info("kafka.not_committed", error=repr(error))

    async def _watch(self) -> None:
        """Raises Silent when what should have moved has not."""
        clock = asyncio.get_running_loop().time
        standing: dict[tuple[TopicPartition | None, int], float] = {}
        while True:
            await asyncio.sleep(_WATCH_S)
            async with asyncio.timeout(_SILENCE_S):
                behind = await self._behind()
            standing = {it: standing.get(it, clock()) for it in behind}
            for (at, position), since in standing.items():
                if clock() - since >= _SILENCE_S:
                    raise Silent("no shard was assigned" if at is None else f"{at} stands at {position}")

    async def _behind(self) -> list[tuple[TopicPartition | None, int]]:
        """What should be moving: partitions that have more, by position; None for want of any partition."""
        assigned = self._client.assignment()
        if not assigned:
            return [(None, 0)]
        fetched = assigned - self._client.paused()
        ends = await self._client.end_offsets(fetched) if fetched else {}
        positions = {at: await self._client.position(at) for at in ends if at in self._client.assignment()}
        return [(at, position) for at, position in positions.items() if position != ends[at]]

    async def _leave(self) -> None:
        await self._commit_at_last()
        # In a task of its own: the library's stop may end in the cancellation of its own fetches, before all
        # is closed, which is not our end; and it may forget that it is canceled.
        stopping = asyncio.create_task(self._client.stop(), name="kafka consumer stops")
        await asyncio.wait([stopping], timeout=_STOP_TIMEOUT_S)
        error: BaseException | None
        if not stopping.done():
            stopping.cancel()
            error = TimeoutError("the client does not stop")
        elif stopping.cancelled():
            error = CanceledFromInside()
        else:
            error = stopping.exception()
        if error is None:
            return
        await self._abandon()
        if not isinstance(error, (*UNREACHABLE, CanceledFromInside)):
            raise error
        log.info("kafka.consumer_not_stopped", error=repr(error))

    async def _abandon(self) -> None:
        """Closes what a stop that did not end well leaves: fetches, and connections that are kept up."""
        fetches = list(self._client._fetcher._pending_tasks) if self._client._fetcher else []
        for fetch in fetches:
            fetch.cancel()
        closing = asyncio.create_task(self._client._client.close(), name="kafka client closes")
        await asyncio.wait([closing, *fetches], timeout=_STOP_TIMEOUT_S)
        closing.cancel()


def _first(errors: BaseExceptionGroup[Exception]) -> BaseException:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
