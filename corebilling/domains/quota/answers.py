"""Answers as clients see them: the same question about the same holder is decided once."""

from fractions import Fraction

from billing.quota.v1 import entitlement_pb2 as pb
from billing.quota.v1 import entitlement_service_pb2 as rpc
from billing.quota.v1 import quota_pb2
from billing.types.v1 import period_pb2

from corebilling.domains.quota.entitlement import (
    Entitlement,
    Holder,
    Question,
    Reason,
    decide_entitlement,
    question_of,
)
from corebilling.mapping import decimal_text, enum_number, timestamp
from corebilling.values.money import exact_amount

_REASONS = {reason: enum_number(pb.EntitlementReason, reason) for reason in Reason}

_MAX_ANSWERS = 32


class Answers:
    """What was asked of a holder, and answered. It is what it is for as long as the holder is."""

    def __init__(self, holder: Holder) -> None:
        self.holder = holder
        self._given: dict[tuple[str, str, str], rpc.CheckEntitlementResponse] = {}

    def to(self, asked: pb.EntitlementQuestion) -> rpc.CheckEntitlementResponse:
        """Raises InvalidArgument: ENTITLEMENT_QUESTION_INVALID."""
        key = (asked.feature_code, asked.meter_code, asked.quantity)
        given = self._given.get(key)
        if given is None:
            answer = decide_entitlement(self.holder, read_question(asked))
            given = rpc.CheckEntitlementResponse(entitlement=entitlement_message(answer))
            if len(self._given) < _MAX_ANSWERS:
                self._given[key] = given
        return given


def read_question(asked: pb.EntitlementQuestion) -> Question:
    """Raises InvalidArgument: ENTITLEMENT_QUESTION_INVALID."""
    return question_of(
        asked.customer_id, asked.subscription_id, asked.feature_code, asked.meter_code, asked.quantity
    )


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


NOBODY = entitlement_message(Entitlement(Reason.HOLDER_NOT_FOUND))
