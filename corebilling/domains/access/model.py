"""API keys: who may do what, for how long.

usable -> revoked
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from corebilling.errors import InvalidArgument


class Role(StrEnum):
    OWNER = "owner"
    BILLING_ADMIN = "billing_admin"
    OPERATOR = "operator"
    VIEWER = "viewer"
    PLATFORM_ADMIN = "platform_admin"


_READS = frozenset(
    {
        "api_key.read",
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
_OWNERSHIP = frozenset({"api_key.write"})
_PLATFORM = frozenset({"tenant.list", "tenant.write"})

PERMISSIONS: Mapping[str, frozenset[str]] = {
    Role.VIEWER: _READS,
    Role.OPERATOR: _READS | _OPERATIONS,
    Role.BILLING_ADMIN: _READS | _OPERATIONS | _BILLING,
    Role.OWNER: _READS | _OPERATIONS | _BILLING | _OWNERSHIP,
    Role.PLATFORM_ADMIN: _READS | _OPERATIONS | _BILLING | _OWNERSHIP | _PLATFORM,
}
"""What each role may do: the permissions that methods declare."""


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
