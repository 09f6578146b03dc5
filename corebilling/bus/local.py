"""The bus within one process: publishing is handling."""

import asyncio
from collections.abc import Sequence

from corebilling.bus.delivery import Delivery
from corebilling.bus.port import BusUnavailable, Consumer


class LocalBus:
    """Delivers by calling the consumer: a delivery counts only when its effects are committed.

    Args:
        max_event_bytes: Larger events are refused, as a broker would.
    """

    def __init__(self, max_event_bytes: int) -> None:
        self._max_event_bytes = max_event_bytes
        self._consumer: Consumer | None = None

    @property
    def max_event_bytes(self) -> int:
        return self._max_event_bytes

    async def publish(self, deliveries: Sequence[Delivery]) -> None:
        if self._consumer is None:
            raise BusUnavailable("no router runs in this process")
        await self._consumer(deliveries)

    def subscribe(self, consumer: Consumer) -> None:
        self._consumer = consumer

    async def run(self) -> None:
        """Nothing arrives from elsewhere."""
        await asyncio.Event().wait()
