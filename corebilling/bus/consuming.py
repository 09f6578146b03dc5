"""What consumers of every broker do alike."""

import asyncio
import random
from collections.abc import Callable, Iterable, Sequence

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


def decoded(bodies: Iterable[bytes], source: str, installation: str, shard: int) -> list[Delivery]:
    """The shard's deliveries among the messages. What is none of ours, or went astray, is said aloud and left
    out: whatever it was meant to be, the log has it."""
    deliveries = []
    for body in bodies:
        try:
            deliveries.append(_of_shard(shard, decode(body, installation)))
        except Undecodable as error:
            _UNDECODABLE.inc()
            log.error("bus.undecodable", source=source, bytes=len(body), error=str(error))
    return deliveries


def _of_shard(shard: int, delivery: Delivery) -> Delivery:
    """A router takes its deliveries for neighbours: one of another shard would move the wrong watermark."""
    if delivery.shard != shard:
        raise Undecodable(f"it is of shard {delivery.shard}")
    return delivery


async def consume_persistently(
    consumer: Consumer, take: Callable[[], Sequence[Delivery]], limit: asyncio.Semaphore
) -> None:
    """Returns when what `take` gave is consumed, however long the database is away. `limit` bounds how many
    shards are at it at once; who waits to try again lets others pass.

    It is taken when its turn has come, with all that has arrived until then: large batches cost less.
    """
    deliveries: Sequence[Delivery] | None = None
    wait_s = _RETRY_BASE_S
    while True:
        try:
            async with limit:
                deliveries = take() if deliveries is None else deliveries
                if deliveries:
                    await consumer(deliveries)
                return
        except BusUnavailable as error:
            log.warning("bus.consumer_unavailable", error=str(error))
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))
            wait_s = min(wait_s * 2, _RETRY_MAX_S)
