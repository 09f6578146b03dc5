"""What a cycle bills beside its fees: which totals it takes in, and what they come to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from billing_db import models
from billing_db import rating as rating_sql

from corebilling.domains.rating.charging import decide_charges, decide_progressive
from corebilling.domains.rating.contracts import Contract
from corebilling.domains.rating.measuring import Asked, TotalKey
from corebilling.domains.rating.model import (
    BilledUsage,
    Charge,
    ChargeKind,
    InvoicedUsage,
    LateUsage,
    PricedItem,
    RatedRecords,
    goes_on,
    is_usage_due,
    served_span,
)
from corebilling.domains.rating.records import PricedRecords
from corebilling.values.aggregation import Aggregation
from corebilling.values.metering import FROM_RECORDS, quantity_of_total
from corebilling.values.period import Period
from corebilling.values.price import BY_RECORD, Price
from corebilling.values.proration import Grain, Proration

Assumed = Mapping[str, Decimal]
"""What usage is supposed to come to, by meter."""


@dataclass(frozen=True, slots=True)
class TakenIn:
    """Totals of the cycle's own full period, and `late` ones of others."""

    contract: Contract
    period: Period
    full_period: Period
    progressive: bool = False
    """A threshold's: it bills what totals say of usage so far, and leaves the rest to the period's end."""
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
    taken = TakenIn(contract, period, full_period, progressive=bool(cycle.threshold_minor))
    items = {item.id: item for item in contract.items}
    if taken.progressive:
        taken.own.extend(row for row in rows if row.period_start in so_far and _says_all(row, items))
        return taken
    for row in rows:
        item = items[row.subscription_item_id]
        # Recorded ahead of the clock, or in the instant of a change, usage may lie behind its item's end: it
        # is then billed by the part that it lies in. That of the instant in which service ends lies in the
        # part that ends with it.
        lies_in = row.period_start in period or (row.period_start >= period.end and not row.settled)
        if lies_in or (row.period_start in so_far and item.served.end > period.start):
            if not goes_on(item, period, full_period, contract.service):
                taken.own.append(row)
        elif row.settled:
            taken.late.append(row)
    if full_period.start < full_period.end:
        taken.hold_on()
    return taken


def _says_all(row: rating_sql.ListUnbilledUsageRow, items: Mapping[str, PricedItem]) -> bool:
    """Whether the total says by itself what it comes to."""
    by_record = items[row.subscription_item_id].price.model in BY_RECORD
    return not by_record and row.aggregation not in FROM_RECORDS


def decide(
    taken: TakenIn,
    measured: Mapping[TotalKey, Decimal],
    rated: Mapping[TotalKey, RatedRecords],
    billed: Mapping[str, Sequence[BilledUsage]],
    grain: Grain,
    assumed: Assumed,
) -> list[Charge]:
    """The cycle's charges. What changed and comes to what was billed all the same gives none."""
    if taken.progressive:
        return _decide_progressive(taken, grain)
    usage = {one.item_id: measured[one.key] for one in taken.held}
    records: dict[str, RatedRecords] = {}
    invoiced: dict[str, InvoicedUsage] = {}
    for row in taken.own:
        looked_at = rated.get((row.subscription_item_id, row.period_start))
        usage[row.subscription_item_id] = _quantity(row, measured)
        if looked_at is not None:
            records[row.subscription_item_id] = looked_at
        elif _is_invoiced(row):
            invoiced[row.subscription_item_id] = InvoicedUsage(row.billed_quantity, row.billed_amount)
    so_far = Period(taken.full_period.start, taken.period.end)
    for meter_code, quantity in assumed.items():
        last = taken.contract.last_item(meter_code, so_far)
        if last is not None and not goes_on(last, taken.period, taken.full_period, taken.contract.service):
            usage[last.id] = quantity
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
        invoiced=invoiced,
        records=records,
    )
    return [charge for charge in charges if charge.kind is not ChargeKind.ADJUSTMENT or _adjusts(charge)]


def _decide_progressive(taken: TakenIn, grain: Grain) -> list[Charge]:
    return decide_progressive(
        taken.period,
        taken.full_period,
        taken.contract.items,
        # What came late for a part that is settled is adjusted with the period's last invoice.
        {
            row.subscription_item_id: row.billed_quantity if row.settled else total_quantity(row)
            for row in taken.own
        },
        {
            row.subscription_item_id: InvoicedUsage(row.billed_quantity, row.billed_amount)
            for row in taken.own
            if _is_invoiced(row)
        },
        Proration(grain, taken.contract.timezone),
        service=taken.contract.service,
    )


def _is_invoiced(row: rating_sql.ListUnbilledUsageRow) -> bool:
    """Whether invoices have some of it: where all was taken back, what nothing costs, as a flat amount."""
    return bool(row.billed_quantity or row.billed_amount)


def _adjusts(charge: Charge) -> bool:
    return bool(charge.quantity or charge.amount)


def _quantity(row: rating_sql.ListUnbilledUsageRow, measured: Mapping[TotalKey, Decimal]) -> Decimal:
    if row.aggregation in FROM_RECORDS:
        return measured[row.subscription_item_id, row.period_start]
    return total_quantity(row)


def total_quantity(row: rating_sql.ListUnbilledUsageRow | rating_sql.ListPricedUsageRow) -> Decimal:
    """What a total comes to by itself."""
    quantity = quantity_of_total(row)
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
        corrected_price=corrected.get(row.corrected_price_id),
        records=records,
    )
