"""What is too large, too slow, or no HTTP as we speak it, is refused in words; nothing is a fault of ours."""

import gzip
import random
from typing import Any

import orjson
import pytest

from tests.support.http import Http, head, http_to, spoken
from tests.support.platform import running_platform
from tests.support.postgres import TestDatabase

ADA = {"details": {"name": "Ada"}}


async def test_a_body_that_is_too_large_is_refused_whether_its_length_is_said_or_not(http: Http) -> None:
    large = {"details": {"name": "x" * (4 * 1024 * 1024)}}
    said = await http.post("/v1/customers", large, key="a")
    assert (said.status, said.refusal.reason) == (413, "BODY_TOO_LARGE")

    async def chunks() -> Any:
        for _ in range(80):
            yield b"x" * 65_536

    unsaid = await http.post(
        "/v1/customers", key="b", data=chunks(), headers={"Content-Type": "application/json"}
    )
    assert (unsaid.status, unsaid.refusal.reason) == (413, "BODY_TOO_LARGE")


async def test_a_stranger_is_refused_before_the_body_is_there(http: Http) -> None:
    said = await spoken(http, head(http, "Content-Length: 1000000").replace(b"X-API-Key", b"X-Nothing"))
    assert said.startswith(b"HTTP/1.1 401 ")


async def test_a_long_url_and_long_headers_are_refused(http: Http) -> None:
    url = await http.get("/v1/customers?external_id=" + "x" * 9_000)
    assert (url.status, url.refusal.reason) == (414, "URL_TOO_LONG")
    headers = await http.get("/v1/customers", headers={f"X-{n}": "y" * 6_000 for n in range(3)})
    assert (headers.status, headers.refusal.reason) == (431, "HEADERS_TOO_LARGE")
    beyond = await http.get("/v1/customers?external_id=" + "x" * 70_000)
    assert beyond.status == 400


async def test_anything_but_plain_json_is_refused(http: Http) -> None:
    for headers in (
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Encoding": "gzip"},
    ):
        body = gzip.compress(orjson.dumps(ADA)) if "Content-Encoding" in headers else orjson.dumps(ADA)
        answer = await http.post("/v1/customers", body, key="a", headers=headers)
        assert (answer.status, answer.refusal.reason) == (415, "MEDIA_TYPE_UNSUPPORTED"), headers


async def test_a_body_where_none_belongs_is_refused(http: Http) -> None:
    answer = await http.send("DELETE", "/v1/quotas/quo_1", {"quota_id": "quo_2"}, key="a")
    assert (answer.status, answer.refusal.reason) == (400, "REQUEST_INVALID")


async def test_a_body_that_drips_or_breaks_off_ends_in_words(
    database: TestDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        running_platform(database, http_body_timeout_seconds=0.2) as platform,
        http_to(platform) as http,
    ):
        slow = await spoken(http, head(http, "Content-Type: application/json", "Content-Length: 100"), b"{")
        assert slow.startswith(b"HTTP/1.1 408 ")
        assert b"BODY_TOO_SLOW" in slow
        chunked = head(http, "Content-Type: application/json", "Transfer-Encoding: chunked")
        assert (await spoken(http, chunked, b"zz\r\n{}\r\n")).split()[1] == b"400"
        # Here the call is waiting for the body already.
        waiting = chunked.replace(b"Connection:", b"Expect: 100-continue\r\nConnection:")
        broken = await spoken(http, waiting, b"zz\r\n{}\r\n", after=b"HTTP/1.1 100 Continue\r\n\r\n")
        assert broken.split()[1] == b"408"
        assert [record for record in caplog.records if record.exc_info] == []
        # The server goes on.
        assert (await http.post("/v1/customers", ADA, key="a")).status == 201


async def test_whoever_asks_whatever_it_is_no_fault_of_ours(http: Http) -> None:
    """The same hostile requests each time: wrong types, wrong texts, wrong headers."""
    chance = random.Random(7)
    texts = [
        "\x00",
        "\ud800",
        "é" * 300,
        "../../etc/passwd",
        "%00",
        "'; DROP TABLE customers; --",
        "𝕏" * 99,
        "-1",
    ]
    contents: list[Any] = [
        [], "x", 7, None, {"": ""}, {"details": []}, {"details": {"name": None}}, {"request_id": {}},
        {"items": [None]}, {"items": {"a": 1}}, {"page_size": 1e300},
        {"details": {"address": {"country": "\u0000"}}},
    ]  # fmt: skip
    paths = [
        "/v1/customers", "/v1/subscriptions", "/v1/invoices", "/v1/usage", "/v1/usage/batch", "/v1/events",
        "/v1/webhooks", "/v1/prices", "/v1/invoices/preview", "/v1/entitlements/check", "/v1/replays",
        "/v1/customers/register", "/v1/invoices/x/pdf", "/v1/events/trace/x", "/v1/tenants/x", "/",
    ]  # fmt: skip
    statuses = set()
    for _ in range(150):
        path, text = chance.choice(paths), chance.choice(texts)
        body = (
            orjson.dumps(chance.choice(contents))
            if chance.random() < 0.8
            else text.encode("utf-8", "replace")
        )
        headers = {"X-Tenant-ID": "ten_ü", "User-Agent": "ü\udc80", "X-Correlation-ID": "\x7f"}
        answer = await http.send(
            chance.choice(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]),
            path + chance.choice(["", "?page_size=x", "?%ff=%fe", "?a[b]=c", "?filter.subject.x=1", "?=&&="]),
            body if chance.random() < 0.7 else None,
            key=chance.choice(["", "k", "x" * 129]),
            headers={chance.choice(list(headers)): "x"} if chance.random() < 0.3 else {},
        )
        statuses.add(answer.status)
    assert statuses <= {200, 201, 400, 401, 403, 404, 405, 409, 415}


async def test_headers_of_other_bytes_than_ascii_are_no_fault_of_ours(http: Http) -> None:
    for line in (
        "User-Agent: \udcff\udcfe",
        "X-Correlation-ID: ü",
        "X-Tenant-ID: ten_ü",
        "Idempotency-Key: ü",
    ):
        raw = head(http, "Content-Type: application/json", "Content-Length: 2")[:-2]
        said = await spoken(http, raw + line.encode("utf-8", "surrogateescape") + b"\r\n\r\n{}")
        assert said.split()[1] in (b"400", b"403"), said


async def test_json_nested_beyond_bounds_is_refused(http: Http) -> None:
    data: Any = 1
    for _ in range(40):
        data = {"a": data}
    event = {"subject": "order.placed", "resource_id": "o-1", "data": data}
    answer = await http.post("/v1/events", event, key="a")
    assert (answer.status, answer.refusal.reason) == (400, "REQUEST_INVALID")
    deep = await http.post("/v1/events", b'{"data":' + b"[" * 2_000 + b"]" * 2_000 + b"}", key="b")
    assert (deep.status, deep.refusal.reason) == (400, "REQUEST_INVALID")
