"""The shape of requests: bytes that are a message, and a message that keeps its declared rules."""

from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import protovalidate
from buf.validate import validate_pb2
from google.protobuf.message import DecodeError, Message

from corebilling.errors import InvalidArgument
from corebilling.rpc.call import Behaviour, Call
from corebilling.rpc.method import Method

_validator = protovalidate.Validator()
_RULES: Any = validate_pb2.DESCRIPTOR.extensions_by_name["field"]

# Of what is larger, one broken rule is enough: a list of many wrong items would be worked on for seconds, by
# a server that answers nobody else meanwhile.
_EXPLAINED_BYTES = 4096

Received: TypeAlias = "bytes | Callable[[], bytes]"
"""A request as it came in. What is no protobuf is made such in here, when the call has its place."""


def parsing(method: Method, following: Behaviour) -> Behaviour:
    """Turns bytes into messages: in here, so that a broken one is refused like any other wrong request."""

    def parse(received: Received) -> Message:
        data = received() if callable(received) else received
        try:
            return method.request_class.FromString(data)
        except DecodeError:
            raise InvalidArgument(
                "REQUEST_INVALID",
                f"This is no {method.request_class.DESCRIPTOR.full_name}, or one nested too deeply.",
            ) from None

    async def each(requests: AsyncIterator[Received]) -> AsyncIterator[Message]:
        async for received in requests:
            yield parse(received)

    async def answer(request: Any, call: Call) -> Any:
        return await following(each(request) if method.client_streaming else parse(request), call)

    return answer


def validation(method: Method, following: Behaviour) -> Behaviour:
    """Refuses requests that break the rules declared on their fields (REQUEST_INVALID, with the fields)."""

    async def each(requests: AsyncIterator[Message]) -> AsyncIterator[Message]:
        async for request in requests:
            yield check(request)

    async def answer(request: Any, call: Call) -> Any:
        return await following(each(request) if method.client_streaming else check(request), call)

    return answer


def check(request: Message) -> Message:
    """The request itself.

    Raises:
        InvalidArgument: REQUEST_INVALID with one violation per broken rule; the first, if it is large.
    """
    if violations := _validator.collect_violations(request, fail_fast=True):
        if request.ByteSize() <= _EXPLAINED_BYTES:
            violations = _validator.collect_violations(request)
        raise InvalidArgument(
            "REQUEST_INVALID",
            "The request breaks the rules of its fields; correct those named.",
            violations=tuple((_path(v.proto.field), _requirement(request, v.proto)) for v in violations),
        )
    return request


def _requirement(request: Message, violation: Any) -> str:
    """What the field must be. Enums by their names: the rules know them as numbers, which nobody sends."""
    if not violation.rule_id.startswith("enum."):
        return str(violation.message)
    field = _field(request.DESCRIPTOR, violation.field)
    rules = field.GetOptions().Extensions[_RULES].enum
    only, never = getattr(rules, "in"), rules.not_in
    numbers = only or [value.number for value in field.enum_type.values if value.number not in never]
    return f"must be one of {', '.join(field.enum_type.values_by_number[number].name for number in numbers)}"


def _field(descriptor: Any, path: Any) -> Any:
    *holders, last = path.elements
    for holder in holders:
        descriptor = descriptor.fields_by_name[holder.field_name].message_type
    return descriptor.fields_by_name[last.field_name]


def _path(field: Any) -> str:
    """As in items[2].price_id."""
    path = ""
    for element in field.elements:
        path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is not None:
            path += f"[{subscript.value}]"
    return path
