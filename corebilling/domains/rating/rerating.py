"""Rating again what was invoiced: each charge with a corrected price, from what it was worked out from."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from billing_db.rerating import ListBilledChargesRow

from corebilling.domains.rating.model import ChargeKind
from corebilling.errors import FailedPrecondition, InvalidArgument
from corebilling.values.discount import uncharged_now, uncharged_of, uncharged_part
from corebilling.values.money import exact_amount, minor_units
from corebilling.values.price import BY_RECORD, Price, PriceModel, Rated, prorate, rate
from corebilling.values.price_together import rate_served

_NOTHING, _WHOLE = Fraction(0), Fraction(1)


@dataclass(frozen=True, slots=True)
class Rerated:
    """A charge, and what it comes to with the corrected price: exactly, and as it is owed.

    `difference_minor` is what that is more than was invoiced of it, `discount_minor` what of this is neither
    charged nor given back: the part of it that was never charged of what had been rated. None: it is new, as
    nothing had been rated that it could follow, and has the discounts in force.
    """

    charge: ListBilledChargesRow
    quantity: Decimal
    amount: Decimal
    amount_minor: int
    difference_minor: int
    discount_minor: int | None


def check_correction(wrong: Price, right: Price, *, same_interval: bool) -> None:
    """Whether what was charged with the one price may be with the other.

    Raises:
        InvalidArgument: RERATING_PRICE_INVALID, with the reason as `detail`.
    """
    detail = ""
    if wrong.id == right.id:
        detail = "it is the price itself"
    elif (wrong.metered, wrong.one_time) != (right.metered, right.one_time):
        detail = "one of them is metered or charged once, the other is not"
    elif not same_interval:
        detail = "they are charged at different intervals"
    if detail:
        raise InvalidArgument(
            "RERATING_PRICE_INVALID",
            f"The corrected price cannot take the other's place: {detail}.",
            {"price_id": wrong.id, "corrected_price_id": right.id, "detail": detail},
        )


def charges_at(
    price_id: str, charges: Sequence[ListBilledChargesRow], cycle_id: str
) -> list[ListBilledChargesRow]:
    """All charges of a cycle that the price holds for now.

    Raises:
        FailedPrecondition: RERATING_PRICE_UNUSED when there are none; RERATING_PRICED_TOGETHER when what one
            comes to depends on others; RERATING_NEGOTIATED when other amounts than the price's own held.
    """
    found = [one for one in charges if (one.corrected_price_id or one.price_id) == price_id]
    if not found:
        raise FailedPrecondition(
            "RERATING_PRICE_UNUSED",
            "Nothing of the cycle is rated with this price; it may have been corrected before.",
            {"cycle_id": cycle_id, "price_id": price_id},
        )
    if any(one.by_record for one in found):
        raise _by_record(price_id)
    if any(one.negotiated for one in found):
        raise negotiated(cycle_id, price_id)
    if any("priced_quantity" in one.basis for one in found):
        raise FailedPrecondition(
            "RERATING_PRICED_TOGETHER",
            "Items of this price followed one another in the period and were priced together; issue a credit "
            "note or a one-off invoice instead.",
            {"cycle_id": cycle_id, "price_id": price_id},
        )
    return found


def negotiated(cycle_id: str, price_id: str) -> FailedPrecondition:
    return FailedPrecondition(
        "RERATING_NEGOTIATED",
        "The customer has negotiated amounts of this price; issue a credit note or a one-off invoice "
        "instead.",
        {"cycle_id": cycle_id, "price_id": price_id},
    )


def _by_record(price_id: str) -> FailedPrecondition:
    return FailedPrecondition(
        "RERATING_BY_RECORD",
        "A price that looks at single records can neither be corrected nor correct another one; issue a "
        "credit note or a one-off invoice instead.",
        {"price_id": price_id},
    )


def rate_again(charge: ListBilledChargesRow, price: Price) -> Rerated:
    if price.model in BY_RECORD:
        raise _by_record(price.id)
    quantity = Decimal(1) if price.model is PriceModel.FLAT else charge.quantity
    share = Fraction(charge.basis.get("share", _WHOLE))
    share_before = Fraction(charge.basis.get("share_before", _NOTHING))
    rated, before = corrected(price, charge.kind, quantity, share, share_before)
    amount_minor = corrected_minor(rated, before, price.currency)
    return Rerated(
        charge,
        quantity,
        exact_amount(rated.amount),
        amount_minor,
        amount_minor - charge.billed_minor,
        _discount(charge, amount_minor),
    )


def _discount(charge: ListBilledChargesRow, amount_minor: int) -> int | None:
    if charge.rated_minor > 0:
        now_minor = uncharged_now(
            amount_minor,
            rated_minor=charge.rated_minor,
            uncharged_minor=charge.rated_uncharged_minor,
            credit_minor=rated_credit_minor(charge),
            invoiced_minor=charge.billed_minor,
            later_credit_minor=charge.later_credit_minor,
        )
        return now_minor - charge.uncharged_minor
    if amount_minor < charge.billed_minor:
        taken_minor = charge.billed_minor - amount_minor
        return -uncharged_part(taken_minor, charge.billed_minor, charge.uncharged_minor)
    return None


def rated_credit_minor(charge: ListBilledChargesRow) -> int:
    """Of what is not charged of what was rated, what credits paid: usage taken back took its part of it."""
    left_minor = max(0, charge.rated_uncharged_minor)
    return uncharged_of(left_minor, charge.rated_above_minor, charge.rated_credit_minor)


def corrected(
    price: Price, kind: str, quantity: Decimal, share: Fraction, share_before: Fraction
) -> tuple[Rated, Fraction]:
    """What a charge of a kind comes to with the price, and what earlier parts of the same fee do."""
    if kind == ChargeKind.USAGE:
        return rate_served(price, quantity, share), _NOTHING
    whole = rate(price, quantity)
    return prorate(whole, share), whole.amount * share_before


def corrected_minor(rated: Rated, before: Fraction, currency: str) -> int:
    """As it is owed: the parts of a fee add up to what the whole is rounded to."""
    return minor_units(before + rated.amount, currency) - minor_units(before, currency)
