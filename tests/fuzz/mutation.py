"""Requests made hostile: values at and beyond the bounds of their fields, and bytes that are no message."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

TEXTS = (
    "",
    " ",
    "\0",
    "a\0b",
    "x" * 64,
    "x" * 129,
    "x" * 70_000,
    "💥" * 100,
    "\u202eright to left\u202c",
    "e\u0301" * 50,
    "\ufeff",
    "\u2028",
    "'; DROP TABLE customers; --",
    "%s%n%x",
    "${jndi:ldap://127.0.0.1/x}",
    "../../../../etc/passwd",
    "http://127.0.0.1:1/",
    "file:///etc/passwd",
    "-1",
    "0",
    "00",
    "-0",
    "1e400",
    "1e-400",
    "NaN",
    "Infinity",
    "0.000000000000000000000000000001",
    "9" * 60,
    "-" + "9" * 60,
    "１２",
    "+5",
    "1_000",
    "USD",
    "usd",
    "XXX",
    "Europe/Berlin",
    "../UTC",
    "{}",
    "[]",
    "*",
    "**",
    "a.b.c",
    "a" * 30 + "!",
)
WHOLE = (0, 1, -1, 2, 100, 500, 501, 2**31 - 1, -(2**31), 2**31, 2**53 + 1, 2**63 - 1, -(2**63), 2**64 - 1)
SECONDS = (-62_135_596_800, -62_135_596_801, -1, 0, 1, 253_402_300_799, 253_402_300_800, 2**63 - 1, -(2**63))
NANOS = (0, 1, -1, 999_999_999, 1_000_000_000, 2**31 - 1, -(2**31))
_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64),
}
_MOST_CHANGES = 3
_MOST_ITEMS = 1100


class Mutation:
    """`known` are texts that mean something to the server: ids, codes, tokens of all kinds."""

    def __init__(self, chance: Random, known: Sequence[str]) -> None:
        self._chance = chance
        self._known = known

    def hostile(self, request: Message) -> bytes:
        """A request that is wrong in one to three places; now and then it is no message at all."""
        changed = type(request)()
        changed.CopyFrom(request)
        for _ in range(self._chance.randint(1, _MOST_CHANGES)):
            self._change(changed)
        data = changed.SerializeToString()
        return self._broken(data) if self._chance.random() < 0.1 else data

    def _broken(self, data: bytes) -> bytes:
        match self._chance.randrange(5):
            case 0:
                return self._chance.randbytes(self._chance.randrange(200))
            case 1:
                return data[: self._chance.randrange(len(data) + 1)]
            case 2:
                return data + self._chance.randbytes(8)
            case 3:  # Groups within groups, deeper than anybody reads.
                return b"\x0b" * 10_000
        changed = bytearray(data or b"\0")
        changed[self._chance.randrange(len(changed))] ^= 1 << self._chance.randrange(8)
        return bytes(changed)

    def _change(self, message: Any) -> None:
        fields = list(message.DESCRIPTOR.fields)
        if not fields:
            return
        field = self._chance.choice(fields)
        if field.name == "tenant_id":  # Few get further than that.
            field = self._chance.choice(fields)
        if self._chance.random() < 0.1:
            message.ClearField(field.name)
        elif field.message_type is not None and field.message_type.GetOptions().map_entry:
            self._change_map(getattr(message, field.name), field)
        elif field.is_repeated:
            self._change_list(message, field)
        elif field.message_type is not None:
            self._change_message(getattr(message, field.name))
        else:
            setattr(message, field.name, self._value(field))

    def _change_list(self, message: Any, field: Any) -> None:
        items = getattr(message, field.name)
        count = self._chance.choice((1, 1, 2, 20, 101, _MOST_ITEMS))
        if field.message_type is None:
            value = self._value(field)
            # The same ones, and different ones.
            items.extend(value if self._chance.random() < 0.5 else self._value(field) for _ in range(count))
        elif items and self._chance.random() < 0.6:
            self._change_message(self._chance.choice(items))
        else:
            for _ in range(count):
                self._change_message(items.add())

    def _change_map(self, items: Any, field: Any) -> None:
        value_field = field.message_type.fields_by_name["value"]
        for _ in range(self._chance.choice((1, 2, 50, 1000))):
            items[self._text()[:200]] = self._value(value_field)

    def _change_message(self, message: Any) -> None:
        message.SetInParent()
        match message.DESCRIPTOR.full_name:
            case "google.protobuf.Timestamp" | "google.protobuf.Duration":
                message.seconds = self._chance.choice(SECONDS)
                message.nanos = self._chance.choice(NANOS)
            case "google.protobuf.FieldMask":
                message.paths.extend(self._text() for _ in range(self._chance.choice((1, 3, 200))))
            case "google.protobuf.Struct":
                self._change_struct(message)
            case _:
                self._change(message)

    def _change_struct(self, message: Any) -> None:
        place = message
        for _ in range(self._chance.choice((1, 5, 40))):
            place = place.get_or_create_struct(self._text()[:50] or "x")
        place.update({"n": self._chance.choice((float("nan"), float("inf"), 1e308, -0.0)), "l": [None, True]})

    def _value(self, field: Any) -> Any:
        if field.enum_type is not None:
            named = [value.number for value in field.enum_type.values]
            return self._chance.choice((*named, -1, 99, 2**31 - 1))
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_BOOL:
                return self._chance.random() < 0.5
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return self._chance.choice((b"", b"\0", b"\x89PNG\r\n\x1a\n", self._chance.randbytes(300)))
            case FieldDescriptor.CPPTYPE_STRING:
                return self._text()
            case FieldDescriptor.CPPTYPE_DOUBLE | FieldDescriptor.CPPTYPE_FLOAT:
                return self._chance.choice((0.0, -1.0, float("nan"), float("inf"), 1e308))
        low, beyond = _RANGES[field.cpp_type]
        return self._chance.choice([number for number in WHOLE if low <= number < beyond])

    def _text(self) -> str:
        return self._chance.choice(self._known if self._chance.random() < 0.4 else TEXTS)


JSON_VALUES: Sequence[Callable[[Random], Any]] = (
    lambda _: None,
    lambda _: True,
    lambda _: [],
    lambda _: {},
    lambda _: [[[[[]]]]],
    lambda _: {"": {"": {"": 1}}},
    lambda chance: chance.choice(TEXTS),
    lambda chance: chance.choice(WHOLE[:8]),
    lambda _: 0.5,
    lambda _: 1e308,
    lambda _: -1e-308,
)
"""Of any type, whatever a field wants."""


def hostile_json(chance: Random, content: Any) -> Any:
    """JSON with a value of another kind at some place, or a member more."""
    if isinstance(content, dict) and content and chance.random() < 0.7:
        name = chance.choice(list(content))
        return {**content, name: hostile_json(chance, content[name])}
    if isinstance(content, list) and content and chance.random() < 0.7:
        place = chance.randrange(len(content))
        return [*content[:place], hostile_json(chance, content[place]), *content[place + 1 :]]
    if isinstance(content, dict) and chance.random() < 0.3:
        return {**content, chance.choice(TEXTS)[:100]: chance.choice(JSON_VALUES)(chance)}
    return chance.choice(JSON_VALUES)(chance)
