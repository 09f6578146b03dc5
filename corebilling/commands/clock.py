"""`corebilling clock`: the time of a sandbox tenant."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated

import typer
from billing.schedule.v1 import schedule_pb2
from billing.schedule.v1 import schedule_service_pb2 as rpc
from billing.schedule.v1.schedule_service_pb2_grpc import ScheduleServiceStub
from rich.progress import Progress, SpinnerColumn, TextColumn

from corebilling.client import Client
from corebilling.commands.connection import TARGET, ApiKey, Target, Tenant, console, moment, run
from corebilling.commands.tls import ClientApp
from corebilling.mapping import instant, timestamp

clock_app = ClientApp(no_args_is_help=True, help="Shows and advances a sandbox tenant's clock.")

_POLL_S = 0.1


@clock_app.command()
def show(target: Target = TARGET, api_key: ApiKey = "", tenant: Tenant = "") -> None:
    """Prints what time it is for the tenant."""

    async def work(client: Client) -> schedule_pb2.TestClock:
        request = rpc.GetTestClockRequest(tenant_id=tenant)
        return (await client.stub(ScheduleServiceStub).GetTestClock(request)).clock

    clock = run(target, api_key, work)
    console.print(
        f"{instant(clock.now).isoformat()}{'' if clock.ready else ' (on its way)'}", highlight=False
    )


@clock_app.command()
def advance(
    to: Annotated[
        datetime,
        typer.Argument(parser=moment, metavar="TIME", help="Where to, UTC, as in 2026-12-31T00:00:00."),
    ],
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Advances the clock and waits until everything that became due on the way has been done."""

    async def work(client: Client) -> None:
        # Fails at once where there is no server; once under way, one waits for it to come back.
        await client.stub(ScheduleServiceStub).GetTestClock(rpc.GetTestClockRequest(tenant_id=tenant))
        await advance_clock(client, tenant, to)

    run(target, api_key, work)
    console.print(
        f"It is {to.astimezone(UTC):%Y-%m-%dT%H:%M:%S} now. "
        "Next: corebilling call billing.invoice.v1.InvoiceService/ListInvoices",
        soft_wrap=True,
    )


async def advance_clock(client: Client, tenant_id: str, to: datetime) -> None:
    """Sends the tenant's clock to `to` and waits for it, showing where it is. Safe to repeat."""
    schedule = client.stub(ScheduleServiceStub)
    request_id = f"advance to {to.isoformat()}"
    await schedule.AdvanceTestClock(
        rpc.AdvanceTestClockRequest(tenant_id=tenant_id, request_id=request_id, target_at=timestamp(to)),
        wait_for_ready=True,
    )
    with Progress(
        SpinnerColumn(), TextColumn("{task.description}"), transient=True, console=console
    ) as progress:
        task = progress.add_task("advancing")
        while True:
            answer = await schedule.GetTestClock(
                rpc.GetTestClockRequest(tenant_id=tenant_id), wait_for_ready=True
            )
            progress.update(
                task, description=f"it is {instant(answer.clock.now).isoformat(timespec='seconds')}"
            )
            if answer.clock.ready:
                return
            await asyncio.sleep(_POLL_S)
