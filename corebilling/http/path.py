"""Which path leads where: templates as in google.api.http, whose variables are one segment each."""

from collections.abc import Iterator
from typing import Generic, TypeVar
from urllib.parse import unquote

T = TypeVar("T")


class VerbNotAllowed(Exception):
    """The path takes other verbs: `allowed`."""

    def __init__(self, allowed: frozenset[str]) -> None:
        super().__init__()
        self.allowed = allowed


class PathUnknown(Exception):
    """No template fits the path."""


class Collision(Exception):
    """Two templates fit the same paths; the message names one."""


class _Node(Generic[T]):
    """What a path may go on with, and what is there if it ends."""

    __slots__ = ("segments", "targets", "variable")

    def __init__(self) -> None:
        self.segments: dict[str, _Node[T]] = {}
        self.variable: _Node[T] | None = None
        self.targets: dict[str, tuple[tuple[str, ...], T]] = {}


class Paths(Generic[T]):
    """Where several templates fit, that one is found which takes the verb, and has plain segments first."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()

    def add(self, verb: str, template: str, target: T) -> None:
        """Raises Collision."""
        node, names = self._root, []
        for segment in _segments(template):
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.segments.setdefault(segment, _Node())
        if verb in node.targets:
            raise Collision(f"{verb} {template}")
        node.targets[verb] = (tuple(names), target)

    def find(self, verb: str, path: str) -> tuple[T, dict[str, str]]:
        """The target and the values of its variables, of a path as it was sent: percent-encoded.

        Raises:
            PathUnknown, VerbNotAllowed
        """
        try:
            segments = [unquote(segment, errors="strict") for segment in _segments(path)]
        except UnicodeDecodeError:
            raise PathUnknown from None
        allowed: set[str] = set()
        for node, values in _ends(self._root, segments, ()):
            if verb in node.targets:
                names, target = node.targets[verb]
                return target, dict(zip(names, values, strict=True))
            allowed |= node.targets.keys()
        if allowed:
            raise VerbNotAllowed(frozenset(allowed))
        raise PathUnknown


def _segments(path: str) -> list[str]:
    return path.removeprefix("/").split("/")


def _ends(
    node: _Node[T], segments: list[str], values: tuple[str, ...]
) -> Iterator[tuple[_Node[T], tuple[str, ...]]]:
    """All places that the rest of a path leads to, in the order of preference."""
    if not segments:
        if node.targets:
            yield node, values
        return
    segment, rest = segments[0], segments[1:]
    if segment in node.segments:
        yield from _ends(node.segments[segment], rest, values)
    if segment and node.variable is not None:
        yield from _ends(node.variable, rest, (*values, segment))
