"""Charges worked out again from the evidence alone: by their prices, quantities and the spans of their basis.

Whatever can be understood is worked out, be it wrong.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction

from billing.catalog.v1 import catalog_pb2
from billing.invoice.v1 import bundle_pb2
from billing.rating.v1 import rating_pb2
from billing.tenant.v1 import tenant_pb2
from billing.types.v1 import money_pb2, period_pb2

from corebilling.domains.invoice.bundle_reading import (
    Unreadable,
    fraction,
    known_currency,
    moments,
    named,
    number,
    own_terms,
    price_terms,
)
from corebilling.domains.rating.model import ChargeKind
from corebilling.domains.rating.model import evidence as shown_tiers
from corebilling.domains.rating.rerating import corrected, corrected_minor
from corebilling.errors import BillingError
from corebilling.mapping import decimal_text
from corebilling.values.money import exact_amount, minus, plus
from corebilling.values.price import (
    BY_RECORD,
    Price,
    PriceModel,
    Rated,
    Step,
    StepKind,
    TierCharge,
    difference,
    prorate,
    rate,
    rate_increase,
    settle,
)
from corebilling.values.price_together import rate_served
from corebilling.values.proration import Grain, Proration

_WHOLE = Fraction(1)
_STEP_KINDS = {
    StepKind.CAP: money_pb2.CHARGE_STEP_KIND_CAP,
    StepKind.MINIMUM: money_pb2.CHARGE_STEP_KIND_MINIMUM,
    StepKind.BILLED: money_pb2.CHARGE_STEP_KIND_BILLED,
}


@dataclass(frozen=True, slots=True)
class Recharged:
    """What a charge comes to, exactly, in major units; `share` is that of the full period."""

    share: Fraction
    share_before: Fraction
    amount: Decimal
    amount_before: Decimal
    tiers: tuple[money_pb2.TierCharge, ...]
    steps: tuple[money_pb2.ChargeStep, ...]


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


def recorrect(evidence: bundle_pb2.CorrectionEvidence) -> tuple[Recharged, int]:
    """What the corrected price comes to: exactly, and as it is owed in minor units.

    Raises:
        Unreadable: Something of it cannot be understood.
    """
    rerated, basis = evidence.rerated, evidence.basis
    terms = own_terms(evidence.price, known_currency(rerated.currency))
    if terms.model in BY_RECORD:
        raise Unreadable(f"The price {terms.id} looks at single records, and corrects no other.")
    kind = named(rating_pb2.ChargeKind, rerated.kind, "kind of a corrected charge")
    quantity = number(rerated.quantity, "quantity of a corrected charge")
    share, share_before = _shares(basis, kind)
    rated, before = corrected(terms, kind, quantity, share, share_before)
    made = replace(
        _recharged(terms, rated, share), share_before=share_before, amount_before=exact_amount(before)
    )
    return made, corrected_minor(rated, before, rerated.currency)


def _shares(basis: rating_pb2.ChargeBasis, kind: str) -> tuple[Fraction, Fraction]:
    """The share of a charge, and that of earlier parts of the same fee."""
    if kind == ChargeKind.ONE_TIME:
        return _WHOLE, Fraction(0)
    if kind == ChargeKind.RECURRING and _grain(basis) is Grain.NONE:
        # What there was at the end is due for all of it: that is taken as given.
        share = fraction(basis.share, "share of a period")
    else:
        share = _share(basis, basis.span)
    return share, _share(basis, basis.span_before) if basis.HasField("span_before") else Fraction(0)


def _recharged_fee(charge: rating_pb2.Charge, terms: Price, quantity: Decimal) -> Recharged:
    share, before = _shares(charge.basis, ChargeKind.RECURRING)
    whole = rate(terms, quantity)
    part = _recharged(terms, prorate(whole, share), share)
    if not before:
        return part
    amount_before = exact_amount(whole.amount * before)
    so_far = exact_amount(whole.amount * (before + share))
    amount = minus(so_far, amount_before)
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
    after = plus(before, added)
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
    amount = minus(exact_amount(new), amount_before)
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


def _text(amount: Fraction) -> str:
    return decimal_text(exact_amount(amount))
