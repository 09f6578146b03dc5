"""The webhook worker: delivers what is due, however many workers run.

A delivery is claimed under a lease, called outside of any transaction, and its outcome recorded afterwards.
A worker that dies leaves its leases to run out, and another claims again: delivered at least once, under the
same event id.
"""

import asyncio
import contextlib
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog
from billing_db import webhook as webhook_sql
from billing_db.models import BillingEvent, Webhook
from billing_db.webhook import ClaimDeliveriesRow

from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.webhook import metrics
from corebilling.domains.webhook.body import EventUnreadable, render
from corebilling.domains.webhook.model import Answer, DeliveryState, Outcome, WebhookPolicy, decide_outcome
from corebilling.domains.webhook.sender import WebhookSender
from corebilling.domains.webhook.service import disable_gone_webhook, secret_identity
from corebilling.domains.webhook.signature import signature_headers
from corebilling.errors import Aborted, DeadlineExceeded, Unavailable
from corebilling.secrets import Secrets, SecretUnreadable
from corebilling.values.caller import Caller
from corebilling.values.clock import Clock

log = structlog.get_logger(__name__)

# After one of these, what was claimed is claimed again when its lease has run out.
_PASSING = (Unavailable, Aborted, DeadlineExceeded)
_BACKLOG_INTERVAL_S = 10.0
# Everybody's commits wake the worker: it looks at most this often, as long as it finds nothing.
_WOKEN_PAUSE_S = 0.02

