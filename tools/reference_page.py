"""The OpenAPI document as a page to read: complete without scripts, which add search and links that open."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from openapi_example import text_of
from openapi_schema import Schema

_VERBS = ("get", "put", "post", "delete", "patch")
_CODE = re.compile(r"`([^`]+)`")
_BOLD = re.compile(r"\*\*([^*]+)\*\*")
# The least, the most, and of what.
_BOUNDS = (
    ("minLength", "maxLength", " characters"),
    ("minimum", "maximum", ""),
    ("minItems", "maxItems", " items"),
    ("minProperties", "maxProperties", " entries"),
)


@dataclass(frozen=True)
class Field:
    """A parameter, or a field of an object."""

    name: str
    place: str
    type: Markup
    required: bool
    description: Markup


@dataclass(frozen=True)
class Operation:
    """An RPC by its first path; the others are named with it."""

    id: str
    verb: str
    path: str
    summary: str
    description: Markup
    permission: str
    rpc: str
    others: list[tuple[str, str]]
    parameters: list[Field]
    body: list[Field]
    body_type: Markup
    answers: list[tuple[str, str, Markup]]
    refusals: list[str]
    curl: str


def page(document: Schema) -> str:
    """Raises UndefinedError when the template and this disagree."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    operations = list(_operations(document))
    sections = [
        (
            tag["name"],
            _prose(tag.get("description", "")),
            [shown for name, shown in operations if name == tag["name"]],
        )
        for tag in document["tags"]
    ]
    components = document["components"]
    schemas = [
        (name, _prose(schema.get("description", "")), list(_fields(schema)))
        for name, schema in components["schemas"].items()
    ]
    refusals = [
        (status, _prose(response["description"])) for status, response in components["responses"].items()
    ]
    return environment.get_template("reference_page.html").render(
        title=document["info"]["title"],
        summary=document["info"]["summary"],
        introduction=_prose(document["info"]["description"]),
        sections=sections,
        schemas=schemas,
        refusals=refusals,
    )


def _operations(document: Schema) -> Iterator[tuple[str, Operation]]:
    """With the names of their tags."""
    by_rpc: dict[str, list[tuple[str, str, Schema]]] = {}
    for path, verbs in document["paths"].items():
        for verb in _VERBS:
            if verb in verbs:
                rpc = verbs[verb].get("x-grpc-method", path)
                by_rpc.setdefault(rpc, []).append((verb, path, verbs[verb]))
    for paths in by_rpc.values():
        # The first has the RPC's own name, the others have it with an ending.
        paths.sort(key=lambda found: len(found[2]["operationId"]))
        verb, path, operation = paths[0]
        yield operation["tags"][0], _operation(verb, path, operation, paths[1:], document["components"])


def _operation(
    verb: str, path: str, operation: Schema, others: list[tuple[str, str, Schema]], components: Schema
) -> Operation:
    parameters = [_resolved(parameter, components) for parameter in operation.get("parameters", [])]
    media: Schema = next(iter(operation.get("requestBody", {}).get("content", {}).values()), {})
    schema = _resolved(media.get("schema", {}), components)
    return Operation(
        id=operation["operationId"],
        verb=verb.upper(),
        path=path,
        summary=operation["summary"],
        description=_prose(operation.get("description", "")),
        permission=operation.get("x-permission", ""),
        rpc=operation.get("x-grpc-method", ""),
        others=[(other.upper(), at) for other, at, _ in others],
        parameters=[
            Field(
                parameter["name"],
                parameter["in"],
                _type(parameter["schema"]),
                parameter.get("required", False),
                _prose(parameter.get("description", "")),
            )
            for parameter in parameters
        ],
        body=list(_fields(schema)),
        body_type=_type(media["schema"]) if media else Markup(),
        answers=[
            (status, answer["description"], _content(answer))
            for status, answer in operation["responses"].items()
            if "$ref" not in answer
        ],
        refusals=[status for status, answer in operation["responses"].items() if "$ref" in answer],
        curl=_curl(verb, path, parameters, media, public=operation.get("security") == []),
    )


