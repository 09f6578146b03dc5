"""How calls are answered over HTTP: JSON, files, and refusals as google.rpc.Status."""

import math
import re
from collections.abc import Collection, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from aiohttp import web
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from corebilling.errors import BillingError, NotFound, Unimplemented
from corebilling.http.rules import Rpc
from corebilling.http.writing import to_json
from corebilling.status import status_of

# Answers are of their moment and of their caller, and never a page.
HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
_FILE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
}
_UNSAFE_IN_FILE_NAME = re.compile(r'[^\x20-\x7e]|["\\/]')

_MAX_PATH_SHOWN = 200

# As gRPC's statuses are spelled in HTTP everywhere.
_STATUS: Final = {
    code_pb2.CANCELLED: 499,
    code_pb2.INVALID_ARGUMENT: HTTPStatus.BAD_REQUEST,
    code_pb2.DEADLINE_EXCEEDED: HTTPStatus.GATEWAY_TIMEOUT,
    code_pb2.NOT_FOUND: HTTPStatus.NOT_FOUND,
    code_pb2.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    code_pb2.PERMISSION_DENIED: HTTPStatus.FORBIDDEN,
    code_pb2.RESOURCE_EXHAUSTED: HTTPStatus.TOO_MANY_REQUESTS,
    code_pb2.FAILED_PRECONDITION: HTTPStatus.BAD_REQUEST,
    code_pb2.ABORTED: HTTPStatus.CONFLICT,
    code_pb2.UNIMPLEMENTED: HTTPStatus.NOT_IMPLEMENTED,
    code_pb2.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    code_pb2.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
}
# What HTTP knows better.
_STATUS_BY_REASON: Final = {
    "VERB_NOT_ALLOWED": HTTPStatus.METHOD_NOT_ALLOWED,
    "BODY_TOO_SLOW": HTTPStatus.REQUEST_TIMEOUT,
    "BODY_TOO_LARGE": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "URL_TOO_LONG": HTTPStatus.REQUEST_URI_TOO_LONG,
    "MEDIA_TYPE_UNSUPPORTED": HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "HEADERS_TOO_LARGE": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
}


def answer(rpc: Rpc, data: bytes, headers: Mapping[str, str]) -> web.Response:
    """The response of an RPC, from its bytes."""
    response = rpc.response_class.FromString(data)
    file = _file(rpc, response)
    if file is not None:
        file.headers.update(headers)
        return file
    return _json(to_json(response), rpc.status(response), headers)


def refuse(refusal: BillingError, headers: Mapping[str, str] | None = None) -> web.Response:
    return refuse_with(status_of(refusal), headers or {})


def refuse_with(status: status_pb2.Status, headers: Mapping[str, str]) -> web.Response:
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    special = {}
    for detail in status.details:
        detail.Unpack(info)
        if detail.Unpack(retry):
            special["Retry-After"] = str(max(1, math.ceil(retry.retry_delay.ToNanoseconds() / 1e9)))
    number = _STATUS_BY_REASON.get(info.reason) or _STATUS.get(status.code, HTTPStatus.INTERNAL_SERVER_ERROR)
    if number == HTTPStatus.UNAUTHORIZED:
        special["WWW-Authenticate"] = 'Bearer realm="corebilling"'
    return _json(status_object(status), number, {**headers, **special})


def path_unknown(request: web.Request, headers: Mapping[str, str] | None = None) -> web.Response:
    path = request.rel_url.raw_path[:_MAX_PATH_SHOWN]
    return refuse(NotFound("PATH_UNKNOWN", "Nothing is served at this path.", {"path": path}), headers)


def verb_not_allowed(allowed: Collection[str], headers: Mapping[str, str] | None = None) -> web.Response:
    verbs = ", ".join(sorted(allowed))
    refusal = Unimplemented("VERB_NOT_ALLOWED", f"This path takes {verbs}.", {"allowed": verbs})
    return refuse(refusal, {**(headers or {}), "Allow": verbs})


def status_object(status: status_pb2.Status) -> dict[str, Any]:
    """Details with their `@type`."""
    written: dict[str, Any] = json_format.MessageToDict(status, preserving_proto_field_name=True)
    return written


def _json(content: Any, status: int, headers: Mapping[str, str]) -> web.Response:
    body = orjson.dumps(content, option=orjson.OPT_APPEND_NEWLINE)
    return web.Response(
        body=body, status=status, content_type="application/json", headers={**HEADERS, **headers}
    )


def _file(rpc: Rpc, response: Message) -> web.Response | None:
    """The first file that the response holds."""
    for file in rpc.policy.files:
        content = getattr(response, file.field)
        if content:
            break
    else:
        return None
    body = content.encode() if isinstance(content, str) else content
    disposition = "attachment"
    if rpc.policy.file_name_field and (name := getattr(response, rpc.policy.file_name_field)):
        disposition += f'; filename="{_UNSAFE_IN_FILE_NAME.sub("_", name)}"'
    headers = {"Content-Type": file.content_type, "Content-Disposition": disposition}
    return web.Response(
        body=body, status=rpc.status(response), headers={**HEADERS, **_FILE_HEADERS, **headers}
    )
