"""Invoices in the making: from a cycle's charges, or one-off items, to rows, written many at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from billing.invoice.v1 import invoice_pb2 as pb
from billing.tax.v1 import tax_pb2
from billing_db import invoice as invoice_sql
from billing_db.models import BillingCycle, Charge, Invoice, InvoiceLine

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice.amounts import InvoiceAmounts, LineResult, Terms
from corebilling.domains.invoice.model import InvoiceState, check_total
from corebilling.domains.invoice.reckoning import ReckonedLine, Reckoning, Settled
from corebilling.mapping import decimal_text, enum_number, moment_object, moment_of, to_message
from corebilling.values.credit import CreditUse
from corebilling.values.ids import new_id
from corebilling.values.money import exact_amount, minor_units, plus
from corebilling.values.period import Period
from corebilling.values.tax import TaxRate, TaxRow


@dataclass(slots=True)  # Not frozen: that takes three times as long, and each invoice has many.
class DraftLine:
    """A line not written yet, its amount rounded once; fields are named as in `InvoiceLine`."""

    type: str
    description: str
    period_start: datetime
    period_end: datetime
    quantity: Decimal
    unit_amount: Decimal | None
    unit_size: Decimal
    amount_minor: int
    price_id: str
    subscription_item_id: str
    tiers: Any
    steps: Any
    tax_category: str
    subscription_id: str = ""
    evidence: dict[str, Any] | None = None
    charge_id: str = ""
    by_record: Any = None
    together: Period | None = None
    """The full period, of usage that is priced together with that of other items."""
    settled: Settled | None = None
    """None: the discounts and taxes in force decide."""


@dataclass(slots=True)  # Not frozen: that takes three times as long, and each invoice has many.
class Occasion:
    """What an invoice is made for."""

    customer_id: str
    currency: str
    period_start: datetime
    period_end: datetime
    subscription_id: str = ""
    cycle_id: str = ""
    description: str = ""
    replaces_invoice_id: str = ""


@dataclass(frozen=True, slots=True)
class Draft:
    """An invoice not written yet, and its lines with what became of each."""

    invoice: Invoice
    lines: Sequence[DraftLine]
    results: Sequence[LineResult]
    taxes: Sequence[list[dict[str, Any]]]
    line_ids: Sequence[str]
    cycles: Sequence[BillingCycle] = ()


def charge_lines(
    subscription_id: str,
    charges: Sequence[Charge],
    categories: Mapping[str, str],
    threshold_minor: int = 0,
) -> list[DraftLine]:
    """Lines of charges; `categories` are the tax categories by price, `threshold_minor` is the cycle's."""
    return [
        DraftLine(
            type=charge.kind,
            description=charge.description,
            period_start=charge.period_start,
            period_end=charge.period_end,
            quantity=charge.quantity,
            unit_amount=charge.unit_amount,
            unit_size=charge.unit_size,
            amount_minor=_rounded(charge),
            price_id=charge.price_id,
            subscription_item_id=charge.subscription_item_id,
            tiers=charge.tiers,
            steps=charge.steps,
            tax_category=categories.get(charge.price_id, ""),
            subscription_id=subscription_id,
            evidence=_parts(charge, threshold_minor),
            charge_id=charge.id,
            by_record=charge.by_record,
            together=_together(charge),
        )
        for charge in charges
    ]


def _together(charge: Charge) -> Period | None:
    if "priced_quantity" not in charge.basis:
        return None
    full = charge.basis["full_period"]
    return Period(moment_of(full["start"]), moment_of(full["end"]))


def _parts(charge: Charge, threshold_minor: int) -> dict[str, Any] | None:
    """What earlier invoices have of the same, and why there is one before the period is over."""
    parts: dict[str, Any] = {}
    if charge.amount_before:
        parts["amount_before"] = decimal_text(charge.amount_before)
        if charge.kind in ("usage", "adjustment"):
            # Of an item that was not used itself, what came before is that of others of its price.
            parts["quantity_before"] = charge.basis.get("quantity_before", "0")
    if threshold_minor:
        parts["threshold_minor"] = threshold_minor
    return parts or None


