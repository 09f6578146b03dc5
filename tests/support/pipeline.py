"""The event path on a real Postgres, with handlers that write down what they see."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from billing.event.v1 import event_pb2 as eventv1

from corebilling.bus.local import LocalBus
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.events import outbox
from corebilling.events.dispatcher import CONNECTION_SETTINGS, Dispatcher, DispatcherPolicy
from corebilling.events.handling import Handler
from corebilling.events.router import Router, RouterPolicy
from corebilling.values.caller import Caller
from corebilling.values.subject import ANY_SUBJECT
from tests.support.clock import FakeClock
from tests.support.postgres import TestDatabase

TENANT = "ten_0000000000000000000000000a"
OTHER_TENANT = "ten_0000000000000000000000000b"
MAX_EVENT_BYTES = 100_000

SCRATCH = """
CREATE TABLE effects (
    nr bigint GENERATED ALWAYS AS IDENTITY,
    handler text, tenant_id text, event_id text, resource_id text, version bigint
);
CREATE TABLE aggregates (id text PRIMARY KEY, version bigint NOT NULL);
CREATE TABLE notes (text text);
GRANT SELECT, INSERT, UPDATE ON effects, aggregates, notes TO corebilling_app, corebilling_worker;
"""


def caller(tenant_id: str = TENANT) -> Caller:
    return Caller(tenant_id=tenant_id, actor="key:test", role="owner", permissions=frozenset())


@dataclass
class Witness:
    """A handler that leaves one row per event, in the transaction it is given."""

    name: str
    fails_on: Callable[[eventv1.Event], bool] = field(default=lambda event: False)
    calls: int = 0

    async def __call__(self, tx: Transaction, event: eventv1.Event) -> None:
        self.calls += 1
        await tx.execute(
            "INSERT INTO effects (handler, tenant_id, event_id, resource_id, version) "
            "VALUES ($1, $2, $3, $4, $5)",
            self.name,
            tx.tenant_id,
            event.id,
            event.resource_id,
            event.metadata.resource_version,
        )
        if self.fails_on(event):
            raise RuntimeError(f"{self.name} cannot do {event.resource_id}")


@dataclass
class Together(Witness):
    """The same, given all of a tenant's events of a batch: `batches` has how many each time."""

    batches: list[int] = field(default_factory=list)

    async def handle_all(self, tx: Transaction, events: Sequence[eventv1.Event]) -> None:
        self.batches.append(len(events))
        for event in events:
            await self(tx, event)


@dataclass
class Pipeline:
    """`writer` is what RPCs write with; `worker` what dispatcher and router run on."""

    database: TestDatabase
    clock: FakeClock
    writer: Database
    worker: Database
    bus: LocalBus
    router: Router
    dispatcher: Dispatcher

    async def write(
        self, resource_id: str, version: int = 1, *, key: str = "", tenant_id: str = TENANT
    ) -> eventv1.Event:
        """Commits one event of the tenant's own."""
        async with self.writer.transaction(caller(tenant_id)) as tx:
            return append(tx, resource_id, version, key=key)

    async def drain(self) -> None:
        """Dispatches and handles until nothing is left."""
        while await self.dispatcher.run_once():
            pass

    async def effects(self, handler: str = "first") -> list[str]:
        """The resources the handler acted on, in that order."""
        rows = await self.database.admin(
            "SELECT resource_id FROM effects WHERE handler = $1 ORDER BY nr", handler
        )
        return [row["resource_id"] for row in rows]

    async def failures(self) -> list[tuple[str, str, int]]:
        rows = await self.database.admin(
            "SELECT event_id, state, attempts FROM event_handler_failures ORDER BY xid, seq, handler"
        )
        return [(row["event_id"], row["state"], row["attempts"]) for row in rows]


def append(tx: Transaction, resource_id: str, version: int = 1, *, key: str = "") -> eventv1.Event:
    return outbox.append(
        tx,
        eventv1.CustomEvent(),
        subject="thing.happened",
        resource_id=resource_id,
        resource_version=version,
        ordering_key=key or resource_id,
    )


@asynccontextmanager
async def pipeline(
    database: TestDatabase,
    handlers: Sequence[Callable[[Transaction, eventv1.Event], Awaitable[None]]],
    *,
    max_attempts: int = 10,
    lock_timeout_s: float = 10.0,
) -> AsyncIterator[Pipeline]:
    """Opens the event path; the handlers see every event, and are named first, second, …"""
    clock = FakeClock()
    await scratch(database)
    async with AsyncExitStack() as stack:
        writer = await open_database(stack, database, clock, "corebilling_app")
        worker = await open_database(stack, database, clock, "corebilling_worker", lock_timeout_s)
        names = ("first", "second", "third")
        table = {
            ANY_SUBJECT: [
                Handler(name, handle, handle.handle_all if isinstance(handle, Together) else None)
                for name, handle in zip(names, handlers, strict=False)
            ]
        }
        router = Router(worker, clock, table, RouterPolicy(max_attempts=max_attempts))
        await router.register()
        bus = LocalBus(MAX_EVENT_BYTES)
        bus.subscribe(router.consume)
        yield Pipeline(database, clock, writer, worker, bus, router, new_dispatcher(worker, bus, clock))


def new_dispatcher(worker: Database, bus: LocalBus, clock: FakeClock) -> Dispatcher:
    return Dispatcher(worker, bus, clock, DispatcherPolicy())


async def scratch(database: TestDatabase) -> None:
    for statement in SCRATCH.split(";"):
        if statement.strip():
            await database.admin(statement)


async def open_database(
    stack: AsyncExitStack, database: TestDatabase, clock: FakeClock, role: str, lock_timeout_s: float = 10.0
) -> Database:
    opened = await Database.open(
        database.url(role),
        role=role,
        clock=clock,
        max_size=16,
        flush=outbox.flush,
        lock_timeout_s=lock_timeout_s,
        settings=CONNECTION_SETTINGS,
    )
    stack.push_async_callback(opened.close)
    return opened
