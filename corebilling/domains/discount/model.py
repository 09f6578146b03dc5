"""Coupons, and the discounts of customers who redeemed them.

coupon: active -> archived
discount: in force -> ended, when it is taken away or was on as many invoices as it is for
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from corebilling.errors import FailedPrecondition, InvalidArgument
from corebilling.values.discount import DiscountKind


class CouponStatus(StrEnum):
    ACTIVE = "active"
    ARCHIVED = "archived"


class DiscountDuration(StrEnum):
    ONCE = "once"
    REPEATING = "repeating"
    FOREVER = "forever"


@dataclass(frozen=True, slots=True)
class CouponOffer:
    """What a coupon takes off, for how many invoices, and how often and when it can be redeemed."""

    id: str
    kind: DiscountKind
    percent: Decimal
    amount_minor: int
    currency: str
    duration: DiscountDuration
    duration_invoices: int
    max_redemptions: int
    valid_from: datetime
    valid_until: datetime | None


def check_coupon(offer: CouponOffer) -> CouponOffer:
    """The offer itself.

    Raises:
        InvalidArgument: COUPON_INVALID, saying what contradicts what.
    """
    percent = offer.kind is DiscountKind.PERCENT
    problems = {
        "a percentage lies above 0 and at most at 100": percent and not 0 < offer.percent <= 100,
        "a percentage has neither amount nor currency": percent
        and (offer.amount_minor > 0 or offer.currency != ""),
        "a fixed discount has an amount and its currency": not percent
        and (offer.amount_minor == 0 or not offer.currency),
        "a fixed discount has no percentage": not percent and offer.percent > 0,
        "duration_invoices belongs to repeating ones": (offer.duration is DiscountDuration.REPEATING)
        != (offer.duration_invoices > 0),
        "valid_until comes after valid_from": offer.valid_until is not None
        and offer.valid_until <= offer.valid_from,
    }
    for detail, wrong in problems.items():
        if wrong:
            raise InvalidArgument("COUPON_INVALID", f"Correct the coupon: {detail}.", {"detail": detail})
    return offer


def decide_redemption(
    offer: CouponOffer, *, status: CouponStatus, redemptions: int, currency: str, now: datetime
) -> int | None:
    """For how many invoices the discount is; None: for all that come.

    Args:
        redemptions: How often the coupon was redeemed before.
        currency: The customer's.

    Raises:
        FailedPrecondition: COUPON_NOT_REDEEMABLE.
    """
    reasons = {
        "it is archived": status is CouponStatus.ARCHIVED,
        "it is not valid now": now < offer.valid_from
        or (offer.valid_until is not None and now >= offer.valid_until),
        "it was redeemed as often as it can be": 0 < offer.max_redemptions <= redemptions,
        "it is in another currency": offer.kind is DiscountKind.FIXED and offer.currency != currency,
    }
    for detail, refused in reasons.items():
        if refused:
            raise not_redeemable(offer.id, detail)
    if offer.duration is DiscountDuration.FOREVER:
        return None
    return 1 if offer.duration is DiscountDuration.ONCE else offer.duration_invoices


def not_redeemable(coupon_id: str, detail: str) -> FailedPrecondition:
    return FailedPrecondition(
        "COUPON_NOT_REDEEMABLE",
        f"The coupon cannot be redeemed: {detail}.",
        {"coupon_id": coupon_id, "detail": detail},
    )
