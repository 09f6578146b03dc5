"""Events handled again: which ones, once however often asked, and nothing done twice."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc
import pytest
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.event.v1 import event_pb2, event_service_pb2
from billing.event.v1.event_service_pb2_grpc import EventServiceStub
from billing.replay.v1 import replay_pb2 as pb
from billing.replay.v1.replay_service_pb2_grpc import ReplayServiceStub
from billing.schedule.v1 import schedule_service_pb2
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub

from corebilling.domains.replay import selection, servicer
from corebilling.mapping import instant, timestamp
from corebilling.values.ids import new_id
from tests.rpc.test_dead_letters import dead_letters
from tests.rpc.test_watch_events import publish
from tests.support.app import refused
from tests.support.catalog import metered_price, new_meter, new_price, new_product, subscribe
from tests.support.platform import Platform
from tests.support.replay import PATIENCE_S, counts, follow, replay, replaying, working
from tests.support.reporting import use

WEBHOOK = "webhook.on_any_event"
TRIES = 10
KEPT_OF_REPLAYS = {"audit_entries", "event_batches", "event_replays", "replays"}
CURSORS = {"event_watermarks", "outbox_shards", "router_shards", "workers"}


async def endpoint(platform: Platform, *filters: str, key: str | None = None) -> None:
    await platform.stub(WebhookServiceStub, key=key).CreateWebhook(
        webhook_service_pb2.CreateWebhookRequest(
            request_id=new_id("req"), url="http://127.0.0.1:9/hook", filters=filters
        )
    )


async def billed_month(platform: Platform) -> None:
    """Usage, an invoice, and endpoints that get everything but what replays say."""
    await endpoint(platform, "customer.*", "subscription.*", "usage.*", "rating.*", "invoice.*", "ledger.*")
    meter = await new_meter(platform)
    product = await new_product(platform)
    tokens = await metered_price(platform, product.id, meter.id)
    subscription = await subscribe(platform, await new_price(platform, product.id, "fee"), tokens)
    for day in range(3):
        platform.clock.advance(days=1)
        await use(platform, subscription.id, 5, key=f"key-{day}")
        await platform.drain()
    await platform.pass_time(days=40)


async def contents(platform: Platform, but: set[str]) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    tables = await platform.rows(
        "SELECT relname FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
    )
    names = sorted({row["relname"] for row in tables} - but)
    return {
        name: sorted(row["line"] for row in await platform.rows(f"SELECT t::text AS line FROM {name} t"))
        for name in names
    }


async def shipped(platform: Platform, count: int = 1, **options: Any) -> list[str]:
    """The ids of so many events of the tenant's own, handled."""
    ids = [(await publish(platform, f"o-{number}", **options)).id for number in range(count)]
    await platform.drain()
    return ids


async def deliveries(platform: Platform) -> list[str]:
    """The events that have one, oldest first."""
    rows = await platform.rows("SELECT event_id FROM webhook_deliveries ORDER BY event_id")
    return [row["event_id"] for row in rows]


async def get(platform: Platform, event_id: str) -> event_service_pb2.GetEventResponse:
    answer: event_service_pb2.GetEventResponse = await platform.stub(EventServiceStub).GetEvent(
        event_service_pb2.GetEventRequest(event_id=event_id)
    )
    return answer


async def break_handler(platform: Platform, subject: str = "order.shipped") -> None:
    await endpoint(platform, "order.*")
    await platform.rows(
        "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$"
    )
    await platform.rows(
        "CREATE TRIGGER fail BEFORE INSERT ON webhook_deliveries FOR EACH ROW "
        f"WHEN (NEW.subject = '{subject}') EXECUTE FUNCTION fail()"
    )


def stream_of(platform: Platform) -> Any:
    return platform.stub(ReplayServiceStub)


async def give_up(platform: Platform) -> None:
    """Lets all tries pass."""
    for _ in range(TRIES + 1):
        await platform.pass_time(minutes=6)


