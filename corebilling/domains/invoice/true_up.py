"""True-ups: the lines that bring periods up to what their subscriptions committed to.

A period is trued up on its last invoice. Usage that comes late counts towards it too: what it makes up for of
an earlier true-up is given back with the adjustment, on the same invoice.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from billing_db import invoice as invoice_sql
from billing_db.models import BillingCycle

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice.draft import DraftLine
from corebilling.values.commitment import true_up_minor
from corebilling.values.currency import EXPONENTS
from corebilling.values.money import exact_amount
from corebilling.values.period import Period

TRUE_UP = "true_up"


@dataclass(frozen=True, slots=True)
class Invoiced:
    """A line, or several of one period, as far as a commitment goes by them."""

    period_start: datetime
    true_up: bool
    amount_minor: int


@dataclass(frozen=True, slots=True)
class CommittedPeriod:
    period: Period
    minimum_minor: int


class TrueUps:
    """What was invoiced for the periods of some subscriptions: `add` lines cycle by cycle, in their order."""

    def __init__(
        self, invoiced: Mapping[str, list[Invoiced]], periods: Mapping[str, Sequence[CommittedPeriod]]
    ) -> None:
        self._invoiced = invoiced
        self._periods = periods

    def add(self, cycle: BillingCycle, lines: Sequence[DraftLine], currency: str) -> list[DraftLine]:
        """The cycle's lines with those that true up its period, and earlier ones whose usage came late."""
        if cycle.minimum_minor is None:
            return list(lines)
        invoiced = self._invoiced[cycle.subscription_id]
        invoiced += [Invoiced(line.period_start, line.type == TRUE_UP, line.amount_minor) for line in lines]
        starts = [line.period_start for line in lines if line.type == "adjustment"]
        touched = [
            one
            for one in self._periods.get(cycle.subscription_id, ())
            if any(start in one.period for start in starts)
        ]
        own = Period(cycle.full_period_start, cycle.full_period_end)
        if cycle.minimum_minor:
            touched = [
                *(one for one in touched if one.period != own),
                CommittedPeriod(own, cycle.minimum_minor),
            ]
        added = [line for one in touched if (line := _line(cycle, one, invoiced, currency))]
        invoiced += [Invoiced(line.period_start, True, line.amount_minor) for line in added]
        return [*lines, *added]


async def load(
    tx: Transaction, cycles: Sequence[BillingCycle], adjusted: Mapping[str, Sequence[datetime]]
) -> TrueUps:
    """What lines of the cycles' subscriptions came to; nothing is read where nothing was ever committed.

    Args:
        adjusted: The beginnings of periods whose usage came late, by the cycle's id.
    """
    cycles = [cycle for cycle in cycles if cycle.minimum_minor is not None]
    if not cycles:
        return TrueUps({}, {})
    asked = [(cycle.subscription_id, start) for cycle in cycles for start in adjusted.get(cycle.id, ())]
    periods = await _periods(tx, asked) if asked else {}
    since = {cycle.subscription_id: cycle.full_period_start for cycle in reversed(cycles)}
    for subscription_id, committed in periods.items():
        since[subscription_id] = min(since[subscription_id], *(one.period.start for one in committed))
    invoiced: dict[str, list[Invoiced]] = defaultdict(list)
    rows = await invoice_sql.list_invoiced_periods(
        tx, tenant_id=tx.tenant_id, subscription_ids=list(since), since=list(since.values())
    )
    for row in rows:
        invoiced[row.subscription_id].append(Invoiced(row.period_start, row.true_up, row.amount_minor))
    return TrueUps(invoiced, periods)


async def _periods(
    tx: Transaction, asked: Sequence[tuple[str, datetime]]
) -> dict[str, list[CommittedPeriod]]:
    rows = await invoice_sql.list_committed_periods(
        tx,
        tenant_id=tx.tenant_id,
        subscription_ids=[subscription_id for subscription_id, _ in asked],
        instants=[start for _, start in asked],
    )
    periods: dict[str, list[CommittedPeriod]] = defaultdict(list)
    for row in rows:
        period = Period(row.full_period_start, row.full_period_end)
        periods[row.subscription_id].append(CommittedPeriod(period, row.minimum_minor))
    return periods


def _line(
    cycle: BillingCycle, committed: CommittedPeriod, invoiced: Sequence[Invoiced], currency: str
) -> DraftLine | None:
    within = [one for one in invoiced if one.period_start in committed.period]
    lines_minor = sum(one.amount_minor for one in within if not one.true_up)
    before_minor = sum(one.amount_minor for one in within if one.true_up)
    amount_minor = true_up_minor(committed.minimum_minor, lines_minor, before_minor)
    if not amount_minor:
        return None
    return DraftLine(
        type=TRUE_UP,
        description="Minimum commitment",
        period_start=committed.period.start,
        period_end=min(committed.period.end, cycle.period_end),
        quantity=Decimal(1),
        unit_amount=exact_amount(Fraction(amount_minor, 10 ** EXPONENTS[currency])),
        unit_size=Decimal(1),
        amount_minor=amount_minor,
        price_id="",
        subscription_item_id="",
        tiers=[],
        steps=[],
        tax_category="",
        subscription_id=cycle.subscription_id,
        evidence={
            "minimum_minor": committed.minimum_minor,
            "lines_minor": lines_minor,
            "trued_up_minor": before_minor,
        },
    )
