"""The platform as production runs it: one role per process, two of what scales, a database and a broker."""

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from corebilling.db import migrate
from corebilling.db.embedded import SUPERUSER, EmbeddedPostgres
from corebilling.values.ids import new_id
from tests.faults.campaign.worker import WITNESS_TABLE
from tests.support.broker import BrokerServer
from tests.support.platform import MASTER_KEY
from tests.support.ports import free_port
from tests.support.postgres import MIGRATIONS

DATABASE = "corebilling"
SCALED_OUT = {
    "api": "api",
    "dispatcher-1": "dispatcher",
    "dispatcher-2": "dispatcher",
    "router-1": "router",
    "router-2": "router",
    "jobs": "scheduler,webhook",
}
IN_PROCESS = {"api": "api", "events": "dispatcher,router", "jobs": "scheduler,webhook"}
"""With the local bus, dispatcher and router share a process."""
LOGIN = "CREATE ROLE campaign LOGIN; GRANT corebilling_app, corebilling_worker TO campaign;"
LEASE_S = 1.0
SETTINGS = {
    "COREBILLING_MASTER_KEY": MASTER_KEY,
    "PORT": "0",
    "DISPATCHER_LEASE_SECONDS": str(LEASE_S),
    "ROUTER_LEASE_SECONDS": str(LEASE_S),
    "DISPATCHER_POLL_SECONDS": "0.02",
    "ROUTER_SWEEP_SECONDS": "1",
    "SCHEDULER_INTERVAL_SECONDS": "0.2",
    "AUDIT_SEAL_SECONDS": "0.5",
    "BILLING_GRACE_SECONDS": "60",
    "DATABASE_APP_CONNECTIONS": "12",
    "DATABASE_WORKER_CONNECTIONS": "6",
    "WEBHOOK_ALLOW_PRIVATE": "true",
    "WEBHOOK_WORKER_INTERVAL_SECONDS": "0.2",
    "WEBHOOK_MAX_RETRIES": "100",
    "WEBHOOK_BASE_DELAY_SECONDS": "0.2",
    "WEBHOOK_MAX_DELAY_SECONDS": "1",
    "WEBHOOK_HTTP_TIMEOUT_SECONDS": "1",
    "GRPC_STOP_GRACE_SECONDS": "0.5",
    "LOG_LEVEL": "warning",
    # Its writers call as fast as they can.
    "RATE_LIMIT_RPS": "0",
    "GRPC_MAX_CONCURRENT_STREAMS": "128",
}


@dataclass
class Fleet:
    """The processes by name. What is not running is started again by `mend`."""

    folder: Path
    postgres: EmbeddedPostgres
    broker: BrokerServer
    roles: Mapping[str, str]
    grpc_port: int
    environment: Mapping[str, str]
    processes: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)

    @staticmethod
    @asynccontextmanager
    async def open(folder: Path, broker: BrokerServer) -> "AsyncIterator[Fleet]":
        """A migrated database of its own, and every role; all is stopped at the end."""
        postgres = EmbeddedPostgres.start(folder / "postgres", durable=True)
        try:
            await migrate.create_database(postgres.url(SUPERUSER, "postgres"), DATABASE)
            administrator = postgres.url(SUPERUSER, DATABASE)
            await migrate.up(administrator, MIGRATIONS)
            connection = await asyncpg.connect(administrator)
            await connection.execute(WITNESS_TABLE + LOGIN)
            await connection.close()
            url = postgres.url("campaign", DATABASE)
            port = free_port()
            name = new_id("t")  # a stream, topic and group of its own
            settings = {key.upper(): str(value) for key, value in broker.settings.items()}
            settings |= {"NATS_STREAM": name.upper(), "KAFKA_TOPIC": name, "KAFKA_GROUP_ID": name}
            environment = {**os.environ, **SETTINGS, **settings, "DATABASE_URL": url, "GRPC_PORT": str(port)}
            roles = IN_PROCESS if broker.name == "local" else SCALED_OUT
            fleet = Fleet(folder, postgres, broker, roles, port, environment)
            try:
                await fleet.mend()
                yield fleet
            finally:
                await fleet.stop()
        finally:
            postgres.stop()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    @property
    def database_url(self) -> str:
        return self.postgres.url(SUPERUSER, DATABASE)

    async def platform_key(self) -> str:
        """What the api process printed when it made the operators' key."""
        log = self.folder / "api.log"
        async with asyncio.timeout(60):
            while True:
                self.assert_nobody_died()
                for word in log.read_text().split():
                    if word.startswith("cbk_"):
                        return word
                await asyncio.sleep(0.1)

    async def start(self, name: str, failpoint: str = "") -> None:
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "tests.faults.campaign.worker",
                self.roles[name],
                stdout=log,
                stderr=log,
                env={**self.environment, "FAILPOINT": failpoint},
            )

    async def mend(self) -> None:
        """Starts what does not run, and wakes what was stopped."""
        for name in self.roles:
            process = self.processes.get(name)
            if process is None or process.returncode is not None:
                await self.start(name)
            else:
                process.send_signal(signal.SIGCONT)

    async def stop(self) -> None:
        for process in self.processes.values():
            if process.returncode is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
            await process.wait()

    def assert_nobody_died(self) -> None:
        """Faults end processes; a process that ended by itself broke down."""
        dead = [name for name, process in self.processes.items() if process.returncode is not None]
        assert not dead, f"{', '.join(dead)} ended by itself; see its log in {self.folder}"

    async def kill(self, name: str) -> None:
        """As a crash would: no word of warning."""
        process = self.processes[name]
        if process.returncode is None:
            process.kill()
        await process.wait()

    async def kill_backends(self, chance: random.Random) -> None:
        """Ends some of the database's connections in whatever they are doing."""
        connection = await asyncpg.connect(self.database_url)
        try:
            pids = [
                row["pid"]
                for row in await connection.fetch(
                    "SELECT pid FROM pg_stat_activity WHERE usename IS NOT NULL AND pid <> pg_backend_pid() "
                    "AND backend_type = 'client backend'"
                )
            ]
            for pid in chance.sample(pids, min(3, len(pids))):
                await connection.execute("SELECT pg_terminate_backend($1)", pid)
        finally:
            await connection.close()
