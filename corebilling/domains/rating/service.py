"""Use cases of rating: a closed cycle becomes charges."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import reduce

from billing.event.v1 import event_pb2 as eventv1
from billing.rating.v1 import rating_events_pb2 as events
from billing.rating.v1 import rating_pb2
from billing.rating.v1 import rating_service_pb2 as rpc
from billing.types.v1 import money_pb2
from billing.usage.v1 import usage_events_pb2
from billing_db import metering as metering_sql
from billing_db import models
from billing_db import rating as rating_sql

from corebilling.db.tenant import tenant_profile
from corebilling.db.transaction import Transaction
from corebilling.domains.catalog.rows import find_price
from corebilling.domains.rating import charge_rows
from corebilling.domains.rating.charging import decide_minimum
from corebilling.domains.rating.contracts import Contract, load_contracts
from corebilling.domains.rating.intake import Assumed, decide, take_in, total_quantity
from corebilling.domains.rating.measuring import TotalKey, measure
from corebilling.domains.rating.model import BilledUsage, ChargeKind, evidence
from corebilling.domains.rating.prices import price_of
from corebilling.domains.rating.records import rate_one_record, rate_records, record_object
from corebilling.domains.rating.usage_charges import have_others_beside, running_price
from corebilling.domains.schedule.rows import find_cycle
from corebilling.events import outbox
from corebilling.mapping import decimal_text, instant, to_message
from corebilling.values.aggregation import Aggregation
from corebilling.values.money import exact_amount, plus
from corebilling.values.period import Period
from corebilling.values.price import (
    BY_RECORD,
    PriceModel,
    Rated,
    rate,
    settle,
)
from corebilling.values.proration import Grain, Proration

_NOTHING_ASSUMED: Assumed = {}

UnusedKey = tuple[TotalKey, datetime]
"""With the end of the full period."""


@dataclass(frozen=True, slots=True)
class RatedCycle:
    """What a cycle is charged, and what its full period comes to at least: see the cycles' table."""

    charges: Sequence[models.Charge]
    minimum_minor: int | None


@dataclass(slots=True)
class Work:
    """What some cycles come to."""

    rated: dict[str, RatedCycle] = field(default_factory=dict)
    """By the cycle's id."""
    unchanged: list[TotalKey] = field(default_factory=list)
    """Totals that changed and come to what was billed all the same."""
    unused: list[UnusedKey] = field(default_factory=list)
    """What is billed though nothing was reported of it: it has no totals."""
    weighs: bool = False
    """Whether there are levels that hold on from period to period."""


Reported = usage_events_pb2.UsageReported | usage_events_pb2.UsageRetracted | usage_events_pb2.UsageCorrected
"""What changed a period's total."""


