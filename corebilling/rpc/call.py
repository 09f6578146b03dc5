"""One call on its way through the concerns, and how the door finds it."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from corebilling.errors import BillingError
from corebilling.rpc.method import Method

Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class Credential:
    """A verified API key or token."""

    tenant_id: str
    actor: str
    role: str
    permissions: frozenset[str]
    account: str | None = None
    """Of those whom nothing but one account is open to: its `external_id`, or '' when it has none."""
    scoped: bool = False
    """A key that may do less than its role."""

    @property
    def account_digest(self) -> str:
        """What is kept apart by account is kept under this, as an account may be called by a mail address.

        '' of those who are not limited to one.
        """
        if self.account is None:
            return ""
        return hashlib.sha256(f"{self.tenant_id}\0{self.account}".encode()).hexdigest()


Send: TypeAlias = Callable[[Any], Awaitable[None]]
"""Sends one response of several, and returns when the connection has taken it."""


@dataclass(slots=True)
class Call:
    """What is known about a call so far."""

    method: Method
    context: Context
    headers: Mapping[str, str | bytes]
    correlation_id: str
    traceparent: str
    send: Send
    """How a servicer that streams responses sends one; concerns wrap it."""
    credential: Credential | None = None
    """Set by authentication."""
    tenant_id: str = ""
    """Set by authorization: the tenant that the (latest) request is about."""
    refusal: BillingError | None = None
    """Set by the errors concern: why the call failed."""


Behaviour: TypeAlias = Callable[[Any, Call], Awaitable[Any]]
"""Answers a request, or an iterator of requests."""

Concern: TypeAlias = Callable[[Method, Behaviour], Behaviour]
"""Wraps the behaviour of a method, once for all its calls."""

_current: ContextVar[Call] = ContextVar("corebilling_call")


def enter(call: Call) -> None:
    """Make it the current call of this task, which is the call's own: so nothing resets it."""
    _current.set(call)


def current() -> Call:
    """The call that the running task answers."""
    return _current.get()


def whose_call() -> tuple[str, str | None]:
    """The tenant, and the account of those limited to one, whose credential the running call came with."""
    credential = current().credential
    assert credential is not None, "authentication comes first"
    return credential.tenant_id, credential.account
