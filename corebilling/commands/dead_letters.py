"""`corebilling dead-letters`: what the bus, a handler or an endpoint gave up, and what to do about it."""

import json
from collections import Counter
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any

import typer
from billing.event.v1 import event_admin_service_pb2 as rpc
from billing.event.v1.event_admin_service_pb2_grpc import EventAdminServiceStub
from billing.webhook.v1 import webhook_pb2
from billing.webhook.v1 import webhook_service_pb2 as webhook_rpc
from billing.webhook.v1.webhook_service_pb2_grpc import WebhookServiceStub
from google.protobuf import json_format
from google.protobuf.message import Message

from corebilling.client import Client
from corebilling.commands import dead_webhooks
from corebilling.commands.connection import (
    TARGET,
    ApiKey,
    Target,
    Tenant,
    console,
    new_request_id,
    problems,
    run,
    say,
)
from corebilling.commands.event_view import event_object
from corebilling.commands.tls import ClientApp
from corebilling.mapping import enum_text, instant

dead_letters_app = ClientApp(
    no_args_is_help=True, help="Lists, shows, retries and discards what was given up, in every stage."
)

_LISTED = 100
_AT_ONCE = 500

Letter = rpc.DeadLetter | webhook_pb2.WebhookDeadLetter | webhook_pb2.WebhookDelivery


class Stage(StrEnum):
    DISPATCH = "dispatch"
    HANDLER = "handler"
    WEBHOOK = "webhook"


Ids = Annotated[
    list[str] | None,
    typer.Argument(
        help="Event ids (evt_…), or delivery ids (whd_…) of webhooks. None: all that match the options, "
        "of which one is needed."
    ),
]
OfStage = Annotated[Stage | None, typer.Option(help="Where it was given up; empty: dispatch and handler.")]
OfHandler = Annotated[
    str, typer.Option(help="Only those of this handler; in the webhook stage, of this endpoint (whk_…).")
]
OfSubject = Annotated[str, typer.Option(help="Only events of this subject; a prefix ends in .*")]


