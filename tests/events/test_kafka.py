"""What is Kafka's own: its topic, its ways to refuse, its security, and what goes wrong with its clients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.consumer.fetcher import Fetcher
from billing_db.models import BillingEvent
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from corebilling.bus import kafka_consumer, kafka_producer
from corebilling.bus.cancellation import CanceledFromInside, answer_of
from corebilling.bus.delivery import START, Delivery
from corebilling.bus.kafka import KafkaBus
from corebilling.bus.kafka_cluster import KafkaAddress, TopicMismatch
from corebilling.bus.port import BusUnavailable, EventRefused
from corebilling.bus.wire import encode
from corebilling.values.ids import new_id
from tests.support.event_path import undecodable
from tests.support.kafka import KafkaServer

PARTITIONS = 8
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def secure_kafka() -> Iterator[KafkaServer]:
    if why := KafkaServer.missing():
        pytest.skip(f"no Apache Kafka: {why}")
    server = KafkaServer(secure=True)
    server.start()
    yield server
    server.close()


@pytest.fixture
def address(kafka: KafkaServer) -> KafkaAddress:
    """A topic and a group of the test's own."""
    return new_address(kafka)


def new_address(server: KafkaServer) -> KafkaAddress:
    name = new_id("t")
    return KafkaAddress(
        f"127.0.0.1:{server.port}", topic=name, group_id=name, partitions=PARTITIONS, installation="ours"
    )


def secured(server: KafkaServer, mechanism: str) -> KafkaAddress:
    return replace(
        new_address(server),
        security="SASL_SSL",
        sasl_mechanism=mechanism,
        sasl_username=server.USER,
        sasl_password=server.PASSWORD,
        ssl_ca_file=server.cert_file,
    )


def delivery(seq: int, *, shard: int = 0, payload_bytes: int = 10) -> Delivery:
    row = BillingEvent(
        shard=shard,
        epoch=1,
        xid=1,
        seq=seq,
        id=new_id("evt"),
        subject="thing.happened",
        tenant_id="ten_0000000000000000000000000a",
        resource_id="k",
        resource_version=seq,
        ordering_key="k",
        payload_type="billing.event.v1.CustomEvent",
        payload=b"\0" * payload_bytes,
        correlation_id="",
        causation_id="",
        actor="",
        traceparent="",
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return Delivery(row, START)


@dataclass
class Seen:
    """A consumer that remembers, and that fails when it is told to."""

    ids: list[str] = field(default_factory=list)
    calls: int = 0
    error: Exception | None = None
    busy: set[int] = field(default_factory=set)

    async def __call__(self, deliveries: Sequence[Delivery]) -> None:
        (shard,) = {it.shard for it in deliveries}
        assert shard not in self.busy
        self.busy.add(shard)
        self.calls += 1
        await asyncio.sleep(0)
        self.busy.remove(shard)
        if self.error is not None:
            raise self.error
        self.ids += [it.row.id for it in deliveries]


@asynccontextmanager
async def consuming(bus: KafkaBus, seen: Seen) -> AsyncIterator["asyncio.Task[None]"]:
    bus.subscribe(seen)
    running = asyncio.create_task(bus.run())
    try:
        yield running
    finally:
        running.cancel()
        _, unstoppable = await asyncio.wait([running], timeout=WITHIN_S)
        assert not unstoppable


@asynccontextmanager
async def admin_of(address: KafkaAddress) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=address.brokers)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def make_topic(address: KafkaAddress, partitions: int, **configs: str) -> None:
    async with admin_of(address) as admin:
        topic = NewTopic(
            address.topic, partitions, 1, topic_configs={k.replace("_", "."): v for k, v in configs.items()}
        )
        await admin.create_topics([topic])


async def partitions_of(address: KafkaAddress) -> int:
    async with admin_of(address) as admin:
        (found,) = await admin.describe_topics([address.topic])
        return len(found["partitions"])


async def eventually(condition: Callable[[], bool], within_s: float = WITHIN_S) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # what is waited for tells nobody
            await asyncio.sleep(0.02)


