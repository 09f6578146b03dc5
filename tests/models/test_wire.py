"""What comes over a bus is believed only as far as it can be ours."""

from collections.abc import Callable

import pytest
from billing.event.v1 import event_pb2 as eventv1

from corebilling.bus.wire import Undecodable, decode, encode
from tests.support.event_path import delivery

OURS = "ours"


def message() -> eventv1.Delivery:
    return eventv1.Delivery.FromString(encode(delivery(7, shard=3), OURS))


def test_what_is_encoded_is_decoded():
    sent = delivery(7, shard=3, traceparent="00-1-2-01")
    found = decode(encode(sent, OURS), OURS)
    assert (found.row, found.predecessor) == (sent.row, sent.predecessor)


def nul_in_tenant(wrong: eventv1.Delivery) -> None:
    wrong.event.tenant_id += "\0"


def nul_in_id(wrong: eventv1.Delivery) -> None:
    wrong.event.id += "\0"


def nul_in_actor(wrong: eventv1.Delivery) -> None:
    wrong.event.metadata.actor = "\0"


def long_key(wrong: eventv1.Delivery) -> None:
    wrong.event.metadata.ordering_key = "k" * 2000


def no_tenant(wrong: eventv1.Delivery) -> None:
    wrong.event.tenant_id = ""


def negative(wrong: eventv1.Delivery) -> None:
    wrong.position.seq = -1


def negative_before(wrong: eventv1.Delivery) -> None:
    wrong.predecessor.xid = -1


def of_another_installation(wrong: eventv1.Delivery) -> None:
    wrong.installation = "theirs"


def of_no_installation(wrong: eventv1.Delivery) -> None:
    wrong.installation = ""


@pytest.mark.parametrize(
    "spoil",
    [
        nul_in_tenant,
        nul_in_id,
        nul_in_actor,
        long_key,
        no_tenant,
        negative,
        negative_before,
        of_another_installation,
        of_no_installation,
    ],
)
def test_what_cannot_be_ours_is_refused(spoil: Callable[[eventv1.Delivery], None]):
    wrong = message()
    spoil(wrong)
    with pytest.raises(Undecodable):
        decode(wrong.SerializeToString(), OURS)
