"""Calls over HTTP, as programs without gRPC make them."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2, status_pb2

from tests.support.app import Refusal, detail
from tests.support.platform import Platform


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def lines(self) -> list[Any]:
        return [orjson.loads(line) for line in self.body.splitlines()]

    @property
    def refusal(self) -> Refusal:
        """What the body says as google.rpc.Status; fails the test when it is none."""
        assert self.headers["Content-Type"] == "application/json"
        return refusal_in(self.json)


def refusal_in(content: Any) -> Refusal:
    status = json_format.ParseDict(content, status_pb2.Status())
    info = detail(status, error_details_pb2.ErrorInfo)
    bad = detail(status, error_details_pb2.BadRequest)
    retry = detail(status, error_details_pb2.RetryInfo)
    return Refusal(
        code=str(status.code),
        reason=info.reason,
        facts=dict(info.metadata),
        message=status.message,
        fields=tuple(violation.field for violation in bad.field_violations) if bad else (),
        retry_after_s=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
    )


@dataclass
class Http:
    """Calls carry the key of the platform's tenant unless `headers` say otherwise."""

    platform: Platform
    session: aiohttp.ClientSession

    async def send(
        self, verb: str, path: str, content: Any = None, *, key: str = "", **options: Any
    ) -> Answer:
        """With JSON, or with the bytes that `content` is; `key` is the request's id."""
        headers = {"X-API-Key": self.platform.tenant_key}
        if content is not None:
            headers["Content-Type"] = "application/json"
            options["data"] = content if isinstance(content, bytes) else orjson.dumps(content)
        if key:
            headers["X-Idempotency-Key"] = key
        headers |= options.pop("headers", {})
        url = self.platform.app.http_address + path
        async with self.session.request(
            verb, url, headers={k: v for k, v in headers.items() if v}, **options
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.send("GET", path, **options)

    async def post(self, path: str, content: Any = None, **options: Any) -> Answer:
        return await self.send("POST", path, content, **options)


@asynccontextmanager
async def http_to(platform: Platform) -> AsyncIterator[Http]:
    async with aiohttp.ClientSession() as session:
        yield Http(platform, session)


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[Http]:
    async with http_to(platform) as opened:
        yield opened


async def spoken(http: Http, *parts: bytes, after: bytes = b"") -> bytes:
    """What the server says to these bytes until it closes the connection: the first part, and the others
    after it has said `after`."""
    host, port = http.platform.app.http_address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    async with asyncio.timeout(20):
        for part in parts:
            writer.write(part)
            if after and part is parts[0]:
                assert await reader.readexactly(len(after)) == after
        said = await reader.read()
    writer.close()
    return said


def head(http: Http, *lines: str, key: str = "") -> bytes:
    """Of a request that creates a customer, with the tenant's key unless it is another."""
    first = ["POST /v1/customers HTTP/1.1", "Host: x", f"X-API-Key: {key or http.platform.tenant_key}"]
    return "\r\n".join((*first, "Connection: close", *lines, "", "")).encode()