async def test_replaying_a_whole_month_changes_nothing_but_what_is_kept_of_replays(platform: Platform):
    await billed_month(platform)
    # Of a key, its last use is noted.
    unchanging = KEPT_OF_REPLAYS | CURSORS | {"billing_events", "api_keys"}
    before, log = (
        await contents(platform, unchanging),
        await contents(platform, unchanging - {"billing_events"}),
    )
    done = await replay(platform, subject="*")
    assert done.state == pb.REPLAY_STATE_FINISHED
    (matched,) = await platform.rows(
        "SELECT count(*) FROM billing_events WHERE tenant_id = $1 AND subject <> 'billing.replay.finished'",
        platform.tenant_id,
    )
    # Every event has the webhook handler; usage.reported (3) has two others, the cycle's, the rating's and
    # the invoice's have another one each.
    runs = matched[0] + 3 * 2 + 3
    assert counts(done) == {"matched": matched[0], "enqueued": runs, "done": runs}
    assert await contents(platform, unchanging) == before
    now = await contents(platform, unchanging - {"billing_events"})
    (added,) = set(now["billing_events"]) - set(log["billing_events"])
    assert len(now["billing_events"]) == len(log["billing_events"]) + 1
    assert "billing.replay.finished" in added
    assert "event_handler_failures" in before
    assert before["event_handler_failures"] == []


async def test_when_an_event_was_handled_is_told_as_before_a_replay(platform: Platform):
    (event_id,) = await shipped(platform, 1)
    before = (await get(platform, event_id)).handlers
    assert before[0].HasField("handled_at")
    platform.clock.advance(minutes=5)
    await replay(platform, ids=[event_id])
    assert (await get(platform, event_id)).handlers == before


async def test_its_end_is_an_event_and_audited_with_its_reason(platform: Platform):
    await shipped(platform, 2)
    done = await replay(platform, subject="order.*", request_id="r-1", reason="prices were wrong")
    (finished,) = await platform.events("billing.replay.finished")
    assert (finished.replay_id, finished.matched, finished.done) == (done.id, 2, 2)
    audit = await platform.rows(
        "SELECT action, actor, reason FROM audit_entries WHERE request_id = 'r-1' ORDER BY id"
    )
    assert [row["action"] for row in audit] == [
        "billing.replay.v1.ReplayService/Replay",
        "billing.replay.finished",
    ]
    assert {(row["actor"], row["reason"]) for row in audit} == {(done.actor, "prices were wrong")}
    assert done.actor.startswith("key_")


async def test_a_replay_brings_old_events_to_an_endpoint_that_came_later(platform: Platform):
    ids = await shipped(platform, 2)
    await endpoint(platform, "order.*")
    await replay(platform, subject="order.shipped")
    assert await deliveries(platform) == sorted(ids)


async def test_a_dead_letter_is_handled_at_last_and_its_key_goes_on_meanwhile(platform: Platform):
    await break_handler(platform)
    (event_id,) = await shipped(platform)
    await give_up(platform)
    assert len(await dead_letters(platform)) == 1
    await platform.rows("DROP TRIGGER fail ON webhook_deliveries")
    done = await replay(platform, ids=[event_id], handlers=[WEBHOOK])
    assert counts(done) == {"matched": 1, "enqueued": 1, "done": 1}
    assert await deliveries(platform) == [event_id]
    assert await dead_letters(platform) == []


async def test_a_follow_up_that_a_dead_letter_never_had_is_appended_once(platform: Platform):
    await billed_month(platform)
    (reported,) = await platform.rows(
        "SELECT id FROM billing_events WHERE subject = 'usage.reported' ORDER BY seq LIMIT 1"
    )
    await platform.rows("DELETE FROM billing_events WHERE causation_id = $1", reported["id"])
    for _ in range(2):
        await replay(platform, ids=[reported["id"]])
    rows = await platform.rows(
        "SELECT subject, correlation_id FROM billing_events WHERE causation_id = $1", reported["id"]
    )
    assert [row["subject"] for row in rows] == ["usage.rated"]


