"""What the operations of the OpenAPI document share, and the paths that are no RPC's."""

from http import HTTPStatus

from openapi_schema import Schema

_DESCRIPTION = """\
Every path leads to an RPC of the same server (`x-grpc-method`), with the same rules and the same answers.

**Who calls.** An API key in `X-API-Key`, or a key or a JSON Web Token as `Authorization: Bearer …`. What a
key may do is its role's and its scopes' permissions; each operation names the one it needs
(`x-permission`). A tenant's key says which tenant is meant; a key of the platform says it in `X-Tenant-ID`
or in `tenant_id`.

**Changes** take an `X-Idempotency-Key` (or `request_id`): the same key and request return the first answer
again, and nothing is done twice. Repeat a call that was lost with the key that it had.

**JSON.** Names are as in the contract. 64-bit numbers are texts, since readers of JSON round them; amounts
in `_minor` are minor units of `currency`; other amounts and quantities are decimal texts. Times are RFC
3339. Answers hold every field, zeros and empty lists too; those that can be missing are not `required`. New
fields may come at any time.

**Pages.** Lists take `page_size` (50 when 0) and answer with `next_page_token`: send it as `page_token` for
the page that follows, with the same filters; it is empty on the last.

**Refusals** are a `google.rpc.Status`: `message` says what to do, and a detail of type `ErrorInfo` holds
the `reason` for programs and its facts. After 429 and 503, `Retry-After` says how many seconds to wait.
"""

INFO: Schema = {
    "title": "CoreBilling",
    "version": "v1",
    "summary": "Customers, prices, subscriptions, usage, invoices and a ledger.",
    "description": _DESCRIPTION,
}

PARAMETERS: Schema = {
    "IdempotencyKey": {
        "name": "X-Idempotency-Key",
        "in": "header",
        "description": "Names the change, so that repeating it does nothing twice: the same as "
        "`request_id`, for those who would rather send a header. `Idempotency-Key` is "
        "understood too.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": "^[!-~]+$"},
    },
    "TenantId": {
        "name": "X-Tenant-ID",
        "in": "header",
        "description": "The tenant that is meant; the same as `tenant_id`. The credential's own when left"
        " out.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$"},
    },
    "CorrelationId": {
        "name": "X-Correlation-Id",
        "in": "header",
        "description": "Marks all that follows from the call, in answers, events and logs. One is made "
        "when there is none.",
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
    },
}

HEADERS: Schema = {
    "CorrelationId": {
        "description": "What marks all that follows from the call.",
        "schema": {"type": "string"},
    },
    "ContentDisposition": {
        "description": "Says what the file is called.",
        "schema": {"type": "string"},
    },
    "RetryAfter": {
        "description": "Seconds to wait before trying again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "WwwAuthenticate": {"description": "How to say who calls.", "schema": {"type": "string"}},
}

_REFUSALS = {
    400: "The request does not fit its fields or its rules (`INVALID_ARGUMENT`, with the wrong fields as "
    "a detail `BadRequest`), or what it is about is not in a state for it (`FAILED_PRECONDITION`). "
    "The reason says which.",
    401: "No credential, or none that is valid (`UNAUTHENTICATED`).",
    403: "The credential does not have the permission, or belongs to another tenant (`PERMISSION_DENIED`).",
    404: "There is no such resource in the tenant (`NOT_FOUND`).",
    408: "The body did not arrive in time.",
    409: "It exists already (`ALREADY_EXISTS`), or others changed the same at the same time (`ABORTED`): "
    "then try again, with the same key.",
    413: "The body is too large.",
    414: "The URL is too long.",
    415: "The body is not JSON in UTF-8, or says that it is something else.",
    429: "Too many calls, or a quota is used up (`RESOURCE_EXHAUSTED`). The reason says which, and "
    "`Retry-After` when to come back, where that helps.",
    431: "The headers are too long.",
    500: "A fault of the server. Report the correlation id.",
    503: "The server is too busy, or cannot reach its database (`UNAVAILABLE`). Try again, with the same "
    "key.",
    504: "The call took too long (`DEADLINE_EXCEEDED`). What it should do may have been done: repeat it "
    "with the same key.",
}

STATUS_SCHEMA: Schema = {
    "description": "A refusal, as gRPC has them.",
    "type": "object",
    "properties": {
        "code": {"type": "integer", "description": "The number of the gRPC status."},
        "message": {"type": "string", "description": "What is wrong and what to do, for people."},
        "details": {
            "type": "array",
            "description": "`ErrorInfo` with the reason and its facts; `BadRequest` with the wrong "
            "fields; `RetryInfo`.",
            "items": {
                "type": "object",
                "properties": {"@type": {"type": "string"}},
                "required": ["@type"],
            },
        },
    },
    "required": ["code", "message", "details"],
    "example": {
        "code": 5,
        "message": "There is no such customer.",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                "reason": "CUSTOMER_NOT_FOUND",
                "domain": "corebilling",
                "metadata": {"customer_id": "cus_0mhc2y9kq5v1t"},
            }
        ],
    },
}

