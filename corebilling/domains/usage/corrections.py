"""Use cases of corrections: single records are taken back or given another quantity, before and after they
were billed.

A record stays as it was reported, and corrections stand beside it. Period and hour follow at once; whatever
was invoiced by then comes right with the next invoice, as late usage does: totals are rated, never records.
"""

from datetime import timedelta
from decimal import Decimal

from billing.types.v1 import period_pb2
from billing.usage.v1 import usage_events_pb2 as events
from billing.usage.v1 import usage_pb2
from billing.usage.v1 import usage_service_pb2 as rpc
from billing_db import schedule as schedule_sql
from billing_db import usage_correction as correction_sql
from billing_db.models import UsageCorrection, UsageTotal
from billing_db.usage_correction import FindUsageRecordRow
from google.protobuf.message import Message

from corebilling.db.tenant import TenantProfile, tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.usage.form import stored_keys
from corebilling.domains.usage.model import usage_total_id
from corebilling.domains.usage.quotas import check_correction
from corebilling.domains.usage.revision import Revision, Standing, check_room, decide_revision
from corebilling.domains.usage.totals import total_message
from corebilling.errors import FailedPrecondition, NotFound
from corebilling.events import outbox
from corebilling.mapping import decimal_text, optional_text, timestamp, to_message
from corebilling.values.aggregation import Aggregation
from corebilling.values.ids import new_id
from corebilling.values.metering import quantity_of_total
from corebilling.values.page import decode_page_token, next_page, page_limit


class CorrectionService:
    """Retracts and corrects records.

    Args:
        grace: How long what concerns a subscription that ended is gathered before it is billed.
    """

    def __init__(self, *, grace: timedelta) -> None:
        self._grace = grace

    async def retract_usage(
        self, tx: Transaction, request: rpc.RetractUsageRequest
    ) -> rpc.RetractUsageResponse:
        changed, total = await self._revise(tx, request.idempotency_key, None, request.reason)
        return rpc.RetractUsageResponse(outcome=_outcome(changed), total=total_message(total))

    async def correct_usage(
        self, tx: Transaction, request: rpc.CorrectUsageRequest
    ) -> rpc.CorrectUsageResponse:
        quantity = Decimal(request.quantity)
        changed, total = await self._revise(tx, request.idempotency_key, quantity, request.reason)
        return rpc.CorrectUsageResponse(outcome=_outcome(changed), total=total_message(total))

    async def list_usage_corrections(
        self, tx: Transaction, request: rpc.ListUsageCorrectionsRequest
    ) -> rpc.ListUsageCorrectionsResponse:
        limit = page_limit(request.page_size)
        (after,) = decode_page_token(request.page_token, 1)
        rows = await correction_sql.list_usage_corrections(
            tx,
            tenant_id=tx.tenant_id,
            subscription_id=request.subscription_id,
            key=stored_keys([request.idempotency_key])[0] if request.idempotency_key else "",
            after=after,
            limit_rows=limit + 1,
        )
        page, token = next_page(rows, limit, key=lambda row: row.id)
        return rpc.ListUsageCorrectionsResponse(
            corrections=(to_message(row, usage_pb2.UsageCorrection) for row in page), next_page_token=token
        )

    async def _revise(
        self, tx: Transaction, idempotency_key: str, wanted: Decimal | None, reason: str
    ) -> tuple[bool, UsageTotal]:
        """Lets a record count with the wanted quantity; whether that changed anything, and its total now."""
        (key,) = stored_keys([idempotency_key])
        record = await _find_record(tx, key, idempotency_key)
        await tx.lock(record.customer_id)
        total = await _find_total(tx, record)
        newest = await correction_sql.find_usage_correction(tx, tenant_id=tx.tenant_id, key=key)
        standing = Standing(newest.quantity, newest.revision) if newest else Standing(record.quantity, 0)
        revision = decide_revision(standing, wanted, idempotency_key)
        if revision is None:
            return False, total
        tenant = await tenant_profile(tx)
        correction = await correction_sql.insert_usage_correction(
            tx,
            tenant_id=tx.tenant_id,
            id=new_id("uco"),
            key=key,
            revision=revision.number,
            idempotency_key=idempotency_key,
            subscription_id=record.subscription_id,
            subscription_item_id=record.subscription_item_id,
            meter_code=record.meter_code,
            period_start=total.period_start,
            period_end=total.period_end,
            recorded_at=record.recorded_at,
            quantity_before=revision.before,
            quantity=revision.quantity,
            reason=reason,
            actor=tx.caller.actor,
            corrected_at=tenant.now,
        )
        after = await _follow(tx, record, total, revision)
        if not record.filtered:
            await self._check(tx, tenant, record, revision, total, after)
            await self._open_closing_cycle(tx, tenant, record.subscription_id)
        _announce(tx, correction, after)
        return True, after

    async def _check(
        self,
        tx: Transaction,
        tenant: TenantProfile,
        record: FindUsageRecordRow,
        revision: Revision,
        before: UsageTotal,
        after: UsageTotal,
    ) -> None:
        """Upwards, a correction keeps within the limits that a record that is reported keeps."""
        was, is_now = quantity_of_total(before), quantity_of_total(after)
        assert was is not None, "what only records say is not corrected"
        assert is_now is not None, "it is the same meter"
        if not after.excluded:
            check_room(record.meter_code, record.max_quantity, before=was, after=is_now)
        if revision.quantity is not None and revision.quantity > revision.before:
            await check_correction(
                tx,
                tenant,
                record.subscription_id,
                record.meter_code,
                record.recorded_at,
                before=revision.before,
                after=revision.quantity,
            )

    async def _open_closing_cycle(self, tx: Transaction, tenant: TenantProfile, subscription_id: str) -> None:
        """A subscription whose last cycle was settled gets one more; one that runs on needs none."""
        await schedule_sql.insert_closing_cycles(
            tx,
            tenant_id=tx.tenant_id,
            ids=[new_id("cyc")],
            subscription_ids=[subscription_id],
            sandbox=tenant.sandbox,
            now=tenant.now,
            due_at=tenant.now + self._grace,
        )


