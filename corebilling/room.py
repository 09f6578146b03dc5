"""How much of something is taken at once, and that nobody takes all of it."""

from collections.abc import Hashable
from typing import Final

import structlog

from corebilling.errors import ResourceExhausted

_RETRY_S: Final = 1.0

_log = structlog.get_logger()


class Room:
    """Room for so many calls, or bytes: a tenant may take as much as it leaves free for others.

    That is half of it when nobody else is there, then half of the rest; as calls end it evens out, to a third
    for each of two. So it is within a tenant: those who are limited to accounts may together take as much as
    they leave to their tenant, a third of all when nobody else is there; and so it is among them, with a
    quarter for one alone.
    """

    def __init__(self, what: str, size: int) -> None:
        self._what = what
        self._size = size
        self._taken = 0
        self._by: dict[Hashable, int] = {}
        self._refused: set[Hashable] = set()

    def take(self, tenant_id: str, account: str | None, amount: int = 1) -> None:
        """Raises ResourceExhausted: OVERLOADED, TENANT_OVERLOADED."""
        free = self._size - self._taken
        if amount > free:
            raise self._refusal("OVERLOADED", "", self._size)
        shares = _shares(tenant_id, account)
        for share in shares:
            taken = self._by.get(share, 0)
            if taken + amount > free:
                raise self._refusal("TENANT_OVERLOADED", tenant_id, taken)
            free -= taken
        for share in shares:
            self._by[share] = self._by.get(share, 0) + amount
        self._taken += amount

    def give_back(self, tenant_id: str, account: str | None, amount: int = 1) -> None:
        self._taken -= amount
        for share in _shares(tenant_id, account):
            self._lower(share, amount)
        # Only then, so that the log has a line for an overload and not for each refusal of it.
        if self._refused and self._taken <= self._size // 4:
            self._refused.clear()

    def _lower(self, who: Hashable, amount: int) -> None:
        left = self._by[who] - amount
        if left:
            self._by[who] = left
        else:
            del self._by[who]

    def _refusal(self, reason: str, tenant_id: str, limit: int) -> ResourceExhausted:
        if tenant_id not in self._refused:
            self._refused.add(tenant_id)
            _log.warning(reason.lower(), what=self._what, limit=limit, tenant_id=tenant_id)
        whose = "from you, since others need room too" if tenant_id else "from everybody together"
        return ResourceExhausted(
            reason,
            f"Too many {self._what} at once {whose}; back off and repeat with the same request id.",
            {"what": self._what, "limit": str(limit)},
            retry_after_s=_RETRY_S,
        )


def _shares(tenant_id: str, account: str | None) -> tuple[Hashable, ...]:
    """What it counts for: each lies within the one before."""
    return (tenant_id,) if account is None else (tenant_id, (tenant_id,), (tenant_id, account))
