import signal

from hypothesis import HealthCheck, settings

from tests.support.http import http
from tests.support.kafka import kafka
from tests.support.nats import nats
from tests.support.platform import platform
from tests.support.postgres import (
    app_db,
    database,
    empty_database,
    migrated_template,
    postgres,
    postgres_url,
    server_folder,
    worker_db,
)

__all__ = [
    "app_db",
    "database",
    "empty_database",
    "http",
    "kafka",
    "migrated_template",
    "nats",
    "platform",
    "postgres",
    "postgres_url",
    "server_folder",
    "worker_db",
]

# Children inherit that it is ignored, as in jobs that a shell runs in the background: Ctrl-C must reach them.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Examples do not depend on the day or on how busy the machine is.
settings.register_profile(
    "corebilling", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("corebilling")
