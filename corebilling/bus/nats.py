"""The bus over NATS JetStream: one stream, a subject and a durable pull consumer per shard.

    COREBILLING (stream) <- corebilling.events.17 -> router-17 (consumer), pulled by whoever holds shard 17

The stream is a courier's bag, not an archive: it may be lost with the server, and is made again when missing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager

from corebilling.bus.delivery import Delivery
from corebilling.bus.nats_connection import NatsAddress, NatsConnection
from corebilling.bus.nats_consumer import ShardConsumer
from corebilling.bus.nats_publisher import NatsPublisher
from corebilling.bus.port import Consumer

_ASSIGNMENT_POLL_S = 0.1


class NatsBus:
    """Publishes with acknowledgement, and pulls the shards that `shards` names at the time."""

    def __init__(
        self,
        address: NatsAddress,
        connection: NatsConnection,
        shards: Callable[[], Collection[int]],
        concurrent_shards: int,
    ) -> None:
        self._address = address
        self._connection = connection
        self._publisher = NatsPublisher(address, connection)
        self._shards = shards
        self._limit = asyncio.Semaphore(concurrent_shards)
        self._consumer: Consumer | None = None
        self._running: dict[int, tuple[ShardConsumer, asyncio.Task[None]]] = {}

    @staticmethod
    @asynccontextmanager
    async def open(
        address: NatsAddress, shards: Callable[[], Collection[int]], concurrent_shards: int
    ) -> "AsyncIterator[NatsBus]":
        """Connects in the background, for as long as it takes."""
        async with NatsConnection.open(address) as connection:
            yield NatsBus(address, connection, shards, concurrent_shards)

    @property
    def max_event_bytes(self) -> int:
        return self._publisher.max_body_bytes

    def subscribe(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def publish(self, deliveries: Sequence[Delivery]) -> None:
        await self._publisher.publish(deliveries)

    async def run(self) -> None:
        """Follows the assignment: pulls each shard that is ours, and leaves it when it no longer is."""
        self._running.clear()
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._connection.check()
                self._follow(set(self._shards()), tasks)
                await asyncio.sleep(_ASSIGNMENT_POLL_S)

    def _follow(self, held: set[int], tasks: asyncio.TaskGroup) -> None:
        """A shard that is being left must be left before it is pulled again."""
        assert self._consumer is not None
        for shard, (leaving, task) in list(self._running.items()):
            if task.done():
                del self._running[shard]
            elif shard not in held:
                leaving.leave()
        for shard in held - self._running.keys():
            consumer = ShardConsumer(self._address, self._connection, shard, self._consumer, self._limit)
            self._running[shard] = consumer, tasks.create_task(consumer.run(), name=f"nats shard {shard}")
