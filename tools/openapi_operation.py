"""The operations of one RPC: one for each of its HTTP bindings."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from billing.options.v1 import options_pb2
from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor, MethodDescriptor
from openapi_example import example
from openapi_schema import Schema, Schemas, is_required

VERBS = ("get", "put", "post", "delete", "patch")
JSON = "application/json"
LINES = "application/x-ndjson"
EVENTS = "text/event-stream"

_HTTP: Any = options_pb2.http
_POLICY: Any = options_pb2.policy
_VARIABLE = re.compile(r"\{([a-z_]+)\}")
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")
# The paths of the systems that this one replaces, and what their operations' names end in.
_FACADES = {"/api/v1/billing/": "Billing", "/api/v1/": "Api", "/v1/": "Direct"}
# Any call can be answered with these; what has a body or changes something, with more.
_REFUSALS = (400, 401, 403, 404, 414, 429, 431, 500, 503, 504)
_REFUSALS_OF_BODIES = (408, 413, 415)
_REFUSALS_OF_CHANGES = (409,)
_IDEMPOTENCY = {
    options_pb2.IDEMPOTENCY_READ: "read",
    options_pb2.IDEMPOTENCY_REQUEST_ID: "request_id",
    options_pb2.IDEMPOTENCY_BY_KEY: "by_key",
}


@dataclass(frozen=True)
class Binding:
    """One verb and path of an RPC."""

    method: MethodDescriptor
    verb: str
    path: str
    body: str
    is_first: bool

    @property
    def variables(self) -> list[str]:
        return _VARIABLE.findall(self.path)

    @property
    def operation_id(self) -> str:
        if self.is_first:
            return str(self.method.name)
        facade = next(name for prefix, name in _FACADES.items() if self.path.startswith(prefix))
        return f"{self.method.name}_{facade}"


def bindings(method: MethodDescriptor) -> Iterator[Binding]:
    """As google.api.http has them."""
    first = method.GetOptions().Extensions[annotations_pb2.http]
    for rule in (first, *first.additional_bindings):
        verb = rule.WhichOneof("pattern")
        yield Binding(method, verb, getattr(rule, verb), rule.body, rule is first)


def answers_with_files(method: MethodDescriptor) -> bool:
    return bool(method.GetOptions().Extensions[_HTTP].files)


def operation(binding: Binding, schemas: Schemas) -> Schema:
    method = binding.method
    policy = method.GetOptions().Extensions[_POLICY]
    return {
        "operationId": binding.operation_id,
        "tags": [tag(method)],
        "summary": _WORD.sub(" ", method.name).capitalize().replace(" api ", " API "),
        **_description(binding, schemas.comments),
        "x-permission": policy.permission,
        "x-idempotency": _IDEMPOTENCY[policy.idempotency],
        "x-grpc-method": f"{method.containing_service.full_name}/{method.name}",
        "parameters": [*_parameters(binding, schemas), *_headers(policy)],
        **_request_body(binding, schemas),
        "responses": {**_answers(method, schemas), **_refusals(binding)},
    }


def tag(method: MethodDescriptor) -> str:
    """As in Customer."""
    return str(method.containing_service.name).removesuffix("Service")


def _description(binding: Binding, comments: Mapping[str, str]) -> Schema:
    said = comments.get(binding.method.full_name, "")
    if not binding.is_first:
        first = next(bindings(binding.method))
        said = f"{said} The same as `{first.verb.upper()} {first.path}`.".strip()
    return {"description": said} if said else {}


def _parameters(binding: Binding, schemas: Schemas) -> Iterator[Schema]:
    fields = binding.method.input_type.fields_by_name
    for name in binding.variables:
        schema = schemas.written(fields[name])
        yield _parameter("path", name, {**schema, "minLength": 1}, required=True)
    if binding.body == "*":
        return
    for name, field in fields.items():
        if name not in binding.variables and name != binding.body:
            yield from _query(field, name, schemas)


def _query(
    field: FieldDescriptor, name: str, schemas: Schemas, *, optional: bool = False
) -> Iterator[Schema]:
    """One parameter, or one for each field of a message, by its path."""
    schema = schemas.written(field)
    parts = field.message_type
    if parts is None or "$ref" not in schema:
        yield _parameter("query", name, schema, required=is_required(field) and not optional)
        return
    if field.is_repeated:
        raise ValueError(f"{field.full_name} cannot be said in a query")
    for part in parts.fields:
        yield from _query(part, f"{name}.{part.name}", schemas, optional=optional or not is_required(field))


def _parameter(place: str, name: str, schema: Schema, *, required: bool) -> Schema:
    described = {"description": schema["description"]} if "description" in schema else {}
    without = {key: value for key, value in schema.items() if key != "description"}
    return {
        "name": name,
        "in": place,
        **({"required": True} if required else {}),
        **described,
        "schema": without,
    }


def _headers(policy: Any) -> Iterator[Schema]:
    if policy.idempotency == options_pb2.IDEMPOTENCY_REQUEST_ID:
        yield {"$ref": "#/components/parameters/IdempotencyKey"}
    if policy.tenant_scoped:
        yield {"$ref": "#/components/parameters/TenantId"}
    yield {"$ref": "#/components/parameters/CorrelationId"}


def _request_body(binding: Binding, schemas: Schemas) -> Schema:
    if not binding.body:
        return {}
    message = binding.method.input_type
    if binding.body == "*":
        schema = schemas.request(message, frozenset(binding.variables))
        required = any(is_required(field) for field in message.fields if field.name not in binding.variables)
    else:
        field = message.fields_by_name[binding.body]
        schema, required = schemas.written(field), is_required(field)
    if binding.method.client_streaming:
        return {
            "requestBody": {
                "description": "One object a line, as many as there are.",
                "required": True,
                "content": {LINES: {"schema": schema}},
            }
        }
    shown = example(schema, schemas.components)
    content = {JSON: {"schema": schema, **({"example": shown} if shown else {})}}
    return {"requestBody": {"required": required, "content": content}}


def _answers(method: MethodDescriptor, schemas: Schemas) -> Schema:
    policy = method.GetOptions().Extensions[_HTTP]
    content = _answer_content(method, schemas, policy)
    headers = {"X-Correlation-Id": {"$ref": "#/components/headers/CorrelationId"}}
    if policy.files:
        headers["Content-Disposition"] = {"$ref": "#/components/headers/ContentDisposition"}
    if policy.created_field:
        statuses = {201: "It is new.", 200: "It was there."}
    else:
        status = policy.status or 200
        statuses = {status: HTTPStatus(status).phrase + "."}
    return {
        str(status): {"description": words, "headers": headers, "content": content}
        for status, words in statuses.items()
    }


def _answer_content(method: MethodDescriptor, schemas: Schemas, policy: Any) -> Schema:
    if policy.files:
        return {file.content_type.partition(";")[0]: {} for file in policy.files}
    media: Schema = {"schema": schemas.answer(method.output_type)}
    if not method.server_streaming:
        return {JSON: media}
    # Neither a stream of lines nor one of events is JSON as a whole: the schema is that of each element.
    line = {"schema": {"anyOf": [media["schema"], {"$ref": "#/components/schemas/StreamError"}]}}
    return {LINES: line, EVENTS: line}


def _refusals(binding: Binding) -> Schema:
    reads = binding.method.GetOptions().Extensions[_POLICY].idempotency == options_pb2.IDEMPOTENCY_READ
    statuses = [
        *_REFUSALS,
        *(_REFUSALS_OF_BODIES if binding.body else ()),
        *(() if reads else _REFUSALS_OF_CHANGES),
    ]
    return {str(status): {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)}
