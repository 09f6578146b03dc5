"""What is sent where, and what becomes of it."""

from datetime import UTC, datetime
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.webhook.address import check_new_url, check_url, is_allowed
from corebilling.domains.webhook.model import (
    MAX_RETRY_AFTER_S,
    Answer,
    DeliveryState,
    WebhookPolicy,
    check_filters,
    decide_changed_fields,
    decide_outcome,
    filters_matching,
    parse_retry_after,
    retry_delay_s,
)
from corebilling.errors import InvalidArgument
from corebilling.values.subject import matches

POLICY = WebhookPolicy()
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)

words = st.sampled_from(["a", "b", "ab", "a_b", "invoice"])
subjects = st.lists(words, min_size=1, max_size=4).map(".".join)
filters = st.one_of(st.just("*"), subjects, subjects.map(lambda subject: subject + ".*"))


@given(filters, subjects)
def test_the_filters_sought_for_a_subject_are_those_that_match_it(filter_: str, subject: str) -> None:
    assert matches(filter_, subject) == (filter_ in filters_matching(subject))


@pytest.mark.parametrize(
    ("filter_", "subject", "expected"),
    [
        ("*", "invoice.generated", True),
        ("invoice.generated", "invoice.generated", True),
        ("invoice.*", "invoice.generated", True),
        ("invoice.*", "invoice.status.changed", True),
        ("invoice.status.*", "invoice.status.changed", True),
        ("invoice.*", "invoice", False),
        ("invoice.*", "invoices.generated", False),
        ("invoice", "invoice.generated", False),
        ("invoice.generated", "invoice.generated.again", False),
    ],
)
def test_a_filter_is_all_or_a_subject_or_a_prefix_at_a_dot(
    filter_: str, subject: str, expected: bool
) -> None:
    assert matches(filter_, subject) is expected


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_is_delivered(status: int) -> None:
    assert decide_outcome(Answer(status), 1, POLICY, 0.0).state is DeliveryState.DELIVERED


@pytest.mark.parametrize("status", [0, 100, 199, 300, 301, 307, 400, 404, 429, 500, 503])
def test_everything_else_is_tried_again(status: int) -> None:
    outcome = decide_outcome(Answer(status), 1, POLICY, 0.0)
    assert (outcome.state, outcome.retry_s) == (DeliveryState.PENDING, 10.0)


def test_a_delivery_is_dead_after_its_first_try_and_five_retries() -> None:
    states = [decide_outcome(Answer(500), tries, POLICY, 0.0).state for tries in range(1, 7)]
    assert states == [DeliveryState.PENDING] * 5 + [DeliveryState.DEAD]


def test_a_receiver_that_is_gone_gets_nothing_more() -> None:
    outcome = decide_outcome(Answer(410), 1, POLICY, 0.0)
    assert (outcome.state, outcome.endpoint_gone) == (DeliveryState.DEAD, True)


def test_delays_double_from_the_base_up_to_the_maximum() -> None:
    delays = [retry_delay_s(tries, POLICY, 0.0) for tries in range(1, 9)]
    assert delays == [10, 20, 40, 80, 160, 300, 300, 300]
    assert retry_delay_s(100_000, POLICY, 0.0) == 300


@given(st.integers(1, 50), st.floats(0, 1))
def test_chance_takes_at_most_a_fifth_off_a_delay(tries: int, jitter: float) -> None:
    full = retry_delay_s(tries, POLICY, 0.0)
    assert full * 0.8 <= retry_delay_s(tries, POLICY, jitter) <= full


def test_a_receiver_may_ask_for_a_longer_wait_but_not_for_any() -> None:
    def wait_s(asked_s: float) -> float:
        return decide_outcome(Answer(429, retry_after_s=asked_s), 1, POLICY, 0.0).retry_s

    assert [wait_s(3), wait_s(120), wait_s(1e9)] == [10, 120, MAX_RETRY_AFTER_S]


