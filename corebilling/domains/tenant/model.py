"""Tenants: companies that bill their customers through the platform.

active -> suspended -> active, and either -> closed
"""

from datetime import datetime
from enum import StrEnum

from corebilling.errors import InvalidArgument
from corebilling.values.clock import EARLIEST, LATEST


class TenantMode(StrEnum):
    LIVE = "live"
    SANDBOX = "sandbox"


def check_clock(mode: str, clock_at: datetime | None) -> datetime | None:
    """Where the tenant's test clock begins; None for live tenants, who go by the wall clock.

    Raises:
        InvalidArgument: TENANT_CLOCK_INVALID when a sandbox tenant lacks it or a live one has it, or when it
            lies outside of business time.
    """
    if (mode == TenantMode.SANDBOX) != (clock_at is not None):
        raise InvalidArgument(
            "TENANT_CLOCK_INVALID", "Set clock_time for a sandbox tenant, and leave it out for a live one."
        )
    if clock_at is not None and not EARLIEST <= clock_at <= LATEST:
        raise InvalidArgument(
            "TENANT_CLOCK_INVALID", f"A clock begins between {EARLIEST.date()} and {LATEST.date()}."
        )
    return clock_at
