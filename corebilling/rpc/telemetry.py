"""What is seen of a call from outside: one log line, its count and its time."""

import time
from typing import Any

import structlog

from corebilling.rpc.call import Behaviour, Call
from corebilling.rpc.method import Idempotency, Method
from corebilling.telemetry.metrics import call_observer

# A line for each would take the time that their refusal saves; they are counted.
_REFUSED_BY_THE_THOUSAND = frozenset(
    {"KEY_ATTEMPTS_LIMITED", "OVERLOADED", "TENANT_OVERLOADED", "RATE_LIMITED"}
)

_log = structlog.get_logger()


def telemetry(method: Method, following: Behaviour) -> Behaviour:
    """Around the errors concern: by then every failure has a status."""
    observe = call_observer(method.full_name)
    name = method.full_name
    # Reads are counted; a line for each would cost more than it tells.
    log_answered = _log.debug if method.idempotency is Idempotency.READ else _log.info

    async def answer(request: Any, call: Call) -> Any:
        started = time.perf_counter()
        # Stays when the client goes away, or its deadline passes, before there is an answer.
        status = "CANCELLED"
        try:
            response = await following(request, call)
            status = "OK"
            return response
        finally:
            seconds = time.perf_counter() - started
            if call.refusal is not None:
                status = call.refusal.code.value
            observe(status, seconds)
            expected = status == "OK" or (status == "CANCELLED" and method.server_streaming)
            log = log_answered if expected else _log.warning
            if call.refusal is not None and call.refusal.reason in _REFUSED_BY_THE_THOUSAND:
                log = _log.debug
            log(
                "call",
                method=name,
                status=status,
                reason=call.refusal.reason if call.refusal is not None else "",
                tenant_id=_tenant_id(call),
                ms=round(seconds * 1000, 2),
                correlation_id=call.correlation_id,
            )

    return answer


def _tenant_id(call: Call) -> str:
    if call.tenant_id:
        return call.tenant_id
    return call.credential.tenant_id if call.credential is not None else ""
