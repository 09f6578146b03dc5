"""What tests ask of a broker: a real server on loopback that can be ended in every way."""

from collections.abc import Mapping
from typing import Any, Protocol


class BrokerServer(Protocol):
    """Its address stays the same from start to start."""

    name: str

    @property
    def settings(self) -> Mapping[str, Any]:
        """What `Settings` needs to reach it."""
        ...

    def start(self) -> None:
        """Returns once it answers."""
        ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def wipe(self) -> None:
        """Ends it, deletes all it kept, and starts it anew."""
        ...


class LocalBroker:
    """No server: the bus within the process."""

    name = "local"
    settings: Mapping[str, Any] = {"event_bus_provider": "local"}

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def kill(self) -> None: ...

    def wipe(self) -> None: ...
