from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from billing.subscription.v1 import subscription_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from corebilling.errors import InvalidArgument
from corebilling.mapping import decimal_text, enum_number, enum_text, instant, timestamp, to_message
from corebilling.values.page import (
    count_fitting,
    decode_page_token,
    encode_page_token,
    next_page,
    ordinal_of,
    page_limit,
    time_of,
)


@dataclass
class Row:
    id: str
    state: str
    start_at: datetime
    trial_end_at: datetime | None
    interval_count: int
    not_in_the_message: str = "x"


def test_rows_fill_the_fields_of_their_name_and_null_stays_unset():
    start = datetime(2025, 3, 1, 0, 0, 0, 123456, tzinfo=UTC)
    message = to_message(
        Row("sub_1", "active", start, None, 3), subscription_pb2.Subscription, currency="USD"
    )
    assert (message.id, message.interval_count, message.currency) == ("sub_1", 3, "USD")
    assert message.state == subscription_pb2.SUBSCRIPTION_STATE_ACTIVE
    assert instant(message.start_at) == start
    assert not message.HasField("trial_end_at")


def test_enum_names_are_the_lower_case_texts_of_the_schema():
    states = subscription_pb2.SubscriptionState
    for value in states.DESCRIPTOR.values:
        assert enum_number(states, enum_text(states, value.number)) == value.number
    assert enum_text(states, subscription_pb2.SUBSCRIPTION_STATE_CANCELED) == "canceled"


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)))  # noqa: DTZ001
def test_instants_survive_the_round_trip_to_the_microsecond(moment):
    assert instant(timestamp(moment)) == moment


@pytest.mark.parametrize("seconds", [10**12, -(10**12), -62135596800])
def test_a_timestamp_out_of_range_is_refused(seconds):
    with pytest.raises(InvalidArgument) as refused:
        instant(Timestamp(seconds=seconds))
    assert refused.value.reason == "REQUEST_INVALID"


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=12))
def test_decimal_text_is_plain_and_exact(number):
    text = decimal_text(number)
    assert Decimal(text) == number
    assert "E" not in text
    assert not ("." in text and text.endswith(("0", ".")))


@given(st.lists(st.text(), min_size=2, max_size=2))
def test_page_tokens_bring_their_keys_back(keys):
    assert decode_page_token(encode_page_token(*keys), 2) == tuple(keys)


@pytest.mark.parametrize("token", ["x", "!!", "bm9wZQ", encode_page_token("only one"), "W1sxXSwyXQ"])
def test_foreign_page_tokens_are_refused(token):
    with pytest.raises(InvalidArgument) as refused:
        decode_page_token(token, 2)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("sizes", "count"), [([], 0), ([5, 5], 2), ([5, 6], 1), ([11, 1], 1), ([1, 11, 1], 1)]
)
def test_a_page_holds_as_many_rows_as_fit_and_one_at_least(sizes, count):
    assert count_fitting(sizes, 10) == count


def test_a_page_has_a_next_token_only_when_more_was_fetched():
    assert next_page([1, 2], 2, key=str) == ([1, 2], "")
    page, token = next_page([1, 2, 3], 2, key=str)
    assert (page, decode_page_token(token, 1)) == ([1, 2], ("2",))
    assert (page_limit(0), page_limit(9), page_limit(10_000)) == (50, 9, 500)


def test_the_moment_that_the_driver_takes_for_infinity_is_refused():
    with pytest.raises(InvalidArgument):
        instant(Timestamp(seconds=253402300799, nanos=999_999_999))


def test_a_page_token_with_half_a_character_is_refused():
    with pytest.raises(InvalidArgument) as refused:
        decode_page_token(encode_page_token("\ud800"), 1)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("read", "key"),
    [(ordinal_of, key) for key in ["-1", "1.5", "²", str(2**31), "9" * 5000]]
    + [(time_of, key) for key in ["", "x", "2026-02-30T00:00:00+00:00", "0001-01-01T00:00:00+14:00"]],
)
def test_what_no_row_is_sorted_by_is_refused_in_a_page_token(read, key):
    with pytest.raises(InvalidArgument) as refused:
        read(key)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


def test_numbers_and_times_in_page_tokens_are_those_of_rows():
    assert (ordinal_of(""), ordinal_of("999999999")) == (0, 999_999_999)
    assert time_of("2026-03-01T01:00:00+01:00") == datetime(2026, 3, 1, tzinfo=UTC)