async def test_what_is_on_its_way_is_skipped_and_counted(platform: Platform):
    handled = await shipped(platform)
    await publish(platform, "o-new")
    request = replaying(subject="order.*")
    stream = stream_of(platform).Replay(request)
    async with asyncio.timeout(PATIENCE_S):
        while (response := await stream.read()).replay.progress.enqueued == 0:
            pass
        stream.cancel()
    assert counts(response.replay) == {
        "matched": 2,
        "enqueued": 1,
        "skipped": 1,
        "skipped_on_the_way": 1,
    }
    assert (await get(platform, handled[0])).handlers[0].state == event_service_pb2.HANDLER_STATE_REPLAYING
    async with working(platform):
        last = (await follow(platform, request))[-1].replay
    assert (last.state, last.progress.done, last.progress.skipped) == (pb.REPLAY_STATE_FINISHED, 1, 1)


async def test_what_is_retried_or_discarded_is_left_alone(platform: Platform):
    await break_handler(platform)
    failed, discarded = await shipped(platform, 2)
    await platform.rows(
        "UPDATE event_handler_failures SET state = 'discarded' WHERE event_id = $1", discarded
    )
    done = await replay(platform, subject="order.*")
    assert counts(done) == {"matched": 2, "skipped": 2, "skipped_retrying": 1, "skipped_discarded": 1}
    (row,) = await platform.rows("SELECT * FROM event_handler_failures WHERE event_id = $1", failed)
    assert (row["replay_id"], row["attempts"]) == ("", 1)


async def test_what_fails_again_ends_as_a_dead_letter_and_the_replay_with_it(platform: Platform):
    ids = await shipped(platform, 2)
    await publish(platform, "p", subject="order.placed")
    await platform.drain()
    await break_handler(platform, "order.placed")
    async with working(platform, minutes=1):
        last = (await follow(platform, replaying(subject="order.*")))[-1].replay
    assert counts(last) == {"matched": 3, "enqueued": 3, "done": 2, "failed": 1}
    assert last.state == pb.REPLAY_STATE_FINISHED
    (letter,) = await dead_letters(platform)
    assert (letter.subject, letter.attempts) == ("order.placed", TRIES)
    assert await deliveries(platform) == sorted(ids)


async def test_a_dead_letter_that_another_replay_takes_over_counts_as_failed(platform: Platform):
    ids = [await publish(platform, f"o-{number}") for number in range(2)]
    await platform.drain()
    await break_handler(platform)
    request = replaying(ids=[event.id for event in ids], handlers=[WEBHOOK], max_events_per_second=1)
    stream = stream_of(platform).Replay(request)
    async with asyncio.timeout(PATIENCE_S):
        while (await stream.read()).replay.progress.enqueued == 0:
            pass
    stream.cancel()
    await give_up(platform)
    assert [letter.event_id for letter in await dead_letters(platform)] == [ids[0].id]

    # With the first underway, a second has its dead letter handled.
    await platform.rows("DROP TRIGGER fail ON webhook_deliveries")
    second = await replay(platform, ids=[ids[0].id], handlers=[WEBHOOK])
    assert counts(second) == {"matched": 1, "enqueued": 1, "done": 1}
    async with working(platform, seconds=1):
        first = (await follow(platform, request))[-1].replay
    assert counts(first) == {"matched": 2, "enqueued": 2, "done": 1, "failed": 1}
    # What is over stays as it was told.
    assert (await follow(platform, request))[-1].replay == first


async def test_a_dry_run_tells_what_and_who_and_changes_nothing(platform: Platform):
    await billed_month(platform)
    await publish(platform, "o-new")
    before = await contents(platform, set())
    responses = await follow(platform, replaying(subject="usage.*", dry_run=True, request_id="d"))
    assert responses[-1].replay.state == pb.REPLAY_STATE_DRY_RUN
    plans = {plan.subject: (plan.events, list(plan.handlers)) for plan in responses[-1].plans}
    assert plans == {
        "usage.billed": (1, [WEBHOOK]),
        "usage.rated": (3, [WEBHOOK]),
        "usage.reported": (3, ["rating.on_usage_reported", "quota.on_usage_reported", WEBHOOK]),
    }
    (waiting,) = (await follow(platform, replaying(subject="order.*", dry_run=True)))[-1].plans
    assert (waiting.events, waiting.on_the_way, waiting.dead_letters) == (1, 1, 0)
    assert await contents(platform, set()) == before


