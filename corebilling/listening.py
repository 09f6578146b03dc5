"""Why a server cannot listen where it was told to."""

import errno
import socket
from typing import Any

_REASONS = {
    errno.EADDRINUSE: "the address is in use: stop what listens there",
    errno.EACCES: "this user may not: ports below 1024 are the system's",
    errno.EADDRNOTAVAIL: "this machine has no such address: see HOST",
}


class AddressUnavailable(Exception):
    """The server cannot listen there; the message names the address, why, and the setting of its port."""

    def __init__(self, host: str, port: int, setting: str, error: OSError) -> None:
        reason = _REASONS.get(error.errno or 0) or error.strerror or str(error)
        super().__init__(f"cannot listen on {host}:{port}: {reason}, or set {setting}")


def check_free(host: str, port: int, setting: str) -> None:
    """For servers that keep to themselves, or print, why they cannot listen.

    Raises:
        AddressUnavailable: None of the addresses that the host has can be listened on.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        errors = [_probe(family, address) for family, _, _, _, address in found]
    except OSError as error:
        raise AddressUnavailable(host, port, setting, error) from None
    first = errors[0]
    if first is not None and all(errors):
        raise AddressUnavailable(host, port, setting, first)


def _probe(family: int, address: Any) -> OSError | None:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen()
    except OSError as error:
        return error
    return None
