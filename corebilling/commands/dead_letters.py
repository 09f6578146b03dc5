"""`corebilling dead-letters`: what the bus, a handler or an endpoint gave up, and what to do about it."""

import uuid
from enum import StrEnum
from typing import Annotated

import typer
from billing.event.v1 import event_admin_service_pb2 as rpc
from billing.event.v1.event_admin_service_pb2_grpc import EventAdminServiceStub
from billing.webhook.v1 import webhook_service_pb2
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub
from google.protobuf import json_format
from rich.table import Table

from corebilling.client import Client
from corebilling.commands.connection import TARGET, ApiKey, Target, Tenant, console, problems, run
from corebilling.mapping import enum_text, instant

dead_letters_app = typer.Typer(
    no_args_is_help=True, help="Lists, shows, retries and discards what was given up, in every stage."
)

_PAGE = 100


class Stage(StrEnum):
    DISPATCH = "dispatch"
    HANDLER = "handler"
    WEBHOOK = "webhook"


Ids = Annotated[
    list[str] | None,
    typer.Argument(help="Event ids (evt_…); in the webhook stage delivery ids. None: all that match."),
]
OfStage = Annotated[Stage | None, typer.Option(help="Where it was given up; empty: dispatch and handler.")]
OfHandler = Annotated[str, typer.Option(help="Only those of this handler.")]
OfSubject = Annotated[str, typer.Option(help="Only events of this subject; a prefix ends in .*")]


