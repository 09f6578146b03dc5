"""A call over HTTP, as RPCs know calls: with what their concerns and servicers use of gRPC's context."""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, NoReturn

from aiohttp import web
from google.rpc import status_pb2

from corebilling.status import DETAILS_KEY

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")


class Refused(Exception):
    """The call ended with this status."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


class CallContext:
    """`write` sends one of several responses, and returns when the connection has taken it."""

    def __init__(self, request: web.Request, write: Callable[[bytes], Awaitable[None]]) -> None:
        self._request = request
        # Now: who has hung up has no address any more.
        transport = request.transport
        self._address = transport.get_extra_info("peername") if transport is not None else None
        self.write = write
        self._trailing: dict[str, str | bytes] = {}

    def invocation_metadata(self) -> tuple[tuple[str, str], ...]:
        """The headers; as with gRPC, they hold ASCII that can be printed, and nothing else."""
        return tuple(
            (name.lower(), _UNPRINTABLE.sub("?", value)) for name, value in self._request.headers.items()
        )

    def set_trailing_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._trailing = dict(metadata)

    @property
    def answered_headers(self) -> Mapping[str, str]:
        """What the call says about itself beside its answer."""
        return {name: value for name, value in self._trailing.items() if isinstance(value, str)}

    async def abort(
        self, _code: Any, _details: str, trailing_metadata: Iterable[tuple[str, str | bytes]]
    ) -> NoReturn:
        """Raises Refused, with the status that the metadata holds."""
        self.set_trailing_metadata(trailing_metadata)
        status = self._trailing.get(DETAILS_KEY, b"")
        assert isinstance(status, bytes), "the details of a refusal are its status"
        raise Refused(status_pb2.Status.FromString(status))

    def time_remaining(self) -> None:
        """HTTP has no deadlines of clients."""

    def peer(self) -> str:
        """As gRPC spells addresses: ipv4:192.0.2.1:5000."""
        if not self._address:
            return ""
        host, port = self._address[0], self._address[1]
        return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"
