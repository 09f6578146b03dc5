"""Events on their way to receivers: through the real router, Postgres and HTTP."""

import asyncio
import json

import asyncpg
from billing.event.v1 import event_pb2 as eventv1
from billing.invoice.v1 import invoice_events_pb2
from billing.webhook.v1 import webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as rpc
from google.protobuf.field_mask_pb2 import FieldMask
from standardwebhooks.webhooks import Webhook as Verifier

from corebilling.domains.webhook.handlers import WebhookHandlers
from corebilling.domains.webhook.model import WebhookPolicy
from corebilling.events import outbox
from tests.support.pipeline import OTHER_TENANT, TENANT, caller
from tests.support.postgres import TestDatabase
from tests.support.receiver import is_signed_by
from tests.support.webhook import POLICY, Webhooks, metric, stop, webhooks

__all__ = ["webhooks"]

PENDING = webhook_pb2.WEBHOOK_DELIVERY_STATE_PENDING
DELIVERED = webhook_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED
DEAD = webhook_pb2.WEBHOOK_DELIVERY_STATE_DEAD


async def test_an_event_reaches_the_receiver_signed_and_whole(webhooks: Webhooks) -> None:
    secret = (await webhooks.endpoint("thing.*")).secret
    event = await webhooks.happen("a")

    assert await webhooks.worker.run_once() == 1

    (received,) = webhooks.receiver.received
    body = Verifier(secret).verify(received.body, dict(received.headers))
    assert is_signed_by(secret, received)
    assert received.headers["X-Event-ID"] == received.headers["webhook-id"] == event.id
    assert received.headers["X-Event-Type"] == "thing.happened"
    assert received.headers["X-Tenant-ID"] == TENANT
    assert received.headers["Content-Type"] == "application/json"
    assert body == {
        "id": event.id,
        "subject": "thing.happened",
        "tenant_id": TENANT,
        "created_at": event.created_at.ToJsonString(),
        "payload": {},
        "metadata": {
            "correlation_id": event.metadata.correlation_id,
            "causation_id": "",
            "actor": "key:test",
            "traceparent": "",
            "ordering_key": "a",
            "resource_version": "1",
        },
    }
    delivery = await webhooks.delivery()
    assert (delivery.state, delivery.attempts, delivery.last_error) == (DELIVERED, 1, "")
    assert await webhooks.attempts() == [(1, 200, "")]


