"""Every method there is, and calls of them by their descriptors."""

import asyncio
import importlib
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import billing
import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message

from corebilling.rpc.method import Method, methods_of
from tests.support.app import refusal_of

_PATIENCE = 10
_DETAILS = "grpc-status-details-bin"

Headers = Sequence[tuple[str, str]]


def services() -> Iterator[ServiceDescriptor]:
    for module in pkgutil.walk_packages(billing.__path__, "billing."):
        if module.name.endswith("_service_pb2"):
            yield from importlib.import_module(module.name).DESCRIPTOR.services_by_name.values()


METHODS = [method for service in services() for method in methods_of(service)]


@dataclass(frozen=True)
class Answer:
    """What a client got: responses, or a refusal."""

    code: str
    reason: str = ""
    facts: dict[str, str] = field(default_factory=dict)
    message: str = ""
    retry_after_s: float | None = None
    responses: tuple[bytes, ...] = ()
    details: bytes = b""

    @property
    def bytes(self) -> bytes:
        """All that came over the wire."""
        return b"\n".join((*self.responses, self.details, self.message.encode()))

    @property
    def told(self) -> str:
        return "OK" if self.code == "OK" else f"{self.code} {self.reason}"


class Caller:
    """One connection, whoever calls."""

    def __init__(self, target: str) -> None:
        self._channel = grpc.aio.insecure_channel(target)

    async def close(self) -> None:
        await self._channel.close()

    async def call(self, method: Method, request: Message, headers: Headers) -> Answer:
        """As clients do: again, when that is what the refusal asks for."""
        for _ in range(_PATIENCE):
            answer = await self.call_once(method, request, headers)
            if answer.retry_after_s is None:
                break
            await asyncio.sleep(answer.retry_after_s)
        return answer

    async def call_once(self, method: Method, request: Message, headers: Headers) -> Answer:
        """Streams of responses are read to the end; of those that do not end, the first message."""
        try:
            responses = tuple(
                [response async for response in self.responses(method, request.SerializeToString(), headers)]
            )
        except grpc.aio.AioRpcError as error:
            refusal = refusal_of(error)
            details: Any = dict(error.trailing_metadata() or ())[_DETAILS]
            return Answer(
                code=refusal.code,
                reason=refusal.reason,
                facts=dict(refusal.facts),
                message=refusal.message,
                retry_after_s=refusal.retry_after_s,
                details=details,
            )
        return Answer("OK", responses=responses)

    async def responses(self, method: Method, data: Any, headers: Headers) -> Any:
        """As they come in, in bytes, for a request in bytes."""
        path = f"/{method.full_name}"
        metadata = grpc.aio.Metadata(*headers)
        if method.client_streaming:
            yield await self._channel.stream_unary(path)(iter((data,)), metadata=metadata)
        elif method.server_streaming:
            stream: Any = self._channel.unary_stream(path)(data, metadata=metadata)
            async for response in stream:
                yield response
                if method.name.startswith("Watch"):
                    stream.cancel()
                    return
        else:
            yield await self._channel.unary_unary(path)(data, metadata=metadata)


def with_key(key: str) -> Headers:
    return (("x-api-key", key),) if key else ()
