"""Usage records: which are accepted, as far as their periods have room.

reported record -> accepted | duplicate | conflict | rejected
period's total:    reported -> rated -> billed
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from corebilling.domains.usage.form import Properties, UsageRecords
from corebilling.domains.usage.placement import Placement, UsageItem, UsagePeriod
from corebilling.errors import AlreadyExists, BillingError, InvalidArgument
from corebilling.values.aggregation import Aggregation


def usage_total_id(subscription_item_id: str, period_start: datetime) -> str:
    """The resource id of a period's total, whose version rises with each change."""
    return f"{subscription_item_id}:{period_start.isoformat().replace('+00:00', 'Z')}"


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


def _excess(item: UsageItem) -> BillingError:
    limit = f"{item.max_quantity:f}"
    return InvalidArgument(
        "VALUE_OUT_OF_RANGE",
        f"A period may have at most {limit} {item.meter_code} at the item's price: an invoice line holds no "
        "more. Correct the quantity.",
        {"field": "quantity", "limit": limit},
    )
