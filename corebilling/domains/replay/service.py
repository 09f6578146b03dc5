"""Use cases of replays. A replay is driven step by step, each a transaction of its own, by who follows it.

What matches is counted first, a stretch of the log at a time. Then portions of it are put to the handlers: as
rows that the router's retries find due, and delete when they are done. The replay's own row knows how far the
log has been looked through and when the next portion may follow, so that any process can take the next step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from billing.replay.v1 import replay_events_pb2 as events
from billing.replay.v1 import replay_pb2 as pb
from billing.replay.v1 import replay_service_pb2 as rpc
from billing_db import models
from billing_db import replay as replay_sql
from billing_db.replay import GetReplayRunsRow, ListMatchingEventsRow
from google.protobuf import json_format

from corebilling.bus.delivery import Position
from corebilling.db.transaction import Transaction
from corebilling.domains.replay.model import (
    DEFAULT_EVENTS_PER_SECOND,
    MAX_WAITING_RUNS,
    ReplayState,
    Standing,
    decide_runs,
    next_portion_at,
    portion_events,
)
from corebilling.domains.replay.selection import Count, Selection
from corebilling.errors import InvalidArgument
from corebilling.events import outbox
from corebilling.mapping import to_message
from corebilling.values.caller import ip_address, trace_id
from corebilling.values.ids import new_id

_STARTED = "billing.replay.v1.ReplayService/Replay"
_FINISHED = "billing.replay.finished"


@dataclass(frozen=True, slots=True)
class _Run:
    """One handler on one event."""

    handler: str
    event: ListMatchingEventsRow


class ReplayService:
    """`handlers` is the platform's table: the names of each subject's handlers."""

    def __init__(self, handlers: Mapping[str, Sequence[str]]) -> None:
        self._handlers = handlers

    async def find(self, tx: Transaction, request: rpc.ReplayRequest) -> rpc.ReplayResponse | None:
        """The replay of this request id, if it was begun before.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED when it replays something else; and what is wrong with the
                request itself.
        """
        handlers = self._selection(request).handlers.chosen
        row = await replay_sql.find_replay(tx, tenant_id=tx.tenant_id, request_id=request.request_id)
        if row is None:
            return None
        if (row.filter, row.handlers) != (_filter_object(request.filter), handlers):
            raise InvalidArgument(
                "REQUEST_ID_REUSED",
                "This request id replays other events; use a new one for another replay.",
                {"request_id": request.request_id},
            )
        return await _response(tx, row)

    async def begin_count(self, tx: Transaction, request: rpc.ReplayRequest) -> Count:
        return await self._selection(request).begin(tx)

    async def count_on(self, tx: Transaction, request: rpc.ReplayRequest, *, count: Count) -> Count:
        return await self._selection(request).count_on(tx, count)

    async def begin(self, tx: Transaction, request: rpc.ReplayRequest, *, count: Count) -> rpc.ReplayResponse:
        """Keeps the replay, and who wants it and why; if another call of the same request id was first, its.

        Raises:
            InvalidArgument: REQUEST_ID_REUSED.
        """
        row = await replay_sql.try_insert_replay(
            tx,
            tenant_id=tx.tenant_id,
            id=new_id("rep"),
            request_id=request.request_id,
            filter=_filter_object(request.filter),
            handlers=self._selection(request).handlers.chosen,
            reason=request.reason,
            actor=tx.caller.actor,
            epoch=count.start.epoch,
            xid=count.start.xid,
            seq=count.start.seq,
            to_epoch=count.to.epoch,
            to_xid=count.to.xid,
            to_seq=count.to.seq,
            matched=count.matched,
            now=tx.now,
        )
        if row is None:
            found = await self.find(tx, request)
            assert found is not None, "the request id is taken"
            return found
        await _audit(tx, row, _STARTED)
        return await _response(tx, row)

    async def advance(self, tx: Transaction, request: rpc.ReplayRequest) -> rpc.ReplayResponse:
        """Takes the next step if it is time for it, and says how far the replay is."""
        row = await replay_sql.claim_replay(tx, tenant_id=tx.tenant_id, request_id=request.request_id)
        if row is None or row.state == ReplayState.FINISHED:
            found = await self.find(tx, request)  # Another call drives it just now, or it is finished.
            assert found is not None, "replays are never deleted"
            return found
        runs = await _runs(tx, row)
        if _has_more(row) and runs.waiting < MAX_WAITING_RUNS and row.next_at <= tx.now:
            row = await self._put(tx, row, request)
            runs = await _runs(tx, row)
        if not (_has_more(row) or runs.waiting or runs.retrying):
            row = await _finish(tx, row, runs)
        return rpc.ReplayResponse(replay=_message(row, runs))

    async def _put(self, tx: Transaction, row: models.Replay, request: rpc.ReplayRequest) -> models.Replay:
        """Puts the next portion of events to their handlers."""
        selection = self._selection(request)
        rate = request.max_events_per_second or DEFAULT_EVENTS_PER_SECOND
        found, end = await selection.take(tx, _at(row), _to(row), portion_events(rate))
        runs = [_Run(handler, event) for event in found for handler in selection.handlers.of(event.subject)]
        standings = await replay_sql.list_run_standings(tx, tenant_id=tx.tenant_id, **_places(runs))
        decision = decide_runs([Standing(standing.standing) for standing in standings])
        begun = [runs[place] for place in decision.begin]
        revived = [runs[place] for place in decision.revive]
        enqueued = await replay_sql.revive_dead_letters(
            tx, tenant_id=tx.tenant_id, replay_id=row.id, now=tx.now, **_places(revived)
        )
        enqueued += await replay_sql.insert_replay_runs(
            tx,
            tenant_id=tx.tenant_id,
            replay_id=row.id,
            now=tx.now,
            event_ids=[run.event.id for run in begun],
            ordering_keys=[run.event.ordering_key for run in begun],
            **_places(begun),
        )
        await replay_sql.upsert_event_replays(
            tx,
            tenant_id=tx.tenant_id,
            now=tx.now,
            # In one order everywhere, so that two replays never wait for each other.
            event_ids=sorted({run.event.id for run in (*begun, *revived)}),
        )
        return await replay_sql.update_replay_cursor(
            tx,
            tenant_id=tx.tenant_id,
            id=row.id,
            epoch=end.epoch,
            xid=end.xid,
            seq=end.seq,
            next_at=next_portion_at(tx.now, len(found), rate),
            events=len(found),
            enqueued=enqueued,
            on_the_way=decision.on_the_way,
            # With those that someone else was faster to put there.
            retrying=decision.retrying + len(begun) + len(revived) - enqueued,
            discarded=decision.discarded,
        )

    def _selection(self, request: rpc.ReplayRequest) -> Selection:
        return Selection(request, self._handlers)


def counting(request: rpc.ReplayRequest, count: Count) -> rpc.ReplayResponse:
    """How far the count is; the plans with a dry run's last."""
    over = request.dry_run and count.complete
    replay = pb.Replay(
        filter=request.filter,
        handlers=request.handlers,
        reason=request.reason,
        state=pb.REPLAY_STATE_DRY_RUN if over else pb.REPLAY_STATE_COUNTING,
        progress=pb.ReplayProgress(matched=count.matched, remaining=count.matched),
    )
    return rpc.ReplayResponse(replay=replay, plans=count.plans.values() if over else ())


