"""What clients write, made into messages: JSON objects, and the texts of queries, paths and headers.

Names are as in the contract, or in camelCase. What does not fit is named: not the first wrong field alone.
"""

from base64 import b64decode, urlsafe_b64decode
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from buf.validate import validate_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from corebilling.errors import InvalidArgument

_MAX_PROBLEMS = 20
_MAX_NAMES = 200
# Of lists whose fields say nothing of it.
_MAX_ITEMS = 100_000

_RULES: Any = validate_pb2.DESCRIPTOR.extensions_by_name["field"]

# Written as one value of JSON, whatever their fields are.
_AS_VALUE: Final = frozenset(
    f"google.protobuf.{name}"
    for name in ("Timestamp", "Duration", "FieldMask", "Struct", "Value", "ListValue")
)
_BITS: Final = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64),
}


class Problems:
    """What is wrong with a request, by field; `place` says which request of several."""

    def __init__(self, place: str = "") -> None:
        self._place = f" ({place})" if place else ""
        self._found: list[tuple[str, str]] = []

    def add(self, field: str, description: str) -> None:
        """Raises InvalidArgument (REQUEST_INVALID) when that is enough."""
        self._found.append((field, description))
        if len(self._found) >= _MAX_PROBLEMS:
            self.refuse()

    def refuse(self) -> None:
        """Raises InvalidArgument (REQUEST_INVALID) if there are any."""
        if self._found:
            raise InvalidArgument(
                "REQUEST_INVALID",
                f"The request does not fit its fields; correct those named{self._place}.",
                violations=tuple(self._found),
            )


class _Wrong(ValueError):
    """The value is none of the field's; the message says what is."""


def read_object(message: Message, value: object, problems: Problems, at: str = "") -> None:
    """Sets the fields that a JSON object names. `at` is where the object stands."""
    if not isinstance(value, Mapping):
        problems.add(at, "It must be an object.")
        return
    fields, taken = fields_of(message.DESCRIPTOR), dict[str, str]()
    for name, item in value.items():
        place = f"{at}.{name}" if at else name
        field = fields.get(name)
        if field is None:
            problems.add(place, "There is no such field.")
        elif item is None and not _is(field, "Value"):
            continue
        elif (other := taken.setdefault(_claim(field), name)) != name:
            problems.add(place, f"It excludes {other}: send one of them.")
        else:
            _read_field(message, field, item, problems, place)


def read_text(message: Message, field: FieldDescriptor, text: str) -> None:
    """Sets or, when it is repeated, extends a field from a text, as queries and paths have them.

    Raises:
        ValueError: The text is no value of the field; the message says what is.
    """
    if field.message_type is not None:
        sub = getattr(message, field.name)
        _read_value(sub.add() if field.is_repeated else sub, text)
        return
    value = _scalar(field, _TEXTS.get(text, text) if field.type == FieldDescriptor.TYPE_BOOL else text)
    if field.is_repeated:
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)


def is_value(field: FieldDescriptor) -> bool:
    """It is written as one value, and so as one text."""
    return field.message_type is None or field.message_type.full_name in _AS_VALUE


@cache
def fields_of(descriptor: Descriptor) -> Mapping[str, FieldDescriptor]:
    """By both names that each has."""
    fields: list[FieldDescriptor] = list(descriptor.fields)
    return {field.json_name: field for field in fields} | {field.name: field for field in fields}


_TEXTS: Final = {"true": True, "false": False}


def _claim(field: FieldDescriptor) -> str:
    """What can be set once: the field, or one of its oneof."""
    return (field.containing_oneof or field).full_name


def _read_field(message: Message, field: FieldDescriptor, value: Any, problems: Problems, at: str) -> None:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        _read_map(getattr(message, field.name), field.message_type, value, problems, at)
    elif field.is_repeated:
        _read_list(getattr(message, field.name), field, value, problems, at)
    elif field.message_type is not None:
        _read_message(getattr(message, field.name), value, problems, at)
    else:
        try:
            setattr(message, field.name, _scalar(field, value))
        except ValueError as error:
            problems.add(at, str(error))


def _read_message(message: Message, value: Any, problems: Problems, at: str) -> None:
    # Also an empty object says that the message is there.
    message.SetInParent()
    if message.DESCRIPTOR.full_name not in _AS_VALUE:
        read_object(message, value, problems, at)
        return
    try:
        _read_value(message, value)
    except ValueError as error:
        problems.add(at, str(error))


