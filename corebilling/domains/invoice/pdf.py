"""The printed invoice: facts become texts here, and the template sets them."""

import json
import threading
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import typst
from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.tax.v1 import tax_pb2
from billing.types.v1 import money_pb2, period_pb2

from corebilling.domains.invoice.service import InvoiceFacts
from corebilling.mapping import decimal_text, instant
from corebilling.values.currency import EXPONENTS
from corebilling.values.money import major_units
from corebilling.values.period import time_zone

_TEMPLATE = Path(__file__).parent / "template" / "invoice.typ"
_STAMPS = {pb.INVOICE_STATE_DRAFT: "Draft", pb.INVOICE_STATE_PAID: "Paid", pb.INVOICE_STATE_VOID: "Void"}
_EXEMPTIONS = {
    tax_pb2.TAX_EXEMPTION_EXEMPT: "Exempt from tax",
    tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE: "Reverse charge",
}
# An endless fraction is cut here; the line it belongs to was rounded from all of it.
_SHOWN_DECIMALS = 12


class InvoicePrinter:
    """Prints invoices, the same bytes for the same facts.

    One compiler is kept, which makes all but the first print fast; it serves one thread at a time.
    """

    def __init__(self) -> None:
        self._compiler = typst.Compiler(input=str(_TEMPLATE))
        self._turn = threading.Lock()

    def print(self, facts: InvoiceFacts) -> bytes:
        """The invoice as a PDF. Takes milliseconds of one processor: call it off the event loop."""
        texts = json.dumps(invoice_texts(facts), ensure_ascii=False)
        with self._turn:
            pdf = self._compiler.compile(format="pdf", sys_inputs={"invoice": texts})
        assert isinstance(pdf, bytes), "all pages of a PDF are one file"
        return pdf


def file_name(invoice: pb.Invoice) -> str:
    """`INV-2026-000001.pdf`; a draft bears its id."""
    return f"{invoice.number or invoice.id}.pdf"


def invoice_texts(facts: InvoiceFacts) -> Mapping[str, Any]:
    """What the template shows, word for word. Days are the customer's."""
    invoice, zone = facts.invoice, time_zone(facts.customer.timezone)
    currency = invoice.currency
    due_minor = invoice.amount_due_minor
    return {
        "title": f"Invoice {invoice.number}" if invoice.number else "Invoice draft",
        "seller": facts.seller,
        "stamp": _STAMPS.get(invoice.state, ""),
        "currency": currency,
        "customer": list(_customer_lines(facts)),
        "facts": list(_facts(invoice, zone)),
        "description": invoice.description,
        "lines": [_line(line, currency, zone) for line in invoice.lines],
        "sums": list(_sums(invoice)),
        "due": {"name": "Amount due", "amount": f"{_money(due_minor, currency)} {currency}"},
        "notes": list(_notes(invoice, zone)),
    }


def _sums(invoice: pb.Invoice) -> Iterable[tuple[str, str]]:
    """From the lines' sum to what is due; steps that change nothing are left out.

    Credits stand where they count: before the tax, which they lower, or after it.
    """

    def money(amount_minor: int) -> str:
        return _money(amount_minor, invoice.currency)

    inclusive = invoice.tax_behavior == tax_pb2.TAX_BEHAVIOR_INCLUSIVE
    # Those used after the tax are no line's.
    before_tax_minor = sum(line.credit_minor for line in invoice.lines)
    after_tax_minor = invoice.credit_minor - before_tax_minor
    taxes = [(f"{tax.name} {tax.percent} %", tax.tax_minor) for tax in invoice.taxes]
    contained = [(f"including {name}", money(tax_minor)) for name, tax_minor in taxes if inclusive]
    steps = [
        *((f"{discount.name}{_percent(discount)}", -discount.amount_minor) for discount in invoice.discounts),
        ("Credit", -before_tax_minor),
        *(tax for tax in taxes if not inclusive),
    ]
    changes = [(name, money(amount_minor)) for name, amount_minor in steps if amount_minor]
    if changes or after_tax_minor:
        yield "Subtotal", money(invoice.subtotal_minor)
    yield from changes
    if after_tax_minor:
        # They are part of what the credit is taken off, not of the total.
        yield from contained
        yield "Credit", money(-after_tax_minor)
    yield "Total", money(invoice.total_minor)
    if not after_tax_minor:
        yield from contained
    taken_minor = (
        invoice.total_minor - invoice.prepaid_minor - invoice.amount_paid_minor - invoice.amount_due_minor
    )
    after = {
        # Below zero, it is what the customer has from now on.
        "Prepaid" if invoice.prepaid_minor > 0 else "Kept as credit": invoice.prepaid_minor,
        "Paid": invoice.amount_paid_minor,
        # Not what they gave back as credit.
        "Credit notes": taken_minor if invoice.credited_minor else 0,
    }
    for name, amount_minor in after.items():
        if amount_minor:
            yield name, money(-amount_minor)


