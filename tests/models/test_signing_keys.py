"""What an issuer publishes as keys, and who waits for it."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from structlog.testing import capture_logs

from corebilling.errors import Unavailable
from corebilling.rpc.signing_keys import KeysUnreadable, PublishedKeys, parse_keys
from tests.support.clock import FakeClock
from tests.support.issuer import public_set


class Issuer:
    """Publishes keys of the names given; answers when it is let."""

    def __init__(self, *names: str) -> None:
        self.clock = FakeClock()
        self.answering = asyncio.Event()
        self.answering.set()
        self.away = False
        self.asked = 0
        self.publish(*names)
        self.keys = PublishedKeys(self._read, "idp", "EdDSA", self.clock)

    def publish(self, *names: str) -> None:
        self._published = public_set({name: ed25519.Ed25519PrivateKey.generate() for name in names})

    async def _read(self) -> bytes:
        self.asked += 1
        await self.answering.wait()
        if self.away:
            raise OSError("away")
        return self._published


async def begun(*callers: asyncio.Task[Any]) -> None:
    """Lets them run until each of them waits."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not any(one.done() for one in callers)


async def test_callers_who_lack_a_key_wait_for_one_reading() -> None:
    issuer = Issuer("one")
    issuer.answering.clear()
    callers = [asyncio.create_task(issuer.keys.find("one")) for _ in range(3)]
    await begun(*callers)
    issuer.answering.set()
    assert [len(found) for found in await asyncio.gather(*callers)] == [1, 1, 1]
    assert issuer.asked == 1

    issuer.publish("one", "two")
    issuer.answering.clear()
    issuer.clock.advance(seconds=31)
    callers = [asyncio.create_task(issuer.keys.find("two")) for _ in range(3)]
    await begun(*callers)
    # Whose key is known does not wait, were it as old as may be.
    issuer.clock.advance(minutes=10)
    assert len(await issuer.keys.find("one")) == 1
    issuer.answering.set()
    assert [len(found) for found in await asyncio.gather(*callers)] == [1, 1, 1]
    assert issuer.asked == 2


async def test_new_key_is_found_at_once_whatever_names_were_invented_before() -> None:
    issuer = Issuer("one")
    await issuer.keys.find("one")
    for _ in range(3):
        assert not await issuer.keys.find("invented")
    assert issuer.asked == 2, "each name asks once"
    issuer.publish("one", "two")
    assert len(await issuer.keys.find("two")) == 1
    assert issuer.asked == 3


async def test_new_key_waits_half_a_minute_at_most_while_names_are_invented() -> None:
    issuer = Issuer("one")
    await issuer.keys.find("one")
    for number in range(1000):
        assert not await issuer.keys.find(f"invented-{number}")
    assert issuer.asked == 8
    issuer.publish("one", "two")
    assert not await issuer.keys.find("two")
    issuer.clock.advance(seconds=30)
    # Whoever is first asks for all.
    for number in range(1000):
        assert not await issuer.keys.find(f"again-{number}")
    assert issuer.asked == 16
    assert len(await issuer.keys.find("two")) == 1


async def test_issuer_that_fails_is_left_alone_whatever_names_are_invented() -> None:
    issuer = Issuer("one")
    await issuer.keys.find("one")
    issuer.away = True
    for number in range(10):
        assert not await issuer.keys.find(f"invented-{number}")
    assert issuer.asked == 2
    issuer.away = False
    issuer.publish("one", "two")
    issuer.clock.advance(seconds=30)
    assert len(await issuer.keys.find("two")) == 1


async def test_caller_who_goes_takes_no_reading_along() -> None:
    issuer = Issuer("one")
    issuer.answering.clear()
    gone = asyncio.create_task(issuer.keys.find("one"))
    await begun(gone)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    issuer.answering.set()
    assert len(await issuer.keys.find("one")) == 1
    assert issuer.asked == 1


async def test_caller_who_goes_leaves_no_withdrawn_key_behind() -> None:
    issuer = Issuer("old")
    await issuer.keys.find("old")
    issuer.publish("new")
    issuer.answering.clear()
    issuer.clock.advance(minutes=11)
    gone = asyncio.create_task(issuer.keys.find("old"))
    await begun(gone)
    gone.cancel()
    issuer.answering.set()
    assert len(await issuer.keys.find("new")) == 1
    assert not await issuer.keys.find("old")


async def test_issuer_that_fails_is_asked_twice_a_minute() -> None:
    issuer = Issuer("one")
    issuer.away = True
    issuer.answering.clear()
    callers = [asyncio.create_task(issuer.keys.find("one")) for _ in range(3)]
    await begun(*callers)
    # The half minute counts from when it failed.
    issuer.clock.advance(seconds=20)
    issuer.answering.set()
    refusals = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(one) for one in refusals] == [Unavailable] * 3
    issuer.clock.advance(seconds=29)
    with pytest.raises(Unavailable):
        await issuer.keys.find("one")
    assert issuer.asked == 1
    issuer.away = False
    issuer.clock.advance(seconds=2)
    assert len(await issuer.keys.find("one")) == 1


def ec_key(curve: ec.EllipticCurve, **changed: Any) -> Mapping[str, Any]:
    public = ec.generate_private_key(curve).public_key()
    return {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(public)), **changed}


@pytest.mark.parametrize(
    "odd",
    [
        {"kid": "no-kty"},
        {"kty": "EC", "crv": "P-256", "kid": "no-numbers"},
        ec_key(ec.SECP384R1()),
        ec_key(ec.SECP256R1(), crv="P-1"),
        ec_key(ec.SECP256R1(), x=7),
        ec_key(ec.SECP256R1(), x="A" * 43),
        ec_key(ec.SECP256R1(), x="é"),
        "text",
        None,
        7,
        [],
    ],
)
def test_odd_key_harms_no_other(odd: Any) -> None:
    good = ec_key(ec.SECP256R1(), kid="good")
    with capture_logs() as logs:
        keys = parse_keys(json.dumps({"keys": [odd, good]}).encode(), "idp", "ES256")
    assert [one.key_id for one in keys] == ["good"]
    (log,) = logs
    assert {name: log[name] for name in ("log_level", "source", "position")} == {
        "log_level": "warning",
        "source": "idp",
        "position": 0,
    }
    if isinstance(odd, dict):
        assert not any(str(number) in str(log) for number in (odd.get("x"), odd.get("y")) if number)


def test_keys_for_something_else_are_left_out() -> None:
    others = [
        ec_key(ec.SECP256R1(), use="enc"),
        ec_key(ec.SECP384R1(), alg="ES384"),
        ec_key(ec.SECP256R1(), d="AAAA"),
        {"kty": "oct", "k": "AAAA"},
    ]
    with capture_logs() as logs:
        assert not parse_keys(json.dumps({"keys": others}).encode(), "idp", "ES256")
    assert not logs


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"[]", b"7", b"{}", b'{"keys": {}}', b'{"keys": "no"}', b"[" * 100_000]
)
def test_what_is_no_set_is_unreadable(data: bytes) -> None:
    with pytest.raises(KeysUnreadable):
        parse_keys(data, "idp", "ES256")