Claim = ClaimDeliveriesRow
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed delivery with all that it takes to send it."""

    claim: Claim
    subject: str
    url: str
    secret: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempted:
    """What became of a claimed delivery."""

    claim: Claim
    started_at: datetime
    duration_ms: int
    status_code: int
    outcome: Outcome


class WebhookWorker:
    """`run` works until canceled; `run_once` does what is due, and is done when all of it is recorded."""

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        database: Database,
        secrets: Secrets,
        clock: Clock,
        policy: WebhookPolicy,
        jitter: Callable[[], float] = random.random,
    ) -> "AsyncIterator[WebhookWorker]":
        async with WebhookSender.open(policy, clock) as sender:
            yield cls(database, secrets, clock, policy, sender, jitter)

    def __init__(
        self,
        database: Database,
        secrets: Secrets,
        clock: Clock,
        policy: WebhookPolicy,
        sender: WebhookSender,
        jitter: Callable[[], float],
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock
        self._policy = policy
        self._sender = sender
        self._jitter = jitter
        self._woken = asyncio.Event()
        # How many more deliveries may be under way, and those that await their recording.
        self._free = 0
        self._done: asyncio.Queue[Attempted] = asyncio.Queue()

    def wake(self) -> None:
        """Something may be due: look now, not at the next interval."""
        self._woken.set()

    async def run(self) -> None:
        """Losing the database pauses it; any other error ends it, loudly."""
        self._free, self._done = self._policy.limit, asyncio.Queue()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._record_as_they_end(), name="webhook outcomes")
            tasks.create_task(self._measure_backlog(), name="webhook backlog")
            while True:
                self._woken.clear()
                if not self._free:
                    await self._woken.wait()
                elif not await self._start_due(tasks):
                    await asyncio.sleep(_WOKEN_PAUSE_S)
                    await self._rest()

    async def run_once(self) -> int:
        """Delivers what is due now, up to the limit; returns how many deliveries that were."""
        claims = await self._claim(self._policy.limit)
        attempts, unsent = await self._load(claims)
        sent = await asyncio.gather(*(self._send(attempt) for attempt in attempts))
        await self._record((*sent, *unsent))
        return len(claims)

    async def _start_due(self, tasks: asyncio.TaskGroup) -> int:
        """Claims as many deliveries as may still be under way; each starts at once, its lease is running."""
        try:
            claims = await self._claim(self._free)
            attempts, unsent = await self._load(claims)
        except _PASSING as error:
            log.warning("webhook.paused", reason=error.reason)
            return 0
        self._free -= len(attempts) + len(unsent)
        for attempt in attempts:
            tasks.create_task(self._send_and_hand_over(attempt))
        for attempted in unsent:
            self._done.put_nowait(attempted)
        return len(claims)

    async def _rest(self) -> None:
        """Until woken, or for an interval."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._policy.interval_s * random.uniform(0.8, 1.2)):
                await self._woken.wait()

    async def _send_and_hand_over(self, attempt: Attempt) -> None:
        self._done.put_nowait(await self._send(attempt))

    async def _record_as_they_end(self) -> None:
        """Everything that ended while the last ones were recorded is recorded together."""
        while True:
            ended = [await self._done.get()]
            while not self._done.empty():
                ended.append(self._done.get_nowait())
            try:
                await self._record(ended)
            finally:
                self._free += len(ended)
            self.wake()

    async def _claim(self, limit: int) -> Sequence[Claim]:
        now = self._clock.now()
        async with self._database.connection() as connection:
            return await webhook_sql.claim_deliveries(
                connection,
                now=now,
                lease_until=now + timedelta(seconds=self._policy.lease_s),
                limit_rows=limit,
            )

    async def _load(self, claims: Sequence[Claim]) -> tuple[list[Attempt], list[Attempted]]:
        """What can be sent, and what cannot, with the reason."""
        attempts: list[Attempt] = []
        unsent: list[Attempted] = []
        for tenant_id, own in _by_tenant(claims, lambda claim: claim).items():
            async with self._database.transaction(_caller(tenant_id)) as tx:
                webhooks, events = await _find_claimed(tx, own)
                for claim in own:
                    prepared = await self._prepare(
                        tx, claim, webhooks[claim.webhook_id], events.get(claim.event_id)
                    )
                    if isinstance(prepared, Attempt):
                        attempts.append(prepared)
                    else:
                        unsent.append(Attempted(claim, tx.now, 0, 0, prepared))
        return attempts, unsent

    async def _prepare(
        self, tx: Transaction, claim: Claim, webhook: Webhook, event: BillingEvent | None
    ) -> Attempt | Outcome:
        if webhook.deleted_at is not None or not webhook.enabled:
            state = "disabled" if webhook.deleted_at is None else "deleted"
            return Outcome(DeliveryState.DEAD, f"the endpoint is {state}")
        if event is None:
            return Outcome(DeliveryState.DEAD, "the event is no longer in the log")
        try:
            secret = await self._secrets.decrypt(tx, webhook.secret_ciphertext, secret_identity(webhook.id))
            body = render(event)
        except (SecretUnreadable, EventUnreadable) as error:
            # Of this delivery alone: the others must get on.
            log.error("webhook.unsendable", delivery_id=claim.id, tenant_id=claim.tenant_id, error=str(error))
            return self._decide(claim, Answer(0, "the platform could not make the request"))
        return Attempt(claim, event.subject, webhook.url, secret.decode(), body)

    async def _send(self, attempt: Attempt) -> Attempted:
        """The call itself; no connection to the database is held meanwhile."""
        claim, started_at = attempt.claim, self._clock.now()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "CoreBilling-Webhooks",
            "X-Event-ID": claim.event_id,
            "X-Event-Type": attempt.subject,
            "X-Tenant-ID": claim.tenant_id,
            **signature_headers(attempt.secret, claim.event_id, attempt.body, started_at),
        }
        start = time.perf_counter()
        answer = await self._sender.post(attempt.url, headers, attempt.body)
        duration_s = time.perf_counter() - start
        metrics.DURATION.observe(duration_s)
        return Attempted(
            claim, started_at, round(duration_s * 1000), answer.status_code, self._decide(claim, answer)
        )

    def _decide(self, claim: Claim, answer: Answer) -> Outcome:
        return decide_outcome(answer, claim.attempts - claim.attempts_before, self._policy, self._jitter())

    async def _record(self, ended: Sequence[Attempted]) -> None:
        for tenant_id, own in _by_tenant(ended, lambda attempted: attempted.claim).items():
            try:
                async with self._database.transaction(_caller(tenant_id)) as tx:
                    await _record_outcomes(tx, own)
            except _PASSING as error:
                log.warning("webhook.not_recorded", tenant_id=tenant_id, reason=error.reason)
                continue
            _count(own)

    async def _measure_backlog(self) -> None:
        while True:
            try:
                async with self._database.connection() as connection:
                    metrics.BACKLOG.set(await webhook_sql.count_pending_deliveries(connection))
            except _PASSING as error:
                log.warning("webhook.backlog_unknown", reason=error.reason)
            await asyncio.sleep(_BACKLOG_INTERVAL_S)


