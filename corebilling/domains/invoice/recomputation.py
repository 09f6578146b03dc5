"""Invoices worked out again, from the evidence that a bundle has of them and from nothing else.

What is said here of a number is said of any text that stands where one is expected: a bundle is somebody's
file. `Unreadable` names what cannot be understood; whatever can be is worked out, be it wrong.
"""

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from billing.catalog.v1 import catalog_pb2, price_override_pb2
from billing.credit.v1 import credit_pb2
from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import bundle_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.rating.v1 import rating_pb2
from billing.tax.v1 import tax_pb2
from billing.tenant.v1 import tenant_pb2
from billing.types.v1 import money_pb2, period_pb2
from billing.usage.v1 import usage_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from corebilling.domains.invoice.amounts import AmountLine, InvoiceAmounts, Terms, work_out
from corebilling.domains.rating.model import evidence as shown_tiers
from corebilling.errors import BillingError
from corebilling.mapping import EnumType, decimal_text, enum_text, instant
from corebilling.values.credit import Credit, CreditApplication, CreditKind
from corebilling.values.currency import EXPONENTS
from corebilling.values.discount import Discount, DiscountKind
from corebilling.values.exact import Fraction
from corebilling.values.money import exact_amount, exact_minor, minor_units
from corebilling.values.period import Period
from corebilling.values.price import (
    BY_RECORD,
    Price,
    PriceModel,
    Rated,
    Step,
    StepKind,
    Tier,
    TierCharge,
    difference,
    prorate,
    rate,
    rate_increase,
    settle,
)
from corebilling.values.price_together import rate_served
from corebilling.values.proration import Grain, Proration
from corebilling.values.tax import TaxBehavior, TaxRate, TaxRounding

BUNDLE_VERSION = 1
"""Of the evidence that is written, and read."""

_NUMBER = re.compile(r"-?[0-9]{1,80}(\.[0-9]{1,80})?", re.ASCII)
_FRACTION = re.compile(r"[0-9]{1,40}(/[1-9][0-9]{0,39})?", re.ASCII)
_WHOLE = Fraction(1)
_STEP_KINDS = {
    StepKind.CAP: money_pb2.CHARGE_STEP_KIND_CAP,
    StepKind.MINIMUM: money_pb2.CHARGE_STEP_KIND_MINIMUM,
    StepKind.BILLED: money_pb2.CHARGE_STEP_KIND_BILLED,
}


_Amounts = catalog_pb2.Price | catalog_pb2.CurrencyOption | price_override_pb2.PriceOverride


class Unreadable(Exception):
    """The evidence cannot be understood; the message is a sentence that says where."""


@dataclass(frozen=True, slots=True)
class Recharged:
    """What a charge comes to, exactly, in major units; `share` is that of the full period."""

    share: Fraction
    share_before: Fraction
    amount: Decimal
    amount_before: Decimal
    tiers: tuple[money_pb2.TierCharge, ...]
    steps: tuple[money_pb2.ChargeStep, ...]


def number(text: str, what: str) -> Decimal:
    """A decimal in plain notation; nothing is 0.

    Raises:
        Unreadable: It is none.
    """
    if not text:
        return Decimal(0)
    if not _NUMBER.fullmatch(text):
        raise Unreadable(f"The {what} is no number: '{text[:80]}'.")
    return Decimal(text)


def fraction(text: str, what: str) -> Fraction:
    """As in "15/31"; nothing is the whole.

    Raises:
        Unreadable: It is none.
    """
    if not text:
        return _WHOLE
    if not _FRACTION.fullmatch(text):
        raise Unreadable(f"The {what} is no fraction: '{text[:80]}'.")
    return Fraction(text)


def moment(stamp: Timestamp) -> datetime:
    """The time it stands for.

    Raises:
        Unreadable: There is no such time.
    """
    try:
        return instant(stamp)
    except BillingError as error:
        raise Unreadable(error.message) from None


def moments(period: period_pb2.Period) -> Period:
    """The period as it is reckoned with."""
    return Period(moment(period.start), moment(period.end))


def counted_span(total: usage_pb2.UsageTotal) -> Period:
    """From when to when the total has records: an ended item keeps those that were ahead of the clock."""
    period = moments(total.period)
    if not total.HasField("last_recorded_at"):
        return period
    return Period(period.start, max(period.end, moment(total.last_recorded_at) + timedelta(microseconds=1)))


def named(enum: EnumType, value: int, what: str) -> str:
    """The text of an enum's value.

    Raises:
        Unreadable: It has none, or is not set.
    """
    if not value or value not in enum.DESCRIPTOR.values_by_number:
        raise Unreadable(f"The {what} is missing, or one that this program does not know.")
    return enum_text(enum, value)


