"""Metrics of the event path. Their names are part of the contract."""

from prometheus_client import Counter, Gauge, Histogram

DISPATCHER_ERRORS = Gauge(
    "corebilling_outbox_dispatcher_errors",
    "Rounds that failed because the bus or the database could not be reached.",
)
DISPATCHER_INFLIGHT = Gauge(
    "corebilling_outbox_dispatcher_inflight", "Events handed to the bus, not yet answered for."
)
DISPATCH_COUNT = Gauge("corebilling_outbox_dispatcher_dispatch_count", "Events this process has dispatched.")
_DISPATCH = Counter(
    "corebilling_outbox_dispatch_total", "Events by what became of handing them over.", ["status"]
)
DISPATCHED = {status: _DISPATCH.labels(status) for status in ("dispatched", "failed", "dead_letter")}
DISPATCH_DURATION = Histogram(
    "corebilling_outbox_dispatch_duration_seconds",
    "Time the bus took for one batch of one shard, in seconds.",
)
BACKLOG = Gauge("corebilling_outbox_backlog", "Events behind the cursors, counted to 10,000 per shard.")
BACKLOG_AGE = Gauge("corebilling_outbox_backlog_age_seconds", "Age of the oldest event behind the cursors.")
HORIZON_AGE = Gauge(
    "corebilling_outbox_horizon_age_seconds",
    "For how long one unfinished transaction has held the log back, to within the 5 s between looks.",
)

WATCHES = Gauge("corebilling_event_watches", "Streams of events that are open.")

HANDLE_DURATION = Histogram(
    "corebilling_event_router_handle_duration", "Time one batch of one shard took to handle, in seconds."
)
_HANDLER_ERRORS = Counter(
    "corebilling_event_handler_errors_total", "Events a handler failed on.", ["handler"]
)


def handler_failed(handler: str) -> None:
    _HANDLER_ERRORS.labels(handler).inc()
