"""One customer's life, worked out record by record: no totals are kept, nothing is batched.

Written from the semantics of docs/money.md and docs/decisions, for what it comes to and not for how it is
done; slow is fine here.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from fractions import Fraction

from tests.oracle import invoicing
from tests.oracle.metering import BY_RECORD, TOGETHER, Record, Run, amount_of_records, used
from tests.oracle.negotiation import Negotiated, negotiate, terms_of
from tests.oracle.prices import amount_of, number, period_amount
from tests.oracle.times import BEGINNING, FOREVER, Span, boundary, period_at, share
from tests.oracle.world import (
    Action,
    Cancel,
    Change,
    Correct,
    Customer,
    Grant,
    Invoice,
    Item,
    Line,
    Negotiate,
    Pause,
    Price,
    Redeem,
    Resume,
    Seller,
    Subscribe,
    Use,
    Year,
)

GRACE = timedelta(hours=1)
OLDEST = timedelta(days=35)
AHEAD = timedelta(minutes=5)
INSTANT = timedelta(microseconds=1)
EXPONENTS = {"JPY": 0, "USD": 2, "EUR": 2, "KWD": 3}


@dataclass
class Part:
    """A period, or what of it is invoiced by itself. `closes_at` is known once it has ended."""

    span: Span
    whole: Span
    trial: bool
    closes_at: datetime | None = None
    settled: bool = False


class Life:
    def __init__(self, customer: Customer, seller: Seller) -> None:
        self.customer = customer
        self.seller = seller
        self.now = seller.begins
        self.state, self.paused_minor = "none", 0
        self.runs: list[Run] = []
        self.reported: list[Record | None] = []
        self.paused: list[Run] = []
        self.parts: list[Part] = []
        self.to_come: tuple[datetime, Change] | None = None
        self.ends_at = FOREVER
        self.ends_with_period = False
        self.commitments: list[tuple[int, Span]] = []
        self.minimums: dict[Span, int] = {}
        """What settled periods come to at least."""
        self.negotiated: list[Negotiated] = []
        self.discounts: list[invoicing.Discount] = []
        self.credits: list[invoicing.Credit] = []
        self.invoices: list[Invoice] = []
        self.answers: list[bool] = []

    def live(self) -> Year:
        for visit in self.customer.visits:
            self._pass_time(visit.at)
            for action in visit.actions:
                self.answers.append(self._act(action))
            self._pass_time(visit.at)
        self._pass_time(self.seller.ends)
        granted = sorted((one for one in self.credits if one.granted >= 0), key=lambda one: one.granted)
        return Year(
            tuple(self.answers),
            tuple(self.invoices),
            # What is left when a credit's time is over expires.
            tuple(one.left_minor if one.valid_until > self.now else 0 for one in granted),
            sum(one.left_minor for one in self.credits if one.granted < 0),
        )

    # Time

    def _pass_time(self, to: datetime) -> None:
        """Does all that falls due until then, in order."""
        while True:
            due = [(part.closes_at, 1) for part in self.parts if part.closes_at and not part.settled]
            if (boundary_at := self._next_boundary()) is not None:
                due.append((boundary_at, 0))
            at, kind = min(due, default=(FOREVER, 0))
            if at > to:
                break
            self.now = max(self.now, at)
            if kind == 0:
                self._pass_boundary(at)
            else:
                self._close(min((p for p in self.parts if p.closes_at == at and not p.settled), key=_start))
        self.now = to

    def _next_boundary(self) -> datetime | None:
        """When the running part begins, ends, or has a change to come."""
        if self.state in ("none", "canceled"):
            return None
        part = self.parts[-1]
        if self.state == "created":
            return part.span.start
        return min(part.span.end, self.to_come[0] if self.to_come else FOREVER)

    def _pass_boundary(self, at: datetime) -> None:
        part = self.parts[-1]
        if self.state == "created":
            self.state = "trialing" if part.trial else "active"
            return
        if at < part.span.end:
            self._change_to_come()
            return
        part.closes_at = at + GRACE
        if self.ends_with_period:
            self.state = "canceled"
            return
        if self.to_come and self.to_come[0] == at:
            self._change_to_come()
        whole = period_at(self.anchor, self.customer.interval, at, self.customer.timezone)
        self.parts.append(Part(whole, whole, trial=False))
        if self.state == "trialing":
            self.state = "active"

    def _change_to_come(self) -> None:
        assert self.to_come
        at, change = self.to_come
        self.to_come = None
        self._replace(change, at)

    def _catch_up(self) -> None:
        while (at := self._next_boundary()) is not None and at <= self.now:
            self._pass_boundary(at)

    # What customers do

    def _act(self, action: Action) -> bool:
        if not isinstance(action, Use | Correct | Negotiate | Grant | Redeem):
            self._catch_up()
        match action:
            case Subscribe():
                return self._subscribe(action)
            case Change():
                return self._change(action)
            case Pause():
                return self._pause()
            case Resume():
                return self._resume()
            case Cancel():
                return self._cancel(action)
            case Use():
                self.reported.append(self._use(action))
                return self.reported[-1] is not None
            case Correct():
                return self._correct(action)
            case Negotiate():
                known = self.state != "none" or not action.for_subscription
                return known and negotiate(self.negotiated, action, self.now)
            case Grant():
                self.credits.append(
                    invoicing.Credit(
                        action.kind,
                        action.amount_minor,
                        action.valid_from,
                        action.valid_until or FOREVER,
                        action.priority,
                        sum(one.granted >= 0 for one in self.credits),
                    )
                )
                return True
            case Redeem():
                self.discounts.append(
                    invoicing.Discount(
                        number(action.percent),
                        action.amount_minor,
                        action.invoices or None,
                        frozenset(price.code for price in action.prices),
                    )
                )
                return True

    def _subscribe(self, action: Subscribe) -> bool:
        zone, interval = self.customer.timezone, self.customer.interval
        start = action.start_at
        if boundary(start, interval, 1, zone) <= self.now:
            return False
        trial = timedelta(days=action.trial_days)
        self.starts_at, self.anchor = start, start + trial
        whole = Span(start, self.anchor) if trial else period_at(start, interval, start, zone)
        self.parts = [Part(whole, whole, trial=bool(trial))]
        self.state = "created" if start > self.now else "trialing" if trial else "active"
        always = Span(BEGINNING, FOREVER)
        self.commitments = [(action.commitment_minor, always)]
        self.runs = [
            Run(item.price, item.quantity, place, always, always) for place, item in enumerate(action.items)
        ]
        return True

    def _held(self) -> list[Run]:
        return [run for run in self.runs if run.served.end == FOREVER]

    def _last_change(self) -> datetime:
        return max(run.served.start if run.served.end == FOREVER else run.served.end for run in self.runs)

    def _change(self, action: Change) -> bool:
        if self.state not in ("trialing", "active"):
            return False
        part = self.parts[-1]
        begins = part.span.start
        # The rest of a period that was invoiced in part begins behind that part.
        earliest = max(begins + INSTANT if begins > part.whole.start else begins, self._last_change())
        if action.at_period_end:
            at = part.span.end
        else:
            at = action.effective_at or max(self.now.replace(microsecond=0), earliest)
        if not earliest <= at < self.ends_at:
            return False
        if at > self.now:
            self.to_come = at, action
            return True
        if action.effective_at is not None and at < self.now:
            ending = _difference(self._held(), action.items)[0]
            if any(record.at >= at for run in ending for record in run.records):
                return False
        self._replace(action, at)
        return True

    def _replace(self, action: Change, at: datetime) -> None:
        """Ends the items that are not wanted any more, and begins those that are new, from a moment on."""
        part = self.parts[-1]
        within = part.span.start < at < part.span.end
        if action.commitment_minor is not None:
            put_off = action.behavior == "none" and within
            self._commit(action.commitment_minor, part.span.end if put_off else at)
        ended, added, kept = _difference(self._held(), action.items)
        if not ended and not added:
            return
        for run, place in kept:
            run.place = place
        follows = {place: run for run, place in _followed(ended, added)}
        for run in ended:
            run.served = Span(run.served.start, at)
            until = part.span.end if action.behavior == "none" and within else at
            run.fee = Span(run.fee.start, max(run.fee.start, until))
        for place, item in added:
            fee_from = at
            if action.behavior == "none" and within:
                fee_from = part.span.end
            elif place in follows:
                fee_from = max(at, follows[place].fee.start)
            self.runs.append(
                Run(item.price, item.quantity, place, Span(at, FOREVER), Span(fee_from, FOREVER))
            )
        prorated = self.seller.grain != "none" and not part.trial
        if action.behavior == "invoice_immediately" and within and prorated:
            rest = Part(Span(at, part.span.end), part.whole, trial=False)
            part.span, part.closes_at = Span(part.span.start, at), at
            self.parts.append(rest)

    def _committed_until(self, at: datetime) -> list[tuple[int, Span]]:
        """What was to begin later never does."""
        before = [(minor, Span(span.start, min(span.end, at))) for minor, span in self.commitments]
        return [one for one in before if one[1].start < one[1].end]

    def _commit(self, minimum_minor: int, at: datetime) -> None:
        self.commitments = [*self._committed_until(at), (minimum_minor, Span(at, FOREVER))]

    def _pause(self) -> bool:
        if self.state != "active":
            return False
        self.state, self.to_come, self.paused = "paused", None, self._held()
        self.paused_minor = self.commitments[-1][0]
        self.commitments = self._committed_until(self.now)
        for run in self.paused:
            run.served = Span(run.served.start, self.now)
        for run in self.runs:
            run.fee = Span(run.fee.start, max(run.fee.start, min(run.fee.end, self.now)))
        return True

    def _resume(self) -> bool:
        if self.state != "paused":
            return False
        self.state = "active"
        if self.paused_minor:
            self._commit(self.paused_minor, self.now)
        for place, run in enumerate(sorted(self.paused, key=lambda run: run.place)):
            on = Span(self.now, FOREVER)
            self.runs.append(Run(run.price, run.quantity, place, on, on))
        return True

    def _cancel(self, action: Cancel) -> bool:
        if self.state in ("none", "canceled"):
            return False
        part = self.parts[-1]
        if self.state == "created":
            self.state, self.ends_at = "canceled", self.starts_at
            self.parts = []
            return True
        if action.at_period_end:
            self.ends_at, self.ends_with_period = part.span.end, True
        else:
            self.ends_at, self.state = self.now, "canceled"
            part.span = Span(part.span.start, self.now)
            part.closes_at = self.now + GRACE
        if self.to_come and self.to_come[0] >= self.ends_at:
            self.to_come = None
        return True

    def _use(self, action: Use) -> Record | None:
        if not self.now - OLDEST <= action.at <= self.now + AHEAD:
            return None
        if self.to_come and self.to_come[0] <= self.now:
            self._catch_up()
        if self.state in ("none", "created") or not self.starts_at <= action.at < self.ends_at:
            return None
        if self.starts_at > self.now:
            return None
        for run in reversed(self.runs):
            if run.price.meter == action.meter and run.served.start <= action.at < run.served.end:
                record = Record(action.at, number(action.quantity), action.properties)
                run.records.append(record)
                self._open_closing_part()
                return record
        return None

    def _correct(self, action: Correct) -> bool:
        """Of a record that was taken back, only that can be said again."""
        record = self.reported[action.record]
        run = next((run for run in self.runs if any(one is record for one in run.records)), None)
        if record is None or run is None or run.by_record or run.aggregation in BY_RECORD:
            return False
        if record.quantity is None:
            return not action.quantity
        record.quantity = number(action.quantity) if action.quantity else None
        self._open_closing_part()
        return True

    def _open_closing_part(self) -> None:
        """Usage that nothing is left to bill it with gets a part of no length, with the usual grace."""
        if self.ends_at == FOREVER or any(not part.settled for part in self.parts):
            return
        if any(
            self._used(run, period) != run.billed.get(period.start, 0)
            or (run.by_record and len(run.standing(period)) != len(run.looked_at.get(period.start, ())))
            for run in self.runs
            for period in self._paid_periods(run)
        ):
            none = Span(self.now, self.now)
            self.parts.append(Part(none, none, trial=False, closes_at=self.now + GRACE))

    # What it costs

    def _terms(self, price: Price, whole: Span) -> Price:
        """The price with the amounts that are in force when it is first served in a period."""
        begun = max(whole.start, self.anchor)
        served = [run.served for run in self.runs if run.price == price and run.served.end > begun]
        at = min((max(span.start, begun) for span in served), default=begun)
        return terms_of(price, self.negotiated, at)

    def _used(self, run: Run, period: Span) -> Fraction:
        return used(run, self.runs, period, self._service)

    @property
    def _service(self) -> Span:
        return Span(self.anchor, max(self.anchor, self.ends_at))

    def _paid_periods(self, run: Run) -> list[Span]:
        """Those that a metered item was used in; and billed for, if what is late counts on in later ones."""
        zone, interval = self.customer.timezone, self.customer.interval
        times = {one.at for one in run.records if one.at >= self.anchor}
        if run.price.meter and run.aggregation == "time_weighted":
            times |= set(run.billed)
        return sorted({period_at(self.anchor, interval, at, zone) for at in times})

    def _close(self, part: Part) -> None:
        part.settled = True
        if part.trial:
            return
        due = [run.fee.meets(part.span) for run in self.runs if _overlap(run.fee, part.span)]
        last = max((span.end for span in due), default=part.span.end)
        lines = [
            (fee, run)
            for run in self.runs
            if not run.price.meter and (fee := self._fee_line(run, part, last))
        ]
        adjustments: list[tuple[Line, Run]] = []
        for run in sorted(self.runs, key=lambda run: run.served.start):
            if run.price.meter:
                adjustments += [(late, run) for late in self._late_lines(run)]
                if usage := self._usage_line(run, part):
                    lines.append((usage, run))
        since = {id(run): number for number, run in enumerate(self.runs)}
        lines.sort(key=lambda one: (one[1].place, one[0].start, since[id(one[1])]))
        lines += sorted(adjustments, key=lambda one: (one[0].start, one[1].place))
        categorized = [(line, run.price.tax_category) for line, run in lines]
        made = [line for line, _ in lines]
        categorized += [(line, "") for line in self._true_ups(part, made)]
        if categorized:
            self._invoice(part, categorized)

    def _true_ups(self, part: Part, lines: list[Line]) -> list[Line]:
        """What this period, if it ends here, and those whose usage came late lack to what was committed."""
        late = [line.start for line in lines if line.kind == "adjustment"]
        periods = sorted(one for one in self.minimums if any(one.start <= at < one.end for at in late))
        minimum_minor = self._minimum(part)
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
        if not part.whole.microseconds or part.span.end < min(part.whole.end, self.ends_at):
            return 0
        served = part.whole.meets(self._service)
        spans = [(minor, served.meets(span)) for minor, span in self.commitments]
        if self.seller.grain == "none":
            last = max((span.end for _, span in spans), default=served.end)
            return sum(minor for minor, span in spans if span.start < span.end == last)
        shares = [minor * self._share(span, part.whole) for minor, span in spans]
        return invoicing.rounded(sum(shares, Fraction(0)))

    def _share(self, span: Span, whole: Span) -> Fraction:
        return share(span, whole, self.seller.grain, self.customer.timezone, self.ends_at)

    def _minor(self, amount: Fraction) -> int:
        return invoicing.rounded(amount * 10 ** EXPONENTS[self.customer.currency])

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
        before = Fraction(0)
        if self.seller.grain == "none":
            served = Fraction(span.end == last)
        else:
            served = self._share(span, part.whole)
            earlier = Span(max(part.whole.start, self.anchor), part.span.start)
            if earlier.start < earlier.end:
                before = self._share(run.fee.meets(earlier), part.whole)
        if not served:
            return None
        whole = amount_of(self._terms(run.price, part.whole), number(run.quantity or "1"))
        amount_minor = self._minor(whole * (before + served)) - self._minor(whole * before)
        return _line("recurring", run, span, _fee_quantity(run), amount_minor)

    def _usage_line(self, run: Run, part: Part) -> Line | None:
        """All that was used of the item in the period, where the last of it is billed."""
        so_far = Span(part.whole.start, part.span.end).meets(self._service)
        goes_on = part.span.end < min(part.whole.end, self.ends_at, run.served.end)
        serves = run.served.end > part.span.start and _overlap(run.served, so_far)
        # Taken back in the instant that it was added in: what was used in that is billed all the same.
        begun = max(run.served.start, self.starts_at)
        at_once = run.served.end == begun and bool(run.records)
        if goes_on or (not serves and not (at_once and part.span.start <= begun < part.span.end)):
            return None
        before = self._comes_to(run, part.whole)
        used = self._used(run, part.whole)
        run.bill(part.whole, used)
        after = self._comes_to(run, part.whole)
        if self._charged(run, part.whole) != [run] and not used and before == after:
            return None
        return _line("usage", run, run.served.meets(so_far), used, self._minor(after) - self._minor(before))

    def _late_lines(self, run: Run) -> list[Line]:
        """What settled periods of the item turned out to cost more, or less."""
        found = []
        for period in self._paid_periods(run):
            used, billed = self._used(run, period), run.billed.get(period.start)
            ahead = billed is None and period.start >= self.ends_at
            if ahead:  # Of a period that never came, nothing is due but what was used.
                run.billed[period.start] = billed = Fraction(0)
            if billed is None or (used == billed and not run.by_record):
                continue
            before = self._comes_to(run, period)
            run.bill(period, used)
            after = self._comes_to(run, period)
            if used == billed and after == before:
                continue
            amount_minor = self._minor(after - before) if ahead else self._minor(after) - self._minor(before)
            found.append(_line("adjustment", run, run.served.meets(period), used - billed, amount_minor))
        return found

    def _charged(self, run: Run, whole: Span) -> list[Run]:
        """The items that a period was charged for so far, of those that are priced together with this one."""
        if run.aggregation not in TOGETHER or run.by_record:
            return [run] if whole.start in run.billed else []
        return [other for other in self.runs if other.price == run.price and whole.start in other.billed]

    def _comes_to(self, run: Run, whole: Span) -> Fraction:
        """What they come to, as if it had been one item all along."""
        runs = self._charged(run, whole)
        if not runs:
            return Fraction(0)
        quantities = [one.billed[whole.start] for one in runs]
        quantity = max(quantities) if run.aggregation == "max" else sum(quantities, Fraction(0))
        service = whole.meets(self._service)
        shares = [self._share(one.served.meets(service), whole) for one in runs]
        price = self._terms(run.price, whole)
        amount = amount_of_records(run, whole) if run.by_record else amount_of(price, quantity)
        return period_amount(price, amount, min(sum(shares, Fraction(0)), Fraction(1)))

    def _give_back(self, line: Line, one: invoicing.Amounts) -> None:
        """What is taken back had been discounted: that part of it was never charged."""
        earlier = [
            done
            for invoice in self.invoices
            for done in invoice.lines
            if (done.price, done.start) == (line.price, line.start)
        ]
        invoiced_minor = sum(done.amount_minor for done in earlier)
        if line.amount_minor < 0 and invoiced_minor:
            taken_minor = min(-line.amount_minor, invoiced_minor)
            uncharged_minor = sum(done.discount_minor for done in earlier)
            one.corrects = True
            if invoiced_minor > 0:
                one.discount_minor = -invoicing.rounded(
                    Fraction(uncharged_minor * taken_minor, invoiced_minor)
                )

    def _invoice(self, part: Part, lines: list[tuple[Line, str]]) -> None:
        """Of lines with their tax categories."""
        amounts = [invoicing.Amounts(line.price, category, line.amount_minor) for line, category in lines]
        for (line, _), one in zip(lines, amounts, strict=True):
            self._give_back(line, one)
        totals = invoicing.settle(amounts, self.customer, self.seller, self.discounts, self.credits, self.now)
        due_minor, prepaid_minor = totals.total_minor - totals.prepaid_minor, totals.prepaid_minor
        if due_minor < 0:
            self.credits.append(invoicing.given_back(-due_minor, self.now))
            due_minor, prepaid_minor = 0, prepaid_minor + due_minor
        self.invoices.append(
            Invoice(
                start=part.span.start,
                end=part.span.end,
                lines=tuple(
                    Line(
                        line.kind,
                        line.price,
                        line.start,
                        line.end,
                        line.quantity,
                        line.amount_minor,
                        one.discount_minor,
                        one.credit_minor,
                        one.tax_minor,
                    )
                    for (line, _), one in zip(lines, amounts, strict=True)
                ),
                subtotal_minor=sum(line.amount_minor for line, _ in lines),
                discount_minor=totals.discount_minor,
                credit_minor=totals.credit_minor,
                tax_minor=totals.tax_minor,
                total_minor=totals.total_minor,
                prepaid_minor=prepaid_minor,
                due_minor=due_minor,
            )
        )


def _fee_quantity(run: Run) -> Fraction:
    return number("1" if run.price.model == "flat" else run.quantity or "1")


def _start(part: Part) -> datetime:
    return part.span.start


def _overlap(one: Span, other: Span) -> bool:
    return max(one.start, other.start) < min(one.end, other.end)


def _line(kind: str, run: Run, span: Span, quantity: Fraction, amount_minor: int) -> Line:
    return Line(kind, run.price.code, span.start, span.end, str(quantity), amount_minor, 0, 0, 0)


def _difference(
    held: list[Run], wanted: tuple[Item, ...]
) -> tuple[list[Run], list[tuple[int, Item]], list[tuple[Run, int]]]:
    """Which items end, which are new and which stay, the latter two with their places among those wanted."""
    left = list(enumerate(wanted))
    ended, kept = [], []
    for run in sorted(held, key=lambda run: run.place):
        same = next((one for one in left if run.is_like(one[1])), None)
        if same is None:
            ended.append(run)
        else:
            left.remove(same)
            kept.append((run, same[0]))
    return ended, left, kept


def _followed(ended: list[Run], added: list[tuple[int, Item]]) -> list[tuple[Run, int]]:
    """Which new item follows which old one: that of its price, else the next, metered or not as it is."""
    left, found, places = list(ended), [], [place for place, _ in added]
    items = dict(added)
    for same_price in (True, False):
        for place in list(places):
            for run in left:
                item = items[place]
                if run.price == item.price if same_price else bool(run.price.meter) == bool(item.price.meter):
                    found.append((run, place))
                    left.remove(run)
                    places.remove(place)
                    break
    return found
