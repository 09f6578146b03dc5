"""What is sent of an event: the same bytes at every try, made from the event log."""

import orjson
from billing_db.models import BillingEvent
from google.protobuf import json_format
from google.protobuf.message import DecodeError

from corebilling.bus.delivery import event_of
from corebilling.events.envelope import as_object


class EventUnreadable(Exception):
    """The payload is of a type that this release does not know, or cannot be shown in JSON."""


def render(row: BillingEvent) -> bytes:
    """JSON {id, subject, tenant_id, created_at, payload, metadata}, with the contract's field names.

    Raises EventUnreadable.
    """
    try:
        return orjson.dumps(as_object(event_of(row)))
    except (KeyError, ValueError, TypeError, DecodeError, json_format.Error) as error:
        raise EventUnreadable(f"{row.payload_type}: {type(error).__name__}") from error