def _fields(schema: Schema) -> Iterator[Field]:
    needed = schema.get("required", [])
    for name, field in schema.get("properties", {}).items():
        yield Field(name, "body", _type(field), name in needed, _prose(field.get("description", "")))


def _type(schema: Schema) -> Markup:
    """In words, with a link to what it refers to."""
    kind = schema.get("type", "")
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        words = Markup('<a href="#{0}">{0}</a>').format(name)
    elif kind == "array":
        words = Markup("list of {}").format(_type(schema["items"]))
    elif isinstance(schema.get("additionalProperties"), dict):
        words = Markup("map to {}").format(_type(schema["additionalProperties"]))
    elif "anyOf" in schema:
        words = Markup(" or ").join(_type(one) for one in schema["anyOf"])
    elif kind == "string" and "enum" in schema:
        words = Markup("one of ") + Markup(", ").join(
            Markup("<code>{}</code>").format(v) for v in schema["enum"]
        )
    else:
        words = escape(schema.get("format", "") if kind == "string" else kind) or escape(kind)
    bounds = [*_spans(schema)]
    if "pattern" in schema and "format" not in schema:
        bounds.append(schema["pattern"])
    if not bounds:
        return words
    return words + Markup(' <span class="bounds">{}</span>').format(", ".join(bounds))


def _spans(schema: Schema) -> Iterator[str]:
    for least, most, unit in _BOUNDS:
        match schema.get(least), schema.get(most):
            case None, None:
                pass
            case low, None:
                yield f"at least {low}{unit}"
            case None, high:
                yield f"at most {high}{unit}"
            case low, high:
                yield f"{low} to {high}{unit}"


def _content(answer: Schema) -> Markup:
    """Its media types and what they hold; of streams that have several, once."""
    content = answer.get("content", {})
    kinds = Markup(", ").join(Markup("<code>{}</code>").format(kind) for kind in content)
    first: Schema = next(iter(content.values()), {})
    schema = first.get("schema")
    return Markup("{}: {}").format(kinds, _type(schema)) if schema else kinds


def _curl(verb: str, path: str, parameters: list[Schema], media: Schema, *, public: bool) -> str:
    query = []
    for parameter in parameters:
        value = text_of(parameter["name"], parameter["schema"])
        path = path.replace(f"{{{parameter['name']}}}", value)
        if parameter["in"] == "query" and parameter.get("required"):
            query.append(f"{parameter['name']}={value}")
    url = f"$COREBILLING{path}" + (f"?{'&'.join(query)}" if query else "")
    lines = [f'curl "{url}"' if verb == "get" else f'curl -X {verb.upper()} "{url}"']
    if not public:
        lines.append('-H "X-API-Key: $KEY"')
    if any(parameter["name"] == "X-Idempotency-Key" for parameter in parameters):
        lines.append('-H "X-Idempotency-Key: $(uuidgen)"')
    if "example" in media:
        lines.append("--json '" + json.dumps(media["example"], indent=2) + "'")
    return " \\\n  ".join(lines)


def _resolved(schema: Schema, components: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    _, _, kind, name = schema["$ref"].split("/")
    found: dict[str, Any] = components[kind][name]
    return found


def _prose(text: str) -> Markup:
    """Paragraphs and lists, with what stands in backticks as code."""
    blocks = []
    for block in text.strip().split("\n\n"):
        words: list[Markup] = []
        points: list[Markup] = []
        for line in block.splitlines():
            (points if line.startswith("- ") else words).append(_inline(line.removeprefix("- ")))
        if words:
            blocks.append(Markup("<p>{}</p>").format(Markup(" ").join(words)))
        if points:
            items = Markup().join(Markup("<li>{}</li>").format(point) for point in points)
            blocks.append(Markup("<ul>{}</ul>").format(items))
    return Markup("\n").join(blocks)


def _inline(text: str) -> Markup:
    html = _CODE.sub(r"<code>\1</code>", str(escape(text)))
    return Markup(_BOLD.sub(r"<strong>\1</strong>", html))  # noqa: S704 (escaped above)
