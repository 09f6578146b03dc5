"""A request's fields from the query of its URL: `state=…&filter.subject=…&subjects=a&subjects=b`."""

from urllib.parse import parse_qsl

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from corebilling.errors import InvalidArgument
from corebilling.http.reading import Problems, fields_of, is_value, read_text

_MAX_PARAMETERS = 200


def parse_query(raw: str) -> list[tuple[str, str]]:
    """Names and values, in their order.

    Raises:
        InvalidArgument: REQUEST_INVALID when it is no query, or has too many parts.
    """
    try:
        return parse_qsl(
            raw,
            keep_blank_values=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except ValueError:
        raise InvalidArgument(
            "REQUEST_INVALID", f"The query is not UTF-8, or has more than {_MAX_PARAMETERS} parameters."
        ) from None


def read_query(message: Message, parameters: list[tuple[str, str]], problems: Problems) -> None:
    """Sets the fields that the parameters name; nested ones by their path, repeated ones by each value."""
    seen: set[tuple[str, ...]] = set()
    for name, text in parameters:
        path = _find(message, name)
        if path is None:
            problems.add(name, "There is no such query parameter.")
            continue
        key = tuple(field.name for field in path)
        if key in seen and not path[-1].is_repeated:
            problems.add(name, "It can be given once.")
            continue
        seen.add(key)
        holder = message
        for field in path[:-1]:
            holder = getattr(holder, field.name)
        try:
            read_text(holder, path[-1], text)
        except ValueError as error:
            problems.add(name, str(error))


def _find(message: Message, name: str) -> list[FieldDescriptor] | None:
    """The fields along the path; None when it leads to nothing that a text can be."""
    path: list[FieldDescriptor] = []
    descriptor = message.DESCRIPTOR
    for part in name.split("."):
        if path and (is_value(path[-1]) or path[-1].is_repeated):
            return None
        field = fields_of(descriptor).get(part)
        if field is None:
            return None
        path.append(field)
        if field.message_type is not None:
            descriptor = field.message_type
    return path if is_value(path[-1]) else None
