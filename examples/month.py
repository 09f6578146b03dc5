"""One month of billing, from contract to paid invoice.

Starts the whole platform (`corebilling up`) in a folder of its own and plays a month against it over gRPC:
a sandbox tenant whose clock starts where the usage does, a plan of a monthly fee and two metered prices,
usage imported from a CSV file, the clock advanced past the month, and what comes of it: the invoice, its
PDF, the signed webhooks and the ledger.

    make demo                              with a generated sample
    make demo USAGE=requests.csv           with your own: columns TIMESTAMP, ContextTokens, GeneratedTokens

Of a file that spans more than a month, the month from its first row is billed; later rows are left out.
"""

import argparse
import asyncio
import csv
import random
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import grpc
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from billing.catalog.v1 import catalog_pb2, catalog_service_pb2
from billing.catalog.v1.catalog_service_pb2_grpc import CatalogServiceStub
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.subscription.v1 import subscription_pb2, subscription_service_pb2
from billing.subscription.v1.subscription_service_pb2_grpc import SubscriptionServiceStub
from billing.tenant.v1 import tenant_pb2, tenant_service_pb2
from billing.tenant.v1.tenant_service_pb2_grpc import TenantServiceStub
from billing.types.v1 import period_pb2
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub

from corebilling.client import Client
from corebilling.commands.clock import advance_clock
from corebilling.commands.connection import explain
from corebilling.commands.usage import report, upload_file
from corebilling.mapping import enum_text, instant, timestamp
from corebilling.usage_file import ColumnMapping, FileInvalid, UsageFile
from corebilling.values.period import BillingCalendar
from examples.platform import NotStarted, Platform
from examples.receiver import Receiver
from examples.show import console, invoice_table, show_ledger, step

METERS = {"input_tokens": "ContextTokens", "output_tokens": "GeneratedTokens"}
PER_MILLION = {"input_tokens": "0.15", "output_tokens": "0.60"}
SAMPLE_REQUESTS = 2_000
GRACE = timedelta(hours=1)
WEBHOOKS = (
    "invoice.generated",
    "invoice.status.changed",
    "invoice.payment.recorded",
    "invoice.status.changed",
    "invoice.paid",
)
"""All that the month makes, in the order of the events. Deliveries may overtake one another."""


@dataclass(frozen=True, slots=True)
class Usage:
    """A file of requests: the first and last of them, and what they add up to."""

    file: Path
    rows: int
    first: datetime
    last: datetime


def columns(subscription_id: str) -> ColumnMapping:
    return ColumnMapping(subscription_id, "TIMESTAMP", tuple(METERS.items()))


def read_requests(file: Path) -> Iterator[tuple[datetime, Mapping[str, str]]]:
    """Each row's time, and its quantities by meter.

    Raises:
        FileInvalid: It cannot be read, lacks a column, or has a row without a time.
    """
    wanted = ", ".join(columns("any").columns())
    try:
        with closing(UsageFile(file, columns("any"))) as rows:
            for number, entries in groupby(rows, key=lambda entry: entry.row):
                quantities = {}
                for entry in entries:
                    if entry.record is None:
                        raise FileInvalid(f"{file.name}, row {number}: {entry.problem}.")
                    moment = instant(entry.record.recorded_at)
                    quantities[entry.record.meter_code] = entry.record.quantity
                yield moment, quantities
    except FileInvalid as error:
        raise FileInvalid(f"{error} Wanted are the columns {wanted}.") from None
    except OSError as error:
        raise FileInvalid(f"{file} cannot be read: {error.strerror}.") from None


def read_usage(file: Path) -> Usage:
    """When the file's requests begin and end. Raises FileInvalid, also when there are none."""
    times = [moment for moment, _ in read_requests(file)]
    if not times:
        raise FileInvalid(f"{file} has no rows with usage.")
    return Usage(file, len(times), min(times), max(times))


def first_month(usage: Usage, folder: Path) -> Usage:
    """The usage of the month that it begins in: all of it, or a copy in the folder without the later rows."""
    end = BillingCalendar(usage.first, "month", 1, "UTC", usage.first).boundary(1)
    if usage.last < end:
        return usage
    kept = folder / f"{usage.file.stem}.csv"
    with kept.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["TIMESTAMP", *METERS.values()])
        for moment, quantities in read_requests(usage.file):
            if moment < end:
                writer.writerow([moment.isoformat(), *(quantities.get(meter, "") for meter in METERS)])
    return read_usage(kept)


