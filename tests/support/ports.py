"""Ports for servers that come back to the same one."""

import random
import socket

_FIRST, _LAST = 20_000, 32_000
"""Below what systems give to outgoing connections: while a server is down, the client that looks for it must
not be given its port (it would even find itself there)."""


def free_port() -> int:
    while True:
        port = random.randint(_FIRST, _LAST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
