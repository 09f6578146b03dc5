"""Which pages of other origins may call: none, unless the operators name them."""

from collections.abc import Collection, Mapping

from aiohttp import web

ANY = "*"

_ALLOWED_HEADERS = (
    "authorization, content-type, idempotency-key, "
    "x-api-key, x-correlation-id, x-idempotency-key, x-tenant-id"
)
_EXPOSED_HEADERS = "content-disposition, retry-after, x-correlation-id"
_PREFLIGHT_AGE_S = "600"


class Cors:
    """Keys travel in headers that a page sets itself; cookies are of no use here, and never allowed."""

    def __init__(self, origins: Collection[str]) -> None:
        self._origins = origins

    def headers(self, request: web.Request) -> Mapping[str, str]:
        """Of every answer."""
        if not self._origins:
            return {}
        origin = request.headers.get("Origin", "")
        if origin not in self._origins and ANY not in self._origins:
            return {"Vary": "Origin"}
        return {
            "Access-Control-Allow-Origin": origin or ANY,
            "Access-Control-Expose-Headers": _EXPOSED_HEADERS,
            "Vary": "Origin",
        }

    def preflight(self, request: web.Request, verbs: Collection[str]) -> web.Response | None:
        """The answer to a browser that asks before it calls; None when it is no such question."""
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        headers = dict(self.headers(request))
        if "Access-Control-Allow-Origin" not in headers:
            return None
        headers["Access-Control-Allow-Methods"] = ", ".join(sorted(verbs))
        headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
        headers["Access-Control-Max-Age"] = _PREFLIGHT_AGE_S
        return web.Response(status=204, headers=headers)
