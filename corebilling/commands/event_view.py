"""How events look on a terminal."""

import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from zlib import crc32

from billing.event.v1 import event_pb2 as eventv1
from billing.event.v1 import event_service_pb2 as rpc
from billing.webhook.v1 import webhook_pb2
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from rich.console import RenderableType
from rich.json import JSON
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from corebilling.events.envelope import as_object
from corebilling.mapping import enum_text, instant

_SUBJECT_STYLES = (
    "green",
    "yellow",
    "blue",
    "magenta",
    "cyan",
    "bright_green",
    "bright_blue",
    "bright_magenta",
)
_MARKS = {
    rpc.HANDLER_STATE_HANDLED: ("✓", "green"),
    rpc.HANDLER_STATE_WAITING: ("…", "dim"),
    rpc.HANDLER_STATE_BLOCKED: ("‖", "yellow"),
    rpc.HANDLER_STATE_FAILED: ("✗", "red"),
    rpc.HANDLER_STATE_DEAD_LETTER: ("✗", "bold red"),
    rpc.HANDLER_STATE_DISCARDED: ("–", "dim"),
    rpc.HANDLER_STATE_REPLAYING: ("↻", "cyan"),
}
_WEBHOOK_MARKS = {
    webhook_pb2.WEBHOOK_DELIVERY_STATE_DELIVERED: ("✓", "green"),
    webhook_pb2.WEBHOOK_DELIVERY_STATE_PENDING: ("…", "dim"),
    webhook_pb2.WEBHOOK_DELIVERY_STATE_DEAD: ("✗", "bold red"),
}
_HANDLER_ACTOR = "handler:"


def event_object(event: eventv1.Event) -> dict[str, Any]:
    """The event as webhooks show it, with its resource.

    Of a payload that is newer than we are: its type. Of one that JSON cannot show, as NaN, the reason too.
    """
    try:
        return {"resource_id": event.resource_id, **as_object(event)}
    except (KeyError, DecodeError):
        payload = {"@type": event.payload.type_url}
    except (json_format.Error, ValueError) as error:
        payload = {"@type": event.payload.type_url, "@not_shown": str(error)}
    rest = eventv1.Event()
    rest.CopyFrom(event)
    rest.ClearField("payload")
    return {**json_format.MessageToDict(rest, preserving_proto_field_name=True), "payload": payload}


def line(event: eventv1.Event) -> Text:
    """Time, subject, resource, id, correlation."""
    return Text.assemble(
        (_clock(event), "dim"),
        " ",
        (f"{event.subject:<30}", _subject_style(event.subject)),
        f" {event.resource_id:<30} ",
        (f"{event.id} {event.metadata.correlation_id}", "dim"),
    )


def details(found: rpc.GetEventResponse, payload: Any) -> Iterator[RenderableType]:
    """Everything about one event."""
    event = found.event
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("event", Text.assemble((event.subject, _subject_style(event.subject)), f"  {event.id}")),
        ("state", enum_text(eventv1.EventState, found.state).replace("_", " ")),
        ("resource", f"{event.resource_id}, version {event.metadata.resource_version}"),
        ("committed", instant(event.created_at).isoformat()),
        ("by", event.metadata.actor),
        ("correlation", event.metadata.correlation_id),
        ("caused by", event.metadata.causation_id or "nothing: it is a root"),
        ("ordering key", event.metadata.ordering_key),
    ):
        facts.add_row(Text(name, "dim"), value)
    if found.HasField("last_replayed_at"):
        facts.add_row(Text("replayed at", "dim"), instant(found.last_replayed_at).isoformat())
    yield facts
    yield JSON(json.dumps(payload, ensure_ascii=False))
    yield from (_handler(event, outcome) for outcome in found.handlers)
    yield from (_webhook(outcome) for outcome in found.webhooks)


def tree(events: Sequence[rpc.TracedEvent]) -> Tree:
    """Each event with its handlers, and below each handler what it made of the event."""
    root = Tree(Text(f"correlation {events[0].event.metadata.correlation_id}", "bold"))
    start = min(instant(traced.event.created_at) for traced in events)
    places: dict[tuple[str, str], Tree] = {}
    for traced in events:
        event = traced.event
        cause, actor = event.metadata.causation_id, event.metadata.actor
        parent = places.get((cause, actor.removeprefix(_HANDLER_ACTOR))) or places.get((cause, "")) or root
        after = instant(event.created_at) - start
        branch = parent.add(
            Text.assemble(
                (event.subject, _subject_style(event.subject)),
                f" {event.resource_id} ",
                (f"{event.id} +{_span(after)}", "dim"),
            )
        )
        places[event.id, ""] = branch
        for outcome in traced.handlers:
            places[event.id, outcome.handler] = branch.add(_handler(event, outcome))
        for webhook in traced.webhooks:
            branch.add(_webhook(webhook))
    return root


def most_telling(events: Sequence[rpc.TracedEvent]) -> eventv1.Event:
    """The event one wants to look at next: the first that something went wrong with, else the first."""
    wrong = (
        traced.event
        for traced in events
        if traced.state in (eventv1.EVENT_STATE_FAILED, eventv1.EVENT_STATE_DEAD_LETTER)
    )
    return next(wrong, events[0].event)


def _handler(event: eventv1.Event, outcome: rpc.HandlerOutcome) -> Text:
    mark, style = _MARKS[outcome.state]
    state = enum_text(rpc.HandlerState, outcome.state).replace("_", " ")
    text = Text.assemble((f"{mark} ", style), outcome.handler, (f"  {state}", style))
    if outcome.HasField("handled_at"):
        after = instant(outcome.handled_at) - instant(event.created_at)
        took = outcome.duration.ToTimedelta()
        text.append(f" {_span(after)} after its commit, took {_span(took)}", "dim")
    if outcome.attempts:
        text.append(f" after {outcome.attempts} {'try' if outcome.attempts == 1 else 'tries'}", style)
    if outcome.state == rpc.HANDLER_STATE_FAILED:
        text.append(f", again at {instant(outcome.next_attempt_at):%H:%M:%S}", style)
    if outcome.error:
        text.append(f": {outcome.error}", style)
    return text


def _webhook(outcome: rpc.WebhookOutcome) -> Text:
    mark, style = _WEBHOOK_MARKS.get(outcome.state, ("–", "dim"))
    state = enum_text(webhook_pb2.WebhookDeliveryState, outcome.state)
    text = Text.assemble((f"{mark} ", style), outcome.webhook_id, (f"  {state}", style))
    if outcome.attempts:
        text.append(f" after {outcome.attempts} {'try' if outcome.attempts == 1 else 'tries'}", style)
    if outcome.last_status_code and str(outcome.last_status_code) not in outcome.last_error:
        text.append(f", answered {outcome.last_status_code}", style)
    if outcome.last_error:
        text.append(f": {outcome.last_error}", style)
    return text


def _span(time: timedelta) -> str:
    seconds = time.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000, 1):g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {seconds} s"


def _clock(event: eventv1.Event) -> str:
    return instant(event.created_at).isoformat(timespec="milliseconds")[11:23]


def _subject_style(subject: str) -> str:
    """A colour per resource, the same in every run."""
    return _SUBJECT_STYLES[crc32(subject.partition(".")[0].encode()) % len(_SUBJECT_STYLES)]