def _percent(discount: pb.InvoiceDiscount) -> str:
    return f" {discount.percent} %" if discount.kind == discount_pb2.DISCOUNT_KIND_PERCENT else ""


def _customer_lines(facts: InvoiceFacts) -> Iterable[str]:
    customer = facts.customer
    address = customer.address or {}
    place = " ".join(filter(None, (address.get("postal_code"), address.get("city"))))
    region = ", ".join(filter(None, (address.get("region"), address.get("country"))))
    lines = (customer.company, customer.name, address.get("line1"), address.get("line2"), place, region)
    named = [line for line in lines if line] or [customer.id]
    yield from named
    if customer.email:
        yield customer.email
    if customer.tax_id:
        yield f"Tax ID {customer.tax_id}"


def _facts(invoice: pb.Invoice, zone: ZoneInfo) -> Iterable[tuple[str, str]]:
    yield "Invoice number", invoice.number or "not given yet"
    if invoice.HasField("finalized_at"):
        yield "Issued", _day(instant(invoice.finalized_at), zone)
    if invoice.HasField("due_at"):
        yield "Due", _day(instant(invoice.due_at), zone)
    if invoice.HasField("paid_at"):
        yield "Paid", _day(instant(invoice.paid_at), zone)
    yield "Billing period", _days(invoice.period, zone)
    yield "Currency", invoice.currency


def _line(line: pb.InvoiceLine, currency: str, zone: ZoneInfo) -> Mapping[str, Any]:
    by_record = line.by_record if line.HasField("by_record") else None
    unit_price = "tiered" if by_record is None else "by record"
    if line.unit_amount:
        unit_price = _unit_price(line.unit_amount, line.unit_size, currency)
    return {
        "description": line.description,
        "period": _days(line.period, zone),
        "untaxed": _EXEMPTIONS.get(line.tax_exemption, ""),
        "quantity": _number(line.quantity),
        "unit_price": unit_price,
        "amount": _money(line.amount_minor, currency),
        "tiers": [
            *(_tier(tier, line.unit_size, currency) for tier in line.tiers),
            *(_record_rows(by_record, line.unit_size, currency) if by_record else ()),
            *(_step(step, currency) for step in line.steps),
        ],
    }


def _tier(tier: money_pb2.TierCharge, unit_size: str, currency: str) -> Mapping[str, str]:
    unit_price = _unit_price(tier.unit_amount, tier.block_size or unit_size, currency)
    flat = Decimal(tier.flat_amount or 0)
    return {
        "range": _range(tier),
        "quantity": _number(tier.quantity),
        "unit_price": f"{_amount(tier.flat_amount, currency)} + {unit_price}" if flat else unit_price,
        "amount": _amount(tier.amount, currency),
    }


