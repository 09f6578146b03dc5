"""Rows of billing cycles: found, and announced."""

from collections.abc import Sequence

from billing.schedule.v1 import schedule_events_pb2 as events
from billing_db import schedule as schedule_sql
from billing_db.models import BillingCycle
from google.protobuf.message import Message

from corebilling.db.transaction import Transaction
from corebilling.errors import NotFound
from corebilling.events import outbox
from corebilling.mapping import optional_text, timestamp
from corebilling.values.metering import quantity_of_total


async def find_cycle(tx: Transaction, cycle_id: str) -> BillingCycle:
    """Raises NotFound (BILLING_CYCLE_NOT_FOUND)."""
    cycle = await schedule_sql.find_billing_cycle(tx, tenant_id=tx.tenant_id, id=cycle_id)
    if cycle is None:
        raise NotFound("BILLING_CYCLE_NOT_FOUND", "There is no such billing cycle.", {"cycle_id": cycle_id})
    return cycle


def closing_events(
    cycle: BillingCycle, totals: Sequence[schedule_sql.ListUsageSummariesRow] = ()
) -> list[Message]:
    """It can be rated, and an invoice will follow unless it is a trial."""
    closed = events.BillingCycleClosed(
        cycle_id=cycle.id,
        tenant_id=cycle.tenant_id,
        subscription_id=cycle.subscription_id,
        customer_id=cycle.customer_id,
        period_start=timestamp(cycle.period_start),
        period_end=timestamp(cycle.period_end),
        usage_summary=[
            events.UsageSummary(
                subscription_item_id=total.subscription_item_id,
                meter_code=total.meter_code,
                quantity=optional_text(quantity_of_total(total)),
                record_count=total.record_count,
            )
            for total in totals
        ],
    )
    if cycle.trial:
        return [closed]
    pending = events.BillingInvoicePending(
        cycle_id=cycle.id, subscription_id=cycle.subscription_id, customer_id=cycle.customer_id
    )
    return [closed, pending]


def announce(tx: Transaction, cycle: BillingCycle, announced: Sequence[Message], *, first: int) -> None:
    """Appends the cycle's events; each is a version of its own, counted from `first`."""
    for version, payload in enumerate(announced, start=first):
        outbox.append(
            tx,
            payload,
            resource_id=cycle.id,
            resource_version=version,
            ordering_key=cycle.customer_id,
        )
