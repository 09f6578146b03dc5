"""Requests that a world's owner is answered, and the same with something of others in them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any, cast

import protovalidate
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from corebilling.rpc.method import Method
from corebilling.values.ids import new_id
from tests.support.requests.filling import Filling, Path
from tests.support.requests.hints import HINTS, RIVALS
from tests.support.requests.references import kind_of, references
from tests.support.requests.world import World


class Requests:
    """Requests in a world: nothing in them belongs to another tenant until it is put there."""

    def __init__(self, world: World, now: datetime) -> None:
        self.world = world
        self._filling = Filling(now, self._known)

    async def valid(self, method: Method) -> Any:
        """One that is answered. Calls that use something up get something new each time."""
        request: Any = self._filling.message(descriptor_of(method))
        if method.name in HINTS:
            fields = await HINTS[method.name](self.world)
            for name in fields:
                request.ClearField(name)
            request.MergeFrom(method.request_class(**fields))
        assert not protovalidate.collect_violations(request), f"{method.full_name}: {request}"
        return request

    def with_foreign(self, request: Any, path: Path, value: str) -> Any:
        """A copy that names something else at the end of the path."""
        changed = type(request)()
        changed.CopyFrom(request)
        for rival in RIVALS.get(f"{request.DESCRIPTOR.name}.{spelled(path)}", ()):
            *way, name = rival.split(".")
            place = changed
            for step in way:
                place = getattr(place, step)
            place.ClearField(name)
        self._filling.put(changed, path, value)
        return changed

    def _known(self, field: FieldDescriptor) -> str | None:
        kind = kind_of(field)
        if kind is None:
            return self.world.marker
        if kind == "request":
            return new_id("req")
        return self.world.ids.get(kind)


def foreign_places(method: Method) -> Iterator[tuple[Path, str]]:
    """Where a request of the method names something, and what kind of thing."""
    return references(descriptor_of(method))


def descriptor_of(method: Method) -> Descriptor:
    return cast(Descriptor, method.request_class.DESCRIPTOR)


def spelled(path: Path) -> str:
    return ".".join(field.name for field in path)


def renewed(request: Message) -> Any:
    """The same request as a new one."""
    changed: Any = type(request)()
    changed.CopyFrom(request)
    if "request_id" in changed.DESCRIPTOR.fields_by_name:
        changed.request_id = new_id("req")
    return changed
