"""Sample invoices, to look at: a plain one, one with every kind of line, one in Arabic and Japanese.

Starts the whole platform (`corebilling up`) in a folder of its own, bills three sandbox tenants over gRPC,
and writes each invoice as a PDF and as a page:

    make samples                           into build/samples
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import typst
from billing.branding.v1 import branding_service_pb2, branding_service_pb2_grpc
from billing.catalog.v1 import catalog_service_pb2, catalog_service_pb2_grpc
from billing.credit.v1 import credit_service_pb2, credit_service_pb2_grpc
from billing.customer.v1 import customer_service_pb2, customer_service_pb2_grpc
from billing.discount.v1 import discount_service_pb2, discount_service_pb2_grpc
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2, invoice_service_pb2_grpc
from billing.subscription.v1 import subscription_service_pb2, subscription_service_pb2_grpc
from billing.tax.v1 import tax_service_pb2, tax_service_pb2_grpc
from billing.usage.v1 import usage_service_pb2, usage_service_pb2_grpc
from google.protobuf import json_format

from corebilling.client import Client
from corebilling.commands.clock import advance_clock
from corebilling.commands.connection import explain
from corebilling.domains.invoice.printing import missing_scripts
from corebilling.values.money import major_units
from examples.month import create_tenant
from examples.platform import NotStarted, Platform
from examples.show import step

START = datetime(2026, 3, 1, tzinfo=UTC)
MID_MONTH = datetime(2026, 3, 16, tzinfo=UTC)
MONTH_END = datetime(2026, 4, 1, tzinfo=UTC)
SETTLED = timedelta(hours=1)
MONTHLY = {"interval_unit": "INTERVAL_UNIT_MONTH"}
SEATS = {"usage": "PRICE_USAGE_LICENSED", **MONTHLY}
METERED = {"usage": "PRICE_USAGE_METERED", **MONTHLY}
TIERS = [{"up_to": "1000", "unit_amount": "0.10"}, {"unit_amount": "0.08"}]

_DOORS: Mapping[ModuleType, type] = {
    branding_service_pb2: branding_service_pb2_grpc.BrandingServiceStub,
    catalog_service_pb2: catalog_service_pb2_grpc.CatalogServiceStub,
    credit_service_pb2: credit_service_pb2_grpc.CreditServiceStub,
    customer_service_pb2: customer_service_pb2_grpc.CustomerServiceStub,
    discount_service_pb2: discount_service_pb2_grpc.DiscountServiceStub,
    invoice_service_pb2: invoice_service_pb2_grpc.InvoiceServiceStub,
    subscription_service_pb2: subscription_service_pb2_grpc.SubscriptionServiceStub,
    tax_service_pb2: tax_service_pb2_grpc.TaxServiceStub,
    usage_service_pb2: usage_service_pb2_grpc.UsageServiceStub,
}


@dataclass
class Seller:
    """A sandbox tenant, and what is asked of the platform in its name."""

    client: Client
    tenant_id: str
    product_id: str = ""
    _numbers: Any = field(default_factory=count)

    async def ask(self, service: ModuleType, method: str, **fields: Any) -> Any:
        """The method's answer; the fields are the request's, as JSON has them."""
        request = getattr(service, f"{method}Request")()
        if "request_id" in request.DESCRIPTOR.fields_by_name:
            fields["request_id"] = f"sample-{next(self._numbers)}"
        json_format.ParseDict(fields, request)
        return await getattr(self.client.stub(_DOORS[service]), method)(request)

    async def price(self, code: str, description: str, **terms: Any) -> str:
        """A price's id; a metered one has a meter of its own code."""
        if not self.product_id:
            made = await self.ask(catalog_service_pb2, "CreateProduct", code="product", name="Product")
            self.product_id = made.product.id
        if terms.get("usage") == "PRICE_USAGE_METERED":
            aggregation = terms.pop("aggregation", "AGGREGATION_SUM")
            meter = await self.ask(
                catalog_service_pb2, "CreateMeter", code=code, name=description, aggregation=aggregation
            )
            terms["meter_id"] = meter.meter.id
        price = await self.ask(
            catalog_service_pb2,
            "CreatePrice",
            product_id=self.product_id,
            code=code,
            description=description,
            **terms,
        )
        return str(price.price.id)

    async def customer(self, **details: Any) -> str:
        currency = details.pop("currency", "USD")
        made = await self.ask(customer_service_pb2, "CreateCustomer", currency=currency, details=details)
        return str(made.customer.id)

    async def subscribe(self, customer_id: str, items: Sequence[Mapping[str, str]], **terms: Any) -> str:
        made = await self.ask(
            subscription_service_pb2, "CreateSubscription", customer_id=customer_id, items=items, **terms
        )
        return str(made.subscription.id)

    async def use(
        self, subscription_id: str, meter_code: str, quantity: str, at: datetime, **properties: str
    ) -> None:
        record = {
            "idempotency_key": f"sample-{next(self._numbers)}",
            "subscription_id": subscription_id,
            "meter_code": meter_code,
            "quantity": quantity,
            "recorded_at": at.isoformat(),
            "properties": properties,
        }
        await self.ask(usage_service_pb2, "ReportUsage", record=record)

    async def advance(self, to: datetime) -> None:
        await advance_clock(self.client, self.tenant_id, to)

    async def last_invoice(self, customer_id: str) -> invoice_pb2.Invoice:
        listed = await self.ask(invoice_service_pb2, "ListInvoices", customer_id=customer_id)
        found = await self.ask(invoice_service_pb2, "GetInvoice", invoice_id=listed.invoices[0].id)
        invoice: invoice_pb2.Invoice = found.invoice
        return invoice


