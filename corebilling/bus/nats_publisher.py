"""Publishing to JetStream: a shard's messages go out together, and each is acknowledged.

The library's own publish_async takes twice the time per message, six times with a limit to its wait; here the
answers to a window of messages are counted off.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.errors import APIError, NoStreamResponseError

from corebilling.bus.delivery import Delivery
from corebilling.bus.nats_connection import NatsAddress, NatsConnection, Session, is_stream_missing
from corebilling.bus.port import BusUnavailable, EventRefused
from corebilling.bus.wire import delivery_id, encode

_HEADERS_BYTES = 512
"""More than the headers of a message take."""

_WINDOW_BYTES = 1024 * 1024
_ACKNOWLEDGE_TIMEOUT_S = 5.0
_TOO_LARGE = 10054
"""JetStream's error code of a message larger than the stream takes."""
_NO_RESPONDERS = "503"


class _Window:
    """Messages on their way. `done` comes when all are acknowledged, or fails with the first that is not."""

    def __init__(self, session: Session) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.tokens: dict[str, Delivery] = {}
        self.complete = False
        self._session = session
        session.ended.add_done_callback(self._lost)

    def close(self) -> None:
        self._session.ended.remove_done_callback(self._lost)
        if not self.done.cancel() and not self.done.cancelled():
            self.done.exception()  # Whoever waited has heard it.

    def settle(self, error: Exception | None = None) -> None:
        if self.done.done():
            return
        if error is not None:
            self.done.set_exception(error)
        elif self.complete and not self.tokens:
            self.done.set_result(None)

    def _lost(self, _: object) -> None:
        self.settle(BusUnavailable("NATS was disconnected"))


class NatsPublisher:
    def __init__(self, address: NatsAddress, connection: NatsConnection) -> None:
        self._address = address
        self._connection = connection
        self._client: Client | None = None
        self._inbox = ""
        self._subscribing = asyncio.Lock()
        self._windows: dict[str, _Window] = {}
        self._sent = 0

    @property
    def max_body_bytes(self) -> int:
        return self._connection.max_payload - _HEADERS_BYTES

    async def publish(self, deliveries: Sequence[Delivery]) -> None:
        """See the port."""
        session = self._connection.session()
        try:
            await self._subscribe(session.client)
            for window in _windows(deliveries, self._address.installation):
                await self._send(session, window)
        except TimeoutError:
            raise BusUnavailable("NATS does not acknowledge") from None
        except NatsError as error:
            if is_stream_missing(error):
                self._connection.mend(session)
            raise BusUnavailable(f"NATS: {error!r}") from error

    async def _subscribe(self, client: Client) -> None:
        """To the answers, which each come to an address of their own in this inbox."""
        async with self._subscribing:
            if self._client is not client:
                self._inbox = client.new_inbox()
                await client.subscribe(f"{self._inbox}.*", cb=self._answer)
                self._client = client

    async def _send(self, session: Session, messages: Sequence[tuple[Delivery, bytes]]) -> None:
        subject = self._address.subject(messages[0][0].shard)
        largest = self.max_body_bytes
        window = _Window(session)
        try:
            for delivery, body in messages:
                if len(body) > largest:
                    raise EventRefused(delivery, f"larger than NATS takes ({largest} bytes)")
                token = self._expect(window, delivery)
                await session.client.publish(
                    subject, body, reply=f"{self._inbox}.{token}", headers=_headers(delivery)
                )
            window.complete = True
            window.settle()
            async with asyncio.timeout(_ACKNOWLEDGE_TIMEOUT_S):
                await window.done
        finally:
            window.close()
            for token in window.tokens:
                del self._windows[token]

    def _expect(self, window: _Window, delivery: Delivery) -> str:
        self._sent += 1
        token = str(self._sent)
        self._windows[token] = window
        window.tokens[token] = delivery
        return token

    async def _answer(self, message: Msg) -> None:
        token = message.subject.rpartition(".")[2]
        if window := self._windows.pop(token, None):
            window.settle(_error(message, window.tokens.pop(token)))


def _windows(deliveries: Sequence[Delivery], installation: str) -> Iterator[list[tuple[Delivery, bytes]]]:
    """What is on its way at once, bounded by its size."""
    window: list[tuple[Delivery, bytes]] = []
    size = 0
    for delivery in deliveries:
        body = encode(delivery, installation)
        if window and size + len(body) > _WINDOW_BYTES:
            yield window
            window, size = [], 0
        window.append((delivery, body))
        size += len(body)
    if window:
        yield window


def _headers(delivery: Delivery) -> dict[str, str]:
    headers = {"Nats-Msg-Id": delivery_id(delivery)}
    if delivery.row.traceparent:
        headers["traceparent"] = delivery.row.traceparent
    return headers


def _error(answer: Msg, delivery: Delivery) -> Exception | None:
    """Why it was not taken; None when it was."""
    if answer.headers and answer.headers.get("Status") == _NO_RESPONDERS:
        return NoStreamResponseError()
    if b'"error"' not in answer.data:
        return None
    said = json.loads(answer.data)["error"]
    if said.get("err_code") == _TOO_LARGE:
        return EventRefused(delivery, f"larger than the stream takes: {said.get('description')}")
    error: APIError = APIError.from_error(said)
    return error