async def _find_claimed(
    tx: Transaction, claims: Sequence[Claim]
) -> tuple[Mapping[str, Webhook], Mapping[str, BillingEvent]]:
    webhooks = await webhook_sql.list_claimed_webhooks(
        tx, tenant_id=tx.tenant_id, ids=list({claim.webhook_id for claim in claims})
    )
    events = await webhook_sql.list_claimed_events(
        tx, tenant_id=tx.tenant_id, ids=list({claim.event_id for claim in claims})
    )
    return {webhook.id: webhook for webhook in webhooks}, {event.id: event for event in events}


async def _record_outcomes(tx: Transaction, ended: Sequence[Attempted]) -> None:
    gone = {one.claim.webhook_id for one in ended if one.outcome.endpoint_gone}
    if gone:
        await tx.lock(*gone)
    decisive = await _mark(tx, ended)
    await webhook_sql.insert_attempts(
        tx,
        tenant_id=tx.tenant_id,
        delivery_ids=[one.claim.id for one in ended],
        attempts=[one.claim.attempts for one in ended],
        started_at=[one.started_at for one in ended],
        durations_ms=[one.duration_ms for one in ended],
        status_codes=[one.status_code for one in ended],
        errors=[one.outcome.error for one in ended],
    )
    dead = [one for one in decisive if one.outcome.state is DeliveryState.DEAD]
    if dead:
        await webhook_sql.insert_dead_letters(
            tx,
            tenant_id=tx.tenant_id,
            delivery_ids=[one.claim.id for one in dead],
            reasons=[one.outcome.error for one in dead],
            dead_at=tx.now,
        )
    for webhook_id in sorted(gone & {one.claim.webhook_id for one in decisive}):
        await disable_gone_webhook(tx, webhook_id)


async def _mark(tx: Transaction, ended: Sequence[Attempted]) -> list[Attempted]:
    """Those that were the latest attempts of their deliveries: only they decide."""
    marked = set(
        await webhook_sql.mark_deliveries_attempted(
            tx,
            tenant_id=tx.tenant_id,
            ids=[one.claim.id for one in ended],
            attempts=[one.claim.attempts for one in ended],
            states=[one.outcome.state for one in ended],
            next_attempts_at=[tx.now + timedelta(seconds=one.outcome.retry_s) for one in ended],
            errors=[one.outcome.error for one in ended],
            now=tx.now,
        )
    )
    return [one for one in ended if one.claim.id in marked]


def _count(ended: Sequence[Attempted]) -> None:
    states = [one.outcome.state for one in ended]
    delivered = states.count(DeliveryState.DELIVERED)
    metrics.SUCCESS.inc(delivered)
    metrics.FAILURE.inc(len(states) - delivered)
    metrics.DEAD.inc(states.count(DeliveryState.DEAD))


def _by_tenant(items: Iterable[T], claim_of: Callable[[T], Claim]) -> Mapping[str, list[T]]:
    groups: dict[str, list[T]] = defaultdict(list)
    for item in items:
        groups[claim_of(item).tenant_id].append(item)
    return groups


def _caller(tenant_id: str) -> Caller:
    return Caller(tenant_id=tenant_id, actor="job:webhook", role="worker", permissions=frozenset())
