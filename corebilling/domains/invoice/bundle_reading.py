"""Bundles read: numbers, times, names and prices, out of texts that stand where these are expected.

A bundle is somebody's file. `Unreadable` names what cannot be understood.
"""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from billing.catalog.v1 import catalog_pb2, price_override_pb2
from billing.invoice.v1 import bundle_pb2
from billing.types.v1 import period_pb2
from billing.usage.v1 import usage_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from corebilling.errors import BillingError
from corebilling.mapping import EnumType, enum_text, instant
from corebilling.values.currency import EXPONENTS
from corebilling.values.period import Period
from corebilling.values.price import (
    Price,
    PriceModel,
    Tier,
)

BUNDLE_VERSION = 1
"""Of the evidence that is written, and read."""

_NUMBER = re.compile(r"-?[0-9]{1,80}(\.[0-9]{1,80})?", re.ASCII)
_FRACTION = re.compile(r"[0-9]{1,40}(/[1-9][0-9]{0,39})?", re.ASCII)
_WHOLE = Fraction(1)

_Amounts = catalog_pb2.Price | catalog_pb2.CurrencyOption | price_override_pb2.PriceOverride


class Unreadable(Exception):
    """The evidence cannot be understood; the message is a sentence that says where."""


def number(text: str, what: str) -> Decimal:
    """A decimal in plain notation; nothing is 0.

    Raises:
        Unreadable: It is none.
    """
    if not text:
        return Decimal(0)
    if not _NUMBER.fullmatch(text):
        raise Unreadable(f"The {what} is no number: '{text[:80]}'.")
    return Decimal(text)


def fraction(text: str, what: str) -> Fraction:
    """As in "15/31"; nothing is the whole.

    Raises:
        Unreadable: It is none.
    """
    if not text:
        return _WHOLE
    if not _FRACTION.fullmatch(text):
        raise Unreadable(f"The {what} is no fraction: '{text[:80]}'.")
    return Fraction(text)


def moment(stamp: Timestamp) -> datetime:
    """The time it stands for.

    Raises:
        Unreadable: There is no such time.
    """
    try:
        return instant(stamp)
    except BillingError as error:
        raise Unreadable(error.message) from None


def moments(period: period_pb2.Period) -> Period:
    """The period as it is reckoned with."""
    return Period(moment(period.start), moment(period.end))


def counted_span(total: usage_pb2.UsageTotal) -> Period:
    """From when to when the total has records: an ended item keeps those that were ahead of the clock."""
    period = moments(total.period)
    if not total.HasField("last_recorded_at"):
        return period
    return Period(period.start, max(period.end, moment(total.last_recorded_at) + timedelta(microseconds=1)))


def named(enum: EnumType, value: int, what: str) -> str:
    """The text of an enum's value.

    Raises:
        Unreadable: It has none, or is not set.
    """
    if not value or value not in enum.DESCRIPTOR.values_by_number:
        raise Unreadable(f"The {what} is missing, or one that this program does not know.")
    return enum_text(enum, value)


def known_currency(code: str) -> str:
    """The code itself.

    Raises:
        Unreadable: There is no such currency.
    """
    if code not in EXPONENTS:
        raise Unreadable(f"'{code[:80]}' is no currency.")
    return code


def above_zero(text: str, what: str) -> Decimal:
    value = number(text, what)
    if value <= 0:
        raise Unreadable(f"The {what} is not above zero: '{text}'.")
    return value


def price_terms(evidence: bundle_pb2.LineEvidence) -> Price:
    """The price as it is reckoned with: its own amounts, those of another currency, or negotiated ones.

    Raises:
        Unreadable: Something of it cannot be understood, or the amounts are missing.
    """
    return _terms(evidence.price, _amounts(evidence))


def own_terms(price: catalog_pb2.Price, currency: str) -> Price:
    """The price's own amounts in a currency.

    Raises:
        Unreadable: Something of it cannot be understood, or the amounts are missing.
    """
    return _terms(price, _in_currency(price, currency))


def _terms(price: catalog_pb2.Price, amounts: _Amounts) -> Price:
    what = f"price {price.id}"
    included = price.included_quantity
    if isinstance(amounts, price_override_pb2.PriceOverride):
        included = amounts.included_quantity
    return Price(
        id=price.id,
        description=price.description,
        currency=amounts.currency,
        model=PriceModel(named(catalog_pb2.PriceModel, price.model, f"model of {what}")),
        metered=price.usage == catalog_pb2.PRICE_USAGE_METERED,
        unit_amount=_decimal(amounts.unit_amount, what),
        unit_size=above_zero(price.unit_size or "1", f"unit size of {what}"),
        tiers=tuple(_tier(tier, what) for tier in amounts.tiers),
        included_quantity=number(included, what),
        maximum_amount=_decimal(amounts.maximum_amount, what),
        minimum_amount=_decimal(amounts.minimum_amount, what),
        zero_usage_flat_fee=not price.no_flat_amount_when_unused,
    )


def _amounts(evidence: bundle_pb2.LineEvidence) -> _Amounts:
    charge, price = evidence.charge, evidence.price
    if charge.price_override_id:
        if evidence.price_override.id != charge.price_override_id:
            raise Unreadable(f"The negotiated amounts {charge.price_override_id} are missing.")
        return evidence.price_override
    return _in_currency(price, charge.currency)


def _in_currency(price: catalog_pb2.Price, currency: str) -> _Amounts:
    options: list[_Amounts] = [price, *price.currency_options]
    chosen = next((option for option in options if option.currency == currency), None)
    if chosen is None:
        raise Unreadable(f"The price {price.id} has no amounts in {currency[:80]}.")
    return chosen


def _tier(tier: catalog_pb2.PriceTier, what: str) -> Tier:
    return Tier(
        up_to=_decimal(tier.up_to, what),
        unit_amount=number(tier.unit_amount, what),
        flat_amount=number(tier.flat_amount, what),
        block_size=above_zero(tier.block_size, f"block of {what}") if tier.block_size else None,
        maximum_amount=_decimal(tier.maximum_amount, what),
    )


def _decimal(text: str, what: str) -> Decimal | None:
    return number(text, what) if text else None