def write_sample(file: Path) -> None:
    """An hour of a language model's requests, the same every time."""
    chance = random.Random(20)
    moment = datetime(2026, 3, 10, 18, tzinfo=UTC)
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines)
        writer.writerow(["TIMESTAMP", *METERS.values()])
        for _ in range(SAMPLE_REQUESTS):
            moment += timedelta(seconds=chance.expovariate(SAMPLE_REQUESTS / 3600))
            writer.writerow([moment.isoformat(), chance.randint(50, 4000), chance.randint(10, 600)])


@dataclass(frozen=True, slots=True)
class Tenant:
    """The tenant's id and the key its calls are made with."""

    id: str
    api_key: str


async def create_tenant(platform: Client, clock_time: datetime, name: str = "token-works") -> Tenant:
    """A sandbox tenant whose clock starts at `clock_time`, with a key of its own."""
    created = await platform.stub(TenantServiceStub).CreateTenant(
        tenant_service_pb2.CreateTenantRequest(
            request_id=f"tenant {name}",
            name=name,
            slug=name,
            mode=tenant_pb2.TENANT_MODE_SANDBOX,
            clock_time=timestamp(clock_time),
        )
    )
    key = await platform.stub(AccessServiceStub).CreateApiKey(
        access_service_pb2.CreateApiKeyRequest(
            tenant_id=created.tenant.id, request_id="key", name="demo", role=api_key_pb2.ROLE_OWNER
        )
    )
    return Tenant(created.tenant.id, key.secret)


async def create_prices(client: Client) -> list[str]:
    """The monthly fee, and a price per million tokens for each meter."""
    catalog = client.stub(CatalogServiceStub)
    product = await catalog.CreateProduct(
        catalog_service_pb2.CreateProductRequest(request_id="product", code="llm", name="Language model")
    )
    monthly: dict[str, Any] = {
        "product_id": product.product.id,
        "currency": "USD",
        "interval_unit": period_pb2.INTERVAL_UNIT_MONTH,
    }
    fee = await catalog.CreatePrice(
        catalog_service_pb2.CreatePriceRequest(
            request_id="price-fee",
            code="fee",
            model=catalog_pb2.PRICE_MODEL_FLAT,
            usage=catalog_pb2.PRICE_USAGE_LICENSED,
            unit_amount="20.00",
            description="Monthly fee",
            **monthly,
        )
    )
    prices = [fee.price.id]
    for code, unit_amount in PER_MILLION.items():
        name = code.replace("_", " ").capitalize()
        meter = await catalog.CreateMeter(
            catalog_service_pb2.CreateMeterRequest(
                request_id=f"meter-{code}",
                code=code,
                name=name,
                aggregation=catalog_pb2.AGGREGATION_SUM,
                unit="token",
            )
        )
        price = await catalog.CreatePrice(
            catalog_service_pb2.CreatePriceRequest(
                request_id=f"price-{code}",
                code=code,
                model=catalog_pb2.PRICE_MODEL_PER_UNIT,
                usage=catalog_pb2.PRICE_USAGE_METERED,
                meter_id=meter.meter.id,
                unit_amount=unit_amount,
                unit_size="1000000",
                description=name,
                **monthly,
            )
        )
        prices.append(price.price.id)
    return prices


async def subscribe(client: Client) -> subscription_pb2.Subscription:
    """A plan of these prices, a customer, and the customer's subscription to the plan."""
    prices = await create_prices(client)
    plan = await client.stub(CatalogServiceStub).CreatePlan(
        catalog_service_pb2.CreatePlanRequest(
            request_id="plan",
            code="tokens",
            name="Tokens",
            items=[catalog_pb2.PlanItem(price_id=price_id) for price_id in prices],
        )
    )
    customer = await client.stub(CustomerServiceStub).CreateCustomer(
        customer_service_pb2.CreateCustomerRequest(
            request_id="customer",
            details=customer_service_pb2.CustomerDetails(
                name="Ada Lovelace",
                company="Analytical Engines Ltd",
                email="ada@example.com",
                address=customer_pb2.Address(line1="12 St James's Square", city="London", country="GB"),
            ),
        )
    )
    created = await client.stub(SubscriptionServiceStub).CreateSubscription(
        subscription_service_pb2.CreateSubscriptionRequest(
            request_id="subscription", customer_id=customer.customer.id, plan_id=plan.plan.id
        )
    )
    return created.subscription


async def create_webhook(client: Client, receiver: Receiver) -> None:
    created = await client.stub(WebhookServiceStub).CreateWebhook(
        webhook_service_pb2.CreateWebhookRequest(
            request_id="webhook", url=receiver.url, filters=["invoice.*"]
        )
    )
    receiver.secret = created.secret


