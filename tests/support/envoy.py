"""A real Envoy on loopback, in front of a platform."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from envoy_config import Places, configuration, descriptors

from tests.support.child import ends_with
from tests.support.platform import Platform
from tests.support.ports import free_port

ENVOY = Path(sys.executable).with_name("envoy")

_START_TIMEOUT_S = 30.0


@asynccontextmanager
async def envoy(platform: Platform, folder: Path) -> AsyncIterator[str]:
    """Its address, once it answers for the platform behind it."""
    host, _, grpc_port = platform.app.grpc_address.rpartition(":")
    http_port = platform.app.http_address.rpartition(":")[2]
    places = Places(
        "127.0.0.1", free_port(), str(folder / "corebilling.binpb"), host, int(grpc_port), int(http_port)
    )
    (folder / "corebilling.binpb").write_bytes(descriptors())
    (folder / "envoy.yaml").write_text(configuration(places), encoding="utf-8")
    options = ["--config-path", str(folder / "envoy.yaml"), "--concurrency", "1", "--use-dynamic-base-id"]
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *ends_with(os.getpid(), str(ENVOY), *options, "--log-level", "warning"), stderr=log
        )
        try:
            address = f"http://127.0.0.1:{places.listen_port}"
            await _ready(process, address, folder / "log")
            yield address
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _ready(process: asyncio.subprocess.Process, address: str, log: Path) -> None:
    async with asyncio.timeout(_START_TIMEOUT_S), aiohttp.ClientSession() as session:
        while True:
            if process.returncode is not None:
                raise RuntimeError(f"Envoy did not start: {log.read_text(errors='replace')}")
            try:
                async with session.get(f"{address}/health") as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(0.05)
