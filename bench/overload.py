"""What a server still does when ten times as much is asked of it as it can do, by clients in other processes.

Half of the calls create a customer, half read one. The peak is what 32 callers get. Overload is ten times as
many callers, who wait as they are told to when they are refused, and then ten times as many calls per second,
by clients who heed nothing.

The server takes 64 calls at once, and so 32 of a tenant. Of the 256 that it takes by default, one process
never has so many at once: those who ask for more wait in gRPC, and nobody would be refused.
"""

import asyncio
import itertools
import multiprocessing
import os
import statistics
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import grpc
import uvloop
from billing.customer.v1 import customer_service_pb2 as rpc
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bench.load import Offer, Request, Seen, headers, offer
from bench.platform import TENANT, Api, NewDatabase, in_own_process, running_api
from bench.report import Row, console
from bench.rpc import ADD_TENANT
from corebilling.values.ids import new_id

CALLERS = 32
MAX_CALLS = 64
TIMES = 10
CLIENTS = 2
CONNECTIONS = 8
CUSTOMERS = 200
ROUNDS = 3
WARM_UP_S = 2.0
WINDOW_S = 4.0
PROBE_EVERY_S = 0.05
PROBE_TIMEOUT_S = 5.0

SERVICE = "billing.customer.v1.CustomerService"
DETAILS = rpc.CustomerDetails(name="Ada", company="Analytical Engines", email="ada@example.com")


@dataclass(frozen=True, slots=True)
class Measured:
    """What was seen within the window."""

    goodput: float
    per_processor_s: float
    """Answers per second of processor time that the server got: of this, other programs take nothing."""
    answers_s: Sequence[float]
    refusals_s: Sequence[float]
    health_s: Sequence[float]


@dataclass(slots=True)
class Round:
    peak: Measured
    callers: Measured
    calls: Measured


