"""Invoiced periods, rated again at a corrected price."""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from tests.oracle.charging import Charge, Charging
from tests.oracle.contract import Part
from tests.oracle.invoicing import rounded
from tests.oracle.metering import Run
from tests.oracle.negotiation import terms_of
from tests.oracle.prices import amount_of, number, period_amount
from tests.oracle.times import Span
from tests.oracle.world import Line, Price, Rerate

RATED = ("recurring", "one_time", "usage")


@dataclass(frozen=True)
class Booked:
    """A line of an invoice, by its place among those of the customer, and what of it was never charged.

    Of that, credits paid `credit_minor`. It was taxed as what is of a category.
    """

    place: int
    charge: Charge
    uncharged_minor: int
    credit_minor: int
    category: str


def rerate(
    charging: Charging, booked: list[Booked], place: int, part: Part, action: Rerate
) -> list[Charge] | None:
    """What invoices are short of, of a part's charges at the wrong price; none where that is refused."""
    wrong, right = action.wrong, action.right
    fits = (bool(wrong.meter), wrong.one_time) == (bool(right.meter), right.one_time) and wrong != right
    found = [
        (one.charge.run, one.charge.line)
        for one in booked
        if one.place == place and one.charge.run and not one.charge.corrects
        if one.charge.line.kind in RATED
        and one.charge.run.corrected.get(_key(one.charge.line), one.charge.run.price) == wrong
    ]
    if not (found and fits) or part.committed or right.percentage or right.matrix:
        return None
    if any(_is_refused(charging, run, line, part.whole) for run, line in found):
        return None
    agreed = (one.valid for one in charging.negotiated if one.price == right)
    if any(valid.start < part.whole.end and valid.end > part.whole.start for valid in agreed):
        return None
    return [made for run, line in found if (made := _corrected(charging, booked, run, line, part, right))]


def _key(line: Line) -> tuple[str, datetime]:
    return line.kind, line.start


def _is_refused(charging: Charging, run: Run, line: Line, whole: Span) -> bool:
    """What looks at records, was negotiated, or was priced together with others."""
    if line.kind == "one_time":
        terms = terms_of(run.price, charging.negotiated, line.start)
    else:
        terms = charging.terms(run.price, whole)
    return run.by_record or terms is not run.price or whole.start in run.together


def _corrected(
    charging: Charging, booked: list[Booked], run: Run, line: Line, part: Part, right: Price
) -> Charge | None:
    before, amount = _amounts(charging, run, line, part, right)
    amount_minor = charging.minor(before + amount) - charging.minor(before)
    run.corrected[_key(line)] = right
    if line.kind == "usage":
        run.charged[part.whole.start] = amount
    same = [one for one in booked if one.charge.run is run and one.charge.line.start == line.start]
    invoiced_minor = sum(one.charge.line.amount_minor for one in same)
    difference_minor = amount_minor - invoiced_minor
    rated = [one for one in same if not one.charge.keeps]
    if sum(one.charge.line.amount_minor for one in rated) <= 0:
        rated = same
    discount_minor = _discount(same, rated, amount_minor)
    if not difference_minor and not discount_minor:
        return None
    made = Line("one_time", right.code, line.start, line.end, "1", difference_minor, 0, 0, 0)
    keeps = sum(one.charge.line.amount_minor for one in rated) > 0
    return Charge(made, run, right, discount_minor, corrects=True, keeps=keeps)


def _discount(same: list[Booked], rated: list[Booked], amount_minor: int) -> int | None:
    """What of it keeps being discounted: the part that was, of what was rated at first. Credits paid no more.

    Where that was nothing, what is charged is new; of what is taken back, a part was discounted meanwhile.
    """
    invoiced_minor = sum(one.charge.line.amount_minor for one in same)
    uncharged_minor = sum(one.uncharged_minor for one in same)
    rated_minor = sum(one.charge.line.amount_minor for one in rated)
    if rated_minor > 0:
        left_minor = max(0, sum(one.uncharged_minor for one in rated))
        above_minor = sum(one.uncharged_minor for one in rated if one.charge.line.amount_minor > 0)
        paid_minor = min(sum(one.credit_minor for one in rated), above_minor)
        credit_minor = _part(paid_minor, left_minor, above_minor)
        later_minor = sum(one.credit_minor for one in same) - sum(one.credit_minor for one in rated)
        return (
            _part(sum(one.uncharged_minor for one in rated) - credit_minor, amount_minor, rated_minor)
            + _part(credit_minor, min(amount_minor, rated_minor), rated_minor)
            + _part(later_minor, min(amount_minor, invoiced_minor), invoiced_minor)
            - uncharged_minor
        )
    if amount_minor >= invoiced_minor:
        return None
    if invoiced_minor <= 0:
        return 0
    taken_minor = min(invoiced_minor - amount_minor, invoiced_minor)
    return -rounded(Fraction(uncharged_minor * taken_minor, invoiced_minor))


def _part(minor: int, amount_minor: int, of_minor: int) -> int:
    return rounded(Fraction(minor * amount_minor, of_minor)) if of_minor > 0 else 0


def _amounts(charging: Charging, run: Run, line: Line, part: Part, price: Price) -> tuple[Fraction, Fraction]:
    """What earlier parts of the same fee come to at the price, and what this does."""
    if line.kind == "usage":
        served = charging.share(run.served.meets(part.whole.meets(charging.contract.service)), part.whole)
        return Fraction(0), period_amount(price, amount_of(price, run.billed[part.whole.start]), served)
    whole = amount_of(price, number(run.quantity or "1"))
    if line.kind == "one_time":
        return Fraction(0), whole
    before, served = charging.shares(run, Span(line.start, line.end), part)
    return whole * before, whole * served
