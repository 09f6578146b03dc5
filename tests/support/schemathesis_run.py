"""schemathesis against a real server: it makes requests of the OpenAPI document and judges the answers."""

import asyncio
import json
import os
import re
import sys
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from tests.support.child import ends_with
from tests.support.platform import Platform

# Not what `Allow` says: /v1/customers/register takes GET too, of the customer with the id `register`.
_CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,ignored_auth"
)
_HOOKS = Path(__file__).with_name("schemathesis_hooks.py")
_GENERATED = re.compile(r"(\d+) generated, (\d+) passed")


async def fuzz(
    platform: Platform, folder: Path, known: Mapping[str, str], key: str, *options: str
) -> tuple[int, int]:
    """How many requests were made and how many were answered as documented. Fails the test if they differ.

    Args:
        known: Values of parameters, by their names.
        key: The API key that calls carry.
    """
    config = folder / "schemathesis.toml"
    parameters = "".join(f"{json.dumps(name)} = {json.dumps(value)}\n" for name, value in known.items())
    config.write_text(f"[parameters]\n{parameters}", encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *ends_with(
            os.getpid(), str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config)
        ),
        "run",
        str(files("openapi") / "openapi.yaml"),
        *("--url", platform.app.http_address, "--header", f"X-API-Key: {key}", "--checks", _CHECKS),
        *("--no-color", "--no-shrink", "--suppress-health-check", "all", "--request-timeout", "30"),
        *("--generation-database", "none", "--warnings", "off", *options),
        cwd=folder,
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(_HOOKS)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    text = output.decode(errors="replace")
    assert process.returncode == 0, text[-20_000:]
    found = _GENERATED.search(text)
    assert found is not None, text[-5_000:]
    return int(found[1]), int(found[2])
