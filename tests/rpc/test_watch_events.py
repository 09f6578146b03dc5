"""Events as they are committed, over a stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import asyncpg
import grpc
import pytest
from billing.access.v1 import access_service_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.event.v1 import event_service_pb2 as rpc
from billing.event.v1.event_service_pb2_grpc import EventServiceStub
from google.protobuf.struct_pb2 import Struct

from corebilling.client import Client
from corebilling.domains.event.model import resume_token
from corebilling.values.ids import new_id
from tests.support.app import refusal_of, refused
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase

PATIENCE_S = 20

COPIES = """
INSERT INTO billing_events (shard, id, subject, tenant_id, resource_id, resource_version, ordering_key,
    payload_type, payload, correlation_id, causation_id, actor, traceparent, created_at)
SELECT e.shard, e.id || '-' || n, e.subject, $2, n::text, n, e.ordering_key, e.payload_type,
    e.payload, e.correlation_id, '', e.actor, '', e.created_at
FROM billing_events e, generate_series(1, $3) n WHERE e.id = $1
"""
"""Events of another process: nobody here is woken by them."""

CUT_OFF = """
WITH closed AS (UPDATE pg_database SET datconnlimit = 0 WHERE datname = current_database() RETURNING datname)
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN closed c ON c.datname = a.datname
WHERE a.pid <> pg_backend_pid()
"""


class Stream:
    """A watch, read message by message. Opened, it stands at its first token."""

    def __init__(self, call: Any) -> None:
        self._call = call
        self.token = ""

    async def message(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            message = await self._call.read()
        if message:
            self.token = message.resume_token
        return message

    async def event(self) -> Any:
        while not (message := await self.message()).HasField("event"):
            pass
        return message.event

    async def events(self, count: int) -> list[str]:
        return [(await self.event()).resource_id for _ in range(count)]

    async def ends(self) -> bool:
        """Whether the server ends it well, once nothing is left to read."""
        async with asyncio.timeout(PATIENCE_S):
            while await self.message():
                pass
        return bool((await self._call.code()).name == "OK")


@asynccontextmanager
async def watching(platform: Platform, *, key: str | None = None, **request: Any) -> AsyncIterator[Stream]:
    call = platform.stub(EventServiceStub, key=key).WatchEvents(rpc.WatchEventsRequest(**request))
    stream = Stream(call)
    first = await stream.message()
    assert not first.HasField("event")
    try:
        yield stream
    finally:
        call.cancel()


async def publish(
    platform: Platform, resource_id: str, subject: str = "order.shipped", **options: Any
) -> Any:
    data = Struct()
    data.update(options.get("data", {}))
    request = rpc.PublishEventRequest(
        request_id=new_id("req"), subject=subject, resource_id=resource_id, data=data
    )
    stub = platform.stub(EventServiceStub, key=options.get("key"))
    return (await stub.PublishEvent(request, metadata=options.get("metadata"))).event


async def ended(stream: Stream) -> Any:
    """How the server refuses to go on."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        async with asyncio.timeout(PATIENCE_S):
            while await stream.message():
                pass
    return refusal_of(caught.value)


async def log(platform: Platform) -> list[str]:
    """The tenant's own events in the order of the log."""
    rows = await platform.rows(
        "SELECT resource_id FROM billing_events WHERE tenant_id = $1 AND subject LIKE 'order.%' "
        "ORDER BY epoch, xid, seq",
        platform.tenant_id,
    )
    return [row["resource_id"] for row in rows]


async def test_an_event_is_seen_as_soon_as_it_is_committed(platform: Platform):
    async with watching(platform) as stream:
        published = await publish(platform, "o-1", data={"parcels": 2})
        assert await stream.event() == published


async def test_what_this_process_commits_is_not_waited_for(database: TestDatabase):
    async with (
        running_platform(database, event_watch_poll_seconds=60) as platform,
        watching(platform) as stream,
    ):
        for number in range(3):
            await publish(platform, f"o-{number}")
            assert await stream.events(1) == [f"o-{number}"]


async def test_every_watch_sees_all_that_is_committed_at_once_in_the_order_of_the_log(platform: Platform):
    async with watching(platform) as first, watching(platform) as second:
        await asyncio.gather(*(publish(platform, f"o-{number}") for number in range(60)))
        seen = await asyncio.gather(first.events(60), second.events(60))
    assert seen[0] == seen[1] == await log(platform)


