"""What the contracts say about HTTP: the paths of each method, and how its answer looks."""

from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from billing.options.v1 import options_pb2
from google.api import annotations_pb2
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

_HTTP: Any = annotations_pb2.http
_POLICY: Any = options_pb2.http


@dataclass(frozen=True, slots=True)
class Rpc:
    """One method, as HTTP sees it."""

    full_name: str
    client_streaming: bool
    server_streaming: bool
    request_class: type[Message]
    response_class: type[Message]
    policy: options_pb2.HttpPolicy

    def new_request(self) -> Message:
        return self.request_class()

    def takes(self, name: str) -> bool:
        return name in self.request_class.DESCRIPTOR.fields_by_name

    def status(self, response: Any) -> int:
        """Of a good answer."""
        if self.policy.created_field:
            created = getattr(response, self.policy.created_field)
            return HTTPStatus.CREATED if created else HTTPStatus.OK
        return self.policy.status or HTTPStatus.OK


@dataclass(frozen=True, slots=True)
class Rule:
    """One path to a method. `body` is the field that the body fills, '*' the whole request, '' none."""

    verb: str
    template: str
    body: str


def rpc_of(full_name: str) -> Rpc:
    """As in billing.customer.v1.CustomerService/GetCustomer."""
    method = _descriptor(full_name)
    return Rpc(
        full_name,
        method.client_streaming,
        method.server_streaming,
        GetMessageClass(method.input_type),
        GetMessageClass(method.output_type),
        method.GetOptions().Extensions[_POLICY],
    )


def rules_of(full_name: str) -> Iterator[Rule]:
    first = _descriptor(full_name).GetOptions().Extensions[_HTTP]
    for rule in (first, *first.additional_bindings):
        verb = rule.WhichOneof("pattern")
        if verb is not None:
            yield Rule(verb.upper(), getattr(rule, verb), rule.body)


def _descriptor(full_name: str) -> MethodDescriptor:
    service, _, name = full_name.partition("/")
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