def _rounded(charge: Charge) -> int:
    """The charge in minor units. Lines of what is billed in parts add up to what the whole is rounded to."""
    before = charge.amount_before
    if not before:
        return minor_units(charge.amount, charge.currency)
    so_far = minor_units(plus(before, charge.amount), charge.currency)
    return so_far - minor_units(before, charge.currency)


def copied_lines(rows: Sequence[InvoiceLine]) -> list[DraftLine]:
    """The lines of an invoice, for another one."""
    return [
        DraftLine(
            type=row.type,
            description=row.description,
            period_start=row.period_start,
            period_end=row.period_end,
            quantity=row.quantity,
            unit_amount=row.unit_amount,
            unit_size=row.unit_size,
            amount_minor=row.amount_minor,
            price_id=row.price_id or "",
            subscription_item_id=row.subscription_item_id or "",
            tiers=row.tiers,
            steps=row.steps,
            tax_category=row.tax_category,
            subscription_id=row.subscription_id or "",
            evidence=row.evidence,
            charge_id=row.charge_id or "",
            by_record=row.by_record,
            settled=_settled(row),
        )
        for row in rows
    ]


def _settled(row: InvoiceLine) -> Settled | None:
    if "invoiced_minor" not in (row.evidence or {}):
        return None
    return Settled(row.discount_minor, row.taxes, row.tax_exemption or "")


def new_draft(
    tx: Transaction,
    reckoning: Reckoning,
    occasion: Occasion,
    lines: Sequence[DraftLine],
    cycles: Sequence[BillingCycle] = (),
) -> Draft:
    """The invoice as the tenant's rules work it out; `reckoning.use` then takes what it uses."""
    reckoned = [
        ReckonedLine(
            line.amount_minor,
            line.price_id,
            line.tax_category,
            line.subscription_id,
            line.settled,
        )
        for line in lines
    ]
    check_total([line.amount_minor for line in lines])
    amounts = reckoning.work_out(occasion.customer_id, occasion.currency, reckoned)
    # Taxes may come on top.
    check_total([amounts.total_minor])
    terms = reckoning.terms_in(occasion.currency)
    invoice = Invoice(
        tenant_id=tx.tenant_id,
        id=new_id("inv"),
        customer_id=occasion.customer_id,
        subscription_id=occasion.subscription_id or None,
        cycle_id=occasion.cycle_id or None,
        state=InvoiceState.DRAFT,
        number=None,
        currency=occasion.currency,
        total_minor=amounts.total_minor,
        amount_paid_minor=0,
        amount_due_minor=amounts.due_minor,
        period_start=occasion.period_start,
        period_end=occasion.period_end,
        finalized_at=None,
        due_at=None,
        paid_at=None,
        voided_at=None,
        written_off_at=None,
        bill_to=None,
        link_generation=0,
        created_at=tx.now,
        version=1,
        subtotal_minor=amounts.subtotal_minor,
        discount_minor=amounts.discount_minor,
        credit_minor=amounts.credit_minor,
        tax_minor=amounts.tax_minor,
        prepaid_minor=amounts.prepaid_minor,
        credited_minor=0,
        tax_behavior=terms.tax_behavior,
        discounts=_discounts(reckoning, occasion.customer_id, amounts),
        credits=[credit_object(use) for use in (*amounts.credits, *amounts.prepaid)],
        taxes=_taxes_by_rate(reckoning, amounts.taxes.rows),
        terms=_terms_object(terms),
        description=occasion.description,
        replaces_invoice_id=occasion.replaces_invoice_id or None,
    )
    reckoning.use(invoice, amounts)
    line_ids = [new_id("ili") for _ in lines]
    return Draft(invoice, lines, amounts.lines, _taxes_by_line(reckoning, amounts), line_ids, cycles)


