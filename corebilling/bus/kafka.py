"""The bus over Kafka: one topic, a partition per shard, a consumer group of routers.

The topic is a courier's bag, not an archive: it may be lost with the brokers, and is made again when missing.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from aiokafka.errors import KafkaError, MessageSizeTooLargeError, RecordListTooLargeError

from corebilling.bus.delivery import Delivery
from corebilling.bus.kafka_cluster import UNREACHABLE, KafkaAddress, say
from corebilling.bus.kafka_consumer import KafkaConsumer
from corebilling.bus.kafka_producer import MAX_RECORD_BYTES, KafkaProducer, Record
from corebilling.bus.port import BusUnavailable, Consumer, EventRefused
from corebilling.bus.wire import encode

_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


class KafkaBus:
    """Publishes idempotently with acknowledgement by all replicas; consumes as a member of the group."""

    max_event_bytes = MAX_RECORD_BYTES

    def __init__(self, address: KafkaAddress, concurrent_shards: int) -> None:
        # It says several times a second that a broker is away; what matters of it we say ourselves.
        logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
        self._address = address
        self._connection = address.connection()
        self._concurrent_shards = concurrent_shards
        self._producer = KafkaProducer(address, self._connection)
        self._consumer: Consumer | None = None

    @staticmethod
    @asynccontextmanager
    async def open(address: KafkaAddress, concurrent_shards: int) -> "AsyncIterator[KafkaBus]":
        """Connects when first asked to publish or to run."""
        bus = KafkaBus(address, concurrent_shards)
        try:
            yield bus
        finally:
            await bus._producer.close()

    def subscribe(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def publish(self, deliveries: Sequence[Delivery]) -> None:
        """See the port. Raises TopicMismatch, too: an installation at fault is not waited out."""
        try:
            await self._send(deliveries)
        except _TOO_LARGE as error:
            await self._refuse(deliveries, error)

    async def run(self) -> None:
        """Consumes until canceled.

        Raises TopicMismatch.
        """
        assert self._consumer is not None
        await KafkaConsumer(self._address, self._connection, self._consumer, self._concurrent_shards).run()

    async def _send(self, deliveries: Sequence[Delivery]) -> None:
        try:
            await self._producer.send(
                deliveries[0].shard, [self._record(delivery) for delivery in deliveries]
            )
        except _TOO_LARGE:
            raise
        except UNREACHABLE as error:
            say("kafka.not_published", error)
            raise BusUnavailable(f"Kafka: {error!r}") from error

    async def _refuse(self, deliveries: Sequence[Delivery], error: KafkaError) -> None:
        """Finds out which of them is too large for the broker: each goes alone. All may go, if they were too
        large only together.

        Raises EventRefused.
        """
        if len(deliveries) == 1:
            raise EventRefused(deliveries[0], f"larger than the broker takes: {error!r}") from error
        for delivery in deliveries:
            await self.publish([delivery])

    def _record(self, delivery: Delivery) -> Record:
        row = delivery.row
        headers = [("traceparent", row.traceparent.encode())] if row.traceparent else []
        return Record(row.ordering_key.encode(), encode(delivery, self._address.installation), headers)
