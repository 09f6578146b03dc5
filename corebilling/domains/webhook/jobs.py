"""The webhook worker: delivers what is due, however many workers run.

Each endpoint is a lane of its own, and belongs to one of the workers alive. A delivery is claimed under a
lease, sent outside of any transaction, and its outcome recorded afterwards. A worker that dies leaves its
leases to run out, and another claims again: delivered at least once, under the same event id.
"""

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog
from billing_db import outbox as outbox_sql
from billing_db import webhook as webhook_sql
from billing_db.webhook import ListDueLanesRow

from corebilling.db.pool import Database
from corebilling.domains.webhook import metrics
from corebilling.domains.webhook.delivery import Attempt, Attempted, Claim, Courier
from corebilling.domains.webhook.endpoint import Endpoint, load_endpoints
from corebilling.domains.webhook.lanes import Lanes, Ticket
from corebilling.domains.webhook.model import WebhookPolicy
from corebilling.domains.webhook.outcome import Outcomes, by_tenant, worker_of
from corebilling.domains.webhook.sender import WebhookSender
from corebilling.errors import Aborted, DeadlineExceeded, Unavailable
from corebilling.secrets import Secrets
from corebilling.values.clock import Clock
from corebilling.values.ids import new_id

log = structlog.get_logger(__name__)

LANES_PER_LOOK = 1000
"""Endpoints with anything pending that one look steps over."""

BURIED_PER_LOOK = 1000
"""Deliveries of a deleted endpoint that are given up at once."""

HELD_S = 2.0
"""How soon a disabled endpoint is looked at again."""

# After one of these, what was claimed is claimed again when its lease has run out.
_PASSING = (Unavailable, Aborted, DeadlineExceeded)
_ALIVE_S = 10.0
_SIGN_OF_LIFE_S = 3.0
_MEASURE_INTERVAL_S = 10.0
_MAX_BACKLOG = 1_000_000
# Everybody's commits wake the worker: it looks at most this often, as long as it finds nothing, …
_WOKEN_PAUSE_S = 0.02
# … and this often while there is work: what comes together costs less.
_BUSY_PAUSE_S = 0.005
# How soon it looks again when something due found no slot.
_CROWDED_PAUSE_S = 0.05
_RECORD_AGAIN_S = 0.5
# At most so many tenants' endpoints are read at once: each takes a connection.
_READERS = 2

