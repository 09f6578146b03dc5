"""The OpenAPI document and the page that shows it: /openapi.yaml and /docs."""

import hashlib
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from aiohttp import web
from aiohttp.typedefs import Handler

# The page runs its own script and nothing else, reaches nobody, and stands in nobody's frame.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    # Kept, but asked about each time: it changes with the server's version.
    "Cache-Control": "no-cache",
}


def pages() -> Iterator[web.RouteDef]:
    """Read once: they change with the program alone."""
    generated, own = files("openapi"), files(__package__)
    yield _page("/openapi.yaml", generated / "openapi.yaml", "application/yaml")
    yield _page("/docs", generated / "reference.html", "text/html")
    yield _page("/docs/reference.css", own / "reference.css", "text/css")
    yield _page("/docs/reference.js", own / "reference.js", "text/javascript")


def _page(path: str, file: Traversable, content_type: str) -> web.RouteDef:
    return web.get(path, _serving(file.read_bytes(), content_type))


def _serving(body: bytes, content_type: str) -> Handler:
    etag = hashlib.sha256(body).hexdigest()[:32]

    async def serve(request: web.Request) -> web.Response:
        if any(known.value == etag for known in request.if_none_match or ()):
            return web.Response(status=304, headers={**_HEADERS, "ETag": f'"{etag}"'})
        response = web.Response(body=body, content_type=content_type, charset="utf-8", headers=_HEADERS)
        response.etag = etag
        response.enable_compression()
        return response

    return serve