async def test_filters_hold_together(platform: Platform):
    first = await publish(platform, "o-1")
    platform.clock.advance(hours=1)
    await shipped(platform)
    second = await publish(platform, "o-2", subject="order.placed")
    await platform.drain()

    async def matched(**wanted: Any) -> int:
        return int((await follow(platform, replaying(dry_run=True, **wanted)))[-1].replay.progress.matched)

    start = instant(first.created_at)
    assert await matched(ids=[first.id, second.id]) == 2
    assert await matched(ids=[first.id, second.id], subject="order.placed") == 1
    assert await matched(subject="order.*") == 3
    assert await matched(subject="order.*", since=start, until=start + timedelta(minutes=1)) == 1
    assert await matched(subject="order.*", since=start + timedelta(minutes=1)) == 2
    assert await matched(correlation_id=second.metadata.correlation_id) == 1
    assert await matched(correlation_id=second.metadata.correlation_id, ids=[first.id]) == 0
    assert await matched(subject="order.*", handlers=["rating.on_usage_reported"]) == 0
    assert await matched(ids=["evt_unknown"]) == 0


async def test_a_long_log_is_looked_through_in_stretches(platform: Platform, monkeypatch: Any):
    monkeypatch.setattr(selection, "STRETCH_EVENTS", 7)
    ids = await shipped(platform, 1, subject="order.placed")
    ids += await shipped(platform, 40)
    ids += await shipped(platform, 1, subject="order.placed")
    await endpoint(platform, "order.*")
    async with working(platform, seconds=1):
        placed = (await follow(platform, replaying(subject="order.placed")))[-1].replay
        assert counts(placed) == {"matched": 2, "enqueued": 2, "done": 2}
        assert await deliveries(platform) == [ids[0], ids[-1]]
        both = (await follow(platform, replaying(subject="order.*")))[-1].replay
    assert counts(both)["done"] == 42


async def test_events_after_its_beginning_are_not_its_own(platform: Platform):
    await shipped(platform, 2)
    request = replaying(subject="*", max_events_per_second=4)
    stream = stream_of(platform).Replay(request)
    async with asyncio.timeout(PATIENCE_S):
        matched = (await stream.read()).replay.progress.matched
        while (response := await stream.read()).replay.state != pb.REPLAY_STATE_RUNNING:
            pass
        matched = response.replay.progress.matched
        stream.cancel()
    later = await shipped(platform, 3)
    async with working(platform, seconds=1):
        last = (await follow(platform, request))[-1].replay
    assert (last.state, last.progress.matched) == (pb.REPLAY_STATE_FINISHED, matched)
    assert not (await get(platform, later[0])).HasField("last_replayed_at")


async def test_whoever_comes_back_goes_on_where_it_stood(platform: Platform):
    ids = await shipped(platform, 6)
    await endpoint(platform, "order.*")
    request = replaying(subject="order.*", max_events_per_second=4)
    stream = stream_of(platform).Replay(request)
    async with asyncio.timeout(PATIENCE_S):
        while (await stream.read()).replay.progress.enqueued == 0:
            pass
    stream.cancel()
    (row,) = await platform.rows("SELECT enqueued, remaining, state FROM replays")
    assert dict(row) == {"enqueued": 1, "remaining": 5, "state": "running"}
    async with working(platform, seconds=0.1):
        last = (await follow(platform, request))[-1].replay
    assert counts(last) == {"matched": 6, "enqueued": 6, "done": 6}
    assert await deliveries(platform) == sorted(ids)
    assert len(await platform.rows("SELECT FROM replays")) == 1


async def test_a_finished_replay_tells_its_result_again_and_does_nothing(platform: Platform):
    await shipped(platform, 2)
    request = replaying(subject="order.*")
    async with working(platform):
        first = (await follow(platform, request))[-1]
    platform.clock.advance(hours=1)
    assert await follow(platform, request) == [first]
    assert len(await platform.events("billing.replay.finished")) == 1


