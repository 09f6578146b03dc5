"""Refusals as clients read them, by gRPC and by HTTP: google.rpc.Status with its details."""

from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from corebilling.errors import BillingError

DOMAIN: Final = "corebilling"
DETAILS_KEY: Final = "grpc-status-details-bin"
CORRELATION_HEADER: Final = "x-correlation-id"

# Details travel as metadata, which clients take 8 KiB of by default.
_MAX_VIOLATIONS = 20
_MAX_TEXT = 200


def status_of(refusal: BillingError) -> status_pb2.Status:
    """The code, the message, ErrorInfo, field violations, when to retry. Nothing else leaves."""
    info = error_details_pb2.ErrorInfo(reason=refusal.reason, domain=DOMAIN)
    for name, value in refusal.facts.items():
        info.metadata[name] = value[:_MAX_TEXT]
    details: list[Message] = [info]
    if refusal.violations:
        details.append(_bad_request(refusal))
    if refusal.retry_after_s is not None:
        delay = Duration()
        delay.FromNanoseconds(round(refusal.retry_after_s * 1e9))
        details.append(error_details_pb2.RetryInfo(retry_delay=delay))
    status = status_pb2.Status(code=code_pb2.Code.Value(refusal.code.value), message=refusal.message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _bad_request(refusal: BillingError) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    for field, description in refusal.violations[:_MAX_VIOLATIONS]:
        bad.field_violations.add(field=field[:_MAX_TEXT], description=description[:_MAX_TEXT])
    return bad
