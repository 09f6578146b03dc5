"""Every RPC declares who may call it and how it repeats, and every field of its request has bounds."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import protovalidate
import pytest
from billing.errors.v1 import error_pb2
from billing.options.v1 import options_pb2
from buf.validate import validate_pb2
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    text_format,
    type_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import FieldDescriptor, ServiceDescriptor

from corebilling import errors
from corebilling.domains.access.model import PERMISSIONS, Role
from corebilling.rpc.method import Idempotency, Method, PolicyMissing, methods_of
from tests.support.requests.calling import METHODS

RULES: Any = validate_pb2.DESCRIPTOR.extensions_by_name["field"]
POLICY: Any = options_pb2.policy
CODE = Path(__file__).parents[2] / "corebilling"
WELL_KNOWN = {
    "google.protobuf.Duration",
    "google.protobuf.Timestamp",
    # Every path is checked against the fields that may change.
    "google.protobuf.FieldMask",
    # Free by nature, and bounded as a whole: by the message size, and by what the bus takes.
    "google.protobuf.Struct",
}


def named(methods: list[Method]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("method", methods, ids=lambda method: method.full_name)


def test_there_are_methods_to_check() -> None:
    assert len(METHODS) > 50


def test_no_method_goes_by_the_name_of_another() -> None:
    names = [method.request_class.DESCRIPTOR.full_name for method in METHODS]
    assert len(set(names)) == len(names)


@named(METHODS)
def test_a_role_has_the_permission(method: Method) -> None:
    assert method.permission in PERMISSIONS[Role.PLATFORM_ADMIN]


def test_every_permission_opens_a_method() -> None:
    assert {method.permission for method in METHODS} == PERMISSIONS[Role.PLATFORM_ADMIN]


@named(METHODS)
def test_who_only_reads_may_call_what_only_reads(method: Method) -> None:
    reads = method.idempotency is Idempotency.READ
    for_viewers = method.permission in PERMISSIONS[Role.VIEWER]
    assert for_viewers == (reads and method.tenant_scoped)


@named([method for method in METHODS if method.tenant_scoped])
def test_tenant_comes_first_in_the_request(method: Method) -> None:
    field = method.request_class.DESCRIPTOR.fields_by_name["tenant_id"]
    assert (field.number, field.type) == (1, FieldDescriptor.TYPE_STRING)


@named([method for method in METHODS if method.idempotency is Idempotency.REQUEST_ID])
def test_request_id_is_required(method: Method) -> None:
    rules = rules_of(method.request_class.DESCRIPTOR.fields_by_name["request_id"]).string
    assert (rules.min_len, rules.max_len) == (1, 128)


@named(METHODS)
def test_every_field_has_bounds(method: Method) -> None:
    assert list(unbounded(method.request_class.DESCRIPTOR)) == []


@named(METHODS)
def test_rules_compile_and_refuse_a_request_that_breaks_one(method: Method) -> None:
    request = broken(method.request_class.DESCRIPTOR)
    assert protovalidate.collect_violations(request), request


OF_EVERYBODY = {"meter_id", "plan_id", "price_id", "product_id"}
"""What accounts may name although it is nobody's: the catalog."""


@named([method for method in METHODS if method.account])
def test_accounts_name_nothing_but_what_is_their_own(method: Method) -> None:
    assert method.account is not None
    fields = method.request_class.DESCRIPTOR.fields_by_name
    ids = {name for name in method.account.allowed.intersection(fields) if name.endswith(("_id", "_ids"))}
    assert ids - {"tenant_id", "request_id"} - OF_EVERYBODY == set(method.account.own)
    assert [
        field for name in method.account.allowed.intersection(fields) for field in inner_ids(fields[name])
    ] == []


def inner_ids(field: Any) -> list[str]:
    """Fields of a message in the request that name something, which nobody would look at."""
    inner = field.message_type.fields if field.message_type is not None else ()
    return [one.name for one in inner if one.name.endswith("_id") and one.name != "tax_id"]


def rules_of(field: Any) -> Any:
    return field.GetOptions().Extensions[RULES]


def unbounded(message: Any, path: str = "") -> Iterator[str]:
    """Texts, bytes and lists of a request, however deep, of any length, and enums of any number."""
    for field in message.fields:
        place = f"{path}{field.name}"
        rules = rules_of(field)
        if field.is_repeated:
            if not rules.repeated.HasField("max_items") and not rules.map.HasField("max_pairs"):
                yield f"{place}: any number of items"
            bounds = {"key": rules.map.keys, "value": rules.map.values}
            rules = rules.repeated.items
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            # The rules of its keys and values stand on the map itself.
            for half, rules in bounds.items():
                text = field.message_type.fields_by_name[half].type == FieldDescriptor.TYPE_STRING
                if not text or not bounded_text(rules.string):
                    yield f"{place}: {half}s of any length"
        elif field.message_type is not None:
            if field.message_type.full_name not in WELL_KNOWN:
                yield from unbounded(field.message_type, f"{place}.")
        elif field.type == FieldDescriptor.TYPE_STRING and not bounded_text(rules.string):
            yield f"{place}: text of any length"
        elif field.type == FieldDescriptor.TYPE_BYTES and not rules.bytes.HasField("max_len"):
            yield f"{place}: bytes of any length"
        elif field.type == FieldDescriptor.TYPE_ENUM and not bounded_enum(rules.enum):
            yield f"{place}: a number without a name"


