"""Structured logs on standard output: one event per line, ids instead of names."""

import logging
import sys
from typing import Any

import orjson
import structlog


def configure_logs(form: str, level: str) -> None:
    """Once, before anything is logged. `form` is text or json; `level` is debug, info, warning or error."""
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    wrapper = structlog.make_filtering_bound_logger(threshold)
    if form == "json":
        structlog.configure(
            processors=[
                *shared,
                structlog.processors.dict_tracebacks,
                structlog.processors.JSONRenderer(_dumps),
            ],
            wrapper_class=wrapper,
            logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
            cache_logger_on_first_use=True,
        )
    else:
        structlog.configure(
            processors=[*shared, structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())],
            wrapper_class=wrapper,
            logger_factory=structlog.WriteLoggerFactory(sys.stdout),
            cache_logger_on_first_use=True,
        )
    # Libraries (asyncio, grpc, aiohttp) speak through the standard module, and only when something is wrong.
    logging.basicConfig(stream=sys.stdout, level=max(threshold, logging.WARNING), force=True)


def _dumps(event: Any, default: Any) -> bytes:
    return orjson.dumps(event, default=default)
