"""Dead letters: seen, shown, tried again and given up, at the bus and at handlers, by RPC and by command."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
from billing.event.v1 import event_admin_service_pb2 as rpc
from billing.event.v1 import event_pb2, event_service_pb2
from billing.event.v1.event_admin_service_pb2_grpc import EventAdminServiceStub
from billing.event.v1.event_service_pb2_grpc import EventServiceStub
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub
from google.protobuf.struct_pb2 import Struct

from corebilling.values.ids import new_id
from tests.rpc.test_webhook_operations import create, disable, exhaust
from tests.support.app import refused
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.receiver import running_receiver

HANDLER = "webhook.on_any_event"


TRIES = 3


@pytest.fixture
async def platform(database: TestDatabase) -> AsyncIterator[Platform]:
    """One that gives up soon."""
    async with running_platform(database, router_max_attempts=TRIES) as opened:
        yield opened


@pytest.fixture
async def broken(platform: Platform) -> Platform:
    """The platform with a handler that fails on every event of the subject `order.placed`."""
    await platform.stub(WebhookServiceStub).CreateWebhook(
        webhook_service_pb2.CreateWebhookRequest(
            request_id="w", url="http://127.0.0.1:9/hook", filters=["order.*"]
        )
    )
    await platform.rows(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no such luck'; END $$"
    )
    await platform.rows(
        "CREATE TRIGGER fail BEFORE INSERT ON webhook_deliveries FOR EACH ROW "
        "WHEN (NEW.subject = 'order.placed') EXECUTE FUNCTION fail()"
    )
    return platform


async def publish(platform: Platform, subject: str, resource_id: str, note: str = "") -> event_pb2.Event:
    data = Struct()
    data.update({"note": note})
    request = event_service_pb2.PublishEventRequest(
        request_id=new_id("req"), subject=subject, resource_id=resource_id, data=data
    )
    event: event_pb2.Event = (await platform.stub(EventServiceStub).PublishEvent(request)).event
    return event


async def give_up(platform: Platform) -> None:
    """Lets all tries pass."""
    for _ in range(TRIES + 1):
        await platform.drain()
        platform.clock.advance(minutes=6)


async def mend(platform: Platform) -> None:
    await platform.rows("DROP TRIGGER fail ON webhook_deliveries")


def admin(platform: Platform, key: str | None = None) -> Any:
    return platform.stub(EventAdminServiceStub, key=key)


async def dead_letters(platform: Platform, **request: Any) -> list[rpc.DeadLetter]:
    answer = await admin(platform).ListDeadLetters(rpc.ListDeadLettersRequest(**request))
    return list(answer.dead_letters)


async def retry(platform: Platform, **wanted: Any) -> int:
    request = rpc.RetryDeadLettersRequest(request_id=new_id("req"), filter=rpc.DeadLetterFilter(**wanted))
    retried: int = (await admin(platform).RetryDeadLetters(request)).retried
    return retried


async def discard(platform: Platform, reason: str, **wanted: Any) -> int:
    request = rpc.DiscardDeadLettersRequest(
        request_id=new_id("req"), filter=rpc.DeadLetterFilter(**wanted), reason=reason
    )
    discarded: int = (await admin(platform).DiscardDeadLetters(request)).discarded
    return discarded


async def handler_state(platform: Platform, event_id: str) -> tuple[Any, Any]:
    """Of the event, and of the broken handler."""
    answer = await platform.stub(EventServiceStub).GetEvent(
        event_service_pb2.GetEventRequest(event_id=event_id)
    )
    (outcome,) = [outcome for outcome in answer.handlers if outcome.handler == HANDLER]
    return answer.state, outcome.state


async def test_a_dead_letter_of_a_handler_says_who_gave_up_and_why(broken: Platform):
    event = await publish(broken, "order.placed", "o1")
    await publish(broken, "order.shipped", "o2")
    await give_up(broken)
    (letter,) = await dead_letters(broken)
    assert (letter.stage, letter.state) == (
        rpc.DEAD_LETTER_STAGE_HANDLER,
        rpc.DEAD_LETTER_STATE_DEAD_LETTER,
    )
    assert (letter.event_id, letter.handler, letter.subject) == (event.id, HANDLER, "order.placed")
    assert letter.attempts == TRIES
    assert "no such luck" in letter.error
    shown = await admin(broken).GetDeadLetter(rpc.GetDeadLetterRequest(event_id=event.id, handler=HANDLER))
    assert shown.dead_letter == letter
    assert shown.event.id == event.id


async def test_retrying_does_what_was_left_undone(broken: Platform):
    event = await publish(broken, "order.placed", "o1")
    await give_up(broken)
    await mend(broken)
    assert await retry(broken, handler=HANDLER) == 1
    await broken.drain()
    assert await dead_letters(broken) == []
    rows = await broken.rows("SELECT event_id FROM webhook_deliveries")
    assert [row["event_id"] for row in rows] == [event.id]
    assert await handler_state(broken, event.id) == (
        event_pb2.EVENT_STATE_DISPATCHED,
        event_service_pb2.HANDLER_STATE_HANDLED,
    )


async def test_what_still_fails_when_retried_is_tried_as_often_as_a_new_event(broken: Platform):
    await publish(broken, "order.placed", "o1")
    await give_up(broken)
    await retry(broken, stage=rpc.DEAD_LETTER_STAGE_HANDLER)
    await broken.drain()
    assert await dead_letters(broken) == []
    await give_up(broken)
    (letter,) = await dead_letters(broken)
    assert letter.attempts == TRIES


async def test_a_discarded_dead_letter_is_neither_tried_nor_taken_for_handled(broken: Platform):
    event = await publish(broken, "order.placed", "o1")
    await give_up(broken)
    assert await discard(broken, "a test order", event_ids=[event.id]) == 1
    assert await dead_letters(broken) == []
    (letter,) = await dead_letters(broken, discarded=True)
    assert letter.state == rpc.DEAD_LETTER_STATE_DISCARDED
    assert letter.discard_reason == "a test order"
    assert letter.discarded_by.startswith("key_")
    await mend(broken)
    assert await retry(broken, event_ids=[event.id]) == 0
    await give_up(broken)
    assert await broken.rows("SELECT FROM webhook_deliveries") == []
    _, handler = await handler_state(broken, event.id)
    assert handler == event_service_pb2.HANDLER_STATE_DISCARDED
    (audit,) = await broken.rows(
        "SELECT actor, reason FROM audit_entries WHERE action LIKE '%DiscardDeadLetters'"
    )
    assert (audit["actor"], audit["reason"]) == (letter.discarded_by, "a test order")


async def test_an_event_that_the_bus_refused_is_a_dead_letter_of_the_dispatch_stage(platform: Platform):
    platform.app.bus._max_event_bytes = 2000  # type: ignore[attr-defined] # a broker with a small limit
    event = await publish(platform, "order.placed", "o1", "x" * 3000)
    await platform.drain()
    (letter,) = await dead_letters(platform)
    assert (letter.stage, letter.handler) == (rpc.DEAD_LETTER_STAGE_DISPATCH, "")
    assert "larger than the bus takes" in letter.error
    assert await dead_letters(platform, filter=rpc.DeadLetterFilter(handler=HANDLER)) == []

    platform.app.bus._max_event_bytes = 1_000_000  # type: ignore[attr-defined]
    assert await retry(platform, stage=rpc.DEAD_LETTER_STAGE_DISPATCH, subject="order.*") == 1
    assert await platform.app.dispatcher.retry_due() == 1
    assert await dead_letters(platform) == []
    assert await platform.rows("SELECT FROM outbox_failures WHERE event_id = $1", event.id) == []


async def test_dead_letters_are_listed_page_by_page_newest_first(broken: Platform):
    published = [await publish(broken, "order.placed", f"o{number}") for number in range(5)]
    await give_up(broken)
    seen, token = [], ""
    for _ in range(3):
        answer = await admin(broken).ListDeadLetters(
            rpc.ListDeadLettersRequest(page_size=2, page_token=token)
        )
        seen += [letter.event_id for letter in answer.dead_letters]
        token = answer.next_page_token
    assert token == ""
    assert seen == [event.id for event in reversed(published)]


async def test_retrying_and_discarding_want_to_know_which(platform: Platform):
    refusal = await refused(retry(platform))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "DEAD_LETTER_FILTER_EMPTY")
    refusal = await refused(discard(platform, "no reason"))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "DEAD_LETTER_FILTER_EMPTY")
    refusal = await refused(discard(platform, "", subject="order.*"))
    assert refusal.code == "INVALID_ARGUMENT"


async def test_another_tenant_sees_and_moves_none_of_them(broken: Platform):
    event = await publish(broken, "order.placed", "o1")
    await give_up(broken)
    _, other = await broken.new_tenant("other")
    stub = admin(broken, other)
    assert not (await stub.ListDeadLetters(rpc.ListDeadLettersRequest())).dead_letters
    refusal = await refused(stub.GetDeadLetter(rpc.GetDeadLetterRequest(event_id=event.id, handler=HANDLER)))
    assert (refusal.code, refusal.reason) == ("NOT_FOUND", "DEAD_LETTER_NOT_FOUND")
    wanted = rpc.DeadLetterFilter(event_ids=[event.id])
    moved = await stub.RetryDeadLetters(rpc.RetryDeadLettersRequest(request_id="r", filter=wanted))
    assert moved.retried == 0
    assert len(await dead_letters(broken)) == 1


async def command(platform: Platform, *arguments: str, code: int = 0) -> str:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "corebilling", "dead-letters", *arguments),
        env={
            **os.environ,
            "COREBILLING_TARGET": platform.app.grpc_address,
            "COREBILLING_API_KEY": platform.tenant_key,
            "COLUMNS": "80",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == code, out.decode()
    return out.decode()


async def test_the_command_lists_shows_retries_and_discards(broken: Platform):
    first = await publish(broken, "order.placed", "o1")
    second = await publish(broken, "order.placed", "o2")
    assert "No dead letters" in await command(broken, "list")
    await give_up(broken)
    listed = await command(broken, "list")
    assert f"{first.id} order.placed  handler {HANDLER}\n" in listed
    assert f"Next: corebilling dead-letters show {second.id} --handler {HANDLER}\n" in listed
    lines = (await command(broken, "list", "--json")).splitlines()
    assert [json.loads(line)["event_id"] for line in lines] == [second.id, first.id]
    assert '"DEAD_LETTER_STATE_DEAD_LETTER"' in await command(broken, "show", first.id, "--handler", HANDLER)
    assert "1 discarded" in await command(broken, "discard", first.id, "--reason", "a test order")
    assert "a test order" in await command(broken, "list", "--discarded")
    await mend(broken)
    assert "1 tried again" in await command(broken, "retry", "--stage", "handler")
    await broken.drain()
    rows = await broken.rows("SELECT event_id FROM webhook_deliveries")
    assert [row["event_id"] for row in rows] == [second.id]
    assert "No dead letters" in await command(broken, "list")


async def test_the_command_works_on_what_endpoints_did_not_take(platform: Platform):
    async with running_receiver() as receiver:
        receiver.status = 500
        taking, disabled = [(await create(platform, receiver.url, "order.*")).webhook.id for _ in range(2)]
        for number in range(2):
            await publish(platform, "order.placed", f"o{number}")
        await platform.drain()
        await exhaust(platform, receiver)
        await disable(platform, disabled)
        listed = [json.loads(line) for line in (await command(platform, "list", "--json")).splitlines()]
        assert [one["delivery"]["webhook_id"] for one in listed].count(taking) == 2
        one = next(one["delivery"] for one in listed if one["delivery"]["webhook_id"] == taking)
        text = await command(platform, "list", "--stage", "webhook")
        assert f"{one['id']} order.placed  webhook {taking}  of {one['event_id']}\n" in text
        hint = text.partition("Next: corebilling dead-letters ")[2].splitlines()[0].split()
        assert '"attempts"' in await command(platform, *hint)
        shown = json.loads(await command(platform, "show", one["id"]))
        assert shown["attempts"][-1]["status_code"] == 500
        assert "next_attempt_at" not in shown["dead_letter"]["delivery"]
        of_event = await command(platform, "show", one["event_id"], "--stage", "webhook")
        assert (taking in of_event, disabled in of_event) == (True, True)
        assert "not among" in await command(platform, "show", "whd_nope", code=1)

        retried = await command(platform, "retry", "--stage", "webhook", code=1)
        assert "2 tried again" in retried
        assert "2 not tried again" in retried
        await platform.drain()
        left = await command(platform, "list")
        assert (taking in left, disabled in left) == (False, True)
        assert "0 discarded" in await command(
            platform, "discard", "--stage", "webhook", "--subject", "parcel.*", "--reason", "gone"
        )
        assert "2 discarded" in await command(platform, "discard", "--stage", "webhook", "--reason", "gone")
        assert "No dead letters" in await command(platform, "list")
        assert "discarded: gone" in await command(platform, "list", "--discarded")
