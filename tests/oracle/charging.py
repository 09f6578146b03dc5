"""What a part of a period is charged: fees, usage, late usage, and what is lacking to a commitment."""

from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

from tests.oracle.contract import Contract, Part
from tests.oracle.invoicing import rounded
from tests.oracle.metering import TOGETHER, Run, amount_of_records, used
from tests.oracle.negotiation import Negotiated, terms_of
from tests.oracle.prices import amount_of, number, period_amount
from tests.oracle.times import Span, period_at, share
from tests.oracle.world import Invoice, Line, Price

EXPONENTS = {"JPY": 0, "USD": 2, "EUR": 2, "KWD": 3}


@dataclass(frozen=True)
class Charge:
    """A line to be, of an item and at a price; of none if it is what lacks to a commitment.

    What `corrects` a price may have a discount that follows from earlier ones: what `keeps` it has that of
    what was rated at first.
    """

    line: Line
    run: Run | None = None
    price: Price | None = None
    discount_minor: int | None = None
    corrects: bool = False
    keeps: bool = False

    @property
    def category(self) -> str:
        return self.price.tax_category if self.price else ""


class Charging:
    """Of a subscription, by what was negotiated and invoiced so far."""

    def __init__(self, contract: Contract, negotiated: list[Negotiated], invoices: list[Invoice]) -> None:
        self.contract = contract
        self.negotiated = negotiated
        self.invoices = invoices
        self.minimums: dict[Span, int] = {}
        """What settled periods come to at least."""

    def charges_of(self, part: Part) -> list[Charge]:
        recurring = [run for run in self.contract.runs if not run.price.one_time]
        due = [run.fee.meets(part.span) for run in recurring if _overlap(run.fee, part.span)]
        last = max((span.end for span in due), default=part.span.end)
        lines = [
            (fee, run)
            for run in recurring
            if not run.price.meter and (fee := self._fee_line(run, part, last))
        ]
        lines += [(once, run) for run in self.contract.runs if (once := self._line_once(run, part))]
        adjustments: list[tuple[Line, Run]] = []
        for run in sorted(self.contract.runs, key=lambda run: run.served.start):
            if run.price.meter:
                adjustments += [(late, run) for late in self._late_lines(run)]
                if usage := self._usage_line(run, part):
                    lines.append((usage, run))
        since = {id(run): number for number, run in enumerate(self.contract.runs)}
        lines.sort(key=lambda one: (one[1].place, one[0].start, since[id(one[1])]))
        charges = [Charge(line, run, run.price) for line, run in lines]
        late = sorted(adjustments, key=lambda one: (one[0].start, one[1].place))
        charges += [
            Charge(line, run, run.corrected.get(("usage", line.start), run.price)) for line, run in late
        ]
        return charges + [Charge(line) for line in self._true_ups(part, [one.line for one in charges])]

    def spent_minor(self, part: Part, at: datetime) -> tuple[int, bool]:
        """What usage of a running period comes to, and whether this is more than was invoiced of it."""
        added = sum((after - before for _, before, after in self._so_far(part, at)), Fraction(0))
        invoiced = [run.charged.get(part.whole.start, Fraction(0)) for run in self.contract.runs]
        return self.minor(sum(invoiced, added)), added > 0

    def charges_so_far(self, part: Part, at: datetime) -> list[Charge]:
        """The usage of a running period that no invoice has yet."""
        so_far = Span(part.whole.start, at).meets(self.contract.service)
        lines = []
        for run, before, after in self._so_far(part, at):
            used, start = self.used_of(run, part.whole), part.whole.start
            quantity, amount = run.ahead.get(start, (Fraction(0), Fraction(0)))
            amount_minor = self.minor(after) - self.minor(before)
            lines.append((_line("usage", run, run.served.meets(so_far), used - quantity, amount_minor), run))
            run.ahead[start] = used, amount + after - before
            run.charged[start] = amount + after - before
        since = {id(run): number for number, run in enumerate(self.contract.runs)}
        lines.sort(key=lambda one: (one[1].place, one[0].start, since[id(one[1])]))
        return [Charge(line, run, run.price) for line, run in lines]

    def _so_far(self, part: Part, at: datetime) -> list[tuple[Run, Fraction, Fraction]]:
        """Items that were used since their last invoice, in the order that they served in: what all of their
        price came to without that, and with it. No minimum is due yet."""
        found = []
        beside: dict[Price, list[tuple[Run, Fraction]]] = {}
        for run in sorted(self.contract.runs, key=lambda run: run.served.start):
            begun = max(run.served.start, self.contract.anchor)
            if not (run.tells_so_far and begun < at and run.served.end >= part.whole.start):
                continue
            settled = part.whole.start in run.billed
            used = run.billed[part.whole.start] if settled else self.used_of(run, part.whole)
            if not run.was_used(part.whole) and part.whole.start not in run.charged:
                continue
            others = beside.setdefault(run.price, []) if run.aggregation in TOGETHER else []
            before = self._amount_of(run.price, others, part.whole, final=False)
            others.append((run, used))
            after = self._amount_of(run.price, others, part.whole, final=False)
            quantity, amount = run.ahead.get(part.whole.start, (Fraction(0), Fraction(0)))
            if not settled and used != quantity:
                found.append((run, before + amount, after))
        return found

    def _true_ups(self, part: Part, lines: list[Line]) -> list[Line]:
        """What this period, if it ends here, and those whose usage came late lack to what was committed."""
        late = [line.start for line in lines if line.kind == "adjustment"]
        periods = sorted(one for one in self.minimums if any(one.start <= at < one.end for at in late))
        minimum_minor = self._minimum(part)
        ever = any(minor for minor, _ in self.contract.commitments)
        part.committed = bool(minimum_minor) or (ever and part.span.end < part.whole.end)
        if minimum_minor:
            self.minimums[part.whole] = minimum_minor
            periods = [*(one for one in periods if one != part.whole), part.whole]
        invoiced = [*(line for made in self.invoices for line in made.lines), *lines]
        found = []
        for period in periods:
            within = [line for line in invoiced if period.start <= line.start < period.end]
            lines_minor = sum(line.amount_minor for line in within if line.kind != "true_up")
            before_minor = sum(line.amount_minor for line in within if line.kind == "true_up")
            amount_minor = max(0, self.minimums[period] - lines_minor) - before_minor
            if amount_minor:
                end = min(period.end, part.span.end)
                found.append(Line("true_up", "", period.start, end, "1", amount_minor, 0, 0, 0))
        return found

    def _minimum(self, part: Part) -> int:
        """What a period comes to at least, once the last of it is billed: as a fee would be due."""
        if not part.whole.microseconds or part.span.end < min(part.whole.end, self.contract.ends_at):
            return 0
        served = part.whole.meets(self.contract.service)
        spans = [(minor, served.meets(span)) for minor, span in self.contract.commitments]
        if self.contract.seller.grain == "none":
            last = max((span.end for _, span in spans), default=served.end)
            return sum(minor for minor, span in spans if span.start < span.end == last)
        shares = [minor * self.share(span, part.whole) for minor, span in spans]
        return rounded(sum(shares, Fraction(0)))

    def share(self, span: Span, whole: Span) -> Fraction:
        return share(
            span, whole, self.contract.seller.grain, self.contract.customer.timezone, self.contract.ends_at
        )

    def minor(self, amount: Fraction) -> int:
        return rounded(amount * 10 ** EXPONENTS[self.contract.customer.currency])

    def _fee_line(self, run: Run, part: Part, last: datetime) -> Line | None:
        """The fee's share, rounded together with what earlier parts of the period had of it."""
        if part.span.start == part.span.end and run.fee.start <= part.span.start < run.fee.end:
            # A period that ended where it began is invoiced over nothing.
            return (
                _line("recurring", run, part.span, _fee_quantity(run), 0) if part.whole.microseconds else None
            )
        if not _overlap(run.fee, part.span):
            return None
        span = run.fee.meets(part.span)
        if self.contract.seller.grain == "none" and span.end != last:
            return None
        before, served = self.shares(run, span, part)
        if not served:
            return None
        whole = amount_of(self.terms(run.price, part.whole), number(run.quantity or "1"))
        amount_minor = self.minor(whole * (before + served)) - self.minor(whole * before)
        return _line("recurring", run, span, _fee_quantity(run), amount_minor)

    def shares(self, run: Run, span: Span, part: Part) -> tuple[Fraction, Fraction]:
        """Of the full period, what is due for earlier parts of an item's fee, and for this."""
        if self.contract.seller.grain == "none":
            return Fraction(0), Fraction(span.start < span.end)
        before, earlier = Fraction(0), Span(max(part.whole.start, self.contract.anchor), part.span.start)
        if earlier.start < earlier.end:
            before = self.share(run.fee.meets(earlier), part.whole)
        return before, self.share(span, part.whole)

    def _line_once(self, run: Run, part: Part) -> Line | None:
        """In full with the first invoice since it was asked for, unless that was taken back at once."""
        begins = max(run.served.start, self.contract.anchor)
        added = run.served.start <= part.span.end and begins < run.served.end
        if not (run.price.one_time and added and part.whole.microseconds) or run.charged_once:
            return None
        run.charged_once = True
        price = terms_of(run.price, self.negotiated, begins)
        amount = amount_of(price, number(run.quantity or "1"))
        return _line("one_time", run, Span(begins, begins), _fee_quantity(run), self.minor(amount))

    def _usage_line(self, run: Run, part: Part) -> Line | None:
        """All that was used of the item in the period, where the last of it is billed."""
        so_far = Span(part.whole.start, part.span.end).meets(self.contract.service)
        goes_on = part.span.end < min(part.whole.end, self.contract.ends_at, run.served.end)
        serves = run.served.end > part.span.start and _overlap(run.served, so_far)
        if goes_on or not (serves or self._used_at_once(run, part)):
            return None
        before = self._comes_to(run, part.whole)
        ahead, charged = run.ahead.get(part.whole.start, (Fraction(0), Fraction(0)))
        used = self.used_of(run, part.whole)
        run.bill(part.whole, used)
        if self._has_others(run, part.whole):
            run.together.add(part.whole.start)
        after = self._comes_to(run, part.whole)
        run.charged[part.whole.start] = after - before
        if self._charged(run, part.whole) != [run] and not used and before == after and not ahead:
            return None
        amount_minor = self.minor(after) - self.minor(before + charged)
        return _line("usage", run, run.served.meets(so_far), used - ahead, amount_minor)

    def _used_at_once(self, run: Run, part: Part) -> bool:
        """In the instant that the item, or its period, began in, though that, or service, ended with it."""
        begun = max(run.served.start, part.whole.start, self.contract.anchor)
        taken_back = run.served.end == begun and part.span.start <= begun < part.span.end
        is_last = begun == part.span.end == self.contract.ends_at and part is self.contract.parts[-1]
        return (taken_back or is_last) and run.was_used(part.whole)

    def are_same(self, one: Charge, other: Charge) -> bool:
        """Whether they are of one item and period, or were priced together."""
        if one.run is None or other.run is None:
            return one.run is other.run and one.line.start == other.line.start
        if one.run is other.run and one.line.start == other.line.start:
            return True
        whole = self._period_at(other.line.start)
        together = (
            one.run.price == other.run.price
            and whole.start <= one.line.start < whole.end
            and ("usage", other.line.start) not in other.run.corrected
        )
        return together and bool(other.run.price.meter) and self._has_others(other.run, whole)

    def _period_at(self, at: datetime) -> Span:
        return period_at(
            self.contract.anchor, self.contract.customer.interval, at, self.contract.customer.timezone
        )

    def _has_others(self, run: Run, whole: Span) -> bool:
        """Whether items of its price, that it can be priced together with, served in it, up to its edges."""
        same = [other for other in self.contract.runs if other is not run and other.price == run.price]
        return run.aggregation in TOGETHER and any(
            (other.served.end >= whole.start and other.served.start <= whole.end)
            or whole.start in other.billed
            for other in same
        )

    def _late_lines(self, run: Run) -> list[Line]:
        """What settled periods of the item turned out to cost more, or less."""
        found = []
        for period in self.paid_periods(run):
            used, billed = self.used_of(run, period), run.billed.get(period.start)
            came = any(part.whole == period for part in self.contract.parts)
            ahead = billed is None and period.start >= self.contract.ends_at and not came
            if ahead:  # Of a period that never came, nothing is due but what was used.
                run.billed[period.start] = billed = Fraction(0)
            if billed is None or (used == billed and not run.records_tell):
                continue
            before = self._comes_to(run, period)
            run.bill(period, used)
            after = self._comes_to(run, period)
            run.charged[period.start] = run.charged.get(period.start, Fraction(0)) + after - before
            if used == billed and after == before:
                continue
            amount_minor = self.minor(after - before) if ahead else self.minor(after) - self.minor(before)
            line = _line("adjustment", run, run.served.meets(period), used - billed, amount_minor)
            found.append(replace(line, price=run.corrected.get(("usage", line.start), run.price).code))
        return found

    def terms(self, price: Price, whole: Span) -> Price:
        """The price with the amounts that are in force when it is first served in a period."""
        begun = max(whole.start, self.contract.anchor)
        served = [run.served for run in self.contract.runs if run.price == price and run.served.end > begun]
        at = min((max(span.start, begun) for span in served), default=begun)
        return terms_of(price, self.negotiated, at)

    def used_of(self, run: Run, period: Span) -> Fraction:
        return used(run, self.contract.runs, period, self.contract.service)

    def paid_periods(self, run: Run) -> list[Span]:
        """Those that a metered item was used in; and billed for, if what is late counts on in later ones."""
        zone, interval = self.contract.customer.timezone, self.contract.customer.interval
        times = {one.at for one in run.records if one.at >= self.contract.anchor}
        if run.price.meter and run.aggregation == "time_weighted":
            times |= set(run.billed)
        return sorted({period_at(self.contract.anchor, interval, at, zone) for at in times})

    def _charged(self, run: Run, whole: Span) -> list[Run]:
        """The items that a period was charged for so far, of those that are priced together with this one."""
        if run.aggregation not in TOGETHER or run.by_record:
            return [run] if whole.start in run.billed else []
        return [
            other for other in self.contract.runs if other.price == run.price and whole.start in other.billed
        ]

    def _comes_to(self, run: Run, whole: Span) -> Fraction:
        """What they come to, as if it had been one item all along."""
        corrected = run.corrected.get(("usage", run.served.meets(whole.meets(self.contract.service)).start))
        if corrected:
            return self._amount_of(corrected, [(run, run.billed[whole.start])], whole)
        charged = [(one, one.billed[whole.start]) for one in self._charged(run, whole)]
        return self._amount_of(run.price, charged, whole)

    def _amount_of(
        self, price: Price, used: list[tuple[Run, Fraction]], whole: Span, *, final: bool = True
    ) -> Fraction:
        """What quantities of items of one price come to in a period."""
        if not used:
            return Fraction(0)
        first = used[0][0]
        quantities = [quantity for _, quantity in used]
        quantity = max(quantities) if first.aggregation == "max" else sum(quantities, Fraction(0))
        service = whole.meets(self.contract.service)
        shares = [self.share(one.served.meets(service), whole) for one, _ in used]
        price = self.terms(price, whole)
        amount = amount_of_records(first, whole) if first.by_record else amount_of(price, quantity)
        if not final:
            price = replace(price, minimum_amount="")
        return period_amount(price, amount, min(sum(shares, Fraction(0)), Fraction(1)))


def _fee_quantity(run: Run) -> Fraction:
    return number("1" if run.price.model == "flat" else run.quantity or "1")


def _overlap(one: Span, other: Span) -> bool:
    return max(one.start, other.start) < min(one.end, other.end)


def _line(kind: str, run: Run, span: Span, quantity: Fraction, amount_minor: int) -> Line:
    return Line(kind, run.price.code, span.start, span.end, str(quantity), amount_minor, 0, 0, 0)
