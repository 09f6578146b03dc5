"""The client of CoreBilling, below the generated services: calls, streams and pages."""

import copy
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar

import grpc
from opentelemetry import propagate

from corebilling.sdk.connection import Connection, Credential, Tls
from corebilling.sdk.errors import error_of
from corebilling.sdk.method import Idempotency, Method, Request, Response
from corebilling.sdk.retry import Patience, Retry, repeated
from corebilling.sdk.status import CORRELATION_KEY
from corebilling.sdk.usage_key import time_ordered

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class _Options:
    tenant_id: str
    timeout_s: float
    retry: Retry
    correlation_id: str
    traceparent: str


class Client:
    """One server, one credential. Safe to share between tasks; open it once and keep it.

    `tenant_id` is for platform keys, which act for the tenant that a request names; a tenant's own key needs
    none. `timeout_s` bounds each call with all its attempts, and how long a stream is sought after it broke.
    A target on another machine is spoken to over TLS, unless `plaintext` is asked for.
    """

    def __init__(
        self,
        target: str,
        credential: Credential = "",
        *,
        tls: Tls | None = None,
        plaintext: bool = False,
        tenant_id: str = "",
        timeout_s: float = 30.0,
        retry: Retry = Retry(),  # noqa: B008 (frozen)
    ) -> None:
        self._connection = Connection(target, credential, tls, plaintext=plaintext)
        self._options = _Options(tenant_id, timeout_s, retry, correlation_id="", traceparent="")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Also of those that `with_options` gave: they share the connection."""
        await self._connection.close()

    def with_options(
        self,
        *,
        tenant_id: str | None = None,
        timeout_s: float | None = None,
        retry: Retry | None = None,
        correlation_id: str | None = None,
        traceparent: str | None = None,
    ) -> Self:
        """The same connection with other options for the calls made through what this returns.

        Without a correlation id each call has one of its own; without a traceparent, OpenTelemetry's current
        span is passed on.
        """
        given = {
            "tenant_id": tenant_id,
            "timeout_s": timeout_s,
            "retry": retry,
            "correlation_id": correlation_id,
            "traceparent": traceparent,
        }
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        other = copy.copy(self)
        other._options = replace(self._options, **changes)
        return other

    async def unary(self, method: Method[Request, Response], request: Request) -> Response:
        """One call, repeated while that can help.

        Raises:
            BillingError: It was refused, or there was no answer in time.
        """
        data = self._completed(method, request).SerializeToString()
        call: Any = self._connection.channel.unary_unary(method.path, None, method.parse)
        tracing = self._tracing()

        async def attempt(timeout_s: float) -> Response:
            metadata = (*tracing, *await self._connection.credential())
            response: Response = await call(data, timeout=timeout_s, metadata=metadata)
            return response

        patience = Patience(self._options.retry, self._options.timeout_s)
        try:
            return await repeated(attempt, patience)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error, method, tracing, patience.failures) from None

    async def stream(
        self, method: Method[Request, Response], request: Request
    ) -> AsyncGenerator[Response, None]:
        """A stream of responses, taken up again where it broke; what gives tokens has no end.

        Raises:
            BillingError: It was refused, or could not be taken up again in time.
        """
        message: Any = self._completed(method, request)
        call: Any = self._connection.channel.unary_stream(method.path, None, method.parse)
        tracing = self._tracing()
        patience = Patience(self._options.retry, self._options.timeout_s)
        while True:
            metadata = (*tracing, *await self._connection.credential())
            stream = call(message.SerializeToString(), metadata=metadata)
            try:
                async for response in stream:
                    patience.renew()
                    if method.resumes:
                        message.resume_token = response.resume_token
                    yield response
                if not method.resumes:
                    return
            except grpc.aio.AioRpcError as error:
                try:
                    await patience.wait(error)
                except grpc.aio.AioRpcError:
                    raise _refusal(error, method, tracing, patience.failures) from None
            finally:
                stream.cancel()

    async def send_stream(
        self, method: Method[Request, Response], requests: AsyncIterable[Request]
    ) -> Response:
        """A stream of requests: made once, since what was sent is not kept. It has no deadline of its own.

        Raises:
            BillingError: It was refused, or broke.
        """
        tracing = self._tracing()
        metadata = (*tracing, *await self._connection.credential())

        async def completed() -> AsyncIterator[bytes]:
            async for request in requests:
                yield self._completed(method, request).SerializeToString()

        call: Any = self._connection.channel.stream_unary(method.path, None, method.parse)
        try:
            response: Response = await call(completed(), metadata=metadata)
        except grpc.aio.AioRpcError as error:
            raise _refusal(error, method, tracing, 1) from None
        return response

    async def pages(
        self, method: Method[Request, Response], request: Request
    ) -> AsyncGenerator[Response, None]:
        """Every page, from the first on. A page may be empty while there are more."""
        message: Any = request
        while True:
            page: Any = await self.unary(method, message)
            yield page
            if not page.next_page_token:
                return
            message.page_token = page.next_page_token

    @staticmethod
    async def items(
        pages: AsyncIterator[Response], items_of: Callable[[Response], Iterable[Item]]
    ) -> AsyncGenerator[Item, None]:
        async for page in pages:
            for item in items_of(page):
                yield item

    @staticmethod
    def held(message: Item | None) -> Item:
        """What a response holds: dataclasses say that it might be missing, the contract does not."""
        assert message is not None, "the server left out what it answers with"
        return message

    def _completed(self, method: Method[Request, Response], request: Request) -> Request:
        """The tenant, and a request id: one for all attempts, so that repeating changes nothing twice."""
        message: Any = request
        if method.tenant_scoped and not message.tenant_id:
            message.tenant_id = self._options.tenant_id
        if method.idempotency is Idempotency.REQUEST_ID and not message.request_id:
            message.request_id = time_ordered(time.time_ns() // 1_000_000)
        return request

    def _tracing(self) -> tuple[tuple[str, str], ...]:
        """Once per call as the caller sees it: the server's logs show its attempts under one id."""
        options = self._options
        correlation_id = options.correlation_id or f"cor_{time_ordered(time.time_ns() // 1_000_000)}"
        carrier = {"traceparent": options.traceparent}
        if not options.traceparent:
            carrier.clear()
            propagate.inject(carrier)
        return ((CORRELATION_KEY, correlation_id), *carrier.items())


def _refusal(
    error: grpc.aio.AioRpcError, method: Method[Any, Any], tracing: tuple[tuple[str, str], ...], attempts: int
) -> Exception:
    return error_of(error, method=method.path, correlation_id=tracing[0][1], attempts=attempts)