async def plain(seller: Seller) -> invoice_pb2.Invoice:
    """A fee, and what was used."""
    fee = await seller.price("fee", "Monthly fee", model="PRICE_MODEL_FLAT", unit_amount="20", **SEATS)
    calls = await seller.price("calls", "API calls", model="PRICE_MODEL_GRADUATED", tiers=TIERS, **METERED)
    ada = await seller.customer(
        name="Ada Lovelace",
        company="Analytical Engines Ltd",
        address={"line1": "12 St James's Square", "city": "London", "country": "GB"},
    )
    subscription = await seller.subscribe(ada, [{"price_id": fee}, {"price_id": calls}])
    await seller.use(subscription, "calls", "1250", START)
    await seller.advance(MONTH_END + SETTLED)
    return await seller.last_invoice(ada)


async def every_line(seller: Seller) -> invoice_pb2.Invoice:
    """All price models, a change within the month, late usage, and every step on the way to what is due."""
    prices = {
        "fee": await seller.price("fee", "Platform fee", model="PRICE_MODEL_FLAT", unit_amount="49", **SEATS),
        "seats": await seller.price(
            "seats", "Seats", model="PRICE_MODEL_PER_UNIT", unit_amount="9", included_quantity="2", **SEATS
        ),
        "calls": await seller.price(
            "calls", "API calls", model="PRICE_MODEL_GRADUATED", tiers=TIERS, maximum_amount="150", **METERED
        ),
        "mails": await seller.price(
            "mails", "Mails", model="PRICE_MODEL_VOLUME", tiers=TIERS, minimum_amount="30", **METERED
        ),
        "traffic": await seller.price(
            "traffic", "Traffic, GB", model="PRICE_MODEL_PACKAGE", unit_amount="5", unit_size="100", **METERED
        ),
        "storage": await seller.price(
            "storage",
            "Storage at most, GB",
            model="PRICE_MODEL_PER_UNIT",
            unit_amount="0.0215",
            aggregation="AGGREGATION_MAX",
            **METERED,
        ),
        "queries": await seller.price(
            "queries",
            "Queries by region",
            model="PRICE_MODEL_MATRIX",
            dimensions=["region"],
            cells=[
                {"values": ["eu"], "unit_amount": "0.20"},
                {"values": ["us"], "unit_amount": "0.15"},
            ],
            default_unit_amount="0.30",
            **METERED,
        ),
        "payments": await seller.price(
            "payments",
            "Payments taken",
            model="PRICE_MODEL_PERCENTAGE",
            percentage={"percent": "2.9", "fixed_amount": "0.30", "free_transactions": 1},
            **METERED,
        ),
    }
    await seller.ask(tax_service_pb2, "CreateTaxRate", name="GST", country="CA", percent="5")
    await seller.ask(
        tax_service_pb2,
        "CreateTaxRate",
        name="QST",
        country="CA",
        region="QC",
        percent="9.975",
        compound=True,
    )
    customer = await seller.customer(
        name="Élodie Tremblay",
        company="Atelier Nord inc.",
        tax_id="1234567890 TQ0001",
        address={"line1": "400 rue Sainte-Catherine", "city": "Montréal", "region": "QC", "country": "CA"},
        language="LANGUAGE_FR",
    )
    await seller.ask(
        discount_service_pb2,
        "CreateCoupon",
        code="SPRING",
        name="SPRING",
        kind="DISCOUNT_KIND_PERCENT",
        percent="10",
        duration="DISCOUNT_DURATION_FOREVER",
    )
    await seller.ask(discount_service_pb2, "RedeemCoupon", code="SPRING", customer_id=customer)
    items = [{"price_id": prices[code], **({"quantity": "5"} if code == "seats" else {})} for code in prices]
    subscription = await seller.subscribe(customer, items, minimum_commitment_minor="60000")
    for meter, quantity in {"calls": "2500", "mails": "120", "traffic": "230", "storage": "512"}.items():
        await seller.use(subscription, meter, quantity, START)
    await seller.advance(MONTH_END + SETTLED)
    # Of March, but too late for its invoice: April's has a line for it.
    await seller.use(subscription, "mails", "900", MID_MONTH)
    for meter, quantity in {"calls": "2500", "mails": "120", "traffic": "230", "storage": "512"}.items():
        await seller.use(subscription, meter, quantity, MONTH_END)
    for region, quantity in {"eu": "150", "us": "40", "ap": "7"}.items():
        await seller.use(subscription, "queries", quantity, MONTH_END, region=region)
    for paid in ("20", "250", "12.50"):
        await seller.use(subscription, "payments", paid, MONTH_END)
    await seller.advance(datetime(2026, 4, 16, tzinfo=UTC))
    items[1]["quantity"] = "8"
    setup = await seller.price(
        "training",
        "Training, once",
        model="PRICE_MODEL_FLAT",
        unit_amount="120",
        usage="PRICE_USAGE_LICENSED",
        one_time=True,
    )
    items.append({"price_id": setup})
    await seller.ask(
        subscription_service_pb2, "ChangeSubscription", subscription_id=subscription, items=items
    )
    for kind, amount in {"CREDIT_KIND_COMPENSATION": 1500, "CREDIT_KIND_PREPAID": 5000}.items():
        await seller.ask(
            credit_service_pb2,
            "GrantCredit",
            customer_id=customer,
            kind=kind,
            amount_minor=str(amount),
            description="For the outage of March 1",
        )
    await seller.advance(datetime(2026, 5, 1, tzinfo=UTC) + SETTLED)
    return await seller.last_invoice(customer)


