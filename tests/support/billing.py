"""From contract to paid invoice without a server: the domains' services, the scheduler and the event path."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.event.v1 import event_pb2 as eventv1
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.schedule.v1 import schedule_pb2, schedule_service_pb2
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.types.v1 import period_pb2
from billing.usage.v1 import usage_pb2, usage_service_pb2

from corebilling.bus.local import LocalBus
from corebilling.db.pool import Database
from corebilling.db.transaction import Transaction
from corebilling.domains.catalog.service import CatalogService
from corebilling.domains.customer.service import CustomerService
from corebilling.domains.discount.service import DiscountService
from corebilling.domains.invoice.bundle_service import BundleService
from corebilling.domains.invoice.credit_note_service import CreditNoteService
from corebilling.domains.invoice.finalizing import Finalizer, InvoicePolicy
from corebilling.domains.invoice.handlers import InvoiceHandlers
from corebilling.domains.invoice.making import InvoiceMaker
from corebilling.domains.invoice.payment_service import PaymentService
from corebilling.domains.invoice.preview_service import PreviewService
from corebilling.domains.invoice.printing import InvoicePrinter
from corebilling.domains.invoice.rerating_service import ReratingService
from corebilling.domains.invoice.service import InvoiceService
from corebilling.domains.invoice.servicer import InvoiceServicer
from corebilling.domains.ledger.service import LedgerService
from corebilling.domains.ledger.statements import StatementService
from corebilling.domains.rating.handlers import RatingHandlers
from corebilling.domains.rating.service import RatingService
from corebilling.domains.schedule.dues import Dues
from corebilling.domains.schedule.jobs import Scheduler
from corebilling.domains.schedule.service import ScheduleService
from corebilling.domains.subscription.service import SubscriptionPolicy, SubscriptionService
from corebilling.domains.usage.handlers import UsageHandlers
from corebilling.domains.usage.service import MonthsMissing, UsageService
from corebilling.events import envelope, outbox
from corebilling.events.dispatcher import CONNECTION_SETTINGS, Dispatcher, DispatcherPolicy
from corebilling.events.handling import Handler
from corebilling.events.router import Router, RouterPolicy
from corebilling.mapping import timestamp
from corebilling.values.caller import Caller
from corebilling.values.ids import new_id
from tests.support.clock import FakeClock
from tests.support.postgres import TestDatabase

TENANT = "ten_0000000000000000000000000a"
OTHER_TENANT = "ten_0000000000000000000000000b"
START = datetime(2026, 3, 1, tzinfo=UTC)
GRACE_S = 3600
CONTEXT: Any = None

Response = TypeVar("Response")
UseCase = Callable[[Transaction, Any], Awaitable[Response]]


@dataclass(frozen=True)
class TenantDoor:
    """Opens transactions as one tenant, as the server's door does for an authenticated caller."""

    database: Database
    tenant_id: str

    async def read(self, request: Any, use_case: UseCase[Response]) -> Response:
        async with self.database.transaction(caller(self.tenant_id)) as tx:
            return await use_case(tx, request)

    write = read


