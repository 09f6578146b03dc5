"""Use cases of dead letters: looking at what was given up, trying it again, giving it up for good."""

from dataclasses import dataclass
from typing import Literal

from billing.event.v1 import event_admin_service_pb2 as rpc
from billing_db import dead_letter as dead_letter_sql
from billing_db import event as event_sql

from corebilling.bus.delivery import event_of
from corebilling.db.transaction import Transaction
from corebilling.errors import InvalidArgument, NotFound
from corebilling.mapping import enum_text, to_message
from corebilling.values.page import decode_page_token, next_page, page_limit
from corebilling.values.subject import exact_and_prefix

MAX_MOVED = 500


@dataclass(frozen=True, slots=True)
class _Filter:
    """As the queries take it: '' and an empty list match all."""

    stage: str
    handler: str
    subject: str
    subject_prefix: str
    event_ids: list[str]

    @staticmethod
    def of(message: rpc.DeadLetterFilter) -> "_Filter":
        subject, prefix = exact_and_prefix(message.subject)
        return _Filter(
            enum_text(rpc.DeadLetterStage, message.stage) if message.stage else "",
            message.handler,
            subject,
            prefix,
            list(message.event_ids),
        )

    def holds(self, stage: str) -> bool:
        """Whether it can match dead letters of the stage: those of the bus have no handler."""
        return self.stage in ("", stage) and not (stage == "dispatch" and self.handler)


class EventAdminService:
    """Dead letters of the tenant's events, at the bus and at handlers."""

    async def list_dead_letters(
        self, tx: Transaction, request: rpc.ListDeadLettersRequest
    ) -> rpc.ListDeadLettersResponse:
        limit = page_limit(request.page_size)
        after_event, after_handler = decode_page_token(request.page_token, 2)
        wanted = _Filter.of(request.filter)
        rows = await dead_letter_sql.list_event_dead_letters(
            tx,
            tenant_id=tx.tenant_id,
            state="discarded" if request.discarded else "dead_letter",
            stage=wanted.stage,
            handler=wanted.handler,
            subject=wanted.subject,
            subject_prefix=wanted.subject_prefix,
            event_ids=wanted.event_ids,
            after_event=after_event,
            after_handler=after_handler,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: (row.event_id, row.handler))
        return rpc.ListDeadLettersResponse(
            dead_letters=(to_message(row, rpc.DeadLetter) for row in page), next_page_token=token
        )

    async def get_dead_letter(
        self, tx: Transaction, request: rpc.GetDeadLetterRequest
    ) -> rpc.GetDeadLetterResponse:
        row = await dead_letter_sql.find_event_dead_letter(
            tx, tenant_id=tx.tenant_id, event_id=request.event_id, handler=request.handler
        )
        event = await event_sql.find_event(tx, tenant_id=tx.tenant_id, id=request.event_id)
        if row is None or event is None:
            raise NotFound(
                "DEAD_LETTER_NOT_FOUND",
                "There is no such dead letter; list them with ListDeadLetters.",
                {"event_id": request.event_id, "handler": request.handler},
            )
        return rpc.GetDeadLetterResponse(dead_letter=to_message(row, rpc.DeadLetter), event=event_of(event))

    async def retry_dead_letters(
        self, tx: Transaction, request: rpc.RetryDeadLettersRequest
    ) -> rpc.RetryDeadLettersResponse:
        return rpc.RetryDeadLettersResponse(retried=await _move(tx, request.filter, "failed"))

    async def discard_dead_letters(
        self, tx: Transaction, request: rpc.DiscardDeadLettersRequest
    ) -> rpc.DiscardDeadLettersResponse:
        discarded = await _move(tx, request.filter, "discarded", request.reason)
        return rpc.DiscardDeadLettersResponse(discarded=discarded)


async def _move(
    tx: Transaction, message: rpc.DeadLetterFilter, state: Literal["failed", "discarded"], reason: str = ""
) -> int:
    """Moves at most MAX_MOVED dead letters to the state; returns how many.

    Raises:
        InvalidArgument: DEAD_LETTER_FILTER_EMPTY.
    """
    wanted = _Filter.of(message)
    if not message.ListFields():
        raise InvalidArgument(
            "DEAD_LETTER_FILTER_EMPTY", "Say which: set a stage, a handler, a subject or event ids."
        )
    actor = tx.caller.actor if reason else ""
    moved = 0
    if wanted.holds("dispatch"):
        moved = await dead_letter_sql.mark_dispatch_dead_letters(
            tx,
            tenant_id=tx.tenant_id,
            state=state,
            now=tx.now,
            discarded_by=actor,
            discard_reason=reason,
            subject=wanted.subject,
            subject_prefix=wanted.subject_prefix,
            event_ids=wanted.event_ids,
            limit_rows=MAX_MOVED,
        )
    if wanted.holds("handler"):
        moved += await dead_letter_sql.mark_handler_dead_letters(
            tx,
            tenant_id=tx.tenant_id,
            state=state,
            now=tx.now,
            discarded_by=actor,
            discard_reason=reason,
            handler=wanted.handler,
            subject=wanted.subject,
            subject_prefix=wanted.subject_prefix,
            event_ids=wanted.event_ids,
            limit_rows=MAX_MOVED - moved,
        )
    return moved
