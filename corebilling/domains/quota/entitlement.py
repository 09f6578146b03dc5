"""What a holder may do: its running subscriptions, what they include, and what is left of their quotas.

Pure, as a model is: a holder is loaded once and asked many times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from corebilling.domains.quota.model import ANY_METER, Counting, Quota, Window
from corebilling.errors import BillingError, InvalidArgument

_ONE = Fraction(1)
_NOTHING = Fraction(0)


class Reason(StrEnum):
    ALLOWED = "allowed"
    ABOVE_SOFT_QUOTA = "above_soft_quota"
    QUOTA_EXCEEDED = "quota_exceeded"
    FEATURE_NOT_INCLUDED = "feature_not_included"
    METER_NOT_INCLUDED = "meter_not_included"
    NO_SUBSCRIPTION = "no_subscription"
    HOLDER_NOT_FOUND = "holder_not_found"


@dataclass(frozen=True, slots=True)
class Question:
    """Who asks, for a feature or a meter, and how much of it. Of each pair, the other is ''."""

    customer_id: str
    subscription_id: str
    feature_code: str
    meter_code: str
    quantity: Fraction = _ONE

    @property
    def holder_id(self) -> str:
        return self.subscription_id or self.customer_id


def question_of(customer_id: str, subscription_id: str, feature: str, meter: str, quantity: str) -> Question:
    """Raises InvalidArgument: ENTITLEMENT_QUESTION_INVALID unless it names one of each pair."""
    if (customer_id == "") == (subscription_id == ""):
        raise _ambiguous("it names either a customer or a subscription")
    if (feature == "") == (meter == ""):
        raise _ambiguous("it names either a feature or a meter")
    amount = Fraction(Decimal(quantity)) if quantity else _ONE
    return Question(customer_id, subscription_id, feature, meter, amount)


@dataclass(frozen=True, slots=True)
class HeldQuota:
    """A quota in its present window, what is used of it, and what is left."""

    quota: Quota
    window: Window
    used: Fraction
    left: Fraction

    @staticmethod
    def of(quota: Quota, window: Window, used: Fraction) -> "HeldQuota":
        limit = Fraction(quota.limit)
        # A largest value does not use anything up.
        left = limit if quota.counting is Counting.MAX else max(limit - used, _NOTHING)
        return HeldQuota(quota, window, used, left)

    def fits(self, quantity: Fraction) -> bool:
        return (_ONE if self.quota.meter_code == ANY_METER else quantity) <= self.left


@dataclass(frozen=True, slots=True)
class Held:
    """A running subscription. `features` are the meters of those included; '' is a feature that has none."""

    subscription_id: str
    features: Mapping[str, str]
    meter_codes: frozenset[str]
    quotas: Sequence[HeldQuota]


@dataclass(frozen=True, slots=True)
class Holder:
    """A customer or a subscription, as it is until `changes_at` unless an event says otherwise.

    `shared`: what others of the tenant use counts too. `sandbox`: its clock is not the system's.
    """

    customer_id: str
    subscriptions: Sequence[Held]
    changes_at: datetime
    shared: bool
    sandbox: bool


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The answer, with the quota that leaves least."""

    reason: Reason
    subscription_id: str = ""
    tightest: HeldQuota | None = None

    @property
    def allowed(self) -> bool:
        return self.reason in (Reason.ALLOWED, Reason.ABOVE_SOFT_QUOTA)


def decide_entitlement(holder: Holder, question: Question) -> Entitlement:
    """May the holder do this now? Of several subscriptions, the one that allows most answers."""
    if not holder.subscriptions:
        return Entitlement(Reason.NO_SUBSCRIPTION)
    answers = [_of_subscription(held, question) for held in holder.subscriptions]
    return answers[0] if len(answers) == 1 else max(answers, key=_generosity)


def _of_subscription(held: Held, question: Question) -> Entitlement:
    meter_code = question.meter_code
    if question.feature_code:
        if question.feature_code not in held.features:
            return Entitlement(Reason.FEATURE_NOT_INCLUDED)
        meter_code = held.features[question.feature_code]
        if not meter_code:
            return Entitlement(Reason.ALLOWED, held.subscription_id)
    if meter_code not in held.meter_codes:
        return Entitlement(Reason.METER_NOT_INCLUDED)
    counting = [one for one in held.quotas if one.quota.counts(meter_code)]
    if not counting:
        return Entitlement(Reason.ALLOWED, held.subscription_id)
    over = [one for one in counting if not one.fits(question.quantity)]
    hard = [one for one in over if one.quota.hard]
    tightest = min(hard or over or counting, key=lambda one: one.left)
    reason = Reason.QUOTA_EXCEEDED if hard else Reason.ABOVE_SOFT_QUOTA if over else Reason.ALLOWED
    return Entitlement(reason, held.subscription_id, tightest)


_BEST_FIRST = tuple(Reason)


def _generosity(answer: Entitlement) -> tuple[int, bool, Fraction]:
    left = answer.tightest.left if answer.tightest else _NOTHING
    return -_BEST_FIRST.index(answer.reason), answer.tightest is None, left


def _ambiguous(detail: str) -> BillingError:
    return InvalidArgument(
        "ENTITLEMENT_QUESTION_INVALID", f"The question is not clear: {detail}.", {"detail": detail}
    )
