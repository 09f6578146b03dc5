"""Refuses at once what would only wait: bounds the calls in progress, and what a tenant has of them."""

from typing import Any

from corebilling.room import Room
from corebilling.rpc.call import Behaviour, Call, Concern
from corebilling.rpc.method import Method


def concurrency_limit(max_calls: int, max_streams: int) -> Concern:
    """At most so many calls at once, over all methods that it wraps, and of a tenant only a share of them.

    Streams are counted by themselves: they last, mostly idle, and must not crowd out calls. A request that
    is still on its way in is waited for first: whoever sends slowly takes nobody's place.
    """
    calls, streams = Room("calls", max_calls), Room("streams", max_streams)

    def wrap(method: Method, following: Behaviour) -> Behaviour:
        room = streams if method.server_streaming or method.client_streaming else calls

        async def answer(request: Any, call: Call) -> Any:
            credential = call.credential
            assert credential is not None, "authentication comes first"
            if callable(request):
                request = await request()
            tenant_id, account = credential.tenant_id, credential.account
            room.take(tenant_id, account)
            try:
                return await following(request, call)
            finally:
                room.give_back(tenant_id, account)

        return answer

    return wrap
