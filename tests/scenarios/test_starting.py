"""Starts that fail, and what they leave: one sentence, and no key that nobody knows."""

import asyncio
import json
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.scenarios.test_event_commands import begin, command
from tests.support.certificate import self_signed
from tests.support.postgres import TestDatabase

LIST_TENANTS = "billing.tenant.v1.TenantService/ListTenants"
MASTER_KEY = {"COREBILLING_MASTER_KEY": b64encode(bytes(32)).decode()}


@pytest.fixture
def taken_port() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield str(listening.getsockname()[1])


@pytest.fixture
async def environment(database: TestDatabase) -> AsyncIterator[dict[str, str]]:
    """Of servers on free ports, with a login that may act as both roles."""
    login = f"login_{database.name}"
    await database.admin(f"CREATE ROLE {login} LOGIN NOINHERIT")
    await database.admin(f"GRANT corebilling_app, corebilling_worker TO {login}")
    yield {"DATABASE_URL": database.url(login), "GRPC_PORT": "0", "PORT": "0", **MASTER_KEY}
    await database.admin(f"DROP ROLE {login}")


@asynccontextmanager
async def started(last_words: str, *arguments: str, **environment: str) -> AsyncIterator[str]:
    """What a server says until it has said these."""
    process = await begin(*arguments, **environment)
    assert process.stdout is not None
    said = ""
    try:
        while last_words not in said:
            line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
            assert line, said
            said += line
        yield said
    finally:
        process.terminate()
        await process.communicate()


def after(word: str, text: str) -> str:
    """The word behind this one."""
    return text.partition(word)[2].split()[0].rstrip(",")


async def test_starts_that_fail_issue_no_key_and_say_why_in_a_sentence(
    database: TestDatabase, environment: dict[str, str], taken_port: str, tmp_path: Path
):
    cert, key = self_signed(tmp_path)
    absent, no_pem, issuers = tmp_path / "absent.pem", tmp_path / "no.pem", tmp_path / "issuers.json"
    no_pem.write_text("nothing")
    issuers.write_text(json.dumps({"issuers": [{"issuer": "https://pool", "algorithm": "RS257", "aud": 1}]}))
    in_use = (
        f"cannot listen on 127.0.0.1:{taken_port}: the address is in use: stop what listens there, or set"
    )
    pair = {"GRPC_TLS_CERT_FILE": str(cert), "GRPC_TLS_KEY_FILE": str(key)}
    both = f"GRPC_TLS_CERT_FILE ({no_pem}) and GRPC_TLS_KEY_FILE ({key})"
    wrong: list[tuple[dict[str, str], str]] = [
        ({"GRPC_PORT": taken_port}, f"{in_use} GRPC_PORT"),
        ({"PORT": taken_port}, f"{in_use} PORT"),
        (
            {**pair, "GRPC_TLS_KEY_FILE": str(absent)},
            f"GRPC_TLS_KEY_FILE ({absent}) cannot be read: No such file or directory",
        ),
        (
            {**pair, "GRPC_TLS_CERT_FILE": str(no_pem)},
            f"{both} are no certificate and key in PEM, without a password",
        ),
        (
            {**pair, "GRPC_TLS_CLIENT_CA_FILE": str(no_pem)},
            f"GRPC_TLS_CLIENT_CA_FILE ({no_pem}) must hold certificates in PEM",
        ),
        (
            {"EVENT_BUS_PROVIDER": "nats", "NATS_TLS_CA_FILE": str(absent)},
            f"NATS_TLS_CA_FILE ({absent}) cannot be read: No such file or directory",
        ),
        (
            {"EVENT_BUS_PROVIDER": "kafka", "KAFKA_SECURITY": "SSL", "KAFKA_SSL_CA_FILE": str(no_pem)},
            f"KAFKA_SSL_CA_FILE ({no_pem}) must hold certificates in PEM",
        ),
        ({"JWT_SECRET": "short"}, "JWT_SECRET must have at least 32 bytes"),
        ({"JWT_ISSUERS_FILE": str(issuers)}, f"{issuers}, https://pool: audience is missing"),
    ]
    for settings, sentence in wrong:
        code, out, err = await command("serve", **(environment | settings))
        assert (code, "operators' key" in out) == (1, False)
        assert err.splitlines()[0] == sentence
        assert "Traceback" not in err
    assert await database.admin("SELECT id FROM api_keys") == []

    async with started("operators' key", "serve", **environment) as said:
        target = after("gRPC ", said)
        first = said.split()[-1]
        code, out, err = await command("auth", "new-platform-key", **environment)
        assert code == 0, err
        second = out.strip()
        assert second != first
        for platform_key in (first, second):
            code, _, err = await command(
                "call", LIST_TENANTS, COREBILLING_TARGET=target, COREBILLING_API_KEY=platform_key
            )
            assert code == 0, err
    code, _, err = await command("auth", "new-platform-key")
    assert (code, "Set DATABASE_URL" in err) == (1, True)