def known_currency(code: str) -> str:
    """The code itself.

    Raises:
        Unreadable: There is no such currency.
    """
    if code not in EXPONENTS:
        raise Unreadable(f"'{code[:80]}' is no currency.")
    return code


def price_terms(evidence: bundle_pb2.LineEvidence) -> Price:
    """The price as it is reckoned with: its own amounts, those of another currency, or negotiated ones.

    Raises:
        Unreadable: Something of it cannot be understood, or the amounts are missing.
    """
    price, what = evidence.price, f"price {evidence.price.id}"
    amounts = _amounts(evidence)
    included = price.included_quantity
    if isinstance(amounts, price_override_pb2.PriceOverride):
        included = amounts.included_quantity
    return Price(
        id=price.id,
        description=price.description,
        currency=amounts.currency,
        model=PriceModel(named(catalog_pb2.PriceModel, price.model, f"model of {what}")),
        metered=price.usage == catalog_pb2.PRICE_USAGE_METERED,
        unit_amount=_decimal(amounts.unit_amount, what),
        unit_size=above_zero(price.unit_size or "1", f"unit size of {what}"),
        tiers=tuple(_tier(tier, what) for tier in amounts.tiers),
        included_quantity=number(included, what),
        maximum_amount=_decimal(amounts.maximum_amount, what),
        minimum_amount=_decimal(amounts.minimum_amount, what),
        zero_usage_flat_fee=not price.no_flat_amount_when_unused,
    )


def _amounts(evidence: bundle_pb2.LineEvidence) -> _Amounts:
    charge, price = evidence.charge, evidence.price
    if charge.price_override_id:
        if evidence.price_override.id != charge.price_override_id:
            raise Unreadable(f"The negotiated amounts {charge.price_override_id} are missing.")
        return evidence.price_override
    options: list[_Amounts] = [price, *price.currency_options]
    chosen = next((option for option in options if option.currency == charge.currency), None)
    if chosen is None:
        raise Unreadable(f"The price {price.id} has no amounts in {charge.currency[:80]}.")
    return chosen


def recharge(evidence: bundle_pb2.LineEvidence, *, final: bool = True) -> Recharged:
    """What the charge comes to by its price, its quantity, and the spans of its basis.

    Args:
        final: Not of usage that was invoiced before its period was over.

    Raises:
        Unreadable: Something of it cannot be understood.
    """
    charge, terms = evidence.charge, price_terms(evidence)
    if terms.model in (PriceModel.GRADUATED, PriceModel.VOLUME) and not terms.tiers:
        raise Unreadable(f"The price {terms.id} has no tiers.")
    quantity = number(charge.quantity, f"quantity of charge {charge.id}")
    if charge.kind == rating_pb2.CHARGE_KIND_RECURRING:
        return _recharged_fee(charge, terms, quantity)
    if charge.kind == rating_pb2.CHARGE_KIND_ONE_TIME:
        return _recharged(terms, rate(terms, quantity), _WHOLE)
    share = _share(charge.basis, charge.basis.span)
    if charge.basis.priced_quantity:
        in_parts = _invoiced_before(evidence) is not None
        return _as_stated(charge, share) if in_parts else _recharged_together(charge, terms, share)
    if share:
        return _recharged_alone(evidence, terms, share, final=final)
    # It served no time, or in a period that never came: no minimum, and all of the cap.
    unbound = replace(terms, minimum_amount=None)
    return replace(_recharged_alone(evidence, unbound, _WHOLE, final=final), share=share)


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
            AmountLine(str(place), line.amount_minor, _rates(line), _exemption(line))
            for place, line in enumerate(invoice.lines)
        ],
        terms,
        discounts=[_discount(invoice, used, terms_of) for used in invoice.discounts],
        available=[_credit(used, credits_by_id) for used in invoice.credits if used.available_minor],
    )


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


def _recharged_fee(charge: rating_pb2.Charge, terms: Price, quantity: Decimal) -> Recharged:
    basis = charge.basis
    if _grain(basis) is Grain.NONE:  # What there was at the end is due for all of it: that is taken as given.
        share = fraction(basis.share, "share of a period")
    else:
        share = _share(basis, basis.span)
    before = _share(basis, basis.span_before) if basis.HasField("span_before") else Fraction(0)
    whole = rate(terms, quantity)
    part = _recharged(terms, prorate(whole, share), share)
    if not before:
        return part
    amount_before = exact_amount(whole.amount * before)
    so_far = exact_amount(whole.amount * (before + share))
    amount = exact_amount(Fraction(so_far) - Fraction(amount_before))
    return replace(part, share_before=before, amount=amount, amount_before=amount_before)