async def _finish(tx: Transaction, row: models.Replay, runs: GetReplayRunsRow) -> models.Replay:
    row = await replay_sql.update_replay_finished(
        tx,
        tenant_id=tx.tenant_id,
        id=row.id,
        done=row.enqueued - runs.failed,
        failed=runs.failed,
        finished_at=tx.now,
    )
    await _audit(tx, row, _FINISHED)
    message = _message(row, runs)
    outbox.append(
        tx,
        events.ReplayFinished(
            replay_id=row.id,
            started_at=message.started_at,
            matched=message.progress.matched,
            done=message.progress.done,
            failed=message.progress.failed,
            skipped=message.progress.skipped,
        ),
        resource_id=row.id,
        resource_version=1,
        ordering_key=row.id,
    )
    return row


async def _audit(tx: Transaction, row: models.Replay, action: str) -> None:
    await replay_sql.insert_audit_entry(
        tx,
        tenant_id=tx.tenant_id,
        id=new_id("aud"),
        occurred_at=tx.now,
        actor=tx.caller.actor,
        action=action,
        request_id=row.request_id,
        correlation_id=tx.correlation_id,
        trace_id=trace_id(tx.caller.traceparent),
        ip=ip_address(tx.caller.peer),
        user_agent=tx.caller.user_agent,
        reason=row.reason,
    )


def _has_more(row: models.Replay) -> bool:
    return row.remaining > 0 and _at(row) < _to(row)


def _at(row: models.Replay) -> Position:
    return Position(row.epoch, row.xid, row.seq)


def _to(row: models.Replay) -> Position:
    return Position(row.to_epoch, row.to_xid, row.to_seq)


async def _runs(tx: Transaction, row: models.Replay) -> GetReplayRunsRow:
    return await replay_sql.get_replay_runs(tx, tenant_id=tx.tenant_id, replay_id=row.id)


async def _response(tx: Transaction, row: models.Replay) -> rpc.ReplayResponse:
    return rpc.ReplayResponse(replay=_message(row, await _runs(tx, row)))


def _message(row: models.Replay, runs: GetReplayRunsRow) -> pb.Replay:
    done, failed, retrying = row.done, row.failed, 0
    if row.state == ReplayState.RUNNING:
        done = row.enqueued - runs.waiting - runs.retrying - runs.failed
        failed, retrying = runs.failed, runs.retrying
    progress = to_message(
        row,
        pb.ReplayProgress,
        done=done,
        failed=failed,
        retrying=retrying,
        skipped=row.skipped_on_the_way + row.skipped_retrying + row.skipped_discarded,
    )
    return to_message(
        row, pb.Replay, filter=json_format.ParseDict(row.filter, pb.ReplayFilter()), progress=progress
    )


def _filter_object(message: pb.ReplayFilter) -> dict[str, Any]:
    """The filter as it is kept and compared: the order of ids says nothing."""
    same = pb.ReplayFilter()
    same.CopyFrom(message)
    same.ClearField("event_ids")
    same.event_ids.extend(sorted(set(message.event_ids)))
    return json_format.MessageToDict(same, preserving_proto_field_name=True)


def _places(runs: Sequence[_Run]) -> dict[str, Any]:
    """Handlers and positions, as arrays that run in parallel."""
    return {
        "handlers": [run.handler for run in runs],
        "shards": [run.event.shard for run in runs],
        "epochs": [run.event.epoch for run in runs],
        "xids": [run.event.xid for run in runs],
        "seqs": [run.event.seq for run in runs],
    }
