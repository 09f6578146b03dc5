"""Placing records: which item, and which of its billing periods, each belongs to."""

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from corebilling.domains.usage.form import UsageRecords, check_form, instant_at, microseconds
from corebilling.errors import BillingError, FailedPrecondition, NotFound
from corebilling.values.aggregation import PropertyFilter
from corebilling.values.metering import TransformTerms
from corebilling.values.period import ALWAYS, BillingCalendar, Period

_MICROSECOND = timedelta(microseconds=1)
_NOWHERE = 0

SourceKey = tuple[str, str]
"""What a record names: a subscription and a meter."""


@dataclass(frozen=True, slots=True)
class UsageItem:
    """A metered item of a subscription.

    `max_quantity` is the most that a period may bill, before the meter's transform: no invoice line could
    hold more. None is no limit.
    """

    id: str
    meter_code: str
    aggregation: str
    subscription_id: str
    customer_id: str
    max_quantity: Decimal | None
    calendar: BillingCalendar
    starts_at: datetime = ALWAYS.start
    ends_at: datetime = ALWAYS.end
    """Of the subscription's items for the meter, this one counts from `starts_at` up to `ends_at`."""
    filters: Sequence[PropertyFilter] = ()
    """Of its meter: records that one of them does not let through are kept, but do not count."""
    transform: TransformTerms | None = None
    by_record: bool = False
    """Whether single records are looked at when it is rated."""


@dataclass(frozen=True, slots=True)
class UsagePlan:
    """What a subscription's usage counts for, as long as its version is this: what changes that raises it."""

    subscription_id: str
    customer_id: str
    version: int
    next_change_at: datetime | None
    """When other items are to replace the present ones."""
    items: Mapping[SourceKey, Sequence[UsageItem]]
    """Of each meter those that followed one another, in the order they began."""