@pytest.mark.parametrize(
    ("text", "expected_s"),
    [
        ("120", 120),
        ("Sun, 01 Mar 2026 12:02:00 GMT", 120),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("", 0),
        ("-5", 0),
        ("soon", 0),
        ("1e3", 0),
        ("9" * 40, 0),
        # Numbers that fit no date: an error here would end the worker, and every tenant's deliveries.
        ("Sun, 01 Mar 99999999999999999999 12:02:00 GMT", 0),
        ("Sun, 99999999999 Mar 2026 12:02:00 GMT", 0),
        ("Sun, 01 Mar 2026 12:02:00 +99999999999999999999", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, expected_s: float) -> None:
    assert parse_retry_after(text, NOW) == expected_s


def test_an_endpoint_needs_a_filter_and_keeps_each_once() -> None:
    assert check_filters(["b.*", "a", "b.*"]) == ("b.*", "a")
    with pytest.raises(InvalidArgument):
        check_filters([])


@pytest.mark.parametrize("mask", [[], ["secret"], ["url", "id"]])
def test_an_update_names_what_can_be_changed(mask: list[str]) -> None:
    with pytest.raises(InvalidArgument) as refused:
        decide_changed_fields(mask)
    assert refused.value.reason == "UPDATE_MASK_INVALID"


PUBLIC = ["1.1.1.1", "8.8.8.8", "172.15.0.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]
# Where a private receiver listens in development.
PRIVATE = ["127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "::1", "fd12::1"]
NEVER = [
    "0.0.0.0",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "192.0.0.192",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.255.255.250",
    "255.255.255.255",
    "::",
    "::ffff:1.1.1.1",
    "::ffff:127.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "fe80::1",
    "fe80::1%eth0",
    "2606:4700::1%eth0",
    "fec0::1",
    "ff02::1",
    "3fff::1",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_allowed(address: str) -> None:
    assert is_allowed(address, allow_private=False)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_allowed_in_development_alone(address: str) -> None:
    assert not is_allowed(address, allow_private=False)
    assert is_allowed(address, allow_private=True)


@pytest.mark.parametrize("address", NEVER)
def test_no_setting_allows_other_special_addresses(address: str) -> None:
    assert not is_allowed(address, allow_private=False)
    assert not is_allowed(address, allow_private=True)


@given(st.ip_addresses(v=4))
def test_what_the_standard_library_calls_private_is_never_allowed(address: IPv4Address) -> None:
    assert address.is_global or not is_allowed(str(address), allow_private=False)


@given(st.text(st.characters(codec="ascii"), max_size=40))
def test_no_retry_after_is_too_strange_to_read(text: str) -> None:
    assert parse_retry_after(text, NOW) >= 0


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "https://example.com/hooks?tenant=1",
        "https://Hooks.Example.COM:8443/a/b",
        "https://example.com:443/",
        "https://1.1.1.1/hook",
        "https://[2606:4700::1111]/hook",
        "https://a-b.example.com./x",
        "https://internal.example.com/",
        "https://local.app/",
    ],
)
def test_public_https_urls_are_accepted(url: str) -> None:
    check_new_url(url, allow_private=False)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/hook",
        "ftp://example.com/",
        "https://",
        "https:///hook",
        "example.com/hook",
        "https://user:password@example.com/",
        "https://example.com#@10.0.0.1/",
        "https://example.com\\@10.0.0.1/",
        "https://example.com/a b",
        "https://example.com/\r\nX-Injected: 1",
        "https://exämple.com/",
        "https://example.com:22/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://127.0.0.1/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://017700000001/",
        "https://1.1.1.1./",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://169.254.169.254/latest/meta-data",
        "https://a..b/",
        "https://-a.example.com/",
        "https://" + "a" * 64 + ".com/",
        "https://" + "a." * 130 + "com/",
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_url(url, allow_private=False)
    assert refused.value.reason == "WEBHOOK_URL_INVALID"
    assert refused.value.facts["url"] == url


@pytest.mark.parametrize(
    "url",
    [
        "https://LocalHost./",
        "https://billing/hook",
        "https://app.localhost/",
        "https://localhost.localdomain/",
        "https://Metadata.Google.Internal./",
        "https://127.0.0.1/",
    ],
)
def test_a_new_endpoint_outside_of_the_public_network_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        check_new_url(url, allow_private=False)
    assert refused.value.reason == "WEBHOOK_URL_INVALID"


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/hook",
        "http://localhost:3000",
        "https://[::1]:1/",
        "http://shop/hook",
        "http://host.docker.internal:8000/",
    ],
)
def test_development_allows_http_and_loopback_on_any_port(url: str) -> None:
    check_new_url(url, allow_private=True)


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/", "http://[::ffff:169.254.169.254]/", "http://a:0/"]
)
def test_development_does_not_allow_everything(url: str) -> None:
    with pytest.raises(InvalidArgument):
        check_url(url, allow_private=True)
