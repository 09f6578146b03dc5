"""The event as it is written, read back and delivered."""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from hashlib import blake2b
from typing import Any

import billing
from billing.event.v1 import event_pb2 as eventv1
from billing.options.v1 import options_pb2
from google.protobuf import any_pb2, json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from corebilling.bus.delivery import TYPE_URL
from corebilling.values.ids import crockford

SHARDS = 64
"""Fixed at installation: the shard decides which queue an event stands in."""


def shard_of(tenant_id: str, ordering_key: str) -> int:
    """The shard of everything that must stay in order: stable across processes and releases."""
    digest = blake2b(f"{tenant_id}\0{ordering_key}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) % SHARDS


@cache
def catalogue() -> Mapping[str, Descriptor]:
    """Every subject of the platform, with the message that is its payload."""
    subjects = {}
    for module in pkgutil.walk_packages(billing.__path__, "billing."):
        if module.name.endswith("_events_pb2"):
            file = importlib.import_module(module.name).DESCRIPTOR
            for message in file.message_types_by_name.values():
                if subject := subject_of(message):
                    subjects[subject] = message
    return subjects


@cache
def subject_of(message: Descriptor) -> str:
    """What the message declares in its `event` option; '' when it is no event payload."""
    extensions: Any = message.GetOptions().Extensions
    return str(extensions[options_pb2.event].subject)


def payload(event: eventv1.Event) -> Message:
    """The event's own message.

    Raises:
        KeyError: the payload's type is not known to this release.
        google.protobuf.message.DecodeError: the bytes are not such a message.
    """
    return _payload_class(event.payload.type_url).FromString(event.payload.value)


@cache
def _payload_class(type_url: str) -> type[Message]:
    name = type_url.removeprefix(TYPE_URL)
    if name == eventv1.CustomEvent.DESCRIPTOR.full_name:
        return eventv1.CustomEvent
    by_name = {descriptor.full_name: descriptor for descriptor in catalogue().values()}
    return GetMessageClass(by_name[name])


def pack(message: Message) -> any_pb2.Any:
    """The message as an event carries it."""
    return any_pb2.Any(
        type_url=TYPE_URL + message.DESCRIPTOR.full_name, value=message.SerializeToString(deterministic=True)
    )


def as_object(event: eventv1.Event) -> dict[str, Any]:
    """The event as JSON: {id, subject, tenant_id, created_at, payload, metadata}, with the contract's field
    names. Webhooks send it like this; docs/events/ has the payloads' schemas.

    Raises what `payload` raises, and ValueError for a time that JSON cannot show.
    """
    return {
        "id": event.id,
        "subject": event.subject,
        "tenant_id": event.tenant_id,
        "created_at": event.created_at.ToJsonString(),
        "payload": payload_object(payload(event)),
        "metadata": _metadata_object(event.metadata),
    }


def _metadata_object(metadata: eventv1.EventMetadata) -> dict[str, Any]:
    """What `_object` makes of it, in a tenth of the time: every webhook is sent one."""
    return {
        "correlation_id": metadata.correlation_id,
        "causation_id": metadata.causation_id,
        "actor": metadata.actor,
        "traceparent": metadata.traceparent,
        "ordering_key": metadata.ordering_key,
        "resource_version": str(metadata.resource_version),
    }


def payload_object(message: Message) -> dict[str, Any]:
    """A payload as JSON shows it; a tenant's own event is the object that the tenant published."""
    if isinstance(message, eventv1.CustomEvent):
        return {name: _as_published(value) for name, value in json_format.MessageToDict(message.data).items()}
    return _object(message)


def _as_published(value: Any) -> Any:
    """The contract has doubles alone: 2 comes out of it as 2.0."""
    if isinstance(value, dict):
        return {name: _as_published(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_as_published(one) for one in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _object(message: Message) -> dict[str, Any]:
    # Zeros and empty lists too, so that readers find every field.
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def type_name(event: eventv1.Event) -> str:
    """Full name of the payload's message."""
    return event.payload.type_url.removeprefix(TYPE_URL)


def follow_up_id(handler: str, cause_id: str, subject: str, resource_id: str, version: int) -> str:
    """The id of what a handler makes of an event: the same however often it is handled.

    It begins with the cause's time, so that it sorts next to it.
    """
    digest = blake2b(
        "\0".join((handler, cause_id, subject, resource_id, str(version))).encode(), digest_size=10
    )
    tail = crockford(int.from_bytes(digest.digest()), 8 * digest.digest_size)
    return cause_id[: -len(tail)] + tail
