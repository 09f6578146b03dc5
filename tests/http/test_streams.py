"""Streams, files, and calls that end before their answer."""

import asyncio
from typing import Any

import aiohttp
import asyncpg
import orjson

from tests.support.app import Refusal
from tests.support.http import Http, http_to, refusal_in
from tests.support.platform import running_platform
from tests.support.postgres import TestDatabase

ADA = {"details": {"name": "Ada"}}
PATIENCE_S = 20


def watch(http: Http, path: str = "/v1/events/watch", **headers: str) -> Any:
    return http.session.get(
        http.platform.app.http_address + path, headers={"X-API-Key": http.platform.tenant_key, **headers}
    )


async def next_line(response: aiohttp.ClientResponse) -> bytes:
    async with asyncio.timeout(PATIENCE_S):
        return await response.content.readline()


async def next_event(response: aiohttp.ClientResponse) -> Any:
    while "event" not in (element := orjson.loads(await next_line(response))):
        pass
    return element["event"]


async def test_events_are_watched_line_by_line(http: Http) -> None:
    async with watch(http, "/v1/events/watch?subjects=customer.*") as response:
        assert (response.status, response.headers["Content-Type"]) == (200, "application/x-ndjson")
        assert "resume_token" in orjson.loads(await next_line(response))
        created = await http.post("/v1/customers", ADA, key="a")
        event = await next_event(response)
    assert event["subject"] == "customer.created"
    assert event["payload"]["customer_id"] == created.json["customer"]["id"]


async def test_a_watch_goes_on_after_the_last_token_that_came(http: Http) -> None:
    async with watch(http) as response:
        token = orjson.loads(await next_line(response))["resume_token"]
    await http.post("/v1/customers", ADA, key="missed")
    async with watch(http, f"/v1/events/watch?resume_token={token}") as response:
        assert (await next_event(response))["subject"] == "customer.created"


async def test_events_are_watched_as_server_sent_events(http: Http) -> None:
    async with watch(http, Accept="text/event-stream") as response:
        assert response.headers["Content-Type"] == "text/event-stream"
        line = await next_line(response)
        assert line.startswith(b"data: {")
        assert "resume_token" in orjson.loads(line.removeprefix(b"data: "))
        assert await next_line(response) == b"\n"


async def test_a_stream_that_is_refused_at_once_has_a_status(http: Http) -> None:
    answer = await http.get("/v1/events/watch?resume_token=nonsense")
    assert (answer.status, answer.refusal.reason) == (400, "RESUME_TOKEN_INVALID")


async def test_an_error_in_the_middle_of_a_stream_is_its_last_element(http: Http) -> None:
    made = await http.post("/v1/api-keys", {"name": "short", "role": "ROLE_VIEWER"}, key="a")
    key = made.json["secret"]
    async with watch(http, **{"X-API-Key": key}) as response:
        await next_line(response)
        await http.post(f"/v1/api-keys/{made.json['api_key']['id']}/revoke", key="b")
        # What was verified is believed for some seconds.
        http.platform.clock.advance(seconds=60)
        await http.post("/v1/customers", ADA, key="c")
        last = (await asyncio.wait_for(response.content.read(), PATIENCE_S)).splitlines()[-1]
    assert refused(last).reason == "CREDENTIAL_INVALID"


def refused(line: bytes) -> Refusal:
    element = orjson.loads(line)
    assert list(element) == ["error"]
    return refusal_in(element["error"])


async def test_a_watcher_that_leaves_ends_its_call(http: Http) -> None:
    async with watch(http) as response:
        await next_line(response)
        assert http.platform.app.tail.watches(http.platform.tenant_id) == 1
        response.close()
    async with asyncio.timeout(PATIENCE_S):
        while http.platform.app.tail.watches(http.platform.tenant_id):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def test_a_client_that_hangs_up_takes_its_call_back(http: Http) -> None:
    holder = await asyncpg.connect(http.platform.database.admin_url)
    await holder.execute("BEGIN; LOCK TABLE customers")
    call = asyncio.create_task(http.get("/v1/customers"))
    async with asyncio.timeout(PATIENCE_S):
        while not await http.platform.rows(WAITING):
            pass
    call.cancel()
    # Sooner than the wait for the lock would end by itself.
    async with asyncio.timeout(5):
        while await http.platform.rows(WAITING):
            pass
    await holder.close()


