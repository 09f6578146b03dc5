"""Quotas: whose usage counts together, in which period, and what is told and refused when.

used:  0 ..... 80 % ............... 100 % ........
               usage.quota.warning  usage.quota.exceeded; above it a hard quota refuses

What was used is read from totals, not counted a second time: a correction gives it back, and a new quota
knows what came before it. The tenant's own quotas are counted as usage is accepted, since its customers share
no lock under which to sum them up.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from corebilling.errors import BillingError, InvalidArgument, ResourceExhausted
from corebilling.values.money import exact_amount
from corebilling.values.period import BillingCalendar, Period, calendar_month, local_date, midnight

MAX_QUOTAS_PER_SUBJECT = 50
ANY_METER = ""

_WARNING_PERCENT = 80
_HOUR = timedelta(hours=1)
_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)


class Scope(StrEnum):
    TENANT = "tenant"
    PLAN = "plan"
    CUSTOMER = "customer"
    SUBSCRIPTION = "subscription"


class QuotaPeriod(StrEnum):
    BILLING_PERIOD = "billing_period"
    MONTH = "month"
    DAY = "day"


class Counting(StrEnum):
    """How records become what is used: aggregations whose quantity is known after every record."""

    SUM = "sum"
    COUNT = "count"
    MAX = "max"


class NoticeKind(StrEnum):
    WARNING = "warning"
    EXCEEDED = "exceeded"
    THRESHOLD = "threshold"


@dataclass(frozen=True, slots=True)
class Threshold:
    """Where a notice is wanted: a percentage of the limit, or a quantity."""

    percent: Decimal | None
    quantity: Decimal | None

    def at(self, limit: Decimal) -> Decimal:
        if self.quantity is not None:
            return self.quantity
        assert self.percent is not None, "one of the two is given"
        return exact_amount(Fraction(limit) * Fraction(self.percent) / 100)


@dataclass(frozen=True, slots=True)
class Window:
    """Whose usage of what is limited from when to when: the unit in which a quota is used up."""

    quota_id: str
    subject_id: str
    period: Period


@dataclass(frozen=True, slots=True)
class Quota:
    """A quota as one subscription's usage counts for it; `timezone` is the one of the calendar it goes by."""

    id: str
    scope: Scope
    subscription_id: str
    customer_id: str
    meter_code: str
    counting: Counting
    period: QuotaPeriod
    limit: Decimal
    hard: bool
    calendar: BillingCalendar
    timezone: str
    tenant_id: str
    thresholds: Sequence[Threshold] = ()

    @property
    def holder_id(self) -> str:
        """Whose usage is summed up."""
        holders = {Scope.TENANT: self.tenant_id, Scope.CUSTOMER: self.customer_id}
        return holders.get(self.scope, self.subscription_id)

    def counts(self, meter_code: str) -> bool:
        return self.meter_code in (ANY_METER, meter_code)

    def window(self, at: datetime) -> Window | None:
        """Where usage of that moment counts; None when the subscription was not running."""
        if self.period is QuotaPeriod.BILLING_PERIOD:
            segment = self.calendar.segment(at)
            return None if segment is None else Window(self.id, self.holder_id, segment.period)
        return Window(self.id, self.holder_id, calendar_window(self.period, at, self.timezone))

    def windows(self, first: datetime, last: datetime) -> Iterator[Window]:
        """Where usage from the one moment to the other counts."""
        at = first
        while at <= last and (window := self.window(at)) is not None:
            yield window
            at = window.period.end

    def taken(self, quantity: str) -> Fraction:
        """What one record uses."""
        return Fraction(1) if self.counting is Counting.COUNT else Fraction(quantity)


def check_quota(scope: Scope, subject_id: str, period: QuotaPeriod, thresholds: Iterable[Threshold]) -> None:
    """Raises InvalidArgument: QUOTA_INVALID, saying what contradicts what."""
    given = list(thresholds)
    problems = {
        "the tenant's quota names no subject": scope is Scope.TENANT and subject_id != "",
        "a quota of a plan, customer or subscription names it in subject_id": scope is not Scope.TENANT
        and subject_id == "",
        "billing periods are those of plans and subscriptions: choose month or day": period
        is QuotaPeriod.BILLING_PERIOD
        and scope in (Scope.TENANT, Scope.CUSTOMER),
        "a threshold is a percentage or a quantity, above zero": any(
            (one.percent is None) == (one.quantity is None) or not (one.percent or one.quantity)
            for one in given
        ),
    }
    for detail, wrong in problems.items():
        if wrong:
            raise invalid(detail)


def check_counting(aggregation: str) -> Counting:
    """How the meter's usage counts for a quota."""
    if aggregation not in set(Counting):
        raise invalid(f"what the meter's records come to ({aggregation}) is not known before the period ends")
    return Counting(aggregation)


def invalid(detail: str) -> BillingError:
    return InvalidArgument("QUOTA_INVALID", f"The quota contradicts itself: {detail}.", {"detail": detail})


