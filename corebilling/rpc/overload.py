"""Refuses at once what would only wait: a bound on the calls in progress."""

from typing import Any

from corebilling.errors import ResourceExhausted
from corebilling.rpc.call import Behaviour, Call, Concern
from corebilling.rpc.method import Method

_RETRY_S = 1.0


def concurrency_limit(max_calls: int) -> Concern:
    """At most so many calls at once, over all methods that it wraps."""
    in_progress = 0

    def wrap(_: Method, following: Behaviour) -> Behaviour:
        async def answer(request: Any, call: Call) -> Any:
            nonlocal in_progress
            if in_progress >= max_calls:
                raise ResourceExhausted(
                    "OVERLOADED",
                    "Too many calls at once; back off and repeat with the same request id.",
                    {"limit": str(max_calls)},
                    retry_after_s=_RETRY_S,
                )
            in_progress += 1
            try:
                return await following(request, call)
            finally:
                in_progress -= 1

        return answer

    return wrap
