"""One attempt at a delivery: from what was claimed to what became of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import structlog
from billing_db.models import BillingEvent
from billing_db.webhook import ClaimDeliveriesRow

from corebilling.domains.webhook import metrics
from corebilling.domains.webhook.body import EventUnreadable, render
from corebilling.domains.webhook.endpoint import Endpoint
from corebilling.domains.webhook.lanes import Signal
from corebilling.domains.webhook.model import Answer, DeliveryState, Outcome, WebhookPolicy, decide_outcome
from corebilling.domains.webhook.sender import WebhookSender
from corebilling.domains.webhook.signature import signature_headers
from corebilling.telemetry.traces import call_span
from corebilling.values.clock import Clock

log = structlog.get_logger(__name__)

_NO_ANSWER = Answer(0)

Claim = ClaimDeliveriesRow


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed delivery with all that it takes to send it."""

    claim: Claim
    endpoint: Endpoint
    subject: str
    traceparent: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Attempted:
    """What became of a claimed delivery. `signal`: what it says about the receiver."""

    claim: Claim
    endpoint: Endpoint
    started_at: datetime
    outcome: Outcome
    duration_ms: int = 0
    answer: Answer = _NO_ANSWER
    signal: Signal = Signal.NOTHING


class Courier:
    """Makes requests of events, sends them, and decides by the answers."""

    def __init__(
        self, sender: WebhookSender, clock: Clock, policy: WebhookPolicy, jitter: Callable[[], float]
    ) -> None:
        self._sender = sender
        self._clock = clock
        self._policy = policy
        self._jitter = jitter

    def prepare(
        self, claim: Claim, endpoint: Endpoint, event: BillingEvent | None, bodies: dict[str, bytes]
    ) -> Attempt | Attempted:
        """`bodies`: rendered already, by event id; an event may go to many endpoints."""
        if event is None:
            return self._unsent(
                claim, endpoint, Outcome(DeliveryState.DEAD, "the event is no longer in the log")
            )
        if not endpoint.secrets:
            return self._unsendable(claim, endpoint)
        try:
            body = bodies.get(event.id) or bodies.setdefault(event.id, render(event))
        except EventUnreadable as error:
            # Of this delivery alone: the others must get on.
            log.error("webhook.unsendable", **_identity(claim), error=str(error))
            return self._unsendable(claim, endpoint)
        return Attempt(claim, endpoint, event.subject, event.traceparent, body)

    async def send(self, attempt: Attempt) -> Attempted:
        """The call itself; no connection to the database is held meanwhile."""
        claim, endpoint, started_at = attempt.claim, attempt.endpoint, self._clock.now()
        headers = {
            "User-Agent": "CoreBilling-Webhooks",
            "X-Event-ID": claim.event_id,
            "X-Event-Type": attempt.subject,
            "X-Tenant-ID": claim.tenant_id,
            **signature_headers(endpoint.secrets, claim.event_id, attempt.body, started_at),
        }
        start = time.perf_counter()
        with call_span("webhook.deliver", attempt.traceparent) as span:
            answer = await self._sender.post(endpoint.url, headers, attempt.body)
            if span.is_recording():
                span.set_attributes({**_identity(claim), "http.response.status_code": answer.status_code})
        duration_s = time.perf_counter() - start
        metrics.DURATION.observe(duration_s)
        return Attempted(
            claim,
            endpoint,
            started_at,
            self._decide(claim, answer),
            round(duration_s * 1000),
            answer,
            answer.signal,
        )

    def _unsendable(self, claim: Claim, endpoint: Endpoint) -> Attempted:
        """The fault is ours: tried again like any other, but no sign against the receiver."""
        answer = Answer(0, "the platform could not make the request")
        return self._unsent(claim, endpoint, self._decide(claim, answer))

    def _decide(self, claim: Claim, answer: Answer) -> Outcome:
        return decide_outcome(answer, claim.attempts - claim.attempts_before, self._policy, self._jitter())

    def _unsent(self, claim: Claim, endpoint: Endpoint, outcome: Outcome) -> Attempted:
        return Attempted(claim, endpoint, self._clock.now(), outcome)


def _identity(claim: Claim) -> dict[str, str]:
    return {
        "tenant_id": claim.tenant_id,
        "webhook_id": claim.webhook_id,
        "event_id": claim.event_id,
        "delivery_id": claim.id,
    }