@dead_letters_app.command("list")
def list_all(
    stage: Annotated[Stage | None, typer.Option(help="Where it was given up; empty: everywhere.")] = None,
    handler: OfHandler = "",
    subject: OfSubject = "",
    discarded: Annotated[bool, typer.Option("--discarded", help="Those that were discarded.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines: one JSON object per line.")] = False,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Prints them, the newest first: at most 100 of events and 100 of webhooks."""

    async def work(client: Client) -> list[Letter]:
        found: list[Letter] = []
        if stage is not Stage.WEBHOOK:
            wanted = _filter([], stage, handler, subject)
            found += await _dead_events(client, tenant, wanted, discarded=discarded)
        if stage in (None, Stage.WEBHOOK):
            of = dead_webhooks.discarded_deliveries if discarded else dead_webhooks.dead_deliveries
            found += await of(client, tenant, endpoint=handler, subject=subject, limit=_LISTED)
        return found

    letters = run(target, api_key, work)
    if as_json:
        for letter in letters:
            print(json.dumps(_object(letter), ensure_ascii=False))
        return
    if not letters:
        console.print("No dead letters.")
        return
    for letter in letters:
        say(_line(letter))
    if not discarded:
        _suggest(letters)


@dead_letters_app.command()
def show(
    id_: Annotated[
        str, typer.Argument(metavar="ID", help="evt_…, or whd_… of a delivery to a webhook's endpoint.")
    ],
    handler: Annotated[str, typer.Option(help="Who gave the event up; empty: the bus.")] = "",
    stage: Annotated[
        Stage | None, typer.Option(help="webhook: all endpoints' dead deliveries of the event.")
    ] = None,
    target: Target = TARGET,
    api_key: ApiKey = "",
    tenant: Tenant = "",
) -> None:
    """Prints why it was given up, as JSON: with the event, or with each attempt to deliver it."""

    async def work(client: Client) -> list[dict[str, Any]]:
        if _of_webhooks(stage, [id_]):
            letters = await dead_webhooks.find_dead(client, tenant, id_)
            return [await _with_attempts(client, tenant, letter) for letter in letters]
        request = rpc.GetDeadLetterRequest(tenant_id=tenant, event_id=id_, handler=handler)
        return [_with_event(await client.stub(EventAdminServiceStub).GetDeadLetter(request))]

    found = run(target, api_key, work)
    if not found:
        problems.print(f"{id_} is not among the newest 10,000 dead letters of webhooks.", highlight=False)
        raise typer.Exit(1)
    for one in found:
        console.print_json(data=one, ensure_ascii=False)


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

    async def work(client: Client) -> tuple[int, Counter[str]]:
        if _of_webhooks(stage, ids):
            webhooks = client.stub(WebhookServiceStub)
            wanted = ids or await _dead_delivery_ids(client, tenant, handler, subject)
            return await dead_webhooks.each(
                wanted,
                lambda id_: webhooks.RedeliverWebhook(
                    webhook_rpc.RedeliverWebhookRequest(
                        tenant_id=tenant, request_id=new_request_id(), delivery_id=id_
                    )
                ),
            )
        request = rpc.RetryDeadLettersRequest(
            tenant_id=tenant, request_id=new_request_id(), filter=_filter(ids or [], stage, handler, subject)
        )
        return (await client.stub(EventAdminServiceStub).RetryDeadLetters(request)).retried, Counter()

    _tell(*run(target, api_key, work), "tried again", "corebilling dead-letters list")


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

    async def work(client: Client) -> tuple[int, Counter[str]]:
        if _of_webhooks(stage, ids):
            webhooks = client.stub(WebhookServiceStub)
            wanted = ids or await _dead_delivery_ids(client, tenant, handler, subject)
            return await dead_webhooks.each(
                wanted,
                lambda id_: webhooks.DiscardWebhookDeadLetter(
                    webhook_rpc.DiscardWebhookDeadLetterRequest(
                        tenant_id=tenant, request_id=new_request_id(), delivery_id=id_, reason=reason
                    )
                ),
            )
        request = rpc.DiscardDeadLettersRequest(
            tenant_id=tenant,
            request_id=new_request_id(),
            filter=_filter(ids or [], stage, handler, subject),
            reason=reason,
        )
        return (await client.stub(EventAdminServiceStub).DiscardDeadLetters(request)).discarded, Counter()

    _tell(*run(target, api_key, work), "discarded", "corebilling dead-letters list --discarded")


async def _dead_events(
    client: Client, tenant: str, wanted: rpc.DeadLetterFilter, *, discarded: bool
) -> Sequence[rpc.DeadLetter]:
    request = rpc.ListDeadLettersRequest(
        tenant_id=tenant, page_size=_LISTED, filter=wanted, discarded=discarded
    )
    answer = await client.stub(EventAdminServiceStub).ListDeadLetters(request)
    return list(answer.dead_letters)


async def _dead_delivery_ids(client: Client, tenant: str, endpoint: str, subject: str) -> list[str]:
    """Oldest first, as endpoints would have got them."""
    letters = await dead_webhooks.dead_deliveries(
        client, tenant, endpoint=endpoint, subject=subject, limit=_AT_ONCE
    )
    return [letter.delivery.id for letter in reversed(letters)]


def _with_event(answer: rpc.GetDeadLetterResponse) -> dict[str, Any]:
    return {"dead_letter": _object(answer.dead_letter), "event": event_object(answer.event)}


async def _with_attempts(
    client: Client, tenant: str, letter: webhook_pb2.WebhookDeadLetter
) -> dict[str, Any]:
    tried = await dead_webhooks.attempts(client, tenant, letter.delivery.id)
    return {"dead_letter": _object(letter), "attempts": [_plain(attempt) for attempt in tried]}


def _line(letter: Letter) -> str:
    """What one wants to paste comes first, and why it is there on a line of its own."""
    if isinstance(letter, rpc.DeadLetter):
        stage = enum_text(rpc.DeadLetterStage, letter.stage)
        place = f"{letter.event_id} {letter.subject}  {stage} {letter.handler}".rstrip()
        why = f"since {instant(letter.created_at):%Y-%m-%d %H:%M:%S}: {letter.error}"
        if letter.discarded_by:
            why = f"discarded by {letter.discarded_by}: {letter.discard_reason}"
        return f"{place}\n  {_tries(letter.attempts)}, {why}"
    if isinstance(letter, webhook_pb2.WebhookDeadLetter):
        why = f"dead since {instant(letter.dead_at):%Y-%m-%d %H:%M:%S}: {letter.reason}"
        delivery = letter.delivery
    else:
        why, delivery = f"discarded: {letter.discard_reason}", letter
    place = f"{delivery.id} {delivery.subject}  webhook {delivery.webhook_id}  of {delivery.event_id}"
    return f"{place}\n  {_tries(delivery.attempts)}, {why}"


def _tries(attempts: int) -> str:
    return f"{attempts} {'try' if attempts == 1 else 'tries'}"


def _suggest(letters: Sequence[Letter]) -> None:
    """How to look at the first of each kind."""
    event = next((letter for letter in letters if isinstance(letter, rpc.DeadLetter)), None)
    webhook = next((letter for letter in letters if isinstance(letter, webhook_pb2.WebhookDeadLetter)), None)
    if event:
        handler = f" --handler {event.handler}" if event.handler else ""
        say(f"Next: corebilling dead-letters show {event.event_id}{handler}")
    if webhook:
        say(f"Next: corebilling dead-letters show {webhook.delivery.id}")
    say("Then retry or discard; corebilling events trace evt_… shows what led to it.")


def _object(letter: Letter) -> dict[str, Any]:
    if isinstance(letter, webhook_pb2.WebhookDeadLetter):
        shown = webhook_pb2.WebhookDeadLetter()
        shown.CopyFrom(letter)
        # There is no next attempt: the time is that of the last.
        shown.delivery.ClearField("next_attempt_at")
        return _plain(shown)
    if isinstance(letter, webhook_pb2.WebhookDelivery):
        return {"delivery": _plain(letter)}
    return _plain(letter)


def _plain(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def _tell(done: int, refusals: Counter[str], what: str, then: str) -> None:
    say(f"{done} {what}. Next: {then}")
    if done == _AT_ONCE:
        say("There may be more: repeat the command.")
    for refusal, count in refusals.items():
        problems.print(f"{count} not {what}: {refusal}", highlight=False, soft_wrap=True)
    if refusals:
        raise typer.Exit(1)


def _of_webhooks(stage: Stage | None, ids: Sequence[str] | None) -> bool:
    return stage is Stage.WEBHOOK or any(id_.startswith("whd_") for id_ in ids or ())


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
