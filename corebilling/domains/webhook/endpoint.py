"""What the worker knows of endpoints, and what it changes about them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from billing.event.v1 import event_pb2 as eventv1
from billing.webhook.v1 import webhook_events_pb2 as events
from billing.webhook.v1 import webhook_pb2
from billing_db import webhook as webhook_sql
from billing_db.models import Webhook
from google.protobuf.message import Message

from corebilling.db.transaction import Transaction
from corebilling.domains.webhook.model import DisabledReason
from corebilling.events import outbox
from corebilling.mapping import enum_number
from corebilling.secrets import Secrets, SecretUnreadable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where an attempt goes. `secrets`: the current one first; none if they cannot be read."""

    tenant_id: str
    id: str
    url: str
    rate_per_second: int
    secrets: Sequence[str]
    failing_since: datetime | None
    enabled: bool
    deleted: bool


async def load_endpoints(tx: Transaction, secrets: Secrets, ids: Iterable[str]) -> Mapping[str, Endpoint]:
    """The transaction's tenant's endpoints, by id; deleted ones too."""
    rows = await webhook_sql.list_lane_webhooks(tx, tenant_id=tx.tenant_id, ids=list(ids))
    return {row.id: await _endpoint(tx, secrets, row) for row in rows}


async def _endpoint(tx: Transaction, secrets: Secrets, row: Webhook) -> Endpoint:
    return Endpoint(
        row.tenant_id,
        row.id,
        row.url,
        row.rate_per_second,
        await _secrets(tx, secrets, row) if row.deleted_at is None else (),
        row.failing_since,
        row.enabled,
        row.deleted_at is not None,
    )


async def _secrets(tx: Transaction, secrets: Secrets, row: Webhook) -> tuple[str, ...]:
    ciphertexts = [row.secret_ciphertext]
    expires_at = row.previous_secret_expires_at
    if row.previous_secret_ciphertext is not None and expires_at is not None and tx.now < expires_at:
        ciphertexts.append(row.previous_secret_ciphertext)
    try:
        return tuple(
            [(await secrets.decrypt(tx, one, secret_identity(row.id))).decode() for one in ciphertexts]
        )
    except SecretUnreadable as error:
        log.error("webhook.secret_unreadable", tenant_id=row.tenant_id, webhook_id=row.id, error=str(error))
        return ()


def secret_identity(webhook_id: str) -> str:
    """What the ciphertexts of an endpoint's secrets are bound to."""
    return f"webhooks/{webhook_id}"


async def disable_gone_webhook(tx: Transaction, webhook_id: str) -> bool:
    """After its receiver said that it is gone for good. The transaction holds the endpoint's lock."""
    row = await webhook_sql.mark_webhook_disabled(
        tx,
        tenant_id=tx.tenant_id,
        id=webhook_id,
        disabled_reason=DisabledReason.GONE,
        disabled_at=tx.now,
    )
    return _announce_disabled(tx, row)


async def disable_failing_webhook(tx: Transaction, webhook_id: str, failing_since: datetime) -> bool:
    """After nothing but failures for too long. The transaction holds the endpoint's lock."""
    row = await webhook_sql.mark_webhook_failed(
        tx, tenant_id=tx.tenant_id, id=webhook_id, failing_since=failing_since, disabled_at=tx.now
    )
    return _announce_disabled(tx, row)


def _announce_disabled(tx: Transaction, row: Webhook | None) -> bool:
    if row is not None:
        announce(tx, row, disabled_event(row))
    return row is not None


def disabled_event(row: Webhook) -> events.WebhookDisabled:
    assert row.disabled_reason is not None, "who disables says why"
    reason = enum_number(webhook_pb2.WebhookDisabledReason, row.disabled_reason)
    return events.WebhookDisabled(webhook_id=row.id, reason=webhook_pb2.WebhookDisabledReason.Name(reason))


def announce(tx: Transaction, row: Webhook, payload: Message) -> eventv1.Event:
    return outbox.append(tx, payload, resource_id=row.id, resource_version=row.version, ordering_key=row.id)