Work = tuple[Attempt, Ticket]


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
            yield cls(database, secrets, clock, policy, Courier(sender, clock, policy, jitter))

    def __init__(
        self, database: Database, secrets: Secrets, clock: Clock, policy: WebhookPolicy, courier: Courier
    ) -> None:
        self._database = database
        self._secrets = secrets
        self._clock = clock
        self._policy = policy
        self._courier = courier
        self._outcomes = Outcomes(database, clock, policy)
        self._lanes = Lanes(
            limit=policy.limit,
            rate=policy.rate_per_second,
            base_delay_s=policy.base_delay_s,
            max_delay_s=policy.max_delay_s,
        )
        self._id = new_id("wrk")
        # How many workers share the lanes, and which of the shares is this one's.
        self._workers, self._place = 1, 0
        # The lane after which the next look begins; '' for the first.
        self._after = ""
        # Something due found no slot; and the lanes that may have more due than they had room for.
        self._crowded = False
        self._hungry: set[str] = set()
        self._woken = asyncio.Event()
        self._ended: asyncio.Queue[Attempted] = asyncio.Queue()

    def wake(self) -> None:
        """Something may be due: look now, not at the next interval."""
        self._woken.set()

    async def run(self) -> None:
        """Losing the database pauses it; any other error ends it, loudly."""
        self._ended = asyncio.Queue()
        try:
            # Before the first look: the lanes of others are theirs.
            await self._take_share()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._stay_alive(), name="webhook sign of life")
                tasks.create_task(self._record_as_they_end(), name="webhook outcomes")
                tasks.create_task(self._measure(), name="webhook measures")
                while True:
                    self._woken.clear()
                    found = await self._start_due(tasks)
                    await asyncio.sleep(_BUSY_PAUSE_S if found or self._lanes.is_busy else _WOKEN_PAUSE_S)
                    if not found:
                        await self._rest()
        finally:
            with contextlib.suppress(*_PASSING):
                await self._say_farewell()

    async def run_once(self) -> int:
        """Delivers what is due now; returns how many deliveries that were."""
        done = 0
        while True:
            work, unsent, buried = await self._claim_due()
            sent = await asyncio.gather(*(self._send(attempt, ticket) for attempt, ticket in work))
            if ended := (*sent, *unsent):
                await self._outcomes.record(ended)
            done += len(ended) + buried
            if not (ended or buried or self._after):
                return done

    async def _start_due(self, tasks: asyncio.TaskGroup) -> bool:
        """Claims what may start now, and starts it at once: its lease is running."""
        if self._ended.qsize() > self._policy.limit:
            self._crowded = True
            return False
        try:
            work, unsent, buried = await self._claim_due()
        except _PASSING as error:
            log.warning("webhook.paused", reason=error.reason)
            return False
        for attempt, ticket in work:
            tasks.create_task(self._send_and_hand_over(attempt, ticket))
        for attempted in unsent:
            self._ended.put_nowait(attempted)
        return bool(work or unsent or buried or self._after)

    async def _rest(self) -> None:
        """Until woken, until a lane opens, or for an interval."""
        wait_s = self._policy.interval_s * random.uniform(0.8, 1.2)
        if self._crowded:
            wait_s = min(wait_s, _CROWDED_PAUSE_S)
        wait_s = min(wait_s, self._lanes.opens_in_s(self._now_s()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                await self._woken.wait()

    async def _send_and_hand_over(self, attempt: Attempt, ticket: Ticket) -> None:
        self._ended.put_nowait(await self._send(attempt, ticket))
        # Only where something waits for the slot: a look costs more, the more endpoints have a backlog.
        if self._crowded or ticket.webhook_id in self._hungry:
            self.wake()

    async def _send(self, attempt: Attempt, ticket: Ticket) -> Attempted:
        attempted = await self._courier.send(attempt)
        self._lanes.end(ticket, attempted.signal, self._now_s(), attempted.answer.asked_s)
        return attempted

    async def _record_as_they_end(self) -> None:
        """Everything that ended while the last ones were recorded is recorded together."""
        while True:
            ended = [await self._ended.get()]
            while not self._ended.empty():
                ended.append(self._ended.get_nowait())
            await self._record(ended)
            await asyncio.sleep(_BUSY_PAUSE_S)

    async def _record(self, ended: Sequence[Attempted]) -> None:
        """Tries until the leases are over: then others have the deliveries."""
        until = self._clock.now() + timedelta(seconds=self._policy.lease_s)
        while True:
            try:
                return await self._outcomes.record(ended)
            except _PASSING as error:
                log.warning("webhook.not_recorded", outcomes=len(ended), reason=error.reason)
            if self._clock.now() >= until:
                return None
            await asyncio.sleep(_RECORD_AGAIN_S)

    async def _claim_due(self) -> tuple[list[Work], list[Attempted], int]:
        """What can be sent, what cannot, and how much of deleted endpoints was given up."""
        due = await self._look()
        now_s = self._now_s()
        rooms = self._lanes.plan(
            [row.webhook_id for row in due], now_s, {row.webhook_id for row in due if row.urgent}
        )
        self._crowded = len(rooms) < len(due)
        if not rooms:
            return [], [], 0
        endpoints = await self._load([row for row in due if row.webhook_id in rooms])
        buried = await self._bury([endpoint for endpoint in endpoints.values() if endpoint.deleted])
        for endpoint in endpoints.values():
            if not (endpoint.enabled or endpoint.deleted):
                self._lanes.hold(endpoint.id, now_s + HELD_S, now_s)
            self._lanes.set_rate(endpoint.id, endpoint.rate_per_second, now_s)
        claims = await self._claim(
            [one for one in endpoints.values() if one.enabled and not one.deleted], rooms
        )
        claimed = Counter(claim.webhook_id for claim in claims)
        self._hungry -= rooms.keys()
        self._hungry |= {webhook_id for webhook_id, count in claimed.items() if count == rooms[webhook_id]}
        work, unsent = await self._prepare(claims, endpoints)
        return work, unsent, buried

    async def _look(self) -> list[ListDueLanesRow]:
        """The lanes with something due and room for it, of this worker's share."""
        metrics.IN_FLIGHT.set(self._lanes.under_way)
        async with self._database.connection() as connection:
            rows = await webhook_sql.list_due_lanes(
                connection,
                after=self._after,
                limit_rows=LANES_PER_LOOK,
                now=self._clock.now(),
                closed=self._lanes.closed(self._now_s()),
                workers=self._workers,
                place=self._place,
            )
        self._after = rows[-1].webhook_id if rows and rows[-1].more else ""
        return [row for row in rows if row.due]

    async def _load(self, lanes: Sequence[ListDueLanesRow]) -> Mapping[str, Endpoint]:
        gate = asyncio.Semaphore(_READERS)

        async def load(tenant_id: str, own: Sequence[ListDueLanesRow]) -> Mapping[str, Endpoint]:
            async with gate, self._database.transaction(worker_of(tenant_id)) as tx:
                return await load_endpoints(tx, self._secrets, [row.webhook_id for row in own])

        groups = by_tenant(lanes, lambda row: row.tenant_id)
        loaded = await asyncio.gather(*(load(tenant_id, own) for tenant_id, own in groups.items()))
        return {webhook_id: endpoint for part in loaded for webhook_id, endpoint in part.items()}

    async def _bury(self, deleted: Iterable[Endpoint]) -> int:
        buried = 0
        for endpoint in deleted:
            async with self._database.connection() as connection:
                buried += await webhook_sql.bury_deliveries(
                    connection,
                    tenant_id=endpoint.tenant_id,
                    webhook_id=endpoint.id,
                    reason="the endpoint is deleted",
                    now=self._clock.now(),
                    limit_rows=BURIED_PER_LOOK,
                )
        metrics.DEAD.inc(buried)
        return buried

    async def _claim(self, endpoints: Sequence[Endpoint], rooms: Mapping[str, int]) -> Sequence[Claim]:
        if not endpoints:
            return []
        now = self._clock.now()
        async with self._database.connection() as connection:
            return await webhook_sql.claim_deliveries(
                connection,
                tenant_ids=[endpoint.tenant_id for endpoint in endpoints],
                webhook_ids=[endpoint.id for endpoint in endpoints],
                rooms=[rooms[endpoint.id] for endpoint in endpoints],
                now=now,
                leased_until=now + timedelta(seconds=self._policy.lease_s),
            )

    async def _prepare(
        self, claims: Sequence[Claim], endpoints: Mapping[str, Endpoint]
    ) -> tuple[list[Work], list[Attempted]]:
        if not claims:
            return [], []
        async with self._database.connection() as connection:
            rows = await webhook_sql.list_claimed_events(
                connection,
                tenant_ids=[claim.tenant_id for claim in claims],
                ids=[claim.event_id for claim in claims],
            )
        events = {(row.tenant_id, row.id): row for row in rows}
        bodies: dict[str, bytes] = {}
        now_s = self._now_s()
        work: list[Work] = []
        unsent: list[Attempted] = []
        for claim in claims:
            event = events.get((claim.tenant_id, claim.event_id))
            prepared = self._courier.prepare(claim, endpoints[claim.webhook_id], event, bodies)
            if isinstance(prepared, Attempted):
                unsent.append(prepared)
            else:
                work.append((prepared, self._lanes.start(claim.webhook_id, now_s)))
        return work, unsent

    async def _stay_alive(self) -> None:
        """While two workers disagree on their number, both may serve a lane: leases keep that harmless."""
        while True:
            await asyncio.sleep(_SIGN_OF_LIFE_S)
            await self._take_share()

    async def _take_share(self) -> None:
        now = self._clock.now()
        try:
            async with self._database.connection() as connection:
                row = await webhook_sql.upsert_webhook_worker(
                    connection, id=self._id, now=now, alive_until=now + timedelta(seconds=_ALIVE_S)
                )
        except _PASSING as error:
            log.warning("webhook.share_unknown", reason=error.reason)
        else:
            self._workers, self._place = row.workers, row.place

    async def _say_farewell(self) -> None:
        """So that the others take its lanes at once."""
        async with self._database.connection() as connection:
            await outbox_sql.delete_worker(connection, role="webhook", id=self._id, now=self._clock.now())

    async def _measure(self) -> None:
        while True:
            metrics.OPEN_BREAKERS.set(self._lanes.open_breakers(self._now_s()))
            try:
                async with self._database.connection() as connection:
                    metrics.BACKLOG.set(
                        await webhook_sql.count_pending_deliveries(connection, limit_rows=_MAX_BACKLOG)
                    )
            except _PASSING as error:
                log.warning("webhook.backlog_unknown", reason=error.reason)
            await asyncio.sleep(_MEASURE_INTERVAL_S)

    def _now_s(self) -> float:
        return self._clock.now().timestamp()