@dead_letters_app.command("list")
def list_all(
    stage: Annotated[Stage | None, typer.Option(help="Where it was given up; empty: everywhere.")] = None,
    handler: OfHandler = "",
    subject: OfSubject = "",
    discarded: Annotated[bool, typer.Option("--discarded", help="Those that were discarded.")] = False,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Prints a table, the newest first: at most 100 of events and 100 of webhooks."""

    async def work(client: Client) -> Table:
        table = Table(title="Dead letters", title_justify="left")
        for column in ("stage", "event", "subject", "gave up", "since", "tries", "why"):
            table.add_column(column, overflow="fold")
        if stage is not Stage.WEBHOOK:
            await _add_events(
                client, table, _filter([], stage, handler, subject), tenant, discarded=discarded
            )
        if stage in (None, Stage.WEBHOOK) and not (handler or subject or discarded):
            await _add_webhooks(client, table, tenant)
        return table

    table = run(target, api_key, work)
    if not table.row_count:
        console.print("No dead letters.")
        return
    console.print(table)
    console.print(
        "Next: corebilling dead-letters show EVENT --handler NAME, then retry or discard; "
        "corebilling events trace CORRELATION shows what led to it.",
        highlight=False,
    )


@dead_letters_app.command()
def show(
    event_id: Annotated[str, typer.Argument(help="evt_…")],
    handler: Annotated[str, typer.Option(help="Who gave it up; empty: the bus.")] = "",
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Prints why it was given up, and the event, as JSON."""

    async def work(client: Client) -> rpc.GetDeadLetterResponse:
        request = rpc.GetDeadLetterRequest(tenant_id=tenant, event_id=event_id, handler=handler)
        answer: rpc.GetDeadLetterResponse = await client.stub(EventAdminServiceStub).GetDeadLetter(request)
        return answer

    console.print_json(
        json_format.MessageToJson(run(target, api_key, work), preserving_proto_field_name=True)
    )


@dead_letters_app.command()
def retry(
    ids: Ids = None,
    stage: OfStage = None,
    handler: OfHandler = "",
    subject: OfSubject = "",
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Tries them again, from the first attempt on; at most 500 at once."""

    async def work(client: Client) -> int:
        if stage is Stage.WEBHOOK:
            for delivery_id in _named(ids):
                await client.stub(WebhookServiceStub).RedeliverWebhook(
                    webhook_service_pb2.RedeliverWebhookRequest(
                        tenant_id=tenant, request_id=_request_id(), delivery_id=delivery_id
                    )
                )
            return len(_named(ids))
        request = rpc.RetryDeadLettersRequest(
            tenant_id=tenant, request_id=_request_id(), filter=_filter(ids or [], stage, handler, subject)
        )
        return int((await client.stub(EventAdminServiceStub).RetryDeadLetters(request)).retried)

    console.print(
        f"{run(target, api_key, work)} tried again. Next: corebilling dead-letters list", highlight=False
    )


@dead_letters_app.command()
def discard(
    reason: Annotated[str, typer.Option(help="Why; it is kept.")],
    ids: Ids = None,
    stage: OfStage = None,
    handler: OfHandler = "",
    subject: OfSubject = "",
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Gives them up for good; at most 500 at once. They stay visible with --discarded."""

    async def work(client: Client) -> int:
        if stage is Stage.WEBHOOK:
            for delivery_id in _named(ids):
                await client.stub(WebhookServiceStub).DiscardWebhookDeadLetter(
                    webhook_service_pb2.DiscardWebhookDeadLetterRequest(
                        tenant_id=tenant, request_id=_request_id(), delivery_id=delivery_id, reason=reason
                    )
                )
            return len(_named(ids))
        request = rpc.DiscardDeadLettersRequest(
            tenant_id=tenant,
            request_id=_request_id(),
            filter=_filter(ids or [], stage, handler, subject),
            reason=reason,
        )
        return int((await client.stub(EventAdminServiceStub).DiscardDeadLetters(request)).discarded)

    console.print(
        f"{run(target, api_key, work)} discarded. Next: corebilling dead-letters list --discarded",
        highlight=False,
    )


async def _add_events(
    client: Client, table: Table, wanted: rpc.DeadLetterFilter, tenant: str, *, discarded: bool
) -> None:
    request = rpc.ListDeadLettersRequest(
        tenant_id=tenant, page_size=_PAGE, filter=wanted, discarded=discarded
    )
    answer = await client.stub(EventAdminServiceStub).ListDeadLetters(request)
    for letter in answer.dead_letters:
        table.add_row(
            enum_text(rpc.DeadLetterStage, letter.stage),
            letter.event_id,
            letter.subject,
            letter.handler or "the bus",
            f"{instant(letter.created_at):%Y-%m-%d %H:%M:%S}",
            str(letter.attempts),
            f"{letter.discard_reason} ({letter.discarded_by})" if discarded else letter.error,
        )


async def _add_webhooks(client: Client, table: Table, tenant: str) -> None:
    request = webhook_service_pb2.ListWebhookDeadLettersRequest(tenant_id=tenant, page_size=_PAGE)
    answer = await client.stub(WebhookServiceStub).ListWebhookDeadLetters(request)
    for letter in answer.dead_letters:
        delivery = letter.delivery
        table.add_row(
            "webhook",
            f"{delivery.event_id} {delivery.id}",
            delivery.subject,
            delivery.webhook_id,
            f"{instant(letter.dead_at):%Y-%m-%d %H:%M:%S}",
            str(delivery.attempts),
            letter.reason,
        )


def _filter(ids: list[str], stage: Stage | None, handler: str, subject: str) -> rpc.DeadLetterFilter:
    stages = {
        None: rpc.DEAD_LETTER_STAGE_UNSPECIFIED,
        Stage.DISPATCH: rpc.DEAD_LETTER_STAGE_DISPATCH,
        Stage.HANDLER: rpc.DEAD_LETTER_STAGE_HANDLER,
    }
    return rpc.DeadLetterFilter(
        stage=stages[stage if stage is not Stage.WEBHOOK else None],
        handler=handler,
        subject=subject,
        event_ids=ids,
    )


def _named(ids: list[str] | None) -> list[str]:
    if not ids:
        problems.print("Name the deliveries: corebilling dead-letters list --stage webhook shows their ids.")
        raise typer.Exit(1)
    return ids


def _request_id() -> str:
    return f"cli-{uuid.uuid4()}"