class RatingService:
    """Rates cycles once they are closed; previews what they and single prices come to."""

    async def rate_cycles(
        self, tx: Transaction, causes: Mapping[str, eventv1.Event], assumed: Assumed = _NOTHING_ASSUMED
    ) -> None:
        """Charges closed cycles of the tenant, and announces it. Trials, and what was rated, are left alone.

        Args:
            causes: What each cycle is rated for, by the cycle's id.
            assumed: As of `rate`.

        The caller holds the customers' locks.
        """
        cycles = await rating_sql.claim_closed_cycles(tx, tenant_id=tx.tenant_id, ids=list(causes))
        for batch in _one_per_subscription(cycles):
            work = await _work_out(tx, batch, assumed)
            if work.unused:
                await _keep_unused(tx, work.unused)
            if work.weighs:
                await metering_sql.mark_trial_levels_rated(
                    tx, tenant_id=tx.tenant_id, subscription_ids=[cycle.subscription_id for cycle in batch]
                )
            rated = work.rated
            await charge_rows.insert(tx, [charge for cycle in batch for charge in rated[cycle.id].charges])
            if work.unchanged:
                await _mark_unchanged(tx, work.unchanged)
            await _mark_minimums(tx, rated)
            for cycle in batch:
                _announce_completed(tx, cycle, rated[cycle.id].charges, causes[cycle.id])

    async def rate(
        self,
        tx: Transaction,
        cycles: Sequence[models.BillingCycle],
        assumed: Assumed = _NOTHING_ASSUMED,
    ) -> dict[str, RatedCycle]:
        """What fees and usage so far come to, with what came late for earlier cycles; by the cycle's id.

        The cycles are of different subscriptions. The rows are not written yet.

        Args:
            assumed: What usage is supposed to come to, by meter; what others do is looked up.
        """
        return (await _work_out(tx, cycles, assumed)).rated

    async def announce_rated(self, tx: Transaction, event: eventv1.Event, reported: Reported) -> bool:
        """Announces what the period's usage comes to with the event; a trial's is passed over.

        Returns whether there are thresholds that it may have come to.

        The amount follows the total: it has an id of its own, and the total's versions.
        """
        row = await rating_sql.find_billed_price(
            tx,
            tenant_id=tx.tenant_id,
            subscription_item_id=reported.subscription_item_id,
            period_start=instant(reported.period.start),
        )
        if row is None or not reported.total_quantity or PriceModel(row.model) in BY_RECORD:
            return False
        if row.plain:
            # A minimum is due once the period is over.
            rated = rate(price_of(row, row.paid_currency), Decimal(reported.total_quantity), final=False)
        else:
            rated = await _running_price(tx, reported)
        outbox.append(
            tx,
            usage_events_pb2.UsageRated(
                subscription_id=reported.subscription_id,
                subscription_item_id=reported.subscription_item_id,
                period=reported.period,
                quantity=reported.total_quantity,
                amount=decimal_text(exact_amount(rated.amount)),
                currency=row.paid_currency,
            ),
            resource_id=f"{event.resource_id}:amount",
            resource_version=event.metadata.resource_version,
            ordering_key=event.metadata.ordering_key,
        )
        return row.has_thresholds

    async def list_charges(self, tx: Transaction, request: rpc.ListChargesRequest) -> rpc.ListChargesResponse:
        cycle = await find_cycle(tx, request.cycle_id)
        rows = await rating_sql.list_charges(tx, tenant_id=tx.tenant_id, cycle_ids=[cycle.id])
        return rpc.ListChargesResponse(charges=(to_message(row, rating_pb2.Charge) for row in rows))

    async def preview_price(
        self, tx: Transaction, request: rpc.PreviewPriceRequest
    ) -> rpc.PreviewPriceResponse:
        row = await find_price(tx, request.price_id)
        price = price_of(row, request.currency or row.currency)
        records = None
        if price.model in BY_RECORD:
            records = rate_one_record(price, Decimal(request.quantity), request.properties)
            rated = settle(price, Rated(records.amount))
        else:
            rated = rate(price, Decimal(request.quantity))
        return rpc.PreviewPriceResponse(
            amount=decimal_text(exact_amount(rated.amount)),
            currency=price.currency,
            tiers=(money_pb2.TierCharge(**charge_rows.tier_object(tier)) for tier in evidence(price, rated)),
            steps=(money_pb2.ChargeStep(**charge_rows.step_object(step)) for step in rated.steps),
            by_record=money_pb2.RecordEvidence(**record_object(price, records)) if records else None,
        )


def _one_per_subscription(cycles: Sequence[models.BillingCycle]) -> Iterator[list[models.BillingCycle]]:
    """In rounds, older cycles first: what one bills is late usage for the next unless written before."""
    rounds: list[list[models.BillingCycle]] = []
    seen: Counter[str] = Counter()
    for cycle in cycles:
        turn = seen[cycle.subscription_id]
        seen[cycle.subscription_id] += 1
        if turn == len(rounds):
            rounds.append([])
        rounds[turn].append(cycle)
    yield from rounds


async def _work_out(tx: Transaction, cycles: Sequence[models.BillingCycle], assumed: Assumed) -> Work:
    subscription_ids = [cycle.subscription_id for cycle in cycles]
    rows = await rating_sql.list_unbilled_usage(
        tx,
        tenant_id=tx.tenant_id,
        subscription_ids=subscription_ids,
        period_starts=[cycle.period_start for cycle in cycles],
        full_period_starts=[cycle.full_period_start for cycle in cycles],
        period_ends=[cycle.period_end for cycle in cycles],
    )
    since = _since(cycles, rows)
    corrected: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if row.corrected_price_id:
            corrected[row.subscription_id].add(row.corrected_price_id)
    contracts = await load_contracts(tx, since, {row.subscription_item_id for row in rows}, corrected)
    billed = await _billed(tx, contracts, since)
    grain = (await tenant_profile(tx)).proration_grain
    usage: dict[str, list[rating_sql.ListUnbilledUsageRow]] = defaultdict(list)
    for row in rows:
        usage[row.subscription_id].append(row)
    inputs = {
        cycle.id: take_in(cycle, contracts[cycle.subscription_id], usage[cycle.subscription_id])
        for cycle in cycles
    }
    asked = [one for taken in inputs.values() for one in taken.asked()]
    measured = await measure(tx, asked) if asked else {}
    priced = [one for taken in inputs.values() for one in taken.priced_records()]
    looked_at = await rate_records(tx, priced) if priced else {}
    totals = {(row.subscription_item_id, row.period_start): row for row in rows}
    work = Work(weighs=any(one.aggregation == Aggregation.TIME_WEIGHTED for one in asked))
    for cycle in cycles:
        taken = inputs[cycle.id]
        charges = decide(taken, measured, looked_at, billed, grain, assumed)
        work.rated[cycle.id] = RatedCycle(
            [
                charge_rows.row_of(tx, cycle.id, charge, totals.get((charge.item_id, charge.period.start)))
                for charge in charges
            ],
            _minimum(cycle, taken.contract, grain),
        )
        charged = {(charge.item_id, charge.period.start) for charge in charges}
        if not taken.progressive:
            work.unchanged += [key for key in taken.total_keys() if key not in charged]
        work.unused += [(one.key, one.full_period.end) for one in taken.held]
        work.unused += [
            ((charge.item_id, charge.period.start), charge.basis.full_period.end)
            for charge in charges
            if charge.kind is ChargeKind.USAGE
            and charge.amount
            and (charge.item_id, charge.period.start) not in totals
        ]
    return work


