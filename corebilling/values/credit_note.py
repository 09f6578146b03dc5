"""Credit notes: what is given back of an invoice, line by line, with its part of the discounts and taxes.

In sum the notes of an invoice never come to more than it did. The note that credits the last of it takes
whatever rounding left of its discounts and taxes, so that any division of it reverses it exactly.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from corebilling.errors import InvalidArgument
from corebilling.values.money import Rounding, round_number


@dataclass(frozen=True, slots=True)
class InvoicedLine:
    """A line as it was invoiced, in minor units.

    Args:
        amount_minor: Before discounts and taxes.
        discount: Its share, at most the amount, exact or as stored.
        tax: Exact or as stored.
    """

    id: str
    amount_minor: int
    discount: Fraction = Fraction(0)
    tax: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Invoiced:
    """What notes may give back: the lines, and what they came to together once rounded."""

    lines: tuple[InvoicedLine, ...]
    discount_minor: int
    tax_minor: int

    @property
    def total_minor(self) -> int:
        return sum(line.amount_minor for line in self.lines) - self.discount_minor + self.tax_minor


@dataclass(frozen=True, slots=True)
class CreditNote:
    """What one note gives back, in minor units.

    Args:
        items: Of the lines' amounts, by the line's id.
        discount_minor: What the discounts had already taken off them.
        tax_minor: The tax on the rest.
    """

    items: Mapping[str, int]
    discount_minor: int
    tax_minor: int

    @property
    def subtotal_minor(self) -> int:
        return sum(self.items.values()) - self.discount_minor

    @property
    def total_minor(self) -> int:
        return self.subtotal_minor + self.tax_minor


def credit_invoice(
    invoiced: Invoiced,
    earlier: Sequence[CreditNote],
    items: Mapping[str, int],
    rounding: Rounding = Rounding.HALF_UP,
) -> CreditNote:
    """The note that gives back these amounts of the lines, after all earlier notes of the invoice.

    Discounts and taxes go by amount: half of a line gives back half of its tax, less half of its discount.

    Raises:
        InvalidArgument: CREDIT_EXCEEDS_INVOICE when a line has less left than that, or the invoice has.
    """
    left = creditable(invoiced, earlier)
    for line_id, amount_minor in items.items():
        rest = left.get(line_id, 0)
        # A line below zero gave something back, so its credit takes that back again.
        if line_id not in left or not min(0, rest) <= amount_minor <= max(0, rest):
            raise _exceeds(line_id, rest)
    lines = {line.id: line for line in invoiced.lines}
    discount_left = invoiced.discount_minor - sum(note.discount_minor for note in earlier)
    tax_left = invoiced.tax_minor - sum(note.tax_minor for note in earlier)
    total_left = sum(left.values()) - discount_left + tax_left
    if all(items.get(line_id, 0) == rest for line_id, rest in left.items()):
        note = CreditNote(items, discount_left, tax_left)
    else:
        discount = sum(
            (lines[key].discount * _part(lines[key], part) for key, part in items.items()), Fraction(0)
        )
        tax = sum((lines[key].tax * _part(lines[key], part) for key, part in items.items()), Fraction(0))
        discount_minor = round_number(discount, rounding)
        # Rounding many notes the same way must leave the later ones neither below zero nor above their lines.
        # Lines below zero may leave less than nothing in all: they bound nothing.
        if all(line.amount_minor >= 0 for line in invoiced.lines):
            rest = sum(left.values()) - sum(items.values())
            discount_minor = _within(discount_left - rest, discount_minor, discount_left)
        tax_minor = _within(min(0, tax_left), round_number(tax, rounding), max(0, tax_left))
        note = CreditNote(items, discount_minor, tax_minor)
    if not 0 <= note.total_minor <= total_left:
        raise _exceeds("", total_left)
    return note


def creditable(invoiced: Invoiced, earlier: Sequence[CreditNote]) -> dict[str, int]:
    """What no note has given back yet of each line's amount, by its id."""
    return {
        line.id: line.amount_minor - sum(note.items.get(line.id, 0) for note in earlier)
        for line in invoiced.lines
    }


def _part(line: InvoicedLine, amount_minor: int) -> Fraction:
    return Fraction(amount_minor, line.amount_minor) if line.amount_minor else Fraction(0)


def _within(least: int, number: int, most: int) -> int:
    return min(max(least, number), most)


def _exceeds(line_id: str, left_minor: int) -> InvalidArgument:
    return InvalidArgument(
        "CREDIT_EXCEEDS_INVOICE",
        "A credit note gives back at most what the invoice charged and no other note gave back.",
        {"line_id": line_id, "creditable_minor": str(left_minor)},
    )
