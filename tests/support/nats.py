"""A real NATS server with JetStream on loopback."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import nats as client
import pytest

from corebilling.bus.delivery import Delivery
from corebilling.bus.nats_connection import NatsAddress
from corebilling.bus.wire import encode
from tests.support.child import ends_with
from tests.support.ports import free_port

_START_TIMEOUT_S = 20.0


class NatsServer:
    """Keeps its port from start to start, and what is in its folder but for `wipe`."""

    name = "nats"

    def __init__(self, *options: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="cb-nats-"))
        self._options = options
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Mapping[str, Any]:
        return {"event_bus_provider": "nats", "nats_url": f"nats://127.0.0.1:{self.port}"}

    def start(self) -> None:
        self._process = subprocess.Popen(
            ends_with(
                os.getpid(),
                str(Path(sys.executable).with_name("nats-server")),
                "--addr=127.0.0.1",
                f"--port={self.port}",
                "--jetstream",
                f"--store_dir={self._folder / 'data'}",
                *self._options,
            ),
            stdout=subprocess.DEVNULL,
            stderr=(self._folder / "log").open("ab"),
        )
        self._await_ready()

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def wipe(self) -> None:
        self.kill()
        shutil.rmtree(self._folder / "data")
        self.start()

    def send_signal(self, what: signal.Signals) -> None:
        """Returns when it has stopped, if that is what the signal does."""
        assert self._process is not None
        self._process.send_signal(what)
        if what is signal.SIGSTOP:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    if connection.recv(4) == b"INFO":
                        return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"nats-server does not answer; see {self._folder / 'log'}")


async def publish_unrecognized(address: NatsAddress, deliveries: Sequence[Delivery]) -> None:
    """Without the ids by which the server would recognize a repetition."""
    connection = await client.connect(address.url)
    try:
        jetstream = connection.jetstream()
        for delivery in deliveries:
            await jetstream.publish(address.subject(delivery.shard), encode(delivery, address.installation))
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def nats() -> Iterator[NatsServer]:
    server = NatsServer()
    server.start()
    yield server
    server.close()