def _read_list(items: Any, field: FieldDescriptor, value: Any, problems: Problems, at: str) -> None:
    if not isinstance(value, list):
        problems.add(at, "It must be a list.")
        return
    if len(value) > (most := _most_items(field)):
        problems.add(at, f"It must have at most {most} items.")
        return
    for index, item in enumerate(value):
        place = f"{at}[{index}]"
        if field.message_type is not None:
            _read_message(items.add(), item, problems, place)
            continue
        try:
            items.append(_scalar(field, item))
        except ValueError as error:
            problems.add(place, str(error))


@cache
def _most_items(field: FieldDescriptor) -> int:
    """Checked here already: reading a list that is far too long takes as long as one that is not."""
    rules = field.GetOptions().Extensions[_RULES].repeated
    return int(rules.max_items) if rules.HasField("max_items") else _MAX_ITEMS


def _read_map(items: Any, entry: Descriptor, value: Any, problems: Problems, at: str) -> None:
    if not isinstance(value, Mapping):
        problems.add(at, "It must be an object.")
        return
    key, kept = entry.fields_by_name["key"], entry.fields_by_name["value"]
    for name, item in value.items():
        try:
            items[_scalar(key, name)] = _scalar(kept, item)
        except ValueError as error:
            problems.add(f"{at}.{name}", str(error))


def _read_value(message: Message, value: Any) -> None:
    """Raises ValueError."""
    if isinstance(message, FieldMask):
        _read_mask(message, value)
        return
    kind = message.DESCRIPTOR.name
    try:
        json_format.ParseDict(value, message)
    except (json_format.ParseError, AttributeError, OverflowError, TypeError, ValueError):
        raise _Wrong(_VALUES.get(kind, f"It must be a {kind} of JSON, nested at most 30 deep.")) from None


_VALUES: Final = {
    "Timestamp": 'It must be a time as "2026-03-01T00:00:00Z", in the years 1 to 9999.',
    "Duration": 'It must be a number of seconds as "90s".',
    "Struct": "It must be an object, nested at most 30 deep.",
}


def _read_mask(mask: FieldMask, value: Any) -> None:
    """As in "name,tax_id", or in camelCase."""
    if not isinstance(value, str):
        raise _Wrong('It must be a text that names fields, as "name,tax_id".')
    mask.paths.extend(_snake(path.strip()) for path in value.split(",") if path.strip())


def _snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if "A" <= letter <= "Z" else letter for letter in name)


def _scalar(field: FieldDescriptor, value: Any) -> Any:
    """Raises ValueError."""
    if field.enum_type is not None:
        return _enum(field.enum_type, value)
    match field.cpp_type:
        case FieldDescriptor.CPPTYPE_BOOL:
            if not isinstance(value, bool):
                raise _Wrong("It must be true or false.")
            return value
        case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
            return _bytes(value)
        case FieldDescriptor.CPPTYPE_STRING:
            if not isinstance(value, str):
                raise _Wrong("It must be a text in quotes.")
            return value
        case FieldDescriptor.CPPTYPE_FLOAT | FieldDescriptor.CPPTYPE_DOUBLE:
            return _float(value)
        case _:
            return _integer(value, *_BITS[field.cpp_type])


def _integer(value: Any, lowest: int, beyond: int) -> int:
    """JSON has numbers, or texts of those that its readers could round."""
    if isinstance(value, str) and len(value) <= 20:  # noqa: SIM102 (reads like the other two)
        if value.removeprefix("-").isascii() and value.removeprefix("-").isdigit():
            value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _Wrong("It must be a whole number.")
    if not lowest <= value < beyond:
        raise _Wrong(f"It must be from {lowest} to {beyond - 1}.")
    return value


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _Wrong("It must be a number.")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise _Wrong("It must be a number.") from None


def _bytes(value: Any) -> bytes:
    if not isinstance(value, str):
        raise _Wrong("It must be a text in base64.")
    padded = value + "=" * (-len(value) % 4)
    try:
        if "-" in value or "_" in value:
            return urlsafe_b64decode(padded)
        return b64decode(padded, validate=True)
    except ValueError:
        raise _Wrong("It must be a text in base64.") from None


def _enum(enum: EnumDescriptor, value: Any) -> int:
    found = enum.values_by_name.get(value) if isinstance(value, str) else None
    if found is not None:
        return int(found.number)
    try:
        # By its number too; what has no name is left to the field's rules.
        return _integer(value, *_BITS[FieldDescriptor.CPPTYPE_INT32])
    except ValueError:
        names = ", ".join(name for name in enum.values_by_name)
        raise _Wrong(f"It must be one of {names}"[:_MAX_NAMES]) from None


def _is(field: FieldDescriptor, well_known: str) -> bool:
    return field.message_type is not None and field.message_type.full_name == f"google.protobuf.{well_known}"
