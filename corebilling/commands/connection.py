"""What every client command asks for: the server, the key, the tenant; and how it reports a refusal."""

import asyncio
import sys
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, TextIO, TypeVar, cast

import grpc
import typer
from google.rpc import error_details_pb2, status_pb2
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from corebilling.client import DEFAULT_TARGET, Client
from corebilling.commands.tls import chosen_tls

Target = Annotated[str, typer.Option(envvar="COREBILLING_TARGET", help="Address of the gRPC server.")]
ApiKey = Annotated[str, typer.Option(envvar="COREBILLING_API_KEY", help="API key.")]
Tenant = Annotated[
    str,
    typer.Option(
        envvar="COREBILLING_TENANT", help="Tenant id; empty: the key's own. A platform key has none."
    ),
]

T = TypeVar("T")

TARGET = DEFAULT_TARGET

# Wider than any line: what another program reads, as grep does, is not wrapped.
_UNBOUNDED = 10_000


def _width(stream: TextIO) -> int | None:
    return None if stream.isatty() else _UNBOUNDED


# No markup: what is printed has texts of others in it, with brackets and colons that are meant.
console = Console(width=_width(sys.stdout), markup=False, emoji=False)
problems = Console(stderr=True, width=_width(sys.stderr), markup=False, emoji=False)


def run(target: str, api_key: str, work: Callable[[Client], Awaitable[T]]) -> T:
    """Connects, does the work, and turns a refusal into one line and exit code 1."""

    tls = chosen_tls()

    async def connected() -> T:
        async with Client(target, api_key, tls) as client:
            return await work(client)

    try:
        return asyncio.run(connected())
    except grpc.aio.AioRpcError as error:
        if reason(error) == "TENANT_REQUIRED":
            raise failure("A platform key names the tenant: give --tenant, or COREBILLING_TENANT.") from None
        raise refusal(error, target) from None


def refusal(error: grpc.RpcError, target: str) -> typer.Exit:
    """Prints why the call failed; returns what ends the command."""
    explained = explain(error)
    # A server that answers gives a reason with its status; the channel, which found none, does not.
    if error.code() is grpc.StatusCode.UNAVAILABLE and not _details(error):
        explained = f"no answer from {target}{_why_no_answer()}\n  {explained}"
    problems.print(Text.assemble((error.code().name, "red"), f" {explained}"), soft_wrap=True)
    return typer.Exit(1)


def _why_no_answer() -> str:
    if chosen_tls() is None:
        return (
            ": is the platform running? Start it with `corebilling up`, or name another with --target / "
            "COREBILLING_TARGET. One that speaks TLS wants --tls-ca-file / COREBILLING_TLS_CA_FILE, or --tls."
        )
    return (
        " over TLS: is it running, and does it speak TLS? Its certificate must be for the name in --target "
        "and of an authority in --tls-ca-file; it may ask for yours: --tls-cert-file and --tls-key-file."
    )


def failure(sentence: str) -> typer.Exit:
    """Prints what is wrong; returns what ends the command."""
    problems.print(sentence, style="red", highlight=False, soft_wrap=True)
    return typer.Exit(1)


def say(sentence: str) -> None:
    """Prints it unbroken: what stands in it can be pasted."""
    console.print(sentence, highlight=False, soft_wrap=True)


def new_request_id() -> str:
    return f"cli-{uuid.uuid4()}"


def moment(text: str) -> datetime:
    """A time given as an argument; UTC unless it has an offset."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"'{text}' is no time; write 2026-03-01 or 2026-03-01T09:30:00.") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def print_table(table: Table) -> None:
    """As wide as its contents: what a narrow terminal would cut is what one wants to paste."""
    unbounded = console.options.update(width=_UNBOUNDED)
    table.width = Measurement.get(console, unbounded, table).maximum
    console.print(table, soft_wrap=True)


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


def reason(error: grpc.RpcError) -> str:
    """As in TENANT_REQUIRED; '' when no server gave one."""
    info = error_details_pb2.ErrorInfo()
    return next((info.reason for detail in _details(error) if detail.Unpack(info)), "")


def _details(error: grpc.RpcError) -> Iterable[Any]:
    for key, value in cast("Iterable[tuple[str, Any]]", error.trailing_metadata() or ()):
        if key == "grpc-status-details-bin":
            return list(status_pb2.Status.FromString(value).details)
    return ()
