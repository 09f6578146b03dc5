"""What the router makes of replays: runs from the log, in order per key, beside everything else."""

from collections.abc import Sequence

from billing.event.v1 import event_pb2 as eventv1
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from corebilling.db.transaction import Transaction
from tests.rpc.test_traces import spans
from tests.support.pipeline import TENANT, Pipeline, Witness, append, pipeline
from tests.support.postgres import TestDatabase

__all__ = ["spans"]

PUT = """
INSERT INTO event_handler_failures
    (tenant_id, handler, shard, epoch, xid, seq, event_id, ordering_key, state, next_attempt_at, created_at,
    replay_id)
SELECT tenant_id, $1, shard, epoch, xid, seq, id, ordering_key, 'failed', $3, $3, 'rep_1'
FROM billing_events WHERE resource_id = ANY ($2)
"""


async def put(pipe: Pipeline, *resources: str, handler: str = "first") -> None:
    """As a replay puts events to a handler."""
    await pipe.database.admin(PUT, handler, list(resources), pipe.clock.now())


async def retried(pipe: Pipeline) -> None:
    while await pipe.router.retry_due():
        pass


async def test_replayed_events_of_a_key_are_run_in_the_order_of_the_log_past_a_failure(
    database: TestDatabase,
):
    broken: set[str] = set()
    first = Witness("first", fails_on=lambda event: event.resource_id in broken)
    async with pipeline(database, [first]) as pipe:
        for number in range(4):
            await pipe.write(f"k{number}", key="k")
        await pipe.write("o", key="other")
        await pipe.drain()
        await database.admin("DELETE FROM effects")
        broken.add("k1")
        await put(pipe, "k3", "k2", "k1", "k0", "o")
        await retried(pipe)
        assert sorted(await pipe.effects()) == ["k0", "o"]
        broken.clear()
        await retried(pipe)
        assert sorted(await pipe.effects()) == ["k0", "o"]
        pipe.clock.advance(seconds=2)
        await retried(pipe)
        assert [name for name in await pipe.effects() if name != "o"] == ["k0", "k1", "k2", "k3"]
        assert await pipe.failures() == []


async def test_later_events_of_the_key_do_not_wait_for_a_replay(database: TestDatabase):
    first = Witness("first", fails_on=lambda event: event.resource_id == "old" and first.calls > 1)
    async with pipeline(database, [first]) as pipe:
        await pipe.write("old", key="k")
        await pipe.drain()
        await put(pipe, "old")
        await pipe.write("new", key="k")
        await pipe.drain()
        assert await pipe.effects() == ["old", "new"]
        await retried(pipe)
        await pipe.write("newer", key="k")
        await pipe.drain()
        assert await pipe.effects() == ["old", "new", "newer"]


async def test_a_replay_does_not_let_a_key_go_on_that_waits_for_a_failure(database: TestDatabase):
    first = Witness("first", fails_on=lambda event: event.resource_id == "bad")
    async with pipeline(database, [first]) as pipe:
        await pipe.write("old", key="k")
        await pipe.write("bad", key="k")
        await pipe.write("later", key="k")
        await pipe.drain()
        await put(pipe, "old")
        await retried(pipe)
        assert await pipe.effects() == ["old", "old"]
        assert [(state, attempts) for _, state, attempts in await pipe.failures()] == [
            ("failed", 1),
            ("blocked", 0),
        ]


async def test_what_failed_is_retried_however_much_is_replayed(database: TestDatabase):
    broken = {"bad"}
    first = Witness("first", fails_on=lambda event: event.resource_id in broken)
    async with pipeline(database, [first]) as pipe:
        for number in range(150):
            await pipe.write(f"r{number}")
        await pipe.write("bad")
        await pipe.drain()
        await database.admin("DELETE FROM effects")
        await put(pipe, *(f"r{number}" for number in range(150)))
        broken.clear()
        pipe.clock.advance(seconds=2)
        assert await pipe.router.retry_due() == 101
        assert (await pipe.effects())[0] == "bad"
        assert await pipe.router.retry_due() == 50
        assert await pipe.router.retry_due() == 0


async def test_a_handler_that_has_not_come_that_far_comes_there_first(database: TestDatabase):
    async with pipeline(database, [Witness("first")]) as pipe:
        await pipe.write("r0", key="k")
        await pipe.write("r1", key="k")
        await put(pipe, "r1")
        await database.admin("UPDATE event_handler_failures SET replay_id = ''")
        await retried(pipe)
        assert await pipe.effects() == ["r0", "r1"]
        assert await pipe.failures() == []
        await pipe.drain()
        assert await pipe.effects() == ["r0", "r1"]


async def test_follow_ups_of_a_replayed_event_are_not_appended_again(database: TestDatabase):
    async def follow(tx: Transaction, event: eventv1.Event) -> None:
        if event.resource_id == "cause":
            append(tx, "effect", key="k")

    async with pipeline(database, [follow]) as pipe:
        await pipe.write("cause", key="k")
        await pipe.drain()
        await put(pipe, "cause")
        await retried(pipe)
        await pipe.drain()
        rows = await database.admin("SELECT id FROM billing_events WHERE resource_id = 'effect'")
        assert len(rows) == 1
        await database.admin("DELETE FROM billing_events WHERE resource_id = 'effect'")
        await put(pipe, "cause")
        await retried(pipe)
        assert await database.admin("SELECT id FROM billing_events WHERE resource_id = 'effect'") == rows


async def test_a_replayed_run_is_a_trace_of_its_own_linked_to_what_wrote_the_event(
    database: TestDatabase, spans: InMemorySpanExporter
):
    trace_id, span_id = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    async with pipeline(database, [Witness("first")]) as pipe:
        await pipe.write("r0")
        await pipe.drain()
        await database.admin("UPDATE billing_events SET traceparent = $1", f"00-{trace_id}-{span_id}-01")
        await put(pipe, "r0")
        spans.clear()
        await retried(pipe)
    (run,) = [span for span in spans.get_finished_spans() if span.name == "first"]
    assert run.context is not None
    assert run.parent is None
    assert f"{run.context.trace_id:032x}" != trace_id
    assert [f"{link.context.span_id:016x}" for link in run.links] == [span_id]


async def test_a_replay_keeps_the_tenant_and_the_correlation(database: TestDatabase):
    seen: list[Sequence[str]] = []

    async def look(tx: Transaction, event: eventv1.Event) -> None:
        seen.append((tx.tenant_id, tx.correlation_id, tx.causation_id, tx.caller.actor))

    async with pipeline(database, [look]) as pipe:
        event = await pipe.write("r0")
        await pipe.drain()
        await put(pipe, "r0")
        await retried(pipe)
    assert seen[0] == seen[1] == (TENANT, event.metadata.correlation_id, event.id, "handler:first")