async def test_streams_end_well_when_the_server_stops(database: TestDatabase) -> None:
    async with aiohttp.ClientSession() as session:
        async with running_platform(database) as platform:
            http = Http(platform, session)
            response = await watch(http)
            await next_line(response)
        rest = await asyncio.wait_for(response.content.read(), PATIENCE_S)
    assert all("error" not in orjson.loads(line) for line in rest.splitlines())


async def test_a_replay_streams_its_progress(http: Http) -> None:
    await http.post("/v1/customers", ADA, key="a")
    await http.platform.drain()
    replay = {"filter": {"subject": "customer.*"}, "reason": "test", "dry_run": True}
    answer = await http.post("/v1/replays", replay, key="b")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/x-ndjson")
    assert "replay" in answer.lines[-1]


async def test_an_invoice_is_downloaded_as_a_file(http: Http) -> None:
    customer = (await http.post("/v1/customers", ADA, key="a")).json["customer"]["id"]
    item = {"description": "Setup", "quantity": "1", "unit_amount": "10.00"}
    made = await http.post(
        "/v1/invoices", {"customer_id": customer, "items": [item], "finalize": True}, key="b"
    )
    assert made.status == 201, made.body
    invoice = made.json["invoice"]
    paths = ("/v1/invoices/{}/download", "/api/v1/billing/invoices/{}/pdf", "/api/v1/invoices/{}/download")
    for path in paths:
        pdf = await http.get(path.format(invoice["id"]))
        assert (pdf.status, pdf.headers["Content-Type"], pdf.body[:5]) == (200, "application/pdf", b"%PDF-")
        assert pdf.headers["Content-Disposition"] == f'attachment; filename="{invoice["number"]}.pdf"'
        assert (await http.get(path.format("inv_none"))).status == 404
    html = await http.get(f"/v1/invoices/{invoice['id']}/download?format=INVOICE_FORMAT_HTML")
    assert html.headers["Content-Type"] == "text/html; charset=utf-8"
    assert b"<html" in html.body


async def test_pages_of_other_origins_may_not_call(http: Http) -> None:
    origin = {"Origin": "https://app.example.com"}
    answer = await http.get("/v1/customers", headers=origin)
    assert answer.status == 200
    assert "Access-Control-Allow-Origin" not in answer.headers
    asked = await http.send(
        "OPTIONS", "/v1/customers", headers={**origin, "Access-Control-Request-Method": "POST"}
    )
    assert (asked.status, asked.refusal.reason) == (405, "VERB_NOT_ALLOWED")


async def test_pages_of_origins_that_are_named_may_call(database: TestDatabase) -> None:
    origins = "https://app.example.com,http://localhost:3000"
    async with running_platform(database, http_cors_origins=origins) as platform, http_to(platform) as http:
        origin = {"Origin": "https://app.example.com"}
        asked = await http.send(
            "OPTIONS",
            "/v1/customers",
            headers={**origin, "X-API-Key": "", "Access-Control-Request-Method": "POST"},
        )
        assert asked.status == 204
        assert asked.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
        assert asked.headers["Access-Control-Allow-Methods"] == "GET, POST"
        assert "x-idempotency-key" in asked.headers["Access-Control-Allow-Headers"]
        for path in ("/v1/customers", "/v1/customers/none", "/nothing"):
            answer = await http.get(path, headers=origin)
            assert answer.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
            assert answer.headers["Vary"] == "Origin"
            other = await http.get(path, headers={"Origin": "https://evil.example.com"})
            assert "Access-Control-Allow-Origin" not in other.headers
