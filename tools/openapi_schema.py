"""JSON Schemas of the contracts' messages: as clients may write them, and as the server answers with them.

What a field's rules demand is in the schemas of requests alone. Answers hold every field that does not tell
unset from zero, and may gain fields at any time.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

Schema: TypeAlias = dict[str, Any]

TYPE = FieldDescriptor
_WHOLE: Schema = {"type": "integer"}
# JSON's numbers are not exact beyond 2^53.
_LONG: Schema = {"type": "string", "pattern": "^-?[0-9]{1,19}$"}
_SCALARS: Mapping[int, Schema] = {
    TYPE.TYPE_BOOL: {"type": "boolean"},
    TYPE.TYPE_STRING: {"type": "string"},
    TYPE.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
    TYPE.TYPE_DOUBLE: {"type": "number"},
    TYPE.TYPE_FLOAT: {"type": "number"},
    TYPE.TYPE_INT32: {**_WHOLE, "format": "int32"},
    TYPE.TYPE_UINT32: {**_WHOLE, "minimum": 0},
    TYPE.TYPE_INT64: {**_LONG, "format": "int64"},
    TYPE.TYPE_UINT64: {"type": "string", "pattern": "^[0-9]{1,20}$", "format": "uint64"},
}
_DURATION: Schema = {"type": "string", "pattern": r"^-?[0-9]{1,12}(\.[0-9]{1,9})?s$"}
_WELL_KNOWN: Mapping[str, Schema] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": _DURATION,
    "google.protobuf.FieldMask": {"type": "string", "description": "Names of fields, with commas between."},
    "google.protobuf.Struct": {"type": "object"},
    # An event's payload: the fields of its own message, which the event catalogue describes.
    "google.protobuf.Any": {"type": "object"},
}
_RULES: Any = validate_pb2.DESCRIPTOR.extensions_by_name["field"]

REQUEST_ID = "request_id"
# What these mean in every message, where it does not say so itself.
_MEANINGS: Mapping[str, str] = {
    "tenant_id": "The tenant; in requests the credential's own when empty.",
    "page_size": "Rows per page; 50 when 0.",
    "page_token": "The `next_page_token` of the page before; empty for the first.",
    "next_page_token": "Leads to the page that follows; empty on the last.",
    "etag": "Differs after every change; in requests the one that the change is based on, or empty.",
    "version": "Counts the changes.",
    REQUEST_ID: "Names the change, so that repeating it does nothing twice.",
}


class Schemas:
    """Collects the schemas of the messages and enums that it is asked for, by their names in the contract."""

    def __init__(self, comments: Mapping[str, str]) -> None:
        """`comments` are by full names."""
        self.comments = comments
        self.components: dict[str, Schema] = {}
        self._answers: dict[str, Descriptor] = {}

    def answer(self, message: Descriptor) -> Schema:
        """A reference to the schema of what the server answers with."""
        name = short(message)
        if name not in self._answers:
            self._answers[name] = message
            self.components[name] = self._described(
                message,
                {
                    "type": "object",
                    "properties": {field.name: self._answered(field) for field in message.fields},
                    "required": [field.name for field in message.fields if not field.has_presence],
                },
            )
        return _reference(name)

    def request(self, message: Descriptor, without: frozenset[str] = frozenset()) -> Schema:
        """A reference to the schema of what clients write, `without` the fields that they say elsewhere.

        Answers have to be asked for before: a message that is in both has a schema of its own for each.
        """
        name = short(message)
        if without:
            name += "-body"
        elif name in self._answers:
            name += "-input"
        if name not in self.components:
            # Known by now, should it hold itself.
            self.components[name] = {}
            fields = [field for field in message.fields if field.name not in without]
            self.components[name] = self._described(message, self._written_object(fields))
        return _reference(name)

    def written(self, field: FieldDescriptor) -> Schema:
        """The schema of one field of a request, with its rules and its comment."""
        rules = rules_of(field)
        if (entry := _map_entry(field)) is not None:
            key, value = entry.fields
            names = _single_rules(key, rules.map.keys)
            schema: Schema = {
                "type": "object",
                "additionalProperties": self._written_single(value, rules.map.values),
                **({"propertyNames": names} if names else {}),
                **_bounds(rules.map, min_pairs="minProperties", max_pairs="maxProperties"),
            }
        elif field.is_repeated:
            schema = {
                "type": "array",
                "items": self._written_single(field, rules.repeated.items),
                **_bounds(rules.repeated, min_items="minItems", max_items="maxItems"),
                **({"uniqueItems": True} if rules.repeated.unique else {}),
            }
        else:
            schema = self._written_single(field, rules)
        return self._commented(schema, field, *_spoken(field, rules))

    def enum(self, enum: EnumDescriptor) -> Schema:
        """A reference to its schema."""
        name = short(enum)
        meanings = [
            f"- `{value.name}`: {said}"
            for value in enum.values
            if (said := self.comments.get(f"{enum.full_name}.{value.name}"))
        ]
        description = "\n".join([*filter(None, [self.comments.get(enum.full_name)]), *meanings])
        self.components[name] = {
            "type": "string",
            **({"description": description} if description else {}),
            "enum": [value.name for value in enum.values],
        }
        return _reference(name)

    def _written_object(self, fields: list[FieldDescriptor]) -> Schema:
        required = [field.name for field in fields if is_required(field)]
        choices = _choices(fields)
        return {
            "type": "object",
            "properties": {field.name: self.written(field) for field in fields},
            **({"required": required} if required else {}),
            **({"allOf": choices} if choices else {}),
            "additionalProperties": False,
        }

    def _written_single(self, field: FieldDescriptor, rules: Any) -> Schema:
        if field.enum_type is not None:
            refused = [field.enum_type.values_by_number[number].name for number in rules.enum.not_in]
            return {**self.enum(field.enum_type), **({"not": {"enum": refused}} if refused else {})}
        if field.message_type is None:
            return {**_SCALARS[field.type], **_single_rules(field, rules)}
        known = _WELL_KNOWN.get(field.message_type.full_name)
        return dict(known) if known is not None else self.request(field.message_type)

    def _answered(self, field: FieldDescriptor) -> Schema:
        if (entry := _map_entry(field)) is not None:
            value = entry.fields_by_name["value"]
            schema: Schema = {"type": "object", "additionalProperties": self._answered_single(value)}
        elif field.is_repeated:
            schema = {"type": "array", "items": self._answered_single(field)}
        else:
            schema = self._answered_single(field)
        return self._commented(schema, field)

    def _answered_single(self, field: FieldDescriptor) -> Schema:
        if field.enum_type is not None:
            return self.enum(field.enum_type)
        if field.message_type is None:
            return dict(_SCALARS[field.type])
        known = _WELL_KNOWN.get(field.message_type.full_name)
        return dict(known) if known is not None else self.answer(field.message_type)

    def _described(self, message: Descriptor, schema: Schema) -> Schema:
        said = self.comments.get(message.full_name)
        return {"description": said, **schema} if said else schema

    def _commented(self, schema: Schema, field: FieldDescriptor, *more: str) -> Schema:
        said = [self.comments.get(field.full_name) or _MEANINGS.get(field.name, ""), *more]
        text = " ".join(filter(None, said)) or schema.get("description")
        return {**schema, "description": text} if text else schema


def short(described: Descriptor | EnumDescriptor) -> str:
    """As in customer.v1.Customer."""
    return str(described.full_name).removeprefix("billing.")


def rules_of(field: FieldDescriptor) -> Any:
    """Its buf.validate.FieldRules."""
    return field.GetOptions().Extensions[_RULES]


def is_required(field: FieldDescriptor) -> bool:
    """Whether a request without it is refused. A request id can also come as a header."""
    rules = rules_of(field)
    if field.name == REQUEST_ID:
        return False
    return bool(
        rules.required
        or rules.repeated.min_items
        or rules.map.min_pairs
        or (field.type == TYPE.TYPE_STRING and not field.has_presence and _refuses_empty(rules.string))
        or (field.enum_type is not None and 0 in rules.enum.not_in)
    )


def _refuses_empty(rules: Any) -> bool:
    return bool(rules.min_len or rules.len)


def _single_rules(field: FieldDescriptor, rules: Any) -> Schema:
    """What JSON Schema can say of the rules of one value."""
    match field.type:
        case TYPE.TYPE_STRING:
            return {
                **_bounds(rules.string, min_len="minLength", max_len="maxLength"),
                **({"pattern": rules.string.pattern} if rules.string.pattern else {}),
                **({"enum": list(getattr(rules.string, "in"))} if getattr(rules.string, "in") else {}),
            }
        case TYPE.TYPE_BYTES if rules.bytes.HasField("max_len"):
            return {"maxLength": -(-rules.bytes.max_len // 3) * 4}
        case TYPE.TYPE_INT32:
            return _bounds(
                rules.int32, gte="minimum", gt="exclusiveMinimum", lte="maximum", lt="exclusiveMaximum"
            )
        case TYPE.TYPE_INT64 if rules.int64.HasField("gt") and rules.int64.gt == 0:
            return {"pattern": "^0{0,9}[1-9][0-9]{0,18}$"}
        case TYPE.TYPE_INT64 if rules.int64.HasField("gte") and rules.int64.gte == 0:
            return {"pattern": "^[0-9]{1,19}$"}
        case _:
            return {}


def _spoken(field: FieldDescriptor, rules: Any) -> Iterator[str]:
    """What JSON Schema cannot say of a text that holds a number or a time."""
    if field.name == REQUEST_ID:
        yield "The header X-Idempotency-Key says the same: one of the two is needed."
    if field.type == TYPE.TYPE_INT64 and rules.HasField("int64"):
        for bound, words in (
            ("gte", "At least"),
            ("gt", "More than"),
            ("lte", "At most"),
            ("lt", "Less than"),
        ):
            if rules.int64.HasField(bound):
                yield f"{words} {getattr(rules.int64, bound)}."
    if rules.HasField("duration") and rules.duration.HasField("lte"):
        yield f"At most {rules.duration.lte.seconds}s."


def _bounds(rules: Any, **names: str) -> Schema:
    return {name: getattr(rules, rule) for rule, name in names.items() if rules.HasField(rule)}


def _choices(fields: list[FieldDescriptor]) -> list[Schema]:
    """Of each oneof: at most one of its fields. An `optional` field is alone in its own."""
    groups: dict[str, list[str]] = {}
    for field in fields:
        if field.containing_oneof is not None:
            groups.setdefault(field.containing_oneof.name, []).append(field.name)
    return [
        {"not": {"required": [one, other]}}
        for names in groups.values()
        for index, one in enumerate(names)
        for other in names[index + 1 :]
    ]


def _map_entry(field: FieldDescriptor) -> Descriptor | None:
    """The message of a map's keys and values."""
    message = field.message_type
    return message if message is not None and message.GetOptions().map_entry else None


def _reference(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
