"""Bodies that come slowly hold nobody up but their senders."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import orjson
import pytest
from aiohttp import StreamReader
from aiohttp.test_utils import make_mocked_request

from corebilling.errors import ResourceExhausted
from corebilling.http import body
from corebilling.http.body import Bodies, BodyLimits
from tests.support.http import Http, head, http_to
from tests.support.platform import running_platform
from tests.support.postgres import TestDatabase

ADA = {"details": {"name": "Ada"}}
JSON = "Content-Type: application/json"
MIB = 1024 * 1024


class Sender:
    """Somebody with all the time in the world."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def invited(self) -> None:
        """The server waits for the body by now."""
        assert await self._reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"

    async def send(self, data: bytes) -> None:
        """Whoever was refused may have been cut off."""
        self._writer.write(data)
        with suppress(ConnectionError):
            await self._writer.drain()

    async def answer(self) -> bytes:
        async with asyncio.timeout(20):
            return await self._reader.read()


@asynccontextmanager
async def sending(http: Http, start: bytes) -> AsyncIterator[Sender]:
    host, port = http.platform.app.http_address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(start)
        yield Sender(reader, writer)
    finally:
        writer.close()


def waiting(http: Http, key: str = "", length: int = 100) -> bytes:
    return head(http, JSON, f"Content-Length: {length}", "Expect: 100-continue", key=key)


async def test_bodies_that_drip_take_no_call_s_place(database: TestDatabase) -> None:
    async with (
        running_platform(database, grpc_max_concurrent_calls=4) as platform,
        http_to(platform) as http,
        AsyncExitStack() as senders,
    ):
        for _ in range(8):
            sender = await senders.enter_async_context(sending(http, waiting(http)))
            await sender.invited()
            await sender.send(b"{")
        assert (await http.get("/v1/customers")).status == 200
        assert (await http.post("/v1/customers", ADA, key="a")).status == 201


async def test_the_bodies_of_one_tenant_leave_room_for_others(database: TestDatabase) -> None:
    async with (
        running_platform(database, http_max_bodies=4) as platform,
        http_to(platform) as http,
        AsyncExitStack() as senders,
    ):
        _, other = await platform.new_tenant("other")
        slow = [await senders.enter_async_context(sending(http, waiting(http))) for _ in range(2)]
        for sender in slow:
            await sender.invited()
        refused = await http.post("/v1/customers", ADA, key="a")
        assert (refused.status, refused.refusal.reason) == (429, "TENANT_OVERLOADED")
        assert (refused.headers["Retry-After"], refused.refusal.facts["what"]) == ("1", "bodies")
        assert (await http.post("/v1/customers", ADA, key="a", headers={"X-API-Key": other})).status == 201
        # Whoever gives up makes room.
        await slow[0].send(b"}" * 100)
        assert (await slow[0].answer()).split()[1] == b"400"
        assert (await http.post("/v1/customers", ADA, key="a")).status == 201


async def test_what_one_tenant_has_sent_of_its_bodies_leaves_room_for_others(database: TestDatabase) -> None:
    sent = orjson.dumps({"details": {"name": "x" * 3 * MIB}})
    async with (
        running_platform(database, http_max_held_bytes=16 * MIB) as platform,
        http_to(platform) as http,
        AsyncExitStack() as senders,
    ):
        _, other = await platform.new_tenant("other")
        slow = []
        for _ in range(3):
            slow.append(await senders.enter_async_context(sending(http, waiting(http, length=len(sent)))))
            await slow[-1].invited()
        answers = [asyncio.create_task(sender.answer()) for sender in slow]
        await asyncio.gather(*(sender.send(sent[:-1]) for sender in slow))
        # 9 MiB are more than the half of 16: one has to go.
        ended, _ = await asyncio.wait(answers, return_when=asyncio.FIRST_COMPLETED, timeout=20)
        assert len(ended) == 1
        refused = ended.pop()
        assert refused.result().startswith(b"HTTP/1.1 429 ")
        assert b"TENANT_OVERLOADED" in refused.result()
        large = {"details": {"name": "x" * 2 * MIB}}
        answer = await http.post("/v1/customers", large, key="a", headers={"X-API-Key": other})
        assert answer.refusal.reason == "REQUEST_INVALID"
        await asyncio.gather(*(sender.send(sent[-1:]) for sender in slow))
        assert [b"REQUEST_INVALID" in await task for task in answers if task is not refused] == [True, True]


