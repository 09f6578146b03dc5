"""The bus over Kafka: one topic, a partition per shard, a consumer group of routers.

The topic is a courier's bag, not an archive: it may be lost with the brokers, and is made again when missing.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
    for_code,
)

from corebilling.bus.delivery import Delivery
from corebilling.bus.kafka_consumer import KafkaConsumer
from corebilling.bus.port import BusUnavailable, Consumer, EventRefused
from corebilling.bus.wire import delivery_id, encode

log = structlog.get_logger(__name__)

_MAX_BATCH_BYTES = 1_000_000
"""Below what brokers take by default, with the batch's own header."""
_RECORD_BYTES = 1_024
_START_TIMEOUT_S = 5.0
_PUBLISH_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0
_KEPT_MS = 7 * 24 * 3600 * 1000
_TOO_LARGE = (MessageSizeTooLargeError, RecordListTooLargeError)


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where the brokers are, who we are to them, and what the topic and the group are called there."""

    brokers: str
    topic: str
    group_id: str
    partitions: int
    replicas: int = 1
    security: str = "PLAINTEXT"
    sasl_mechanism: str = "SCRAM-SHA-512"
    sasl_username: str = ""
    sasl_password: str = ""
    ssl_ca_file: Path | None = None

    def connection(self) -> Mapping[str, Any]:
        """What every client of the library is opened with."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.brokers,
            "security_protocol": self.security,
            "request_timeout_ms": 5_000,
            "retry_backoff_ms": 100,
            "metadata_max_age_ms": 5_000,
        }
        if self.security.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.sasl_mechanism,
                "sasl_plain_username": self.sasl_username,
                "sasl_plain_password": self.sasl_password,
            }
        if self.security.endswith("SSL"):
            cafile = None if self.ssl_ca_file is None else str(self.ssl_ca_file)
            options["ssl_context"] = ssl.create_default_context(cafile=cafile)
        return options


class TopicMismatch(Exception):
    """The topic has another number of partitions than the platform has shards; the message says so."""


class KafkaBus:
    """Publishes idempotently with acknowledgement by all replicas; consumes as a member of the group."""

    max_event_bytes = _MAX_BATCH_BYTES - _RECORD_BYTES

    def __init__(self, address: KafkaAddress, concurrent_shards: int) -> None:
        self._address = address
        self._concurrent_shards = concurrent_shards
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._consumer: Consumer | None = None

    @staticmethod
    @asynccontextmanager
    async def open(address: KafkaAddress, concurrent_shards: int) -> "AsyncIterator[KafkaBus]":
        """Connects when first asked to publish or to run."""
        bus = KafkaBus(address, concurrent_shards)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(bus._drop_producer)
            yield bus

    def subscribe(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def publish(self, deliveries: Sequence[Delivery]) -> None:
        try:
            async with asyncio.timeout(_PUBLISH_TIMEOUT_S):
                producer = await self._started_producer()
                await self._send(producer, deliveries)
        except _TOO_LARGE as error:
            await self._refuse(deliveries, error)
        except (KafkaError, TimeoutError, OSError) as error:
            # Whatever its state is, the next attempt begins with a new one: some errors are its last.
            await self._drop_producer()
            raise BusUnavailable(f"Kafka: {error!r}") from error

    async def run(self) -> None:
        """Consumes until canceled.

        Raises TopicMismatch.
        """
        assert self._consumer is not None
        consumer = KafkaConsumer(
            self._address.connection(),
            self._address.topic,
            self._address.group_id,
            self._consumer,
            self._concurrent_shards,
            prepare=self._make_topic,
        )
        await consumer.run()

    async def _started_producer(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                await self._make_topic()
                producer = AIOKafkaProducer(
                    **self._address.connection(),
                    enable_idempotence=True,
                    acks="all",
                    max_batch_size=_MAX_BATCH_BYTES,
                    max_request_size=_MAX_BATCH_BYTES + _RECORD_BYTES,
                )
                self._producer = producer
                await producer.start()
            return self._producer

    async def _send(self, producer: AIOKafkaProducer, deliveries: Sequence[Delivery]) -> None:
        """As few batches as hold them, one after the other on their partition."""
        partition = deliveries[0].shard
        acknowledgements = []
        batch = producer.create_batch()
        for delivery in deliveries:
            record: dict[str, Any] = {
                "key": delivery.row.ordering_key.encode(),
                "value": encode(delivery),
                "timestamp": None,
                "headers": [("delivery-id", delivery_id(delivery).encode())],
            }
            if batch.append(**record) is None:
                acknowledgements.append(
                    await producer.send_batch(batch, self._address.topic, partition=partition)
                )
                batch = producer.create_batch()
                if batch.append(**record) is None:
                    raise EventRefused(delivery, f"larger than a batch ({_MAX_BATCH_BYTES} bytes)")
        acknowledgements.append(await producer.send_batch(batch, self._address.topic, partition=partition))
        results = await asyncio.gather(*acknowledgements, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _refuse(self, deliveries: Sequence[Delivery], error: KafkaError) -> None:
        """Finds out which of them is too large for the broker: each goes alone.

        Raises EventRefused.
        """
        if len(deliveries) == 1:
            raise EventRefused(deliveries[0], f"larger than the broker takes: {error!r}") from error
        for delivery in deliveries:
            await self.publish([delivery])

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await producer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.info("kafka.producer_not_stopped", error=repr(error))

    async def _make_topic(self) -> None:
        """Makes the topic if it is missing.

        Raises:
            TopicMismatch: it is there, with another number of partitions.
        """
        address = self._address
        admin = AIOKafkaAdminClient(**address.connection())
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await admin.start()
                topic = NewTopic(
                    address.topic,
                    num_partitions=address.partitions,
                    replication_factor=address.replicas,
                    topic_configs={"retention.ms": str(_KEPT_MS)},
                )
                answer = await admin.create_topics([topic], timeout_ms=int(_START_TIMEOUT_S * 1000))
                for _, code, message in answer.topic_errors:
                    if code and for_code(code) is not TopicAlreadyExistsError:
                        raise for_code(code)(message)
                (found,) = await admin.describe_topics([address.topic])
        finally:
            await admin.close()
        if (partitions := len(found["partitions"])) not in (0, address.partitions):
            raise TopicMismatch(
                f"topic {address.topic} has {partitions} partitions instead of {address.partitions}, "
                "one per shard; name another with KAFKA_TOPIC"
            )
