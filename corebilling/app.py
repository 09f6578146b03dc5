"""The composition root: the one place that knows everything. Reads from top to bottom."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from aiohttp.web import RouteDef
from billing_db import outbox as outbox_sql

from corebilling import policies
from corebilling.bus.kafka import KafkaBus
from corebilling.bus.local import LocalBus
from corebilling.bus.nats import NatsBus
from corebilling.bus.noop import NoopBus
from corebilling.bus.port import Bus
from corebilling.config import ROLES, BusProvider, Settings
from corebilling.db import migrate
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.access.model import OF_ONE_ACCOUNT, allowed
from corebilling.domains.access.service import AccessService
from corebilling.domains.audit.jobs import Sealer
from corebilling.domains.audit.signing import HeadSigner
from corebilling.domains.invoice.hosted import HostedInvoices
from corebilling.domains.invoice.printing import InvoicePrinter
from corebilling.domains.quota.view import HolderView
from corebilling.domains.schedule.dues import Dues
from corebilling.domains.schedule.jobs import Scheduler
from corebilling.domains.webhook.jobs import WebhookWorker
from corebilling.errors import BillingError
from corebilling.events import outbox
from corebilling.events.dispatcher import CONNECTION_SETTINGS, Dispatcher
from corebilling.events.leases import ShardLeases
from corebilling.events.router import Router
from corebilling.events.tail import Tail
from corebilling.http import reference
from corebilling.http.body import Bodies
from corebilling.http.door import HttpDoor
from corebilling.http.server import HttpServer
from corebilling.rpc.accounts import Accounts
from corebilling.rpc.authentication import Authentication
from corebilling.rpc.authorization import Authorization
from corebilling.rpc.call import whose_call
from corebilling.rpc.concerns import concerns
from corebilling.rpc.door import Door
from corebilling.rpc.rate_limit import ProcessRates, RateLimit, Rates
from corebilling.rpc.server import RpcServer
from corebilling.rpc.shared_rates import SharedRates
from corebilling.rpc.tokens import Tokens
from corebilling.secrets import Secrets, load_master_key
from corebilling.services import Services
from corebilling.telemetry.traces import call_interceptors, start_traces, stop_traces
from corebilling.values.caller import Caller
from corebilling.values.clock import Clock
from corebilling.values.ids import PLATFORM_TENANT

MAX_EVENT_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """Where each database role logs in. A login that is a member of both roles will do for both."""

    app: str
    worker: str


@dataclass(frozen=True, slots=True)
class App:
    """The opened platform. `run` works until canceled; tests call `drain` instead, at their own time."""

    roles: Sequence[str]
    bus: Bus
    leases: ShardLeases | None
    dispatcher: Dispatcher
    router: Router
    scheduler: Scheduler
    sealer: Sealer
    webhooks: WebhookWorker
    tail: Tail
    grpc_address: str
    http_address: str
    new_platform_key: str | None

    @staticmethod
    @asynccontextmanager
    async def open(
        settings: Settings,
        urls: DatabaseUrls,
        clock: Clock,
        roles: Sequence[str] = ROLES,
        *,
        issue_platform_key: bool = False,
        worker_id: str = "",
    ) -> "AsyncIterator[App]":
        """Opens everything, in order; closes it in the reverse order.

        Args:
            issue_platform_key: Make the operators a key although they have one, as when it was lost.
            worker_id: Of the dispatcher, when no other process can have it.
        """
        async with AsyncExitStack() as stack:
            if settings.otlp_endpoint:
                start_traces(settings.otlp_endpoint)
            stack.callback(stop_traces)
            secrets = Secrets(
                load_master_key(settings.master_key.get_secret_value(), settings.master_key_file)
            )
            worker = await _database(
                stack, settings, clock, urls.worker, "corebilling_worker", lambda tx: wake(tx)
            )
            reader = await _database(
                stack, settings, clock, urls.worker, "corebilling_worker", lambda tx: wake(tx)
            )
            database = await _database(
                stack, settings, clock, urls.app, "corebilling_app", lambda tx: wake(tx)
            )

            leases = None
            if settings.event_bus_provider is BusProvider.NATS:
                leases = ShardLeases(worker, clock, settings.router_lease_seconds)
            # Whoever neither dispatches nor routes can start before the database is migrated.
            installation = await installation_id(worker) if {"dispatcher", "router"} & set(roles) else ""
            bus = await open_bus(stack, settings, leases, installation)

            services = Services.of(settings, secrets)
            table = services.handler_table()
            router = Router(worker, clock, table, policies.router_policy(settings))
            if "router" in roles:
                await router.register()
                bus.subscribe(router.consume)
            dispatcher = Dispatcher(reader, bus, clock, policies.dispatcher_policy(settings), worker_id)
            tail = Tail(reader, policies.tail_policy(settings))
            entitlement_tail = Tail(reader, policies.entitlement_tail_policy(settings))
            view = HolderView(clock, entitlement_tail, policies.view_policy(settings))
            scheduler = Scheduler(
                worker,
                services.schedule,
                Dues(worker, clock, services.dues()),
                clock,
                settings.scheduler_interval_seconds,
            )
            sealer = Sealer(worker, HeadSigner(secrets.audit_seed), settings.audit_seal_seconds)
            webhooks = await stack.enter_async_context(
                WebhookWorker.open(worker, secrets, clock, policies.webhook_policy(settings))
            )

            def wake(tx: Transaction) -> None:
                if tx.events:
                    dispatcher.wake(outbox.shards_of(tx))
                    tail.wake(event.tenant_id for event in tx.events)
                    for event in tx.events:
                        view.note(event.tenant_id, event.subject, event.metadata.ordering_key)
                webhooks.wake()

            grpc_address, http_address = "", ""
            pages: Sequence[RouteDef] = ()
            door_to_http: HttpDoor | None = None
            if "api" in roles:
                door = Door(database)
                printer = InvoicePrinter(settings.invoice_font_folder)
                hosted = HostedInvoices(
                    database,
                    printer,
                    secrets,
                    lambda: settings.public_url or http_address,
                )
                pages = [*hosted.routes(), *(reference.pages() if policies.http_api(settings) else ())]
                tokens = Tokens(policies.issuers(settings), clock)
                servicers = services.servicers(door, tail, view, table, settings, printer, hosted, tokens)
                passed = concerns(
                    Authentication(
                        database,
                        secrets,
                        clock,
                        tokens,
                        allowed,
                        OF_ONE_ACCOUNT,
                        policies.key_attempts(settings, clock),
                        keep_s=settings.credential_cache_seconds,
                    ),
                    Authorization(database, clock, keep_s=settings.credential_cache_seconds),
                    Accounts(database),
                    policies.call_limits(settings),
                    await _rate_limit(stack, settings, clock),
                )
                server = RpcServer(servicers, passed, policies.rpc_policy(settings), call_interceptors())
                grpc_address = f"{settings.host}:{await server.start()}"
                stack.push_async_callback(server.stop, settings.grpc_stop_grace_seconds)
                if policies.http_api(settings):
                    door_to_http = HttpDoor(
                        server.receivers,
                        policies.cors(settings),
                        Bodies(policies.body_limits(settings), whose_call),
                    )

            http = HttpServer(
                settings.host,
                settings.port,
                lambda: _problem(database),
                pages,
                door_to_http,
                stop_grace_s=settings.grpc_stop_grace_seconds,
            )
            http_address = f"http://{settings.host}:{await http.start()}"
            stack.push_async_callback(http.stop)
            # First, so that streams have ended when the servers wait for their calls.
            for watching in (tail, entitlement_tail, view):
                stack.push_async_callback(watching.stop)

            # Last: its text is known here alone, and would be lost with a start that fails.
            new_platform_key = None
            if "api" in roles:
                new_platform_key = await _platform_key(database, services.access, always=issue_platform_key)
            yield App(
                roles,
                bus,
                leases,
                dispatcher,
                router,
                scheduler,
                sealer,
                webhooks,
                tail,
                grpc_address,
                http_address,
                new_platform_key,
            )

    async def run(self) -> None:
        """Works until canceled. A loop that dies takes the others, and the process, down with its error."""
        loops = {
            "dispatcher": [self.dispatcher.run],
            "router": [self.router.run, self.bus.run, *([self.leases.run] if self.leases else [])],
            "webhook": [self.webhooks.run],
            "scheduler": [self.scheduler.run, self.sealer.run],
        }
        async with asyncio.TaskGroup() as tasks:
            for role in self.roles:
                for loop in loops.get(role, ()):
                    tasks.create_task(loop(), name=role)
            tasks.create_task(asyncio.Event().wait(), name="until canceled")

    async def drain(self) -> None:
        """Does everything that is due now, until nothing moves: for tests, which decide what time it is."""
        while True:
            moved = await self.scheduler.run_once()
            moved += await self.dispatcher.run_once()
            moved += await self.router.retry_due()
            if not moved:
                return


async def installation_id(database: Database) -> str:
    """Whose log this database holds."""
    async with database.connection() as connection:
        return await outbox_sql.get_installation(connection)


async def open_bus(
    stack: AsyncExitStack, settings: Settings, leases: ShardLeases | None, installation: str
) -> Bus:
    match settings.event_bus_provider:
        case BusProvider.LOCAL:
            return LocalBus(MAX_EVENT_BYTES)
        case BusProvider.NOOP:
            return NoopBus()
        case BusProvider.NATS:
            assert leases is not None
            address = policies.nats_address(settings, installation)
            return await stack.enter_async_context(
                NatsBus.open(address, leases.held, settings.router_concurrent_shards)
            )
        case BusProvider.KAFKA:
            brokers = policies.kafka_address(settings, installation)
            return await stack.enter_async_context(KafkaBus.open(brokers, settings.router_concurrent_shards))


async def _rate_limit(stack: AsyncExitStack, settings: Settings, clock: Clock) -> RateLimit | None:
    rate = policies.rate(settings)
    if rate is None:
        return None
    rates: Rates = ProcessRates(clock)
    if redis_url := settings.redis_url.get_secret_value():
        rates = await stack.enter_async_context(SharedRates.open(redis_url, clock))
    return RateLimit(rate, rates, clock)


async def _database(
    stack: AsyncExitStack,
    settings: Settings,
    clock: Clock,
    url: str,
    role: str,
    committed: Callable[[Transaction], None],
) -> Database:
    worker = role == "corebilling_worker"
    database = await Database.open(
        url,
        role=role,
        clock=clock,
        max_size=settings.database_worker_connections if worker else settings.database_app_connections,
        flush=outbox.flush,
        committed=committed,
        acquire_timeout_s=settings.database_acquire_timeout_seconds,
        statement_timeout_s=settings.database_statement_timeout_seconds,
        lock_timeout_s=settings.database_lock_timeout_seconds,
        settings=CONNECTION_SETTINGS,
    )
    stack.push_async_callback(database.close)
    await database.assert_least_privilege()
    return database


async def _platform_key(database: Database, access: AccessService, *, always: bool) -> str | None:
    """The operators' new key, if they had none."""
    caller = Caller(PLATFORM_TENANT, actor="job:first_start", role="platform_admin", permissions=frozenset())
    async with database.transaction(caller) as tx:
        return await (access.new_platform_key(tx) if always else access.ensure_platform_key(tx))


async def issue_platform_key(settings: Settings, url: str, clock: Clock) -> str:
    """Another key of the operators, without a server: of who can write to the database and has the master
    key."""
    secrets = Secrets(load_master_key(settings.master_key.get_secret_value(), settings.master_key_file))
    async with AsyncExitStack() as stack:
        database = await _database(stack, settings, clock, url, "corebilling_app", lambda _: None)
        key = await _platform_key(database, AccessService(secrets), always=True)
    assert key is not None, "it is always made"
    return key


async def _problem(database: Database) -> str:
    """Why this process cannot serve; '' when it can."""
    try:
        async with database.connection() as connection:
            missing = await migrate.missing(connection, migrate.MIGRATIONS)
    except BillingError as error:
        return error.message
    return f"migrations are pending: {', '.join(missing)}" if missing else ""
