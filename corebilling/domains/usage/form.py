"""What reported records are made of, and the form that they keep.

Records are handled by the thousand, so they come as columns and not as objects; a time is a whole number of
microseconds since 1970, and what costs more than a comparison is done once per batch or per period.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from hashlib import blake2b

from corebilling.errors import BillingError, InvalidArgument

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


def months_of(recorded_us: Collection[int]) -> set[date]:
    """First days of the UTC months from the earliest to the latest of these times, both included."""
    if not recorded_us:
        return set()
    first, last = instant_at(min(recorded_us)).date(), instant_at(max(recorded_us)).date()
    numbers = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return {date(number // 12, number % 12 + 1, 1) for number in numbers}


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
