"""What is NATS's own: its stream and consumers, its refusals, the shards that come and go by lease."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import nats as client
import pytest
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import StreamConfig
from structlog.testing import capture_logs

from corebilling.bus.delivery import Delivery
from corebilling.bus.nats import NatsBus
from corebilling.bus.nats_connection import NatsAddress
from corebilling.bus.port import BusUnavailable, EventRefused
from corebilling.bus.wire import decode
from corebilling.values.ids import new_id
from tests.support.certificate import self_signed
from tests.support.event_path import Seen, delivery, eventually, publish
from tests.support.nats import NatsServer
from tests.support.ports import free_port

ALL = range(64)
WITHIN_S = 30.0


@pytest.fixture
def address(nats: NatsServer) -> NatsAddress:
    """A stream of the test's own."""
    return NatsAddress(nats.settings["nats_url"], stream=new_id("t"), installation="ours")


@pytest.fixture
def own_server() -> Iterator[NatsServer]:
    server = NatsServer()
    server.start()
    yield server
    server.close()


@asynccontextmanager
async def opened(
    address: NatsAddress, shards: Callable[[], Collection[int]] = lambda: ALL
) -> AsyncIterator[NatsBus]:
    async with NatsBus.open(address, shards, 4) as bus:
        yield bus


@asynccontextmanager
async def consuming(bus: NatsBus, seen: Seen) -> AsyncIterator["asyncio.Task[None]"]:
    bus.subscribe(seen)
    running = asyncio.create_task(bus.run())
    try:
        yield running
    finally:
        running.cancel()
        async with asyncio.timeout(WITHIN_S):
            await asyncio.wait([running])


@asynccontextmanager
async def jetstream(address: NatsAddress) -> AsyncIterator[JetStreamContext]:
    connection = await client.connect(address.url)
    try:
        yield connection.jetstream()
    finally:
        await connection.close()


async def send_too_much(connected: Client, address: NatsAddress) -> None:
    """Past the library's own check. The server complains and closes the connection: the library gives up, or
    connects anew, whichever it sees first."""
    too_much = b"\0" * (connected.max_payload + 1)
    with contextlib.suppress(NatsError, OSError):
        await connected._send_publish(address.subject(0), "", too_much, len(too_much), None)
    await asyncio.sleep(0.05)


