"""Calls counted by all servers together, in Redis; by each for itself while Redis is away."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from corebilling.rpc.rate_limit import ProcessRates, Rate
from corebilling.telemetry.metrics import RATE_LIMITED_ALONE
from corebilling.values.clock import Clock

_PREFIX = "corebilling:rate:"
_PROBE = ("probe", Rate(per_second=1, burst=1))
_CONNECTIONS = 16

# The same arithmetic as in ProcessRates, in one step that nobody else comes between, by the one clock that
# all servers share. What says no more than its absence expires.
_TAKE = """
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local interval_us, furthest_us = tonumber(ARGV[1]), now_us + tonumber(ARGV[2])
local paid_until_us = tonumber(redis.call('GET', KEYS[1]) or now_us)
if paid_until_us < now_us or paid_until_us > furthest_us then
  paid_until_us = now_us
end
paid_until_us = paid_until_us + interval_us
if paid_until_us > furthest_us then
  return paid_until_us - furthest_us
end
local lasts_ms = math.ceil((paid_until_us - now_us) / 1000)
redis.call('SET', KEYS[1], paid_until_us, 'PX', lasts_ms)
return 0
"""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a call may wait for Redis, and how long after its silence it is asked again, by no call."""

    answer_s: float = 0.5
    ask_again_s: float = 1.0


class SharedRates:
    """No trouble with Redis refuses a call, or holds it up for longer than a moment."""

    def __init__(self, redis: Redis, clock: Clock, patience: Patience) -> None:
        self._take = redis.register_script(_TAKE)
        self._alone = ProcessRates(clock)
        self._patience = patience
        self._healing: asyncio.Task[None] | None = None

    @staticmethod
    @asynccontextmanager
    async def open(url: str, clock: Clock, patience: Patience = Patience()) -> "AsyncIterator[SharedRates]":
        """Without Redis it opens as well, and says so."""
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=patience.answer_s,
            socket_timeout=patience.answer_s,
            socket_connect_timeout=patience.answer_s,
            # A connection that was closed while idle is no reason to do without.
            retry=Retry(NoBackoff(), 1),
        )
        redis = Redis.from_pool(pool)
        rates = SharedRates(redis, clock, patience)
        try:
            await rates.take(*_PROBE)
            yield rates
        finally:
            if rates._healing is not None:
                rates._healing.cancel()
            await redis.aclose()

    async def take(self, key: str, rate: Rate) -> float:
        if self._healing is None:
            try:
                return await self._ask(key, rate)
            except (RedisError, OSError) as error:
                self._do_without(error)
        RATE_LIMITED_ALONE.inc()
        return await self._alone.take(key, rate)

    async def _ask(self, key: str, rate: Rate) -> float:
        async with asyncio.timeout(self._patience.answer_s):
            wait_us = await self._take(keys=[_PREFIX + key], args=(rate.interval_us, rate.burst_us))
        return int(wait_us) / 1e6

    def _do_without(self, error: Exception) -> None:
        if self._healing is None:
            _log.error("rate_limit_store_away", error=str(error) or type(error).__name__)
            self._healing = asyncio.create_task(self._heal())

    async def _heal(self) -> None:
        """Asks until there is an answer; meanwhile no call does."""
        while True:
            await asyncio.sleep(self._patience.ask_again_s)
            try:
                await self._ask(*_PROBE)
            except (RedisError, OSError):
                continue
            _log.warning("rate_limit_store_back")
            self._healing = None
            return
