"""`corebilling up` as a child process, for examples and fault tests."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from corebilling.client import Client

_START_TIMEOUT_S = 60.0
_POLL_S = 0.05


class NotStarted(Exception):
    """The platform ended before it answered; the message is what it said."""


@dataclass
class Platform:
    """A running platform: its addresses and its operators' key."""

    process: asyncio.subprocess.Process
    grpc: str
    http: str
    platform_key: str

    @staticmethod
    @asynccontextmanager
    async def start(data_dir: Path, settings: Mapping[str, str] | None = None) -> "AsyncIterator[Platform]":
        """Starts it on free ports and waits until it answers; stops it cleanly at the end."""
        platform = await Platform.spawn(data_dir, settings)
        try:
            yield platform
        finally:
            await platform.stop()

    @staticmethod
    async def spawn(
        data_dir: Path, settings: Mapping[str, str] | None = None, *, grpc_port: int = 0
    ) -> "Platform":
        """The same without the end: the caller stops or kills it."""
        data_dir.mkdir(parents=True, exist_ok=True)
        endpoints = data_dir / "endpoints.json"
        endpoints.unlink(missing_ok=True)
        with (data_dir / "platform.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "corebilling",
                "up",
                "--data-dir",
                str(data_dir),
                f"--grpc-port={grpc_port}",
                "--http-port=0",
                stdout=log,
                stderr=log,
                env={**os.environ, **(settings or {})},
            )
        async with asyncio.timeout(_START_TIMEOUT_S):
            while not endpoints.exists():
                if process.returncode is not None:
                    said = Path(log.name).read_text().strip()
                    raise NotStarted(f"The platform did not start: {said}")
                await asyncio.sleep(_POLL_S)
        where = json.loads(endpoints.read_text())
        return Platform(
            process, where["grpc"], where["http"], (data_dir / "platform.key").read_text().strip()
        )

    def client(self) -> Client:
        """A client with the operators' key."""
        return Client(self.grpc, self.platform_key)

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGINT)
        await self.process.wait()

    async def kill(self) -> None:
        """As a crash would: no word of warning."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
