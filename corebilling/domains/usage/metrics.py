"""Metrics of usage. Their names are part of the contract."""

import time
from collections import deque
from collections.abc import Callable, Iterable

from billing.usage.v1 import usage_pb2
from prometheus_client import Counter, Gauge

WINDOW_S = 60


class RecentRate:
    """How many per second there were in the last minute, to the second."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._seconds: deque[tuple[int, int]] = deque()

    def add(self, count: int) -> None:
        now = int(self._monotonic())
        self._forget(now)
        if self._seconds and self._seconds[-1][0] == now:
            count += self._seconds.pop()[1]
        self._seconds.append((now, count))

    def per_second(self) -> float:
        self._forget(int(self._monotonic()))
        return sum(count for _, count in self._seconds) / WINDOW_S

    def _forget(self, now: int) -> None:
        while self._seconds and self._seconds[0][0] <= now - WINDOW_S:
            self._seconds.popleft()


ACCEPTED = RecentRate()
_RATE = Gauge(
    "corebilling_usage_ingestion_rate",
    "Usage records that this process accepted per second, over the last minute.",
)
_RATE.set_function(ACCEPTED.per_second)

RECONCILED = Counter(
    "corebilling_usage_reconciled_total",
    "Billing periods of items whose books of usage this process compared.",
)
DRIFTS = Counter(
    "corebilling_usage_drift_total",
    "Those of them whose records, totals and invoices did not agree.",
)


def count_reconciled(balances: Iterable[usage_pb2.UsageBalance]) -> None:
    for balance in balances:
        RECONCILED.inc(balance.period_count)
        DRIFTS.inc(balance.drift_count)
