"""Grants of units, and how usage burns them down.

A grant holds from `effective_at` until it expires or is voided; what remains of it then is lost. Usage that
no grant covers is overage, which the grants that come next repay before anything else.

Customers are granted money (see `credit`) and not units: this is the rule by itself, a forecast of what is
left of grants that somebody else keeps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Grant:
    """Units that a customer may use; lower priorities are used first. `expires_at` None: it never does."""

    id: str
    priority: int
    created_at: datetime
    expires_at: datetime | None = None
    quantity: Decimal = Decimal(0)
    effective_at: datetime | None = None
    voided_at: datetime | None = None

    def ends_at(self) -> datetime:
        """From when on nothing of it is left."""
        return min(self.expires_at or _NEVER, self.voided_at or _NEVER)

    def starts_at(self) -> datetime:
        return self.effective_at or self.created_at


@dataclass(frozen=True, slots=True)
class Usage:
    at: datetime
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Burned:
    """What is left of each grant by its id, and the usage that none covered so far."""

    balances: Mapping[str, Decimal]
    overage_quantity: Decimal


_NEVER = datetime.max.replace(tzinfo=UTC)


def sort_grants(grants: Sequence[Grant], precision: timedelta | None = None) -> list[Grant]:
    """The grants in the order they are used: by priority, by expiry (never comes last), by creation, by id.

    Args:
        precision: Expiries that fall into one span of this length count as equal; None: only equal ones.
    """
    return sorted(
        grants,
        key=lambda grant: (
            grant.priority,
            _cut(grant.expires_at, precision) if grant.expires_at else _NEVER,
            grant.created_at,
            grant.id,
        ),
    )


def _cut(moment: datetime, precision: timedelta | None) -> datetime:
    return moment - (moment - _EPOCH) % precision if precision else moment


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def burn_grants(
    grants: Sequence[Grant], usage: Sequence[Usage], until: datetime, precision: timedelta | None = None
) -> Burned:
    """Burns the grants with the usage before `until`; the balances are those at that moment.

    At any one moment grants end first, then others start and repay overage, then usage counts.
    """
    ordered = sort_grants(grants, precision)
    balances = dict.fromkeys((grant.id for grant in grants), Decimal(0))
    overage = Decimal(0)
    turns = {grant.starts_at() for grant in grants} | {grant.ends_at() for grant in grants}
    moments = sorted(
        {moment for moment in turns if moment <= until} | {use.at for use in usage if use.at < until}
    )
    for moment in moments:
        for grant in ordered:
            if grant.ends_at() <= moment:
                balances[grant.id] = Decimal(0)
            elif grant.starts_at() == moment:
                balances[grant.id] = grant.quantity
        used = sum((use.quantity for use in usage if use.at == moment), Decimal(0))
        overage = _burn(ordered, balances, overage + used)
    return Burned(balances, overage)


def _burn(ordered: Sequence[Grant], balances: dict[str, Decimal], quantity: Decimal) -> Decimal:
    """Takes a quantity from the balances; what they do not cover."""
    for grant in ordered:
        used = min(balances[grant.id], quantity)
        balances[grant.id] -= used
        quantity -= used
    return quantity
