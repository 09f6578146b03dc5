"""The `corebilling` command against a Postgres of one's own."""

import asyncio
import os
import re
import signal
import sys
from base64 import b64encode
from importlib.metadata import version

from corebilling.db.migrate import MIGRATIONS
from tests.support.postgres import TestDatabase


async def corebilling(database_url: str, *arguments: str) -> tuple[int, str]:
    process = await start(database_url, *arguments)
    out, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode()


async def start(database_url: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "corebilling",
        *arguments,
        env={
            **os.environ,
            "DATABASE_URL": database_url,
            "COREBILLING_MASTER_KEY": b64encode(bytes(32)).decode(),
            "GRPC_PORT": "0",
            "PORT": "0",
            "COLUMNS": "200",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def test_migrations_go_up_and_down_and_tell_where_they_stand(empty_database: TestDatabase):
    url = empty_database.admin_url
    code, out = await corebilling(url, "migrate", "status")
    assert code == 0
    assert out.count("pending") >= 11
    assert "applied 0001_foundation.sql" in (await corebilling(url, "migrate", "up"))[1]
    assert "Nothing to do" in (await corebilling(url, "migrate", "up"))[1]
    newest = max(path.name for path in MIGRATIONS.iterdir())
    assert f"undone {newest}" in (await corebilling(url, "migrate", "down"))[1]
    assert (await corebilling(url, "migrate", "status"))[1].count("pending") == 1


async def test_roles_are_served_by_a_login_that_owns_nothing(database: TestDatabase):
    login = f"login_{database.name}"
    await database.admin(f"CREATE ROLE {login} LOGIN NOINHERIT")
    await database.admin(f"GRANT corebilling_app, corebilling_worker TO {login}")
    try:
        process = await start(database.url(login), "serve", "--roles", "api,dispatcher,router")
        assert process.stdout is not None
        printed = ""
        while "operators' key" not in printed:
            line = (await process.stdout.readline()).decode()
            assert line, printed
            printed += line
        grpc_address = re.search(r"gRPC (\S+?),", printed)
        assert grpc_address is not None
        key = printed.strip().rpartition(" ")[2]
        code, out = await corebilling(
            "",
            "call",
            "billing.tenant.v1.TenantService/ListTenants",
            "--target",
            grpc_address[1],
            "--api-key",
            key,
        )
        assert (code, out.strip()) == (0, "{}")
        code, out = await corebilling(
            "",
            "call",
            "billing.tenant.v1.TenantService/GetTenant",
            "--target",
            grpc_address[1],
            "-d",
            '{"id": 1}',
        )
        assert (code, "tenant_id" in out, "tenantId" in out) == (1, True, False)
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
    finally:
        await database.admin(f"DROP ROLE {login}")


async def test_a_login_that_could_read_everything_is_refused(database: TestDatabase):
    code, out = await corebilling(database.admin_url, "serve")
    assert code == 1
    assert "row-level security" in out


async def test_mistakes_are_named(database: TestDatabase):
    code, out = await corebilling(database.admin_url, "serve", "--roles", "api,cook")
    assert code == 1
    assert "There is no role cook" in out
    code, out = await corebilling("", "serve")
    assert code == 1
    assert "Set DATABASE_URL" in out
    for url in (
        "postgresql://nobody:secret@127.0.0.1:1/nothing",
        database.admin_url.replace(database.name, "nothing"),
    ):
        code, out = await corebilling(url, "migrate", "status")
        assert code == 1
        assert "DATABASE_URL" in out
        assert "Traceback" not in out
        assert "secret" not in out


async def test_the_command_tells_its_version():
    assert await corebilling("", "--version") == (0, f"corebilling {version('corebilling')}\n")


async def test_an_event_written_by_one_process_is_handled_by_another(database: TestDatabase):
    """api alone writes; a worker process without api picks it up."""
    login = f"login_{database.name}"
    await database.admin(f"CREATE ROLE {login} LOGIN NOINHERIT")
    await database.admin(f"GRANT corebilling_app, corebilling_worker TO {login}")
    api = await start(database.url(login), "serve", "--roles", "api")
    worker = await start(database.url(login), "serve", "--roles", "dispatcher,router,webhook,scheduler")
    try:
        assert api.stdout is not None
        printed = ""
        while "operators' key" not in printed:
            printed += (await api.stdout.readline()).decode()
        grpc_address = re.search(r"gRPC (\S+?),", printed)
        assert grpc_address is not None
        key = printed.strip().rpartition(" ")[2]
        created = '{"request_id": "r", "name": "A", "slug": "a", "mode": "TENANT_MODE_LIVE"}'
        options = ("--target", grpc_address[1], "--api-key", key)
        code, out = await corebilling(
            "", "call", "billing.tenant.v1.TenantService/CreateTenant", "-d", created, *options
        )
        assert code == 0, out
        for _ in range(600):
            states = await database.admin(
                "SELECT state FROM billing_event_states WHERE subject = 'tenant.created'"
            )
            if [row["state"] for row in states] == ["dispatched"]:
                break
            await asyncio.sleep(0.05)
        else:
            raise AssertionError("the worker did not dispatch it in 30 s")
    finally:
        for process in (api, worker):
            process.send_signal(signal.SIGTERM)
            await process.wait()
        await database.admin(f"DROP ROLE {login}")
