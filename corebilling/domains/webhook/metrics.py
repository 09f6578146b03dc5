"""Metrics of webhook deliveries. Their names are part of the contract."""

from prometheus_client import Counter, Gauge, Histogram

SUCCESS = Counter("corebilling_webhook_delivery_success", "Attempts that a receiver answered with 2xx.")
FAILURE = Counter("corebilling_webhook_delivery_failure", "Attempts that failed, and deliveries given up.")
DEAD = Counter("corebilling_webhook_delivery_dlq", "Deliveries that went to the dead letter queue.")
DURATION = Histogram(
    "corebilling_webhook_delivery_duration_seconds",
    "Time from the start of an attempt to the receiver's answer, in seconds.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60, 120),
)
BACKLOG = Gauge("corebilling_webhook_backlog", "Deliveries that wait for an attempt, or for its answer.")
OPEN_BREAKERS = Gauge(
    "corebilling_webhook_open_breakers", "Endpoints left alone for now, because attempts failed in a row."
)
IN_FLIGHT = Gauge("corebilling_webhook_inflight", "Attempts under way when the worker last looked.")