async def test_a_transaction_that_commits_late_is_not_passed_over(platform: Platform):
    model = await publish(platform, "model")
    late = await asyncpg.connect(platform.database.admin_url)
    try:
        async with watching(platform) as stream:
            transaction = late.transaction()
            await transaction.start()
            await late.execute(COPIES, model.id, platform.tenant_id, 1)
            await publish(platform, "o-2")
            await transaction.commit()
            assert await stream.events(2) == ["1", "o-2"]
    finally:
        await late.close()


async def test_events_of_other_processes_are_seen_too(platform: Platform):
    model = await publish(platform, "model")
    async with watching(platform) as stream:
        await platform.rows(COPIES, model.id, platform.tenant_id, 3)
        assert await stream.events(3) == ["1", "2", "3"]


async def test_who_comes_back_with_a_token_misses_nothing_and_gets_nothing_twice(platform: Platform):
    async with watching(platform) as stream:
        for number in range(8):
            await publish(platform, f"o-{number}")
        seen = await stream.events(3)
    for number in range(8, 12):
        await publish(platform, f"o-{number}")
    async with watching(platform, resume_token=stream.token) as again:
        await publish(platform, "o-12")
        seen += await again.events(10)
    assert seen == [f"o-{number}" for number in range(13)] == await log(platform)


async def test_who_comes_back_late_is_given_all_of_it_and_goes_on(platform: Platform):
    other_id, _ = await platform.new_tenant("other")
    model = await publish(platform, "model")
    async with watching(platform) as stream:
        pass
    await platform.rows(COPIES, model.id, platform.tenant_id, 250)
    await platform.rows(COPIES, model.id, other_id, 250)
    await platform.rows(COPIES, model.id, platform.tenant_id, 120)
    async with watching(platform), watching(platform, resume_token=stream.token) as again:
        await publish(platform, "newest")
        wanted = [*map(str, range(1, 251)), *map(str, range(1, 121)), "newest"]
        assert await again.events(371) == wanted


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({"subjects": ["order.shipped"]}, ["o-1"]),
        ({"subjects": ["order.*"]}, ["o-1", "o-2"]),
        ({"subjects": ["order.returned.*", "parcel.sent"]}, ["o-2", "o-3"]),
        ({"subjects": ["*"]}, ["o-1", "o-2", "o-3", "o-4"]),
        ({"subjects": ["order.*"], "resource_id": "o-2"}, ["o-2"]),
        ({"resource_id": "o-3"}, ["o-3"]),
        ({"correlation_id": "mine"}, ["o-4"]),
    ],
)
async def test_only_what_is_wanted_is_sent(platform: Platform, filters: Any, wanted: list[str]):
    async def happen() -> None:
        await publish(platform, "o-1", "order.shipped")
        await publish(platform, "o-2", "order.returned.late")
        await publish(platform, "o-3", "parcel.sent")
        await publish(platform, "o-4", "orderly.done", metadata=(("x-correlation-id", "mine"),))

    async with watching(platform, **filters) as stream:
        token = stream.token
        for _ in range(2):  # Twice: what came wrongly at the end of the first time shows in the second.
            await happen()
        assert await stream.events(2 * len(wanted)) == 2 * wanted
    async with watching(platform, resume_token=token, **filters) as again:
        assert await again.events(2 * len(wanted)) == 2 * wanted


@pytest.mark.parametrize("subject", ["Order", "order.", "order*", "*.shipped", ""])
async def test_a_filter_that_can_match_nothing_is_refused(platform: Platform, subject: str):
    if subject == "":
        subject = "x" * 129
    call = platform.stub(EventServiceStub).WatchEvents(rpc.WatchEventsRequest(subjects=[subject]))
    refusal = await refused(call.read())
    assert (refusal.reason, refusal.fields) == ("REQUEST_INVALID", ("subjects[0]",))


async def test_signs_of_life_move_the_token_past_what_nobody_wanted(database: TestDatabase):
    async with running_platform(database, event_watch_heartbeat_seconds=0.02) as platform:
        async with watching(platform, subjects=["nothing.*"]) as stream:
            began = stream.token
            await publish(platform, "unwanted")
            while stream.token == began:
                assert not (await stream.message()).HasField("event")
        async with watching(platform, resume_token=stream.token) as again:
            await publish(platform, "o-1")
            assert await again.events(1) == ["o-1"]


