"""Structured logs on standard output: one event per line, ids instead of names."""

import logging
import sys
from typing import Any

import orjson
import structlog

_without_locals = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def configure_logs(form: str, level: str) -> None:
    """Once, before anything is logged. `form` is text or json; `level` is debug, info, warning or error."""
    # Never with local variables: they hold keys and names.
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    wrapper = structlog.make_filtering_bound_logger(threshold)
    if form == "json":
        structlog.configure(
            processors=[
                *shared,
                structlog.processors.ExceptionRenderer(_without_locals),
                structlog.processors.JSONRenderer(_dumps),
            ],
            wrapper_class=wrapper,
            logger_factory=structlog.BytesLoggerFactory(sys.stdout.buffer),
            cache_logger_on_first_use=True,
        )
    else:
        structlog.configure(
            processors=[*shared, console],
            wrapper_class=wrapper,
            logger_factory=structlog.WriteLoggerFactory(sys.stdout),
            cache_logger_on_first_use=True,
        )
    # Libraries (asyncio, grpc, aiohttp) speak through the standard module, and only when something is wrong.
    logging.basicConfig(stream=sys.stdout, level=max(threshold, logging.WARNING), force=True)


def _dumps(event: Any, default: Any) -> bytes:
    return orjson.dumps(event, default=default)
