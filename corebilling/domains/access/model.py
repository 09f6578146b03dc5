"""API keys: who may do what, for how long.

usable -> rotated (ends with the overlap) -> revoked
usable -> revoked
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from enum import StrEnum

from corebilling.errors import FailedPrecondition, InvalidArgument, PermissionDenied

DEFAULT_OVERLAP = timedelta(days=1)
"""How long a rotated key works on."""


class Role(StrEnum):
    OWNER = "owner"
    BILLING_ADMIN = "billing_admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    PLATFORM_ADMIN = "platform_admin"
    CONSUMER = "consumer"
    CREATOR = "creator"


OF_ONE_ACCOUNT = frozenset({Role.CONSUMER, Role.CREATOR})
"""Roles of people to whom nothing but one account is open; by token alone, no key has them."""


_READS = frozenset(
    {
        "api_key.read",
        "audit.read",
        "branding.read",
        "catalog.read",
        "credit.read",
        "customer.read",
        "dead_letter.read",
        "discount.read",
        "event.read",
        "invoice.read",
        "ledger.read",
        "quota.read",
        "rating.read",
        "schedule.read",
        "subscription.read",
        "tax.read",
        "tenant.read",
        "usage.read",
        "webhook.read",
    }
)
_OPERATIONS = frozenset(
    {"dead_letter.write", "event.publish", "event.replay", "schedule.write", "webhook.write"}
)
_BILLING = frozenset(
    {
        "branding.write",
        "catalog.write",
        "credit.write",
        "customer.write",
        "discount.write",
        "invoice.pay",
        "invoice.write",
        "quota.write",
        "subscription.write",
        "tax.write",
        "usage.write",
    }
)
_OWNERSHIP = frozenset({"api_key.write", "customer.erase"})
_PLATFORM = frozenset({"tenant.list", "tenant.write"})

PERMISSIONS: Mapping[str, frozenset[str]] = {
    Role.VIEWER: _READS,
    Role.OPERATOR: _READS | _OPERATIONS,
    Role.BILLING_ADMIN: _READS | _OPERATIONS | _BILLING,
    Role.OWNER: _READS | _OPERATIONS | _BILLING | _OWNERSHIP,
    Role.PLATFORM_ADMIN: _READS | _OPERATIONS | _BILLING | _OWNERSHIP | _PLATFORM,
    Role.CONSUMER: frozenset(
        {
            "catalog.read",
            "credit.read",
            "customer.read",
            "customer.write",
            "invoice.read",
            "subscription.read",
            "subscription.write",
            "usage.read",
        }
    ),
    Role.CREATOR: frozenset({"catalog.read"}),
}
"""What each role may do: the permissions that methods declare. Roles of one account may call
only those methods that have an account policy too."""


def check_scopes(role: str, scopes: Iterable[str]) -> list[str]:
    """The scopes, in order.

    Raises:
        InvalidArgument: REQUEST_INVALID when the role lacks one of them.
    """
    wanted = sorted(scopes)
    if beyond := [scope for scope in wanted if scope not in PERMISSIONS[role]]:
        raise InvalidArgument(
            "REQUEST_INVALID",
            f"A key's scopes are permissions of its role, as in {min(PERMISSIONS[role])}.",
            violations=tuple(
                ("scopes", f"{scope!r} is no permission of the role {role}") for scope in beyond
            ),
        )
    return wanted


def check_within(wanted: frozenset[str], own: frozenset[str]) -> None:
    """Nobody makes, rotates or revokes a key that may do more than they may themselves.

    Raises:
        PermissionDenied: PERMISSION_MISSING, with the first one that they lack.
    """
    if beyond := wanted - own:
        raise PermissionDenied(
            "PERMISSION_MISSING",
            f"The key may do more than yours, which lacks the permission {min(beyond)}; use one that has it, "
            "or limit the scopes of a new key.",
            {"permission": min(beyond)},
        )


def allowed(role: str, scopes: Iterable[str]) -> frozenset[str]:
    """What a key may do; its role may have been narrowed since."""
    return PERMISSIONS[role] & (frozenset(scopes) or PERMISSIONS[role])


def decide_rotation(
    api_key_id: str,
    *,
    revoked: bool,
    replaced: bool,
    expires_at: datetime | None,
    overlap: timedelta,
    now: datetime,
) -> datetime:
    """When a key ends whose place another one takes.

    Raises:
        FailedPrecondition: API_KEY_NOT_ROTATABLE when it is revoked, rotated before, or has expired.
    """
    expired = expires_at is not None and expires_at <= now
    status = "revoked" if revoked else "rotated" if replaced else "expired" if expired else ""
    if status:
        raise FailedPrecondition(
            "API_KEY_NOT_ROTATABLE",
            f"The API key is {status}; create a new one.",
            {"api_key_id": api_key_id, "status": status},
        )
    ends_at = now + overlap
    return ends_at if expires_at is None else min(ends_at, expires_at)


def check_expiry(expires_at: datetime | None, now: datetime) -> datetime | None:
    """The moment itself; None for a key that does not expire.

    Raises:
        InvalidArgument: REQUEST_INVALID when it has passed.
    """
    if expires_at is not None and expires_at <= now:
        raise InvalidArgument(
            "REQUEST_INVALID",
            "The key would have expired already; choose a later moment.",
            violations=(("expires_at", "must lie in the future"),),
        )
    return expires_at
