"""A subscription: what is served and due when, and in which parts its periods are billed."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.oracle.metering import Run
from tests.oracle.times import BEGINNING, FOREVER, Span, boundary, period_at
from tests.oracle.world import Cancel, Change, Customer, Item, Seller, Subscribe, Threshold, Watch

GRACE = timedelta(hours=1)
INSTANT = timedelta(microseconds=1)


@dataclass
class Part:
    """A period, or what of it is invoiced by itself. `closes_at` is known once it has ended."""

    span: Span
    whole: Span
    trial: bool
    closes_at: datetime | None = None
    settled: bool = False
    committed: bool = False
    """It was held to a minimum, or is a part of a period that may be."""


class Contract:
    def __init__(self, customer: Customer, seller: Seller) -> None:
        self.customer = customer
        self.seller = seller
        self.now = seller.begins
        self.state, self.paused_minor = "none", 0
        self.runs: list[Run] = []
        self.paused: list[Run] = []
        self.parts: list[Part] = []
        self.to_come: tuple[datetime, Change] | None = None
        self.ends_at = FOREVER
        self.ends_with_period = False
        self.commitments: list[tuple[int, Span]] = []
        self.thresholds: tuple[Threshold, ...] = ()

    @property
    def service(self) -> Span:
        return Span(self.anchor, max(self.anchor, self.ends_at))

    # Time

    def next_boundary(self) -> datetime | None:
        """When the running part begins, ends, or has a change to come."""
        if self.state in ("none", "canceled"):
            return None
        part = self.parts[-1]
        if self.state == "created":
            return part.span.start
        return min(part.span.end, self.to_come[0] if self.to_come else FOREVER)

    def pass_boundary(self, at: datetime) -> None:
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

    def catch_up(self) -> None:
        while (at := self.next_boundary()) is not None and at <= self.now:
            self.pass_boundary(at)

    # What customers do

    def subscribe(self, action: Subscribe) -> bool:
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
        self.thresholds = action.thresholds
        self.runs = [
            Run(item.price, item.quantity, place, always, always) for place, item in enumerate(action.items)
        ]
        return True

    def _held(self) -> list[Run]:
        return [run for run in self.runs if run.served.end == FOREVER]

    def _recurring(self) -> list[Run]:
        return [run for run in self._held() if not run.price.one_time]

    def _last_change(self) -> datetime:
        return max(run.served.start if run.served.end == FOREVER else run.served.end for run in self.runs)

    def change(self, action: Change) -> bool:
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

    def watch(self, action: Watch) -> bool:
        if self.state == "none":
            return False
        self.thresholds = action.thresholds
        return True

    def _committed_until(self, at: datetime) -> list[tuple[int, Span]]:
        """What was to begin later never does."""
        before = [(minor, Span(span.start, min(span.end, at))) for minor, span in self.commitments]
        return [one for one in before if one[1].start < one[1].end]

    def _commit(self, minimum_minor: int, at: datetime) -> None:
        self.commitments = [*self._committed_until(at), (minimum_minor, Span(at, FOREVER))]

    def pause(self) -> bool:
        if self.state != "active":
            return False
        self.state, self.to_come, self.paused = "paused", None, self._recurring()
        self.paused_minor = self.commitments[-1][0]
        self.commitments = self._committed_until(self.now)
        for run in self.paused:
            run.served = Span(run.served.start, self.now)
        for run in self.runs:
            run.fee = Span(run.fee.start, max(run.fee.start, min(run.fee.end, self.now)))
        return True

    def resume(self) -> bool:
        if self.state != "paused":
            return False
        self.state = "active"
        if self.paused_minor:
            self._commit(self.paused_minor, self.now)
        on = Span(self.now, FOREVER)
        for run in sorted(self.paused, key=lambda run: run.place):
            self.runs.append(Run(run.price, run.quantity, run.place, on, on))
        return True

    def cancel(self, action: Cancel) -> bool:
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
    """Which new item follows which old one: that of its price, else the next, metered or not as it is.

    What is charged once neither follows nor is followed.
    """
    left = [run for run in ended if not run.price.one_time]
    found, items = [], {place: item for place, item in added if not item.price.one_time}
    places = list(items)
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