async def test_another_secret_verifies_nothing(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    other = await webhooks.endpoint("nothing.at.all")
    await webhooks.happen()
    await webhooks.worker.run_once()
    (received,) = webhooks.receiver.received
    assert not is_signed_by(other.secret, received)


async def test_the_payload_is_a_plain_object_with_the_contracts_names(webhooks: Webhooks) -> None:
    await webhooks.endpoint("invoice.generated", "own.*")
    generated = invoice_events_pb2.InvoiceGenerated(invoice_id="inv_1", customer_id="cus_1")
    own = eventv1.CustomEvent()
    own.data.update({"answer": 42, "deep": {"list": [True, None]}})
    async with webhooks.events.writer.transaction(caller()) as tx:
        outbox.append(tx, generated, resource_id="inv_1", resource_version=1, ordering_key="cus_1")
        outbox.append(tx, own, subject="own.one", resource_id="x", resource_version=1, ordering_key="cus_1")
    await webhooks.events.drain()
    await webhooks.worker.run_once()

    payloads = {
        received.headers["X-Event-Type"]: json.loads(received.body)["payload"]
        for received in webhooks.receiver.received
    }
    assert payloads["own.one"] == {"answer": 42, "deep": {"list": [True, None]}}
    assert payloads["invoice.generated"]["invoice_id"] == "inv_1"
    assert payloads["invoice.generated"].keys() == set(generated.DESCRIPTOR.fields_by_name)


async def test_the_database_fans_out_to_matching_enabled_endpoints_of_the_tenant_alone(
    webhooks: Webhooks,
) -> None:
    wanting = [
        await webhooks.endpoint(*filters) for filters in (["*"], ["thing.*"], ["x.*", "thing.happened"])
    ]
    for filters in (["thing"], ["things.*"], ["thing.happened.twice"], ["thing.happened.*"]):
        await webhooks.endpoint(*filters)
    disabled, deleted = await webhooks.endpoint("*"), await webhooks.endpoint("*")
    await webhooks.call(webhooks.service.update_webhook, _disable(disabled.webhook.id))
    await webhooks.call(
        webhooks.service.delete_webhook, rpc.DeleteWebhookRequest(webhook_id=deleted.webhook.id)
    )
    await webhooks.endpoint("*", tenant_id=OTHER_TENANT)

    event = await webhooks.happen()

    about = [delivery for delivery in await webhooks.deliveries() if delivery.event_id == event.id]
    assert {delivery.webhook_id for delivery in about} == {created.webhook.id for created in wanting}


async def test_handling_an_event_again_delivers_it_once(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    event = await webhooks.happen()
    for _ in range(2):
        async with webhooks.events.worker.transaction(caller()) as tx:
            await WebhookHandlers().on_any_event(tx, event)
    assert len(await webhooks.deliveries()) == 1


async def test_a_failing_receiver_is_tried_again_after_doubling_delays_until_it_recovers(
    webhooks: Webhooks,
) -> None:
    await webhooks.endpoint()
    event = await webhooks.happen()
    webhooks.receiver.status = 503
    for delay_s in (10, 20, 40):
        assert await webhooks.worker.run_once() == 1
        delivery = await webhooks.delivery()
        assert (delivery.state, delivery.last_error) == (PENDING, "the receiver answered 503")
        webhooks.events.clock.advance(seconds=delay_s - 0.001)
        assert await webhooks.worker.run_once() == 0
        webhooks.events.clock.advance(seconds=0.001)
    webhooks.receiver.status = 200
    assert await webhooks.worker.run_once() == 1

    assert (await webhooks.delivery()).state == DELIVERED
    assert [status for _, status, _ in await webhooks.attempts()] == [503, 503, 503, 200]
    assert {received.event_id for received in webhooks.receiver.received} == {event.id}
    assert len({received.body for received in webhooks.receiver.received}) == 1


async def test_a_delivery_that_used_up_its_tries_is_dead_and_can_be_sent_again(webhooks: Webhooks) -> None:
    before = metric("dlq")
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.status = 500
    await _exhaust(webhooks)

    delivery = await webhooks.delivery()
    assert (delivery.state, delivery.attempts) == (DEAD, 6)
    assert await webhooks.dead_letters() == [(delivery.id, "the receiver answered 500")]
    assert metric("dlq") - before == 1

    webhooks.receiver.status = 200
    again = await webhooks.call(
        webhooks.log.redeliver_webhook, rpc.RedeliverWebhookRequest(delivery_id=delivery.id)
    )
    assert again.delivery.state == PENDING
    assert await webhooks.worker.run_once() == 1
    delivery = await webhooks.delivery()
    assert (delivery.state, delivery.attempts) == (DELIVERED, 7)
    assert await webhooks.dead_letters() == []
    assert len({received.event_id for received in webhooks.receiver.received}) == 1


async def test_what_is_sent_again_has_all_its_tries_again(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.status = 500
    await _exhaust(webhooks)
    request = rpc.RedeliverWebhookRequest(delivery_id=(await webhooks.delivery()).id)
    await webhooks.call(webhooks.log.redeliver_webhook, request)
    await webhooks.worker.run_once()
    assert (await webhooks.delivery()).state == PENDING
    await _exhaust(webhooks)
    assert ((await webhooks.delivery()).state, len(webhooks.receiver.received)) == (DEAD, 12)


async def test_a_woken_worker_does_not_wait_for_its_interval(webhooks: Webhooks) -> None:
    await webhooks.endpoint()
    policy = WebhookPolicy(interval_s=3600, http_timeout_s=5, allow_private=True)
    async with webhooks.another_worker(policy) as worker:
        running = asyncio.create_task(worker.run())
        for number in range(3):
            await webhooks.happen(f"r{number}")
            worker.wake()
            await webhooks.receiver.arrival(number + 1)
        await stop(running)


async def test_the_secret_is_nowhere_in_the_database_in_the_clear(webhooks: Webhooks) -> None:
    secret = (await webhooks.endpoint()).secret
    await webhooks.happen()
    await webhooks.worker.run_once()
    dump = await _dump(webhooks.events.database)
    assert b"whsec" not in dump
    assert secret.removeprefix("whsec_").encode() not in dump


async def test_a_delivery_that_cannot_be_made_does_not_hold_up_others(webhooks: Webhooks) -> None:
    broken = await webhooks.endpoint()
    await webhooks.endpoint()
    await webhooks.happen()
    await webhooks.events.database.admin(
        "UPDATE webhooks SET secret_ciphertext = '\\x01deadbeefdeadbeefdeadbeefdeadbeef' WHERE id = $1",
        broken.webhook.id,
    )
    await webhooks.worker.run_once()
    states = {delivery.webhook_id: delivery.state for delivery in await webhooks.deliveries()}
    assert sorted(states.values()) == [PENDING, DELIVERED]
    assert states[broken.webhook.id] == PENDING


async def test_deliveries_of_several_tenants_go_out_in_one_round(webhooks: Webhooks) -> None:
    mine, theirs = await webhooks.endpoint(), await webhooks.endpoint(tenant_id=OTHER_TENANT)
    await webhooks.happen("a")
    await webhooks.happen("b", tenant_id=OTHER_TENANT)
    assert await webhooks.worker.run_once() == 2
    by_tenant = {received.headers["X-Tenant-ID"]: received for received in webhooks.receiver.received}
    assert is_signed_by(mine.secret, by_tenant[TENANT])
    assert is_signed_by(theirs.secret, by_tenant[OTHER_TENANT])


async def test_attempts_are_counted(webhooks: Webhooks) -> None:
    before = {name: metric(name) for name in ("success", "failure")}
    await webhooks.endpoint()
    await webhooks.happen()
    webhooks.receiver.status = 500
    await webhooks.worker.run_once()
    webhooks.events.clock.advance(seconds=10)
    webhooks.receiver.status = 200
    await webhooks.worker.run_once()
    assert {name: metric(name) - before[name] for name in before} == {"success": 1, "failure": 1}


def _disable(webhook_id: str) -> rpc.UpdateWebhookRequest:
    return rpc.UpdateWebhookRequest(
        webhook_id=webhook_id, enabled=False, update_mask=FieldMask(paths=["enabled"])
    )


async def _exhaust(webhooks: Webhooks) -> None:
    """Tries until nothing is left to try, however long the waits."""
    while (await webhooks.delivery()).state == PENDING:
        webhooks.events.clock.advance(seconds=POLICY.max_delay_s)
        await webhooks.worker.run_once()


async def _dump(database: TestDatabase) -> bytes:
    """Every row of every table, as text and with byte strings as they are."""
    connection = await asyncpg.connect(database.admin_url)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        rows = [
            value if isinstance(value, bytes) else str(value).encode()
            for table in tables
            for row in await connection.fetch(f'SELECT * FROM "{table["relname"]}"')
            for value in row.values()
        ]
        return b"\n".join(rows)
    finally:
        await connection.close()
