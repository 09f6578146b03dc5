"""Messages as JSON shows them: every field by its name in the contract, zeros and empty lists too.

64-bit numbers are texts, since readers of JSON round them. An event's payload is shown as its plain object.
"""

import math
from base64 import b64encode
from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

from billing.event.v1 import event_pb2 as eventv1
from google.protobuf import descriptor_pool
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import ListValue, Struct, Value

Write: TypeAlias = Callable[[Any], Any]

_SAFE_INTEGER = 2**53


def to_json(message: Message) -> Any:
    """What `orjson` writes: an object, unless the message is written as another value."""
    as_value = _AS_VALUE.get(message.DESCRIPTOR.full_name)
    if as_value is not None:
        return as_value(message)
    return {
        name: write(getattr(message, name))
        for name, optional, write in _fields(message.DESCRIPTOR)
        if not optional or message.HasField(name)
    }


@cache
def _fields(descriptor: Descriptor) -> tuple[tuple[str, bool, Write], ...]:
    """For each: its name, whether it may be missing, how it is written."""
    fields: list[FieldDescriptor] = list(descriptor.fields)
    return tuple((field.name, field.has_presence, _writer(field)) for field in fields)


def _writer(field: FieldDescriptor) -> Write:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        one = _single(field.message_type.fields_by_name["value"])
        return lambda values: {str(name): one(value) for name, value in values.items()}
    one = _single(field)
    return (lambda values: [one(value) for value in values]) if field.is_repeated else one


def _single(field: FieldDescriptor) -> Write:
    if field.message_type is not None:
        return to_json
    if field.enum_type is not None:
        return _enum_writer(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: b64encode(value).decode()
    if field.cpp_type in (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64):
        return str
    if field.cpp_type in (FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE):
        return _number
    return lambda value: value


def _enum_writer(enum: EnumDescriptor) -> Write:
    names = {value.number: value.name for value in enum.values}
    # A number that is newer than we are stays one.
    return lambda number: names.get(number, number)


def _number(value: float) -> Any:
    """The contract has doubles alone: 2 comes out of it as 2.0. What JSON cannot write is a text."""
    if not math.isfinite(value):
        return {math.inf: "Infinity", -math.inf: "-Infinity"}.get(value, "NaN")
    return int(value) if value.is_integer() and abs(value) < _SAFE_INTEGER else value


def _value(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    match kind:
        case None | "null_value":
            return None
        case "number_value":
            return _number(value.number_value)
        case _:
            found = getattr(value, kind)
            return to_json(found) if isinstance(found, Message) else found


def _any(packed: AnyMessage) -> Any:
    """The message's own fields. Of a type that is newer than we are: which it is."""
    try:
        descriptor = descriptor_pool.Default().FindMessageTypeByName(packed.type_url.rpartition("/")[2])
        message = GetMessageClass(descriptor).FromString(packed.value)
    except (KeyError, DecodeError):
        return {"@type": packed.type_url}
    # A tenant's own event is the object that the tenant published.
    return to_json(message.data if isinstance(message, eventv1.CustomEvent) else message)


def _struct(struct: Struct) -> Any:
    return {name: _value(value) for name, value in struct.fields.items()}


def _list(values: ListValue) -> Any:
    return [_value(value) for value in values.values]


def _mask(mask: FieldMask) -> str:
    return ",".join(mask.paths)


_AS_VALUE: dict[str, Write] = {
    "google.protobuf.Any": _any,
    "google.protobuf.Duration": lambda duration: duration.ToJsonString(),
    "google.protobuf.FieldMask": _mask,
    "google.protobuf.ListValue": _list,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Timestamp": lambda timestamp: timestamp.ToJsonString(),
    "google.protobuf.Value": _value,
}