@dataclass
class Billing:
    """What the tests talk to: the services, and `drain` to let everything happen that is due."""

    db: TestDatabase
    clock: FakeClock
    pool: Database
    worker: Database
    rating: RatingService
    ledger: LedgerService
    invoices: InvoiceService
    maker: InvoiceMaker
    subscriptions: SubscriptionService
    usage: UsageService
    scheduler: Scheduler
    dispatcher: Dispatcher
    statements: StatementService = field(default_factory=StatementService)
    meters: dict[str, str] = field(default_factory=dict)

    async def call(self, use_case: UseCase[Response], request: Any, tenant_id: str = TENANT) -> Response:
        return await TenantDoor(self.pool, tenant_id).read(request, use_case)

    def servicer(self, tenant_id: str = TENANT) -> InvoiceServicer:
        door: Any = TenantDoor(self.pool, tenant_id)
        previews = PreviewService(
            self.maker,
            self.rating,
            ScheduleService(self.subscriptions),
            self.subscriptions,
            DiscountService(),
        )
        shared: Any = None  # Links lead to a server, which there is none of here.
        notes, bundles = CreditNoteService(self.ledger), BundleService(self.ledger)
        reratings = ReratingService(self.maker)
        return InvoiceServicer(
            door,
            self.invoices,
            PaymentService(self.ledger),
            notes,
            previews,
            InvoicePrinter(),
            shared,
            reratings,
            bundles,
        )

    async def advance(self, to: datetime) -> None:
        """Moves the clock and does everything that became due, in order."""
        self.clock.advance(seconds=(to - self.clock.now()).total_seconds())
        await self.drain()

    async def drain(self) -> None:
        while await self.scheduler.run_once() + await self.dispatcher.run_once():
            pass

    async def customer(self, currency: str = "USD", tenant_id: str = TENANT, **details: Any) -> str:
        request = customer_service_pb2.CreateCustomerRequest(
            currency=currency, details=customer_service_pb2.CustomerDetails(name="Ada", **details)
        )
        customer: customer_pb2.Customer = (
            await self.call(CustomerService().create_customer, request, tenant_id)
        ).customer
        return customer.id

    async def price(self, code: str, *, meter: str = "", tenant_id: str = TENANT, **terms: Any) -> str:
        """A monthly price; graduated with `tiers`, per unit with a meter, else flat."""
        catalog = CatalogService()
        model = catalog_pb2.PRICE_MODEL_FLAT
        if meter or "tiers" in terms:
            model = catalog_pb2.PRICE_MODEL_PER_UNIT
        if "tiers" in terms:
            model = catalog_pb2.PRICE_MODEL_GRADUATED
        usage = catalog_pb2.PRICE_USAGE_METERED if meter else catalog_pb2.PRICE_USAGE_LICENSED
        request = catalog_service_pb2.CreatePriceRequest(
            product_id=await self._product(tenant_id),
            code=code,
            model=terms.pop("model", model),
            usage=usage,
            meter_id=await self._meter(meter, tenant_id) if meter else "",
            interval_unit=period_pb2.INTERVAL_UNIT_MONTH,
            **terms,
        )
        return (await self.call(catalog.create_price, request, tenant_id)).price.id

    async def subscribe(
        self, customer_id: str, *price_ids: str, tenant_id: str = TENANT, quantity: str = "", **options: Any
    ) -> subscription_pb2.Subscription:
        request = subscription_service_pb2.CreateSubscriptionRequest(
            customer_id=customer_id,
            items=[
                subscription_service_pb2.NewSubscriptionItem(price_id=price_id, quantity=quantity)
                for price_id in price_ids
            ],
            **options,
        )
        return (await self.call(self.subscriptions.create_subscription, request, tenant_id)).subscription

    async def change(self, subscription_id: str, *price_ids: str) -> None:
        """Now."""
        request = subscription_service_pb2.ChangeSubscriptionRequest(
            subscription_id=subscription_id,
            items=[subscription_service_pb2.NewSubscriptionItem(price_id=price_id) for price_id in price_ids],
        )
        await self.call(self.subscriptions.change_subscription, request)

    async def cancel(self, subscription_id: str) -> None:
        """Now."""
        request = subscription_service_pb2.CancelSubscriptionRequest(subscription_id=subscription_id)
        await self.call(self.subscriptions.cancel_subscription, request)

    async def use(
        self,
        subscription_id: str,
        meter: str,
        quantity: str,
        at: datetime | None = None,
        properties: Mapping[str, str] | None = None,
    ) -> usage_service_pb2.ReportUsageResponse:
        record = usage_pb2.UsageRecord(
            idempotency_key=new_id("key"),
            subscription_id=subscription_id,
            meter_code=meter,
            quantity=quantity,
            recorded_at=timestamp(at or self.clock.now()),
            properties=properties or {},
        )
        request = usage_service_pb2.ReportUsageRequest(record=record)
        try:
            return await self.call(self.usage.report_usage, request)
        except MonthsMissing as missing:
            async with self.pool.transaction(caller()) as tx:
                await self.usage.make_partitions(tx, missing.months)
            self.usage.know_partitions(missing.months)
            return await self.call(self.usage.report_usage, request)

    async def cycles(self, subscription_id: str) -> Sequence[schedule_pb2.BillingCycle]:
        """Oldest first."""
        schedule = ScheduleService(self.subscriptions)
        request = schedule_service_pb2.ListBillingCyclesRequest(subscription_id=subscription_id)
        return list(reversed((await self.call(schedule.list_billing_cycles, request)).cycles))

    async def invoices_of(self, subscription_id: str) -> list[invoice_pb2.Invoice]:
        """Oldest first, with their lines."""
        listed = await self.call(
            self.invoices.list_invoices,
            invoice_service_pb2.ListInvoicesRequest(subscription_id=subscription_id),
        )
        return [await self.invoice(invoice.id) for invoice in reversed(listed.invoices)]

    async def invoice(self, invoice_id: str, tenant_id: str = TENANT) -> invoice_pb2.Invoice:
        request = invoice_service_pb2.GetInvoiceRequest(invoice_id=invoice_id)
        return (await self.call(self.invoices.get_invoice, request, tenant_id)).invoice

    async def events(self, *subjects: str) -> list[tuple[eventv1.Event, Any]]:
        """Events of these subjects with their payloads, in the order they were written."""
        rows = await self.db.admin(
            "SELECT id, subject, resource_id, resource_version, payload_type, payload FROM billing_events "
            "WHERE subject = ANY ($1) ORDER BY xid, seq",
            list(subjects),
        )
        events = [
            eventv1.Event(
                id=row["id"],
                subject=row["subject"],
                resource_id=row["resource_id"],
                payload={"type_url": f"type.googleapis.com/{row['payload_type']}", "value": row["payload"]},
                metadata=eventv1.EventMetadata(resource_version=row["resource_version"]),
            )
            for row in rows
        ]
        return [(event, envelope.payload(event)) for event in events]

    async def _product(self, tenant_id: str) -> str:
        request = catalog_service_pb2.CreateProductRequest(
            code=new_id("p").replace("_", "-"), name="Platform"
        )
        return (await self.call(CatalogService().create_product, request, tenant_id)).product.id

    async def meter(self, code: str, tenant_id: str = TENANT, **terms: Any) -> catalog_pb2.Meter:
        """Prices name it by its code."""
        request = catalog_service_pb2.CreateMeterRequest(code=code, name=code, unit=code, **terms)
        meter: catalog_pb2.Meter = (await self.call(CatalogService().create_meter, request, tenant_id)).meter
        self.meters[code] = meter.id
        return meter

    async def _meter(self, code: str, tenant_id: str) -> str:
        if code not in self.meters:
            aggregation = catalog_pb2.AGGREGATION_MAX if code == "peak" else catalog_pb2.AGGREGATION_SUM
            await self.meter(code, tenant_id, aggregation=aggregation)
        return self.meters[code]


