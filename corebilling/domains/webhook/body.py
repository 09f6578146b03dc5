"""What is sent of an event: the same bytes at every try, made from the event log."""

from typing import Any

import orjson
from billing.event.v1 import event_pb2 as eventv1
from billing_db.models import BillingEvent
from google.protobuf import json_format
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError, Message

from corebilling.bus.delivery import event_of
from corebilling.events.envelope import payload


class EventUnreadable(Exception):
    """The payload is of a type that this release does not know, or cannot be shown in JSON."""


def render(row: BillingEvent) -> bytes:
    """JSON {id, subject, tenant_id, created_at, payload, metadata}, with the contract's field names.

    Raises EventUnreadable.
    """
    try:
        return _render(event_of(row))
    except (KeyError, ValueError, TypeError, DecodeError, json_format.Error) as error:
        raise EventUnreadable(f"{row.payload_type}: {type(error).__name__}") from error


def _render(event: eventv1.Event) -> bytes:
    return orjson.dumps(
        {
            "id": event.id,
            "subject": event.subject,
            "tenant_id": event.tenant_id,
            "created_at": event.created_at.ToJsonString(),
            "payload": _payload(event),
            "metadata": _plain(event.metadata),
        }
    )


def _payload(event: eventv1.Event) -> dict[str, Any]:
    message = payload(event)
    # A tenant's own event is the object that the tenant published.
    return MessageToDict(message.data) if isinstance(message, eventv1.CustomEvent) else _plain(message)


def _plain(message: Message) -> dict[str, Any]:
    """Zeros and empty lists are shown, so that receivers find every field."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
