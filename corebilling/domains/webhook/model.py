"""Endpoints and deliveries: what is sent where, and what becomes of it.

pending -> delivered            the receiver answered 2xx
pending -> pending              it did not: again after a delay that doubles
pending -> dead                 tries are used up, or the endpoint is gone or deleted
delivered, dead -> pending      sent again, by request
dead -> discarded               given up for good, by request

While its endpoint is disabled, a delivery stays pending and nothing is tried.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum

from corebilling.domains.webhook.lanes import Signal
from corebilling.errors import InvalidArgument
from corebilling.values.subject import ANY_SUBJECT

MAX_WEBHOOKS = 100
"""Endpoints per tenant."""

MAX_RETRY_AFTER_S = 3600.0
"""The longest wait that a receiver may ask for."""

MAX_REDELIVERED = 1000
"""Deliveries that one request sends again."""

TEST_SUBJECT = "webhook.tested"
"""Goes to the endpoint under test alone."""

CHANGEABLE_FIELDS = frozenset({"url", "filters", "enabled", "rate_per_second"})

# Of a delay, how much chance may take off, so that what failed together does not come back together.
_JITTER = 0.2
# A process that died is followed after the timeout of its call, and time enough to load and to record.
_LEASE_MARGIN_S = 10.0

_GONE = 410
# What overloaded servers, and those in front of them, answer.
_THROTTLING = frozenset({429, 502, 503, 504})


class DeliveryState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    DISCARDED = "discarded"


class DisabledReason(StrEnum):
    REQUESTED = "requested"
    GONE = "gone"
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class WebhookPolicy:
    """Times in seconds. `limit`: deliveries under way at once per process, to receivers that answer promptly.

    `rate_per_second`: of an endpoint that sets none. `disable_after_s`: of nothing but failures.

    `allow_private` permits http, any port, loopback and private networks: for development alone.
    """

    interval_s: float = 1.0
    limit: int = 100
    max_retries: int = 5
    base_delay_s: float = 10.0
    max_delay_s: float = 300.0
    http_timeout_s: float = 15.0
    rate_per_second: int = 100
    disable_after_s: float = 5 * 86_400.0
    allow_private: bool = False

    @property
    def lease_s(self) -> float:
        return self.http_timeout_s + _LEASE_MARGIN_S


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said, and how its body begins; `status_code` 0 and `error` when it said nothing."""

    status_code: int
    error: str = ""
    retry_after_s: float = 0.0
    response: str = ""

    @property
    def asked_s(self) -> float:
        """How long the receiver wants to wait, within bounds."""
        return min(self.retry_after_s, MAX_RETRY_AFTER_S)

    @property
    def signal(self) -> Signal:
        """What the answer means for all that is to be sent there."""
        if not self.status_code:
            return Signal.SILENCE
        if 200 <= self.status_code < 300:
            return Signal.SUCCESS
        return Signal.THROTTLED if self.status_code in _THROTTLING or self.retry_after_s else Signal.FAILURE


@dataclass(frozen=True, slots=True)
class Outcome:
    """What becomes of a delivery. `endpoint_gone`: nothing more is to be sent there."""

    state: DeliveryState
    error: str = ""
    retry_s: float = 0.0
    endpoint_gone: bool = False


def filters_matching(subject: str) -> tuple[str, ...]:
    """All filters that match the subject: what the database compares an endpoint's with."""
    parts = subject.split(".")
    prefixes = (".".join(parts[:length]) + ".*" for length in range(1, len(parts)))
    return (ANY_SUBJECT, subject, *prefixes)


def decide_outcome(answer: Answer, tries: int, policy: WebhookPolicy, jitter: float) -> Outcome:
    """After the `tries`-th try, from 1. `jitter` is a random number from 0 to 1."""
    if answer.signal is Signal.SUCCESS:
        return Outcome(DeliveryState.DELIVERED)
    if answer.status_code == _GONE:
        return Outcome(
            DeliveryState.DEAD, "the receiver answered 410: the endpoint is disabled", endpoint_gone=True
        )
    error = answer.error or f"the receiver answered {answer.status_code}"
    if tries > policy.max_retries:
        return Outcome(DeliveryState.DEAD, error)
    return Outcome(DeliveryState.PENDING, error, max(retry_delay_s(tries, policy, jitter), answer.asked_s))


def retry_delay_s(tries: int, policy: WebhookPolicy, jitter: float) -> float:
    """The wait after the `tries`-th try: it doubles up to the maximum, less what chance takes off."""
    doubled = policy.base_delay_s * 2.0 ** min(tries - 1, 64)
    return min(doubled, policy.max_delay_s) * (1 - _JITTER * jitter)


def parse_retry_after(text: str, now: datetime) -> float:
    """Seconds to wait by a Retry-After header, which holds seconds or a date; 0 when it holds neither."""
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def check_filters(filters: Iterable[str]) -> tuple[str, ...]:
    """The filters, once each.

    Raises:
        InvalidArgument: REQUEST_INVALID when there are none.
    """
    unique = tuple(dict.fromkeys(filters))
    if not unique:
        raise InvalidArgument(
            "REQUEST_INVALID",
            "An endpoint needs a filter; '*' means every event.",
            violations=(("filters", "must not be empty"),),
        )
    return unique


def decide_changed_fields(mask: Iterable[str]) -> tuple[str, ...]:
    """The fields that an update mask names, once each and sorted.

    Raises:
        InvalidArgument: UPDATE_MASK_INVALID when it is empty or names something else.
    """
    fields = tuple(sorted(set(mask)))
    wrong = next((field for field in fields if field not in CHANGEABLE_FIELDS), "")
    if wrong or not fields:
        allowed = ", ".join(sorted(CHANGEABLE_FIELDS))
        raise InvalidArgument(
            "UPDATE_MASK_INVALID", f"Name in update_mask what to change, of {allowed}.", {"path": wrong}
        )
    return fields
