"""JSON Schema of what events look like in JSON, as webhooks send them and commands print them.

Fields may be added to a payload at any time: the schemas do not forbid what they do not know.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
)

DIALECT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]

_TYPE = FieldDescriptorProto.Type
_INTEGER: Schema = {"type": "integer"}
# JSON's numbers are not exact beyond 2^53.
_LONG: Schema = {"type": "string", "pattern": "^-?[0-9]+$"}
_NUMBER: Schema = {"type": "number"}
_SCALARS: Mapping[int, Schema] = {
    _TYPE.TYPE_BOOL: {"type": "boolean"},
    _TYPE.TYPE_STRING: {"type": "string"},
    _TYPE.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    _TYPE.TYPE_DOUBLE: _NUMBER,
    _TYPE.TYPE_FLOAT: _NUMBER,
    _TYPE.TYPE_INT32: _INTEGER,
    _TYPE.TYPE_UINT32: _INTEGER,
    _TYPE.TYPE_INT64: _LONG,
    _TYPE.TYPE_UINT64: _LONG,
}
_WELL_KNOWN: Mapping[str, Schema] = {
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?s$"},
    ".google.protobuf.Struct": {"type": "object"},
}


@dataclass(frozen=True)
class Message:
    """A message with its name and the comments on its fields."""

    name: str
    message: DescriptorProto
    comment: str
    fields: Mapping[str, str]


class Contracts:
    """The messages and enums of compiled files, by full name with a dot before it."""

    def __init__(self, files: FileDescriptorSet) -> None:
        self._messages: dict[str, Message] = {}
        self._enums: dict[str, EnumDescriptorProto] = {}
        for file in files.file:
            said = comments(file)
            for index, message in enumerate(file.message_type):
                self._add(f".{file.package}", message, said, (4, index))
            self._enums.update({f".{file.package}.{enum.name}": enum for enum in file.enum_type})

    def payload_schema(self, name: str, subject: str) -> Schema:
        """Of the message of this full name, as a document of its own."""
        return {"$schema": DIALECT, "title": subject, **self._document(f".{name}")}

    def envelope_schema(self) -> Schema:
        """Of the whole event around a payload."""
        metadata = self._document(".billing.event.v1.EventMetadata")
        texts = {name: {"type": "string"} for name in ("id", "subject", "tenant_id")}
        event = self._messages[".billing.event.v1.Event"]
        properties: Schema = {
            **texts,
            "created_at": _WELL_KNOWN[".google.protobuf.Timestamp"],
            "payload": {"type": "object"},
            "metadata": metadata,
        }
        for field, comment in event.fields.items():
            if field in properties and comment:
                properties[field] = {**properties[field], "description": comment}
        return {
            "$schema": DIALECT,
            "title": "event",
            "description": event.comment,
            "type": "object",
            "properties": properties,
            "required": list(properties),
        }

    def _add(
        self,
        scope: str,
        message: DescriptorProto,
        said: Mapping[tuple[int, ...], str],
        path: tuple[int, ...],
    ) -> None:
        name = f"{scope}.{message.name}"
        fields = {field.name: said.get((*path, 2, index), "") for index, field in enumerate(message.field)}
        self._messages[name] = Message(name, message, said.get(path, ""), fields)
        for index, nested in enumerate(message.nested_type):
            self._add(name, nested, said, (*path, 3, index))
        self._enums.update({f"{name}.{enum.name}": enum for enum in message.enum_type})

    def _document(self, name: str) -> Schema:
        schema = self._object(self._messages[name])
        if parts := {part: self._object(self._messages[part]) for part in self._parts(name)}:
            schema["$defs"] = {_short(part): parts[part] for part in sorted(parts)}
        return schema

    def _parts(self, name: str) -> set[str]:
        """The messages that it holds, however deep."""
        found: set[str] = set()
        pending = [name]
        while pending:
            for field in self._messages[pending.pop()].message.field:
                part = field.type_name
                if part in self._messages and part not in _WELL_KNOWN and part not in found:
                    found.add(part)
                    pending.append(part)
        return {part for part in found if not self._messages[part].message.options.map_entry}

    def _object(self, message: Message) -> Schema:
        described = {"description": message.comment} if message.comment else {}
        return {
            **described,
            "type": "object",
            "properties": dict(self._properties(message)),
            "required": [field.name for field in message.message.field if not _may_be_absent(field)],
        }

    def _properties(self, message: Message) -> Iterator[tuple[str, Schema]]:
        for field in message.message.field:
            schema = self._field(field)
            comment = message.fields[field.name]
            yield field.name, {**schema, "description": comment} if comment else schema

    def _field(self, field: FieldDescriptorProto) -> Schema:
        if field.label != FieldDescriptorProto.LABEL_REPEATED:
            return self._single(field)
        part = self._messages.get(field.type_name)
        if part is not None and part.message.options.map_entry:
            return {"type": "object", "additionalProperties": self._single(part.message.field[1])}
        return {"type": "array", "items": self._single(field)}

    def _single(self, field: FieldDescriptorProto) -> Schema:
        if field.type_name in _WELL_KNOWN:
            return _WELL_KNOWN[field.type_name]
        if field.type_name in self._enums:
            return {"type": "string", "enum": [value.name for value in self._enums[field.type_name].value]}
        if field.type_name:
            return {"$ref": f"#/$defs/{_short(field.type_name)}"}
        return _SCALARS[field.type]


def comments(file: FileDescriptorProto) -> dict[tuple[int, ...], str]:
    """The comment above each element, by its path."""
    return {
        tuple(place.path): " ".join(place.leading_comments.split())
        for place in file.source_code_info.location
        if place.leading_comments
    }


def _may_be_absent(field: FieldDescriptorProto) -> bool:
    """Whether the field tells unset from zero: then JSON leaves it out when it is unset."""
    if field.label == FieldDescriptorProto.LABEL_REPEATED:
        return False
    return field.type == _TYPE.TYPE_MESSAGE or field.HasField("oneof_index")


def _short(name: str) -> str:
    return name.removeprefix(".billing.")
