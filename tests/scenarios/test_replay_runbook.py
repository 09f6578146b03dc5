"""The runbook of replays, run as it is printed, on an incident such as it describes; and its command."""

import asyncio
import os
import pty
import re
import signal
import sys
from pathlib import Path

import pytest

from tests.rpc.test_replay import break_handler, deliveries, shipped
from tests.rpc.test_watch_events import publish
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase
from tests.support.replay import PATIENCE_S, working

COMMAND = ("corebilling", "replay", "--reason", "a test")
RUNBOOK = Path(__file__).parents[2] / "docs" / "runbooks" / "replay.md"


def blocks(*names: str) -> str:
    found = re.findall(r"<!-- (\w+) -->\n```sh\n(.*?)```", RUNBOOK.read_text(), re.DOTALL)
    assert [name for name, _ in found] == ["incident", "look", "look", "replay", "replay", "verify"]
    return "set -euo pipefail\n" + "\n".join(text for name, text in found if name in names)


async def start(
    platform: Platform, *arguments: str, stdout: int = asyncio.subprocess.PIPE, **environment: str
) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *arguments,
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "COREBILLING_TARGET": platform.app.grpc_address,
            "COREBILLING_HTTP": platform.app.http_address,
            "COREBILLING_API_KEY": platform.tenant_key,
            "COLUMNS": "200",
            **environment,
        },
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
    )


async def output(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    async with asyncio.timeout(4 * PATIENCE_S):
        out, err = await process.communicate()
    return process.returncode, out.decode() + err.decode()


async def printed(platform: Platform, *names: str) -> str:
    code, text = await output(await start(platform, "bash", "-c", blocks(*names)))
    assert code == 0, text
    return text


async def command(platform: Platform, *arguments: str) -> tuple[int | None, str]:
    return await output(await start(platform, *COMMAND, *arguments))


async def incident(platform: Platform) -> list[str]:
    await break_handler(platform)
    ids = await shipped(platform, 3)
    for _ in range(3):
        await platform.pass_time(minutes=6)
    return ids


async def test_the_runbook_works_as_printed(database: TestDatabase):
    async with running_platform(database, router_max_attempts=2) as platform:
        quiet = await printed(platform, "incident", "look")
        assert "No dead letters" in quiet
        assert "rror:" not in quiet
        ids = await incident(platform)
        seen = await printed(platform, "incident", "look")
        assert "corebilling_event_handler_errors_total" in seen
        assert all(event_id in seen for event_id in ids)
        assert "dead letter" in seen
        await platform.rows("DROP TRIGGER fail ON webhook_deliveries")
        async with working(platform, seconds=0.1):
            replayed = await printed(platform, "incident", "replay")
        assert "nothing was changed" in replayed
        assert re.search(r"Replay rep_\w{26};", replayed)
        assert re.search(
            r"│ events │ runs done │ runs failed │|┃ events ┃ runs done ┃ runs failed ┃", replayed
        )
        assert re.search(r"│ 3 +│ 3 +│ 0 ", replayed)
        assert await deliveries(platform) == sorted(ids)
        verified = await printed(platform, "incident", "verify")
        assert "No dead letters" in verified
        assert "ReplayFinished" in verified


async def test_the_command_says_what_fails_again_and_where_to_look(database: TestDatabase):
    async with running_platform(database, router_max_attempts=2) as platform:
        (first, *_) = await incident(platform)
        async with working(platform, minutes=1):
            code, text = await command(platform, "--id", first)
        assert code == 1
        assert "corebilling dead-letters list --stage handler" in text


async def test_the_command_refuses_what_the_server_refuses(platform: Platform):
    code, text = await command(platform)
    assert code == 1
    assert "REPLAY_FILTER_EMPTY" in text
    code, text = await command(platform, "--since", "yesterday")
    assert (code, "2026-03-01T09:30:00" in text) == (2, True)


@pytest.mark.parametrize("options", [("--dry-run",), ()])
async def test_a_replay_of_nothing_is_no_success(platform: Platform, options: tuple[str, ...]):
    async with working(platform, seconds=0.1):
        code, text = await command(platform, "--id", "evt_nope", *options)
    assert (code, "Nothing matches" in text) == (1, True)


async def test_what_one_wants_to_paste_is_whole_on_a_narrow_terminal(platform: Platform):
    subject = f"order.{'x' * 100}"
    await publish(platform, "o-1", subject)
    await platform.drain()
    terminal, inside = pty.openpty()
    process = await start(
        platform, *COMMAND, "--subject", "order.*", "--dry-run", stdout=inside, COLUMNS="80"
    )
    code = await process.wait()
    printed = os.read(terminal, 100_000).decode()
    os.close(inside)
    os.close(terminal)
    assert (code, subject in printed, "webhook.on_any_event " in printed) == (0, True, True)


async def test_an_interrupted_command_says_how_to_go_on(platform: Platform):
    await shipped(platform, 3)
    wanted = ("--subject", "order.*", "--rate", "1", "--request-id", "r-1")
    process = await start(platform, *COMMAND, *wanted)
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if await platform.rows("SELECT FROM replays WHERE enqueued > 0"):
                break
            await asyncio.sleep(0.05)
    process.send_signal(signal.SIGINT)
    code, text = await output(process)
    assert (code, "--request-id r-1" in text) == (130, True)
    async with working(platform, seconds=1):
        code, text = await command(platform, *wanted)
    assert code == 0, text
    assert len(await platform.rows("SELECT FROM replays WHERE state = 'finished' AND done = 3")) == 1