def caller(tenant_id: str = TENANT) -> Caller:
    return Caller(tenant_id=tenant_id, actor="key:test", role="owner", permissions=frozenset())


@pytest.fixture
async def billing(database: TestDatabase) -> AsyncIterator[Billing]:
    for tenant_id in (TENANT, OTHER_TENANT):
        await database.admin(
            "INSERT INTO tenants (id, name, slug, mode, default_currency, timezone, created_at) "
            "VALUES ($1, 'Acme Cloud', $1, 'live', 'USD', 'UTC', $2)",
            tenant_id,
            START,
        )
    async with AsyncExitStack() as stack:
        yield await _open(stack, database)


async def _open(stack: AsyncExitStack, database: TestDatabase) -> Billing:
    clock = FakeClock(START)
    pools = []
    for role in ("corebilling_app", "corebilling_worker"):
        pool = await Database.open(
            database.url(role),
            role=role,
            clock=clock,
            max_size=16,
            flush=outbox.flush,
            acquire_timeout_s=60,
            settings=CONNECTION_SETTINGS,
        )
        stack.push_async_callback(pool.close)
        pools.append(pool)
    app, worker = pools
    rating, ledger = RatingService(), LedgerService()
    finalizer = Finalizer(ledger, InvoicePolicy(number_prefix="INV", due_days=30))
    maker = InvoiceMaker(ledger, finalizer)
    subscriptions = SubscriptionService(SubscriptionPolicy(GRACE_S))
    usage = UsageService(
        subscriptions, back=timedelta(days=35), ahead=timedelta(minutes=5), grace=timedelta(seconds=GRACE_S)
    )
    table = {
        "usage.reported": [Handler("rating.usage", RatingHandlers(rating).on_usage_reported)],
        "billing.cycle.closed": [Handler("rating.cycle", RatingHandlers(rating).on_billing_cycle_closed)],
        "rating.completed": [Handler("invoice", InvoiceHandlers(maker).on_rating_completed)],
        "invoice.generated": [Handler("usage", UsageHandlers(usage).on_invoice_generated)],
    }
    router = Router(worker, clock, table, RouterPolicy())
    await router.register()
    bus = LocalBus(1_000_000)
    bus.subscribe(router.consume)
    schedule = ScheduleService(subscriptions)
    return Billing(
        db=database,
        clock=clock,
        pool=app,
        worker=worker,
        rating=rating,
        ledger=ledger,
        invoices=InvoiceService(ledger, maker, finalizer),
        maker=maker,
        subscriptions=subscriptions,
        usage=usage,
        scheduler=Scheduler(worker, schedule, Dues(worker, clock, {}), clock, interval_s=1),
        dispatcher=Dispatcher(worker, bus, clock, DispatcherPolicy()),
    )