async def test_who_may_not_ask_is_asked_for_no_body(http: Http) -> None:
    made = await http.post("/v1/api-keys", {"name": "v", "role": "ROLE_VIEWER"}, key="a")
    for key, status in ((made.json["secret"], b"403"), ("nobody", b"401")):
        async with sending(http, waiting(http, key)) as sender:
            answer = await sender.answer()
        assert answer.split()[1] == status
        assert b"\r\nConnection: close\r\n" in answer


async def test_a_stream_that_breaks_off_within_a_line_holds_nothing_of_it(database: TestDatabase) -> None:
    async def begun() -> AsyncIterator[bytes]:
        yield b"x" * 3 * MIB
        await asyncio.Event().wait()

    async with (
        running_platform(
            database, grpc_max_streams=2, http_max_held_bytes=16 * MIB, http_body_timeout_seconds=0.2
        ) as platform,
        http_to(platform) as http,
    ):
        address = platform.app.http_address + "/v1/usage/stream"
        headers = {"X-API-Key": platform.tenant_key, "Content-Type": "application/x-ndjson"}
        for _ in range(4):
            async with http.session.post(address, data=begun(), headers=headers) as response:
                assert (response.status, b"BODY_TOO_SLOW" in await response.read()) == (408, True)


class _Dripping(StreamReader):
    """So many bytes at a time."""

    def __init__(self, content: bytes, size: int) -> None:
        self._parts = [content[at : at + size] for at in range(0, len(content), size)][::-1]

    async def readany(self) -> bytes:
        return self._parts.pop() if self._parts else b""


def bodies(max_held_bytes: int = 16 * MIB) -> Bodies:
    return Bodies(BodyLimits(4 * MIB, 15, 10, max_held_bytes), lambda: ("ten_1", None))


async def lines_of(content: bytes, reader: Bodies, size: int = 16) -> list[bytes]:
    request = make_mocked_request("POST", "/", payload=_Dripping(content, size))
    return [line async for line in reader.lines(request)]


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes were taken in, each time that some were: that is the work that lines make."""
    sizes: list[int] = []
    add = body._Held.add

    def noted(self: body._Held, part: bytes) -> None:
        sizes.append(len(part))
        add(self, part)

    monkeypatch.setattr(body._Held, "add", noted)
    return sizes


async def test_a_long_line_in_small_parts_costs_what_its_bytes_cost(held: list[int]) -> None:
    """Copied anew with each part, this one was some 500 GiB of copying."""
    line = b"x" * 4 * MIB
    assert await lines_of(line + b"\n\n" + line[:9], bodies()) == [line, line[:9]]
    assert sum(held) == len(line) + 9


async def test_lines_that_are_not_there_yet_are_held_like_bodies() -> None:
    assert await lines_of(b"1234567\n" * 10, bodies(32)) == [b"1234567"] * 10
    with pytest.raises(ResourceExhausted) as caught:
        await lines_of(b"x" * 40, bodies(32))
    assert caught.value.reason == "TENANT_OVERLOADED"


async def test_empty_lines_are_skipped_together_and_not_without_end(held: list[int]) -> None:
    """One by one, they took all the time that the process has."""
    many = b"\n \r\n\n" * (3 * MIB // 5)
    assert await lines_of((many + b"{}\n") * 2, bodies(), 64 * 1024) == [b"{}"] * 2
    with pytest.raises(ResourceExhausted) as caught:
        await lines_of(b"\n" * 5 * MIB, bodies(), 64 * 1024)
    assert caught.value.reason == "BODY_TOO_LARGE"
    # A few for each of some 180 parts.
    assert len(held) < 1000


async def test_where_a_part_ends_changes_no_line() -> None:
    said = b" \n\r\n{1}  \r\n\n \n {2} 2\n\t\n\v{3}\n\n"
    for size in range(1, len(said) + 1):
        assert await lines_of(said, bodies(), size) == [b"{1}", b"{2} 2", b"{3}"], size
