"""Usage records: which are accepted, and which billing period each belongs to.

    reported record -> accepted | duplicate | conflict | rejected
    period's total:    reported -> rated -> billed

Records are handled by the thousand, so they come as columns and not as objects; a time is a whole number of
microseconds since 1970, and what costs more than a comparison is done once per batch or per period.
"""

import re
from collections.abc import Collection, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b

from corebilling.errors import AlreadyExists, BillingError, FailedPrecondition, InvalidArgument, NotFound
from corebilling.values.aggregation import Aggregation, PropertyFilter
from corebilling.values.exact import Fraction
from corebilling.values.metering import TransformTerms
from corebilling.values.period import ALWAYS, BillingCalendar, Period

MAX_KEY_CHARACTERS = 128
MAX_PROPERTIES = 16
MAX_PROPERTY_NAME_CHARACTERS = 63
MAX_PROPERTY_CHARACTERS = 128

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_QUANTITY = r"[0-9]{1,20}(?:\.[0-9]{1,12})?"
_ONE_QUANTITY = re.compile(_QUANTITY)
_QUANTITY_LINES = re.compile(rf"(?:{_QUANTITY}\n)*")
_UUID_FORM = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_UUID = re.compile(_UUID_FORM)
_UUID_LINES = re.compile(rf"(?:{_UUID_FORM}\n)*")
_NOWHERE = 0

Properties = Mapping[str, str]


def microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MICROSECOND


def instant_at(recorded_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=recorded_us)


@dataclass(frozen=True, slots=True)
class UsageRecords:
    """Reported records, one column per field; all columns are equally long."""

    keys: Sequence[str]
    subscription_ids: Sequence[str]
    meter_codes: Sequence[str]
    quantities: Sequence[str]
    recorded_us: Sequence[int]
    untimed: Collection[int] = ()
    """Indexes of records whose time is missing or malformed."""
    properties: Sequence[Properties | None] = ()
    """What records say of themselves; the whole column is empty when none of them says anything."""


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


SourceKey = tuple[str, str]
"""What a record names: a subscription and a meter."""


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


def usage_total_id(subscription_item_id: str, period_start: datetime) -> str:
    """The resource id of a period's total, whose version rises with each change."""
    return f"{subscription_item_id}:{period_start.isoformat().replace('+00:00', 'Z')}"


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


def check_form(records: UsageRecords) -> dict[int, BillingError]:
    """What is malformed, by index. A clean batch, the usual one, is recognized as a whole."""
    refused: dict[int, BillingError] = {index: _malformed("recorded_at") for index in records.untimed}
    if not _are_keys(records.keys):
        for index, key in enumerate(records.keys):
            if not 1 <= len(key) <= MAX_KEY_CHARACTERS:
                refused[index] = _malformed("idempotency_key")
    if not _are_lines(records.quantities, _QUANTITY_LINES):
        for index, quantity in enumerate(records.quantities):
            if _ONE_QUANTITY.fullmatch(quantity) is None:
                refused[index] = _malformed("quantity")
    for index, properties in enumerate(records.properties):
        if properties is not None and not _are_properties(properties):
            refused[index] = _malformed("properties")
    return refused


def stored_keys(keys: Sequence[str]) -> Sequence[str]:
    """Keys as UUIDs: those in a UUID's canonical form as they are, others as their hash."""
    if _are_lines(keys, _UUID_LINES):
        return keys
    return [key if _UUID.fullmatch(key) else _hashed(key) for key in keys]


def _conflict(key: str) -> BillingError:
    return AlreadyExists(
        "USAGE_KEY_CONFLICT",
        "The idempotency key was used for another record; use a new key, or correct the content.",
        {"idempotency_key": key},
    )


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What becomes of the records of a batch, by index."""

    fresh: Sequence[int]
    duplicates: Sequence[int]
    refused: Mapping[int, BillingError]


def decide_acceptance(
    records: UsageRecords,
    placement: Placement,
    keys: Sequence[str],
    known: Collection[str],
    repeated: Collection[int],
) -> Acceptance:
    """Sorts out the keys accepted before, and those that a batch repeats: there the first record counts.

    `keys` are the records' stored keys, `known` those accepted before, and `repeated` the indexes of records
    with the very content that their key was accepted with. Those are duplicates also where nothing serves
    any more.
    """
    if not placement.refused and not known and len(set(keys)) == len(keys):
        return Acceptance(range(len(keys)), (), {})
    refused = {index: error for index, error in placement.refused.items() if index not in repeated}
    first: dict[str, tuple[str, str, Decimal, int, Properties | None]] = {}
    fresh: list[int] = []
    duplicates: list[int] = []
    for index, key in enumerate(keys):
        if index in refused:
            continue
        if index in repeated:
            duplicates.append(index)
            continue
        content = (
            records.subscription_ids[index],
            records.meter_codes[index],
            Decimal(records.quantities[index]),
            records.recorded_us[index],
            records.properties[index] if records.properties else None,
        )
        if key not in known and first.setdefault(key, content) is content:
            fresh.append(index)
        elif first.get(key) == content:
            duplicates.append(index)
        else:
            refused[index] = _conflict(records.keys[index])
    return Acceptance(fresh, duplicates, refused)


PeriodKey = tuple[str, int]
"""An item's id, and when its period starts."""


