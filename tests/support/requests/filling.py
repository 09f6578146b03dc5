"""Messages that keep the rules of their fields, from nothing but their descriptors."""

import re
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

Path: TypeAlias = tuple[FieldDescriptor, ...]

RULES: Any = validate_pb2.DESCRIPTOR.extensions_by_name["field"]

# Whatever pattern a field has, one of these keeps it; a new pattern may want another line.
EXAMPLES = ("sample", "1", "USD", "DE", "sample.made", "sample@example.com", "sample-1")


class NoExample(Exception):
    """Nothing is known that the field takes: the message names it."""


def rules_of(field: FieldDescriptor) -> Any:
    return field.GetOptions().Extensions[RULES]


class Filling:
    """Fills what is required, and leaves out the rest.

    `known` may give a text field its value, by the field and its rules; None leaves it to the examples.
    """

    def __init__(self, now: Any, known: Callable[[FieldDescriptor], str | None]) -> None:
        self._now = now
        self._known = known

    def message(self, descriptor: Descriptor) -> Any:
        made: Any = GetMessageClass(descriptor)()
        for field in descriptor.fields:
            rules = rules_of(field)
            if field.is_repeated:
                self._fill_list(made, field, rules)
            elif field.message_type is not None:
                if rules.required:
                    getattr(made, field.name).CopyFrom(self.part(field.message_type))
            elif not field.has_presence:
                setattr(made, field.name, self.value(field, rules))
        return made

    def part(self, descriptor: Descriptor) -> Any:
        """A message within a message."""
        made: Any = GetMessageClass(descriptor)()
        match descriptor.full_name:
            case "google.protobuf.Timestamp":
                made.FromDatetime(self._now)
            case "google.protobuf.Struct":
                made.update({"sample": "sample"})
            case name if name.startswith("google.protobuf."):
                pass
            case _:
                made = self.message(descriptor)
        return made

    def value(self, field: FieldDescriptor, rules: Any) -> Any:
        """Of a field that holds no message."""
        match field.type:
            case FieldDescriptor.TYPE_STRING:
                return self._text(field, rules.string)
            case FieldDescriptor.TYPE_BYTES:
                return b"\0" * rules.bytes.min_len
            case FieldDescriptor.TYPE_ENUM:
                return self._enum(field, rules.enum)
            case FieldDescriptor.TYPE_BOOL:
                return False
            case FieldDescriptor.TYPE_INT32:
                return _least(rules.int32)
            case FieldDescriptor.TYPE_INT64:
                return _least(rules.int64)
        raise NoExample(f"{field.full_name}: fields of its type are new")

    def put(self, request: Message, path: Path, value: str) -> None:
        """Sets the field at the end of the path, and fills what has to be made on the way."""
        place: Any = request
        for field in path[:-1]:
            assert field.message_type is not None
            if field.is_repeated:
                several = getattr(place, field.name)
                if not several:
                    several.add().CopyFrom(self.part(field.message_type))
                place = several[0]
            else:
                if not place.HasField(field.name):
                    getattr(place, field.name).CopyFrom(self.part(field.message_type))
                place = getattr(place, field.name)
        last = path[-1]
        if last.is_repeated:
            getattr(place, last.name)[:] = [value]
        else:
            setattr(place, last.name, value)

    def _fill_list(self, made: Any, field: FieldDescriptor, rules: Any) -> None:
        for _ in range(rules.repeated.min_items):
            if field.message_type is not None:
                getattr(made, field.name).add().CopyFrom(self.part(field.message_type))
            else:
                getattr(made, field.name).append(self.value(field, rules.repeated.items))

    def _text(self, field: FieldDescriptor, rules: Any) -> str:
        candidates: tuple[str, ...] = ("", *EXAMPLES)
        known = self._known(field)
        if known is not None:
            candidates = (known, *candidates) if rules.min_len or not _keeps(rules, "") else candidates
        for candidate in candidates:
            if _keeps(rules, candidate):
                return candidate
        raise NoExample(f"{field.full_name}: no example keeps its rules; add one to EXAMPLES")

    def _enum(self, field: FieldDescriptor, rules: Any) -> Any:
        assert field.enum_type is not None
        allowed = list(getattr(rules, "in")) or [value.number for value in field.enum_type.values]
        return min(number for number in allowed if number not in rules.not_in)


def _keeps(rules: Any, text: str) -> bool:
    if rules.HasField("const"):
        return bool(text == rules.const)
    if len(text) < rules.min_len or (rules.HasField("max_len") and len(text) > rules.max_len):
        return False
    return not rules.pattern or re.search(rules.pattern, text) is not None


def _least(rules: Any) -> int:
    """Nothing, or the least that is allowed."""
    least = 0
    if rules.HasField("gt"):
        least = max(least, rules.gt + 1)
    if rules.HasField("gte"):
        least = max(least, rules.gte)
    return least


def texts_within(descriptor: Descriptor, path: Path = ()) -> Iterator[Path]:
    """Paths to the text fields of a message, however deep."""
    for field in descriptor.fields:
        if field.type == FieldDescriptor.TYPE_STRING:
            yield (*path, field)
        elif field.message_type is not None and not _is_foreign(field.message_type):
            yield from texts_within(field.message_type, (*path, field))


def _is_foreign(descriptor: Descriptor) -> bool:
    return descriptor.full_name.startswith("google.protobuf.") or descriptor.GetOptions().map_entry