async def test_the_same_request_id_with_another_filter_is_refused(platform: Platform):
    ids = await shipped(platform, 2)
    await replay(platform, ids=ids, request_id="r")
    # In another order it is the same.
    assert (await replay(platform, ids=ids[::-1], request_id="r")).state == pb.REPLAY_STATE_FINISHED
    others: list[dict[str, Any]] = [{"ids": ids[:1]}, {"ids": ids, "handlers": [WEBHOOK]}]
    for other in others:
        refusal = await refused(follow(platform, replaying(request_id="r", **other)))
        assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_ID_REUSED")
        assert refusal.facts == {"request_id": "r"}


async def test_twenty_calls_with_one_request_id_make_one_replay(platform: Platform):
    ids = await shipped(platform, 10)
    request = replaying(subject="order.*", max_events_per_second=20)
    async with working(platform, seconds=0.05):
        ended = await asyncio.gather(*(follow(platform, request) for _ in range(20)))
    assert {responses[-1].replay.progress.done for responses in ended} == {10}
    assert len({responses[-1].replay.id for responses in ended}) == 1
    (row,) = await platform.rows("SELECT enqueued, skipped_retrying FROM replays")
    assert dict(row) == {"enqueued": len(ids), "skipped_retrying": 0}
    assert len(await platform.events("billing.replay.finished")) == 1
    assert (
        len(await platform.rows("SELECT FROM audit_entries WHERE request_id = $1", request.request_id)) == 2
    )


async def test_its_rate_is_kept_however_many_follow_it(platform: Platform):
    await shipped(platform, 6)
    request = replaying(subject="order.*", max_events_per_second=4)
    streams = [stream_of(platform).Replay(request) for _ in range(3)]
    enqueued = []
    async with asyncio.timeout(PATIENCE_S):
        for expected in (1, 2, 3):
            while (response := await streams[0].read()).replay.progress.enqueued < expected:
                pass
            # Time for the others to break the rule.
            await asyncio.sleep(3 * servicer._POLL_S)
            (row,) = await platform.rows("SELECT enqueued FROM replays")
            enqueued.append(row["enqueued"])
            platform.clock.advance(seconds=0.25)
    for stream in streams:
        stream.cancel()
    assert response.replay.state == pb.REPLAY_STATE_RUNNING
    assert enqueued == [1, 2, 3]


async def test_no_more_is_put_in_than_the_router_can_see_to(platform: Platform, monkeypatch: Any):
    from corebilling.domains.replay import service

    monkeypatch.setattr(service, "MAX_WAITING_RUNS", 2)
    await shipped(platform, 6)
    request = replaying(subject="order.*", max_events_per_second=4)
    stream = stream_of(platform).Replay(request)
    async with asyncio.timeout(PATIENCE_S):
        while (await stream.read()).replay.progress.enqueued < 2:
            platform.clock.advance(seconds=1)
        platform.clock.advance(seconds=10)
        await asyncio.sleep(3 * servicer._POLL_S)
    stream.cancel()
    (row,) = await platform.rows("SELECT enqueued FROM replays")
    assert row["enqueued"] == 2


async def test_an_event_tells_when_it_was_last_replayed(platform: Platform):
    (event_id,) = await shipped(platform)
    assert not (await get(platform, event_id)).HasField("last_replayed_at")
    platform.clock.advance(hours=1)
    await replay(platform, ids=[event_id])
    answer = await get(platform, event_id)
    assert instant(answer.last_replayed_at) == platform.clock.now()
    assert answer.state == event_pb2.EVENT_STATE_DISPATCHED
    assert [outcome.state for outcome in answer.handlers] == [event_service_pb2.HANDLER_STATE_HANDLED]


