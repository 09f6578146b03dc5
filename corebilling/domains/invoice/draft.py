"""Invoices in the making: from a cycle's charges to rows, written many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

from billing.invoice.v1 import invoice_pb2 as pb
from billing_db import invoice as invoice_sql
from billing_db.models import BillingCycle, Charge, Invoice

from corebilling.db.transaction import Transaction
from corebilling.domains.invoice.model import InvoiceState, check_total
from corebilling.mapping import decimal_text, enum_number, to_message
from corebilling.values.ids import new_id
from corebilling.values.money import minor_units


@dataclass(frozen=True, slots=True)
class Draft:
    """An invoice not written yet, with the charges that become its lines: each rounded once."""

    invoice: Invoice
    charges: Sequence[Charge]
    amounts_minor: Sequence[int]


def new_draft(tx: Transaction, cycle: BillingCycle, charges: Sequence[Charge]) -> Draft:
    amounts_minor = [minor_units(charge.amount, charge.currency) for charge in charges]
    total_minor = check_total(amounts_minor)
    invoice = Invoice(
        tenant_id=tx.tenant_id,
        id=new_id("inv"),
        customer_id=cycle.customer_id,
        subscription_id=cycle.subscription_id,
        cycle_id=cycle.id,
        state=InvoiceState.DRAFT,
        number=None,
        currency=charges[0].currency,
        total_minor=total_minor,
        amount_paid_minor=0,
        amount_due_minor=total_minor,
        period_start=cycle.period_start,
        period_end=cycle.period_end,
        finalized_at=None,
        due_at=None,
        paid_at=None,
        voided_at=None,
        created_at=tx.now,
        version=1,
    )
    return Draft(invoice, charges, amounts_minor)


def preview(cycle: BillingCycle, charges: Sequence[Charge], currency: str) -> pb.Invoice:
    """The invoice that these charges would give; it has neither id nor number."""
    amounts_minor = [minor_units(charge.amount, currency) for charge in charges]
    total_minor = check_total(amounts_minor)
    lines = [
        to_message(
            charge,
            pb.InvoiceLine,
            id="",
            type=enum_number(pb.InvoiceLineType, charge.kind),
            amount_minor=amount_minor,
        )
        for charge, amount_minor in zip(charges, amounts_minor, strict=True)
    ]
    return to_message(
        cycle,
        pb.Invoice,
        id="",
        version=0,
        cycle_id=cycle.id,
        state=pb.INVOICE_STATE_DRAFT,
        currency=currency,
        total_minor=total_minor,
        amount_due_minor=total_minor,
        lines=lines,
    )


async def insert(tx: Transaction, drafts: Sequence[Draft]) -> None:
    """Writes the invoices as they stand, drafts or all finalized at one time, with their lines."""
    invoices = [draft.invoice for draft in drafts]
    lines = [
        (draft.invoice.id, position, charge, amount_minor)
        for draft in drafts
        for position, (charge, amount_minor) in enumerate(
            zip(draft.charges, draft.amounts_minor, strict=True), start=1
        )
    ]
    charges = [charge for _, _, charge, _ in lines]
    await invoice_sql.insert_invoices(
        tx,
        tenant_id=tx.tenant_id,
        finalized_at=invoices[0].finalized_at,
        due_at=invoices[0].due_at,
        created_at=tx.now,
        ids=[invoice.id for invoice in invoices],
        customer_ids=[invoice.customer_id for invoice in invoices],
        subscription_ids=[invoice.subscription_id for invoice in invoices],
        cycle_ids=[invoice.cycle_id for invoice in invoices],
        states=[invoice.state for invoice in invoices],
        numbers=[invoice.number or "" for invoice in invoices],
        currencies=[invoice.currency for invoice in invoices],
        totals_minor=[invoice.total_minor for invoice in invoices],
        period_starts=[invoice.period_start for invoice in invoices],
        period_ends=[invoice.period_end for invoice in invoices],
        versions=[invoice.version for invoice in invoices],
        line_ids=[new_id("ili") for _ in lines],
        line_invoice_ids=[invoice_id for invoice_id, _, _, _ in lines],
        line_positions=[position for _, position, _, _ in lines],
        line_amounts_minor=[amount_minor for _, _, _, amount_minor in lines],
        line_types=[charge.kind for charge in charges],
        line_descriptions=[charge.description for charge in charges],
        line_period_starts=[charge.period_start for charge in charges],
        line_period_ends=[charge.period_end for charge in charges],
        line_quantities=[charge.quantity for charge in charges],
        line_unit_amounts=[_text(charge) for charge in charges],
        line_unit_sizes=[charge.unit_size for charge in charges],
        line_price_ids=[charge.price_id for charge in charges],
        line_item_ids=[charge.subscription_item_id for charge in charges],
        line_tiers=[charge.tiers for charge in charges],
        line_steps=[charge.steps for charge in charges],
    )


def _text(charge: Charge) -> str:
    return "" if charge.unit_amount is None else decimal_text(charge.unit_amount)
