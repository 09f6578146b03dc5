"""What a program without the platform gets out of each broker: how many messages, and how soon."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import nats
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from nats.aio.msg import Msg

from bench.platform import bare_program
from corebilling.bus.delivery import Delivery
from corebilling.bus.kafka_cluster import KafkaAddress, ensure_topic
from corebilling.bus.wire import delivery_id, encode
from corebilling.events.envelope import SHARDS
from corebilling.values.ids import new_id
from tests.support.broker import BrokerServer

Log = Sequence[Sequence[Delivery]]


async def produce(server: BrokerServer, log: Log) -> float:
    """Messages per second, of the log's events."""
    with bare_program():
        return await {"nats": _produce_to_nats, "kafka": _produce_to_kafka}[server.name](server, log)


async def latencies(server: BrokerServer, log: Log, *, rate: int, count: int, warm_up: int) -> list[float]:
    """Seconds from sending to arrival of one message after the other, sorted."""
    bodies = [encode(one, "bench") for of_shard in log for one in of_shard][: count + warm_up]
    with bare_program():
        spans = await {"nats": _pass_over_nats, "kafka": _pass_over_kafka}[server.name](server, bodies, rate)
    return sorted(spans[warm_up:])


async def _produce_to_nats(server: BrokerServer, log: Log) -> float:
    """By the library's asynchronous publishing, with bodies made before."""
    name = new_id("bare")
    messages = [
        (f"{name}.{one.shard}", encode(one, "bench"), {"Nats-Msg-Id": delivery_id(one)})
        for of_shard in log
        for one in of_shard
    ]
    client = await nats.connect(server.settings["nats_url"])
    try:
        jetstream = client.jetstream()
        await jetstream.add_stream(name=name, subjects=[f"{name}.*"])
        start = time.perf_counter()
        acknowledgements = [
            await jetstream.publish_async(subject, body, headers=headers)
            for subject, body, headers in messages
        ]
        await asyncio.gather(*acknowledgements)
        return len(messages) / (time.perf_counter() - start)
    finally:
        await client.close()


async def _produce_to_kafka(server: BrokerServer, log: Log) -> float:
    """By the library's idempotent sending, with bodies made before."""
    topic = await _new_topic(server)
    messages = [
        (one.shard, one.row.ordering_key.encode(), encode(one, "bench"))
        for of_shard in log
        for one in of_shard
    ]
    producer = _kafka_producer(server)
    await producer.start()
    try:
        start = time.perf_counter()
        acknowledgements = [
            await producer.send(topic, body, key=key, partition=partition)
            for partition, key, body in messages
        ]
        await asyncio.gather(*acknowledgements)
        return len(messages) / (time.perf_counter() - start)
    finally:
        await producer.stop()


async def _pass_over_nats(server: BrokerServer, bodies: Sequence[bytes], rate: int) -> list[float]:
    name, arrived = new_id("bare"), _Arrivals(len(bodies))
    client = await nats.connect(server.settings["nats_url"])
    try:
        jetstream = client.jetstream()
        await jetstream.add_stream(name=name, subjects=[f"{name}.*"])

        async def take(message: Msg) -> None:
            arrived.note(int(message.subject.rpartition(".")[2]))
            await message.ack()

        await jetstream.subscribe(f"{name}.*", cb=take, manual_ack=True)

        async def send(number: int) -> None:
            await jetstream.publish(f"{name}.{number}", bodies[number])

        return await arrived.of(send, rate)
    finally:
        await client.close()


async def _pass_over_kafka(server: BrokerServer, bodies: Sequence[bytes], rate: int) -> list[float]:
    topic, arrived = await _new_topic(server), _Arrivals(len(bodies))
    producer = _kafka_producer(server)
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=server.settings["kafka_brokers"],
        group_id=topic,
        auto_offset_reset="earliest",
    )
    await producer.start()
    await consumer.start()

    async def take() -> None:
        async for record in consumer:
            arrived.note(int(record.key))

    async def send(number: int) -> None:
        key = str(number).encode()
        await producer.send_and_wait(topic, bodies[number], key=key, partition=number % SHARDS)

    taking = asyncio.create_task(take())
    try:
        return await arrived.of(send, rate)
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await consumer.stop()
        await producer.stop()


class _Arrivals:
    """When each of some messages was sent, and when it came."""

    def __init__(self, count: int) -> None:
        self._sent = [0.0] * count
        self._came = [0.0] * count
        self._missing = count
        self._all = asyncio.Event()

    def note(self, number: int) -> None:
        if not self._came[number]:
            self._came[number] = time.perf_counter()
            self._missing -= 1
            if not self._missing:
                self._all.set()

    async def of(self, send: Callable[[int], Awaitable[None]], rate: int) -> list[float]:
        """Sends all of them at a steady rate, one not waiting for the other."""
        start, sending = time.perf_counter(), []
        for number in range(len(self._sent)):
            await asyncio.sleep(max(0.0, start + number / rate - time.perf_counter()))
            self._sent[number] = time.perf_counter()
            sending.append(asyncio.ensure_future(send(number)))
        await asyncio.gather(*sending)
        await self._all.wait()
        return [came - sent for came, sent in zip(self._came, self._sent, strict=True)]


async def _new_topic(server: BrokerServer) -> str:
    topic = new_id("bare")
    address = KafkaAddress(server.settings["kafka_brokers"], topic, topic, SHARDS, "bench")
    await ensure_topic(address, address.connection())
    return topic


def _kafka_producer(server: BrokerServer) -> AIOKafkaProducer:
    return AIOKafkaProducer(
        bootstrap_servers=server.settings["kafka_brokers"],
        enable_idempotence=True,
        acks="all",
        max_batch_size=512 * 1024,
    )