async def test_tenants_do_not_see_each_others_events(platform: Platform):
    _, key = await platform.new_tenant("rival")
    async with watching(platform) as ours, watching(platform, key=key) as theirs:
        for number in range(5):
            await publish(platform, f"ours-{number}")
            await publish(platform, f"theirs-{number}", key=key)
        assert await ours.events(5) == [f"ours-{number}" for number in range(5)]
        assert await theirs.events(5) == [f"theirs-{number}" for number in range(5)]
    call = platform.stub(EventServiceStub, key=key).WatchEvents(
        rpc.WatchEventsRequest(tenant_id=platform.tenant_id)
    )
    assert (await refused(call.read())).reason == "TENANT_MISMATCH"


async def test_too_many_watches_of_a_tenant_are_refused_by_name(database: TestDatabase):
    async with running_platform(database, event_watches_per_tenant=2) as platform:
        _, key = await platform.new_tenant("other")
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(watching(platform))
            async with watching(platform):
                call = platform.stub(EventServiceStub).WatchEvents(rpc.WatchEventsRequest())
                refusal = await refused(call.read())
                assert (refusal.code, refusal.reason) == ("RESOURCE_EXHAUSTED", "WATCH_LIMIT_REACHED")
                assert refusal.facts == {"limit": "2"}
                await stack.enter_async_context(watching(platform, key=key))
            async with asyncio.timeout(PATIENCE_S):
                while True:  # Its end takes a moment to arrive.
                    call = platform.stub(EventServiceStub).WatchEvents(rpc.WatchEventsRequest())
                    try:
                        await call.read()
                    except grpc.aio.AioRpcError:
                        continue
                    call.cancel()
                    break


@pytest.mark.parametrize(
    "token",
    ["made-up", "W10", resume_token(1, 2**62, 0), resume_token(2, 1, 1), resume_token(1, 2**63, 1)],
)
async def test_a_token_that_no_stream_gave_is_refused(platform: Platform, token: str):
    call = platform.stub(EventServiceStub).WatchEvents(rpc.WatchEventsRequest(resume_token=token))
    refusal = await refused(call.read())
    assert (refusal.code, refusal.reason) == ("INVALID_ARGUMENT", "RESUME_TOKEN_INVALID")


async def test_a_key_that_is_revoked_sees_no_more(database: TestDatabase):
    async with running_platform(database, event_watch_heartbeat_seconds=0.02) as platform:
        access = platform.stub(AccessServiceStub)
        created = await access.CreateApiKey(
            access_service_pb2.CreateApiKeyRequest(request_id=new_id("req"), name="w", role="ROLE_VIEWER")
        )
        async with watching(platform, key=created.secret) as stream:
            await access.RevokeApiKey(
                access_service_pb2.RevokeApiKeyRequest(
                    request_id=new_id("req"), api_key_id=created.api_key.id
                )
            )
            platform.clock.advance(seconds=60)
            refusal = await ended(stream)
    assert (refusal.code, refusal.reason) == ("UNAUTHENTICATED", "CREDENTIAL_INVALID")


async def test_a_stream_ends_well_before_its_deadline(database: TestDatabase):
    async with (
        running_platform(database, grpc_stream_deadline_seconds=0.5) as platform,
        watching(platform) as stream,
    ):
        assert await stream.ends()


async def test_a_server_that_stops_ends_its_streams_well(database: TestDatabase):
    async with running_platform(database) as platform:
        client = Client(platform.app.grpc_address, platform.tenant_key)
        stream = Stream(client.stub(EventServiceStub).WatchEvents(rpc.WatchEventsRequest()))
        await stream.message()
    assert await stream.ends()
    await client.close()


async def test_a_lost_database_ends_the_streams_and_they_can_be_taken_up_again(platform: Platform):
    async with watching(platform) as stream:
        await platform.rows(CUT_OFF)
        refusal = await ended(stream)
        assert (refusal.code, refusal.reason) == ("UNAVAILABLE", "DATABASE_UNAVAILABLE")
    admin = platform.database.server
    connection = await asyncpg.connect(admin.url("postgres", "postgres"))
    try:
        await connection.execute(f"ALTER DATABASE {platform.database.name} CONNECTION LIMIT -1")
    finally:
        await connection.close()
    async with watching(platform, resume_token=stream.token) as again:
        await publish(platform, "o-1")
        assert await again.events(1) == ["o-1"]
