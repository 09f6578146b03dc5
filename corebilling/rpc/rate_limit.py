"""How often a tenant may call a method: so often per second, and a burst after a rest; an account a tenth.

Counted as by the generic cell rate algorithm: each call pays for a span of time, and is refused when the time
paid for would reach further ahead than a burst does. One number per tenant or account, and method, is all
that is kept, who is at rest needs none, and how long to wait is known exactly.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import structlog

from corebilling.errors import ResourceExhausted
from corebilling.rpc.call import Behaviour, Call, Credential
from corebilling.rpc.method import Method
from corebilling.telemetry.metrics import rate_limited_counter
from corebilling.values.clock import Clock
from corebilling.values.ids import PLATFORM_TENANT

_MANY_KEYS = 1024
_NOTED_EVERY_S = 60.0

_log = structlog.get_logger()


@dataclass(frozen=True)
class Rate:
    """On average, and at once after a rest."""

    per_second: float
    burst: int

    @cached_property
    def interval_us(self) -> int:
        """What a call pays for."""
        return max(1, round(1e6 / self.per_second))

    @cached_property
    def burst_us(self) -> int:
        return self.burst * self.interval_us

    def tenth(self) -> "Rate":
        """At least one call at once."""
        return Rate(self.per_second / 10, max(1, self.burst // 10))


class Rates(Protocol):
    """Where calls are counted."""

    async def take(self, key: str, rate: Rate) -> float:
        """Seconds to wait until there is room for the call; 0 when there was, and it is counted.

        A key always comes with the same rate.
        """
        ...


class ProcessRates:
    """Counts the calls of this process in its memory."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._paid_until_us: dict[str, int] = {}
        self._forget_at = _MANY_KEYS

    def __len__(self) -> int:
        """Of how many keys something is known."""
        return len(self._paid_until_us)

    async def take(self, key: str, rate: Rate) -> float:
        now_us = self._now_us()
        paid_until_us = self._paid_until(key, rate, now_us) + rate.interval_us
        furthest_us = now_us + rate.burst_us
        if paid_until_us > furthest_us:
            return (paid_until_us - furthest_us) / 1e6
        self._paid_until_us[key] = paid_until_us
        if len(self._paid_until_us) >= self._forget_at:
            self._forget_idle(now_us)
        return 0.0

    def wait_s(self, key: str, rate: Rate) -> float:
        """As `take`, but nothing is counted."""
        now_us = self._now_us()
        paid_until_us = self._paid_until(key, rate, now_us) + rate.interval_us
        return max(0, paid_until_us - now_us - rate.burst_us) / 1e6

    def _paid_until(self, key: str, rate: Rate, now_us: int) -> int:
        paid_until_us = self._paid_until_us.get(key, now_us)
        # Behind: a tenant at rest. Further ahead than anyone pays: the clock was set back.
        return paid_until_us if now_us <= paid_until_us <= now_us + rate.burst_us else now_us

    def _now_us(self) -> int:
        return round(self._clock.now().timestamp() * 1e6)

    def _forget_idle(self, now_us: int) -> None:
        """Drops what says no more than its absence. Seldom enough to cost nothing per call."""
        self._paid_until_us = {key: until for key, until in self._paid_until_us.items() if until > now_us}
        self._forget_at = max(_MANY_KEYS, 2 * len(self._paid_until_us))


class _Bucket(NamedTuple):
    """What a call takes from."""

    key: str
    rate: Rate
    whose: str


class RateLimit:
    """Two concerns, since a tenant is known at two places; every message of a stream of requests counts.

    A tenant's credential names its tenant: `of_tenants` refuses before anything is parsed. With an operator's
    the request does: `of_operators` comes after authorization. It counts by itself: operators who work
    for a tenant, and the tenant, do not use up what the other may do.

    Whoever is limited to one account takes from the account's tenth first, and only then from what is the
    tenant's: so no account uses up what the tenant may do, and one that is refused takes nothing from it.
    """

    def __init__(self, rate: Rate, rates: Rates, clock: Clock) -> None:
        self._of_tenant = rate
        self._of_account = rate.tenth()
        self._rates = rates
        self._clock = clock
        self._noted: set[str] = set()
        self._noted_until_s = 0.0

    def of_tenants(self, method: Method, following: Behaviour) -> Behaviour:
        def buckets(call: Call) -> Sequence[_Bucket]:
            credential = _credential(call)
            if credential.tenant_id == PLATFORM_TENANT:
                return ()
            key = f"{method.full_name}:{credential.tenant_id}"
            of_tenant = _Bucket(key, self._of_tenant, "The tenant")
            if credential.account is None:
                return (of_tenant,)
            account = credential.account_digest
            return _Bucket(f"{key}:{account}", self._of_account, "Your account"), of_tenant

        return self._limited(method, following, buckets)

    def of_operators(self, method: Method, following: Behaviour) -> Behaviour:
        def buckets(call: Call) -> Sequence[_Bucket]:
            if _credential(call).tenant_id != PLATFORM_TENANT:
                return ()
            key = f"{method.full_name}:{call.tenant_id}:operator"
            return (_Bucket(key, self._of_tenant, "The operators of the tenant together"),)

        return self._limited(method, following, buckets)

    def _limited(
        self, method: Method, following: Behaviour, buckets_of: Callable[[Call], Sequence[_Bucket]]
    ) -> Behaviour:
        """Counts every request, in each of its buckets until one has no room."""
        rates = self._rates
        refused = rate_limited_counter(method.full_name)

        async def count(call: Call) -> None:
            for bucket in buckets_of(call):
                wait_s = await rates.take(bucket.key, bucket.rate)
                if wait_s > 0:
                    refused.inc()
                    self._note(bucket.key, call)
                    raise _refusal(method, bucket, wait_s)

        async def answer(request: Any, call: Call) -> Any:
            await count(call)
            return await following(request, call)

        async def answer_stream(requests: AsyncIterator[Any], call: Call) -> Any:
            return await following(_each(requests, lambda: count(call)), call)

        return answer_stream if method.client_streaming else answer

    def _note(self, key: str, call: Call) -> None:
        """Who is refused is logged, once in a while: a line for each would cost more than the refusal."""
        now_s = self._clock.now().timestamp()
        if not self._noted_until_s - _NOTED_EVERY_S <= now_s < self._noted_until_s:
            self._noted.clear()
            self._noted_until_s = now_s + _NOTED_EVERY_S
        if key not in self._noted and len(self._noted) < _MANY_KEYS:
            self._noted.add(key)
            _log.warning(
                "rate_limited",
                method=call.method.full_name,
                tenant_id=call.tenant_id or _credential(call).tenant_id,
                actor=_credential(call).actor,
            )


def _refusal(method: Method, bucket: _Bucket, wait_s: float) -> ResourceExhausted:
    return ResourceExhausted(
        "RATE_LIMITED",
        f"{bucket.whose} called this method too often; wait as RetryInfo says.",
        {
            "method": method.full_name,
            "limit": f"{bucket.rate.per_second:g}",
            "burst": str(bucket.rate.burst),
        },
        retry_after_s=wait_s,
    )


async def _each(requests: AsyncIterator[Any], count: Callable[[], Awaitable[None]]) -> AsyncIterator[Any]:
    async for request in requests:
        await count()
        yield request


def _credential(call: Call) -> Credential:
    assert call.credential is not None, "authentication comes first"
    return call.credential
