"""Refuses at once what would only wait: a bound on the calls in progress."""

from typing import Any

import structlog

from corebilling.errors import ResourceExhausted
from corebilling.rpc.call import Behaviour, Call, Concern
from corebilling.rpc.method import Method

_RETRY_S = 1.0

_log = structlog.get_logger()


def concurrency_limit(max_calls: int, max_streams: int) -> Concern:
    """At most so many calls at once, over all methods that it wraps.

    Streams are counted by themselves: they last, mostly idle, and must not crowd out calls.
    """
    in_progress = {False: 0, True: 0}
    refusing = {False: False, True: False}
    limits = {False: max_calls, True: max_streams}

    def wrap(method: Method, following: Behaviour) -> Behaviour:
        kind = method.server_streaming or method.client_streaming

        async def answer(request: Any, call: Call) -> Any:
            if in_progress[kind] >= limits[kind]:
                if not refusing[kind]:
                    refusing[kind] = True
                    _log.warning("overloaded", limit=limits[kind], streams=kind)
                raise ResourceExhausted(
                    "OVERLOADED",
                    "Too many calls at once; back off and repeat with the same request id.",
                    {"limit": str(limits[kind])},
                    retry_after_s=_RETRY_S,
                )
            in_progress[kind] += 1
            try:
                return await following(request, call)
            finally:
                in_progress[kind] -= 1
                # Only then, so that the log has a line for an overload and not for each call of it.
                if in_progress[kind] <= limits[kind] // 2:
                    refusing[kind] = False

        return answer

    return wrap
