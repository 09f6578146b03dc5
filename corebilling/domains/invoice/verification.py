"""Invoices checked from their bundles alone: each figure that the evidence allows to be worked out is.

    records -> totals -> quantity -> tiers -> exact amount -> rounding -> lines
    lines -> discounts -> credits -> tax -> total -> prepaid -> due -> journals

A check compares what the bundle says with what comes out. What cannot be worked out is taken as it is given:
the price's terms, the times, the customer's jurisdiction, and which credits and coupons there were to use.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from fractions import Fraction

from billing.credit.v1 import credit_pb2
from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import bundle_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.ledger.v1 import ledger_pb2
from billing.rating.v1 import rating_pb2
from billing.tax.v1 import tax_pb2

from corebilling.domains.invoice.amounts import InvoiceAmounts
from corebilling.domains.invoice.bundle_reading import (
    Unreadable,
    moment,
    moments,
    named,
    number,
    price_terms,
)
from corebilling.domains.invoice.checks import MISSING, Check, Checking, sum_of
from corebilling.domains.invoice.correction_checks import correction_checks
from corebilling.domains.invoice.period_checks import period_checks
from corebilling.domains.invoice.recharging import recharge
from corebilling.domains.invoice.recomputation import applied_minor, exact_line, reckon, tax_rate
from corebilling.domains.invoice.record_checks import by_record_checks, record_checks, total_checks
from corebilling.domains.invoice.settlement_checks import settlement_checks
from corebilling.domains.ledger.model import Entry, Source, application, sale, write_off
from corebilling.mapping import decimal_text
from corebilling.values.commitment import true_up_minor
from corebilling.values.money import exact_amount
from corebilling.values.tax import DEFAULT_RATE, TaxRate

_FEES = (rating_pb2.CHARGE_KIND_RECURRING, rating_pb2.CHARGE_KIND_ONE_TIME)
_LINE_TYPES = {
    rating_pb2.CHARGE_KIND_RECURRING: pb.INVOICE_LINE_TYPE_RECURRING,
    rating_pb2.CHARGE_KIND_USAGE: pb.INVOICE_LINE_TYPE_USAGE,
    rating_pb2.CHARGE_KIND_ADJUSTMENT: pb.INVOICE_LINE_TYPE_ADJUSTMENT,
    rating_pb2.CHARGE_KIND_ONE_TIME: pb.INVOICE_LINE_TYPE_ONE_TIME,
}


def verify(bundle: bundle_pb2.InvoiceBundle) -> list[Check]:
    """All that can be checked, in the order of the way from records to journals.

    Raises:
        Unreadable: Something of it cannot be understood.
    """
    try:
        return list(_checks(bundle))
    except (OverflowError, ValueError) as error:  # Times at the end of all calendars.
        raise Unreadable(f"A value lies out of all range: {error}.") from None


def _checks(bundle: bundle_pb2.InvoiceBundle) -> Iterator[Check]:
    invoice = bundle.invoice
    known = {one.invoice_line_id: one for one in bundle.evidence}
    corrections = {one.invoice_line_id: one for one in bundle.corrections}
    if bundle.with_records or bundle.records:
        yield from record_checks(bundle)
    for place, line in enumerate(invoice.lines, start=1):
        part = f"line {place}"
        if invoice.subscription_id:
            yield Checking(part, "line").of("subscription", line.subscription_id, invoice.subscription_id)
        evidence = known.pop(line.id, None)
        if line.charge_id and evidence is None:
            yield Checking(part, "evidence").of("charge", line.charge_id, MISSING)
        elif evidence is not None:
            yield from _line(part, invoice, line, evidence)
        correction = corrections.pop(line.id, None)
        if line.evidence.rerated_revision and correction is None:
            yield Checking(part, "evidence").of("correction", line.evidence.rerated_revision, MISSING)
        elif correction is not None:
            yield from correction_checks(part, invoice, line, correction)
        yield from _rounding(part, invoice, line, evidence)
    yield Checking("invoice", "evidence").of("lines that it is not of", len(known) + len(corrections), 0)
    amounts = reckon(invoice, bundle.coupons, bundle.credits)
    yield from _parts_of_lines(invoice, amounts)
    yield from _discounts(bundle, amounts)
    yield from _credits(bundle, amounts)
    yield from _taxes(bundle, amounts)
    yield from _sums(bundle, amounts)
    yield from _journals(bundle, amounts)


def _line(
    part: str, invoice: pb.Invoice, line: pb.InvoiceLine, evidence: bundle_pb2.LineEvidence
) -> Iterator[Check]:
    charge = evidence.charge
    yield from _copied(part, invoice, line, evidence)
    made = recharge(evidence, final=not line.evidence.threshold_minor)
    adjusts_usage = charge.kind == rating_pb2.CHARGE_KIND_ADJUSTMENT
    yield from period_checks(part, charge.basis, evidence.price, made, adjusts_usage=adjusts_usage)
    check = Checking(part, "amount")
    yield check.of("exact amount", number(charge.amount, "amount"), made.amount)
    yield check.of("amount before", number(charge.amount_before, "amount before"), made.amount_before)
    told = line.evidence
    yield check.of("amount before, as told", number(told.amount_before, "amount before"), made.amount_before)
    used = charge.kind not in _FEES and made.amount_before
    before = number(charge.basis.quantity_before, "quantity before") if used else 0
    yield check.of("quantity before, as told", number(told.quantity_before, "quantity before"), before)
    yield from Checking(part, "tiers").messages("tier", line.tiers, made.tiers)
    yield from Checking(part, "tiers").messages("step", line.steps, made.steps)
    yield from Checking(part, "tiers").messages("tier of the charge", charge.tiers, made.tiers)
    yield from Checking(part, "tiers").messages("step of the charge", charge.steps, made.steps)
    if charge.HasField("by_record"):
        yield from by_record_checks(part, line, charge, evidence.price)
    yield from _billed(part, line, evidence)
    if charge.kind not in _FEES:
        yield from total_checks(part, line, evidence)


def _copied(
    part: str, invoice: pb.Invoice, line: pb.InvoiceLine, evidence: bundle_pb2.LineEvidence
) -> Iterator[Check]:
    """The line says what was rated, by the price that it was rated with."""
    charge, price = evidence.charge, evidence.price
    terms = price_terms(evidence)
    unit_amount = "" if terms.unit_amount is None else decimal_text(terms.unit_amount)
    check = Checking(part, "price")
    yield check.of("charge", line.charge_id, charge.id)
    yield check.of("type", line.type, _LINE_TYPES.get(charge.kind, 0))
    yield check.of("price", line.price_id, price.id)
    yield check.of("price of the charge", charge.price_id, price.id)
    if evidence.HasField("price_override"):
        yield check.of("price of the negotiated amounts", evidence.price_override.price_id, price.id)
        yield check.of("negotiated amounts", charge.price_override_id, evidence.price_override.id)
    yield check.of("item", line.subscription_item_id, charge.subscription_item_id)
    yield check.of("currency", charge.currency, invoice.currency)
    yield check.of("currency of the price", terms.currency, invoice.currency)
    yield check.of("quantity", line.quantity, charge.quantity)
    yield check.of("unit amount", line.unit_amount, unit_amount)
    yield check.of("unit size", line.unit_size, price.unit_size)
    yield check.of("unit amount of the charge", charge.unit_amount, unit_amount)
    yield check.of("unit size of the charge", charge.unit_size, price.unit_size)
    yield check.of("period", moments(line.period), moments(charge.period))


def _billed(part: str, line: pb.InvoiceLine, evidence: bundle_pb2.LineEvidence) -> Iterator[Check]:
    """Of the same total, the parts before this one are what it says was billed, and all are what is."""
    charge = evidence.charge
    check = Checking(part, "billed before")
    places = [place for place, one in enumerate(evidence.parts) if one.charge_id == charge.id]
    if len(places) != 1:
        yield check.of("charge among those for the same", charge.id, MISSING)
        return
    own = evidence.parts[places[0]]
    yield check.of("kind", own.kind, charge.kind)
    yield check.of("rated at", moment(own.rated_at), moment(charge.created_at))
    yield check.of("period", moments(own.period), moments(charge.period))
    yield check.of("quantity", own.quantity, charge.quantity)
    yield check.of("amount", own.amount, charge.amount)
    held = [one.amount_minor for one in own.lines if one.invoice_line_id == line.id]
    yield check.of("line", held[0] if held else MISSING, line.amount_minor)
    if charge.kind in _FEES:
        return
    quantities = [number(one.quantity, "quantity of a part") for one in evidence.parts]
    stated = number(charge.basis.quantity_before, "quantity before")
    yield check.of("quantity before", stated, sum_of(quantities[: places[0]]))
    if evidence.HasField("total"):
        billed = number(evidence.total.billed_quantity, "billed quantity")
        yield check.of("quantity of all parts", billed, sum_of(quantities))


def _rounding(
    part: str, invoice: pb.Invoice, line: pb.InvoiceLine, evidence: bundle_pb2.LineEvidence | None
) -> Iterator[Check]:
    if line.charge_id and evidence is None:
        return
    rounded, _ = exact_line(line, evidence.charge if evidence else None, invoice.currency)
    yield Checking(part, "rounding").of("amount in minor units", line.amount_minor, rounded)
    if line.type == pb.INVOICE_LINE_TYPE_TRUE_UP:
        terms = line.evidence
        made = true_up_minor(terms.minimum_minor, terms.lines_minor, terms.trued_up_minor)
        yield Checking(part, "commitment").of("amount in minor units", line.amount_minor, made)


def _parts_of_lines(invoice: pb.Invoice, amounts: InvoiceAmounts) -> Iterator[Check]:
    """What became of each line: its part of discounts, credits and taxes."""
    rows: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
    for row in amounts.taxes.rows:
        rows[row.line_id].append((row.rate.id, decimal_text(exact_amount(row.taxable)), row.tax_minor))
    for place, (line, result) in enumerate(zip(invoice.lines, amounts.lines, strict=True)):
        part = f"line {place + 1}"
        yield Checking(part, "discounts").of("part", line.discount_minor, result.discount_minor)
        yield Checking(part, "credits").of("part", line.credit_minor, result.credit_minor)
        check = Checking(part, "tax")
        yield check.of("part", line.tax_minor, result.tax_minor)
        made = rows[str(place)]
        yield check.of("number of rates", len(line.taxes), len(made))
        for tax, (rate_id, taxable, tax_minor) in zip(line.taxes, made, strict=False):
            yield check.of(f"{tax.name} of", tax.taxable_minor, taxable)
            yield check.of(f"{tax.name}", tax.tax_minor, tax_minor)
            yield check.of(f"rate of {tax.name}", tax.tax_rate_id, rate_id)


def _discounts(bundle: bundle_pb2.InvoiceBundle, amounts: InvoiceAmounts) -> Iterator[Check]:
    made = {step.discount.id: step.amount_minor for step in amounts.discounts}
    coupons = {coupon.id: coupon for coupon in bundle.coupons}
    for used in bundle.invoice.discounts:
        check, coupon = Checking("invoice", "discounts"), coupons[used.coupon_id]
        yield check.of(used.name or used.discount_id, used.amount_minor, made[used.discount_id])
        percent = number(coupon.percent, "percentage of a coupon")
        yield check.of(f"percentage of {used.name}", number(used.percent, "percentage"), percent)
        yield check.of(f"kind of {used.name}", used.kind, coupon.kind)
        if coupon.kind == discount_pb2.DISCOUNT_KIND_FIXED:
            yield check.of(f"currency of {used.name}", coupon.currency, bundle.invoice.currency)


def _credits(bundle: bundle_pb2.InvoiceBundle, amounts: InvoiceAmounts) -> Iterator[Check]:
    made = {use.credit.id: use.amount_minor for use in (*amounts.credits, *amounts.prepaid)}
    became_minor = _became_credit(bundle.invoice, amounts)
    granted = {credit.id: credit for credit in bundle.credits}
    check = Checking("invoice", "credits")
    stated_minor = sum(used.amount_minor for used in bundle.invoice.credits if not used.available_minor)
    yield check.of("credit that the invoice became", stated_minor, became_minor)
    for used in bundle.invoice.credits:
        credit = granted.get(used.credit_id)
        if credit is None:
            yield check.of("credit", used.credit_id, MISSING)
            continue
        yield check.of(f"kind of {used.credit_id}", used.kind, credit.kind)
        yield check.of(f"customer of {used.credit_id}", credit.customer_id, bundle.invoice.customer_id)
        yield check.of(f"left of {used.credit_id}", credit.remaining_minor, _left(credit))
        if used.available_minor:
            later = used.HasField("applied_at")
            found = applied_minor(bundle.invoice, used, credit) if later else made.get(used.credit_id, 0)
            yield check.of(used.credit_id, used.amount_minor, found)
            beyond = max(0, used.available_minor - credit.amount_minor)
            yield check.of(f"beyond what was granted of {used.credit_id}", beyond, 0)
        else:
            yield check.of(f"granted as {used.credit_id}", credit.amount_minor, -became_minor)


def _left(credit: credit_pb2.Credit) -> int:
    """What is left of it, which others may have taken: no more than was granted, and not below zero."""
    return min(max(0, credit.remaining_minor), credit.amount_minor)


def _taxes(bundle: bundle_pb2.InvoiceBundle, amounts: InvoiceAmounts) -> Iterator[Check]:
    invoice, check = bundle.invoice, Checking("invoice", "tax")
    taxable: dict[TaxRate, Fraction] = defaultdict(Fraction)
    owed: dict[TaxRate, int] = defaultdict(int)
    for row in amounts.taxes.rows:
        taxable[row.rate] += row.taxable
        owed[row.rate] += row.tax_minor
    yield check.of("number of rates", len(invoice.taxes), len(owed))
    for tax in invoice.taxes:
        applied = tax_rate(tax)
        yield check.of(f"{tax.name} of", tax.taxable_minor, decimal_text(exact_amount(taxable[applied])))
        yield check.of(tax.name, tax.tax_minor, owed[applied])
    rates = {rate.id: rate for rate in bundle.tax_rates}
    lines = enumerate(invoice.lines, start=1)
    used = [(f"line {place}", line.tax_category, tax) for place, line in lines for tax in line.taxes]
    for part, category, tax in [*used, *(("invoice", None, tax) for tax in invoice.taxes)]:
        rate, check = rates.get(tax.tax_rate_id), Checking(part, "tax")
        if rate is None and tax.tax_rate_id != DEFAULT_RATE:
            yield check.of(f"rate of {tax.name}", tax.tax_rate_id, MISSING)
        if rate is not None:
            yield check.of(f"percentage of {tax.name}", tax.percent, rate.percent)
            yield check.of(f"compound {tax.name}", tax.compound, rate.compound)
            if category is not None and rate.category:
                yield check.of(f"category of {tax.name}", category, rate.category)


def _became_credit(invoice: pb.Invoice, amounts: InvoiceAmounts) -> int:
    """What a final invoice below zero gave back as prepaid credit: an amount below zero."""
    return min(0, amounts.due_minor) if invoice.HasField("finalized_at") else 0


def _applied(invoice: pb.Invoice) -> int:
    """What credits paid once it was open."""
    return sum(used.amount_minor for used in invoice.credits if used.HasField("applied_at"))


def _sums(bundle: bundle_pb2.InvoiceBundle, amounts: InvoiceAmounts) -> Iterator[Check]:
    invoice, check = bundle.invoice, Checking("invoice", "sums")
    yield check.of("subtotal_minor", invoice.subtotal_minor, amounts.subtotal_minor)
    yield check.of("discount_minor", invoice.discount_minor, amounts.discount_minor)
    yield check.of("credit_minor", invoice.credit_minor, amounts.credit_minor)
    yield check.of("tax_minor", invoice.tax_minor, amounts.tax_minor)
    yield check.of("total_minor", invoice.total_minor, amounts.total_minor)
    prepaid_minor = amounts.prepaid_minor + _became_credit(invoice, amounts) + _applied(invoice)
    yield check.of("prepaid_minor", invoice.prepaid_minor, prepaid_minor)
    yield from settlement_checks(bundle, amounts.total_minor, prepaid_minor)


def _journals(bundle: bundle_pb2.InvoiceBundle, amounts: InvoiceAmounts) -> Iterator[Check]:
    """They balance, and enter what the invoice comes to; a voided one takes that back."""
    for journal in bundle.journals:
        check = Checking(f"journal {journal.id}", "journals")
        for currency, sides in sorted(_sides(journal.entries).items()):
            yield check.of(f"debits and credits in {currency}", sides[0], sides[1])
            yield check.of("currency", currency, bundle.invoice.currency)
        yield check.of("source", journal.source_id, bundle.invoice.id)
    sold = _sold(bundle.invoice, amounts)
    back = {account: -amount for account, amount in sold.items()}
    voided = bundle.invoice.HasField("voided_at")
    yield from _entered(bundle, Source.INVOICE_FINALIZED, sold)
    yield from _entered(bundle, Source.INVOICE_VOIDED, back if voided else {})
    returned = _by_account(application(-_applied(bundle.invoice), bundle.invoice.currency)) if voided else {}
    yield from _entered(bundle, Source.CREDITS_RETURNED, returned)
    yield from _entered(bundle, Source.INVOICE_WRITTEN_OFF, _written_off(bundle))


def _sold(invoice: pb.Invoice, amounts: InvoiceAmounts) -> dict[str, int]:
    """What finalizing enters, by account: debits less credits."""
    if not invoice.HasField("finalized_at"):
        return {}
    became_minor = _became_credit(invoice, amounts)
    inclusive = invoice.tax_behavior == tax_pb2.TAX_BEHAVIOR_INCLUSIVE
    contained_minor = amounts.tax_minor if inclusive else 0
    sold = sale(
        due_minor=amounts.due_minor - became_minor,
        credited_minor=amounts.credit_minor + amounts.prepaid_minor + became_minor,
        tax_minor=amounts.tax_minor,
        revenue_minor=amounts.subtotal_minor - amounts.discount_minor - contained_minor,
        currency=invoice.currency,
    )
    return _by_account(sold)


def _by_account(entries: Iterable[Entry]) -> dict[str, int]:
    """Debits less credits."""
    return {
        entry.account.value: entry.amount_minor if entry.direction == "debit" else -entry.amount_minor
        for entry in entries
    }


def _written_off(bundle: bundle_pb2.InvoiceBundle) -> dict[str, int]:
    """What writing it off enters: what is due, and what was paid of that since."""
    invoice = bundle.invoice
    if not invoice.HasField("written_off_at"):
        return {}
    at = moment(invoice.written_off_at)
    lost_minor = invoice.amount_due_minor + sum(
        payment.amount_minor for payment in bundle.payments if moment(payment.received_at) > at
    )
    # By a clock that stands, it is not told how many of these were before.
    together = [one.amount_minor for one in bundle.payments if moment(one.received_at) == at]
    possible = [lost_minor + sum(together[before:]) for before in range(len(together) + 1)]
    stated_minor = _stated(bundle, Source.INVOICE_WRITTEN_OFF)["bad_debt"]
    amount_minor = stated_minor if stated_minor in possible else lost_minor
    return _by_account(write_off(amount_minor, invoice.currency))


def _entered(bundle: bundle_pb2.InvoiceBundle, source: Source, expected: dict[str, int]) -> Iterator[Check]:
    check = Checking("journals", "journals")
    stated = _stated(bundle, source)
    # Of revenue, what is earned by now is another question than what was sold.
    stated["revenue"] += stated.pop("deferred_revenue", 0)
    for account in sorted({*stated, *expected}):
        yield check.of(f"{account} of {source.value}", stated.get(account, 0), expected.get(account, 0))


def _stated(bundle: bundle_pb2.InvoiceBundle, source: Source) -> defaultdict[str, int]:
    """What the journals of a source enter, by account: debits less credits."""
    stated: defaultdict[str, int] = defaultdict(int)
    for journal in bundle.journals:
        if journal.source_type == source:
            for entry in journal.entries:
                account = named(ledger_pb2.AccountType, entry.account_type, "account of an entry")
                stated[account] += _signed(entry)
    return stated


def _sides(entries: Iterable[ledger_pb2.Entry]) -> dict[str, tuple[int, int]]:
    sides: dict[str, tuple[int, int]] = {}
    for entry in entries:
        debit, credit = sides.get(entry.currency, (0, 0))
        if entry.direction == ledger_pb2.ENTRY_DIRECTION_DEBIT:
            debit += entry.amount_minor
        else:
            credit += entry.amount_minor
        sides[entry.currency] = debit, credit
    return sides


def _signed(entry: ledger_pb2.Entry) -> int:
    debit = entry.direction == ledger_pb2.ENTRY_DIRECTION_DEBIT
    return entry.amount_minor if debit else -entry.amount_minor
