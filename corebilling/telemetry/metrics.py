"""Metrics of calls, and all metrics as text. Names are part of the contract."""

from collections.abc import Callable

from prometheus_client import REGISTRY, Counter, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_REQUESTS = Counter("corebilling_api_requests", "Calls answered.", ["method", "status"])
_DURATION = Histogram(
    "corebilling_api_duration_seconds",
    "Time from a call's arrival to its answer, in seconds.",
    ["method"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30),
)

_RATE_LIMITED = Counter(
    "corebilling_api_rate_limited",
    "Requests refused since their tenant calls the method too often.",
    ["method"],
)
RATE_LIMITED_ALONE = Counter(
    "corebilling_api_rate_limited_alone", "Requests counted by this process alone, its store being away."
)

CONTENT_TYPE = CONTENT_TYPE_LATEST

Observe = Callable[[str, float], None]


def call_observer(method: str) -> Observe:
    """Counts calls of this method by status name and seconds. Made once: finding labels costs."""
    duration = _DURATION.labels(method)
    by_status: dict[str, Counter] = {}

    def observe(status: str, seconds: float) -> None:
        counter = by_status.get(status)
        if counter is None:
            counter = by_status[status] = _REQUESTS.labels(method, status)
        counter.inc()
        duration.observe(seconds)

    return observe


def rate_limited_counter(method: str) -> Counter:
    return _RATE_LIMITED.labels(method)


def exposition() -> bytes:
    """All metrics of the process in the text format of Prometheus."""
    return generate_latest(REGISTRY)
