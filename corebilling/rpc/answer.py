"""Answers that fit into one message: gRPC would refuse larger ones too, but without a reason."""

from typing import Any

from google.protobuf.message import Message

from corebilling.errors import ResourceExhausted
from corebilling.rpc.call import Behaviour, Call
from corebilling.rpc.method import Method

MAX_MESSAGE_BYTES = 4 * 1024 * 1024


def serializing(method: Method, following: Behaviour) -> Behaviour:
    """Turns responses into bytes: in here, so that one too large is refused like anything else."""

    async def answer(request: Any, call: Call) -> Any:
        return serialized(await following(request, call))

    async def answer_with_many(request: Any, call: Call) -> Any:
        send = call.send

        async def send_serialized(response: Message) -> None:
            await send(serialized(response))

        call.send = send_serialized
        await following(request, call)

    return answer_with_many if method.server_streaming else answer


def serialized(response: Message) -> bytes:
    """Raises ResourceExhausted: ANSWER_TOO_LARGE when no client could receive it."""
    data = response.SerializeToString()
    if len(data) > MAX_MESSAGE_BYTES:
        raise ResourceExhausted(
            "ANSWER_TOO_LARGE",
            "The answer is larger than a message may be; ask for a smaller page, or send less.",
            {"limit_bytes": str(MAX_MESSAGE_BYTES)},
        )
    return data
