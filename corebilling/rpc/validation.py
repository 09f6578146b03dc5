"""The shape of requests: bytes that are a message, and a message that keeps its declared rules."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import protovalidate
from google.protobuf.message import DecodeError, Message

from corebilling.errors import InvalidArgument
from corebilling.rpc.call import Behaviour, Call
from corebilling.rpc.method import Method

_validator = protovalidate.Validator()


def parsing(method: Method, following: Behaviour) -> Behaviour:
    """Turns bytes into messages: in here, so that a broken one is refused like any other wrong request."""

    def parse(data: bytes) -> Message:
        try:
            return method.request_class.FromString(data)
        except DecodeError:
            raise InvalidArgument(
                "REQUEST_INVALID", f"These bytes are no {method.request_class.DESCRIPTOR.full_name}."
            ) from None

    return _each_request(method, following, parse)


def validation(method: Method, following: Behaviour) -> Behaviour:
    """Refuses requests that break the rules declared on their fields (REQUEST_INVALID, with the fields)."""
    return _each_request(method, following, check)


def check(request: Message) -> Message:
    """The request itself.

    Raises:
        InvalidArgument: REQUEST_INVALID with one violation per broken rule.
    """
    if violations := _validator.collect_violations(request):
        raise InvalidArgument(
            "REQUEST_INVALID",
            "The request breaks the rules of its fields; correct those named.",
            violations=tuple((_path(v.proto.field), v.proto.message) for v in violations),
        )
    return request


def _each_request(method: Method, following: Behaviour, treat: Callable[[Any], Message]) -> Behaviour:
    async def each(requests: AsyncIterator[Any]) -> AsyncIterator[Message]:
        async for request in requests:
            yield treat(request)

    async def answer_stream(requests: AsyncIterator[Any], call: Call) -> Any:
        return await following(each(requests), call)

    async def answer(request: Any, call: Call) -> Any:
        return await following(treat(request), call)

    return answer_stream if method.client_streaming else answer


def _path(field: Any) -> str:
    """As in items[2].price_id."""
    path = ""
    for element in field.elements:
        path += f".{element.field_name}" if path else element.field_name
        subscript = element.subscript
        if subscript is not None:
            path += f"[{subscript.value}]"
    return path