def _recharged_alone(
    evidence: bundle_pb2.LineEvidence, terms: Price, share: Fraction, *, final: bool
) -> Recharged:
    """Usage of an item that no other one is priced together with."""
    charge, billed = evidence.charge, _invoiced_before(evidence)
    if terms.model in BY_RECORD:
        return _recharged_records(evidence, terms, share)
    if billed is not None:
        return _recharged_rest(charge, terms, share, billed, final=final)
    if charge.kind == rating_pb2.CHARGE_KIND_USAGE:
        quantity = number(charge.quantity, f"quantity of charge {charge.id}")
        return _recharged(terms, rate(terms, quantity, final=final, share=share), share)
    return _recharged_late(evidence, terms, share)


def _recharged_records(evidence: bundle_pb2.LineEvidence, terms: Price, share: Fraction) -> Recharged:
    """What a matrix or percentage charges for what its records came to, less what was billed of it before."""
    charge, price = evidence.charge, evidence.price
    used = Fraction(0)
    for cell in charge.by_record.cells:
        inside = number(cell.quantity, "quantity of a cell")
        used += Fraction(inside) * _cell_amount(price, cell.properties) / Fraction(terms.unit_size)
    if charge.by_record.HasField("transactions"):
        said = charge.by_record.transactions
        percent = number(price.percentage.percent, "percentage")
        fixed = number(price.percentage.fixed_amount, "fixed amount")
        used += Fraction(percent) / 100 * Fraction(number(said.paid_amount, "paid amount"))
        used += Fraction(fixed) * said.paid_transactions
        used += Fraction(number(said.floor_amount, "floor amount"))
        used += Fraction(number(said.ceiling_amount, "ceiling amount"))
    whole = settle(terms, Rated(used), share=share)
    billed = _billed_before(evidence)
    steps = (*whole.steps, Step(StepKind.BILLED, -billed)) if billed else whole.steps
    made = _recharged(terms, Rated(whole.amount - billed, steps=steps), share)
    return _on_top(made, whole.amount, billed) if billed else made


def _recharged_late(evidence: bundle_pb2.LineEvidence, terms: Price, share: Fraction) -> Recharged:
    """What all of a settled period's usage comes to more than what was billed of it."""
    charge = evidence.charge
    before = number(charge.basis.quantity_before, f"quantity before charge {charge.id}")
    added = number(charge.quantity, f"quantity of charge {charge.id}")
    after = exact_amount(Fraction(before) + Fraction(added))
    old, rated = rate(terms, before, share=share), rate_increase(terms, before, after, share=share)
    made = _recharged(terms, rated, share)
    if not before and not any(_before(evidence)):
        return made  # Nothing of it was on an invoice.
    return _on_top(made, old.amount + rated.amount, old.amount)


def _before(evidence: bundle_pb2.LineEvidence) -> Iterator[bundle_pb2.ChargePart]:
    return itertools.takewhile(lambda part: part.charge_id != evidence.charge.id, evidence.parts)


def _billed_before(evidence: bundle_pb2.LineEvidence) -> Fraction:
    return sum((Fraction(number(part.amount, "amount of a part")) for part in _before(evidence)), Fraction(0))


def _on_top(made: Recharged, new: Fraction, old: Fraction) -> Recharged:
    """Cut to its decimals together with what was charged before."""
    amount_before = exact_amount(old)
    amount = exact_amount(Fraction(exact_amount(new)) - Fraction(amount_before))
    return replace(made, amount=amount, amount_before=amount_before)


def _cell_amount(price: catalog_pb2.Price, properties: Mapping[str, str]) -> Fraction:
    values = [properties.get(name) for name in price.dimensions]
    amounts = (cell.unit_amount for cell in price.cells if list(cell.values) == values)
    return Fraction(number(next(amounts, price.default_unit_amount), "amount of a cell"))


def _recharged_together(charge: rating_pb2.Charge, terms: Price, share: Fraction) -> Recharged:
    """Usage that is priced together with that of other items: what all come to more than before."""
    basis = charge.basis
    new = rate_served(
        terms,
        number(basis.priced_quantity, "quantity that is priced together"),
        fraction(basis.priced_share, "share that is priced together"),
    )
    if not basis.priced_quantity_before:
        return _recharged(terms, new, share)
    old = rate_served(
        terms,
        number(basis.priced_quantity_before, "quantity that was priced before"),
        fraction(basis.priced_share_before, "share that was priced before"),
    )
    return _on_top(_recharged(terms, difference(new, old), share), new.amount, old.amount)


