"""What usage is charged: each item's by itself, or together with that of others of its price."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from corebilling.domains.rating.model import (
    WHOLE,
    Basis,
    BilledUsage,
    Charge,
    ChargeKind,
    Due,
    InvoicedUsage,
    LateUsage,
    PricedItem,
    RatedRecords,
    due_for,
    evidence,
    new_charge,
    served_span,
    serving_order,
    touches,
    with_amounts,
)
from corebilling.values.money import exact_amount, minus, plus
from corebilling.values.period import Period
from corebilling.values.price import (
    BY_RECORD,
    Price,
    Rated,
    Step,
    StepKind,
    difference,
    rate,
    settle,
)
from corebilling.values.price_together import Part, Together, are_priced_together, rate_served
from corebilling.values.proration import Proration


@dataclass(frozen=True, slots=True)
class Books:
    """Prices the usage of one cycle, each item's by itself or together with that of others."""

    period: Period
    full_period: Period
    items: Sequence[PricedItem]
    billed: Mapping[str, Sequence[BilledUsage]]
    records: Mapping[str, RatedRecords]
    terms: Proration
    service: Period
    invoiced: Mapping[str, InvoicedUsage]
    final: bool = True
    """The period is over. Before that no minimum is due, and all of its usage is priced."""

    def charge(
        self, used: Mapping[str, Decimal], late: Sequence[LateUsage]
    ) -> tuple[dict[str, Charge], list[Charge]]:
        """Charges by item, and adjustments for what came late in its order.

        What other items of the same price were charged for counts, in the order that they served in.
        """
        state: dict[tuple[str, Period], Together] = {}
        adjustments: dict[int, Charge] = {}
        charges: dict[str, Charge] = {}
        numbered = list(enumerate(late))
        for item in sorted(self.items, key=serving_order):
            for number, total in numbered:
                if total.item_id == item.id:
                    adjustments[number] = self._adjust(item, total, state)
            if item.id in used:
                charge = self._charge(item, used[item.id], state)
                if charge is not None:
                    charges[item.id] = charge
        return charges, [adjustments[number] for number, _ in numbered]

    def _charge(
        self, item: PricedItem, quantity: Decimal, state: dict[tuple[str, Period], Together]
    ) -> Charge | None:
        so_far = Period(self.full_period.start, self.period.end)
        served = served_span(item, so_far, self.service)
        item = with_amounts(item, self.items, self.full_period, self.service)
        due = self._due(item, self.full_period)
        basis = self._basis(due, self.full_period)
        if item.price.model in BY_RECORD:
            records = self.records.get(item.id, RatedRecords())
            rated = _rate_records(item.price, records, due.share)
            charge = new_charge(
                item, ChargeKind.USAGE, item.price.description, served, quantity, rated, basis
            )
            return replace(charge, records=records)
        before = self._before(item, self.full_period, state)
        share = due.share
        invoiced = self.invoiced.get(item.id)
        if before is None:
            rated = rate_served(item.price, quantity, share, final=self.final)
            charge = self._usage_charge(item, served, quantity, rated, basis)
            if invoiced is None:
                return charge
            return _rest(
                charge, rated, rate_served(item.price, invoiced.quantity, share, final=False), invoiced
            )
        part = Part(item.id, quantity, share)
        after = state[item.price.id, self.full_period] = before.with_part(part)
        old, new = (one.rated(item.price, final=self.final) for one in (before, after))
        rated = difference(new, old) if before.parts else new
        if before.parts and not quantity and not rated.amount and invoiced is None:
            return None
        basis = replace(basis, together=after, together_before=before)
        charge = self._usage_charge(item, served, quantity, rated, basis)
        # Cut to its decimals together with what was charged before: all of them add up to what all come to.
        amount_before = exact_amount(old.amount)
        amount = minus(exact_amount(new.amount), amount_before)
        charge = replace(charge, amount=amount, amount_before=amount_before)
        if invoiced is None:
            return charge
        invoiced_together = before.with_part(replace(part, quantity=invoiced.quantity))
        return _rest(charge, new, invoiced_together.rated(item.price, final=False), invoiced)

    def _usage_charge(
        self, item: PricedItem, served: Period, quantity: Decimal, rated: Rated, basis: Basis
    ) -> Charge:
        description = item.price.description if self.final else f"{item.price.description} (so far)"
        if self.final and item.id in self.invoiced:
            description = f"{item.price.description} (rest)"
        return new_charge(item, ChargeKind.USAGE, description, served, quantity, rated, basis)

    def _adjust(self, item: PricedItem, late: LateUsage, state: dict[tuple[str, Period], Together]) -> Charge:
        item = with_amounts(item, self.items, late.full_period, self.service)
        due = self._due(item, late.full_period)
        basis, share = self._basis(due, late.full_period), due.share
        before = self._before(item, late.full_period, state)
        if late.corrected_price is not None:
            item, before = replace(item, price=late.corrected_price), None
        if late.records is not None:
            old = Rated(
                Fraction(late.billed_amount), steps=(Step(StepKind.BILLED, Fraction(late.billed_amount)),)
            )
            new = _rate_records(item.price, late.records, share)
        elif before is None:
            old = rate_served(item.price, late.billed_quantity, share)
            new = rate_served(item.price, late.quantity, share)
        else:
            before = before.with_part(Part(item.id, late.billed_quantity, share))
            after = before.with_part(Part(item.id, late.quantity, share))
            state[item.price.id, late.full_period] = after
            old, new = before.rated(item.price), after.rated(item.price)
            basis = replace(basis, together=after, together_before=before)
        added = minus(late.quantity, late.billed_quantity)
        ahead = late.period.start >= self.period.start
        when = "corrected usage" if added < 0 else "usage ahead" if ahead else "late usage"
        description = f"{item.price.description} ({when})"
        rated = difference(new, old)
        charge = new_charge(item, ChargeKind.ADJUSTMENT, description, late.period, added, rated, basis)
        charge = replace(charge, records=late.records)
        if not late.billed_quantity and not late.billed_amount and basis.together is None:
            return charge  # Nothing of it was on an invoice.
        # Cut to its decimals, and rounded, together with what was charged before.
        amount_before = exact_amount(old.amount)
        amount = minus(exact_amount(new.amount), amount_before)
        return replace(charge, amount=amount, amount_before=amount_before)

    def _before(
        self, item: PricedItem, full_period: Period, state: Mapping[tuple[str, Period], Together]
    ) -> Together | None:
        """What items of the price are charged for in the full period so far; None of one that is alone."""
        found = state.get((item.price.id, full_period))
        if found is not None:
            return found
        same = [
            other
            for other in self.items
            if other.price.id == item.price.id and (other is item or self._is_beside(other, full_period))
        ]
        if item.price.model in BY_RECORD or not are_priced_together(item.aggregation, same):
            return None
        together = Together(item.aggregation)
        charged_by = self.period.start if full_period == self.full_period else full_period.end
        if not self.final:
            charged_by = full_period.start
        for other in sorted(same, key=serving_order):
            billed = [
                one.quantity for one in self.billed.get(other.id, ()) if one.period_start in full_period
            ]
            served_until = min(other.served.end, self.service.end, full_period.end)
            if served_until <= charged_by and (billed or touches(other.served, full_period)):
                quantity = billed[0] if billed else Decimal(0)
                together = together.with_part(Part(other.id, quantity, self._due(other, full_period).share))
        return together

    def _is_beside(self, other: PricedItem, full_period: Period) -> bool:
        """Whether the item served in the period or at its edge, or was billed for it all the same."""
        served = other.served.end >= full_period.start and other.served.start <= full_period.end
        return served or any(one.period_start in full_period for one in self.billed.get(other.id, ()))

    def _due(self, item: PricedItem, full_period: Period) -> Due:
        """Of the full period, what the item served."""
        served = served_span(item, full_period, self.service)
        return due_for(served, full_period, self.terms, self.service)

    def _basis(self, due: Due, full_period: Period) -> Basis:
        return Basis(full_period, due, self.terms)