async def far_away(seller: Seller) -> invoice_pb2.Invoice:
    """From right to left, with names in two scripts, in a currency without decimals."""
    await seller.ask(
        branding_service_pb2,
        "SetBranding",
        branding={
            "display_name": "الحلول السحابية",
            "legal_lines": ["شارع الملك فهد 5، الرياض", "IBAN SA03 8000 0000 6080 1016 7519"],
            "tax_id": "300000000000003",
            "accent_color": "#7a1f5c",
            "footer": "شكرا لكم · ありがとうございます",
            "language": "LANGUAGE_AR",
        },
    )
    terms = {"currency": "JPY", **SEATS}
    fee = await seller.price("fee", "الاشتراك الشهري", model="PRICE_MODEL_FLAT", unit_amount="12000", **terms)
    calls = await seller.price(
        "calls",
        "API呼び出し",
        model="PRICE_MODEL_GRADUATED",
        tiers=[{"up_to": "1000", "unit_amount": "1.5"}, {"unit_amount": "0.75"}],
        currency="JPY",
        **METERED,
    )
    await seller.ask(tax_service_pb2, "CreateTaxRate", name="消費税", country="JP", percent="10")
    customer = await seller.customer(
        name="山田太郎",
        company="株式会社サンプル",
        currency="JPY",
        timezone="Asia/Tokyo",
        address={"line1": "丸の内1-1", "city": "東京都千代田区", "postal_code": "100-0005", "country": "JP"},
    )
    subscription = await seller.subscribe(customer, [{"price_id": fee}, {"price_id": calls}])
    await seller.use(subscription, "calls", "123456", START)
    await seller.advance(MONTH_END + SETTLED)
    return await seller.last_invoice(customer)


SAMPLES = {"plain": plain, "every-line": every_line, "arabic-japanese": far_away}


async def print_samples(data_dir: Path, out_dir: Path) -> None:
    async with Platform.start(data_dir) as platform, platform.client() as operator:
        for name, bill in SAMPLES.items():
            tenant = await create_tenant(operator, START, name)
            async with Client(platform.grpc, tenant.api_key) as client:
                seller = Seller(client, tenant.id)
                invoice = await bill(seller)
                due = major_units(invoice.amount_due_minor, invoice.currency)
                step(f"{name}: {len(invoice.lines)} lines, {due:,f} {invoice.currency} due")
                for form, suffix in (("PDF", "pdf"), ("HTML", "html")):
                    printed = await seller.ask(
                        invoice_service_pb2,
                        "RenderInvoice",
                        invoice_id=invoice.id,
                        format=f"INVOICE_FORMAT_{form}",
                    )
                    file = out_dir / f"{name}.{suffix}"
                    file.write_bytes(printed.pdf or printed.html.encode())
                    step(f"written: {file}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Print sample invoices on a platform of their own.")
    parser.add_argument("--out", type=Path, default=Path("build/samples"), help="where they go")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="corebilling-samples-"))
    folder.chmod(0o711)  # run as root, the server is another user and must get in
    try:
        asyncio.run(print_samples(folder / "platform", options.out))
    except NotStarted as error:
        sys.exit(str(error))
    except grpc.aio.AioRpcError as error:
        sys.exit(f"{error.code().name} {explain(error)}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    for script in missing_scripts(typst.Fonts().families()):
        step(
            f"no font for {script}: its letters are missing in the PDFs; docs/money.md says which to install"
        )
    step("done. Next: make up, and docs/money.md")


if __name__ == "__main__":
    main()
