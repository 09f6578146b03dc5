"""After invoices, webhooks and a replay, nothing personal is left of an erased customer anywhere."""

from collections.abc import Iterator
from typing import Any

import pytest
from billing.customer.v1 import customer_pb2, customer_service_pb2
from billing.customer.v1.customer_service_pb2_grpc import CustomerServiceStub
from billing.tax.v1 import tax_pb2, tax_service_pb2
from billing.tax.v1.tax_service_pb2_grpc import TaxServiceStub
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub

from corebilling.values.ids import new_id
from tests.rpc.test_customer import details, update
from tests.rpc.test_erasure import cancel, erase, write_off
from tests.support.app import refused
from tests.support.catalog import new_customer, new_price, new_product, subscribe
from tests.support.platform import Platform
from tests.support.receiver import running_receiver
from tests.support.replay import follow, replaying, working

MARK = "zqx"
ADDRESS = customer_pb2.Address(
    line1="Zqxone", line2="Zqxtwo", city="Zqxcity", region="Zqxregion", postal_code="ZQX1"
)
PERSON = details(
    name="Zqxname", company="Zqxcompany", email="zqx@zqx.example", tax_id="ZQX-7", address=ADDRESS
)


async def tables_with_a_mark(platform: Platform) -> set[str]:
    rows = await platform.rows(
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'm')"
    )
    found = set()
    for name in (row["relname"] for row in rows):
        for row in await platform.rows(f"SELECT lower(t::text) AS text FROM {name} t"):
            # Bytes are printed in hexadecimal.
            if any(mark in row["text"] for mark in spellings()):
                found.add(name)
    return found


def spellings() -> Iterator[str]:
    yield MARK
    for text in (MARK, MARK.upper(), MARK.capitalize()):
        yield text.encode().hex()


async def live(platform: Platform, url: str) -> str:
    """Of a customer who is created, changed, exempted, billed and replayed."""
    customers = platform.stub(CustomerServiceStub)
    await platform.stub(WebhookServiceStub).CreateWebhook(
        webhook_service_pb2.CreateWebhookRequest(request_id=new_id("req"), url=url, filters=["*"])
    )
    register = customer_service_pb2.RegisterCustomerRequest(
        request_id=new_id("req"), external_id="zqx-crm", details=PERSON
    )
    customer = (await customers.RegisterCustomer(register)).customer
    await customers.RegisterCustomer(
        customer_service_pb2.RegisterCustomerRequest(
            request_id=new_id("req"), external_id="zqx-crm", details=PERSON
        )
    )
    await refused(new_customer(platform, external_id="zqx-crm", details=PERSON))
    await refused(update(platform, customer.id, ["email"], email="zqx"))
    await update(platform, customer.id, ["name"], name="Zqxname the second")
    await platform.stub(TaxServiceStub).SetTaxExemption(
        tax_service_pb2.SetTaxExemptionRequest(
            request_id=new_id("req"),
            customer_id=customer.id,
            exemption=tax_pb2.TAX_EXEMPTION_EXEMPT,
            reference="ZQX-certificate",
        )
    )
    price = await new_price(platform, (await new_product(platform)).id, "fee")
    subscription = await subscribe(platform, price, customer_id=customer.id)
    await platform.pass_time(days=40)
    await cancel(platform, subscription.id)
    await platform.pass_time(days=1)
    await write_off(platform, customer.id)
    async with working(platform):
        await follow(platform, replaying(subject="customer.*"))
    return customer.id


async def test_no_personal_byte_is_left_but_in_issued_invoices(
    platform: Platform, capfd: pytest.CaptureFixture[str]
) -> None:
    logged: list[Any] = []
    async with running_receiver() as receiver:
        customer_id = await live(platform, receiver.url)
        assert await tables_with_a_mark(platform) == {"customers", "request_keys", "tax_exemptions"}
        await erase(platform, customer_id)
        await platform.drain()
        while await platform.app.webhooks.run_once():
            pass
        assert any(b"customer.erased" in received.body for received in receiver.received)
        logged += [received.body.decode() for received in receiver.received]
    await platform.app.sealer.run_once()
    assert await tables_with_a_mark(platform) == {"invoices"}
    bills = await platform.rows("SELECT bill_to::text AS text FROM invoices WHERE bill_to IS NOT NULL")
    assert len(bills) > 1
    assert not any("example" in bill["text"] for bill in bills)
    for table in ("invoices", "invoice_lines"):
        for row in await platform.rows(f"SELECT * FROM {table}"):
            assert MARK not in str({**row, "bill_to": ""}).lower()
    logged += capfd.readouterr()
    assert any("EraseCustomer" in text for text in logged), "the logs were looked at"
    logged.append((platform.database.server.data_dir / "postgres.log").read_text())
    assert not any(MARK in text.lower() for text in logged)
