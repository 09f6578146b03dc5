"""No call works on for nobody: a deadline for those whose client set none, or one too far away."""

import asyncio
from typing import Any

from corebilling.errors import DeadlineExceeded
from corebilling.rpc.call import Behaviour, Call, Concern
from corebilling.rpc.method import Method


def deadline(*, call_s: float, stream_s: float) -> Concern:
    """At most so many seconds per call; streams have their own number."""

    def wrap(method: Method, following: Behaviour) -> Behaviour:
        limit_s = stream_s if method.client_streaming or method.server_streaming else call_s

        async def answer(request: Any, call: Call) -> Any:
            remaining_s = call.context.time_remaining()
            if remaining_s is not None and remaining_s <= limit_s:
                # gRPC itself cancels the call then.
                return await following(request, call)
            try:
                async with asyncio.timeout(limit_s) as timer:
                    return await following(request, call)
            except TimeoutError:
                if not timer.expired():
                    raise
                raise DeadlineExceeded(
                    "DEADLINE_EXCEEDED",
                    "The work did not end in time; repeat with the same request id.",
                    {"limit_seconds": f"{limit_s:g}"},
                ) from None

        return answer

    return wrap