async def test_another_tenants_events_are_out_of_reach(platform: Platform):
    ids = await shipped(platform, 2)
    _, other = await platform.new_tenant("other")
    async with working(platform):
        last = (await follow(platform, replaying(ids=ids), key=other))[-1].replay
    assert (last.state, counts(last)) == (pb.REPLAY_STATE_FINISHED, {})
    # Their request ids are their own too.
    request = replaying(ids=ids, request_id="mine")
    async with working(platform):
        await follow(platform, replaying(subject="order.*", request_id="mine"), key=other)
        assert counts((await follow(platform, request))[-1].replay)["done"] == 2
    assert await platform.rows("SELECT FROM event_replays WHERE tenant_id <> $1", platform.tenant_id) == []


async def new_key(platform: Platform, role: Any) -> str:
    answer = await platform.stub(AccessServiceStub).CreateApiKey(
        access_service_pb2.CreateApiKeyRequest(request_id=new_id("req"), name="k", role=role)
    )
    return str(answer.secret)


async def test_operators_may_replay_and_viewers_not(platform: Platform):
    await shipped(platform)
    operator = await new_key(platform, api_key_pb2.ROLE_OPERATOR)
    assert (await replay(platform, subject="order.*", key=operator)).progress.done == 1
    viewer = await new_key(platform, api_key_pb2.ROLE_VIEWER)
    refusal = await refused(follow(platform, replaying(subject="order.*"), key=viewer))
    assert (refusal.code, refusal.reason) == ("PERMISSION_DENIED", "PERMISSION_MISSING")
    assert refusal.facts == {"permission": "event.replay"}


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({}, "REPLAY_FILTER_EMPTY"),
        ({"subject": "*", "handlers": ["nobody"]}, "REPLAY_HANDLER_UNKNOWN"),
        ({"subject": "Order"}, "REQUEST_INVALID"),
        ({"subject": "*", "reason": ""}, "REQUEST_INVALID"),
        ({"subject": "*", "max_events_per_second": 1001}, "REQUEST_INVALID"),
        ({"ids": [f"evt_{number}" for number in range(501)]}, "REQUEST_INVALID"),
    ],
)
async def test_a_replay_that_makes_no_sense_is_refused(
    platform: Platform, wanted: dict[str, Any], reason: str
):
    refusal = await refused(follow(platform, replaying(**wanted)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", reason)
    assert await platform.rows("SELECT FROM replays") == []


async def test_times_with_nothing_between_them_are_refused(platform: Platform):
    now = platform.clock.now()
    refusal = await refused(follow(platform, replaying(since=now, until=now)))
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "REQUEST_INVALID")


async def test_a_tenant_follows_so_many_replays_at_once(platform: Platform, monkeypatch: Any):
    monkeypatch.setattr(servicer, "STREAMS_PER_TENANT", 1)
    await shipped(platform)
    first = stream_of(platform).Replay(replaying(subject="order.*"))
    await first.read()
    refusal = await refused(follow(platform, replaying(subject="order.*")))
    assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "REPLAY_LIMIT_REACHED")
    first.cancel()
    async with asyncio.timeout(PATIENCE_S), working(platform):
        while True:
            try:
                await follow(platform, replaying(subject="order.*"))
                break
            except grpc.aio.AioRpcError:  # The server has yet to notice that the first is gone.
                await asyncio.sleep(0.01)


async def test_a_test_clock_waits_for_the_replays_of_its_tenant(platform: Platform):
    start = platform.clock.now()
    platform.tenant_id, platform.tenant_key = await platform.new_tenant("sandbox", clock_time=start)
    await shipped(platform)
    stream = stream_of(platform).Replay(replaying(subject="order.*"))
    async with asyncio.timeout(PATIENCE_S):
        while (await stream.read()).replay.progress.enqueued == 0:
            pass
    stream.cancel()
    await platform.stub(ScheduleServiceStub).AdvanceTestClock(
        schedule_service_pb2.AdvanceTestClockRequest(
            request_id="a", target_at=timestamp(start + timedelta(days=1))
        )
    )
    await platform.app.dispatcher.run_once()
    assert await platform.app.scheduler.run_once() == 0
    assert await platform.app.router.retry_due() == 1
    assert await platform.app.scheduler.run_once() == 1