async def publish_until_taken(bus: KafkaBus, deliveries: Sequence[Delivery]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                return await bus.publish(deliveries)
            except BusUnavailable:
                await asyncio.sleep(0.1)


def restarts() -> float:
    return REGISTRY.get_sample_value("corebilling_bus_consumer_restarts_total") or 0


async def test_deliveries_arrive_in_the_order_they_were_published(address: KafkaAddress):
    some = [delivery(seq, payload_bytes=5_000) for seq in range(1, 400)]
    seen = Seen()
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        await bus.publish(some)
        await eventually(lambda: len(seen.ids) >= len(some))
    assert seen.ids == [it.row.id for it in some]


async def test_what_was_consumed_is_not_delivered_to_the_next_member(address: KafkaAddress):
    first, second = Seen(), Seen()
    before, after = delivery(1), delivery(2)
    async with KafkaBus.open(address, 4) as bus:
        async with consuming(bus, first):
            await bus.publish([before])
            await eventually(lambda: first.ids == [before.row.id])
        async with consuming(bus, second):
            await bus.publish([after])
            await eventually(lambda: bool(second.ids))
    assert second.ids == [after.row.id]


async def test_unavailable_consumer_gets_the_same_again_and_stays_a_member(
    address: KafkaAddress, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kafka_consumer, "_SESSION_MS", 1_000)
    monkeypatch.setattr(kafka_consumer, "_HEARTBEAT_MS", 200)
    seen = Seen(error=BusUnavailable("the database is away"))
    before = restarts()
    one, two = delivery(1), delivery(2)
    with capture_logs() as logs:
        async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
            await bus.publish([one, two])
            # With its growing waits this takes longer than the session would last without heartbeats.
            await eventually(lambda: seen.calls >= 5)
            seen.error = None
            await eventually(lambda: len(seen.ids) >= 2)
    assert seen.ids == [one.row.id, two.row.id]
    assert restarts() == before
    assert sum(log["event"] == "kafka.assigned" for log in logs) == 1


async def test_any_other_error_of_the_consumer_ends_run(address: KafkaAddress):
    async with KafkaBus.open(address, 4) as bus, consuming(bus, Seen(error=ValueError("a bug"))) as running:
        await publish_until_taken(bus, [delivery(1)])
        await asyncio.wait([running], timeout=WITHIN_S)
        error = running.exception()
    assert isinstance(error, ExceptionGroup)
    assert error.subgroup(ValueError) is not None


async def test_a_topic_with_more_partitions_than_shards_is_refused_by_name(address: KafkaAddress):
    await make_topic(address, PARTITIONS + 1)
    async with KafkaBus.open(address, 4) as bus:
        bus.subscribe(Seen())
        with pytest.raises(TopicMismatch, match=f"{address.topic} has {PARTITIONS + 1} partitions"):
            await bus.run()
        with pytest.raises(TopicMismatch, match="KAFKA_TOPIC"):
            await bus.publish([delivery(1)])


async def test_a_topic_that_the_broker_made_too_small_gets_its_partitions(address: KafkaAddress):
    await make_topic(address, 1)
    seen = Seen()
    last = delivery(1, shard=PARTITIONS - 1)
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        await publish_until_taken(bus, [last])
        await eventually(lambda: seen.ids == [last.row.id])
    assert await partitions_of(address) == PARTITIONS


async def test_a_topic_that_is_deleted_is_made_again(address: KafkaAddress):
    seen = Seen()
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        first, second = delivery(1), delivery(2, shard=PARTITIONS - 1)
        await bus.publish([first])
        await eventually(lambda: seen.ids == [first.row.id])
        async with admin_of(address) as admin:
            await admin.delete_topics([address.topic])
        # What the topic still takes while it is being deleted goes with it.
        async with asyncio.timeout(WITHIN_S):
            while second.row.id not in seen.ids or await partitions_of(address) != PARTITIONS:
                await publish_until_taken(bus, [second])
                await asyncio.sleep(0.5)


async def test_only_what_is_larger_than_the_topic_takes_is_refused(address: KafkaAddress):
    await make_topic(address, PARTITIONS, max_message_bytes="10000")
    small, large, more = delivery(1), delivery(2, payload_bytes=20_000), delivery(3)
    seen = Seen()
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        with pytest.raises(EventRefused) as refusal:
            await bus.publish([small, large, more])
        assert refusal.value.delivery is large
        await bus.publish([small, more])
        await eventually(lambda: {small.row.id, more.row.id} <= set(seen.ids))


async def test_what_is_too_large_only_together_goes_one_by_one(address: KafkaAddress):
    await make_topic(address, PARTITIONS, max_message_bytes="10000")
    some = [delivery(seq, payload_bytes=3_000) for seq in range(1, 11)]
    seen = Seen()
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        await bus.publish(some)
        await eventually(lambda: len(seen.ids) >= len(some))
    assert seen.ids == [it.row.id for it in some]


async def test_the_largest_event_passes(address: KafkaAddress):
    seen = Seen()
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        largest = delivery(1, payload_bytes=bus.max_event_bytes - 1024)
        await bus.publish([largest])
        await eventually(lambda: seen.ids == [largest.row.id])


async def test_publishing_and_consuming_recover_from_the_loss_of_all_data(kafka: KafkaServer):
    address = new_address(kafka)
    seen = Seen()
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        for seq in range(1, 4):
            await bus.publish([delivery(seq)])
        await eventually(lambda: len(seen.ids) == 3)
        await asyncio.to_thread(kafka.wipe)
        after = [delivery(4), delivery(5)]
        await publish_until_taken(bus, after)
        await publish_until_taken(bus, [delivery(1, shard=PARTITIONS - 1)])
        await eventually(lambda: {it.row.id for it in after} <= set(seen.ids))
    assert await partitions_of(address) == PARTITIONS


async def test_a_failure_of_one_publisher_spares_the_others(
    address: KafkaAddress, monkeypatch: pytest.MonkeyPatch
):
    """They share a producer: it goes when the last of them has its answer."""
    await make_topic(address, PARTITIONS, max_message_bytes="10000")
    async with KafkaBus.open(address, 4) as bus:
        await bus.publish([delivery(1)])
        results = await asyncio.gather(
            bus.publish([delivery(2, payload_bytes=20_000)]),
            *(bus.publish([delivery(1, shard=shard)]) for shard in range(1, PARTITIONS)),
            return_exceptions=True,
        )
    assert isinstance(results[0], EventRefused)
    assert results[1:] == [None] * (PARTITIONS - 1)


async def test_nothing_is_left_running_when_the_broker_is_gone(
    kafka: KafkaServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kafka_producer, "_ACKNOWLEDGE_TIMEOUT_S", 0.5)
    before = asyncio.all_tasks()
    try:
        async with KafkaBus.open(new_address(kafka), 4) as bus, consuming(bus, Seen()):
            await bus.publish([delivery(1)])
            await asyncio.to_thread(kafka.kill)
            for _ in range(3):
                with pytest.raises(BusUnavailable):
                    await bus.publish([delivery(2)])
        await asyncio.sleep(0)
        assert {repr(task) for task in asyncio.all_tasks() - before} == set()
    finally:
        await asyncio.to_thread(kafka.start)


async def test_a_client_that_falls_silent_is_replaced(address: KafkaAddress, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kafka_consumer, "_WATCH_S", 0.1)
    monkeypatch.setattr(kafka_consumer, "_SILENCE_S", 1.0)
    clients: list[Any] = []

    class Fetching(AIOKafkaConsumer):  # type: ignore[misc]
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            clients.append(self)

    monkeypatch.setattr(kafka_consumer, "AIOKafkaConsumer", Fetching)
    seen = Seen()
    before = restarts()
    first, second = delivery(1), delivery(2)
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        await bus.publish([first])
        await eventually(lambda: seen.ids == [first.row.id])
        for fetching in (clients[0]._fetcher._fetch_task, *clients[0]._fetcher._pending_tasks):
            fetching.cancel()
        await bus.publish([second])
        await eventually(lambda: second.row.id in seen.ids)
    assert restarts() == before + 1


async def test_a_member_that_is_never_given_a_shard_is_replaced(
    address: KafkaAddress, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(kafka_consumer, "_WATCH_S", 0.1)
    monkeypatch.setattr(kafka_consumer, "_SILENCE_S", 0.5)
    before = restarts()
    async with KafkaBus.open(replace(address, partitions=1), 4) as one, consuming(one, Seen()):
        await publish_until_taken(one, [delivery(1)])
        async with KafkaBus.open(replace(address, partitions=1), 4) as two, consuming(two, Seen()):
            await eventually(lambda: restarts() > before)


async def test_a_cancellation_that_meets_an_error_is_not_forgotten(address: KafkaAddress):
    handling = asyncio.Event()

    async def consumer(_: Sequence[Delivery]) -> None:
        handling.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise ConnectionResetError("broken off") from None

    async with KafkaBus.open(address, 4) as bus:
        bus.subscribe(consumer)
        running = asyncio.create_task(bus.run())
        await publish_until_taken(bus, [delivery(1)])
        await handling.wait()
        running.cancel()
        await asyncio.wait([running], timeout=WITHIN_S)
        assert running.cancelled()


async def test_a_cancellation_that_the_library_forgets_while_it_connects_is_not_forgotten(
    address: KafkaAddress, monkeypatch: pytest.MonkeyPatch
):
    connecting, start = asyncio.Event(), AIOKafkaAdminClient.start

    async def forgetful(admin: AIOKafkaAdminClient) -> None:
        await start(admin)
        connecting.set()
        # As asyncio.wait_for does when the answer is there.
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(AIOKafkaAdminClient, "start", forgetful)
    async with KafkaBus.open(address, 4) as bus:
        bus.subscribe(Seen())
        running = asyncio.create_task(bus.run())
        await connecting.wait()
        running.cancel()
        await asyncio.wait([running], timeout=WITHIN_S)
        assert running.cancelled()


async def test_a_client_whose_stop_is_canceled_from_inside_is_closed_all_the_same(
    address: KafkaAddress, monkeypatch: pytest.MonkeyPatch
):
    close = Fetcher.close

    async def canceled_from_inside(fetcher: Fetcher) -> None:
        await close(fetcher)
        raise asyncio.CancelledError

    monkeypatch.setattr(Fetcher, "close", canceled_from_inside)
    before = asyncio.all_tasks()
    seen = Seen()
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        await publish_until_taken(bus, [delivery(1)])
        await eventually(lambda: bool(seen.ids))
    await asyncio.sleep(0)
    assert {repr(task) for task in asyncio.all_tasks() - before} == set()


async def test_a_cancellation_from_inside_does_not_end_who_waits():
    async def canceled() -> None:
        raise asyncio.CancelledError

    with pytest.raises(CanceledFromInside):
        await answer_of(asyncio.create_task(canceled()))


async def test_what_is_no_delivery_or_of_another_shard_is_passed_over(address: KafkaAddress):
    seen = Seen()
    before = undecodable()
    async with KafkaBus.open(address, 4) as bus, consuming(bus, seen):
        await bus.publish([delivery(1)])
        producer = AIOKafkaProducer(bootstrap_servers=address.brokers)
        await producer.start()
        for value in (
            b"\xff" * 20,
            None,
            encode(delivery(2, shard=1), "ours"),
            encode(delivery(2), "theirs"),
        ):
            await producer.send_and_wait(address.topic, value, key=b"k", partition=0)
        await producer.stop()
        last = delivery(3)
        await bus.publish([last])
        await eventually(lambda: last.row.id in seen.ids)
    assert len(seen.ids) == 2
    assert undecodable() == before + 4


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_password_and_tls_work_from_end_to_end(secure_kafka: KafkaServer, mechanism: str):
    seen = Seen()
    it = delivery(1)
    async with KafkaBus.open(secured(secure_kafka, mechanism), 4) as bus, consuming(bus, seen):
        await publish_until_taken(bus, [it])
        await eventually(lambda: seen.ids == [it.row.id])


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512", "SCRAM-SHA-256"])
async def test_a_wrong_password_or_mechanism_is_waited_out_loudly(secure_kafka: KafkaServer, mechanism: str):
    address = replace(secured(secure_kafka, mechanism), sasl_password="wrong")
    with capture_logs() as logs:
        async with KafkaBus.open(address, 4) as bus, consuming(bus, Seen()) as running:
            with pytest.raises(BusUnavailable, match=r"Sasl|Auth"):
                await bus.publish([delivery(1)])
            await eventually(
                lambda: {"kafka.not_published", "kafka.consumer_restarts"} <= {log["event"] for log in logs}
            )
            assert not running.done()
    assert {log["log_level"] for log in logs if "denied" in log} == {"error"}
    assert "wrong" not in repr(logs) + repr(address)


async def test_a_broker_that_nobody_vouches_for_is_told_nothing(secure_kafka: KafkaServer):
    address = replace(secured(secure_kafka, "PLAIN"), ssl_ca_file=None)
    async with KafkaBus.open(address, 4) as bus:
        with pytest.raises(BusUnavailable, match="certificate"):
            await bus.publish([delivery(1)])


async def test_a_missing_file_of_authorities_is_noticed_at_the_start(address: KafkaAddress, tmp_path: Path):
    unreadable = replace(address, security="SSL", ssl_ca_file=tmp_path / "missing.pem")
    with pytest.raises(OSError, match="No such file"):
        async with KafkaBus.open(unreadable, 4):
            pass
