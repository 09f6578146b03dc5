"""Items: what a subscription is made of, and what prices it can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from corebilling.errors import InvalidArgument
from corebilling.values.period import IntervalUnit


@dataclass(frozen=True, slots=True)
class OfferedPrice:
    """What a subscription must know of a price to take it: by currency, how much an invoice line can hold.

    A one-time price has no interval.
    """

    id: str
    code: str
    max_quantities: Mapping[str, Decimal | None]
    metered: bool
    meter_id: str | None
    interval_unit: IntervalUnit | None
    interval_count: int | None

    @property
    def one_time(self) -> bool:
        return self.interval_unit is None


@dataclass(frozen=True, slots=True)
class WantedItem:
    price_id: str
    quantity: Decimal | None
    one_time: bool = False


def decide_items(
    wanted: Sequence[WantedItem], prices: dict[str, OfferedPrice], currency: str
) -> tuple[Sequence[WantedItem], IntervalUnit, int]:
    """The items with their quantities filled in, and the interval that those which recur share.

    Raises:
        InvalidArgument: SUBSCRIPTION_ITEMS_INVALID, saying what contradicts what, or PRICE_CURRENCY_MISSING.
    """
    taken = [prices[item.price_id] for item in wanted]
    first = next((price for price in taken if not price.one_time), None)
    if first is None:
        raise items_invalid("at least one price recurs; bill what is due once with CreateInvoice")
    meters = [price.meter_id for price in taken if price.metered]
    if len(set(meters)) < len(meters):
        raise items_invalid("two items have the same meter")
    for item, price in zip(wanted, taken, strict=True):
        interval = (price.interval_unit, price.interval_count)
        if not price.one_time and interval != (first.interval_unit, first.interval_count):
            raise items_invalid("all prices have the same billing interval")
        if currency not in price.max_quantities:
            raise _currency_missing(price, currency)
        if price.metered and item.quantity is not None:
            raise items_invalid("a metered item's quantity comes from its meter: leave it empty")
    filled = [
        item
        if price.metered
        else WantedItem(item.price_id, Decimal(1) if item.quantity is None else item.quantity, price.one_time)
        for item, price in zip(wanted, taken, strict=True)
    ]
    for item in filled:
        check_quantity(item.price_id, item.quantity, prices[item.price_id].max_quantities[currency])
    unit, count = first.interval_unit, first.interval_count
    assert unit is not None, "it recurs"
    assert count is not None, "it recurs"
    return filled, unit, count


def check_quantity(price_id: str, quantity: Decimal | None, most: Decimal | None) -> None:
    """Refuses more than an invoice line can hold; None is no limit.

    Raises:
        InvalidArgument: SUBSCRIPTION_ITEMS_INVALID.
    """
    if quantity is not None and most is not None and quantity > most:
        raise items_invalid(f"take at most {most:f} of price {price_id}: an invoice line holds no more")


def check_interval(held: tuple[str, int], wanted: tuple[str, int]) -> None:
    """Refuses a change of the billing interval: periods would no longer follow one another.

    Raises:
        InvalidArgument: SUBSCRIPTION_ITEMS_INVALID.
    """
    if held != wanted:
        raise items_invalid("the billing interval stays as it is; start a new subscription for another")


def _currency_missing(price: OfferedPrice, currency: str) -> InvalidArgument:
    sold_in = ", ".join(price.max_quantities)
    return InvalidArgument(
        "PRICE_CURRENCY_MISSING",
        f"The customer pays in {currency}, and price {price.code} is sold in {sold_in} only: create its next "
        f"version with a currency option for {currency}, or take another price.",
        {"price_id": price.id, "code": price.code, "currency": currency, "currencies": sold_in},
    )


def items_invalid(detail: str) -> InvalidArgument:
    return InvalidArgument(
        "SUBSCRIPTION_ITEMS_INVALID", f"The items do not fit: {detail}.", {"detail": detail}
    )