def _since(
    cycles: Sequence[models.BillingCycle], rows: Sequence[rating_sql.ListUnbilledUsageRow]
) -> dict[str, datetime]:
    """By subscription, when the first of the full periods begins that are charged for."""
    since = {cycle.subscription_id: cycle.full_period_start for cycle in cycles}
    for row in rows:
        since[row.subscription_id] = min(since[row.subscription_id], row.full_period_start)
    return since


async def _billed(
    tx: Transaction, contracts: Mapping[str, Contract], since: Mapping[str, datetime]
) -> dict[str, list[BilledUsage]]:
    """What was billed before, by item, of those that are priced together with others."""
    ids = {key: have_others_beside(contract.items) for key, contract in contracts.items()}
    billed: dict[str, list[BilledUsage]] = defaultdict(list)
    if any(ids.values()):
        for row in await rating_sql.list_priced_usage(
            tx,
            tenant_id=tx.tenant_id,
            item_ids=[item_id for several in ids.values() for item_id in several],
            since=min(since[key] for key, several in ids.items() if several),
        ):
            billed[row.subscription_item_id].append(BilledUsage(row.period_start, row.billed_quantity))
    return billed


async def _running_price(tx: Transaction, reported: Reported) -> Rated:
    """What the period's usage of an item comes to, on top of that of items before it."""
    start = instant(reported.period.start)
    found = await rating_sql.find_full_period(
        tx, tenant_id=tx.tenant_id, subscription_id=reported.subscription_id, at=start
    )
    period = Period(found.full_period_start, found.full_period_end) if found else Period(start, start)
    contracts = await load_contracts(
        tx, {reported.subscription_id: period.start}, {reported.subscription_item_id}, {}
    )
    contract = contracts[reported.subscription_id]
    item = next(item for item in contract.items if item.id == reported.subscription_item_id)
    rows = await rating_sql.list_priced_usage(
        tx, tenant_id=tx.tenant_id, item_ids=have_others_beside(contract.items), since=period.start
    )
    used = {row.subscription_item_id: total_quantity(row) for row in rows if row.period_start in period}
    used[item.id] = Decimal(reported.total_quantity)
    return running_price(item, contract.items, period, used, contract.service)


def _minimum(cycle: models.BillingCycle, contract: Contract, grain: Grain) -> int | None:
    if contract.committed is None:
        return None
    return decide_minimum(
        Period(cycle.period_start, cycle.period_end),
        Period(cycle.full_period_start, cycle.full_period_end),
        contract.committed,
        Proration(grain, contract.timezone),
        service=contract.service,
    )


async def _mark_minimums(tx: Transaction, rated: Mapping[str, RatedCycle]) -> None:
    minimums = {key: one.minimum_minor for key, one in rated.items() if one.minimum_minor is not None}
    if minimums:
        await rating_sql.mark_cycle_minimums(
            tx, tenant_id=tx.tenant_id, ids=list(minimums), minimums_minor=list(minimums.values())
        )


def _announce_completed(
    tx: Transaction, cycle: models.BillingCycle, charges: Sequence[models.Charge], cause: eventv1.Event
) -> None:
    amount = reduce(plus, (charge.amount for charge in charges), Decimal(0))
    outbox.append(
        tx,
        events.RatingCompleted(
            cycle_id=cycle.id,
            subscription_id=cycle.subscription_id,
            customer_id=cycle.customer_id,
            charge_count=len(charges),
            currency=charges[0].currency if charges else "",
            amount=decimal_text(amount),
        ),
        resource_id=cycle.id,
        resource_version=cycle.version,
        ordering_key=cycle.customer_id,
        cause=cause,
    )


async def _keep_unused(tx: Transaction, unused: Sequence[UnusedKey]) -> None:
    """Gives what is billed unused the totals that its charges are noted in."""
    await metering_sql.insert_unused_totals(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_ids=[item_id for (item_id, _), _ in unused],
        period_starts=[start for (_, start), _ in unused],
        full_period_ends=[end for _, end in unused],
    )


async def _mark_unchanged(tx: Transaction, totals: Sequence[TotalKey]) -> None:
    await rating_sql.mark_usage_unchanged(
        tx,
        tenant_id=tx.tenant_id,
        subscription_item_ids=[item_id for item_id, _ in totals],
        period_starts=[period_start for _, period_start in totals],
    )
