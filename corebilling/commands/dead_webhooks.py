"""The dead letters of webhooks: deliveries that an endpoint did not take."""

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

import grpc
from billing.webhook.v1 import webhook_pb2 as pb
from billing.webhook.v1 import webhook_service_pb2 as rpc
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub

from corebilling.client import Client
from corebilling.commands.connection import explain
from corebilling.values.subject import ANY_SUBJECT, matches

_PAGE = 500
# Where a filter by subject finds little, one looks no further.
_MOST_PAGES = 20


async def dead_deliveries(
    client: Client, tenant_id: str, *, endpoint: str = "", subject: str = "", limit: int
) -> list[pb.WebhookDeadLetter]:
    """The newest that match, among the newest 10,000."""
    found = []
    async for letter in _dead_letters(client, tenant_id, endpoint):
        if matches(subject or ANY_SUBJECT, letter.delivery.subject):
            found.append(letter)
        if len(found) == limit:
            break
    return found


async def discarded_deliveries(
    client: Client, tenant_id: str, *, endpoint: str = "", subject: str = "", limit: int
) -> list[pb.WebhookDelivery]:
    """Those that match among the newest `limit`."""
    answer = await client.stub(WebhookServiceStub).ListWebhookDeliveries(
        rpc.ListWebhookDeliveriesRequest(
            tenant_id=tenant_id,
            page_size=limit,
            webhook_id=endpoint,
            state=pb.WEBHOOK_DELIVERY_STATE_DISCARDED,
        )
    )
    return [delivery for delivery in answer.deliveries if matches(subject or ANY_SUBJECT, delivery.subject)]


async def find_dead(client: Client, tenant_id: str, id_: str) -> list[pb.WebhookDeadLetter]:
    """One by the delivery's id, or by the event's, which several endpoints may not have taken."""
    found = []
    async for letter in _dead_letters(client, tenant_id, ""):
        if letter.delivery.id == id_:
            return [letter]
        if letter.delivery.event_id == id_:
            found.append(letter)
    return found


async def attempts(client: Client, tenant_id: str, delivery_id: str) -> list[pb.WebhookDeliveryAttempt]:
    """The latest, oldest of them first."""
    request = rpc.ListWebhookDeliveryAttemptsRequest(tenant_id=tenant_id, delivery_id=delivery_id)
    answer = await client.stub(WebhookServiceStub).ListWebhookDeliveryAttempts(request)
    return list(answer.attempts)


async def each(ids: Iterable[str], act: Callable[[str], Awaitable[object]]) -> tuple[int, Counter[str]]:
    """With how many deliveries it went well, and what was said of how many others.

    One endpoint that is disabled must not keep the others' deliveries back.
    """
    done, refusals = 0, Counter[str]()
    for delivery_id in ids:
        try:
            await act(delivery_id)
            done += 1
        except grpc.aio.AioRpcError as error:
            if error.code() not in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND):
                raise
            refusals[explain(error)] += 1
    return done, refusals


async def _dead_letters(client: Client, tenant_id: str, endpoint: str) -> AsyncIterator[pb.WebhookDeadLetter]:
    request = rpc.ListWebhookDeadLettersRequest(tenant_id=tenant_id, page_size=_PAGE, webhook_id=endpoint)
    for _ in range(_MOST_PAGES):
        answer = await client.stub(WebhookServiceStub).ListWebhookDeadLetters(request)
        for letter in answer.dead_letters:
            yield letter
        request.page_token = answer.next_page_token
        if not request.page_token:
            return