def _rate_records(price: Price, records: RatedRecords, share: Fraction) -> Rated:
    """As `rate_served` does of quantities."""
    if share:
        return settle(price, Rated(records.amount), share=share)
    return settle(replace(price, minimum_amount=None), Rated(records.amount))


def _rest(charge: Charge, now: Rated, before: Rated, invoiced: InvoicedUsage) -> Charge:
    """What is left of a charge for all usage, by what progressive invoices really have of it: a cap may have
    been due for another share then."""
    left = difference(now, before)
    return replace(
        charge,
        quantity=minus(charge.quantity, invoiced.quantity),
        amount=minus(charge.amount, invoiced.amount),
        amount_before=plus(charge.amount_before, invoiced.amount),
        tiers=evidence(charge.price, left),
        steps=left.steps,
    )


def running_price(
    item: PricedItem,
    items: Sequence[PricedItem],
    full_period: Period,
    used: Mapping[str, Decimal],
    service: Period,
) -> Rated:
    """What the item's usage of a full period comes to so far, on top of that of those before it.

    `used` is by item. A minimum is due once the period is over.
    """
    price = with_amounts(item, items, full_period, service).price
    same = sorted((other for other in items if other.price.id == item.price.id), key=serving_order)
    before = Together(item.aggregation)
    if are_priced_together(item.aggregation, same):
        for other in same[: same.index(item)]:
            if other.id in used:
                before = before.with_part(Part(other.id, used[other.id], WHOLE))
    so_far = rate(price, before.with_part(Part(item.id, used[item.id], WHOLE)).quantity, final=False)
    return difference(so_far, rate(price, before.quantity, final=False)) if before.parts else so_far


def have_others_beside(items: Sequence[PricedItem]) -> list[str]:
    """The ids of those whose usage is priced together with that of other items."""
    metered = [item for item in items if item.price.metered]
    if len({item.price.id for item in metered}) == len(metered):  # As of nearly every subscription.
        return []
    by_price: dict[str, list[PricedItem]] = defaultdict(list)
    for item in metered:
        if item.price.model not in BY_RECORD:
            by_price[item.price.id].append(item)
    return [
        item.id
        for same in by_price.values()
        if are_priced_together(same[0].aggregation, same)
        for item in same
    ]
