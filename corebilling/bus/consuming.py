"""What consumers of every broker do alike."""

import asyncio
import random
from collections.abc import Iterable, Sequence

import structlog
from prometheus_client import Counter

from corebilling.bus.delivery import Delivery
from corebilling.bus.port import BusUnavailable, Consumer
from corebilling.bus.wire import Undecodable, decode

log = structlog.get_logger(__name__)

_UNDECODABLE = Counter(
    "corebilling_bus_undecodable_total", "Messages on the bus that are no deliveries of this platform."
)
_RETRY_BASE_S = 0.1
_RETRY_MAX_S = 5.0


def decoded(bodies: Iterable[bytes], source: str) -> list[Delivery]:
    """The deliveries among the messages. What is none of ours is said aloud and left out: whatever it was
    meant to be, the log has it."""
    deliveries = []
    for body in bodies:
        try:
            deliveries.append(decode(body))
        except Undecodable as error:
            _UNDECODABLE.inc()
            log.error("bus.undecodable", source=source, bytes=len(body), error=str(error))
    return deliveries


async def consume_persistently(
    consumer: Consumer, deliveries: Sequence[Delivery], limit: asyncio.Semaphore
) -> None:
    """Returns when the deliveries are consumed, however long the database is away. `limit` bounds how many
    shards are at it at once; who waits to try again lets others pass."""
    wait_s = _RETRY_BASE_S
    while deliveries:
        try:
            async with limit:
                await consumer(deliveries)
        except BusUnavailable as error:
            log.warning("bus.consumer_unavailable", shard=deliveries[0].shard, error=str(error))
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
            wait_s = min(wait_s * 2, _RETRY_MAX_S)
        else:
            return