async def close_month(
    client: Client, tenant_id: str, subscription: subscription_pb2.Subscription
) -> invoice_pb2.Invoice:
    """Advances the clock past the period and its grace; returns the invoice that came of it."""
    await advance_clock(client, tenant_id, instant(subscription.current_period_end) + GRACE)
    invoices = client.stub(InvoiceServiceStub)
    listed = await invoices.ListInvoices(
        invoice_service_pb2.ListInvoicesRequest(subscription_id=subscription.id)
    )
    (invoice,) = listed.invoices
    answer = await invoices.GetInvoice(invoice_service_pb2.GetInvoiceRequest(invoice_id=invoice.id))
    return answer.invoice


async def pay(client: Client, invoice: invoice_pb2.Invoice) -> invoice_pb2.Invoice:
    answer = await client.stub(InvoiceServiceStub).RecordPayment(
        invoice_service_pb2.RecordPaymentRequest(
            request_id="payment",
            invoice_id=invoice.id,
            amount_minor=invoice.amount_due_minor,
            currency=invoice.currency,
            reference="bank transfer",
        )
    )
    return answer.invoice


async def play(usage: Usage, data_dir: Path, out_dir: Path) -> bool:
    """Plays the month; True when everything came out as it should."""
    async with Receiver() as receiver, Platform.start(data_dir) as platform:
        step(f"platform up: gRPC {platform.grpc}, HTTP {platform.http}")
        async with platform.client() as operator:
            tenant = await create_tenant(operator, usage.first)
        async with Client(platform.grpc, tenant.api_key) as client:
            step(f"sandbox tenant {tenant.id}, its clock at {usage.first.isoformat(timespec='seconds')}")
            subscription = await subscribe(client)
            await create_webhook(client, receiver)
            step(f"subscription {subscription.id} until {instant(subscription.current_period_end).date()}")
            await advance_clock(client, tenant.id, usage.last + timedelta(seconds=1))
            for attempt in ("importing", "importing the same file again"):
                step(f"{attempt}: {usage.file.name}, {usage.rows:,} rows")
                mapping = columns(subscription.id)
                report(await upload_file(client, tenant.id, usage.file, mapping, platform.grpc))
            step("advancing the clock past the month and its grace")
            invoice = await close_month(client, tenant.id, subscription)
            console.print(invoice_table(invoice))
            pdf = await client.stub(InvoiceServiceStub).RenderInvoice(
                invoice_service_pb2.RenderInvoiceRequest(invoice_id=invoice.id)
            )
            out_dir.mkdir(parents=True, exist_ok=True)
            out_file = out_dir / pdf.file_name
            out_file.write_bytes(pdf.pdf)
            step(f"PDF written: {out_file} ({len(pdf.pdf):,} bytes)")
            invoice = await pay(client, invoice)
            step(f"payment recorded: invoice {enum_text(invoice_pb2.InvoiceState, invoice.state)}")
            told = await receiver.wait_for(*WEBHOOKS)
            if told:
                step(f"webhooks received and verified: {', '.join(WEBHOOKS)}")
            else:
                step(f"webhooks are missing; received were: {', '.join(receiver.subjects)}")
            balanced = await show_ledger(client)
    return balanced and told


def play_in(folder: Path, file: Path | None, out_dir: Path) -> bool:
    """Plays the month of this file, or of a generated sample; the folder holds what is needed on the way."""
    if file is None:
        file = folder / "sample.csv"
        write_sample(file)
    whole = read_usage(file)
    usage = first_month(whole, folder)
    if usage.rows < whole.rows:
        step(
            f"{file.name} goes on until {whole.last.date()}: billed is the month from its first row, of "
            f"{usage.first.date()}; {whole.rows - usage.rows:,} later rows are left out"
        )
    return asyncio.run(play(usage, folder / "platform", out_dir))


def main() -> None:
    parser = argparse.ArgumentParser(description="Play one month of billing on a platform of its own.")
    parser.add_argument(
        "--usage",
        type=Path,
        help="CSV file with TIMESTAMP, ContextTokens, GeneratedTokens; "
        "the month from its first row is billed, later rows are left out",
    )
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="where the PDF goes")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="corebilling-demo-"))
    folder.chmod(0o711)  # run as root, the server is another user and must get in
    try:
        if not play_in(folder, options.usage, options.out):
            sys.exit("The month did not come out right.")
    except (FileInvalid, NotStarted) as error:
        sys.exit(str(error))
    except grpc.aio.AioRpcError as error:
        sys.exit(f"{error.code().name} {explain(error)}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    step("done. Next: make up, and the tour in README.md")


if __name__ == "__main__":
    main()