@dataclass(slots=True)
class Bench:
    api: Api
    key: str
    customer_ids: Sequence[str]
    rounds: list[Round] = field(default_factory=list)

    async def run(self) -> None:
        for number in range(ROUNDS):
            console.print(f"overload: round {number + 1} of {ROUNDS}")
            peak = await self._offered(Offer(CONNECTIONS, callers=CALLERS // CLIENTS))
            callers = await self._offered(Offer(CONNECTIONS, callers=TIMES * CALLERS // CLIENTS))
            per_second = TIMES * peak.goodput / CLIENTS
            calls = await self._offered(Offer(CONNECTIONS, calls_per_second=per_second))
            self.rounds.append(Round(peak, callers, calls))

    async def _offered(self, what: Offer) -> Measured:
        """By each client."""
        spawn = multiprocessing.get_context("spawn")
        ready = spawn.Barrier(CLIENTS + 1)
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as tasks:
            client = (self.api.address, self.key, self.customer_ids, what, ready)
            seen = [tasks.create_task(_seen_by(*client)) for _ in range(CLIENTS)]
            await asyncio.to_thread(ready.wait)
            health = await stack.enter_async_context(_probing(self.api))
            await asyncio.sleep(WARM_UP_S)
            start, busy = time.perf_counter(), _processor_s(self.api.pid)
            await asyncio.sleep(WINDOW_S)
            end, busy = time.perf_counter(), _processor_s(self.api.pid) - busy
        total = Seen()
        for task in seen:
            total.add(task.result())

        def within(ended: Sequence[tuple[float, float]]) -> Sequence[float]:
            return [took_s for at, took_s in ended if start <= at < end]

        answers_s = within(total.answers)
        return Measured(
            goodput=len(answers_s) / (end - start),
            per_processor_s=len(answers_s) / busy,
            answers_s=answers_s,
            refusals_s=within(total.refusals),
            health_s=health,
        )

    def rows(self, memory: float) -> list[Row]:
        return [
            self._goodput("goodput, 10x the callers", lambda r: r.callers),
            self._goodput("goodput, 10x the calls", lambda r: r.calls),
            *self._speed_of_refusals(),
            Row(
                "health, p99",
                "10x the calls",
                statistics.median(_quantile(r.calls.health_s, 0.99) for r in self.rounds) * 1000,
                1000,
                100,
                f"at the peak {_ms(self.rounds, 0.99, lambda r: r.peak.health_s)}",
                lower_is_better=True,
            ),
            Row("memory before", "and after", memory, 0.8, 0.9),
        ]

    def _speed_of_refusals(self) -> list[Row]:
        """None when nobody was refused: on a machine so fast, or so slow, that callers only wait."""
        refusing = [r for r in self.rounds if r.callers.refusals_s]
        if not refusing:
            return []
        ratio = statistics.median(
            _quantile(r.callers.answers_s, 0.5) / _quantile(r.callers.refusals_s, 0.99) for r in refusing
        )
        detail = (
            f"answers {_ms(refusing, 0.5, lambda r: r.callers.answers_s)}, "
            f"refusals {_ms(refusing, 0.99, lambda r: r.callers.refusals_s)}"
        )
        return [Row("answers' p50", "refusals' p99, 10x the callers", ratio, 0.5, 1.0, detail)]

    def _goodput(self, path: str, which: Callable[[Round], Measured]) -> Row:
        ratio = statistics.median(which(r).goodput / r.peak.goodput for r in self.rounds)
        per_processor = statistics.median(
            which(r).per_processor_s / r.peak.per_processor_s for r in self.rounds
        )
        detail = f"per processor time {per_processor:.2f}; {self.rounds[0].peak.goodput:,.0f}/s at first"
        return Row(path, "peak, 32 callers", ratio, 0.90, 1.0, detail)


async def measure(new_database: NewDatabase) -> list[Row]:
    database = await new_database("overload")
    admin = await asyncpg.connect(database.admin)
    await admin.execute(ADD_TENANT, TENANT)
    await admin.close()
    async with running_api(database, grpc_max_concurrent_calls=MAX_CALLS) as api:
        key = await api.tenant_key(TENANT)
        bench = Bench(api, key, await _customers(api, key))
        await bench._offered(Offer(CONNECTIONS, callers=CALLERS // CLIENTS))
        memory = _resident_bytes(api.pid)
        await bench.run()
        return bench.rows(memory / _resident_bytes(api.pid))


async def _customers(api: Api, key: str) -> Sequence[str]:
    async with grpc.aio.insecure_channel(api.address) as channel:
        stub: Any = CustomerServiceStub(channel)
        created = [
            await stub.CreateCustomer(_creation(), metadata=(("x-api-key", key),)) for _ in range(CUSTOMERS)
        ]
    return [answer.customer.id for answer in created]


def _creation() -> rpc.CreateCustomerRequest:
    return rpc.CreateCustomerRequest(request_id=new_id("req"), currency="USD", details=DETAILS)


async def _seen_by(*client: Any) -> Seen:
    async with in_own_process(_client, *client) as seen:
        return seen  # type: ignore[no-any-return] # came through a queue


def _client(address: str, key: str, customer_ids: Sequence[str], what: Offer, ready: Any, seen: Any) -> None:
    reads = [rpc.GetCustomerRequest(customer_id=each).SerializeToString() for each in customer_ids]
    some = itertools.cycle(reads)
    requests = [
        Request(headers(f"{SERVICE}/GetCustomer", key), lambda: next(some)),
        Request(headers(f"{SERVICE}/CreateCustomer", key), lambda: _creation().SerializeToString()),
    ]
    ready.wait()
    seen.put(uvloop.run(offer(address, requests, what, WARM_UP_S + WINDOW_S)))


@asynccontextmanager
async def _probing(api: Api) -> AsyncIterator[list[float]]:
    """How long health took to answer in the block, by gRPC and by HTTP. It fails when either does."""
    took_s: list[float] = []
    over = asyncio.Event()

    async def probe() -> None:
        async with grpc.aio.insecure_channel(api.address) as channel, aiohttp.ClientSession() as session:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            while not over.is_set():
                started = time.perf_counter()
                answer = await stub.Check(health_pb2.HealthCheckRequest(), timeout=PROBE_TIMEOUT_S)
                assert answer.status == health_pb2.HealthCheckResponse.SERVING
                took_s.append(time.perf_counter() - started)
                started = time.perf_counter()
                async with session.get(f"{api.http_address}/health") as response:
                    assert response.status == 200
                took_s.append(time.perf_counter() - started)
                await asyncio.sleep(PROBE_EVERY_S)

    probing = asyncio.create_task(probe())
    try:
        yield took_s
    finally:
        over.set()
        await probing


def _processor_s(pid: int) -> float:
    """What the process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _ms(rounds: Sequence[Round], share: float, which: Callable[[Round], Sequence[float]]) -> str:
    return f"{statistics.median(_quantile(which(r), share) for r in rounds) * 1000:,.0f} ms"
