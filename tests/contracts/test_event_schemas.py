"""The JSON Schemas in docs/events/ say what events look like in JSON, as webhooks send them."""

import json
from pathlib import Path
from typing import Any

import pytest
from billing.invoice.v1 import invoice_service_pb2
from billing.invoice.v1.invoice_service_pb2_grpc import InvoiceServiceStub
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.usage.v1.usage_service_pb2_grpc import UsageServiceStub
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub
from billing_db.models import BillingEvent
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from jsonschema import Draft202012Validator, ValidationError

from corebilling.domains.webhook.body import render
from corebilling.events.envelope import catalogue, payload_object
from corebilling.mapping import timestamp
from corebilling.values.ids import new_id
from tests.rpc.test_watch_events import publish
from tests.support.catalog import metered_price, new_meter, new_price, new_product, subscribe
from tests.support.platform import Platform

SCHEMAS = Path(__file__).parents[2] / "docs" / "events"
TYPE = FieldDescriptor
SCALARS: dict[int, Any] = {
    TYPE.TYPE_STRING: "1.5",
    TYPE.TYPE_BOOL: True,
    TYPE.TYPE_INT32: -(2**31),
    TYPE.TYPE_INT64: -(2**63),
    TYPE.TYPE_UINT32: 2**32 - 1,
    TYPE.TYPE_UINT64: 2**64 - 1,
}


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def fields(rules: Draft202012Validator) -> set[str]:
    schema: Any = rules.schema
    return set(schema["properties"])


def check(subject: str, payload: dict[str, Any]) -> None:
    """Holds to the schema, and holds nothing that the schema does not know."""
    rules = validator(subject)
    rules.validate(payload)
    assert payload.keys() <= fields(rules)


def filled(message: Message) -> Message:
    """Every field set, to something that is not its default."""
    if isinstance(message, Timestamp):
        message.FromJsonString("2026-03-01T12:00:00.5Z")
        return message
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None and field.is_repeated:
            filled(getattr(message, field.name).add())
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            filled(getattr(message, field.name))
        else:
            value = field.enum_type.values[-1].number if field.enum_type else SCALARS[field.type]
            if field.is_repeated:
                getattr(message, field.name).append(value)
            else:
                setattr(message, field.name, value)
    return message


@pytest.mark.parametrize("subject", sorted(catalogue()))
def test_a_payload_full_or_empty_holds_to_its_schema(subject: str) -> None:
    payload_class = GetMessageClass(catalogue()[subject])
    check(subject, payload_object(payload_class()))
    check(subject, payload_object(filled(payload_class())))


@pytest.mark.parametrize(
    ("subject", "wrong"),
    [
        ("invoice.generated", {"total_minor": 2000}),
        ("invoice.generated", {"invoice_id": None}),
        ("rating.completed", {"charge_count": "1"}),
        ("billing.cycle.closed", {"usage_summary": [{"quantity": "1"}]}),
        ("subscription.status.changed", {"to": "ACTIVE"}),
    ],
)
def test_what_breaks_the_contract_breaks_the_schema(subject: str, wrong: dict[str, Any]) -> None:
    good = payload_object(GetMessageClass(catalogue()[subject])())
    assert wrong.keys() <= fields(validator(subject)), "the contract has no such field"
    with pytest.raises(ValidationError):
        check(subject, {**good, **wrong})
    for field in wrong:
        with pytest.raises(ValidationError):
            check(subject, {name: value for name, value in good.items() if name != field})


async def test_all_that_a_month_of_billing_announces_holds_to_the_schemas(platform: Platform) -> None:
    await month(platform)
    rows = await platform.rows("SELECT * FROM billing_events")
    assert len({row["subject"] for row in rows}) >= 18
    for row in rows:
        event = json.loads(render(BillingEvent(**row)))
        validator("envelope").validate(event)
        if row["subject"] in catalogue():
            check(row["subject"], event["payload"])


async def month(platform: Platform) -> None:
    """Contract, usage, invoice, payment, and what a tenant publishes itself."""
    await platform.stub(WebhookServiceStub).CreateWebhook(
        webhook_service_pb2.CreateWebhookRequest(
            request_id=new_id("req"), url="http://127.0.0.1:9/", filters=["nothing.*"]
        )
    )
    product = await new_product(platform)
    meter = await new_meter(platform)
    metered = await metered_price(platform, product.id, meter.id, unit_amount="0.25")
    subscription = await subscribe(platform, await new_price(platform, product.id, "fee"), metered)
    record = usage_pb2.UsageRecord(
        idempotency_key="u-1",
        subscription_id=subscription.id,
        meter_code="tokens",
        quantity="12.5",
        recorded_at=timestamp(platform.clock.now()),
    )
    await platform.stub(UsageServiceStub).ReportUsage(usage_service_pb2.ReportUsageRequest(record=record))
    await publish(platform, "o-1", data={"parcels": 2})
    await platform.pass_time(days=40)
    invoices = platform.stub(InvoiceServiceStub)
    (invoice,) = (await invoices.ListInvoices(invoice_service_pb2.ListInvoicesRequest())).invoices
    await invoices.RecordPayment(
        invoice_service_pb2.RecordPaymentRequest(
            request_id=new_id("req"),
            invoice_id=invoice.id,
            amount_minor=invoice.amount_due_minor,
            currency=invoice.currency,
        )
    )
    await platform.drain()