def period_key(period: UsagePeriod) -> PeriodKey:
    return period.item.id, period.start_us


def adds_up(aggregation: str) -> bool:
    """Whether each record brings the period's quantity closer to its limit; else the largest one does."""
    return aggregation in (Aggregation.SUM, Aggregation.COUNT)


def room_left(period: UsagePeriod, total: Decimal, added: Decimal) -> Fraction | None:
    """What the period could take before a batch brought it to this total: None when all of that fits.

    Both quantities are sums, counts, or the largest, whichever the meter's own cannot be above. A trial's are
    never billed, and always fit.
    """
    most = period.item.max_quantity
    if most is None or total <= most or period.excluded:
        return None
    held = Fraction(total) - Fraction(added) if adds_up(period.item.aggregation) else 0
    return Fraction(most) - held


def leave_out_excess(
    records: UsageRecords, placement: Placement, acceptance: Acceptance, room: Mapping[PeriodKey, Fraction]
) -> Acceptance:
    """Refuses the fresh records that their period has no room for, one by one; `room` is of full periods."""
    left = dict(room)
    refused = dict(acceptance.refused)
    fresh: list[int] = []
    for index in acceptance.fresh:
        place = placement.places[index]
        if place < 0:  # It takes no room.
            fresh.append(index)
            continue
        period = placement.periods[place - 1]
        key, aggregation = period_key(period), period.item.aggregation
        taken = Fraction(1 if aggregation == Aggregation.COUNT else records.quantities[index])
        if key not in left:
            fresh.append(index)
        elif taken > left[key]:
            refused[index] = _excess(period.item)
        else:
            fresh.append(index)
            left[key] -= taken if adds_up(aggregation) else 0
    return Acceptance(fresh, acceptance.duplicates, refused)


def months_of(recorded_us: Collection[int]) -> set[date]:
    """First days of the UTC months from the earliest to the latest of these times, both included."""
    if not recorded_us:
        return set()
    first, last = instant_at(min(recorded_us)).date(), instant_at(max(recorded_us)).date()
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return {date(number // 12, number % 12 + 1, 1) for number in numbers}


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
        "The subscription was not running at that time; before it begins, nothing is accepted.",
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


def _are_keys(keys: Sequence[str]) -> bool:
    return all(1 <= length <= MAX_KEY_CHARACTERS for length in set(map(len, keys)))


def _are_lines(texts: Sequence[str], pattern: re.Pattern[str]) -> bool:
    """Whether each text is a line of the pattern."""
    lines = "\n".join(texts) + "\n"
    # As many lines as texts: none of them holds a line break of its own.
    return lines.count("\n") == len(texts) and pattern.fullmatch(lines) is not None


def _are_properties(properties: Properties) -> bool:
    # Postgres holds no NUL in text.
    return len(properties) <= MAX_PROPERTIES and all(
        1 <= len(name) <= MAX_PROPERTY_NAME_CHARACTERS
        and len(text) <= MAX_PROPERTY_CHARACTERS
        and "\0" not in name + text
        for name, text in properties.items()
    )


def _hashed(key: str) -> str:
    digest = blake2b(key.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def _malformed(field: str) -> BillingError:
    remedies = {
        "idempotency_key": f"needs 1 to {MAX_KEY_CHARACTERS} characters",
        "quantity": "is a decimal number, not negative, with up to 20 digits and 12 decimals",
        "recorded_at": "is required, as a valid time",
        "properties": f"are at most {MAX_PROPERTIES}, with names of 1 to {MAX_PROPERTY_NAME_CHARACTERS} "
        f"characters and values of up to {MAX_PROPERTY_CHARACTERS}, without NUL",
    }
    return InvalidArgument("USAGE_RECORD_INVALID", f"{field} {remedies[field]}.", {"field": field})


def _excess(item: UsageItem) -> BillingError:
    limit = f"{item.max_quantity:f}"
    return InvalidArgument(
        "VALUE_OUT_OF_RANGE",
        f"A period may have at most {limit} {item.meter_code} at the item's price: an invoice line holds no "
        "more. Correct the quantity.",
        {"field": "quantity", "limit": limit},
    )


def _text(recorded_us: int) -> str:
    try:
        return instant_at(recorded_us).isoformat().replace("+00:00", "Z")
    except OverflowError:
        return f"{recorded_us} us"
