"""The server under test: what a call passes through in production, in a process of its own.

What is measured collects garbage as every process of the platform does; a baseline that stands for a bare
program does so by Python's own settings.
"""

import asyncio
import gc
import multiprocessing
import os
import sys
import tempfile
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import uvloop
from billing.access.v1 import access_service_pb2, api_key_pb2
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from pydantic import SecretStr

from corebilling.app import App, DatabaseUrls
from corebilling.client import Client
from corebilling.config import BusProvider, Settings
from corebilling.running import collect_garbage_seldom
from corebilling.telemetry.logs import configure_logs
from corebilling.values.clock import SystemClock
from corebilling.values.ids import new_id

TENANT = "ten_000000000000000000000bench"

_START_TIMEOUT_S = 60.0
_PYTHONS_OWN = gc.get_threshold()


@dataclass(frozen=True, slots=True)
class BenchDatabase:
    """A migrated database of a bench's own, and its addresses for each role."""

    admin: str
    app: str
    worker: str


NewDatabase = Callable[[str], Awaitable[BenchDatabase]]
"""Makes the database of this name."""


@dataclass(frozen=True, slots=True)
class Api:
    """The running server."""

    address: str
    http_address: str
    platform_key: str
    pid: int

    async def tenant_key(self, tenant_id: str) -> str:
        """A new key of the tenant's owner."""
        async with Client(self.address, self.platform_key) as client:
            created = await client.stub(AccessServiceStub).CreateApiKey(
                access_service_pb2.CreateApiKeyRequest(
                    tenant_id=tenant_id, request_id=new_id("req"), name="bench", role=api_key_pb2.ROLE_OWNER
                )
            )
        return str(created.secret)


@asynccontextmanager
async def running_api(database: BenchDatabase, **settings: int) -> AsyncIterator[Api]:
    """The API role on this database; nothing reads its events meanwhile. `settings` as in the environment."""
    master_key = b64encode(os.urandom(32)).decode()
    async with in_own_process(_serve, database, master_key, settings) as started:
        yield Api(*started)


@contextmanager
def bare_program() -> Iterator[None]:
    """A baseline runs in the block as if in a process that knows nothing of the platform."""
    the_platforms = gc.get_threshold()
    gc.set_threshold(*_PYTHONS_OWN)
    try:
        yield
    finally:
        gc.set_threshold(*the_platforms)


@asynccontextmanager
async def in_own_process(target: Callable[..., None], *args: object) -> AsyncIterator[Any]:
    """Runs `target(*args, started)` until the block ends; yields what it puts into `started`."""
    spawn = multiprocessing.get_context("spawn")
    started = spawn.Queue()
    process = spawn.Process(target=target, args=(*args, started), daemon=True)
    process.start()
    try:
        yield await asyncio.to_thread(started.get, True, _START_TIMEOUT_S)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


def _serve(database: BenchDatabase, master_key: str, more: dict[str, Any], started: Any) -> None:
    async def run() -> None:
        settings = Settings(
            **more,
            port=0,
            grpc_port=0,
            event_bus_provider=BusProvider.NOOP,
            master_key=SecretStr(master_key),
            # Counted as always, and never refused: the bench is one tenant.
            rate_limit_rps=100_000,
            rate_limit_burst=100_000,
        )
        urls = DatabaseUrls(app=database.app, worker=database.worker)
        async with App.open(settings, urls, SystemClock(), roles=("api",)) as app:
            started.put((app.grpc_address, app.http_address, app.new_platform_key, os.getpid()))
            await app.run()

    # Lines go to a file, as under a supervisor.
    with tempfile.TemporaryFile("w") as log:
        sys.stdout = log
        configure_logs("json", "info")
        collect_garbage_seldom()
        uvloop.run(run())
