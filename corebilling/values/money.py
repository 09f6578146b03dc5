"""Amounts of money: exact while they are worked out, whole minor units once they are owed.

Amounts are worked out as fractions: `decimal` would round each step to the context's precision, and a third
of a cent three times is a cent.
"""

from decimal import Context, Decimal
from enum import StrEnum
from fractions import Fraction

from corebilling.values.currency import EXPONENTS

AMOUNT_DECIMALS = 40
"""What an exact amount keeps of an endless fraction. Any quantity times any price (12 decimals each) per
10^16 units still fits; what is cut lies far below what an invoice rounds."""

MAX_MINOR = 10**15
"""The most that one line of an invoice may come to, in minor units: ten trillion dollars. Thousands of such
lines still add up to what rows and messages hold.

It is kept wherever amounts and quantities come in, since afterwards nothing can be refused any more: a
price's `max_quantity` says what that means for quantities."""

# Above all digits that a product of two 20-digit numbers with these decimals can have.
_WIDE = Context(prec=AMOUNT_DECIMALS + 80)


def exact_amount(amount: Fraction) -> Decimal:
    """The amount in major units as a decimal, without trailing zeros."""
    scaled = round_half_up(amount * 10**AMOUNT_DECIMALS)
    return Decimal(scaled).scaleb(-AMOUNT_DECIMALS, _WIDE).normalize(_WIDE)


class Rounding(StrEnum):
    """Where a number between two integers goes. All mirror at zero: a reversal takes back what it billed."""

    HALF_UP = "half_up"
    HALF_EVEN = "half_even"
    DOWN = "down"


def minor_units(amount: Decimal | Fraction, currency: str, rounding: Rounding = Rounding.HALF_UP) -> int:
    """The amount in whole minor units of the currency, half a unit rounded away from zero by default.

    12.345 USD are 1235 cents, and -12.345 USD are -1235: a reversal mirrors what it takes back.
    """
    return rounded(Fraction(amount) * 10 ** EXPONENTS[currency], rounding)


def major_units(amount_minor: int, currency: str) -> Decimal:
    """1235 cents are 12.35 USD, with all the decimals that the currency has."""
    return Decimal(amount_minor).scaleb(-EXPONENTS[currency], _WIDE)


def rounded(number: Fraction, rounding: Rounding) -> int:
    """The integer that the number is rounded to."""
    match rounding:
        case Rounding.HALF_UP:
            return round_half_up(number)
        case Rounding.HALF_EVEN:
            return round(number)
        case Rounding.DOWN:
            return int(number)


def round_half_up(number: Fraction) -> int:
    """The nearest integer; halves go away from zero."""
    doubled, denominator = 2 * abs(number.numerator), number.denominator
    nearest = (doubled + denominator) // (2 * denominator)
    return nearest if number >= 0 else -nearest
