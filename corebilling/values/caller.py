"""Who calls, for which tenant, and with what rights."""

from dataclasses import dataclass
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Caller:
    """Identified once at the door and passed down; nothing below asks for credentials again."""

    tenant_id: str
    actor: str
    role: str
    permissions: frozenset[str]
    account: str | None = None
    """Of those whom nothing but one account is open to: its `external_id`, or '' when it has none."""
    peer: str = ""
    user_agent: str = ""
    correlation_id: str = ""
    traceparent: str = ""


def ip_address(peer: str) -> str:
    """Of a peer as gRPC names it, as in ipv4:192.0.2.7:50123 or ipv6:%5B::1%5D:50123; '' of other kinds."""
    family, _, address = unquote(peer).partition(":")
    if family not in ("ipv4", "ipv6"):
        return ""
    return address.rpartition(":")[0].strip("[]")


def trace_id(traceparent: str) -> str:
    """Of a W3C traceparent, as in 00-<trace id>-<span id>-01; '' of none."""
    parts = traceparent.split("-")
    return parts[1] if len(parts) == 4 else ""
