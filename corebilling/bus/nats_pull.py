"""A pull from a durable JetStream consumer that hands on whatever is there, at once.

The library's own `fetch` waits for a full batch or its timeout; here one request is always open at the
server, and a batch is what has arrived: one message when little happens, hundreds when much does.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

MAX_BATCH = 500

_EXPIRES_S = 30.0
_HEARTBEAT_S = 5.0
_SILENCE_S = 2.5 * _HEARTBEAT_S
_NANOSECONDS = 1_000_000_000
_STATUS = "Status"
_HEARTBEAT = "100"
_ENDED = ("404", "408")
"""The request ran out, with nothing wrong."""


class ConsumerGone(Exception):
    """The stream, its consumer or the server is not what it was: bind anew."""


class Pull:
    """Messages of one consumer, in the order of the stream."""

    def __init__(self, client: Client, subscription: Subscription, request_subject: str, inbox: str) -> None:
        self._client = client
        self._subscription = subscription
        self._request_subject = request_subject
        self._inbox = inbox
        self._outstanding = 0

    @staticmethod
    @asynccontextmanager
    async def open(client: Client, stream: str, consumer: str) -> "AsyncIterator[Pull]":
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox)
        try:
            yield Pull(client, subscription, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", inbox)
        finally:
            if not client.is_closed:
                await subscription.unsubscribe()

    async def next_batch(self) -> list[Msg]:
        """Waits for the first message and takes what else has come; at least one, at most MAX_BATCH.

        Raises:
            ConsumerGone: see there; also after a silence that a living server does not keep.
        """
        messages: list[Msg] = []
        while not messages:
            if self._outstanding <= 0:
                await self._request()
            self._take(await self._next(), messages)
        while len(messages) < MAX_BATCH and self._subscription.pending_msgs:
            self._take(await self._next(), messages)
        return messages

    async def _next(self) -> Msg:
        try:
            return await self._subscription.next_msg(timeout=_SILENCE_S)
        except TimeoutError:
            raise ConsumerGone("the server has gone silent") from None

    async def _request(self) -> None:
        wish = {
            "batch": MAX_BATCH,
            "expires": int(_EXPIRES_S * _NANOSECONDS),
            "idle_heartbeat": int(_HEARTBEAT_S * _NANOSECONDS),
        }
        await self._client.publish(self._request_subject, json.dumps(wish).encode(), reply=self._inbox)
        self._outstanding = MAX_BATCH

    def _take(self, message: Msg, messages: list[Msg]) -> None:
        status = (message.headers or {}).get(_STATUS)
        if status is None or message.data:
            self._outstanding -= 1
            messages.append(message)
        elif status in _ENDED:
            self._outstanding = 0
        elif status != _HEARTBEAT:
            raise ConsumerGone(f"{status} {(message.headers or {}).get('Description', '')}")
