"""`corebilling events`: what happened, as it happens and afterwards."""

import asyncio
import json
import shlex
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Annotated, Any, TypeVar

import grpc
import typer
from billing.event.v1 import event_pb2 as eventv1
from billing.event.v1 import event_service_pb2 as rpc
from billing.event.v1.event_service_pb2_grpc import EventServiceStub
from google.protobuf import json_format
from google.protobuf.message import Message

from corebilling.client import Client
from corebilling.commands import event_view as view
from corebilling.commands.connection import TARGET, ApiKey, Target, Tenant, console, problems, run, say
from corebilling.commands.json_input import read_struct
from corebilling.commands.tls import ClientApp
from corebilling.values.ids import new_id

events_app = ClientApp(no_args_is_help=True, help="Watches, shows, traces and publishes events.")

Json = Annotated[bool, typer.Option("--json", help="For machines: JSON, and nothing else.")]

Answer = TypeVar("Answer", rpc.GetEventResponse, rpc.TracedEvent)

_PAUSE_S = 1.0


@events_app.command()
def tail(
    subject: Annotated[
        list[str] | None, typer.Option(help="Exact, a prefix as in invoice.*, or *; repeatable. None: all.")
    ] = None,
    resource: Annotated[str, typer.Option(help="Only events about this resource.")] = "",
    correlation: Annotated[str, typer.Option(help="Only events with this correlation id.")] = "",
    resume: Annotated[str, typer.Option(help="Token of an earlier tail; empty: from now on.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="Stop after so many events; 0: never.")] = 0,
    as_json: Json = False,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Prints events as they happen, one per line, until Ctrl-C. A broken connection is taken up again."""
    request = rpc.WatchEventsRequest(
        tenant_id=tenant,
        subjects=subject or (),
        resource_id=resource,
        correlation_id=correlation,
        resume_token=resume,
    )

    async def work(client: Client) -> None:
        shown = 0
        async for message in watch(client, request):
            print_line(message, as_json=as_json)
            shown += 1
            if shown == limit:
                return

    try:
        run(target, api_key, work)
    except KeyboardInterrupt:
        if request.resume_token:
            options = _tail_options(request, target, as_json=as_json)
            problems.print(
                f"Go on from here: {shlex.join(('corebilling', 'events', 'tail', *options))}",
                highlight=False,
                soft_wrap=True,
            )


def _tail_options(request: rpc.WatchEventsRequest, target: str, *, as_json: bool) -> Iterator[str]:
    """Those that show the same events again, from the request's token on. Never the key."""
    options = [("--subject", subject) for subject in request.subjects]
    options += [
        ("--resource", request.resource_id),
        ("--correlation", request.correlation_id),
        ("--target", target if target != TARGET else ""),
        ("--tenant", request.tenant_id),
        ("--resume", request.resume_token),
    ]
    for name, value in options:
        if value:
            yield from (name, value)
    if as_json:
        yield "--json"


async def watch(client: Client, request: rpc.WatchEventsRequest) -> AsyncIterator[rpc.WatchEventsResponse]:
    """Messages with events. `request` keeps the token of the last message, and goes on from it."""
    stub = client.stub(EventServiceStub)
    connected = False
    while True:
        try:
            async for message in stub.WatchEvents(request, wait_for_ready=connected):
                connected = True
                request.resume_token = message.resume_token
                if message.HasField("event"):
                    yield message
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE or not connected:
                raise
            problems.print("The connection broke; trying again.", style="yellow", highlight=False)
            await asyncio.sleep(_PAUSE_S)


def print_line(message: rpc.WatchEventsResponse, *, as_json: bool) -> None:
    if as_json:
        _print_json({"event": view.event_object(message.event), "resume_token": message.resume_token})
    else:
        console.print(view.line(message.event), soft_wrap=True)


@events_app.command()
def show(
    event_id: Annotated[str, typer.Argument(help="As in evt_….")],
    as_json: Json = False,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Prints one event: what it says, how far it has come, and what each handler and endpoint made of it."""
    found = run(target, api_key, lambda client: _get(client, tenant, event_id))
    if as_json:
        _print_json(_with_event(found))
        return
    console.print(*view.details(found, view.event_object(found.event)["payload"]), sep="\n")
    _suggest(f"corebilling events trace {found.event.metadata.correlation_id}")


@events_app.command()
def trace(
    of: Annotated[str, typer.Argument(help="A correlation id, or an event's id: then that event's.")],
    as_json: Json = False,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Prints everything that one cause led to, as a tree of events, handlers, and what those made of them."""

    async def work(client: Client) -> rpc.TraceEventsResponse:
        correlation_id = of
        if of.startswith("evt_"):
            correlation_id = (await _get(client, tenant, of)).event.metadata.correlation_id
        request = rpc.TraceEventsRequest(tenant_id=tenant, correlation_id=correlation_id)
        return await client.stub(EventServiceStub).TraceEvents(request)

    traced = run(target, api_key, work)
    if as_json:
        _print_json({"events": [_with_event(one) for one in traced.events], "truncated": traced.truncated})
        return
    if not traced.events:
        problems.print(f"No event of this tenant has the correlation id {of}.", highlight=False)
        raise typer.Exit(1)
    console.print(view.tree(traced.events))
    if traced.truncated:
        console.print("There are more events; the rest is left out.", style="yellow")
    _suggest(f"corebilling events show {view.most_telling(traced.events).id}")


@events_app.command()
def publish(
    subject: Annotated[str, typer.Argument(help="Of your own, as in order.shipped.")],
    resource: Annotated[str, typer.Argument(help="What it is about, as in order-7.")],
    data: Annotated[str, typer.Option("--data", "-d", help="A JSON object; @ reads standard input.")] = "{}",
    request_id: Annotated[str, typer.Option(help="Repeat it, and the event is published once.")] = "",
    correlation_id: Annotated[str, typer.Option(help="Ties everything this leads to together.")] = "",
    as_json: Json = False,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Publishes an event of the tenant's own."""
    request = rpc.PublishEventRequest(
        tenant_id=tenant,
        request_id=request_id or new_id("req"),
        subject=subject,
        resource_id=resource,
        data=read_struct(data),
    )
    headers = (("x-correlation-id", correlation_id),) if correlation_id else None

    async def work(client: Client) -> eventv1.Event:
        return (await client.stub(EventServiceStub).PublishEvent(request, metadata=headers)).event

    event = run(target, api_key, work)
    if as_json:
        _print_json(view.event_object(event))
        return
    console.print(view.line(event), soft_wrap=True)
    _suggest(f"corebilling events show {event.id}")


async def _get(client: Client, tenant_id: str, event_id: str) -> rpc.GetEventResponse:
    request = rpc.GetEventRequest(tenant_id=tenant_id, event_id=event_id)
    return await client.stub(EventServiceStub).GetEvent(request)


def _with_event(answer: Answer) -> dict[str, Any]:
    rest = type(answer)()
    rest.CopyFrom(answer)
    rest.ClearField("event")
    return {"event": view.event_object(answer.event), **_plain(rest)}


def _plain(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _print_json(shown: dict[str, Any] | Sequence[Any]) -> None:
    # Flushed: who reads through a pipe sees each event when it happens.
    print(json.dumps(shown, ensure_ascii=False), flush=True)


def _suggest(command: str) -> None:
    say(f"Next: {command}")
