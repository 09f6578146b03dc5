"""Charges, what they are worked out from, and the spans of time that they are for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from types import MappingProxyType

from corebilling.values.money import exact_amount
from corebilling.values.period import ALWAYS, Period, next_midnight
from corebilling.values.price import (
    Price,
    PriceModel,
    Rated,
    Step,
    TierCharge,
)
from corebilling.values.price_matrix import CellCharge
from corebilling.values.price_percentage import RatedTransactions
from corebilling.values.price_together import Together
from corebilling.values.proration import Grain, Proration


class ChargeKind(StrEnum):
    RECURRING = "recurring"
    USAGE = "usage"
    ADJUSTMENT = "adjustment"
    ONE_TIME = "one_time"


BY_THE_SECOND = Proration()
WHOLE = Fraction(1)


@dataclass(frozen=True, slots=True)
class Negotiated:
    """A price with negotiated amounts, and when they are in force."""

    price: Price
    valid: Period


@dataclass(slots=True)  # Not frozen: that takes three times as long, and each invoice has many.
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


NONE_INVOICED: Mapping[str, InvoicedUsage] = MappingProxyType({})


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


NO_RECORDS: Mapping[str, RatedRecords] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class BilledUsage:
    """What an item was billed for, of its usage in the period that begins then."""

    period_start: datetime
    quantity: Decimal


NONE_BILLED: Mapping[str, Sequence[BilledUsage]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Due:
    """A span of a full period, and the share of the full period that is due for it."""

    span: Period
    share: Fraction


@dataclass(slots=True)  # Not frozen: that takes three times as long, and each invoice has many.
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


@dataclass(slots=True)  # Not frozen: that takes three times as long, and each invoice has many.
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


def goes_on(item: PricedItem, period: Period, full_period: Period, service: Period) -> bool:
    """Whether the item serves in a later part of the full period: its usage is billed there, all together."""
    return period.end < min(full_period.end, service.end, item.served.end)


def served_span(item: PricedItem, period: Period, service: Period) -> Period:
    """What of the period the item served."""
    return common_span(common_span(period, service), item.served)


def is_usage_due(item: PricedItem, period: Period, full_period: Period, service: Period) -> bool:
    """Whether this cycle bills the item's usage though there be none: not if no time was served."""
    so_far = common_span(Period(full_period.start, period.end), service)
    return (
        so_far.start < so_far.end
        and touches(item.served, so_far)
        and item.served.end > period.start
        and not goes_on(item, period, full_period, service)
    )


def common_span(period: Period, span: Period) -> Period:
    """What of the span lies in the period; where nothing does, an instant at the nearer end."""
    if span.start <= period.start and span.end >= period.end:
        return period
    start = max(period.start, min(span.start, period.end))
    return Period(start, max(start, min(period.end, span.end)))


def touches(span: Period, period: Period) -> bool:
    """Whether some of the span lies in the period; of one without length, it lies around it."""
    return (
        span.start < span.end
        and span.end > period.start
        and (span.start < period.end or span.start == period.start)
    )


def due_for(span: Period, full_period: Period, terms: Proration, service: Period) -> Due:
    """The share of a full period's fee, cap or minimum that is due for a span of it."""
    if span == full_period and span.start < span.end:  # As of nearly every charge.
        return Due(span, WHOLE)
    last_day_counts = span.end == service.end and terms.grain is Grain.DAY
    if last_day_counts and span.start < span.end < full_period.end:
        span = Period(span.start, min(next_midnight(span.end, terms.timezone), full_period.end))
    return Due(span, terms.share(span, full_period).factor)


def serving_order(item: PricedItem) -> tuple[datetime, str]:
    """By when they began to serve: the order in which items of one price use up its tiers."""
    return item.served.start, item.id


def new_charge(
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