def calendar_window(period: QuotaPeriod, at: datetime, timezone: str) -> Period:
    """The month or day of the time zone that holds the moment, in whole hours of UTC.

    Usage is kept by the hour. Where a day begins within one, the hour belongs to that day: windows follow one
    another without a gap in every time zone.
    """
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    last_moment = hour + _HOUR - _MICROSECOND
    if period is QuotaPeriod.MONTH:
        exact = calendar_month(last_moment, timezone)
    else:
        day = local_date(last_moment, timezone)
        exact = Period(midnight(day, timezone), midnight(day + _DAY, timezone))
    return Period(_whole_hour(exact.start), _whole_hour(exact.end))


def _whole_hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Notice:
    """A threshold that was passed."""

    kind: NoticeKind
    at: Decimal


def due_notices(quota: Quota, used: Decimal) -> list[Notice]:
    """What there is to tell of a quota of which so much is used, lowest threshold first."""
    warning = Threshold(Decimal(_WARNING_PERCENT), None).at(quota.limit)
    wanted = [Notice(NoticeKind.WARNING, warning), Notice(NoticeKind.EXCEEDED, quota.limit)]
    own = {threshold.at(quota.limit) for threshold in quota.thresholds}
    wanted += [Notice(NoticeKind.THRESHOLD, at) for at in own]
    return sorted((one for one in wanted if 0 < used >= one.at), key=lambda one: (one.at, one.kind))


def refusal_notices(quota: Quota, used: Decimal) -> list[Notice]:
    """What there is to tell of a hard quota that refused a record.

    With four fifths used, little is left: what does not fit may come again and again, and never use it up. A
    record that would not fit into much more is one record's mistake.
    """
    warned = any(notice.kind is NoticeKind.WARNING for notice in due_notices(quota, used))
    return [Notice(NoticeKind.EXCEEDED, quota.limit)] if warned else []


def percent_used(limit: Decimal, used: Decimal) -> int:
    """In whole percent, rounded down; 100 of a quota that allows nothing."""
    return int(Fraction(used) * 100 // Fraction(limit)) if limit else 100


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that could be accepted: its place in the batch, what it says, and where it counts."""

    index: int
    quantity: str
    windows: Sequence[tuple[Quota, Window]]


@dataclass(frozen=True, slots=True)
class Decision:
    """Refusals by index, what the accepted records use, and the quotas that refused, with what was used."""

    refused: dict[int, BillingError]
    taken: dict[Window, Fraction]
    full: dict[Window, tuple[Quota, Fraction]]


def refuse_excess(
    candidates: Iterable[Candidate], used: Mapping[Window, Fraction], room: Mapping[Window, Fraction]
) -> "Decision":
    """Takes the records one by one; a hard quota refuses what does not fit into what is left of it.

    `room` is what the tenant's quotas were found to have left, where that is less than `used` says.
    """
    decision = Decision({}, {}, {})
    refused, taken = decision.refused, decision.taken
    for candidate in candidates:
        full = next(
            (
                (quota, window)
                for quota, window in candidate.windows
                if quota.hard and not _fits(quota, window, candidate.quantity, used, taken, room)
            ),
            None,
        )
        if full is not None:
            quota, window = full
            so_far = _so_far(quota, window, used, taken)
            refused[candidate.index] = exceeded(quota, window, so_far)
            decision.full[window] = quota, so_far
            continue
        for quota, window in candidate.windows:
            amount = quota.taken(candidate.quantity)
            before = taken.get(window, Fraction(0))
            taken[window] = max(before, amount) if quota.counting is Counting.MAX else before + amount
    return decision


def room_after(quota: Quota, used: Decimal, added: Fraction) -> Fraction | None:
    """What was left of a hard quota before something was added that brought it there; None when it fits.

    A largest quantity fits by itself, whatever others were.
    """
    if not quota.hard or quota.counting is Counting.MAX or used <= quota.limit:
        return None
    return Fraction(quota.limit) - (Fraction(used) - added)


def _fits(
    quota: Quota,
    window: Window,
    quantity: str,
    used: Mapping[Window, Fraction],
    taken: Mapping[Window, Fraction],
    room: Mapping[Window, Fraction],
) -> bool:
    amount = quota.taken(quantity)
    if quota.counting is Counting.MAX:
        return amount <= quota.limit
    left = Fraction(quota.limit) - used.get(window, Fraction(0))
    return amount <= min(left, room.get(window, left)) - taken.get(window, Fraction(0))


def _so_far(
    quota: Quota, window: Window, used: Mapping[Window, Fraction], taken: Mapping[Window, Fraction]
) -> Fraction:
    before, now = used.get(window, Fraction(0)), taken.get(window, Fraction(0))
    return max(before, now) if quota.counting is Counting.MAX else before + now


def exceeded(quota: Quota, window: Window, used: Fraction) -> BillingError:
    """The refusal of what does not fit, with so much used."""
    what = quota.meter_code or "records"
    end = window.period.end.isoformat().replace("+00:00", "Z")
    limit, so_far = (f"{exact_amount(Fraction(number)):f}" for number in (quota.limit, used))
    return ResourceExhausted(
        "QUOTA_EXCEEDED",
        f"The quota allows {limit} {what} up to {end}, and {so_far} are used; wait, or have it raised.",
        {
            "quota_id": quota.id,
            "meter_code": quota.meter_code,
            "limit": limit,
            "used": so_far,
            "period_end": end,
        },
    )
