"""What a billing cycle is charged: fees, usage, and what other periods turned out to cost more."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType

from corebilling.values.commitment import Committed, due_minor
from corebilling.values.exact import Fraction
from corebilling.values.money import exact_amount
from corebilling.values.period import ALWAYS, Period, next_midnight
from corebilling.values.price import (
    BY_RECORD,
    Price,
    PriceModel,
    Rated,
    Step,
    StepKind,
    TierCharge,
    difference,
    prorate,
    rate,
    settle,
)
from corebilling.values.price_matrix import CellCharge
from corebilling.values.price_percentage import RatedTransactions
from corebilling.values.price_together import Part, Together, are_priced_together, rate_served
from corebilling.values.proration import Grain, Proration


class ChargeKind(StrEnum):
    RECURRING = "recurring"
    USAGE = "usage"
    ADJUSTMENT = "adjustment"
    ONE_TIME = "one_time"


_BY_THE_SECOND = Proration()
_WHOLE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """A price with negotiated amounts, and when they are in force."""

    price: Price
    valid: Period


@dataclass(frozen=True, slots=True)
class PricedItem:
    """A subscription item; a metered one has no quantity of its own.

    `served` is when usage counts for it, `billed` when its fee is due. Of the `negotiated`, the first that is
    in force goes before the others and the price.
    """

    id: str
    price: Price
    quantity: Decimal | None
    served: Period = ALWAYS
    billed: Period = ALWAYS
    negotiated: tuple[Negotiated, ...] = ()
    aggregation: str = "sum"


@dataclass(frozen=True, slots=True)
class InvoicedUsage:
    """What progressive invoices have of an item's usage in the cycle's full period."""

    quantity: Decimal
    amount: Decimal


_NONE_INVOICED: Mapping[str, InvoicedUsage] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LateUsage:
    """Usage outside the cycle's own period: all of it, and what was billed.

    Of an earlier, settled period that grew since; or, when service ends, of the period that would have
    come: there it was reported ahead of the clock.
    """

    item_id: str
    period: Period
    quantity: Decimal
    billed_quantity: Decimal
    full_period: Period
    """That it lies in. One without length, or after the end of service, never came."""
    billed_amount: Decimal = Decimal(0)
    records: "RatedRecords | None" = None
    """Of a price that looks at single records: what all of it comes to."""
    corrected_price: Price | None = None
    """What the period was rated with again; None: the item's own price."""


@dataclass(frozen=True, slots=True)
class RatedRecords:
    """What a price that looks at single records charges for those of a period, before cap and minimum, and
    where that comes from."""

    amount: Fraction = Fraction(0)
    cells: tuple[CellCharge, ...] = ()
    transactions: RatedTransactions | None = None


_NO_RECORDS: Mapping[str, RatedRecords] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BilledUsage:
    """What an item was billed for, of its usage in the period that begins then."""

    period_start: datetime
    quantity: Decimal


