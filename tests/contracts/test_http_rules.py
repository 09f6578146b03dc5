"""Every RPC is reachable over HTTP, by paths that lead nowhere else."""

import re
from collections import Counter
from typing import Any

import pytest
from billing.options.v1 import options_pb2
from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor

from tests.contracts.test_methods import POLICY
from tests.support.requests.calling import services

METHODS: list[MethodDescriptor] = [method for service in services() for method in service.methods]
HTTP: Any = options_pb2.http
VARIABLE = re.compile(r"\{([a-z_]+)\}")
PATH = re.compile(r"(/([a-z0-9-]+|\{[a-z_]+\}))+")
VERBS = ("get", "put", "post", "delete", "patch")


def named(methods: list[MethodDescriptor]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("method", methods, ids=lambda method: method.full_name)


def rules(method: MethodDescriptor) -> list[Any]:
    rule = method.GetOptions().Extensions[annotations_pb2.http]
    return [rule, *rule.additional_bindings]


def address(rule: Any) -> tuple[str, str]:
    """The verb and the path."""
    verb = rule.WhichOneof("pattern")
    return verb, getattr(rule, verb)


@named(METHODS)
def test_it_has_paths_of_plain_segments_and_whole_variables(method: MethodDescriptor) -> None:
    for rule in rules(method):
        assert rule.WhichOneof("pattern") in VERBS
        assert PATH.fullmatch(address(rule)[1]), rule


@named(METHODS)
def test_its_own_path_is_below_v1(method: MethodDescriptor) -> None:
    assert address(rules(method)[0])[1].startswith("/v1/")
    assert all(address(rule)[1].startswith(("/v1/", "/api/v1/")) for rule in rules(method)[1:])


@named(METHODS)
def test_path_variables_and_body_are_fields_of_the_request(method: MethodDescriptor) -> None:
    fields = method.input_type.fields_by_name
    for rule in rules(method):
        names = VARIABLE.findall(address(rule)[1])
        assert len(names) == len(set(names))
        assert all(fields[name].type == FieldDescriptor.TYPE_STRING for name in names)
        assert rule.body in ("", "*") or fields[rule.body].message_type is not None
        assert not rule.response_body


@named(METHODS)
def test_what_has_a_body_is_put_posted_or_patched(method: MethodDescriptor) -> None:
    for rule in rules(method):
        assert bool(rule.body) == (rule.WhichOneof("pattern") in ("put", "post", "patch"))


@named(METHODS)
def test_reading_with_get_and_changing_with_something_else(method: MethodDescriptor) -> None:
    reads = method.GetOptions().Extensions[POLICY].idempotency == options_pb2.IDEMPOTENCY_READ
    # What asks with more than a query can hold is posted, and changes nothing all the same.
    assert reads or all(rule.WhichOneof("pattern") != "get" for rule in rules(method))


PROMISED = {
    "/api/v1/billing": (
        "post organizations", "get organizations/{}", "put organizations/{}", "post subscriptions",
        "get subscriptions/{}", "post subscriptions/{}/cancel", "get invoices", "get invoices/{}",
        "get invoices/{}/pdf", "get usage/current", "get usage/history",
    ),
    "/api/v1": (
        "post consumers/register", "get consumers/{}", "post subscriptions", "get subscriptions",
        "get subscriptions/{}", "put subscriptions/{}/cancel", "put subscriptions/{}/upgrade",
        "get subscriptions/{}/usage", "get invoices", "get invoices/{}", "get invoices/{}/download",
    ),
    "/v1": ("post subscriptions", "post usage", "get invoices", "post events"),
}  # fmt: skip
"""Paths that programs call already: they stay."""


def test_the_paths_that_programs_call_already_are_there() -> None:
    declared = {
        f"{verb} {VARIABLE.sub('{}', path)}"
        for method in METHODS
        for verb, path in map(address, rules(method))
    }
    promised = {
        f"{verb} {root}/{path}"
        for root, several in PROMISED.items()
        for verb, path in (one.split() for one in several)
    }
    assert promised - declared == set()


def test_no_two_paths_collide() -> None:
    """Two paths that differ only in a variable's name are one."""
    paths = Counter(
        (verb, VARIABLE.sub("{}", path)) for method in METHODS for verb, path in map(address, rules(method))
    )
    assert [path for path, times in paths.items() if times > 1] == []


@named([method for method in METHODS if method.GetOptions().HasExtension(HTTP)])
def test_its_http_policy_names_fields_of_the_response(method: MethodDescriptor) -> None:
    policy = method.GetOptions().Extensions[HTTP]
    fields = method.output_type.fields_by_name
    assert policy.status in (0, 201)
    assert not policy.created_field or fields[policy.created_field].type == FieldDescriptor.TYPE_BOOL
    assert not policy.file_name_field or fields[policy.file_name_field].type == FieldDescriptor.TYPE_STRING
    for file in policy.files:
        assert fields[file.field].type in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES)
        assert file.content_type
