"""`corebilling replay`: has events handled again."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import grpc
import typer
from billing.replay.v1 import replay_pb2 as pb
from billing.replay.v1 import replay_service_pb2 as rpc
from billing.replay.v1.replay_service_pb2_grpc import ReplayServiceStub
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from corebilling.client import Client
from corebilling.commands.connection import (
    TARGET,
    ApiKey,
    Target,
    Tenant,
    console,
    moment,
    new_request_id,
    print_table,
    run,
    say,
)
from corebilling.mapping import timestamp

_COME_BACK_S = 1.0


def replay(
    reason: Annotated[str, typer.Option(help="Why; it is kept in the audit log.")],
    ids: Annotated[list[str] | None, typer.Option("--id", help="An event, evt_…; repeatable.")] = None,
    subject: Annotated[str, typer.Option(help="Events of this subject; a prefix ends in .*")] = "",
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=moment, metavar="TIME", help="Committed then or later; UTC, as in 2026-03-01T09:30."
        ),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(parser=moment, metavar="TIME", help="Committed before then.")
    ] = None,
    correlation: Annotated[str, typer.Option(help="Events that share this correlation id.")] = "",
    handler: Annotated[
        list[str] | None, typer.Option(help="Only this handler; repeatable. None: every handler.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Tell what would be replayed.")] = False,
    rate: Annotated[int, typer.Option(min=1, max=1000, help="Events per second at most.")] = 200,
    request_id: Annotated[str, typer.Option(help="To go on with a replay that was interrupted.")] = "",
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Has events of the log handled again. Nothing that was done is done twice; safe to interrupt."""
    request = rpc.ReplayRequest(
        tenant_id=tenant,
        request_id=request_id or new_request_id(),
        filter=_filter(ids or (), subject, since, until, correlation),
        handlers=handler or (),
        reason=reason,
        dry_run=dry_run,
        max_events_per_second=rate,
    )
    try:
        last = run(target, api_key, lambda client: follow(client, request))
    except (KeyboardInterrupt, asyncio.CancelledError):
        say(f"Interrupted. To go on: the same command with --request-id {request.request_id}")
        raise typer.Exit(130) from None
    if not last.replay.progress.matched:
        # A typo must not pass for a replay that went well.
        say("Nothing matches. Next: corebilling call billing.event.v1.EventService/ListEvents")
        raise typer.Exit(1)
    if (unmatched := len(set(request.filter.event_ids)) - last.replay.progress.matched) > 0:
        say(f"{unmatched} of the ids match nothing.")
    if dry_run:
        _tell_plans(last)
    else:
        _tell_result(last.replay)


async def follow(client: Client, request: rpc.ReplayRequest) -> rpc.ReplayResponse:
    """Drives the replay to its end, showing how far it is; a stream that breaks is taken up again."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True, console=console) as progress:
        task = progress.add_task("looking through the log", total=None)
        connected = False
        while True:
            last = rpc.ReplayResponse()
            try:
                async for last in client.stub(ReplayServiceStub).Replay(request, wait_for_ready=connected):
                    connected = True
                    total, completed = _bar(last.replay.progress)
                    progress.update(
                        task, description=_describe(last.replay), total=total, completed=completed
                    )
            except grpc.aio.AioRpcError as error:
                broken = error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
                if not (connected and broken):
                    raise
                await asyncio.sleep(_COME_BACK_S)
            if last.replay.state in (pb.REPLAY_STATE_FINISHED, pb.REPLAY_STATE_DRY_RUN):
                return last


def _filter(
    ids: Sequence[str], subject: str, since: datetime | None, until: datetime | None, correlation: str
) -> pb.ReplayFilter:
    return pb.ReplayFilter(
        event_ids=ids,
        subject=subject,
        since=timestamp(since) if since else None,
        until=timestamp(until) if until else None,
        correlation_id=correlation,
    )


def _describe(replay: pb.Replay) -> str:
    counts = replay.progress
    if replay.state != pb.REPLAY_STATE_RUNNING:
        return f"{counts.matched:,} events match"
    failing = f", {counts.retrying:,} tried again" if counts.retrying else ""
    return f"{counts.done:,} of {counts.enqueued:,} runs done, {counts.remaining:,} events to go{failing}"


def _bar(counts: pb.ReplayProgress) -> tuple[int, float]:
    """All events, and those looked at, less what is not done of them."""
    looked = counts.matched - counts.remaining
    settled = (counts.done + counts.failed) / counts.enqueued if counts.enqueued else 1
    return counts.matched or 1, looked * settled


def _tell_plans(last: rpc.ReplayResponse) -> None:
    table = Table("subject, and its handlers", "events", "on their way", "dead letters")
    for plan in last.plans:
        numbers = (plan.events, plan.on_the_way, plan.dead_letters)
        table.add_row(plan.subject, *(f"{number:,}" for number in numbers))
        for handler in plan.handlers:
            table.add_row(f"  {handler}")
    print_table(table)
    say("A dry run: nothing was changed. Next: the same command without --dry-run")


def _tell_result(replay: pb.Replay) -> None:
    counts = replay.progress
    say(f"Replay {replay.id}; a run is one handler on one event.")
    table = Table("events", "runs done", "runs failed", "on their way", "being retried", "discarded")
    numbers = (
        counts.matched,
        counts.done,
        counts.failed,
        counts.skipped_on_the_way,
        counts.skipped_retrying,
        counts.skipped_discarded,
    )
    table.add_row(*(f"{number:,}" for number in numbers))
    print_table(table)
    if counts.failed:
        say("Some were given up again. Next: corebilling dead-letters list --stage handler")
        raise typer.Exit(1)
    if len(replay.filter.event_ids) == 1:
        say(f"Next: corebilling events show {replay.filter.event_ids[0]}")
    elif replay.filter.correlation_id:
        say(f"Next: corebilling events trace {replay.filter.correlation_id}")
    else:
        say("Next: corebilling dead-letters list shows what else was given up")
