"""The OpenAPI document and the page that shows it, as the server sends them."""

import aiohttp
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer

from corebilling.http.reference import pages


async def get(path: str, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    application = web.Application()
    application.router.add_routes(list(pages()))
    async with TestServer(application) as server:
        url = server.make_url(path)
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            return response, await response.read()


async def test_the_document_is_served_as_yaml() -> None:
    response, body = await get("/openapi.yaml")
    assert (response.status, response.content_type) == (200, "application/yaml")
    assert yaml.load(body, yaml.CSafeLoader)["openapi"].startswith("3.1")


async def test_the_page_may_run_its_own_script_and_reach_nobody() -> None:
    for path, kind in (
        ("/docs", "text/html"),
        ("/docs/reference.css", "text/css"),
        ("/docs/reference.js", "text/javascript"),
    ):
        response, body = await get(path)
        assert (response.status, response.content_type) == (200, kind)
        assert "default-src 'none'; script-src 'self'" in response.headers["Content-Security-Policy"]
        assert b"http://" not in body
        assert b"//cdn" not in body


async def test_what_a_client_has_is_not_sent_again() -> None:
    first, _ = await get("/docs")
    again, body = await get("/docs", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status, body) == (304, b"")
