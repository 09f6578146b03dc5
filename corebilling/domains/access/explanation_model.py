"""Why a call is allowed or refused: the questions that the server asks, in its order, with their answers."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class AccountTerms(Protocol):
    """How those limited to one account may call a method."""

    @property
    def own(self) -> Collection[str]: ...

    @property
    def allowed(self) -> Collection[str]: ...


class MethodTerms(Protocol):
    """What a method declares of who may call it."""

    @property
    def permission(self) -> str: ...

    @property
    def tenant_scoped(self) -> bool: ...

    @property
    def account(self) -> AccountTerms | None: ...


@dataclass(frozen=True, slots=True)
class Holder:
    """Who would call. `problem` says why the credential opens nothing at all; '' when it is good."""

    actor: str
    role: str
    permissions: frozenset[str]
    scoped: bool
    problem: str
    limited: bool
    """To one account."""
    account: str
    of_platform: bool


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    passed: bool
    detail: str


def key_problem(*, revoked_at: datetime | None, expires_at: datetime | None, now: datetime) -> str:
    """Why a key opens nothing; '' when it does."""
    if revoked_at is not None:
        return f"revoked at {revoked_at:%Y-%m-%d %H:%M:%S} UTC"
    if expires_at is not None and expires_at <= now:
        return f"expired at {expires_at:%Y-%m-%d %H:%M:%S} UTC"
    return ""


def checks(
    holder: Holder, tenant_status: str, method: MethodTerms, roles: Mapping[str, frozenset[str]]
) -> Iterator[Check]:
    """In the order in which the server would ask; the first that fails decides."""
    yield Check("credential", not holder.problem, holder.problem or f"{holder.actor} is usable")
    if not holder.role:  # Of nobody there is nothing more to ask.
        return
    yield Check("tenant", tenant_status == "active", f"the tenant is {tenant_status}")
    if not method.tenant_scoped:
        yield Check(
            "platform", holder.of_platform, "the method is the platform's own, for keys of the platform alone"
        )
    yield _permission(holder, method.permission, roles)
    if holder.limited:
        yield _account(holder, method.account)


def _permission(holder: Holder, permission: str, roles: Mapping[str, frozenset[str]]) -> Check:
    if permission in holder.permissions:
        return Check("permission", True, f"the role {holder.role} has {permission}")
    if holder.scoped and permission in roles.get(holder.role, ()):
        return Check(
            "permission", False, f"the role {holder.role} has {permission}, but the key's scopes lack it"
        )
    having = ", ".join(role for role, permissions in roles.items() if permission in permissions)
    return Check(
        "permission", False, f"the role {holder.role} lacks {permission}, which these have: {having}"
    )


def _account(holder: Holder, terms: AccountTerms | None) -> Check:
    if terms is None:
        return Check("account", False, f"the method is not for the role {holder.role}")
    if not terms.own:
        return Check("account", True, "the method shows what everybody may know")
    named = ", ".join(terms.own)
    fields = ", ".join(sorted(terms.allowed))
    return Check(
        "account",
        bool(holder.account),
        f"{named} must belong to the customer with the external id {holder.account!r}; "
        f"they may set {fields} and nothing else",
    )