_NONE_BILLED: Mapping[str, Sequence[BilledUsage]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Due:
    """A span of a full period, and the share of the full period that is due for it."""

    span: Period
    share: Fraction


@dataclass(frozen=True, slots=True)
class Basis:
    """What a charge was worked out from, beside its price and quantity: kept as its evidence.

    `before` is what earlier parts of the same period were charged for.
    """

    full_period: Period
    due: Due
    terms: Proration
    before: Due | None = None
    together: Together | None = None
    """Of usage that is priced together with that of other items: what all come to, this charge included."""
    together_before: Together | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """What one price comes to in one cycle. `amount` is exact, in major units of the price's currency.

    `amount_before` is what earlier parts of the same period came to, for the same fee or usage, or for usage
    that is priced together with this.
    """

    item_id: str
    kind: ChargeKind
    price: Price
    description: str
    period: Period
    quantity: Decimal
    amount: Decimal
    tiers: tuple[TierCharge, ...]
    basis: Basis
    steps: tuple[Step, ...] = ()
    amount_before: Decimal = Decimal(0)
    records: RatedRecords | None = None


def decide_charges(
    period: Period,
    full_period: Period,
    items: Sequence[PricedItem],
    usage: Mapping[str, Decimal],
    late: Sequence[LateUsage],
    terms: Proration = _BY_THE_SECOND,
    *,
    service: Period = ALWAYS,
    billed: Mapping[str, Sequence[BilledUsage]] = _NONE_BILLED,
    invoiced: Mapping[str, InvoicedUsage] = _NONE_INVOICED,
    records: Mapping[str, RatedRecords] = _NO_RECORDS,
) -> list[Charge]:
    """All that a cycle is charged for: fees, usage, and what other periods turned out to cost more.

    Args:
        period: The cycle's period; fees are prorated when it is shorter than `full_period`, and where items
            began or ended within it.
        items: Those that are charged once were not charged yet.
        full_period: A closing cycle's is empty: it has neither fees nor usage of its own.
        usage: The full period's quantities so far, by metered item; an item without any used nothing.
        late: Of periods that no other cycle bills.
        terms: How fees are prorated.
        service: From the subscription's first paid moment to its end.
        billed: What was billed before, by item: of those that have others of the same price beside them.
        invoiced: What progressive invoices have of the usage, by item.
        records: What usage comes to by prices that look at single records, by item.
    """
    books = _Books(period, full_period, items, billed, records, terms, service, invoiced)
    current = full_period.start < full_period.end
    items = [with_amounts(item, items, full_period, service) for item in items]
    due = {
        item.id: _common(period, item.billed)
        for item in items
        if current and _touches(item.billed, period) and not item.price.one_time
    }
    last = max((span.end for span in due.values()), default=period.end)
    used = {
        item.id: usage.get(item.id, Decimal(0))
        for item in items
        if item.price.metered
        and current
        and (item.id in usage or is_usage_due(item, period, full_period, service))
    }
    usage_charges, adjustments = books.charge(used, late)
    charges: list[Charge] = []
    for item in items if current else ():
        if item.price.one_time:
            if _is_due_once(item, period, service):
                charges.append(_one_time_charge(item, terms, service))
        elif item.id in usage_charges:
            charges.append(usage_charges[item.id])
        elif not item.price.metered and item.id in due:
            span = due[item.id]
            if terms.grain is Grain.NONE:  # What there is at the end is due for all of it.
                basis = Basis(full_period, Due(span, Fraction(period.start < span.end == last)), terms)
            else:
                before = _due_before(item, period, full_period, terms, service)
                basis = Basis(full_period, _due(span, full_period, terms, service), terms, before)
            if basis.due.share or span.start == span.end:
                charges.append(_recurring_charge(item, span, basis))
    return charges + adjustments


def decide_progressive(
    period: Period,
    full_period: Period,
    items: Sequence[PricedItem],
    usage: Mapping[str, Decimal],
    invoiced: Mapping[str, InvoicedUsage],
    terms: Proration = _BY_THE_SECOND,
    *,
    service: Period = ALWAYS,
) -> list[Charge]:
    """What usage costs before its period is over, as far as it is not billed; no minimum is due by then.

    Args:
        period: Of no length: up to when usage is billed.
        usage: Of all items that used some of the full period, by item.
        invoiced: What invoices have of it already.
    """
    books = _Books(
        period, full_period, items, _NONE_BILLED, _NO_RECORDS, terms, service, invoiced, final=False
    )
    charges, _ = books.charge(usage, ())
    return [charges[item.id] for item in items if item.id in charges and charges[item.id].quantity]


def with_amounts(
    item: PricedItem, items: Sequence[PricedItem], full_period: Period, service: Period
) -> PricedItem:
    """The item as it is priced in a full period: with the amounts that are in force when its price is first
    served there, by this item or another."""
    if not item.negotiated:
        return item
    if item.price.one_time:
        moment = max(item.served.start, service.start)
    else:
        begun = max(full_period.start, service.start)
        same = (other.served for other in items if other.price.id == item.price.id)
        moment = min((max(span.start, begun) for span in same if span.end > begun), default=begun)
    price = next((one.price for one in item.negotiated if moment in one.valid), item.price)
    return replace(item, price=price)


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
    same = sorted((other for other in items if other.price.id == item.price.id), key=_order)
    before = Together(item.aggregation)
    if are_priced_together(item.aggregation, same):
        for other in same[: same.index(item)]:
            if other.id in used:
                before = before.with_part(Part(other.id, used[other.id], _WHOLE))
    so_far = rate(price, before.with_part(Part(item.id, used[item.id], _WHOLE)).quantity, final=False)
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


def decide_minimum(
    period: Period,
    full_period: Period,
    committed: Sequence[Committed],
    terms: Proration = _BY_THE_SECOND,
    *,
    service: Period = ALWAYS,
) -> int:
    """What the full period comes to at least, in minor units: 0 unless the cycle's period is its last part.

    Each commitment is due for the share that a fee would be due for.
    """
    if full_period.start == full_period.end or period.end < min(full_period.end, service.end):
        return 0
    served = _common(full_period, service)
    last = max((_common(served, one.span).end for one in committed), default=served.end)

    def share(span: Period) -> Fraction:
        part = _common(served, span)
        if terms.grain is Grain.NONE:
            return Fraction(part.start < part.end == last)
        return _due(part, full_period, terms, service).share

    return due_minor(committed, share, terms.rounding)


def goes_on(item: PricedItem, period: Period, full_period: Period, service: Period) -> bool:
    """Whether the item serves in a later part of the full period: its usage is billed there, all together."""
    return period.end < min(full_period.end, service.end, item.served.end)


def served_span(item: PricedItem, period: Period, service: Period) -> Period:
    """What of the period the item served."""
    return _common(_common(period, service), item.served)


def is_usage_due(item: PricedItem, period: Period, full_period: Period, service: Period) -> bool:
    """Whether this cycle bills the item's usage though there be none: not if no time was served."""
    return (
        full_period.start < period.end
        and _touches(item.served, Period(full_period.start, period.end))
        and item.served.end > period.start
        and not goes_on(item, period, full_period, service)
    )


def _is_due_once(item: PricedItem, period: Period, service: Period) -> bool:
    """Whether the item was added by the period's end, and not taken back in the same instant or while nothing
    was due."""
    served = item.served
    return served.start <= period.end and max(served.start, service.start) < served.end


def _common(period: Period, span: Period) -> Period:
    if span.start <= period.start and span.end >= period.end:
        return period
    start = max(period.start, min(span.start, period.end))
    return Period(start, max(start, min(period.end, span.end)))


def _touches(span: Period, period: Period) -> bool:
    """Some of the span lies in the period; of one without length, it lies around it."""
    return (
        span.start < span.end
        and span.end > period.start
        and (span.start < period.end or span.start == period.start)
    )


def _due(span: Period, full_period: Period, terms: Proration, service: Period) -> Due:
    """The share of a full period's fee, cap or minimum that is due for a span of it."""
    if span == full_period and span.start < span.end:  # As of nearly every charge.
        return Due(span, _WHOLE)
    last_day_counts = span.end == service.end and terms.grain is Grain.DAY
    if last_day_counts and span.start < span.end < full_period.end:
        span = Period(span.start, min(next_midnight(span.end, terms.timezone), full_period.end))
    return Due(span, terms.share(span, full_period).factor)


def _due_before(
    item: PricedItem, period: Period, full_period: Period, terms: Proration, service: Period
) -> Due | None:
    """The share of the item's fee that earlier parts of the full period were charged, if any."""
    earlier = Period(max(full_period.start, service.start), period.start)
    if earlier.start >= earlier.end:
        return None
    due = _due(_common(earlier, item.billed), full_period, terms, service)
    return due if due.share else None


def _recurring_charge(item: PricedItem, period: Period, basis: Basis) -> Charge:
    price, share = item.price, basis.due.share
    quantity, whole = _rate_licensed(item)
    description = price.description if share == 1 else f"{price.description} (prorated)"
    rated = prorate(whole, share)
    charge = _charge(item, ChargeKind.RECURRING, description, period, quantity, rated, basis)
    if basis.before is None:
        return charge
    # Cut to its decimals together with what was charged before: the parts of a whole price add up to it.
    amount_before = exact_amount(whole.amount * basis.before.share)
    so_far = exact_amount(whole.amount * (basis.before.share + share))
    amount = exact_amount(Fraction(so_far) - Fraction(amount_before))
    return replace(charge, amount=amount, amount_before=amount_before)


def _one_time_charge(item: PricedItem, terms: Proration, service: Period) -> Charge:
    at = max(item.served.start, service.start)
    moment = Period(at, at)
    basis = Basis(moment, Due(moment, _WHOLE), terms)
    quantity, rated = _rate_licensed(item)
    return _charge(item, ChargeKind.ONE_TIME, item.price.description, moment, quantity, rated, basis)


def _rate_licensed(item: PricedItem) -> tuple[Decimal, Rated]:
    # A flat fee is due once, whatever the quantity.
    quantity = Decimal(1) if item.price.model is PriceModel.FLAT else item.quantity or Decimal(0)
    return quantity, rate(item.price, quantity)


@dataclass(frozen=True, slots=True)
class _Books:
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
        for item in sorted(self.items, key=_order):
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
            charge = _charge(item, ChargeKind.USAGE, item.price.description, served, quantity, rated, basis)
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
        amount = exact_amount(Fraction(exact_amount(new.amount)) - Fraction(amount_before))
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
        return _charge(item, ChargeKind.USAGE, description, served, quantity, rated, basis)

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
        added = exact_amount(Fraction(late.quantity) - Fraction(late.billed_quantity))
        ahead = late.period.start >= self.period.start
        when = "corrected usage" if added < 0 else "usage ahead" if ahead else "late usage"
        description = f"{item.price.description} ({when})"
        rated = difference(new, old)
        charge = _charge(item, ChargeKind.ADJUSTMENT, description, late.period, added, rated, basis)
        charge = replace(charge, records=late.records)
        if not late.billed_quantity and not late.billed_amount and basis.together is None:
            return charge  # Nothing of it was on an invoice.
        # Cut to its decimals, and rounded, together with what was charged before.
        amount_before = exact_amount(old.amount)
        amount = exact_amount(Fraction(exact_amount(new.amount)) - Fraction(amount_before))
        return replace(charge, amount=amount, amount_before=amount_before)

    def _before(
        self, item: PricedItem, full_period: Period, state: Mapping[tuple[str, Period], Together]
    ) -> Together | None:
        """What items of the price are charged for in the full period so far; None of one that is alone."""
        found = state.get((item.price.id, full_period))
        if found is not None:
            return found
        same = [other for other in self.items if other.price.id == item.price.id]
        if item.price.model in BY_RECORD or not are_priced_together(item.aggregation, same):
            return None
        together = Together(item.aggregation)
        charged_by = self.period.start if full_period == self.full_period else full_period.end
        if not self.final:
            charged_by = full_period.start
        for other in sorted(same, key=_order):
            billed = [
                one.quantity for one in self.billed.get(other.id, ()) if one.period_start in full_period
            ]
            served_until = min(other.served.end, self.service.end, full_period.end)
            if served_until <= charged_by and (billed or _touches(other.served, full_period)):
                quantity = billed[0] if billed else Decimal(0)
                together = together.with_part(Part(other.id, quantity, self._due(other, full_period).share))
        return together

    def _due(self, item: PricedItem, full_period: Period) -> Due:
        """Of the full period, what the item served."""
        served = served_span(item, full_period, self.service)
        return _due(served, full_period, self.terms, self.service)

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
        quantity=exact_amount(Fraction(charge.quantity) - Fraction(invoiced.quantity)),
        amount=exact_amount(Fraction(charge.amount) - Fraction(invoiced.amount)),
        amount_before=exact_amount(Fraction(charge.amount_before) + Fraction(invoiced.amount)),
        tiers=evidence(charge.price, left),
        steps=left.steps,
    )


def _order(item: PricedItem) -> tuple[datetime, str]:
    return item.served.start, item.id


def _charge(
    item: PricedItem,
    kind: ChargeKind,
    description: str,
    period: Period,
    quantity: Decimal,
    rated: Rated,
    basis: Basis,
) -> Charge:
    return Charge(
        item_id=item.id,
        kind=kind,
        price=item.price,
        description=description,
        period=period,
        quantity=quantity,
        amount=exact_amount(rated.amount),
        tiers=evidence(item.price, rated),
        basis=basis,
        steps=rated.steps,
    )


def evidence(price: Price, rated: Rated) -> tuple[TierCharge, ...]:
    """The tiers that explain an amount; none where quantity and unit amount already do."""
    explains_itself = price.model in (PriceModel.FLAT, PriceModel.PER_UNIT) and not price.included_quantity
    return () if explains_itself else rated.tiers
