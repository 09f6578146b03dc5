"""Every failure ends as a refusal that the client can read, and nothing else leaves."""

from typing import Any, NoReturn

import grpc
import structlog

from corebilling.errors import BillingError, Code, Internal
from corebilling.rpc.call import Behaviour, Call
from corebilling.rpc.method import Method
from corebilling.status import CORRELATION_HEADER, DETAILS_KEY, status_of

_STATUS = {code: grpc.StatusCode[code.value] for code in Code}

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
