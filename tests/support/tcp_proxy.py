"""A TCP proxy that breaks: what a network does to a client, done on purpose."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from tests.support.ports import free_port


@dataclass
class TcpProxy:
    """Between a client and `target`, an address as in 127.0.0.1:50051."""

    target: str
    port: int = field(default_factory=free_port)
    answering: bool = True
    """Whether what the server says goes through; else it is swallowed."""
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server says something; for tests to clear."""
    connections: int = 0
    """Made so far."""
    _server: asyncio.Server | None = None
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Whoever comes is refused, whoever is there is cut off."""
        if self._server is not None:
            self._server.close()
            self.cut()
            await self._server.wait_closed()
            self._server = None

    def cut(self) -> None:
        """Resets every connection."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        host, _, port = self.target.rpartition(":")
        try:
            from_server, to_server = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, to_server}
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pass(reader, to_server, answers=False))
                directions.create_task(self._pass(from_server, writer, answers=True))
        finally:
            self._open -= {writer, to_server}

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                if answers:
                    self.answered.set()
                if self.answering or not answers:
                    writer.write(data)
                    await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def tcp_proxy(target: str) -> AsyncIterator[TcpProxy]:
    proxy = TcpProxy(target)
    await proxy.start()
    try:
        yield proxy
    finally:
        await proxy.stop()