async def published(bus: NatsBus, deliveries: Sequence[Delivery]) -> None:
    """Together, as soon as the bus takes them."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                return await bus.publish(deliveries)
            except BusUnavailable:
                await asyncio.sleep(0.02)


async def test_deliveries_arrive_in_the_order_they_were_published(address: NatsAddress):
    """More than one window of them, and more than one request."""
    some = [delivery(seq, payload_bytes=5_000) for seq in range(1, 700)]
    seen = Seen()
    async with opened(address) as bus, consuming(bus, seen):
        await published(bus, some)
        await eventually(lambda: len(seen.seqs) >= len(some))
    assert seen.seqs == [(0, seq) for seq in range(1, 700)]


async def test_a_repetition_is_recognized_by_the_server(address: NatsAddress):
    seen = Seen()
    async with opened(address) as bus, consuming(bus, seen):
        await published(bus, [delivery(1)])
        await published(bus, [delivery(1), delivery(2)])
        await eventually(lambda: (0, 2) in seen.seqs)
    assert seen.seqs == [(0, 1), (0, 2)]


async def test_other_listeners_find_the_contract_and_the_trace(address: NatsAddress):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = delivery(1, shard=17, traceparent=trace)
    async with opened(address) as bus, jetstream(address) as js:
        await published(bus, [sent])
        message = await js.get_msg(address.stream, 1)
    assert message.subject == f"{address.stream.lower()}.events.17"
    assert message.headers == {"Nats-Msg-Id": "17-1-1-1", "traceparent": trace}
    assert message.data is not None
    assert decode(message.data, "ours").row == sent.row


async def test_a_stream_that_is_deleted_is_made_again(address: NatsAddress):
    seen = Seen()
    async with opened(address) as bus, consuming(bus, seen), jetstream(address) as js:
        await published(bus, [delivery(1)])
        await eventually(lambda: seen.seqs == [(0, 1)])
        await js.delete_stream(address.stream)
        await published(bus, [delivery(2), delivery(3)])
        await eventually(lambda: seen.seqs == [(0, 1), (0, 2), (0, 3)])


async def test_a_consumer_that_is_deleted_is_made_again(address: NatsAddress):
    """It begins anew, as one that joins: what comes twice is known to the router."""
    seen = Seen()
    async with opened(address) as bus, consuming(bus, seen), jetstream(address) as js:
        await published(bus, [delivery(1)])
        await eventually(lambda: seen.seqs == [(0, 1)])
        await js.delete_consumer(address.stream, "router-0")
        await published(bus, [delivery(2)])
        await eventually(lambda: seen.seqs[-1] == (0, 2))


async def test_what_operators_set_in_the_stream_is_left_and_what_it_refuses_is_refused_alone(
    address: NatsAddress,
):
    small, large, more = delivery(1), delivery(2, payload_bytes=20_000), delivery(3)
    seen = Seen()
    async with jetstream(address) as js:
        config = StreamConfig(
            name=address.stream, subjects=[address.subject("*")], max_msg_size=10_000, max_age=3600
        )
        await js.add_stream(config)
        async with opened(address) as bus, consuming(bus, seen):
            with pytest.raises(EventRefused) as refusal:
                await published(bus, [small, large, more])
            assert refusal.value.delivery is large
            await published(bus, [small, more])
            await eventually(lambda: seen.seqs == [(0, 1), (0, 3)])
        found = (await js.stream_info(address.stream)).config
        assert (found.max_msg_size, found.max_age) == (10_000, 3600)


async def test_what_is_larger_than_the_server_takes_is_refused_before_it_is_sent(address: NatsAddress):
    """Sent, it would cost the connection."""
    async with opened(address) as bus:
        await published(bus, [delivery(1)])
        large = delivery(2, payload_bytes=bus.max_event_bytes)
        with pytest.raises(EventRefused) as refusal:
            await bus.publish([large])
        assert refusal.value.delivery is large
        await bus.publish([delivery(3)])


async def test_a_client_that_the_server_turned_away_is_replaced(address: NatsAddress):
    seen = Seen()
    with capture_logs() as logs:
        async with opened(address) as bus, consuming(bus, seen):
            await published(bus, [delivery(1)])
            await eventually(lambda: seen.seqs == [(0, 1)])
            turned_away = bus._connection.session().client
            async with asyncio.timeout(WITHIN_S):
                while not turned_away.is_closed:
                    await send_too_much(turned_away, address)
            await published(bus, [delivery(2)])
            await eventually(lambda: seen.seqs == [(0, 1), (0, 2)])
    assert any(log["event"] == "nats.turned_away" for log in logs)
    assert [log["log_level"] for log in logs if log["event"] == "nats.connected"][:2] == ["info", "info"]


async def test_a_client_that_closed_without_a_word_is_replaced(address: NatsAddress):
    seen = Seen()
    async with opened(address) as bus, consuming(bus, seen):
        await published(bus, [delivery(1)])
        await eventually(lambda: seen.seqs == [(0, 1)])
        client = bus._connection.session().client
        # So far the library has come when its task that closes the client is lost.
        client._status = Client.CLOSED
        assert client._transport is not None
        client._transport.close()
        await published(bus, [delivery(2)])
        await eventually(lambda: seen.seqs == [(0, 1), (0, 2)])


async def test_a_server_that_hangs_is_unavailable_and_then_serves_again(own_server: NatsServer):
    address = NatsAddress(own_server.settings["nats_url"], stream=new_id("t"), installation="ours")
    seen = Seen()
    async with opened(address) as bus, consuming(bus, seen):
        await published(bus, [delivery(1)])
        await eventually(lambda: seen.seqs == [(0, 1)])
        own_server.send_signal(signal.SIGSTOP)
        try:
            with pytest.raises(BusUnavailable):
                await bus.publish([delivery(2)])
        finally:
            own_server.send_signal(signal.SIGCONT)
        await published(bus, [delivery(2), delivery(3)])
        await eventually(lambda: (0, 3) in seen.seqs)
    assert seen.seqs == [(0, 1), (0, 2), (0, 3)]


async def test_one_of_several_servers_is_enough(address: NatsAddress):
    several = replace(address, url=f"nats://127.0.0.1:{free_port()}, {address.url}")
    async with opened(several) as bus:
        await published(bus, [delivery(1)])


def test_passwords_within_urls_are_not_logged():
    address = NatsAddress("nats://me:secret@one:4222, tls://two:4222", "s", "ours")
    assert address.hosts == "one:4222, two:4222"
    assert "secret" not in repr(address)


async def test_it_speaks_tls_and_says_who_it_is(tmp_path: Path):
    cert_file, key_file = self_signed(tmp_path)
    server = NatsServer(
        "--tls", f"--tlscert={cert_file}", f"--tlskey={key_file}", "--user=corebilling", "--pass=secret"
    )
    server.start()
    try:
        good = NatsAddress(
            server.settings["nats_url"], new_id("t"), "ours", "corebilling", "secret", tls_ca_file=cert_file
        )
        async with opened(good) as bus:
            await published(bus, [delivery(1)])
        for bad in (replace(good, password="guess"), replace(good, tls_ca_file=None)):
            with capture_logs() as logs:
                async with opened(bad) as bus:
                    await eventually(lambda: any(log["event"] == "nats.error" for log in logs))
                    with pytest.raises(BusUnavailable):
                        await bus.publish([delivery(1)])
        assert "secret" not in repr(good)
    finally:
        server.close()


async def test_a_shard_that_is_lost_is_left_after_the_batch_in_hand_and_the_rest_goes_to_its_next_owner(
    address: NatsAddress,
):
    ours: set[int] = {0, 1}
    theirs: set[int] = set()
    mine, other = Seen(), Seen()
    mine.may_go_on.clear()
    async with (
        opened(address, lambda: ours) as bus,
        opened(address, lambda: theirs) as next_bus,
        consuming(bus, mine),
        consuming(next_bus, other),
    ):
        await publish(bus, [delivery(1)])
        await eventually(lambda: mine.busy == {0})
        await publish(bus, [delivery(2), delivery(3)])
        ours.remove(0)
        theirs.add(0)
        await eventually(lambda: bus._running[0][0]._left)
        await publish(bus, [delivery(1, shard=1)])
        mine.may_go_on.set()
        await eventually(lambda: sorted(mine.seqs) == [(0, 1), (1, 1)])
        # At once, not when the server gives up waiting for us.
        await eventually(lambda: {(0, 2), (0, 3)} <= set(other.seqs), within_s=10)
        await publish(bus, [delivery(4)])
        await eventually(lambda: (0, 4) in other.seqs)
    assert (0, 4) not in mine.seqs


async def test_a_shard_that_comes_back_while_it_is_being_left_is_never_consumed_twice_at_once(
    address: NatsAddress,
):
    held: set[int] = {0}
    seen = Seen()
    seen.may_go_on.clear()
    async with opened(address, lambda: held) as bus, consuming(bus, seen):
        await publish(bus, [delivery(1)])
        await eventually(lambda: seen.busy == {0})
        held.clear()
        await eventually(lambda: bus._running[0][0]._left)
        held.add(0)
        await publish(bus, [delivery(2)])
        assert seen.calls == 1
        seen.may_go_on.set()
        # At once, not when the server gives up waiting for us.
        await eventually(lambda: seen.seqs == [(0, 1), (0, 2)], within_s=10)


async def test_it_ends_whenever_it_is_canceled(address: NatsAddress):
    """Also while it binds, when a cancellation may meet the server's answer."""
    async with opened(address) as bus:
        await published(bus, [delivery(1)])
        for steps in range(0, 60, 3):
            async with consuming(bus, Seen()):
                for _ in range(steps):
                    await asyncio.sleep(0)
