"""Webhook deliveries: how many per second as a share of bare POSTs, and what bad endpoints cost the others.

Receivers run in a process of their own. The worker is the one of production, with its claims, leases,
signatures and records.
"""

import asyncio
import os
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp
import asyncpg
import uvloop
from billing.event.v1 import event_pb2 as eventv1
from billing.webhook.v1 import webhook_service_pb2 as rpc

from bench.platform import BenchDatabase, NewDatabase, bare_program, in_own_process
from bench.report import Row, console, median_ratio, rates
from corebilling.db.pool import Database
from corebilling.domains.webhook import metrics
from corebilling.domains.webhook.jobs import WebhookWorker
from corebilling.domains.webhook.model import WebhookPolicy
from corebilling.domains.webhook.service import WebhookService
from corebilling.events import outbox
from corebilling.secrets import Secrets
from corebilling.values.caller import Caller
from corebilling.values.clock import SystemClock

TENANTS = 10
ENDPOINTS_PER_TENANT = 100
ENDPOINTS = TENANTS * ENDPOINTS_PER_TENANT
DELIVERIES = 5_000
AT_ONCE = 100
ROUNDS = 5
# Of five endpoints one is bad, and of five bad ones four hang and one fails.
BAD = 5
FAILS = 25
EVENTS_PER_SECOND = 200
SECONDS = {False: 8, True: 30}
PAIRS = 5

POLICY = WebhookPolicy(limit=AT_ONCE, allow_private=True)

ADD_TENANT = """
INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at)
VALUES ($1, $1, $1, 'live', 'USD', 'UTC', now())
"""

# Each event to the endpoint that its subject ends with; as the handler would, but in one statement.
QUEUE = """
INSERT INTO webhook_deliveries (
    tenant_id, id, webhook_id, event_id, subject, state, next_attempt_at, created_at
)
SELECT e.tenant_id, 'whd_' || substr(e.id, 5), w.id, e.id, e.subject, 'pending', e.created_at, e.created_at
FROM billing_events AS e JOIN webhooks AS w ON w.tenant_id = e.tenant_id AND e.subject = w.filters[1]
WHERE e.subject LIKE 'bench.%' AND e.tenant_id = $1 AND e.id = ANY ($2::text[])
"""

TIMES = """
SELECT extract(epoch FROM a.started_at - d.created_at) * 1000 + a.duration_ms AS ms
FROM webhook_deliveries AS d
JOIN webhooks AS w ON w.tenant_id = d.tenant_id AND w.id = d.webhook_id
JOIN webhook_delivery_attempts AS a ON a.tenant_id = d.tenant_id AND a.delivery_id = d.id
WHERE d.state = 'delivered' AND NOT w.filters[1] = ANY ($1::text[])
"""


def caller(tenant_id: str) -> Caller:
    return Caller(tenant_id=tenant_id, actor="key:bench", role="owner", permissions=frozenset())


def subject_of(endpoint: int) -> str:
    return f"bench.e{endpoint}"


def tenant_of(endpoint: int) -> str:
    return f"ten_bench{endpoint // ENDPOINTS_PER_TENANT}"


class Bench:
    """Endpoints of several tenants, and a worker for them."""

    def __init__(self, app: Database, worker: Database, secrets: Secrets) -> None:
        self._app = app
        self._worker = worker
        self._secrets = secrets

    @classmethod
    @asynccontextmanager
    async def open(cls, database: BenchDatabase) -> "AsyncIterator[Bench]":
        pools = [
            await Database.open(url, role=role, clock=SystemClock(), max_size=8, flush=outbox.flush)
            for url, role in ((database.app, "corebilling_app"), (database.worker, "corebilling_worker"))
        ]
        try:
            yield cls(pools[0], pools[1], Secrets(os.urandom(32)))
        finally:
            for pool in pools:
                await pool.close()

    async def add_endpoints(self, urls: Sequence[str]) -> None:
        service = WebhookService(self._secrets, POLICY)
        for number, url in enumerate(urls):
            request = rpc.CreateWebhookRequest(url=url, filters=[subject_of(number)], rate_per_second=1000)
            async with self._app.transaction(caller(tenant_of(number))) as tx:
                await service.create_webhook(tx, request)

    async def queue(self, endpoints: Sequence[int]) -> None:
        """One event to each."""
        for tenant_id in sorted({tenant_of(endpoint) for endpoint in endpoints}):
            own = [endpoint for endpoint in endpoints if tenant_of(endpoint) == tenant_id]
            async with self._app.transaction(caller(tenant_id)) as tx:
                events = [append(tx, endpoint) for endpoint in own]
                await outbox.flush(tx)
                tx.events.clear()
                await tx.execute(QUEUE, tenant_id, [event.id for event in events])

    @asynccontextmanager
    async def working(self) -> AsyncIterator[WebhookWorker]:
        async with WebhookWorker.open(self._worker, self._secrets, SystemClock(), POLICY) as worker:
            running = asyncio.create_task(worker.run())
            try:
                yield worker
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running


def append(tx: Any, endpoint: int) -> eventv1.Event:
    event = eventv1.CustomEvent()
    event.data["amount"] = endpoint
    return outbox.append(
        tx,
        event,
        subject=subject_of(endpoint),
        resource_id=f"agg_{endpoint}",
        resource_version=1,
        ordering_key=f"agg_{endpoint}",
    )


