"""Writes down what became of attempts, and what it means for their endpoints."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from billing_db import webhook as webhook_sql

from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.webhook import metrics
from corebilling.domains.webhook.delivery import Attempted
from corebilling.domains.webhook.endpoint import disable_failing_webhook, disable_gone_webhook
from corebilling.domains.webhook.lanes import Signal
from corebilling.domains.webhook.model import DeliveryState, WebhookPolicy
from corebilling.values.caller import Caller
from corebilling.values.clock import Clock

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Outcomes:
    def __init__(self, database: Database, clock: Clock, policy: WebhookPolicy) -> None:
        self._database = database
        self._clock = clock
        self._policy = policy

    async def record(self, ended: Sequence[Attempted]) -> None:
        """In one statement, whosever they are; may be repeated when its own outcome is unknown.

        Raises BillingError.
        """
        now = self._clock.now()
        async with self._database.connection() as connection:
            rows = await webhook_sql.record_attempts(
                connection,
                tenant_ids=[one.claim.tenant_id for one in ended],
                delivery_ids=[one.claim.id for one in ended],
                attempts=[one.claim.attempts for one in ended],
                states=[one.outcome.state for one in ended],
                next_attempts_at=[now + timedelta(seconds=one.outcome.retry_s) for one in ended],
                started_at=[one.started_at for one in ended],
                durations_ms=[one.duration_ms for one in ended],
                status_codes=[one.answer.status_code for one in ended],
                errors=[one.outcome.error for one in ended],
                responses=[one.answer.response for one in ended],
                now=now,
            )
        marked = {(row.id, row.attempts) for row in rows}
        decisive = [one for one in ended if (one.claim.id, one.claim.attempts) in marked]
        _count(ended, decisive)
        for tenant_id, own in by_tenant(decisive, lambda one: one.claim.tenant_id).items():
            await self._judge(tenant_id, own)

    async def _judge(self, tenant_id: str, ended: Sequence[Attempted]) -> None:
        """Changes those endpoints whose attempts say something new about them: as a rule none."""
        gone = sorted({one.endpoint.id for one in ended if one.outcome.endpoint_gone})
        answering = {one.endpoint.id for one in ended if one.signal is Signal.SUCCESS}
        recovered = sorted({one.endpoint.id for one in ended if one.endpoint.failing_since} & answering)
        failed = {
            one.endpoint.id: one
            for one in reversed(ended)
            if one.signal not in (Signal.SUCCESS, Signal.NOTHING) and one.endpoint.id not in answering
        }
        new = [one for one in failed.values() if one.endpoint.failing_since is None]
        given_up = {
            one.endpoint.id: one.endpoint.failing_since
            for one in failed.values()
            if one.endpoint.failing_since is not None and self._is_too_long(one.endpoint.failing_since)
        }
        if not (gone or recovered or new or given_up):
            return
        async with self._database.transaction(worker_of(tenant_id)) as tx:
            if gone or given_up:
                await tx.lock(*gone, *given_up)
            await _mark_health(tx, recovered, new)
            await _disable(tx, gone, given_up)

    def _is_too_long(self, failing_since: datetime) -> bool:
        return (self._clock.now() - failing_since).total_seconds() >= self._policy.disable_after_s


async def _mark_health(tx: Transaction, recovered: Iterable[str], new: Iterable[Attempted]) -> None:
    for webhook_id in recovered:
        await webhook_sql.mark_webhook_answering(tx, tenant_id=tx.tenant_id, id=webhook_id)
    for one in new:
        await webhook_sql.mark_webhook_failing(
            tx, tenant_id=tx.tenant_id, id=one.endpoint.id, failing_since=one.started_at
        )


async def _disable(tx: Transaction, gone: Iterable[str], given_up: Mapping[str, datetime]) -> None:
    for webhook_id in gone:
        if await disable_gone_webhook(tx, webhook_id):
            log.warning("webhook.disabled", tenant_id=tx.tenant_id, webhook_id=webhook_id, reason="gone")
    for webhook_id, failing_since in given_up.items():
        if await disable_failing_webhook(tx, webhook_id, failing_since):
            log.warning("webhook.disabled", tenant_id=tx.tenant_id, webhook_id=webhook_id, reason="failing")


def _count(ended: Sequence[Attempted], decisive: Sequence[Attempted]) -> None:
    delivered = sum(one.outcome.state is DeliveryState.DELIVERED for one in ended)
    metrics.SUCCESS.inc(delivered)
    metrics.FAILURE.inc(len(ended) - delivered)
    metrics.DEAD.inc(sum(one.outcome.state is DeliveryState.DEAD for one in decisive))


def by_tenant(items: Iterable[T], tenant_of: Callable[[T], str]) -> Mapping[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[tenant_of(item)].append(item)
    return groups


def worker_of(tenant_id: str) -> Caller:
    return Caller(tenant_id=tenant_id, actor="job:webhook", role="worker", permissions=frozenset())
