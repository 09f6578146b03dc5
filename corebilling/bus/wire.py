"""A delivery as it crosses a broker: a `billing.event.v1.Delivery`, for all who have the contract."""

from collections.abc import Iterator

from billing.event.v1 import event_pb2 as eventv1
from billing_db.models import BillingEvent
from google.protobuf.message import DecodeError

from corebilling.bus.delivery import TYPE_URL, Delivery, Position, write_event
from corebilling.errors import BillingError
from corebilling.mapping import instant


class Undecodable(Exception):
    """Not a delivery of this platform: somebody else's message, or bytes that were harmed on the way."""


MAX_TEXT_CHARACTERS = 1024
"""More than any field of an envelope has: what is longer could not be stored."""

_MAX_EPOCH = 2**31 - 1


def encode(delivery: Delivery, installation: str) -> bytes:
    message = eventv1.Delivery(installation=installation)
    write_event(delivery.row, message.event)
    _write_position(delivery.shard, delivery.position, message.position)
    _write_position(delivery.shard, delivery.predecessor, message.predecessor)
    return message.SerializeToString()


def decode(data: bytes, installation: str) -> Delivery:
    """Raises Undecodable, also when it is of another installation. The payload stays undecoded: it may be of
    a version that this process does not know."""
    try:
        message = eventv1.Delivery.FromString(data)
    except DecodeError as error:
        raise Undecodable(str(error)) from error
    if message.installation != installation:
        raise Undecodable(f"it is of installation '{message.installation}': each needs a stream of its own")
    event, at, before = message.event, message.position, message.predecessor
    if not (event.id and event.tenant_id and event.subject and at.xid):
        raise Undecodable("it names no event, tenant, subject or position")
    if not (_is_position(at) and _is_position(before)):
        raise Undecodable("its position is none")
    row = _row(event, at)
    if not all(map(_is_storable, _texts(row))):
        raise Undecodable("a text is too long, or holds what cannot be stored")
    return Delivery(row, Position(before.epoch, before.xid, before.seq), event)


def delivery_id(delivery: Delivery) -> str:
    """The same for the same delivery, whoever sends it: brokers recognize a repetition by it."""
    at = delivery.position
    return f"{delivery.shard}-{at.epoch}-{at.xid}-{at.seq}"


def _write_position(shard: int, at: Position, message: eventv1.Position) -> None:
    message.epoch = at.epoch
    message.shard = shard
    message.xid = at.xid
    message.seq = at.seq


def _is_position(at: eventv1.Position) -> bool:
    return 0 <= at.epoch <= _MAX_EPOCH and at.xid >= 0 and at.seq >= 0


def _texts(row: BillingEvent) -> Iterator[str]:
    yield from (row.id, row.subject, row.tenant_id, row.resource_id, row.ordering_key, row.payload_type)
    yield from (row.correlation_id, row.causation_id, row.actor, row.traceparent)


def _is_storable(text: str) -> bool:
    return len(text) <= MAX_TEXT_CHARACTERS and "\0" not in text


def _row(event: eventv1.Event, at: eventv1.Position) -> BillingEvent:
    try:
        created_at = instant(event.created_at)
    except BillingError as error:
        raise Undecodable("its time is out of range") from error
    return BillingEvent(
        shard=at.shard,
        epoch=at.epoch,
        xid=at.xid,
        seq=at.seq,
        id=event.id,
        subject=event.subject,
        tenant_id=event.tenant_id,
        resource_id=event.resource_id,
        resource_version=event.metadata.resource_version,
        ordering_key=event.metadata.ordering_key,
        payload_type=event.payload.type_url.removeprefix(TYPE_URL),
        payload=event.payload.value,
        correlation_id=event.metadata.correlation_id,
        causation_id=event.metadata.causation_id,
        actor=event.metadata.actor,
        traceparent=event.metadata.traceparent,
        created_at=created_at,
    )
