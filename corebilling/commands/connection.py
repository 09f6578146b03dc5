"""What every client command asks for: the server, the key, the tenant; and how it reports a refusal."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Annotated, Any, TypeVar, cast

import grpc
import typer
from google.rpc import error_details_pb2, status_pb2
from rich.console import Console

from corebilling.client import DEFAULT_TARGET, Client

Target = Annotated[str, typer.Option(envvar="COREBILLING_TARGET", help="Address of the gRPC server.")]
ApiKey = Annotated[
    str, typer.Option(envvar="COREBILLING_API_KEY", help="API key; a platform key names --tenant.")
]
Tenant = Annotated[str, typer.Option(envvar="COREBILLING_TENANT", help="Tenant id; empty: the key's own.")]

T = TypeVar("T")

TARGET = DEFAULT_TARGET
console = Console()
problems = Console(stderr=True)


def run(target: str, api_key: str, work: Callable[[Client], Awaitable[T]]) -> T:
    """Connects, does the work, and turns a refusal into one line and exit code 1."""

    async def connected() -> T:
        async with Client(target, api_key) as client:
            return await work(client)

    try:
        return asyncio.run(connected())
    except grpc.aio.AioRpcError as error:
        problems.print(f"[red]{error.code().name}[/red] {explain(error)}", highlight=False)
        raise typer.Exit(1) from None


def explain(error: grpc.RpcError) -> str:
    """The server's sentence, with its reason and, where it named fields, what is wrong with them."""
    parts = [error.details() or ""]
    for detail in _details(error):
        if detail.Is(error_details_pb2.ErrorInfo.DESCRIPTOR):
            info = error_details_pb2.ErrorInfo()
            detail.Unpack(info)
            facts = ", ".join(f"{name}={value}" for name, value in sorted(info.metadata.items()))
            parts.append(f"({info.reason}{': ' + facts if facts else ''})")
        if detail.Is(error_details_pb2.BadRequest.DESCRIPTOR):
            bad = error_details_pb2.BadRequest()
            detail.Unpack(bad)
            parts += [f"\n  {violation.field}: {violation.description}" for violation in bad.field_violations]
    return " ".join(parts)


def _details(error: grpc.RpcError) -> Iterable[Any]:
    for key, value in cast("Iterable[tuple[str, Any]]", error.trailing_metadata() or ()):
        if key == "grpc-status-details-bin":
            return list(status_pb2.Status.FromString(value).details)
    return ()