STREAM_ERROR_SCHEMA: Schema = {
    "description": "The last element of a stream that breaks off: its status was sent before.",
    "type": "object",
    "properties": {"error": {"$ref": "#/components/schemas/google.rpc.Status"}},
    "required": ["error"],
}


def refusals() -> Schema:
    """By their statuses."""
    return {str(status): _refusal(status, words) for status, words in _REFUSALS.items()}


def security_schemes() -> Schema:
    return {
        "ApiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        "Bearer": {
            "type": "http",
            "scheme": "bearer",
            "description": "An API key, or a JSON Web Token of an issuer that the server trusts.",
        },
    }


def _refusal(status: int, words: str) -> Schema:
    headers = {"X-Correlation-Id": {"$ref": "#/components/headers/CorrelationId"}}
    if status in (429, 503):
        headers["Retry-After"] = {"$ref": "#/components/headers/RetryAfter"}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = {"$ref": "#/components/headers/WwwAuthenticate"}
    return {
        "description": words,
        "headers": headers,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/google.rpc.Status"}}},
    }


def _plain(operation_id: str, summary: str, answers: Schema) -> Schema:
    return {
        "get": {
            "operationId": operation_id,
            "tags": ["Server"],
            "summary": summary,
            "security": [],
            "responses": answers,
        }
    }


def _state(status: int, words: str, *states: str) -> Schema:
    schema = {
        "type": "object",
        "properties": {"status": {"type": "string", "enum": list(states)}, "problem": {"type": "string"}},
        "required": ["status"],
    }
    return {str(status): {"description": words, "content": {"application/json": {"schema": schema}}}}


def _text(media_type: str, words: str) -> Schema:
    return {"200": {"description": words, "content": {media_type: {}}}}


_LIVES = _state(200, "It lives.", "ok")

PLAIN_PATHS: Schema = {
    "/health": _plain("Health", "Whether the process lives", _LIVES),
    "/healthz": _plain("Healthz", "Whether the process lives", _LIVES),
    "/ready": _plain(
        "Ready",
        "Whether the process can serve",
        _state(200, "It can.", "ready") | _state(503, "It cannot: `problem` says why.", "unavailable"),
    ),
    "/metrics": _plain(
        "Metrics", "What the process did, for Prometheus", _text("text/plain", "Its metrics.")
    ),
    "/openapi.yaml": _plain("OpenApi", "This document", _text("application/yaml", "The document.")),
    "/docs": _plain("Docs", "This document, to read", _text("text/html", "The page.")),
}

SHARED_SCHEMAS: Schema = {"google.rpc.Status": STATUS_SCHEMA, "StreamError": STREAM_ERROR_SCHEMA}