def message(draft: Draft, *, finalize: bool) -> pb.Invoice:
    """The invoice that this would give, final at once or not; it has neither id nor number."""
    due_minor, prepaid_minor = draft.invoice.amount_due_minor, draft.invoice.prepaid_minor
    if finalize and due_minor < 0:  # What a final one gives back is prepaid credit.
        due_minor, prepaid_minor = 0, prepaid_minor + due_minor
    lines = [
        to_message(
            line,
            pb.InvoiceLine,
            id="",
            charge_id="",
            discount_minor=result.discount_minor,
            credit_minor=result.credit_minor,
            tax_minor=result.tax_minor,
            tax_exemption=_exemption(result),
            taxes=[pb.InvoiceTax(**tax) for tax in taxes],
        )
        for line, result, taxes in zip(draft.lines, draft.results, draft.taxes, strict=True)
    ]
    return to_message(
        draft.invoice,
        pb.Invoice,
        id="",
        version=0,
        lines=lines,
        amount_due_minor=due_minor,
        prepaid_minor=prepaid_minor,
    )


async def insert(tx: Transaction, drafts: Sequence[Draft]) -> None:
    """Writes the invoices as they stand, drafts or all finalized at one time, with their lines."""
    invoices = [draft.invoice for draft in drafts]
    rows = [
        (draft.invoice.id, position, *line)
        for draft in drafts
        for position, line in enumerate(zip(draft.lines, draft.results, draft.taxes, strict=True), start=1)
    ]
    lines = [line for _, _, line, _, _ in rows]
    results = [result for _, _, _, result, _ in rows]
    await invoice_sql.insert_invoices(
        tx,
        tenant_id=tx.tenant_id,
        finalized_at=invoices[0].finalized_at,
        due_at=invoices[0].due_at,
        created_at=tx.now,
        ids=[invoice.id for invoice in invoices],
        customer_ids=[invoice.customer_id for invoice in invoices],
        subscription_ids=[invoice.subscription_id or "" for invoice in invoices],
        cycle_ids=[invoice.cycle_id or "" for invoice in invoices],
        states=[invoice.state for invoice in invoices],
        numbers=[invoice.number or "" for invoice in invoices],
        currencies=[invoice.currency for invoice in invoices],
        subtotals_minor=[invoice.subtotal_minor for invoice in invoices],
        discounts_minor=[invoice.discount_minor for invoice in invoices],
        credits_minor=[invoice.credit_minor for invoice in invoices],
        taxes_minor=[invoice.tax_minor for invoice in invoices],
        totals_minor=[invoice.total_minor for invoice in invoices],
        prepaid_minor=[invoice.prepaid_minor for invoice in invoices],
        tax_behaviors=[invoice.tax_behavior for invoice in invoices],
        evidence=[
            {
                "discounts": invoice.discounts,
                "credits": invoice.credits,
                "taxes": invoice.taxes,
                "terms": invoice.terms,
            }
            for invoice in invoices
        ],
        descriptions=[invoice.description for invoice in invoices],
        replaced_invoice_ids=[invoice.replaces_invoice_id or "" for invoice in invoices],
        period_starts=[invoice.period_start for invoice in invoices],
        period_ends=[invoice.period_end for invoice in invoices],
        versions=[invoice.version for invoice in invoices],
        line_ids=[line_id for draft in drafts for line_id in draft.line_ids],
        line_invoice_ids=[invoice_id for invoice_id, *_ in rows],
        line_positions=[position for _, position, *_ in rows],
        line_amounts_minor=[line.amount_minor for line in lines],
        line_types=[line.type for line in lines],
        line_descriptions=[line.description for line in lines],
        line_period_starts=[line.period_start for line in lines],
        line_period_ends=[line.period_end for line in lines],
        line_quantities=[line.quantity for line in lines],
        line_unit_amounts=[_text(line) for line in lines],
        line_unit_sizes=[line.unit_size for line in lines],
        line_price_ids=[line.price_id for line in lines],
        line_item_ids=[line.subscription_item_id for line in lines],
        line_tiers=[line.tiers for line in lines],
        line_steps=[line.steps for line in lines],
        line_by_record=[line.by_record for line in lines],
        line_discounts_minor=[result.discount_minor for result in results],
        line_credits_minor=[result.credit_minor for result in results],
        line_taxes_minor=[result.tax_minor for result in results],
        line_taxes=[taxes for _, _, _, _, taxes in rows],
        line_tax_categories=[line.tax_category for line in lines],
        line_tax_exemptions=[result.line.exemption for result in results],
        line_subscription_ids=[line.subscription_id for line in lines],
        line_evidence=[line.evidence for line in lines],
        line_charge_ids=[line.charge_id for line in lines],
    )
    together = [(draft.invoice.id, cycle) for draft in drafts for cycle in draft.cycles if cycle.consolidated]
    if together:
        await invoice_sql.insert_invoice_cycles(
            tx,
            tenant_id=tx.tenant_id,
            invoice_ids=[invoice_id for invoice_id, _ in together],
            cycle_ids=[cycle.id for _, cycle in together],
            subscription_ids=[cycle.subscription_id for _, cycle in together],
        )


