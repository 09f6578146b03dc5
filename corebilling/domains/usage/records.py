"""What a batch of usage says: its records as columns, and the subscriptions that they name."""

from collections.abc import Sequence

from billing.usage.v1 import usage_pb2

from corebilling.domains.usage.form import Properties, UsageRecords

_MAX_ID_CHARACTERS = 64


def read_records(messages: Sequence[usage_pb2.UsageRecord]) -> UsageRecords:
    """The messages' fields as columns."""
    times = [message.recorded_at for message in messages]
    seconds = [time.seconds for time in times]
    nanos = [time.nanos for time in times]
    untimed: list[int] = []
    if 0 in seconds or min(nanos, default=0) < 0 or max(nanos, default=0) > 999_999_999:
        untimed = [
            index
            for index, message in enumerate(messages)
            if not message.HasField("recorded_at") or not 0 <= nanos[index] <= 999_999_999
        ]
    return UsageRecords(
        keys=[message.idempotency_key for message in messages],
        subscription_ids=[message.subscription_id for message in messages],
        meter_codes=[message.meter_code for message in messages],
        quantities=[message.quantity for message in messages],
        recorded_us=[second * 1_000_000 + nano // 1000 for second, nano in zip(seconds, nanos, strict=True)],
        untimed=untimed,
        properties=_properties(messages),
    )


def _properties(messages: Sequence[usage_pb2.UsageRecord]) -> Sequence[Properties | None]:
    maps = [message.properties for message in messages]
    return [dict(one) or None for one in maps] if any(maps) else ()


def named_subscriptions(records: UsageRecords) -> list[str]:
    """Those that the records name, without what can be no id."""
    # Postgres holds no NUL in text, and no id is that long: such a record is refused, not the whole batch.
    return [
        name
        for name in set(records.subscription_ids)
        if 0 < len(name) <= _MAX_ID_CHARACTERS and "\0" not in name
    ]
