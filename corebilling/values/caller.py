"""Who calls, for which tenant, and with what rights."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Identified once at the door and passed down; nothing below asks for credentials again."""

    tenant_id: str
    actor: str
    role: str
    permissions: frozenset[str]
    peer: str = ""
    user_agent: str = ""
    correlation_id: str = ""
    traceparent: str = ""
