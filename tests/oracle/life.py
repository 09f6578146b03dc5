"""One customer's life, worked out record by record: no totals are kept, nothing is batched.

Written from the semantics of docs/money.md and docs/decisions, for what it comes to and not for how it is
done; slow is fine here.
"""

from datetime import datetime, timedelta
from fractions import Fraction

from tests.oracle import invoicing
from tests.oracle.charging import Charge, Charging
from tests.oracle.contract import GRACE, INSTANT, Contract, Part
from tests.oracle.metering import Record
from tests.oracle.negotiation import Negotiated, negotiate
from tests.oracle.prices import number
from tests.oracle.rerating import Booked, rerate
from tests.oracle.thresholds import level_reached
from tests.oracle.times import FOREVER, Span
from tests.oracle.world import (
    Action,
    Cancel,
    Change,
    Correct,
    Customer,
    Grant,
    Invoice,
    Line,
    Negotiate,
    Pause,
    Redeem,
    Rerate,
    Resume,
    Seller,
    Subscribe,
    Use,
    Watch,
    Year,
)

OLDEST = timedelta(days=35)
AHEAD = timedelta(minutes=5)


class Life:
    def __init__(self, customer: Customer, seller: Seller) -> None:
        self.customer = customer
        self.seller = seller
        self.contract = Contract(customer, seller)
        self.reported: list[Record | None] = []
        self.negotiated: list[Negotiated] = []
        self.discounts: list[invoicing.Discount] = []
        self.credits: list[invoicing.Credit] = []
        self.invoices: list[Invoice] = []
        self.invoiced: dict[int, Part] = {}
        """What invoices are about, by their place: not those of thresholds and corrections."""
        self.booked: list[Booked] = []
        self.charging = Charging(self.contract, self.negotiated, self.invoices)
        self.answers: list[bool] = []
        self.used_more = False
        """At this visit, in a way that may come to a threshold."""
        self.reached: dict[Span, int] = {}
        """The last threshold that periods were invoiced at."""

    def live(self) -> Year:
        for visit in self.customer.visits:
            self._pass_time(visit.at)
            self.used_more = False
            for action in visit.actions:
                self.answers.append(self._act(action))
            self.contract.catch_up()
            reached = self._reached() if self.used_more else None
            self._pass_time(visit.at)
            if reached:
                self._invoice_so_far(reached)
        self._pass_time(self.seller.ends)
        granted = sorted((one for one in self.credits if one.granted >= 0), key=lambda one: one.granted)
        return Year(
            tuple(self.answers),
            tuple(self.invoices),
            # What is left when a credit's time is over expires.
            tuple(one.left_minor if one.valid_until > self.contract.now else 0 for one in granted),
            sum(one.left_minor for one in self.credits if one.granted < 0),
        )

    def _pass_time(self, to: datetime) -> None:
        """Does all that falls due until then, in order."""
        while True:
            due = [(part.closes_at, 1) for part in self.contract.parts if part.closes_at and not part.settled]
            if (boundary_at := self.contract.next_boundary()) is not None:
                due.append((boundary_at, 0))
            at, kind = min(due, default=(FOREVER, 0))
            if at > to:
                break
            self.contract.now = max(self.contract.now, at)
            if kind == 0:
                self.contract.pass_boundary(at)
            else:
                self._close(
                    min((p for p in self.contract.parts if p.closes_at == at and not p.settled), key=_start)
                )
        self.contract.now = to

    def _close(self, part: Part) -> None:
        part.settled = True
        if not part.trial and (charges := self.charging.charges_of(part)):
            self.invoiced[len(self.invoices)] = part
            self._invoice(part.span, charges)

    def _reached(self) -> Part | None:
        """The running part, if its period has come to a threshold at which it was not invoiced yet."""
        if self.contract.state not in ("active", "paused"):
            return None
        part = self.contract.parts[-1]
        at = self._behind_start(part)
        spent_minor, is_more = self.charging.spent_minor(part, at)
        level_minor = level_reached(self.contract.thresholds, spent_minor)
        if at >= part.span.end or not is_more or level_minor <= self.reached.get(part.whole, 0):
            return None
        self.reached[part.whole] = level_minor
        return part

    def _behind_start(self, part: Part) -> datetime:
        return max(self.contract.now, part.span.start + INSTANT)

    def _invoice_so_far(self, part: Part) -> None:
        at = self._behind_start(part)
        if charges := self.charging.charges_so_far(part, at):
            self._invoice(Span(part.whole.start, at), charges)

    def _rerate(self, action: Rerate) -> bool:
        place = len(self.invoices) - 1 - action.back
        part = self.invoiced.get(place)
        charges = rerate(self.charging, self.booked, place, part, action) if part else None
        if part and charges:
            self._invoice(part.span, charges)
        return charges is not None

    def _act(self, action: Action) -> bool:
        if not isinstance(action, Use | Correct | Rerate | Negotiate | Grant | Redeem):
            self.contract.catch_up()
        match action:
            case Subscribe():
                return self.contract.subscribe(action)
            case Change():
                return self.contract.change(action)
            case Watch():
                return self.contract.watch(action)
            case Pause():
                return self.contract.pause()
            case Resume():
                return self.contract.resume()
            case Cancel():
                return self.contract.cancel(action)
            case Use():
                self.reported.append(self._use(action))
                return self.reported[-1] is not None
            case Correct():
                return self._correct(action)
            case Rerate():
                return self._rerate(action)
            case Negotiate():
                known = self.contract.state != "none" or not action.for_subscription
                return known and negotiate(self.negotiated, action, self.contract.now)
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

    def _use(self, action: Use) -> Record | None:
        if not self.contract.now - OLDEST <= action.at <= self.contract.now + AHEAD:
            return None
        if self.contract.to_come and self.contract.to_come[0] <= self.contract.now:
            self.contract.catch_up()
        if (
            self.contract.state in ("none", "created")
            or not self.contract.starts_at <= action.at < self.contract.ends_at
        ):
            return None
        if self.contract.starts_at > self.contract.now:
            return None
        for run in reversed(self.contract.runs):
            if run.price.meter == action.meter and run.served.start <= action.at < run.served.end:
                record = Record(action.at, number(action.quantity), action.properties)
                run.records.append(record)
                self.used_more |= run.tells_so_far and action.at >= self.contract.anchor
                self._open_closing_part()
                return record
        return None

    def _correct(self, action: Correct) -> bool:
        """Of a record that was taken back, only that can be said again."""
        record = self.reported[action.record]
        run = next((run for run in self.contract.runs if any(one is record for one in run.records)), None)
        if record is None or run is None or run.records_tell:
            return False
        if record.quantity is None:
            return not action.quantity
        said, record.quantity = record.quantity, number(action.quantity) if action.quantity else None
        # What was said before, said again, is no news.
        news = bool(action.quantity) and record.quantity != said
        self.used_more |= news and run.tells_so_far and record.at >= self.contract.anchor
        self._open_closing_part()
        return True

    def _open_closing_part(self) -> None:
        """Usage that nothing is left to bill it with gets a part of no length, with the usual grace."""
        if self.contract.ends_at == FOREVER or any(not part.settled for part in self.contract.parts):
            return
        if any(
            self.charging.used_of(run, period) != run.billed.get(period.start, 0)
            or (run.records_tell and len(run.standing(period)) != len(run.looked_at.get(period.start, ())))
            for run in self.contract.runs
            for period in self.charging.paid_periods(run)
        ):
            none = Span(self.contract.now, self.contract.now)
            self.contract.parts.append(Part(none, none, trial=False, closes_at=self.contract.now + GRACE))

    def _give_back(
        self, charge: Charge, one: invoicing.Amounts, settled: list[tuple[Charge, invoicing.Amounts]]
    ) -> None:
        """What is taken back had been discounted: that part of it was never charged."""
        line = charge.line
        earlier = [done for done in self.booked if self.charging.are_same(done.charge, charge)]
        beside = [other for before, other in settled if self.charging.are_same(before, charge)]
        above = [done for done in earlier if done.charge.line.amount_minor > 0]
        most = max(above, key=lambda done: done.charge.line.amount_minor - done.uncharged_minor, default=None)
        if charge.corrects:
            one.corrects, one.discount_minor = charge.discount_minor is not None, charge.discount_minor or 0
            if one.corrects and most:
                one.category = most.category
            return
        invoiced_minor = sum(done.charge.line.amount_minor for done in earlier)
        invoiced_minor += sum(other.amount_minor for other in beside)
        if line.amount_minor < 0 and invoiced_minor:
            taken_minor = min(-line.amount_minor, invoiced_minor)
            uncharged_minor = sum(done.uncharged_minor for done in earlier)
            uncharged_minor += sum(other.discount_minor for other in beside)
            one.corrects = True
            one.category = most.category if most else one.category
            if invoiced_minor > 0:
                one.discount_minor = -invoicing.rounded(
                    Fraction(uncharged_minor * taken_minor, invoiced_minor)
                )

    def _take_the_place(
        self, charge: Charge, one: invoicing.Amounts, lowered: list[invoicing.Amounts]
    ) -> None:
        """A commitment makes up for what is taken back: with the discounts of that, if it is no more."""
        taken_minor = -sum(other.amount_minor for other in lowered)
        if 0 < charge.line.amount_minor <= taken_minor:
            off_minor = -sum(other.discount_minor for other in lowered)
            one.corrects = True
            one.discount_minor = invoicing.rounded(
                Fraction(off_minor * charge.line.amount_minor, taken_minor)
            )

    def _invoice(self, span: Span, charges: list[Charge]) -> None:
        lines = [charge.line for charge in charges]
        amounts = [
            invoicing.Amounts(charge.line.price, charge.category, charge.line.amount_minor)
            for charge in charges
        ]
        settled: list[tuple[Charge, invoicing.Amounts]] = []
        for charge, one in zip(charges, amounts, strict=True):
            self._give_back(charge, one, settled)
            if one.corrects and one.amount_minor < 0:
                settled.append((charge, one))
        for charge, one in zip(charges, amounts, strict=True):
            if charge.line.kind == "true_up":
                self._take_the_place(
                    charge,
                    one,
                    [
                        other
                        for lower, other in zip(charges, amounts, strict=True)
                        if other.corrects and charge.line.start <= lower.line.start < charge.line.end
                    ],
                )
        totals = invoicing.settle(
            amounts, self.customer, self.seller, self.discounts, self.credits, self.contract.now
        )
        due_minor, prepaid_minor = totals.total_minor - totals.prepaid_minor, totals.prepaid_minor
        if due_minor < 0:
            self.credits.append(invoicing.given_back(-due_minor, self.contract.now))
            due_minor, prepaid_minor = 0, prepaid_minor + due_minor
        self.booked += [
            Booked(
                len(self.invoices),
                charge,
                one.discount_minor + one.credit_minor,
                one.credit_minor,
                one.category,
            )
            for charge, one in zip(charges, amounts, strict=True)
        ]
        self.invoices.append(
            Invoice(
                start=span.start,
                end=span.end,
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
                    for line, one in zip(lines, amounts, strict=True)
                ),
                subtotal_minor=sum(line.amount_minor for line in lines),
                discount_minor=totals.discount_minor,
                credit_minor=totals.credit_minor,
                tax_minor=totals.tax_minor,
                total_minor=totals.total_minor,
                prepaid_minor=prepaid_minor,
                due_minor=due_minor,
            )
        )


def _start(part: Part) -> datetime:
    return part.span.start