@dataclass(frozen=True, slots=True)
class UsageWindow:
    """How old, and how far ahead of the tenant's clock `now_us`, a record may be; both limits are allowed."""

    earliest_us: int
    now_us: int
    latest_us: int

    @classmethod
    def around(cls, now: datetime, *, back: timedelta, ahead: timedelta) -> "UsageWindow":
        now_us = microseconds(now)
        return cls(now_us - back // _MICROSECOND, now_us, now_us + ahead // _MICROSECOND)

    def __contains__(self, at_us: int) -> bool:
        return self.earliest_us <= at_us <= self.latest_us


@dataclass(frozen=True, slots=True)
class UsagePeriod:
    """A billing period of an item. Records count for it from `start_us` up to `end_us`, as service ran."""

    item: UsageItem
    period: Period
    excluded: bool
    start_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a batch's records belong: `places[i]` counts from 1 into `periods`; 0 is a refused record. Below
    zero it is the place of a record that does not count there: its meter's filters leave it out.

    `unserved` are those of the refused that nothing serves: they may have been accepted when something did.
    """

    places: list[int]
    periods: list[UsagePeriod]
    refused: dict[int, BillingError]
    unserved: set[int]


def usage_source(subscription_id: str, meter_code: str) -> str:
    """Subscription and meter in one text; ids hold no colon."""
    return f"{subscription_id}:{meter_code}"


def overdue_subscriptions(plans: Iterable[UsagePlan], now: datetime) -> list[str]:
    """Those of which a scheduled change has fallen due that the scheduler has not come to yet."""
    return [
        plan.subscription_id
        for plan in plans
        if plan.next_change_at is not None and plan.next_change_at <= now
    ]


def decide_placement(
    records: UsageRecords,
    items: Mapping[SourceKey, Sequence[UsageItem]],
    window: UsageWindow,
    last_periods: MutableMapping[str, UsagePeriod],
) -> Placement:
    """Finds the period of every record, or why it is refused. One bad record never spoils the others.

    `items` are one of each source, or those that followed one another. `last_periods`, by item, remembers
    periods across batches: usage comes in order, and working a period out costs a hundred times more than
    comparing with its bounds.
    """
    refused = check_form(records)
    places: list[int] = []
    periods: list[UsagePeriod] = []
    numbers: dict[tuple[str, int], int] = {}
    current: dict[SourceKey, tuple[int, int, int]] = {}
    unserved: set[int] = set()
    columns = zip(records.subscription_ids, records.meter_codes, records.recorded_us, strict=True)
    for index, (subscription_id, meter_code, at) in enumerate(columns):
        pair = (subscription_id, meter_code)
        bounds = current.get(pair)
        if bounds is not None and bounds[0] <= at < bounds[1]:
            places.append(bounds[2])
            continue
        if index in refused:
            places.append(_NOWHERE)
            continue
        found = _find_period(pair, items.get(pair, ()), at, window, last_periods)
        if isinstance(found, BillingError):
            refused[index] = found
            places.append(_NOWHERE)
            continue
        if found is None:
            refused[index] = _unserved(subscription_id, at)
            unserved.add(index)
            places.append(_NOWHERE)
            continue
        number = numbers.setdefault((found.item.id, found.start_us), len(periods) + 1)
        if number > len(periods):
            periods.append(found)
        # Within these bounds neither the period nor the window needs another look.
        current[pair] = (
            max(found.start_us, window.earliest_us),
            min(found.end_us, window.latest_us + 1),
            number,
        )
        places.append(number)
    for index in refused:
        places[index] = _NOWHERE
    if any(period.item.filters for period in periods):
        places = [
            place if _counts(records, index, place, periods) else -place for index, place in enumerate(places)
        ]
    return Placement(places, periods, refused, unserved)


def _counts(records: UsageRecords, index: int, place: int, periods: Sequence[UsagePeriod]) -> bool:
    if place == _NOWHERE:
        return True
    properties = records.properties[index] if records.properties else None
    return all(one.holds(properties) for one in periods[place - 1].item.filters)


def _find_period(
    pair: SourceKey,
    items: Sequence[UsageItem],
    at: int,
    window: UsageWindow,
    last_periods: MutableMapping[str, UsagePeriod],
) -> UsagePeriod | BillingError | None:
    if not items:
        return NotFound(
            "USAGE_ITEM_NOT_FOUND",
            "The subscription has no item for the meter; check both names.",
            {"subscription_id": pair[0], "meter_code": pair[1]},
        )
    if at not in window:
        return _outside(at, window)
    item = _item_at(items, at)
    last = last_periods.get(item.id)
    # Of the same plan: another one's items are other objects.
    if last is not None and last.item is item and last.start_us <= at < last.end_us:
        return last
    # What has not begun may still be canceled, and would have no cycle to bill this with.
    begun = microseconds(item.calendar.start_at) <= window.now_us
    found = _work_out_period(item, at) if begun else None
    if found is not None:
        last_periods[item.id] = found
    return found


def _item_at(items: Sequence[UsageItem], at: int) -> UsageItem:
    """The last item that had begun by then; it may have ended, too."""
    if len(items) == 1:
        return items[0]
    begun = [item for item in items if microseconds(item.starts_at) <= at]
    running = [item for item in begun if at < microseconds(item.ends_at)]
    return (running or begun or items)[-1]


def _unserved(subscription_id: str, at: int) -> BillingError:
    return FailedPrecondition(
        "USAGE_OUTSIDE_SUBSCRIPTION",
        "The subscription was not running at that time: before it begins, while it is paused and after it "
        "ended, nothing is accepted.",
        {"subscription_id": subscription_id, "recorded_at": _text(at)},
    )


def _outside(at: int, window: UsageWindow) -> BillingError:
    if at < window.earliest_us:
        return FailedPrecondition(
            "USAGE_TOO_OLD",
            "The record is older than what is still accepted.",
            {"recorded_at": _text(at), "earliest": _text(window.earliest_us)},
        )
    return FailedPrecondition(
        "USAGE_IN_FUTURE",
        "The record is ahead of the tenant's clock; correct its time or send it later.",
        {"recorded_at": _text(at), "latest": _text(window.latest_us)},
    )


def _work_out_period(item: UsageItem, at: int) -> UsagePeriod | None:
    segment = item.calendar.segment(instant_at(at))
    if segment is None:
        return None
    calendar, period = item.calendar, segment.period
    billed_from = calendar.start_at if segment.trial else calendar.trial_end_at or calendar.start_at
    own = Period(max(period.start, item.starts_at), min(period.end, item.ends_at))
    start = max(own.start, billed_from)
    end = min(own.end, calendar.ended_at or own.end)
    if not start <= instant_at(at) < end:
        return None
    return UsagePeriod(item, own, segment.trial, microseconds(start), microseconds(end))


def _text(recorded_us: int) -> str:
    try:
        return instant_at(recorded_us).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{recorded_us} us"
