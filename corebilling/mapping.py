"""Rows and messages agree on their field names: this turns one into the other, for all domains alike.

| column                        | proto field                                    |
|-------------------------------|------------------------------------------------|
| numeric                       | string, plain notation                         |
| timestamptz                   | google.protobuf.Timestamp                      |
| text 'active'                 | enum value `<ENUM_NAME>_ACTIVE`                |
| `x_start`, `x_end`            | billing.types.v1.Period x                      |
| jsonb object, list of objects | message, repeated message                      |
| text[]                        | repeated string                                |
| null                          | unset                                          |
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, Protocol, TypeVar, cast

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp

from corebilling.errors import InvalidArgument

M = TypeVar("M", bound=Message)
Reader = Callable[[Any], Any]

_readers_by_pair: dict[tuple[type, type[Message]], tuple[tuple[str, Reader], ...]] = {}

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INFINITY = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))
_TIMESTAMP = "google.protobuf.Timestamp"
_PERIOD = "billing.types.v1.Period"


class EnumType(Protocol):
    """A generated enum, as `subscription_pb2.SubscriptionState`."""

    DESCRIPTOR: EnumDescriptor


def to_message(row: object, message_class: type[M], **overrides: Any) -> M:
    """The message whose fields have the row's names; `overrides` win, and fields the row lacks stay unset."""
    pair = (type(row), message_class)
    readers = _readers_by_pair.get(pair) or _readers_by_pair.setdefault(pair, _readers(*pair))
    values = {
        name: value for name, read in readers if name not in overrides and (value := read(row)) is not None
    }
    return message_class(**values, **overrides)


def timestamp(instant: datetime) -> Timestamp:
    """Exact to the microsecond."""
    return Timestamp(**moment_object(instant))


def instant(message: Timestamp) -> datetime:
    """The moment, aware UTC, cut to the microsecond.

    Raises:
        InvalidArgument: REQUEST_INVALID when it lies outside the years 1 to 9999.
    """
    try:
        moment = _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    except OverflowError:
        moment = _INFINITY[0]
    # The driver stores the first and the last moment as -infinity and infinity.
    if moment in _INFINITY:
        raise InvalidArgument("REQUEST_INVALID", "A timestamp must lie in the years 1 to 9999.")
    return moment


def moment_object(instant: datetime) -> dict[str, int]:
    """As a jsonb object keeps it: a `google.protobuf.Timestamp` in fields."""
    since = instant - _EPOCH
    return {"seconds": since.days * 86_400 + since.seconds, "nanos": since.microseconds * 1000}


def moment_of(kept: Mapping[str, int]) -> datetime:
    """The moment that `moment_object` keeps."""
    return _EPOCH + timedelta(seconds=kept["seconds"], microseconds=kept["nanos"] // 1000)


def decimal_text(number: Decimal) -> str:
    """Plain notation without an exponent or trailing zeros: 1E+3 is '1000', 0.150 is '0.15'."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def optional_text(number: Decimal | None) -> str:
    """The same, and '' for none."""
    return "" if number is None else decimal_text(number)


def enum_text(enum: EnumType, number: int) -> str:
    """SUBSCRIPTION_STATE_ACTIVE -> 'active'."""
    return _enum_names(enum.DESCRIPTOR)[0][number]


def enum_number(enum: EnumType, text: str) -> int:
    """'active' -> SUBSCRIPTION_STATE_ACTIVE."""
    return _enum_names(enum.DESCRIPTOR)[1][text]


@cache
def _enum_names(enum: EnumDescriptor) -> tuple[dict[int, str], dict[str, int]]:
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper() + "_"
    texts = {value.number: value.name.removeprefix(prefix).lower() for value in enum.values}
    return texts, {text: number for number, text in texts.items()}


def _readers(row_class: type, message_class: type[Message]) -> tuple[tuple[str, Reader], ...]:
    """For each field that the row can fill: how to read its value from the row."""
    columns = set(row_class.__dataclass_fields__)  # type: ignore[attr-defined]
    return tuple(
        (field.name, reader)
        for field in cast("list[FieldDescriptor]", message_class.DESCRIPTOR.fields)
        if (reader := _reader(field, columns)) is not None
    )


def _reader(field: FieldDescriptor, columns: set[str]) -> Reader | None:
    name = field.name
    if field.message_type is not None and field.message_type.full_name == _PERIOD:
        return _period_reader(field) if {f"{name}_start", f"{name}_end"} <= columns else None
    if name not in columns:
        return None
    convert = _converter(field)

    def read(row: Any) -> Any:
        value = getattr(row, name)
        return None if value is None else convert(value)

    return read


def _period_reader(field: FieldDescriptor) -> Reader:
    period_class = GetMessageClass(cast("Descriptor", field.message_type))
    start_name, end_name = f"{field.name}_start", f"{field.name}_end"

    def read(row: Any) -> Any:
        start, end = getattr(row, start_name), getattr(row, end_name)
        return None if start is None else period_class(start=timestamp(start), end=timestamp(end))

    return read


def _converter(field: FieldDescriptor) -> Reader:
    convert = _single_converter(field)
    if not field.is_repeated:
        return convert
    return lambda values: [convert(value) for value in values]


def _single_converter(field: FieldDescriptor) -> Reader:
    if field.enum_type is not None:
        return _enum_names(field.enum_type)[1].__getitem__
    if field.message_type is None:
        return _scalar
    if field.message_type.full_name == _TIMESTAMP:
        return timestamp
    return _object_converter(field.message_type)


def _scalar(value: Any) -> Any:
    return decimal_text(value) if isinstance(value, Decimal) else value


def _object_converter(descriptor: Descriptor) -> Callable[[Mapping[str, Any]], Message]:
    """Builds a message from a jsonb object; keys that the message does not know are an error."""
    message_class = GetMessageClass(descriptor)
    return lambda value: message_class(**value)
