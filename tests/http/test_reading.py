"""JSON and queries are read as protobuf's own JSON is, and whatever does not fit is refused by name."""

import contextlib
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from billing.branding.v1 import branding_pb2
from billing.catalog.v1 import catalog_service_pb2
from billing.customer.v1 import customer_service_pb2
from billing.event.v1 import event_admin_service_pb2, event_pb2, event_service_pb2
from billing.invoice.v1 import invoice_pb2, invoice_service_pb2
from billing.subscription.v1 import subscription_service_pb2
from billing.usage.v1 import usage_pb2, usage_service_pb2
from billing.webhook.v1 import webhook_service_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import given, settings
from hypothesis import strategies as st

from corebilling.errors import InvalidArgument
from corebilling.http.query import parse_query, read_query
from corebilling.http.reading import Problems, read_object
from corebilling.http.writing import to_json

REQUESTS: list[type[Message]] = [
    customer_service_pb2.CreateCustomerRequest,
    customer_service_pb2.UpdateCustomerRequest,
    catalog_service_pb2.CreatePriceRequest,
    event_service_pb2.PublishEventRequest,
    invoice_service_pb2.CreateInvoiceRequest,
    invoice_service_pb2.PreviewInvoiceRequest,
    subscription_service_pb2.ChangeSubscriptionRequest,
    usage_service_pb2.BatchReportUsageRequest,
    webhook_service_pb2.RotateWebhookSecretRequest,
    branding_pb2.Branding,
]
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_BOOL: st.booleans(),
    FieldDescriptor.CPPTYPE_DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def values(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type is not None:
        return st.sampled_from([value.number for value in field.enum_type.values])
    if field.message_type is not None:
        return messages(field.message_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return st.binary(max_size=8)
    return NUMBERS.get(field.cpp_type, st.text(max_size=8))


def messages(descriptor: Any) -> st.SearchStrategy[Message]:
    message_class = GetMessageClass(descriptor)
    match descriptor.full_name:
        case "google.protobuf.Timestamp":
            return st.builds(
                message_class,
                seconds=st.integers(-62135596800, 253402300799),
                nanos=st.integers(0, 999999999),
            )
        case "google.protobuf.Duration":
            return st.builds(message_class, seconds=st.integers(0, 10**9), nanos=st.integers(0, 999999999))
        case "google.protobuf.FieldMask":
            names = st.sampled_from(["name", "tax_id", "address.line1"])
            return st.builds(message_class, paths=st.lists(names, max_size=3))
        case "google.protobuf.Struct":
            plain = st.dictionaries(st.text(max_size=4), st.integers(0, 99) | st.text(max_size=4), max_size=3)
            return plain.map(lambda value: json_format.ParseDict(value, message_class()))
    parts: dict[str, st.SearchStrategy[Any]] = {}
    for field in descriptor.fields:
        if field.containing_oneof is not None and len(field.containing_oneof.fields) > 1:
            continue
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            parts[field.name] = st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=2)
        elif field.is_repeated:
            parts[field.name] = st.lists(values(field), max_size=2)
        elif field.has_presence:
            parts[field.name] = st.none() | values(field)
        else:
            parts[field.name] = values(field)
    return st.fixed_dictionaries(parts).map(lambda fields: message_class(**fields))


def read(message_class: type[Message], content: Any) -> Message:
    message, problems = message_class(), Problems()
    read_object(message, content, problems)
    problems.refuse()
    return message


def refused_fields(message_class: type[Message], content: Any) -> dict[str, str]:
    with pytest.raises(InvalidArgument) as caught:
        read(message_class, content)
    assert caught.value.reason == "REQUEST_INVALID"
    return dict(caught.value.violations)


@pytest.mark.parametrize("message_class", REQUESTS, ids=lambda one: one.DESCRIPTOR.name)
@settings(max_examples=25)
@given(data=st.data())
def test_what_is_written_is_read_again_and_by_protobufs_own_reader_too(
    message_class: type[Message], data: st.DataObject
) -> None:
    message = data.draw(messages(message_class.DESCRIPTOR))
    written = orjson.loads(orjson.dumps(to_json(message)))
    assert read(message_class, written) == message
    if message_class is not customer_service_pb2.UpdateCustomerRequest:  # whose mask has names of ours
        assert json_format.ParseDict(written, message_class()) == message
    theirs = json_format.MessageToDict(message, preserving_proto_field_name=data.draw(st.booleans()))
    assert read(message_class, theirs) == message


@pytest.mark.parametrize("message_class", REQUESTS, ids=lambda one: one.DESCRIPTOR.name)
@settings(max_examples=25)
@given(data=st.data())
def test_any_json_is_read_or_refused(message_class: type[Message], data: st.DataObject) -> None:
    names = [field.name for field in message_class.DESCRIPTOR.fields]
    name = st.sampled_from(names) | st.text(max_size=5)
    content = data.draw(st.dictionaries(name, JSON, max_size=4) | JSON)
    with contextlib.suppress(InvalidArgument):
        assert isinstance(to_json(read(message_class, content)), dict)


@given(
    st.text(max_size=60)
    | st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), max_size=4).map(urlencode)
)
def test_any_query_is_read_or_refused(raw: str) -> None:
    message, problems = invoice_service_pb2.ListInvoicesRequest(), Problems()
    with contextlib.suppress(InvalidArgument):
        read_query(message, parse_query(raw), problems)
        problems.refuse()


