"""Receivers that answer badly, or must not be reached at all."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from ipaddress import IPv4Address
from typing import Any, cast

import pytest
from aiohttp import AsyncResolver
from billing.webhook.v1 import webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc

from corebilling.domains.webhook.model import WebhookPolicy
from corebilling.domains.webhook.sender import WebhookSender
from tests.support.clock import FakeClock
from tests.support.receiver import running_receiver
from tests.support.webhook import Webhooks, webhooks

__all__ = ["webhooks"]

DELIVERED = webhook_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED


async def test_a_redirect_is_not_followed(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    await webhooks.happen()
    async with running_receiver() as elsewhere:
        webhooks.receiver.status, webhooks.receiver.headers = 307, {"Location": elsewhere.url}
        await webhooks.worker.run_once()
        assert elsewhere.received == []
    assert await webhooks.attempts() == [(1, 307, "the receiver answered 307")]


async def test_a_receiver_that_asks_for_time_gets_it(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.status, webhooks.receiver.headers = 429, {"Retry-After": "90"}
    await webhooks.worker.run_once()
    webhooks.events.clock.advance(seconds=89)
    assert await webhooks.worker.run_once() == 0
    webhooks.events.clock.advance(seconds=1)
    assert await webhooks.worker.run_once() == 1


async def test_a_hanging_receiver_is_given_up_after_the_timeout(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.hang()
    async with webhooks.another_worker(WebhookPolicy(http_timeout_s=0.2, allow_private=True)) as worker:
        await worker.run_once()
    assert await webhooks.attempts() == [(1, 0, "the receiver did not answer in time")]


async def test_an_answer_that_comes_drop_by_drop_is_given_up_after_the_timeout(webhooks: Webhooks) -> None:
    async with dripping_server(b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 1000) as url:
        await webhooks.endpoint(url=url)
        await webhooks.happen()
        async with webhooks.another_worker(WebhookPolicy(http_timeout_s=0.3, allow_private=True)) as worker:
            await worker.run_once()
    assert await webhooks.attempts() == [(1, 0, "the receiver did not answer in time")]


async def test_a_body_that_comes_drop_by_drop_is_not_waited_for(webhooks: Webhooks) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    # All of it would take twenty seconds, which the timeout would permit.
    async with dripping_server(b"ok" * 500, head) as url:
        await webhooks.endpoint(url=url)
        await webhooks.happen()
        async with webhooks.another_worker(WebhookPolicy(http_timeout_s=60, allow_private=True)) as worker:
            await worker.run_once()
    assert (await webhooks.delivery()).state == DELIVERED
    (took,) = await webhooks.events.database.admin("SELECT duration_ms FROM webhook_delivery_attempts")
    assert took["duration_ms"] < 15_000


async def test_the_beginning_of_an_answer_is_kept_for_whoever_looks(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.status, webhooks.receiver.answer = 500, b"no \xff\x00 good " + b"x" * 5000
    await webhooks.worker.run_once()
    request = rpc.ListWebhookDeliveryAttemptsRequest(delivery_id=(await webhooks.delivery()).id)
    (attempt,) = (await webhooks.call(webhooks.log.list_webhook_delivery_attempts, request)).attempts
    assert attempt.response.startswith("no \ufffd\ufffd good xxx")
    assert len(attempt.response) == 1024
    assert attempt.status_code == 500


async def test_name_servers_that_are_silent_hold_up_nobody_else() -> None:
    """There are more such names than a process has threads to wait for the system's own function."""
    async with name_server({"good.example.com": "127.0.0.1"}) as port, running_receiver() as receiver:
        names = AsyncResolver(nameservers=["127.0.0.1"], udp_port=port, timeout=5.0, tries=1)
        policy = WebhookPolicy(http_timeout_s=5, allow_private=True)
        async with WebhookSender.open(policy, FakeClock(), names) as sender, asyncio.TaskGroup() as tasks:
            at = receiver.url.rpartition(":")[2]
            waiting = [
                tasks.create_task(sender.post(f"http://silent{number}.example.com:{at}", {}, b""))
                for number in range(100)
            ]
            await asyncio.sleep(0)
            answer = await sender.post(f"http://good.example.com:{at}", {}, b"")
            assert answer.status_code == 200
            assert not any(task.done() for task in waiting)
            for task in waiting:
                task.cancel()
        assert names._resolver is None, "queries that nobody waits for must end with the sender"


async def test_an_endless_answer_is_not_read(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.answer = b"x" * 50_000_000
    await webhooks.worker.run_once()
    assert (await webhooks.delivery()).state == DELIVERED


async def test_a_receiver_that_is_not_there_is_tried_again(webhooks: Webhooks) -> None:
    async with running_receiver() as stopped:
        await webhooks.endpoint(url=stopped.url)
    await webhooks.happen()
    await webhooks.worker.run_once()
    assert await webhooks.attempts() == [(1, 0, "no connection came about")]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("https://localhost/", "the host's address is not public"),
        ("https://localhost:8443/", "the host's address is not public"),
        ("https://127.0.0.1/", "The URL is refused: the address is not public."),
        ("http://localhost:{port}/", "The URL is refused: use https."),
    ],
)
async def test_outside_development_nothing_private_is_connected_to(
    webhooks: Webhooks, url: str, error: str
) -> None:
    port = webhooks.receiver.url.rpartition(":")[2].partition("/")[0]
    await webhooks.endpoint(url=url.format(port=port))
    await webhooks.happen()
    async with webhooks.another_worker(WebhookPolicy(http_timeout_s=5)) as worker:
        await worker.run_once()
    assert await webhooks.attempts() == [(1, 0, error)]
    assert webhooks.receiver.received == []


async def test_proxies_of_the_environment_are_not_used(
    webhooks: Webhooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_receiver() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        await webhooks.endpoint()
        await webhooks.happen()
        await webhooks.worker.run_once()
        assert (len(proxy.received), len(webhooks.receiver.received)) == (0, 1)


@asynccontextmanager
async def dripping_server(drops: bytes, head: bytes = b"") -> AsyncIterator[str]:
    """Sends the head at once, then a byte at a time for as long as somebody waits."""

    async def drip(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            writer.write(head)
            for drop in drops:
                writer.write(bytes([drop]))
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()

    server = await asyncio.start_server(drip, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


@asynccontextmanager
async def name_server(addresses: Mapping[str, str]) -> AsyncIterator[int]:
    """Answers for these names, with an IPv4 address; of all others it says nothing."""

    class Server(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.DatagramTransport", transport)

        def datagram_received(self, data: bytes, addr: Any) -> None:
            end = data.index(b"\0", 12)
            labels, at = [], 12
            while at < end:
                labels.append(data[at + 1 : at + 1 + data[at]].decode())
                at += 1 + data[at]
            address = addresses.get(".".join(labels))
            if address is None:
                return
            question, is_v4 = data[12 : end + 5], data[end + 1 : end + 3] == b"\0\x01"
            head = data[:2] + b"\x81\x80\0\x01" + (b"\0\x01" if is_v4 else b"\0\0") + b"\0\0\0\0"
            record = b"\xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04" + IPv4Address(address).packed
            self.transport.sendto(head + question + (record if is_v4 else b""), addr)

    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", 0))
    try:
        yield transport.get_extra_info("sockname")[1]
    finally:
        transport.close()