def bounded_text(rules: Any) -> bool:
    """By a number, or by a pattern without endless parts."""
    if any(rules.HasField(name) for name in ("max_len", "max_bytes", "len", "const")):
        return True
    return rules.HasField("pattern") and not any(endless in rules.pattern for endless in ("*", "+", ",}"))


def bounded_enum(rules: Any) -> bool:
    """To numbers that have names, or to some of these: what has no name cannot be stored."""
    return bool(rules.defined_only or getattr(rules, "in"))


def broken(message: Any) -> Any:
    """A request whose texts are all far too long."""
    request: Any = message_factory.GetMessageClass(message)()
    for field in message.fields:
        if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
            setattr(request, field.name, "x" * 100_000)
    return request


def test_unbounded_field_is_found() -> None:
    assert list(unbounded(wrappers_pb2.StringValue.DESCRIPTOR)) == ["value: text of any length"]
    assert list(unbounded(wrappers_pb2.BytesValue.DESCRIPTOR)) == ["value: bytes of any length"]
    assert "kind: a number without a name" in unbounded(type_pb2.Field.DESCRIPTOR)


def test_reasons_in_code_and_in_the_contract_are_the_same() -> None:
    declared = {name.removeprefix("ERROR_REASON_") for name in error_pb2.ErrorReason.keys()[1:]}
    used = {text for file in CODE.rglob("*.py") for text in texts(file)}
    assert reasons_raised() - declared == set()
    assert declared - used == set()


def texts(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def reasons_raised() -> set[str]:
    """First arguments of every refusal made anywhere in the code."""
    names = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.BillingError)
    }
    return {
        str(node.args[0].value)
        for file in CODE.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in names
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }


def service(policy: str, request: str = "", response: str = "", method: str = "") -> ServiceDescriptor:
    """A service of one method, built from text as protoc would."""
    file = text_format.Parse(
        f"""
        name: "made.proto" package: "made" syntax: "proto3"
        dependency: "billing/options/v1/options.proto"
        message_type {{ name: "Request" {request} }}
        message_type {{ name: "Response" {response} }}
        service {{
            name: "Service"
            method {{ name: "Do" input_type: ".made.Request" output_type: ".made.Response" {method}
                     options {{ {policy} }} }}
        }}
        """,
        descriptor_pb2.FileDescriptorProto(),
    )
    pool = descriptor_pool.DescriptorPool()
    for name in ("google/protobuf/descriptor.proto", "billing/options/v1/options.proto"):
        pool.Add(_proto(name))
    pool.Add(file)
    return pool.FindServiceByName("made.Service")


def _proto(name: str) -> descriptor_pb2.FileDescriptorProto:
    found = descriptor_pb2.FileDescriptorProto()
    descriptor_pool.Default().FindFileByName(name).CopyToProto(found)
    return found


def _policy(**fields: Any) -> str:
    policy = options_pb2.MethodPolicy(**{"permission": "x.read", "idempotency": "IDEMPOTENCY_READ", **fields})
    return "[billing.options.v1.policy] { " + str(policy).replace("\n", " ") + " }"


TENANT_ID = 'field { name: "tenant_id" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL }'
REQUEST_ID = 'field { name: "request_id" number: 2 type: TYPE_STRING label: LABEL_OPTIONAL }'
SECRET = (
    'field { name: "secret" number: 1 type: TYPE_STRING label: LABEL_OPTIONAL '
    "options { [billing.options.v1.secret]: true } }"
)


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        ({"policy": ""}, "declares no policy"),
        ({"policy": _policy(permission="")}, "names no permission"),
        ({"policy": _policy(idempotency="IDEMPOTENCY_UNSPECIFIED")}, "declares no idempotency"),
        ({"policy": _policy(tenant_scoped=True)}, "has no tenant_id"),
        ({"policy": _policy(idempotency="IDEMPOTENCY_REQUEST_ID")}, "must have a request_id"),
        ({"policy": _policy(), "request": REQUEST_ID}, "must have a request_id"),
        ({"policy": _policy(sensitive=True)}, "has a secret in its response exactly if"),
        ({"policy": _policy(), "response": SECRET}, "has a secret in its response exactly if"),
        ({"policy": _policy(), "method": "server_streaming: true client_streaming: true"}, "streams both"),
        (
            {
                "policy": _policy(idempotency="IDEMPOTENCY_REQUEST_ID"),
                "request": REQUEST_ID,
                "method": "client_streaming: true",
            },
            "streams requests",
        ),
    ],
)
def test_incomplete_policy_stops_the_server(made: dict[str, str], problem: str) -> None:
    with pytest.raises(PolicyMissing, match=f"made.Service.Do .*{problem}"):
        list(methods_of(service(**made)))


def test_complete_policy_is_read() -> None:
    (method,) = methods_of(
        service(
            _policy(permission="x.write", tenant_scoped=True, sensitive=True, idempotency=2),
            TENANT_ID + REQUEST_ID,
            SECRET,
        )
    )
    assert (method.full_name, method.permission, method.tenant_scoped) == ("made.Service/Do", "x.write", True)
    assert (method.idempotency, method.secret_fields) == (Idempotency.REQUEST_ID, ("secret",))
