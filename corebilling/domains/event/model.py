"""What may be published, which events are wanted, and how events led to one another."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from corebilling.errors import InvalidArgument
from corebilling.values.integer import MAX_BIGINT
from corebilling.values.page import decode_page_token, encode_page_token
from corebilling.values.subject import ANY_SUBJECT, matches


class Caused(Protocol):
    """An event, as far as its causes go."""

    @property
    def id(self) -> str: ...

    @property
    def causation_id(self) -> str: ...


class Described(Protocol):
    """An event, as far as filters look at it."""

    @property
    def subject(self) -> str: ...

    @property
    def resource_id(self) -> str: ...

    @property
    def correlation_id(self) -> str: ...


MAX_EXACT_NUMBER = 2**53
MAX_CUSTOM_EVENT_BYTES = 256 * 1024

E = TypeVar("E", bound=Caused)


@dataclass(frozen=True, slots=True)
class Traced(Generic[E]):
    """An event and its distance from the root of its tree."""

    event: E
    depth: int


class EventFilter:
    """Which events are wanted: of any of the subjects, of the resource, of the correlation id.

    A subject is exact, a prefix that ends in `.*`, or `*`. What is empty rules nothing out.
    """

    def __init__(self, subjects: Collection[str], resource_id: str, correlation_id: str) -> None:
        self._subjects = tuple(subjects) or (ANY_SUBJECT,)
        self._resource_id = resource_id
        self._correlation_id = correlation_id

    def wants(self, event: Described) -> bool:
        return (
            any(matches(subject, event.subject) for subject in self._subjects)
            and self._resource_id in ("", event.resource_id)
            and self._correlation_id in ("", event.correlation_id)
        )


def resume_token(epoch: int, xid: int, seq: int) -> str:
    """The token of a stream that stands at this position."""
    return encode_page_token(str(epoch), str(xid), str(seq))


def decode_resume_token(token: str) -> tuple[int, int, int]:
    """The position: epoch, xid, seq.

    Raises:
        InvalidArgument: RESUME_TOKEN_INVALID when the token is not one that `resume_token` made.
    """
    try:
        epoch, xid, seq = (int(number) for number in decode_page_token(token, 3))
    except (InvalidArgument, ValueError):
        epoch = xid = seq = -1
    if not all(0 <= number <= MAX_BIGINT for number in (epoch, xid, seq)):
        raise InvalidArgument(
            "RESUME_TOKEN_INVALID",
            "The token is not one that a stream of events gave; watch from now on without it.",
        )
    return epoch, xid, seq


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


def check_custom_numbers(value: object) -> None:
    """Refuses data whose numbers the contract cannot have kept: it holds all of them as doubles.

    Args:
        value: The data, as objects, lists, texts and numbers.

    Raises:
        InvalidArgument: REQUEST_INVALID.
    """
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            check_custom_numbers(one)
    elif isinstance(value, float) and abs(value) > MAX_EXACT_NUMBER:
        raise InvalidArgument(
            "REQUEST_INVALID",
            "The event's data has a number that may have lost digits.",
            violations=(("data", f"send numbers beyond {MAX_EXACT_NUMBER:,} as text"),),
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
