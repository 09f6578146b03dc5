"""Answers as clients see them."""

from fractions import Fraction

from billing.quota.v1 import entitlement_pb2 as pb
from billing.quota.v1 import quota_pb2
from billing.types.v1 import period_pb2

from corebilling.domains.quota.entitlement import Entitlement, Reason
from corebilling.mapping import decimal_text, enum_number, timestamp
from corebilling.values.money import exact_amount

_REASONS = {reason: enum_number(pb.EntitlementReason, reason) for reason in Reason}


def entitlement_message(answer: Entitlement) -> pb.Entitlement:
    message = pb.Entitlement(
        allowed=answer.allowed,
        reason=_REASONS[answer.reason],  # type: ignore[arg-type] # the enum's numbers are plain ones
        subscription_id=answer.subscription_id,
    )
    held = answer.tightest
    if held is not None:
        hard = held.quota.hard
        message.quota_id = held.quota.id
        message.enforcement = quota_pb2.QUOTA_ENFORCEMENT_HARD if hard else quota_pb2.QUOTA_ENFORCEMENT_SOFT
        message.limit_quantity = decimal_text(held.quota.limit)
        message.used_quantity = _text(held.used)
        message.remaining_quantity = _text(held.left)
        message.period.CopyFrom(
            period_pb2.Period(
                start=timestamp(held.window.period.start), end=timestamp(held.window.period.end)
            )
        )
    return message


def _text(quantity: Fraction) -> str:
    return decimal_text(exact_amount(quantity))
