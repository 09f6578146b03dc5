"""Tenants choose where we connect to; none of them gets behind the platform."""

import asyncio
import random
import socket
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.client_exceptions import ClientError, InvalidURL

from corebilling.domains.webhook.model import Answer, WebhookPolicy
from corebilling.domains.webhook.sender import WebhookSender
from tests.support.clock import FakeClock
from tests.support.hostile import hostile_address, hostile_urls

URLS = 10_000
SEED = 20_260_301
PUBLIC = "93.184.215.14"
POLICY = WebhookPolicy(http_timeout_s=5)


@dataclass
class Names(AbstractResolver):
    """An attacker's name server: the address it gives may be another each time."""

    answer: Callable[[], list[str]]
    asked: list[str] = field(default_factory=list)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.answer()
        ]

    async def close(self) -> None: ...


@pytest.fixture
async def connects(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses that a socket was to be connected to. None is: the network refuses."""
    attempted: list[str] = []

    async def refuse(sock: socket.socket, address: Any) -> NoReturn:
        attempted.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(asyncio.get_running_loop(), "sock_connect", refuse)
    return attempted


async def test_ten_thousand_hostile_urls_lead_to_no_connection(connects: list[str]) -> None:
    choice = random.Random(SEED)
    names = Names(lambda: [hostile_address(choice) for _ in range(choice.choice((1, 1, 3)))])
    errors: Counter[str] = Counter()
    async with WebhookSender.open(POLICY, FakeClock(), names) as sender:
        for url in hostile_urls(URLS, SEED):
            answer = await sender.post(url, {}, b"{}")
            assert answer.status_code == 0, url
            errors[answer.error.partition(":")[0]] += 1
    assert connects == []
    # Both walls were leant against: the URL's own form, and the address that a name stands for.
    assert errors.keys() == {"The URL is refused", "the host's address is not public"}
    assert min(errors.values()) > 1000
    assert len(names.asked) > 500


async def test_the_socket_refuses_even_what_nobody_looked_at_before(connects: list[str]) -> None:
    """Without the check of the URL's form: what is left for the resolver and the socket to find out."""
    choice = random.Random(SEED)
    names = Names(lambda: [hostile_address(choice)])
    sent = 0
    async with WebhookSender.open(POLICY, FakeClock(), names) as sender:
        for url in hostile_urls(URLS // 5, SEED + 1):
            try:
                async with sender._session.post(url, allow_redirects=False):
                    raise AssertionError(f"answered: {url}")
            except InvalidURL:
                continue
            except (ClientError, ValueError, OSError):
                sent += 1
    assert connects == []
    assert sent > 500


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "fe80::1"],
)
async def test_a_name_is_not_believed(address: str, connects: list[str]) -> None:
    async with WebhookSender.open(POLICY, FakeClock(), Names(lambda: [address])) as sender:
        answer = await sender.post("https://hooks.example.com/", {}, b"")
    assert answer == Answer(0, "the host's address is not public")
    assert connects == []


async def test_a_name_that_is_public_at_first_and_private_then_gains_nothing(connects: list[str]) -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"], [PUBLIC], ["169.254.169.254"], ["::ffff:10.0.0.1"]])
    names = Names(lambda: next(answers))
    async with WebhookSender.open(POLICY, FakeClock(), names) as sender:
        for _ in range(5):
            await sender.post("https://rebinding.example.com/", {}, b"")
            # As after the few seconds for which an answer is believed.
            sender._session.connector.clear_dns_cache()  # type: ignore[union-attr]
    assert len(names.asked) == 5
    assert connects == [PUBLIC, PUBLIC]


async def test_of_a_names_addresses_only_public_ones_are_connected_to(connects: list[str]) -> None:
    names = Names(lambda: ["127.0.0.1", PUBLIC, "::1", "10.0.0.1"])
    async with WebhookSender.open(POLICY, FakeClock(), names) as sender:
        await sender.post("https://many.example.com/", {}, b"")
    assert set(connects) == {PUBLIC}


async def test_public_addresses_are_connected_to(connects: list[str]) -> None:
    """So that the tests above could fail."""
    async with WebhookSender.open(POLICY, FakeClock(), Names(lambda: [PUBLIC])) as sender:
        for url in ("https://hooks.example.com/", f"https://{PUBLIC}/", "https://[2606:4700::1111]:8443/"):
            await sender.post(url, {}, b"")
    assert connects == [PUBLIC, PUBLIC, "2606:4700::1111"]