async def _find_record(tx: Transaction, key: str, idempotency_key: str) -> FindUsageRecordRow:
    recorded_at = await correction_sql.find_usage_key(tx, tenant_id=tx.tenant_id, key=key)
    if recorded_at is None:
        raise NotFound(
            "USAGE_RECORD_NOT_FOUND",
            "No record was accepted under this key.",
            {"idempotency_key": idempotency_key},
        )
    record = await correction_sql.find_usage_record(
        tx, tenant_id=tx.tenant_id, key=key, recorded_at=recorded_at
    )
    if record is None:
        raise FailedPrecondition(
            "USAGE_RECORD_GONE",
            "The record is too old: it is no longer kept. Issue a credit note instead.",
            {"idempotency_key": idempotency_key, "recorded_at": f"{recorded_at:%Y-%m-%dT%H:%M:%SZ}"},
        )
    if record.by_record:
        raise FailedPrecondition(
            "USAGE_NOT_CORRECTABLE",
            "What the total cannot give back is not corrected: a record that is looked at singly, by its "
            "meter or its price. Issue a credit note instead.",
            {"idempotency_key": idempotency_key, "aggregation": record.aggregation},
        )
    return record


async def _find_total(tx: Transaction, record: FindUsageRecordRow) -> UsageTotal:
    total = await correction_sql.find_corrected_total(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_id=record.subscription_item_id,
        recorded_at=record.recorded_at,
    )
    assert total is not None, "a record is stored together with its total"
    return total


async def _follow(
    tx: Transaction, record: FindUsageRecordRow, total: UsageTotal, revision: Revision
) -> UsageTotal:
    if record.filtered:
        after = await correction_sql.mark_filtered_usage_corrected(
            tx,
            tenant_id=tx.tenant_id,
            subscription_item_id=record.subscription_item_id,
            period_start=total.period_start,
            record_count=revision.record_count,
            quantity_before=revision.before,
            quantity=revision.quantity or Decimal(0),
        )
    else:
        after = await correction_sql.mark_usage_corrected(
            tx,
            tenant_id=tx.tenant_id,
            subscription_item_id=record.subscription_item_id,
            period_start=total.period_start,
            recorded_at=record.recorded_at,
            record_count=revision.record_count,
            quantity_before=revision.before,
            quantity=revision.quantity or Decimal(0),
            has_min=record.aggregation == Aggregation.MIN,
        )
    assert after is not None, "the customer's lock keeps the total"
    return after


def _announce(tx: Transaction, correction: UsageCorrection, total: UsageTotal) -> None:
    period = period_pb2.Period(start=timestamp(total.period_start), end=timestamp(total.period_end))
    total_quantity = optional_text(quantity_of_total(total))
    payload: Message
    if correction.quantity is None:
        payload = to_message(
            correction,
            events.UsageRetracted,
            correction_id=correction.id,
            quantity=decimal_text(correction.quantity_before),
            period=period,
            total_quantity=total_quantity,
        )
    else:
        payload = to_message(
            correction,
            events.UsageCorrected,
            correction_id=correction.id,
            period=period,
            total_quantity=total_quantity,
        )
    outbox.append(
        tx,
        payload,
        resource_id=usage_total_id(total.subscription_item_id, total.period_start),
        resource_version=total.version,
        ordering_key=total.customer_id,
    )


def _outcome(changed: bool) -> usage_pb2.UsageOutcome:
    return usage_pb2.USAGE_OUTCOME_ACCEPTED if changed else usage_pb2.USAGE_OUTCOME_DUPLICATE
