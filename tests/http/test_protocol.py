"""HTTP itself: what is none, verbs that a page does not take, and what says how long a body is."""

import asyncio
import socket

import aiohttp
import orjson
import pytest
import uvloop
from aiohttp import web

from corebilling.http import server as server_module
from corebilling.http.server import HttpServer
from tests.support.http import Http, head, refusal_in, spoken

ADA = b'{"details": {"name": "Ada"}}'
JSON = "Content-Type: application/json"
PAGES = ("/health", "/healthz", "/ready", "/metrics", "/docs", "/openapi.yaml", "/invoices/link")


def refused(said: bytes) -> tuple[int, str]:
    """The status and the reason; the server says no version of anything."""
    head_said, _, body = said.partition(b"\r\n\r\n")
    assert b"aiohttp" not in head_said
    assert b"\r\nContent-Type: application/json" in head_said
    return int(head_said.split()[1]), refusal_in(orjson.loads(body)).reason


@pytest.mark.parametrize(
    "said",
    [
        b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: ten\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nContent-Length: -1\r\n\r\n",
        b"GET /" + b"x" * 70_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_refused_like_anything_else(http: Http, said: bytes) -> None:
    assert refused(await spoken(http, said)) == (400, "REQUEST_INVALID")


async def test_a_body_has_one_length(http: Http) -> None:
    """Two that read it differently would each see other requests in it."""
    for lines in (
        ("Content-Length: 28", "Transfer-Encoding: chunked"),
        ("Content-Length: 28", "Content-Length: 5"),
        ("Content-Length: 28, 5",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: gzip",),
    ):
        said = await spoken(http, head(http, JSON, *lines) + ADA)
        assert refused(said)[0] == 400, lines
        assert said.count(b"HTTP/1.1 ") + said.count(b"HTTP/1.0 ") == 1
    chunked = head(http, JSON, "Transfer-Encoding: chunked", "Idempotency-Key: a")
    said = await spoken(http, chunked + b"1c\r\n" + ADA + b"\r\n0\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 201 ")


async def test_http_1_0_has_no_body_in_chunks(http: Http) -> None:
    """Two could read differently where it ends; so nothing more is read there."""
    chunked = (b"Connection: close", b"Connection: keep-alive\r\nTransfer-Encoding: chunked")
    create = head(http, JSON, "Idempotency-Key: a").replace(*chunked).replace(b"HTTP/1.1", b"HTTP/1.0")
    said = await spoken(http, create + b"1c\r\n" + ADA + b"\r\n0\r\n\r\n" + create)
    assert refused(said) == (400, "REQUEST_INVALID")
    assert said.count(b"HTTP/1.0 400 ") == 1
    page = b"GET /health HTTP/1.0\r\n" + chunked[1] + b"\r\n\r\n0\r\n\r\n"
    assert (await spoken(http, page + page)).count(b"HTTP/1.0 200 ") == 1


async def test_who_asks_before_sending_is_told_when_the_body_is_read(http: Http) -> None:
    asking = head(http, JSON, "Content-Length: 28", "Expect: 100-continue", "Idempotency-Key: a")
    said = await spoken(http, asking, ADA, after=b"HTTP/1.1 100 Continue\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 201 ")
    # Nothing else can be expected, and HTTP/1.0 knows none of it.
    other = head(http, JSON, "Content-Length: 28", "Expect: tea", "Idempotency-Key: b")
    assert (await spoken(http, other + ADA)).startswith(b"HTTP/1.1 201 ")
    old = head(http, JSON, "Content-Length: 28", "Expect: 100-continue", "Idempotency-Key: c")
    said = await spoken(http, old.replace(b"HTTP/1.1", b"HTTP/1.0") + ADA)
    assert said.startswith(b"HTTP/1.0 201 ")


async def test_pages_say_which_verbs_they_take(http: Http) -> None:
    for path in PAGES:
        for verb in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
            answer = await http.send(verb, path)
            assert (answer.status, answer.refusal.reason) == (405, "VERB_NOT_ALLOWED"), (verb, path)
            assert answer.headers["Allow"] == "GET, HEAD"
    for path in PAGES[:-1]:
        assert (await http.send("HEAD", path)).status == 200


async def test_no_answer_names_the_version_of_anything(http: Http) -> None:
    for path in (
        *PAGES,
        "/v1/customers",
        "/v1/customers/none",
        "/nothing",
        "/v1/events/watch?resume_token=x",
    ):
        assert (await http.get(path)).headers["Server"] == "corebilling", path


async def test_without_the_api_all_but_pages_is_unknown() -> None:
    async def ready() -> str:
        return ""

    server = HttpServer("127.0.0.1", 0, ready)
    port = await server.start()
    try:
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/v1/customers") as response:
                assert (response.status, refusal_in(await response.json()).reason) == (404, "PATH_UNKNOWN")
            async with session.get(f"http://127.0.0.1:{port}/health") as response:
                assert response.status == 200
    finally:
        await server.stop()


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux lets go of them")
def test_who_does_not_read_the_answer_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "_UNREAD_S", 0.2)

    async def ready() -> str:
        return ""

    async def ask_and_read_nothing() -> None:
        gone = asyncio.Event()

        async def endless(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                while True:
                    await response.write(b"x" * 65_536)
            finally:
                gone.set()

        server = HttpServer("127.0.0.1", 0, ready, [web.get("/endless", endless)], stop_grace_s=0.1)
        port = await server.start()
        try:
            with socket.create_connection(("127.0.0.1", port)) as deaf:
                deaf.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
                async with asyncio.timeout(20):
                    await gone.wait()
        finally:
            await server.stop()

    # As in production: its sockets are not those of asyncio.
    uvloop.run(ask_and_read_nothing())
