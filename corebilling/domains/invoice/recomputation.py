"""Invoices worked out again, from the evidence that a bundle has of them and from nothing else.

What lines come to is said here, and what charges come to in `recharging`.
"""

from collections.abc import Iterable, Mapping
from fractions import Fraction

from billing.credit.v1 import credit_pb2
from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.rating.v1 import rating_pb2
from billing.tax.v1 import tax_pb2

from corebilling.domains.invoice.amounts import AmountLine, InvoiceAmounts, Terms, work_out
from corebilling.domains.invoice.bundle_reading import (
    Unreadable,
    above_zero,
    known_currency,
    moment,
    named,
    number,
)
from corebilling.values.credit import Credit, CreditApplication, CreditKind, usable_credits
from corebilling.values.currency import EXPONENTS
from corebilling.values.discount import Discount, DiscountKind, uncharged_now, uncharged_part
from corebilling.values.money import exact_minor, minor_units
from corebilling.values.tax import TaxBehavior, TaxRate, TaxRounding


def reckon(
    invoice: pb.Invoice, coupons: Iterable[discount_pb2.Coupon], held: Iterable[credit_pb2.Credit]
) -> InvoiceAmounts:
    """What the invoice's lines come to by its terms, with the discounts and credits that it used.

    The lines of the amounts have their places for ids. The credit that an invoice below zero became did not
    pay it, and is left out.

    Raises:
        Unreadable: Something of it cannot be understood.
    """
    terms_of = {coupon.id: coupon for coupon in coupons}
    credits_by_id = {credit.id: credit for credit in held}
    terms = Terms(
        known_currency(invoice.currency),
        moment(invoice.terms.worked_out_at),
        tax_behavior=TaxBehavior(named(tax_pb2.TaxBehavior, invoice.tax_behavior, "tax behavior")),
        tax_rounding=TaxRounding(named(tax_pb2.TaxRounding, invoice.terms.tax_rounding, "tax rounding")),
        credit_application=CreditApplication(
            named(tax_pb2.CreditApplication, invoice.terms.credit_application, "application of credits")
        ),
    )
    return work_out(
        [
            AmountLine(str(place), line.amount_minor, _rates(line), _exemption(line), _settled_discount(line))
            for place, line in enumerate(invoice.lines)
        ],
        terms,
        discounts=[_discount(invoice, used, terms_of) for used in invoice.discounts],
        available=[
            _credit(used, credits_by_id)
            for used in invoice.credits
            if used.available_minor and not used.HasField("applied_at")
        ],
    )


def applied_minor(invoice: pb.Invoice, used: pb.InvoiceCredit, credit: credit_pb2.Credit) -> int:
    """What ApplyCredits takes of a credit: all that it had left, but of the last one, which pays the rest."""
    at = moment(used.applied_at)
    usable = usable_credits([_credit(used, {credit.id: credit})], invoice.currency, at)
    if not usable or usable[0].kind is not CreditKind.PREPAID:
        return 0
    pays = invoice.HasField("paid_at") and moment(invoice.paid_at) == at and used.amount_minor > 0
    return min(used.amount_minor, used.available_minor) if pays else used.available_minor


def exact_line(line: pb.InvoiceLine, charge: rating_pb2.Charge | None, currency: str) -> tuple[int, Fraction]:
    """What the line is rounded to, and what that adds, in minor units.

    Lines of a fee that is billed in parts add up to what the whole is rounded to.
    """
    known_currency(currency)
    if charge is None:
        quantity, unit_amount = number(line.quantity, "quantity"), number(line.unit_amount, "unit amount")
        unit_size = above_zero(line.unit_size or "1", "unit size")
        amount = Fraction(quantity) * Fraction(unit_amount) / Fraction(unit_size)
        before = Fraction(0)
    else:
        amount = Fraction(number(charge.amount, f"amount of charge {charge.id}"))
        before = Fraction(number(charge.amount_before, f"amount before charge {charge.id}"))
    rounded = minor_units(before + amount, currency) - minor_units(before, currency)
    return rounded, rounded - exact_minor(amount, EXPONENTS[currency])


def _settled_discount(line: pb.InvoiceLine) -> int | None:
    """What a line that corrects others does not charge, or give back: that part of it was never charged."""
    told = line.evidence
    if told.rated_minor > 0:
        by_now_minor = told.invoiced_minor + line.amount_minor
        now_minor = uncharged_now(
            by_now_minor,
            rated_minor=told.rated_minor,
            uncharged_minor=told.rated_uncharged_minor,
            credit_minor=told.rated_credit_minor,
            invoiced_minor=told.invoiced_minor,
            later_credit_minor=told.later_credit_minor,
        )
        return now_minor - told.uncharged_minor
    if line.amount_minor >= 0 or not told.invoiced_minor:
        return None
    return -uncharged_part(-line.amount_minor, told.invoiced_minor, told.uncharged_minor)


def _rates(line: pb.InvoiceLine) -> tuple[TaxRate, ...]:
    return tuple(tax_rate(tax) for tax in line.taxes)


def tax_rate(tax: pb.InvoiceTax) -> TaxRate:
    """The rate that a tax was worked out with."""
    return TaxRate(tax.tax_rate_id, number(tax.percent, "percentage of a tax"), tax.compound)


def _exemption(line: pb.InvoiceLine) -> str:
    return named(tax_pb2.TaxExemption, line.tax_exemption, "exemption") if line.tax_exemption else ""


def _discount(
    invoice: pb.Invoice, used: pb.InvoiceDiscount, coupons: Mapping[str, discount_pb2.Coupon]
) -> Discount:
    if used.coupon_id not in coupons:
        raise Unreadable(f"The terms of coupon {used.coupon_id} are missing.")
    coupon = coupons[used.coupon_id]
    scope = None
    if coupon.price_ids or used.subscription_id:
        scope = frozenset(
            str(place)
            for place, line in enumerate(invoice.lines)
            if (not coupon.price_ids or line.price_id in coupon.price_ids)
            and used.subscription_id in ("", line.subscription_id)
        )
    return Discount(
        id=used.discount_id,
        kind=DiscountKind(named(discount_pb2.DiscountKind, coupon.kind, f"kind of coupon {coupon.id}")),
        percent=number(coupon.percent, f"percentage of coupon {coupon.id}"),
        amount_minor=coupon.amount_minor,
        lines=scope,
    )


def _credit(used: pb.InvoiceCredit, held: Mapping[str, credit_pb2.Credit]) -> Credit:
    """As it was before the invoice."""
    if used.credit_id not in held:
        raise Unreadable(f"The terms of credit {used.credit_id} are missing.")
    credit = held[used.credit_id]
    return Credit(
        id=credit.id,
        kind=CreditKind(named(credit_pb2.CreditKind, credit.kind, f"kind of credit {credit.id}")),
        currency=credit.currency,
        remaining_minor=used.available_minor,
        valid_from=moment(credit.valid_from),
        created_at=moment(credit.created_at),
        valid_until=moment(credit.valid_until) if credit.HasField("valid_until") else None,
        priority=credit.priority,
    )
