"""What is told of quotas: each notice once per holder and period, by a row with a unique key."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing.event.v1 import event_pb2 as eventv1
from billing.quota.v1 import quota_events_pb2 as events
from billing.quota.v1 import quota_pb2 as pb
from billing.types.v1 import period_pb2
from billing_db import quota as quota_sql

from corebilling.db.transaction import Transaction
from corebilling.domains.quota.model import Notice, NoticeKind, Quota, Window, percent_used
from corebilling.events import outbox
from corebilling.mapping import decimal_text, enum_number, timestamp
from corebilling.values.money import exact_amount

Told = events.UsageQuotaWarning | events.UsageQuotaExceeded | events.UsageThresholdReached


@dataclass(frozen=True, slots=True)
class Occasion:
    """What a notice is given for: how much was used, and the event that said so, if one did."""

    quota: Quota
    used: Fraction
    cause: eventv1.Event | None = None


async def give_notices(tx: Transaction, due: Mapping[tuple[Window, Notice], Occasion]) -> None:
    """Appends the events of those that were not given before. The transaction holds the customers' locks."""
    if not due:
        return
    fresh = await quota_sql.insert_notices(
        tx,
        tenant_id=tx.tenant_id,
        created_at=tx.now,
        quota_ids=[window.quota_id for window, _ in due],
        subject_ids=[window.subject_id for window, _ in due],
        starts=[window.period.start for window, _ in due],
        kinds=[notice.kind for _, notice in due],
        at_quantities=[notice.at for _, notice in due],
    )
    given = {(row.quota_id, row.subject_id, row.period_start, row.kind, row.at_quantity) for row in fresh}
    for (window, notice), occasion in due.items():
        if (window.quota_id, window.subject_id, window.period.start, notice.kind, notice.at) in given:
            _append(tx, window, notice, occasion)


def _append(tx: Transaction, window: Window, notice: Notice, occasion: Occasion) -> None:
    start = window.period.start.isoformat().replace("+00:00", "Z")
    outbox.append(
        tx,
        _message(occasion.quota, window, notice, exact_amount(occasion.used)),
        # Every notice is a resource of its own, and there is one version of it.
        resource_id=f"{window.quota_id}:{window.subject_id}:{start}:{notice.kind}:{decimal_text(notice.at)}",
        resource_version=1,
        ordering_key=occasion.quota.customer_id,
        cause=occasion.cause,
    )


def _message(quota: Quota, window: Window, notice: Notice, used: Decimal) -> Told:
    use = events.QuotaUse(
        quota_id=quota.id,
        scope=enum_number(pb.QuotaScope, quota.scope),  # type: ignore[arg-type]
        subject_id=window.subject_id,
        customer_id=quota.customer_id,
        meter_code=quota.meter_code,
        period=period_pb2.Period(start=timestamp(window.period.start), end=timestamp(window.period.end)),
        limit_quantity=decimal_text(quota.limit),
        used_quantity=decimal_text(used),
        percent_used=str(percent_used(quota.limit, used)),
        enforcement=enum_number(pb.QuotaEnforcement, "hard" if quota.hard else "soft"),  # type: ignore[arg-type]
    )
    match notice.kind:
        case NoticeKind.WARNING:
            return events.UsageQuotaWarning(use=use)
        case NoticeKind.EXCEEDED:
            return events.UsageQuotaExceeded(use=use)
        case NoticeKind.THRESHOLD:
            return events.UsageThresholdReached(use=use, threshold_quantity=decimal_text(notice.at))
