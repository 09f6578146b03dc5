"""Deferred revenue: what was invoiced for service that is still to come.

    deferred ──> recognized     at each month's end in the tenant's time zone, and at the service's
        └──────> reversed       by a credit note, or when the invoice is voided

| fact                 | debit            | credit                                             |
|----------------------|------------------|----------------------------------------------------|
| invoice finalized    | receivable       | revenue for service up to then, deferred revenue   |
| a month is over      | deferred revenue | revenue                                            |
| credit note issued   | deferred revenue, as far as there is any, then revenue | receivable   |
| invoice voided       | its finalization reversed, and what was recognized     |              |

What remains is spread evenly over the rest of the service, by second or by day; the last part takes all of
it. So parts add up to the whole, whatever was reversed meanwhile.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from corebilling.domains.ledger.model import AccountType, Entry, transfer
from corebilling.errors import InvalidArgument
from corebilling.values.clock import EARLIEST, LATEST
from corebilling.values.money import round_number
from corebilling.values.period import Period, calendar_month
from corebilling.values.proration import Grain, Proration

MAX_SERVICE = timedelta(days=3660)
"""Ten years and some days: a schedule has at most so many months."""

_LAST_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Spread:
    """How service is measured. Where fees are not prorated (grain `none`), days count."""

    grain: Grain
    timezone: str

    @classmethod
    def of(cls, grain: Grain, timezone: str) -> "Spread":
        return cls(Grain.DAY if grain is Grain.NONE else grain, timezone)

    def part(self, amount_minor: int, service: Period, until: datetime) -> int:
        """What of an amount belongs to the beginning of the service, rounded half up; at its end, all."""
        if until >= service.end:
            return amount_minor
        share = Proration(self.grain, self.timezone).share(Period(service.start, until), service)
        return round_number(amount_minor * share.factor)

    def next_end(self, service: Period) -> datetime:
        """When the month is over that the service begins in, or the service, if that comes first."""
        return min(calendar_month(service.start, self.timezone).end, service.end)


@dataclass(frozen=True, slots=True)
class Recognition:
    """A part of the service, and what is earned with it."""

    period: Period
    amount_minor: int

    @property
    def posted_at(self) -> datetime:
        """The last instant of the part: it belongs to the month that is over."""
        return self.period.end - _LAST_INSTANT

    def entries(self, currency: str) -> tuple[Entry, ...]:
        """None for nothing."""
        if not self.amount_minor:
            return ()
        return transfer(
            self.amount_minor, currency, debit=AccountType.DEFERRED_REVENUE, credit=AccountType.REVENUE
        )


@dataclass(frozen=True, slots=True)
class Deferral:
    """What remains to be recognized, and the service it belongs to."""

    remaining_minor: int
    service: Period
    spread: Spread

    @property
    def next(self) -> Recognition | None:
        """The next part; None when nothing remains."""
        if not self.remaining_minor:
            return None
        until = self.spread.next_end(self.service)
        amount_minor = self.spread.part(self.remaining_minor, self.service, until)
        return Recognition(Period(self.service.start, until), amount_minor)

    def after(self, recognition: Recognition) -> "Deferral":
        return replace(
            self,
            remaining_minor=self.remaining_minor - recognition.amount_minor,
            service=Period(recognition.period.end, self.service.end),
        )

    def reversible(self, revenue_minor: int) -> int:
        """How much of the revenue that is given back was not recognized yet."""
        least, most = sorted((0, self.remaining_minor))
        return min(max(least, revenue_minor), most)

    def schedule(self) -> Iterator[Recognition]:
        """All parts to come, as things stand."""
        rest = self
        while (part := rest.next) is not None:
            yield part
            rest = rest.after(part)


def defer(revenue_minor: int, service: Period, now: datetime, spread: Spread) -> Deferral | None:
    """What of a line's revenue is earned after now; None for nothing."""
    if now >= service.end:
        return None
    start = max(now, service.start)
    earned_minor = spread.part(revenue_minor, service, start)
    if earned_minor == revenue_minor:
        return None
    return Deferral(revenue_minor - earned_minor, Period(start, service.end), spread)


def check_service(service: Period) -> Period:
    """Refuses a service that cannot be spread.

    Raises:
        InvalidArgument: SERVICE_PERIOD_INVALID.
    """
    if not (EARLIEST <= service.start < service.end <= LATEST and service.end - service.start <= MAX_SERVICE):
        raise InvalidArgument(
            "SERVICE_PERIOD_INVALID",
            f"A service starts before it ends, lasts ten years at most, and ends by {LATEST.date()}.",
            {"start": service.start.isoformat(), "end": service.end.isoformat()},
        )
    return service
