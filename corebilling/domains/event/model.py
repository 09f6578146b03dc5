"""What may be published, and how events led to one another."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from corebilling.errors import InvalidArgument


class Caused(Protocol):
    """An event, as far as its causes go."""

    @property
    def id(self) -> str: ...

    @property
    def causation_id(self) -> str: ...


MAX_CUSTOM_EVENT_BYTES = 256 * 1024

E = TypeVar("E", bound=Caused)


@dataclass(frozen=True, slots=True)
class Traced(Generic[E]):
    """An event and its distance from the root of its tree."""

    event: E
    depth: int


def check_custom_subject(subject: str, reserved: Collection[str]) -> None:
    """Refuses a subject that the platform uses, or could use: its resources are the platform's.

    Raises:
        InvalidArgument: EVENT_SUBJECT_RESERVED.
    """
    resources = {name.partition(".")[0] for name in reserved}
    if subject.partition(".")[0] in resources:
        raise InvalidArgument(
            "EVENT_SUBJECT_RESERVED",
            f"'{subject}' begins with a resource of the platform's; choose a prefix of your own.",
            {"subject": subject},
        )


def check_custom_size(size_bytes: int) -> None:
    """Refuses data that no bus and no list of events should carry.

    Raises:
        InvalidArgument: EVENT_TOO_LARGE.
    """
    if size_bytes > MAX_CUSTOM_EVENT_BYTES:
        raise InvalidArgument(
            "EVENT_TOO_LARGE",
            "Put large data elsewhere, and where it is into the event.",
            {"limit_bytes": str(MAX_CUSTOM_EVENT_BYTES)},
        )


def causation_tree(events: Sequence[E]) -> list[Traced[E]]:
    """The events depth-first: each cause before what it led to, siblings in the order given.

    An event whose cause is not among them is a root.
    """
    known = {event.id for event in events}
    children: dict[str, list[E]] = {}
    for event in events:
        children.setdefault(event.causation_id if event.causation_id in known else "", []).append(event)
    tree: list[Traced[E]] = []
    pending = [Traced(event, 0) for event in reversed(children.get("", []))]
    while pending:
        traced = pending.pop()
        tree.append(traced)
        pending += [Traced(child, traced.depth + 1) for child in reversed(children.get(traced.event.id, []))]
    return tree
