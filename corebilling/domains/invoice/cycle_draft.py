"""Drafts of the invoices of cycles: one for each, or for all that a customer wants on one."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import chain

from billing_db import rating as rating_sql
from billing_db import schedule as schedule_sql
from billing_db import subscription as subscription_sql
from billing_db import tax as tax_sql
from billing_db.models import BillingCycle, Charge

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice import draft, giving_back, true_up
from corebilling.domains.invoice.reckoning import Reckoning
from corebilling.domains.schedule.model import CycleState
from corebilling.errors import ResourceExhausted

Charges = Mapping[str, Sequence[Charge]]
"""By the cycle's id."""
_MOST_PENDING = 2000
"""Of a customer: a thousand subscriptions, each with a period that is over and one that runs."""


async def drafts(
    tx: Transaction, rules: Reckoning, cycles: Sequence[BillingCycle], charges: Charges
) -> list[draft.Draft]:
    """In the order of the cycles; consolidated ones of a customer that end together are in one. What comes to
    no line is on none."""
    currencies = await _currencies(tx, cycles, charges)
    categories = await _tax_categories(tx, [charge for cycle in cycles for charge in charges[cycle.id]])
    true_ups = await true_up.load(tx, cycles, {cycle.id: _adjusted(charges[cycle.id]) for cycle in cycles})
    groups = _groups(cycles, currencies)
    lines = {
        cycle.id: true_ups.add(
            cycle,
            draft.charge_lines(cycle.subscription_id, charges[cycle.id], categories, cycle.threshold_minor),
            currencies[cycle.id],
        )
        for group in groups
        for cycle in group
    }
    invoiced = await giving_back.load(tx, chain.from_iterable(lines.values()))
    made = []
    for group in groups:
        billed = [cycle for cycle in group if lines[cycle.id]]
        if billed:
            own = invoiced.settle([line for cycle in billed for line in lines[cycle.id]])
            one = draft.new_draft(tx, rules, _occasion(billed, currencies[group[0].id]), own, billed)
            invoiced.add(one)
            made.append(one)
    return made


async def together_with(tx: Transaction, cycle: BillingCycle) -> list[BillingCycle]:
    """The cycle, and those of other subscriptions that are to be on one invoice with it: in its order.

    Raises:
        ResourceExhausted: PREVIEW_LIMIT_REACHED when the customer has more than are looked at.
    """
    pending = await _pending(tx, cycle.customer_id) if cycle.consolidated else []
    others = (
        one
        for one in pending
        if one.period_end == cycle.period_end
        and one.subscription_id != cycle.subscription_id
        and not (one.trial or one.threshold_minor)
        and (one.period_start < one.period_end or one.state == CycleState.RATED)
    )
    return sorted((cycle, *others), key=lambda one: one.subscription_id)


async def _pending(tx: Transaction, customer_id: str) -> Sequence[BillingCycle]:
    found = await schedule_sql.list_pending_cycles(
        tx,
        tenant_id=tx.tenant_id,
        subscription_id="",
        together_customer_id=customer_id,
        limit_rows=_MOST_PENDING + 1,
    )
    if len(found) > _MOST_PENDING:
        raise preview_limit_reached(_MOST_PENDING)
    return found


def preview_limit_reached(limit: int) -> ResourceExhausted:
    return ResourceExhausted(
        "PREVIEW_LIMIT_REACHED",
        f"It takes more than {limit} steps or periods to get to the invoice; preview it when more of them "
        "are behind.",
        {"limit": str(limit)},
    )


async def charges_of(tx: Transaction, cycle_ids: Sequence[str]) -> Charges:
    charges: dict[str, list[Charge]] = defaultdict(list)
    for row in await rating_sql.list_charges(tx, tenant_id=tx.tenant_id, cycle_ids=cycle_ids):
        charges[row.cycle_id].append(row)
    return charges


def _groups(
    cycles: Sequence[BillingCycle], currencies: Mapping[str, str]
) -> Iterable[Sequence[BillingCycle]]:
    groups: dict[object, list[BillingCycle]] = defaultdict(list)
    for cycle in cycles:
        key: object = cycle.id
        if cycle.consolidated:
            key = (cycle.customer_id, cycle.period_end, currencies[cycle.id])
        groups[key].append(cycle)
    return groups.values()


async def _currencies(tx: Transaction, cycles: Sequence[BillingCycle], charges: Charges) -> Mapping[str, str]:
    """By the cycle's id: as its charges say, or if there are none, its subscription."""
    uncharged = {cycle.id: cycle.subscription_id for cycle in cycles if not charges[cycle.id]}
    currencies = {cycle.id: charges[cycle.id][0].currency for cycle in cycles if cycle.id not in uncharged}
    if uncharged:
        rows = await subscription_sql.list_subscription_currencies(
            tx, tenant_id=tx.tenant_id, ids=sorted(set(uncharged.values()))
        )
        paid_in = {row.id: row.currency for row in rows}
        currencies |= {cycle_id: paid_in[uncharged[cycle_id]] for cycle_id in uncharged}
    return currencies


def _occasion(group: Sequence[BillingCycle], currency: str) -> draft.Occasion:
    first = group[0]
    alone = len(group) == 1
    return draft.Occasion(
        customer_id=first.customer_id,
        currency=currency,
        period_start=first.full_period_start
        if first.threshold_minor
        else min(cycle.period_start for cycle in group),
        period_end=first.period_end,
        subscription_id=first.subscription_id if alone else "",
        cycle_id=first.id if alone else "",
    )


def _adjusted(charges: Sequence[Charge]) -> list[datetime]:
    return [charge.period_start for charge in charges if charge.kind == "adjustment"]


async def _tax_categories(tx: Transaction, charges: Sequence[Charge]) -> Mapping[str, str]:
    """By price. Lines keep theirs without any rates too: they may be invoiced again when there are some."""
    price_ids = sorted({charge.price_id for charge in charges})
    rows = await tax_sql.list_tax_categories(tx, tenant_id=tx.tenant_id, price_ids=price_ids)
    return {row.id: row.tax_category for row in rows}