@given(data=st.data())
def test_a_query_says_what_its_message_holds(data: st.DataObject) -> None:
    flat = invoice_service_pb2.ListInvoicesRequest(
        page_size=data.draw(st.integers(-(2**31), 2**31 - 1)),
        page_token=data.draw(st.text(max_size=20)),
        customer_id=data.draw(st.text(max_size=9)),
        state=data.draw(st.sampled_from(invoice_pb2.InvoiceState.keys())),
    )
    written = to_json(flat)
    message = invoice_service_pb2.ListInvoicesRequest()
    read_query(message, parse_query(urlencode(written)), Problems())
    assert message == flat


def query(message: Message, raw: str) -> Message:
    problems = Problems()
    read_query(message, parse_query(raw), problems)
    problems.refuse()
    return message


def test_a_query_has_nested_fields_repeated_fields_and_times() -> None:
    dead = query(
        event_admin_service_pb2.ListDeadLettersRequest(),
        "filter.event_ids=evt_1&filter.eventIds=evt_2&discarded=true",
    )
    assert (list(dead.filter.event_ids), dead.discarded) == (["evt_1", "evt_2"], True)  # type: ignore[attr-defined]
    buckets = query(
        usage_service_pb2.ListUsageBucketsRequest(), "subscriptionId=sub_1&start=2026-03-01T00:00:00Z"
    )
    assert (buckets.subscription_id, buckets.start.seconds) == ("sub_1", 1772323200)  # type: ignore[attr-defined]


def test_wrong_query_parameters_are_named_all_at_once() -> None:
    with pytest.raises(InvalidArgument) as caught:
        query(
            invoice_service_pb2.ListInvoicesRequest(),
            "page_size=many&state=PAID&stat=x&customer_id=a&customerId=b",
        )
    assert [field for field, _ in caught.value.violations] == ["page_size", "state", "stat", "customerId"]


def test_messages_lists_of_them_and_maps_are_no_query_parameters() -> None:
    for name in ("records", "records.quantity", "tenant_id.x"):
        with pytest.raises(InvalidArgument):
            query(usage_service_pb2.BatchReportUsageRequest(), f"{name}=1")


def test_unknown_fields_are_named_with_their_places() -> None:
    content = {"details": {"nam": "Ada", "address": {"city": 5}}, "extra": 1}
    assert refused_fields(customer_service_pb2.CreateCustomerRequest, content) == {
        "details.nam": "There is no such field.",
        "details.address.city": "It must be a text in quotes.",
        "extra": "There is no such field.",
    }


def test_wrong_types_are_named_with_their_places() -> None:
    record = {"quantity": 5, "recorded_at": "yesterday", "properties": {"region": 1}}
    fields = refused_fields(usage_service_pb2.BatchReportUsageRequest, {"records": [{}, record, 7]})
    assert list(fields) == [
        "records[1].quantity",
        "records[1].recorded_at",
        "records[1].properties.region",
        "records[2]",
    ]


@pytest.mark.parametrize("number", [1.5, "1.5", True, 2**31, "x", "١", [], {}, ""])
def test_a_whole_number_is_nothing_else(number: Any) -> None:
    assert "page_size" in refused_fields(invoice_service_pb2.ListInvoicesRequest, {"page_size": number})


@pytest.mark.parametrize("number", [20, "20", 20.0])
def test_a_whole_number_may_be_a_text(number: Any) -> None:
    request = read(invoice_service_pb2.ListInvoicesRequest, {"pageSize": number})
    assert request == invoice_service_pb2.ListInvoicesRequest(page_size=20)


def test_both_names_of_a_field_exclude_each_other() -> None:
    content = {"external_id": "a", "externalId": "b"}
    fields = refused_fields(customer_service_pb2.CreateCustomerRequest, content)
    assert fields == {"externalId": "It excludes external_id: send one of them."}


def test_two_of_a_oneof_exclude_each_other() -> None:
    fields = refused_fields(invoice_service_pb2.PreviewInvoiceRequest, {"pause": {}, "resume": {}})
    assert fields == {"resume": "It excludes pause: send one of them."}


def test_an_empty_object_is_there_and_null_is_not() -> None:
    assert read(customer_service_pb2.CreateCustomerRequest, {"details": {}}).HasField("details")
    assert not read(customer_service_pb2.CreateCustomerRequest, {"details": None}).HasField("details")


def test_what_is_wrong_is_named_up_to_a_bound() -> None:
    fields = refused_fields(usage_pb2.UsageRecord, {f"x{number}": 1 for number in range(1000)})
    assert len(fields) == 20


def test_an_event_is_shown_with_its_own_payload_alone() -> None:
    event = event_pb2.Event(id="evt_1")
    custom = event_pb2.CustomEvent()
    custom.data.update({"seats": 2, "share": 0.5, "list": [1, None, "a"]})
    event.payload.Pack(custom)
    assert to_json(event)["payload"] == {"seats": 2, "share": 0.5, "list": [1, None, "a"]}
    event.payload.Pack(usage_pb2.UsageRecord(meter_code="calls"))
    assert to_json(event)["payload"]["meter_code"] == "calls"
    event.payload.type_url = "type.googleapis.com/billing.newer.v1.Thing"
    assert to_json(event)["payload"] == {"@type": "type.googleapis.com/billing.newer.v1.Thing"}