def _invoiced_before(evidence: bundle_pb2.LineEvidence) -> Fraction | None:
    """What invoices within the period had of the usage; None when there were none."""
    charge = evidence.charge
    if charge.kind != rating_pb2.CHARGE_KIND_USAGE or not number(charge.basis.quantity_before, "quantity"):
        return None
    return _billed_before(evidence)


def _recharged_rest(
    charge: rating_pb2.Charge, terms: Price, share: Fraction, billed: Fraction, *, final: bool
) -> Recharged:
    """What all of the usage so far comes to, less what was invoiced of it."""
    before = number(charge.basis.quantity_before, f"quantity before charge {charge.id}")
    added = number(charge.quantity, f"quantity of charge {charge.id}")
    whole = rate(terms, Fraction(before) + Fraction(added), final=final, share=share)
    made = _recharged(terms, difference(whole, rate(terms, before, final=False, share=share)), share)
    amount = exact_amount(Fraction(exact_amount(whole.amount)) - billed)
    return replace(made, amount=amount, amount_before=exact_amount(billed))


def _as_stated(charge: rating_pb2.Charge, share: Fraction) -> Recharged:
    """Usage that is priced together with that of other items and was invoiced in parts is taken as given."""
    amount = number(charge.amount, f"amount of charge {charge.id}")
    before = number(charge.amount_before, f"amount before charge {charge.id}")
    return Recharged(share, Fraction(0), amount, before, tuple(charge.tiers), tuple(charge.steps))


def _recharged(terms: Price, rated: Rated, share: Fraction) -> Recharged:
    return Recharged(
        share=share,
        share_before=Fraction(0),
        amount=exact_amount(rated.amount),
        amount_before=Decimal(0),
        tiers=tuple(map(_tier_charge, shown_tiers(terms, rated))),
        steps=tuple(
            money_pb2.ChargeStep(kind=_STEP_KINDS[step.kind], amount=_text(step.amount))
            for step in rated.steps
        ),
    )


def _share(basis: rating_pb2.ChargeBasis, span: period_pb2.Period) -> Fraction:
    """The part of the full period that a span of it is; of one that is not set, all of it."""
    grain = _grain(basis)
    full = moments(basis.full_period)
    part = full if not span.HasField("start") else moments(span)
    try:
        return Proration(grain, basis.timezone).share(part, full).factor
    except BillingError as error:
        raise Unreadable(error.message) from None


def _grain(basis: rating_pb2.ChargeBasis) -> Grain:
    return Grain(named(tenant_pb2.ProrationGrain, basis.proration_grain, "grain of proration"))


def _tier(tier: catalog_pb2.PriceTier, what: str) -> Tier:
    return Tier(
        up_to=_decimal(tier.up_to, what),
        unit_amount=number(tier.unit_amount, what),
        flat_amount=number(tier.flat_amount, what),
        block_size=above_zero(tier.block_size, f"block of {what}") if tier.block_size else None,
        maximum_amount=_decimal(tier.maximum_amount, what),
    )


def _tier_charge(tier: TierCharge) -> money_pb2.TierCharge:
    return money_pb2.TierCharge(
        from_quantity=decimal_text(tier.from_quantity),
        up_to="" if tier.up_to is None else decimal_text(tier.up_to),
        quantity=_text(tier.quantity),
        unit_amount=decimal_text(tier.unit_amount),
        flat_amount=decimal_text(tier.flat_amount),
        amount=_text(tier.amount),
        units=_text(tier.units),
        block_size="" if tier.block_size is None else decimal_text(tier.block_size),
    )


def _rates(line: pb.InvoiceLine) -> tuple[TaxRate, ...]:
    return tuple(
        TaxRate(tax.tax_rate_id, number(tax.percent, "percentage of a tax"), tax.compound)
        for tax in line.taxes
    )


def _exemption(line: pb.InvoiceLine) -> str:
    return named(tax_pb2.TaxExemption, line.tax_exemption, "exemption") if line.tax_exemption else ""


def _discount(
    invoice: pb.Invoice, used: pb.InvoiceDiscount, coupons: Mapping[str, discount_pb2.Coupon]
) -> Discount:
    if used.coupon_id not in coupons:
        raise Unreadable(f"The terms of coupon {used.coupon_id} are missing.")
    coupon = coupons[used.coupon_id]
    scope = None
    if coupon.price_ids:
        scope = frozenset(
            str(place) for place, line in enumerate(invoice.lines) if line.price_id in coupon.price_ids
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


def _decimal(text: str, what: str) -> Decimal | None:
    return number(text, what) if text else None


def above_zero(text: str, what: str) -> Decimal:
    value = number(text, what)
    if value <= 0:
        raise Unreadable(f"The {what} is not above zero: '{text}'.")
    return value


def _text(amount: Fraction) -> str:
    return decimal_text(exact_amount(amount))
