"""What a billing cycle is charged: fees, usage, and what other periods turned out to cost more."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from corebilling.domains.rating.model import (
    BY_THE_SECOND,
    NO_RECORDS,
    NONE_BILLED,
    NONE_INVOICED,
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
    common_span,
    due_for,
    is_usage_due,
    new_charge,
    touches,
    with_amounts,
)
from corebilling.domains.rating.usage_charges import Books
from corebilling.values.commitment import Committed, due_minor
from corebilling.values.money import exact_amount
from corebilling.values.period import ALWAYS, Period
from corebilling.values.price import (
    PriceModel,
    Rated,
    prorate,
    rate,
)
from corebilling.values.proration import Grain, Proration


def decide_charges(
    period: Period,
    full_period: Period,
    items: Sequence[PricedItem],
    usage: Mapping[str, Decimal],
    late: Sequence[LateUsage],
    terms: Proration = BY_THE_SECOND,
    *,
    service: Period = ALWAYS,
    billed: Mapping[str, Sequence[BilledUsage]] = NONE_BILLED,
    invoiced: Mapping[str, InvoicedUsage] = NONE_INVOICED,
    records: Mapping[str, RatedRecords] = NO_RECORDS,
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
    books = Books(period, full_period, items, billed, records, terms, service, invoiced)
    current = full_period.start < full_period.end
    items = [with_amounts(item, items, full_period, service) for item in items]
    due = {
        item.id: common_span(period, item.billed)
        for item in items
        if current and touches(item.billed, period) and not item.price.one_time
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
                basis = Basis(full_period, due_for(span, full_period, terms, service), terms, before)
            if basis.due.share or span.start == span.end:
                charges.append(_recurring_charge(item, span, basis))
    return charges + adjustments


def decide_progressive(
    period: Period,
    full_period: Period,
    items: Sequence[PricedItem],
    usage: Mapping[str, Decimal],
    invoiced: Mapping[str, InvoicedUsage],
    terms: Proration = BY_THE_SECOND,
    *,
    service: Period = ALWAYS,
) -> list[Charge]:
    """What usage costs before its period is over, as far as it is not billed; no minimum is due by then.

    Args:
        period: Of no length: up to when usage is billed.
        usage: Of all items that used some of the full period, by item.
        invoiced: What invoices have of it already.
    """
    books = Books(period, full_period, items, NONE_BILLED, NO_RECORDS, terms, service, invoiced, final=False)
    charges, _ = books.charge(usage, ())
    return [charges[item.id] for item in items if item.id in charges and charges[item.id].quantity]


def decide_minimum(
    period: Period,
    full_period: Period,
    committed: Sequence[Committed],
    terms: Proration = BY_THE_SECOND,
    *,
    service: Period = ALWAYS,
) -> int:
    """What the full period comes to at least, in minor units: 0 unless the cycle's period is its last part.

    Each commitment is due for the share that a fee would be due for.
    """
    if full_period.start == full_period.end or period.end < min(full_period.end, service.end):
        return 0
    served = common_span(full_period, service)
    last = max((common_span(served, one.span).end for one in committed), default=served.end)

    def share(span: Period) -> Fraction:
        part = common_span(served, span)
        if terms.grain is Grain.NONE:
            return Fraction(part.start < part.end == last)
        return due_for(part, full_period, terms, service).share

    return due_minor(committed, share, terms.rounding)


def _is_due_once(item: PricedItem, period: Period, service: Period) -> bool:
    """Whether the item was added by the period's end, and not taken back in the same instant or while nothing
    was due."""
    served = item.served
    return served.start <= period.end and max(served.start, service.start) < served.end


def _due_before(
    item: PricedItem, period: Period, full_period: Period, terms: Proration, service: Period
) -> Due | None:
    """The share of the item's fee that earlier parts of the full period were charged, if any."""
    earlier = Period(max(full_period.start, service.start), period.start)
    if earlier.start >= earlier.end:
        return None
    due = due_for(common_span(earlier, item.billed), full_period, terms, service)
    return due if due.share else None


def _recurring_charge(item: PricedItem, period: Period, basis: Basis) -> Charge:
    price, share = item.price, basis.due.share
    quantity, whole = _rate_licensed(item)
    description = price.description if share == 1 else f"{price.description} (prorated)"
    rated = prorate(whole, share)
    charge = new_charge(item, ChargeKind.RECURRING, description, period, quantity, rated, basis)
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
    basis = Basis(moment, Due(moment, WHOLE), terms)
    quantity, rated = _rate_licensed(item)
    return new_charge(item, ChargeKind.ONE_TIME, item.price.description, moment, quantity, rated, basis)


def _rate_licensed(item: PricedItem) -> tuple[Decimal, Rated]:
    # A flat fee is due once, whatever the quantity.
    quantity = Decimal(1) if item.price.model is PriceModel.FLAT else item.quantity or Decimal(0)
    return quantity, rate(item.price, quantity)
