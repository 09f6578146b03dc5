"""Amounts of money: exact while they are worked out, whole minor units once they are owed.

Amounts are worked out as fractions: `decimal` would round each step to the context's precision, and a third
of a cent three times is a cent.
"""

from decimal import Context, Decimal
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from corebilling.values.currency import EXPONENTS

AMOUNT_DECIMALS = 40
"""What an exact amount keeps of an endless fraction. Any quantity times any price (12 decimals each) per
10^16 units still fits; what is cut lies far below what an invoice rounds."""

MAX_MINOR = 10**15
"""The most that one line of an invoice may come to, in minor units: ten trillion dollars. Thousands of such
lines still add up to what rows and messages hold.

It is kept wherever amounts and quantities come in, since afterwards nothing can be refused any more: a
price's `max_quantity` says what that means for quantities."""

_KNOWN_FRACTIONS = 4096
_AMOUNT_SCALE = 10**AMOUNT_DECIMALS
# Above all digits that a product of two 20-digit numbers with these decimals can have.
_WIDE = Context(prec=AMOUNT_DECIMALS + 80)


class Rounding(StrEnum):
    """Which of its two neighbours a number becomes. Each mirrors a number and its negative, so that a
    reversal takes back exactly what was rounded."""

    HALF_UP = "half_up"
    """The nearest; halves go away from zero."""
    HALF_EVEN = "half_even"
    """The nearest; halves go to the even neighbour, so that many of them cancel out."""
    DOWN = "down"
    """Towards zero."""
    UP = "up"
    """Away from zero."""


def round_number(number: Decimal | Fraction, rounding: Rounding = Rounding.HALF_UP) -> int:
    """A neighbouring integer of the number; an integer stays what it is."""
    return _rounded_quotient(*number.as_integer_ratio(), rounding)


def _rounded_quotient(numerator: int, denominator: int, rounding: Rounding) -> int:
    # In integers: several of these are taken for each line of an invoice.
    whole, rest = divmod(abs(numerator), denominator)
    match rounding:
        case Rounding.HALF_UP:
            away = 2 * rest >= denominator
        case Rounding.HALF_EVEN:
            away = 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
        case Rounding.DOWN:
            away = False
        case Rounding.UP:
            away = rest > 0
    magnitude = whole + away
    return magnitude if numerator >= 0 else -magnitude


def round_half_up(number: Fraction) -> int:
    """The nearest integer; halves go away from zero."""
    return round_number(number)


def round_to(number: Decimal | Fraction, decimals: int, rounding: Rounding = Rounding.HALF_UP) -> Fraction:
    """The number with so many decimals: 2/3 to two is 0.67."""
    scale = Fraction(10) ** decimals
    return Fraction(round_number(Fraction(number) * scale, rounding)) / scale


def exact(number: Decimal | Fraction) -> Fraction:
    """The number as a fraction. Those of decimals are remembered: prices come again with each invoice."""
    return _fraction(number) if isinstance(number, Decimal) else number


_fraction = lru_cache(maxsize=_KNOWN_FRACTIONS)(Fraction)


def plus(one: Decimal, other: Decimal) -> Decimal:
    """The exact sum of two amounts, without trailing zeros."""
    return _WIDE.normalize(_WIDE.add(one, other))


def minus(one: Decimal, other: Decimal) -> Decimal:
    """The exact difference of two amounts, without trailing zeros."""
    return _WIDE.normalize(_WIDE.subtract(one, other))


def exact_amount(amount: Fraction) -> Decimal:
    """The amount in major units as a decimal, without trailing zeros."""
    numerator, denominator = amount.as_integer_ratio()
    scaled = _rounded_quotient(numerator * _AMOUNT_SCALE, denominator, Rounding.HALF_UP)
    return Decimal(scaled).scaleb(-AMOUNT_DECIMALS, _WIDE).normalize(_WIDE)


def minor_units(amount: Decimal | Fraction, currency: str, rounding: Rounding = Rounding.HALF_UP) -> int:
    """The amount in whole minor units of the currency, by default half a unit rounded away from zero.

    12.345 USD are 1235 cents, and -12.345 USD are -1235: a reversal mirrors what it takes back.
    """
    return to_minor(amount, EXPONENTS[currency], rounding)


def major_units(amount_minor: int, currency: str) -> Decimal:
    """1235 cents are 12.35 USD, with all the decimals that the currency has."""
    return from_minor(amount_minor, EXPONENTS[currency])


def to_minor(amount: Decimal | Fraction, exponent: int, rounding: Rounding = Rounding.HALF_UP) -> int:
    """The amount in units of which 10^exponent are a major one."""
    numerator, denominator = amount.as_integer_ratio()
    return _rounded_quotient(numerator * 10**exponent, denominator, rounding)


def exact_minor(amount: Decimal | Fraction, exponent: int) -> Fraction:
    """The amount in such units, not rounded."""
    scale: int = 10**exponent
    return exact(amount) * scale


def from_minor(amount_minor: int, exponent: int) -> Decimal:
    """The amount in major units, with all `exponent` decimals."""
    return Decimal(amount_minor).scaleb(-exponent, _WIDE)
