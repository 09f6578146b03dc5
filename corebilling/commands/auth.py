"""`corebilling auth`: why somebody may call a method, or may not."""

import sys
from typing import Annotated

import grpc
import typer
from billing.access.v1 import access_service_pb2 as rpc
from billing.access.v1.access_service_pb2_grpc import AccessServiceStub
from rich.table import Table
from rich.text import Text

from corebilling.client import Client
from corebilling.commands.connection import TARGET, ApiKey, Target, Tenant, console, reason, run, say
from corebilling.commands.tls import ClientApp
from corebilling.values.ids import PLATFORM_TENANT

auth_app = ClientApp(no_args_is_help=True, help="Who may do what, and why.")


@auth_app.callback()
def auth() -> None:
    """Who may do what, and why."""


@auth_app.command()
def explain(
    method: Annotated[str, typer.Argument(help="As in billing.invoice.v1.InvoiceService/GetInvoice.")],
    key_id: Annotated[str, typer.Option(help="Id of the key that would call, as in key_….")] = "",
    token: Annotated[
        str, typer.Option(help="Token that would be sent; @ reads standard input, which leaves no trace.")
    ] = "",
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Shows what the server asks of a call, in its order, and the answers. Exit code 1: it would be refused.

    Without --key-id and --token, it is about the key that the command is called with. `corebilling call`
    lists all methods.
    """
    request = rpc.ExplainAccessRequest(tenant_id=tenant, method=method)
    if key_id:
        request.api_key_id = key_id
    elif token:
        request.token = _text(token)

    async def ask(client: Client) -> rpc.ExplainAccessResponse:
        access = client.stub(AccessServiceStub)
        try:
            return await access.ExplainAccess(request)
        except grpc.aio.AioRpcError as error:
            if reason(error) != "TENANT_REQUIRED" or key_id or token:
                raise
            # The platform's own methods are called for no tenant.
            request.tenant_id = PLATFORM_TENANT
            answer = await access.ExplainAccess(request)
            if all(check.name != "platform" for check in answer.checks):
                raise
            return answer

    answer = run(target, api_key, ask)
    console.print(_table(answer))
    holder = f"{answer.actor} ({answer.role})" if answer.actor else "nobody"
    say(f"{holder}: {'allowed' if answer.allowed else 'refused'}")
    if not answer.allowed:
        raise typer.Exit(1)


def _text(argument: str) -> str:
    return sys.stdin.read().strip() if argument == "@" else argument


def _table(answer: rpc.ExplainAccessResponse) -> Table:
    table = Table("", "asked", "answer")
    for check in answer.checks:
        mark = Text("yes", "green") if check.passed else Text("no", "red")
        table.add_row(mark, check.name, check.detail)
    return table
