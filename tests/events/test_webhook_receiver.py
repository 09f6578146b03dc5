"""Receivers that answer badly, or must not be reached at all."""

import socket
from dataclasses import dataclass

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from billing.webhook.v1 import webhook_pb2

from corebilling.domains.webhook.model import Answer, WebhookPolicy
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
        # Only the address that the name stands for gives it away.
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


@dataclass
class Names(AbstractResolver):
    """What an attacker's name server answers, differently each time."""

    answers: list[str]

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        address = self.answers.pop(0)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        return [
            ResolveResult(
                hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST
            )
        ]

    async def close(self) -> None: ...


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1"],
)
async def test_a_name_is_not_believed(address: str) -> None:
    async with WebhookSender.open(WebhookPolicy(http_timeout_s=5), FakeClock(), Names([address])) as sender:
        answer = await sender.post("https://hooks.example.com/", {}, b"")
    assert answer == Answer(0, "the host's address is not public")


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