def _record_rows(
    evidence: money_pb2.RecordEvidence, unit_size: str, currency: str
) -> Iterable[Mapping[str, str]]:
    """The cells of a matrix, or what transactions came to."""
    for cell in evidence.cells:
        yield {
            "range": ", ".join(cell.properties[name] for name in sorted(cell.properties)) or "all other",
            "quantity": _number(cell.quantity),
            "unit_price": _unit_price(cell.unit_amount, unit_size, currency),
            "amount": _amount(cell.amount, currency),
        }
    if evidence.HasField("transactions"):
        charged = evidence.transactions
        yield _transactions_row("free", charged.free_transactions, "", "0", currency)
        share = f"{_number(charged.percent)} % of {_amount(charged.paid_amount, currency)}"
        yield _transactions_row("paid", charged.paid_transactions, share, charged.rate_amount, currency)
        fixed = f"{_amount(charged.fixed_amount, currency)} each"
        for name, price, amount in (
            ("fixed", fixed, charged.fixed_total),
            ("up to the least", "", charged.floor_amount),
            ("down to the most", "", charged.ceiling_amount),
        ):
            if Decimal(amount):
                yield _transactions_row(name, charged.paid_transactions, price, amount, currency)


def _transactions_row(name: str, count: int, price: str, amount: str, currency: str) -> Mapping[str, str]:
    return {
        "range": name,
        "quantity": _number(str(count)),
        "unit_price": price,
        "amount": _amount(amount, currency),
    }


def _step(step: money_pb2.ChargeStep, currency: str) -> Mapping[str, str]:
    names = {
        money_pb2.CHARGE_STEP_KIND_CAP: "capped",
        money_pb2.CHARGE_STEP_KIND_MINIMUM: "up to the minimum",
        money_pb2.CHARGE_STEP_KIND_BILLED: "billed before",
    }
    return {
        "range": names.get(step.kind, ""),
        "quantity": "",
        "unit_price": "",
        "amount": _amount(step.amount, currency),
    }


def _range(tier: money_pb2.TierCharge) -> str:
    if not tier.up_to:
        return f"over {_number(tier.from_quantity)}" if Decimal(tier.from_quantity) else "all"
    if not Decimal(tier.from_quantity):
        return f"first {_number(tier.up_to)}"
    return f"over {_number(tier.from_quantity)}, to {_number(tier.up_to)}"


def _unit_price(unit_amount: str, unit_size: str, currency: str) -> str:
    amount = _amount(unit_amount, currency)
    return amount if Decimal(unit_size) == 1 else f"{amount} per {_number(unit_size)}"


def _notes(invoice: pb.Invoice, zone: ZoneInfo) -> Iterable[str]:
    if any(line.tax_exemption == tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE for line in invoice.lines):
        yield "Reverse charge: the customer owes the tax."
    match invoice.state:
        case pb.INVOICE_STATE_DRAFT:
            yield "This is a draft. It can still change, and is not payable."
        case pb.INVOICE_STATE_VOID:
            yield "This invoice was withdrawn. Nothing is owed for it."
        case pb.INVOICE_STATE_OPEN if invoice.HasField("due_at"):
            day = _day(instant(invoice.due_at), zone)
            yield f"Please pay by {day}, naming {invoice.number} as the reference."


def _money(amount_minor: int, currency: str) -> str:
    return _signed(f"{major_units(amount_minor, currency):,f}")


def _amount(text: str, currency: str) -> str:
    """An exact amount, with at least the decimals that the currency has."""
    sign = "-" if text.startswith("-") else ""
    whole, _, decimals = decimal_text(Decimal(text).copy_abs()).partition(".")
    cut = "…" if len(decimals) > _SHOWN_DECIMALS else ""
    decimals = decimals[:_SHOWN_DECIMALS].ljust(EXPONENTS[currency], "0")
    return _signed(f"{sign}{int(whole):,}") + (f".{decimals}{cut}" if decimals else "")


def _number(text: str) -> str:
    return _signed(f"{Decimal(decimal_text(Decimal(text))):,f}")


def _signed(text: str) -> str:
    return text.replace("-", "−")


def _days(period: period_pb2.Period, zone: ZoneInfo) -> str:
    """Both days belong to the period, of which the end does not."""
    start = instant(period.start)
    last = max(start, instant(period.end) - timedelta(microseconds=1))
    return f"{_day(start, zone)} – {_day(last, zone)}"


def _day(moment: datetime, zone: ZoneInfo) -> str:
    local = moment.astimezone(zone)
    return f"{local.day} {local:%B %Y}"
