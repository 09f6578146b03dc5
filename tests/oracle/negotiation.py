"""Other amounts of prices, agreed with a customer or for its subscription."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tests.oracle.times import FOREVER, Span
from tests.oracle.world import Negotiate, Price


@dataclass
class Negotiated:
    """Amounts of a price, and when they are in force."""

    price: Price
    terms: Price
    for_subscription: bool
    valid: Span


def negotiate(agreed: list[Negotiated], action: Negotiate, now: datetime) -> bool:
    """From now or later on, instead of what was agreed for the same before."""
    begins = action.valid_from or now.replace(microsecond=0)
    until = action.valid_until or FOREVER
    if until <= begins:
        return False
    for one in agreed:
        if (one.price, one.for_subscription) == (action.price, action.for_subscription):
            one.valid = Span(one.valid.start, min(one.valid.end, max(one.valid.start, begins)))
    included = action.terms.included_quantity or action.price.included_quantity
    terms = replace(action.terms, included_quantity=included)
    agreed.append(Negotiated(action.price, terms, action.for_subscription, Span(begins, until)))
    return True


def terms_of(price: Price, agreed: Sequence[Negotiated], at: datetime) -> Price:
    """The price with the amounts in force: the subscription's before its customer's before its own."""
    found = [one for one in agreed if one.price == price]
    in_force = [one for one in found if one.valid.start <= at < one.valid.end]
    in_force.sort(key=lambda one: not one.for_subscription)
    return in_force[0].terms if in_force else price
