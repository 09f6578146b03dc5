"""Refusals on the wire: status, ErrorInfo, field violations, when to retry. Nothing else leaves."""

from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from corebilling.errors import BillingError, Code, Internal
from corebilling.rpc.call import Behaviour, Call
from corebilling.rpc.method import Method

DOMAIN = "corebilling"
DETAILS_KEY = "grpc-status-details-bin"
CORRELATION_HEADER = "x-correlation-id"

# Details travel as metadata, which clients take 8 KiB of by default.
_MAX_VIOLATIONS = 20
_MAX_TEXT = 200

_STATUS = {code: grpc.StatusCode[code.value] for code in Code}
_NUMBER = {code: status.value[0] for code, status in _STATUS.items()}

_log = structlog.get_logger()


def errors(_: Method, following: Behaviour) -> Behaviour:
    """Answers every failure with a status; what is no refusal is a fault, logged and not explained."""

    async def answer(request: Any, call: Call) -> Any:
        try:
            return await following(request, call)
        except grpc.aio.AbortError:
            raise
        except BillingError as error:
            call.refusal = _fault(call, error) if error.code is Code.INTERNAL else error
        except Exception as error:
            call.refusal = _fault(call, error)
        return await _abort(call, call.refusal)

    return answer


def status_of(refusal: BillingError) -> status_pb2.Status:
    """The refusal as google.rpc.Status, with its details."""
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
    status = status_pb2.Status(code=_NUMBER[refusal.code], message=refusal.message)
    for detail in details:
        status.details.add().Pack(detail)
    return status


def _fault(call: Call, error: Exception) -> BillingError:
    facts = error.facts if isinstance(error, BillingError) else {}
    _log.error(
        "call_faulted",
        method=call.method.full_name,
        correlation_id=call.correlation_id,
        **facts,
        exc_info=error,
    )
    return Internal(
        "INTERNAL",
        "The platform failed on this call; report its correlation id.",
        {"correlation_id": call.correlation_id},
    )


async def _abort(call: Call, refusal: BillingError) -> NoReturn:
    trailing = (
        (CORRELATION_HEADER, call.correlation_id),
        (DETAILS_KEY, status_of(refusal).SerializeToString()),
    )
    await call.context.abort(_STATUS[refusal.code], refusal.message, trailing)


def _bad_request(refusal: BillingError) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    for field, description in refusal.violations[:_MAX_VIOLATIONS]:
        bad.field_violations.add(field=field[:_MAX_TEXT], description=description[:_MAX_TEXT])
    return bad
