"""What a check of a bundle is: a figure as it is stated, and as it was worked out."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from google.protobuf.message import Message

from corebilling.mapping import decimal_text
from corebilling.values.money import exact_amount

MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """A figure of a part of the bundle, as it says and as it was worked out."""

    part: str
    step: str
    figure: str
    stated: str
    found: str

    @property
    def ok(self) -> bool:
        return self.stated == self.found


@dataclass(frozen=True, slots=True)
class Checking:
    """Checks of one step of one part."""

    part: str
    step: str

    def of(self, figure: str, stated: object, found: object) -> Check:
        return Check(self.part, self.step, figure, _shown(stated), _shown(found))

    def messages(self, figure: str, stated: Sequence[Message], found: Sequence[Message]) -> Iterator[Check]:
        """Of lists that must agree, field by field."""
        kind = figure.split()[0]
        yield self.of(f"number of {figure.replace(kind, kind + 's', 1)}", len(stated), len(found))
        for place, (said, made) in enumerate(zip(stated, found, strict=False), start=1):
            for field in said.DESCRIPTOR.fields:
                yield self.of(
                    f"{figure} {place} {field.name}", getattr(said, field.name), getattr(made, field.name)
                )


def sum_of(quantities: Iterable[Decimal]) -> Decimal:
    """The exact sum."""
    return exact_amount(sum(map(Fraction, quantities), Fraction(0)))


def _shown(value: object) -> str:
    return decimal_text(value) if isinstance(value, Decimal) else str(value)
