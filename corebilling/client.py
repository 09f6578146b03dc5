"""The generated stubs with a credential: what the commands, which print any message, call the server with.

Programs use `billing_sdk`, which repeats calls and raises typed errors.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import grpc

from corebilling.sdk.connection import Tls, open_channel

DEFAULT_TARGET = "127.0.0.1:50051"

Stub = TypeVar("Stub")


class Client:
    """An open channel to one server, with one API key."""

    def __init__(self, target: str, api_key: str, tls: Tls | None = None) -> None:
        """Without TLS: in the clear."""
        self._channel = open_channel(target, tls, _credential(api_key) if api_key else [])

    def stub(self, stub_class: Callable[[grpc.aio.Channel], Stub]) -> Stub:
        """A stub of this class on the channel; its calls carry the key."""
        return stub_class(self._channel)

    async def close(self) -> None:
        await self._channel.close()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()


def _credential(api_key: str) -> Sequence[grpc.aio.ClientInterceptor]:
    return [_UnaryCredential(api_key), _StreamCredential(api_key), _ResponseStreamCredential(api_key)]


def _with_key(details: grpc.aio.ClientCallDetails, api_key: str) -> grpc.aio.ClientCallDetails:
    metadata = grpc.aio.Metadata(*(details.metadata or ()))
    metadata.add("x-api-key", api_key)
    return grpc.aio.ClientCallDetails(
        details.method, details.timeout, metadata, details.credentials, details.wait_for_ready
    )


class _UnaryCredential(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    async def intercept_unary_unary(self, continuation, client_call_details, request):  # type: ignore[no-untyped-def]
        return await continuation(_with_key(client_call_details, self._api_key), request)


class _StreamCredential(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    async def intercept_stream_unary(self, continuation, client_call_details, request_iterator):  # type: ignore[no-untyped-def]
        return await continuation(_with_key(client_call_details, self._api_key), request_iterator)


class _ResponseStreamCredential(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, api_key: str) -> None:
        self._api_key = api_key

    async def intercept_unary_stream(self, continuation, client_call_details, request):  # type: ignore[no-untyped-def]
        return await continuation(_with_key(client_call_details, self._api_key), request)