def _terms_object(terms: Terms) -> dict[str, Any]:
    """As rows keep it: an `InvoiceTerms` in JSON."""
    return {
        "tax_rounding": f"TAX_ROUNDING_{terms.tax_rounding.upper()}",
        "credit_application": f"CREDIT_APPLICATION_{terms.credit_application.upper()}",
        "worked_out_at": moment_object(terms.at),
    }


def _exemption(result: LineResult) -> int:
    exemption = result.line.exemption
    return enum_number(tax_pb2.TaxExemption, exemption) if exemption else 0


def _text(line: DraftLine) -> str:
    return "" if line.unit_amount is None else decimal_text(line.unit_amount)


def _discounts(reckoning: Reckoning, customer_id: str, amounts: InvoiceAmounts) -> list[dict[str, Any]]:
    """Those that took something off, as rows keep them: `InvoiceDiscount` in JSON."""
    kept = []
    for step in amounts.discounts:
        if not step.amount_minor:
            continue
        row = reckoning.discount(customer_id, step.discount.id)
        kept.append(
            {
                "discount_id": step.discount.id,
                "coupon_id": row.coupon_id,
                "name": row.name,
                "kind": f"DISCOUNT_KIND_{step.discount.kind.upper()}",
                "percent": decimal_text(step.discount.percent),
                "amount_minor": step.amount_minor,
                "subscription_id": row.subscription_id or "",
            }
        )
    return kept


def credit_object(use: CreditUse) -> dict[str, Any]:
    """As rows keep it: an `InvoiceCredit` in JSON."""
    return {
        "credit_id": use.credit.id,
        "kind": f"CREDIT_KIND_{use.credit.kind.upper()}",
        "amount_minor": use.amount_minor,
        "available_minor": use.credit.remaining_minor,
    }


def _taxes_by_line(reckoning: Reckoning, amounts: InvoiceAmounts) -> list[list[dict[str, Any]]]:
    by_line: dict[str, list[TaxRow]] = {result.line.id: [] for result in amounts.lines}
    for row in amounts.taxes.rows:
        by_line[row.line_id].append(row)
    return [[_tax(reckoning, [row]) for row in rows] for rows in by_line.values()]


def _taxes_by_rate(reckoning: Reckoning, rows: Sequence[TaxRow]) -> list[dict[str, Any]]:
    by_rate: dict[TaxRate, list[TaxRow]] = {}
    for row in rows:
        by_rate.setdefault(row.rate, []).append(row)
    return [_tax(reckoning, same) for same in by_rate.values()]


def _tax(reckoning: Reckoning, rows: Sequence[TaxRow]) -> dict[str, Any]:
    """Rows of one rate, as rows keep them: an `InvoiceTax` in JSON."""
    rate = rows[0].rate
    taxable = sum((row.taxable for row in rows[1:]), rows[0].taxable)
    return {
        "tax_rate_id": rate.id,
        "name": reckoning.rate_name(rate.id),
        "percent": decimal_text(rate.percent),
        "compound": rate.compound,
        "taxable_minor": decimal_text(exact_amount(taxable)),
        "tax_minor": sum(row.tax_minor for row in rows),
    }
