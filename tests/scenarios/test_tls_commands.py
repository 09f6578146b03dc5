"""TLS and certificates of clients, as docs/access.md shows them: made, served with, called with."""

import asyncio
import os
import re
import signal
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from billing_sdk import Tls

from tests.scenarios.test_event_commands import access, command
from tests.support.certificate import self_signed
from tests.support.platform import Platform, second_process

DOCUMENT = Path(__file__).parents[2] / "docs" / "access.md"
LIST_TENANTS = "billing.tenant.v1.TenantService/ListTenants"
LIST_KEYS = """billing.access.v1.AccessService/ListApiKeys -d '{"tenant_id": "ten_platform"}'"""


async def shell(script: str, folder: Path, **environment: str) -> asyncio.subprocess.Process:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        f"set -euo pipefail\n{script}",
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def done(script: str, folder: Path, **environment: str) -> str:
    process = await shell(script, folder, **environment)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@asynccontextmanager
async def up(script: str, folder: Path) -> AsyncIterator[str]:
    """What the server said when it was up."""
    # The shell becomes the server, so that it is the server that is told to stop.
    process = await shell(
        script.replace("corebilling up", "exec corebilling up"), folder, GRPC_PORT="0", PORT="0"
    )
    assert process.stdout is not None
    said = ""
    try:
        while "Ctrl-C" not in said:
            line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            assert line, said
            said += line
        yield said
    finally:
        process.send_signal(signal.SIGTERM)
        await process.communicate()


async def test_the_guide_to_certificates_works_as_printed(server_folder: Path):
    making, serving, calling, python = re.findall(
        r"<!-- tls -->\n```(?:sh|python)\n(.*?)```", DOCUMENT.read_text(), re.DOTALL
    )
    await done(making, server_folder)
    # A start that fails keeps no key.
    with pytest.raises(AssertionError, match=r"client\.csr"):
        await done(serving.replace("ca.pem", "client.csr"), server_folder, GRPC_PORT="0", PORT="0")
    async with up(serving, server_folder) as said:
        target = found(r"gRPC  (\S+) over TLS, for clients with a certificate", said)
        assert (await done(calling, server_folder, COREBILLING_TARGET=target)).strip() == "{}"
        keys = calling.replace(LIST_TENANTS, LIST_KEYS)
        listed = await done(keys, server_folder, COREBILLING_TARGET=target)
        assert listed.count('"id"') == 1, "the start that failed left none"
        printed = found(r"(COREBILLING_API_KEY=.*)", said)
        assert "--tls-ca-file ca.pem --tls-cert-file client.pem --tls-key-file client.key" in printed
        await done(printed, server_folder)
        assert "-plaintext" not in said
        assert "-cacert ca.pem -cert client.pem -key client.key" in said

        key = (server_folder / "corebilling-data" / "platform.key").read_text()
        body = python.replace('"localhost:50051"', "target")
        program = "import asyncio\nfrom billing_sdk import Billing, Tls\nasync def main(target, api_key):\n"
        program += textwrap.indent(body, "    ") + f"asyncio.run(main({target!r}, {key!r}))\n"
        (server_folder / "program.py").write_text(program)
        assert await done("python program.py", server_folder) == "ListTenantsResponse()\n"

        assert "HTTP_API=true opens it all the same" in said
        http = found(r"HTTP  (http://[^/]+)/health", said)
        async with aiohttp.ClientSession() as session:
            for path, status in (("/health", 200), ("/docs", 404), ("/openapi.yaml", 404)):
                async with session.get(http + path) as answer:
                    assert (path, answer.status, answer.content_type) == (path, status, "application/json")


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


async def test_commands_say_what_a_server_with_tls_wants(platform: Platform, tmp_path: Path):
    cert, key = map(str, self_signed(tmp_path))
    files = {"grpc_tls_cert_file": cert, "grpc_tls_key_file": key, "grpc_tls_client_ca_file": cert}
    async with second_process(platform, **files) as encrypted:
        environment = access(encrypted)
        trusting = {"COREBILLING_TLS_CA_FILE": cert}
        known = {"COREBILLING_TLS_CERT_FILE": cert, "COREBILLING_TLS_KEY_FILE": key}
        code, _, err = await command("call", **environment)
        assert (code, "One that speaks TLS wants --tls-ca-file" in err) == (1, True), err
        code, _, err = await command("ledger", "verify", **environment, **trusting)
        assert (code, "it may ask for yours: --tls-cert-file" in err) == (1, True), err
        for arguments in (("call",), ("ledger", "verify"), ("auth", "explain", LIST_TENANTS)):
            _, out, err = await command(*arguments, **environment, **trusting, **known)
            assert (bool(out), err) == (True, "")
    for wrong, names in (
        ({"COREBILLING_TLS_CERT_FILE": cert}, "--tls-key-file belong together"),
        ({"COREBILLING_TLS_CA_FILE": "absent.pem"}, "'absent.pem' does not exist"),
        ({"COREBILLING_TLS_CA_FILE": __file__}, "must hold certificates in PEM"),
    ):
        code, _, err = await command("call", **wrong)
        assert (code, names in err, "Traceback" in err) == (2, True, False), err


def test_the_client_takes_names_of_files_too(tmp_path: Path):
    cert, key = self_signed(tmp_path)
    assert Tls.from_files(str(cert), certificate=str(cert), key=str(key)) == Tls.from_files(cert, cert, key)
