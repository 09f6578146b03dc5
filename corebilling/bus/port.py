"""What a bus is to the platform: a courier between the dispatcher and the router.

Postgres is the truth. A bus may lose, repeat and reorder: every delivery carries its position in its shard
and its predecessor's, so that the router sees a gap and refills it from the log.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from corebilling.bus.delivery import Delivery

Consumer = Callable[[Sequence[Delivery]], Awaitable[None]]
"""Handles deliveries of one shard, in order, and returns once their effects are committed."""


class BusUnavailable(Exception):
    """Nothing can be delivered for now. Nobody's attempt: the shard pauses and is tried again."""


class EventRefused(Exception):
    """The bus does not take this event, for a fault of the event's own; the others may go on without it."""

    def __init__(self, delivery: Delivery, why: str) -> None:
        super().__init__(why)
        self.delivery = delivery


class Bus(Protocol):
    """Opening one never fails because a broker is away: until it answers, publish raises BusUnavailable."""

    @property
    def max_event_bytes(self) -> int:
        """The largest delivery it takes. Larger ones become dead letters before they are published."""
        ...

    async def publish(self, deliveries: Sequence[Delivery]) -> None:
        """Hands over deliveries of one shard, in order; returns once the bus answers for all of them.

        Raises:
            BusUnavailable: it cannot now. None, some or all of them were taken.
            EventRefused: it will not take one of them. None, some or all of the others were taken.
        """
        ...

    def subscribe(self, consumer: Consumer) -> None:
        """Deliveries go to this consumer, and are acknowledged after it returned. When it raises
        BusUnavailable they are delivered again after a while."""
        ...

    async def run(self) -> None:
        """Hands what arrives to the consumer, several shards at once, until canceled: the router's role."""
        ...