async def delivered_per_second(bench: Bench) -> float:
    for start in range(0, DELIVERIES, 500):
        await bench.queue([number % ENDPOINTS_PER_TENANT for number in range(start, start + 500)])
    before, start_s = _successes(), time.perf_counter()
    async with bench.working():
        while _successes() - before < DELIVERIES:  # noqa: ASYNC110 (a counter has no event)
            await asyncio.sleep(0.005)
        return DELIVERIES / (time.perf_counter() - start_s)


async def bare_posts_per_second(address: str) -> float:
    """The same client, bodies of the same size, as many at once, and nothing else."""
    body, headers = b"{" + b"x" * 500 + b"}", {"Content-Type": "application/json"}
    numbers = iter(range(DELIVERIES))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:

        async def work() -> None:
            for number in numbers:
                async with session.post(
                    f"{address}/ok/{number % 100}", data=body, headers=headers
                ) as response:
                    await response.read()

        with bare_program():
            start_s = time.perf_counter()
            await asyncio.gather(*(work() for _ in range(AT_ONCE)))
        return DELIVERIES / (time.perf_counter() - start_s)


async def healthy_p99_ms(database: BenchDatabase, address: str, *, bad: bool, long: bool) -> float:
    """From the event's commit to the answer, of the endpoints that are good in both runs."""
    bad_ones = [number for number in range(ENDPOINTS) if number % BAD == 0]
    admin = await asyncpg.connect(database.admin)
    for number in range(TENANTS):
        await admin.execute(ADD_TENANT, tenant_of(number * ENDPOINTS_PER_TENANT))
    async with Bench.open(database) as bench:
        await bench.add_endpoints([_url(address, number, bad=bad) for number in range(ENDPOINTS)])
        async with bench.working() as worker:
            await _produce(bench, worker, SECONDS[long])
            await asyncio.sleep(1)
    rows = await admin.fetch(TIMES, [subject_of(number) for number in bad_ones])
    await admin.close()
    times = sorted(float(row["ms"]) for row in rows)
    sent = EVENTS_PER_SECOND * SECONDS[long] * (BAD - 1) // BAD
    if len(times) < sent * 0.98:
        raise RuntimeError(f"only {len(times)} of {sent} deliveries to good endpoints were made")
    return times[int(len(times) * 0.99)]


def _url(address: str, number: int, *, bad: bool) -> str:
    kind = "ok" if not bad or number % BAD else "fail" if number % FAILS == 0 else "hang"
    return f"{address}/{kind}/{number}"


async def _produce(bench: Bench, worker: WebhookWorker, seconds: int) -> None:
    """At an even rate, whatever becomes of them: to each endpoint in turn, one tenant at a time."""
    start_s, batch = time.perf_counter(), 10
    for number in range(0, EVENTS_PER_SECOND * seconds, batch):
        await asyncio.sleep(start_s + number / EVENTS_PER_SECOND - time.perf_counter())
        first = number * ENDPOINTS_PER_TENANT // batch * 7
        await bench.queue([(first + offset) % ENDPOINTS for offset in range(batch)])
        worker.wake()


async def measure(new_database: NewDatabase, *, long: bool) -> list[Row]:
    async with in_own_process(_receive) as port:
        address = f"http://127.0.0.1:{port}"
        return [await _throughput(new_database, address), await _isolation(new_database, address, long=long)]


async def _throughput(new_database: NewDatabase, address: str) -> Row:
    console.print(f"webhooks: {ROUNDS} rounds of {DELIVERIES:,} deliveries and bare POSTs")
    database = await new_database("webhooks")
    admin = await asyncpg.connect(database.admin)
    await admin.execute(ADD_TENANT, tenant_of(0))
    await admin.close()
    pairs = []
    async with Bench.open(database) as bench:
        await bench.add_endpoints([f"{address}/ok/{number}" for number in range(ENDPOINTS_PER_TENANT)])
        for _ in range(ROUNDS):
            bare = await bare_posts_per_second(address)
            pairs.append((await delivered_per_second(bench), bare))
    return Row("webhook deliveries", "bare aiohttp POST", median_ratio(pairs), 0.35, 0.55, rates(pairs))


async def _isolation(new_database: NewDatabase, address: str, *, long: bool) -> Row:
    console.print(f"webhooks: {PAIRS} pairs of runs, {ENDPOINTS:,} endpoints, none or some bad")
    pairs = []
    for number in range(PAIRS):
        good = await healthy_p99_ms(await new_database(f"good{number}"), address, bad=False, long=long)
        bad = await healthy_p99_ms(await new_database(f"bad{number}"), address, bad=True, long=long)
        pairs.append((good, bad))
    good_ms, bad_ms = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(
        "healthy webhooks' p99, 20 % bad",
        "the same with none bad",
        median_ratio(pairs),
        1 / 1.3,
        0.95,
        f"{good_ms:.0f} ms ÷ {bad_ms:.0f} ms",
    )


def _successes() -> float:
    return float(metrics.SUCCESS._value.get())


class _Receiver(asyncio.Protocol):
    """As little HTTP as will do: what is measured is the sender."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            head = self._data[:end].lower()
            at = head.index(b"content-length:") + 15
            length = int(head[at : head.find(b"\r", at) if b"\r" in head[at:] else None])
            if len(self._data) < end + 4 + length:
                return
            self._data = self._data[end + 4 + length :]
            if head.startswith(b"post /hang"):
                continue
            status = b"500 Sorry" if head.startswith(b"post /fail") else b"200 OK"
            self._transport.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")


def _receive(started: Any) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Receiver, "127.0.0.1", 0)
        started.put(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())
