"""What a cycle bills beside its fees: which totals it takes in, and what they come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from billing_db import models
from billing_db import rating as rating_sql

from corebilling.domains.rating.measuring import Asked, TotalKey
from corebilling.domains.rating.model import (
    BilledUsage,
    Charge,
    ChargeKind,
    LateUsage,
    PricedItem,
    RatedRecords,
    decide_charges,
    goes_on,
    is_usage_due,
    served_span,
)
from corebilling.domains.rating.records import PricedRecords
from corebilling.values.aggregation import Aggregation
from corebilling.values.commitment import Committed
from corebilling.values.metering import FROM_RECORDS, metered_quantity
from corebilling.values.period import Period
from corebilling.values.price import BY_RECORD, Price
from corebilling.values.proration import Grain, Proration


@dataclass(frozen=True, slots=True)
class Contract:
    """What a subscription is and was made of, from when to when, and whose days count."""

    items: list[PricedItem]
    timezone: str
    service: Period
    committed: Sequence[Committed] | None
    corrected: dict[str, Price]
    """What periods of it were rated with again, by the price's id."""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Totals of the cycle's own full period, and `late` ones of others."""

    contract: Contract
    period: Period
    full_period: Period
    own: list[rating_sql.ListUnbilledUsageRow] = field(default_factory=list)
    late: list[rating_sql.ListUnbilledUsageRow] = field(default_factory=list)
    held: list[Asked] = field(default_factory=list)
    """Levels that hold on from before: nothing new was reported of them."""

    def total_keys(self) -> list[TotalKey]:
        return [(row.subscription_item_id, row.period_start) for row in (*self.own, *self.late)]

    def hold_on(self) -> None:
        known = set(self.total_keys())
        for item in self.contract.items:
            if item.aggregation != Aggregation.TIME_WEIGHTED:
                continue
            so_far = Period(self.full_period.start, self.period.end)
            span = served_span(item, so_far, self.contract.service)
            due = is_usage_due(item, self.period, self.full_period, self.contract.service)
            if due and (item.id, span.start) not in known:
                self.held.append(Asked(item.id, item.aggregation, None, span, self.full_period, span.start))

    def priced_records(self) -> list[PricedRecords]:
        """What the records must be looked at for by their price."""
        items = {item.id: item for item in self.contract.items}
        return [
            PricedRecords((item.id, row.period_start), item.price, row.aggregation)
            for row in (*self.own, *self.late)
            if (item := items[row.subscription_item_id]).price.model in BY_RECORD
        ]

    def asked(self) -> list[Asked]:
        """What only the records say."""
        asked = list(self.held)
        items = {item.id: item for item in self.contract.items}
        for row in (*self.own, *self.late):
            if row.aggregation in FROM_RECORDS:
                span = served_span(
                    items[row.subscription_item_id],
                    Period(row.period_start, row.period_end),
                    self.contract.service,
                )
                full_period = Period(row.full_period_start, row.full_period_end)
                asked.append(
                    Asked(
                        row.subscription_item_id,
                        row.aggregation,
                        row.transform,
                        span,
                        full_period,
                        row.period_start,
                    )
                )
        return asked


def take_in(
    cycle: models.BillingCycle, contract: Contract, rows: Sequence[rating_sql.ListUnbilledUsageRow]
) -> TakenIn:
    period = Period(cycle.period_start, cycle.period_end)
    full_period = Period(cycle.full_period_start, cycle.full_period_end)
    so_far = Period(full_period.start, period.end)
    taken = TakenIn(contract, period, full_period)
    items = {item.id: item for item in contract.items}
    for row in rows:
        item = items[row.subscription_item_id]
        # Recorded ahead of the clock, or in the instant of a change, usage may lie behind its item's end: it
        # is then billed by the part that it lies in.
        if row.period_start in period or (row.period_start in so_far and item.served.end > period.start):
            if not goes_on(item, period, full_period, contract.service):
                taken.own.append(row)
        elif row.settled:
            taken.late.append(row)
    if full_period.start < full_period.end:
        taken.hold_on()
    return taken


def decide(
    taken: TakenIn,
    measured: Mapping[TotalKey, Decimal],
    rated: Mapping[TotalKey, RatedRecords],
    billed: Mapping[str, Sequence[BilledUsage]],
    grain: Grain,
) -> list[Charge]:
    """The cycle's charges. What changed and comes to what was billed all the same gives none."""
    usage = {one.item_id: measured[one.key] for one in taken.held}
    records: dict[str, RatedRecords] = {}
    for row in taken.own:
        quantity, looked_at = (
            _quantity(row, measured),
            rated.get((row.subscription_item_id, row.period_start)),
        )
        if quantity != row.billed_quantity or looked_at is not None:
            usage[row.subscription_item_id] = quantity
        if looked_at is not None:
            records[row.subscription_item_id] = looked_at
    late = []
    for row in taken.late:
        quantity, looked_at = (
            _quantity(row, measured),
            rated.get((row.subscription_item_id, row.period_start)),
        )
        if quantity != row.billed_quantity or looked_at is not None:
            late.append(_late_usage(row, quantity, looked_at, taken.contract.corrected))
    contract = taken.contract
    charges = decide_charges(
        taken.period,
        taken.full_period,
        contract.items,
        usage,
        late,
        Proration(grain, contract.timezone),
        service=contract.service,
        billed=billed,
        records=records,
    )
    return [charge for charge in charges if charge.kind is not ChargeKind.ADJUSTMENT or _adjusts(charge)]


def _adjusts(charge: Charge) -> bool:
    return bool(charge.quantity or charge.amount)


def _quantity(row: rating_sql.ListUnbilledUsageRow, measured: Mapping[TotalKey, Decimal]) -> Decimal:
    if row.aggregation in FROM_RECORDS:
        return measured[row.subscription_item_id, row.period_start]
    return total_quantity(row)


def total_quantity(row: rating_sql.ListUnbilledUsageRow | rating_sql.ListPricedUsageRow) -> Decimal:
    """What a total comes to by itself."""
    quantity = metered_quantity(
        row.aggregation,
        row.transform,
        count=row.record_count,
        summed=row.quantity_sum,
        largest=row.quantity_max,
        smallest=row.quantity_min,
    )
    assert quantity is not None, "what only records say is never priced by totals"
    return quantity


def _late_usage(
    row: rating_sql.ListUnbilledUsageRow,
    quantity: Decimal,
    records: RatedRecords | None,
    corrected: Mapping[str, Price],
) -> LateUsage:
    return LateUsage(
        item_id=row.subscription_item_id,
        period=Period(row.period_start, row.period_end),
        quantity=quantity,
        billed_quantity=row.billed_quantity,
        full_period=Period(row.full_period_start, row.full_period_end),
        billed_amount=row.billed_amount,
        records=records,
    )
