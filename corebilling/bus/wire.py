"""A delivery as it crosses a broker: a `billing.event.v1.Delivery`, for all who have the contract."""

from billing.event.v1 import event_pb2 as eventv1
from billing_db.models import BillingEvent
from google.protobuf.message import DecodeError

from corebilling.bus.delivery import TYPE_URL, Delivery, Position, write_event
from corebilling.errors import BillingError
from corebilling.mapping import instant


class Undecodable(Exception):
    """Not a delivery of this platform: somebody else's message, or bytes that were harmed on the way."""


def encode(delivery: Delivery) -> bytes:
    message = eventv1.Delivery()
    write_event(delivery.row, message.event)
    _write_position(delivery.shard, delivery.position, message.position)
    _write_position(delivery.shard, delivery.predecessor, message.predecessor)
    return message.SerializeToString()


def decode(data: bytes) -> Delivery:
    """Raises Undecodable. The payload stays undecoded: it may be of a version this process does not know."""
    try:
        message = eventv1.Delivery.FromString(data)
    except DecodeError as error:
        raise Undecodable(str(error)) from error
    event, at, before = message.event, message.position, message.predecessor
    if not (event.id and event.tenant_id and event.subject and at.xid):
        raise Undecodable("it names no event, tenant, subject or position")
    return Delivery(_row(event, at), Position(before.epoch, before.xid, before.seq), event)


def delivery_id(delivery: Delivery) -> str:
    """The same for the same delivery, whoever sends it: brokers recognize a repetition by it."""
    at = delivery.position
    return f"{delivery.shard}-{at.epoch}-{at.xid}-{at.seq}"


def _write_position(shard: int, at: Position, message: eventv1.Position) -> None:
    message.epoch = at.epoch
    message.shard = shard
    message.xid = at.xid
    message.seq = at.seq


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
