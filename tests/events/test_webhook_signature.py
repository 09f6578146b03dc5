"""Signatures, verified as receivers do: with the official library, and by the documents alone."""

import base64
import hashlib
import hmac
import json

import pytest
from billing.webhook.v1 import webhook_service_pb2 as rpc
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from tests.support.receiver import Received
from tests.support.webhook import Webhooks, webhooks

__all__ = ["webhooks"]


def verified_by_the_specification(secret: str, received: Received) -> bool:
    """Standard Webhooks: `v1,` and base64 of HMAC-SHA256 over `id.timestamp.payload`, one of a list with
    spaces between; the key is base64 after `whsec_`."""
    key = base64.b64decode(secret[len("whsec_") :], validate=True)
    assert 24 <= len(key) <= 64
    signed = (
        received.headers["webhook-id"].encode()
        + b"."
        + received.headers["webhook-timestamp"].encode()
        + b"."
        + received.body
    )
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    signatures = [one.split(",", 1) for one in received.headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(text, expected) for version, text in signatures)


def verified_by_the_platforms_own(secret: str, received: Received) -> bool:
    """`sbwh_sig=v1:` and hex of HMAC-SHA256 over the body, one of a list with commas between; the
    key is the whole secret."""
    expected = "sbwh_sig=v1:" + hmac.new(secret.encode(), received.body, hashlib.sha256).hexdigest()
    return any(hmac.compare_digest(one, expected) for one in received.headers["X-Signature"].split(","))


def verified_by(secret: str, received: Received) -> bool:
    """By all three alike."""
    verdicts = {
        verified_by_the_specification(secret, received),
        verified_by_the_platforms_own(secret, received),
        _by_library(secret, received),
    }
    assert len(verdicts) == 1
    return verdicts.pop()


def _by_library(secret: str, received: Received) -> bool:
    try:
        event = Verifier(secret).verify(received.body, dict(received.headers))
    except WebhookVerificationError:
        return False
    return bool(event == json.loads(received.body))


async def rotate(webhooks: Webhooks, webhook_id: str, overlap_s: int | None = None) -> str:
    request = rpc.RotateWebhookSecretRequest(webhook_id=webhook_id, overlap_seconds=overlap_s)
    secret: str = (await webhooks.call(webhooks.service.rotate_webhook_secret, request)).secret
    return secret


async def one_more(webhooks: Webhooks) -> Received:
    await webhooks.happen(f"r{len(webhooks.receiver.received)}")
    await webhooks.worker.run_once()
    return webhooks.receiver.received[-1]


async def test_both_signatures_verify_with_the_secret_and_with_no_other(webhooks: Webhooks) -> None:
    created, other = await webhooks.endpoint(), await webhooks.endpoint("nothing.at.all")
    received = await one_more(webhooks)
    assert verified_by(created.secret, received)
    assert not verified_by(other.secret, received)


async def test_a_changed_body_verifies_no_more(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    received = await one_more(webhooks)
    changed = Received(received.path, received.headers, received.body.replace(b"thing", b"thinG"))
    assert not verified_by(created.secret, changed)


async def test_every_try_is_signed_anew_at_its_own_time_over_the_same_bytes(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    webhooks.receiver.status = 500
    first = await one_more(webhooks)
    webhooks.events.clock.advance(seconds=10)
    await webhooks.worker.run_once()
    second = webhooks.receiver.received[-1]
    assert second.body == first.body
    assert second.event_id == first.event_id
    assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 10
    assert verified_by(created.secret, first)
    assert verified_by(created.secret, second)


async def test_a_rotated_secret_and_its_predecessor_both_verify_until_the_overlap_ends(
    webhooks: Webhooks,
) -> None:
    created = await webhooks.endpoint()
    secret = await rotate(webhooks, created.webhook.id, overlap_s=60)
    during = await one_more(webhooks)
    assert verified_by(created.secret, during)
    assert verified_by(secret, during)

    webhooks.events.clock.advance(seconds=59)
    assert verified_by_the_specification(created.secret, await one_more(webhooks))
    webhooks.events.clock.advance(seconds=1)
    after = await one_more(webhooks)
    assert verified_by_the_specification(secret, after)
    assert not verified_by_the_specification(created.secret, after)
    assert not verified_by_the_platforms_own(created.secret, after)


async def test_a_leaked_secret_can_be_ended_at_once(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    secret = await rotate(webhooks, created.webhook.id, overlap_s=0)
    received = await one_more(webhooks)
    assert verified_by(secret, received)
    assert not verified_by(created.secret, received)


async def test_a_secret_overlaps_for_a_day_unless_said_otherwise(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    await rotate(webhooks, created.webhook.id)
    found = await webhooks.call(
        webhooks.service.get_webhook, rpc.GetWebhookRequest(webhook_id=created.webhook.id)
    )
    expires = found.webhook.previous_secret_expires_at.seconds
    assert expires == int(webhooks.events.clock.now().timestamp()) + 86_400


async def test_two_rotations_within_an_overlap_leave_the_last_two_secrets(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    second = await rotate(webhooks, created.webhook.id)
    third = await rotate(webhooks, created.webhook.id)
    received = await one_more(webhooks)
    verdicts = [verified_by(secret, received) for secret in (created.secret, second, third)]
    assert verdicts == [False, True, True]


async def test_rotated_secrets_are_kept_nowhere_in_the_clear(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    secret = await rotate(webhooks, created.webhook.id)
    (row,) = await webhooks.events.database.admin(
        "SELECT secret_ciphertext, previous_secret_ciphertext FROM webhooks"
    )
    for ciphertext in row.values():
        assert ciphertext[:1] == b"\x01"
        for plain in (created.secret, secret):
            assert plain.removeprefix("whsec_").encode() not in ciphertext
            assert base64.b64decode(plain.removeprefix("whsec_")) not in ciphertext


async def test_a_deleted_endpoints_secrets_are_all_erased(webhooks: Webhooks) -> None:
    created = await webhooks.endpoint()
    await rotate(webhooks, created.webhook.id)
    await webhooks.call(
        webhooks.service.delete_webhook, rpc.DeleteWebhookRequest(webhook_id=created.webhook.id)
    )
    (row,) = await webhooks.events.database.admin(
        "SELECT secret_ciphertext, previous_secret_ciphertext FROM webhooks"
    )
    assert tuple(row) == (b"", None)


def test_the_specifications_own_example_verifies() -> None:
    """From its text: the secret, the message, and the signature they must lead to."""
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    signed = b'msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330.{"test": 2432232314}'
    digest = hmac.new(base64.b64decode(secret[len("whsec_") :]), signed, hashlib.sha256).digest()
    assert base64.b64encode(digest) == b"g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("bad", ["whsec_", "plain"])
def test_the_test_itself_can_tell_a_wrong_key(bad: str) -> None:
    with pytest.raises((AssertionError, ValueError)):
        verified_by_the_specification(bad, Received("/", {"webhook-id": "a"}, b""))  # type: ignore[arg-type]
