"""The texts of a printed invoice, in the language of whoever reads it; the templates only set them."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.tax.v1 import tax_pb2
from billing.types.v1 import money_pb2, period_pb2

from corebilling.domains.invoice.facts import InvoiceFacts
from corebilling.domains.invoice.phrases import Speech
from corebilling.mapping import instant
from corebilling.values.period import time_zone

_ACCENT = "#1d5f6f"
_STAMPS = {
    pb.INVOICE_STATE_DRAFT: "draft",
    pb.INVOICE_STATE_PAID: "paid",
    pb.INVOICE_STATE_VOID: "void",
    # That the seller wrote it off is no matter of who owes it.
    pb.INVOICE_STATE_UNCOLLECTIBLE: "unpaid",
}
_EXEMPTIONS = {
    tax_pb2.TAX_EXEMPTION_EXEMPT: "exempt",
    tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE: "reverse_charge",
}
_STEPS = {
    money_pb2.CHARGE_STEP_KIND_CAP: "capped",
    money_pb2.CHARGE_STEP_KIND_MINIMUM: "minimum",
    money_pb2.CHARGE_STEP_KIND_BILLED: "billed_before",
}
_LABELS = ("invoice", "bill_to", "description", "quantity", "unit_price", "amount", "as_pdf")


def invoice_texts(facts: InvoiceFacts) -> Mapping[str, Any]:
    """What the templates show, word for word. Days are the customer's."""
    invoice, branding = facts.invoice, facts.branding
    writer = _Writer(Speech(facts.language), time_zone(facts.customer.timezone), invoice.currency)
    say = writer.say
    return {
        "language": say.tag,
        "direction": say.direction,
        "labels": {label: say(label) for label in _LABELS},
        "page": say("page", "{0}", "{1}"),
        "title": f"{say('invoice')} {invoice.number}"
        if invoice.number
        else f"{say('invoice')} ({say('draft')})",
        "seller": facts.seller,
        "seller_lines": [
            *branding.legal_lines,
            *([say("tax_id", branding.tax_id)] if branding.tax_id else ()),
        ],
        "accent": branding.accent_color or _ACCENT,
        "footer": branding.footer,
        "stamp": say(_STAMPS[invoice.state]) if invoice.state in _STAMPS else "",
        "currency": invoice.currency,
        "customer": list(_customer_lines(facts, say)),
        "facts": list(writer.facts(invoice)),
        "description": invoice.description,
        "lines": [writer.line(line) for line in invoice.lines],
        "sums": list(writer.sums(invoice)),
        "due": {
            "name": say("amount_due"),
            "amount": f"{writer.money(invoice.amount_due_minor)} {invoice.currency}",
        },
        "notes": list(writer.notes(invoice)),
    }


def _customer_lines(facts: InvoiceFacts, say: Speech) -> Iterable[str]:
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
        yield say("tax_id", customer.tax_id)


class _Writer:
    """Writes one invoice's parts, in one language, time zone and currency."""

    def __init__(self, say: Speech, zone: ZoneInfo, currency: str) -> None:
        self.say = say
        self._zone = zone
        self._currency = currency

    def money(self, amount_minor: int) -> str:
        return self.say.money(amount_minor, self._currency)

    def sums(self, invoice: pb.Invoice) -> Iterable[tuple[str, str]]:
        """From the lines' sum to what is due; steps that change nothing are left out.

        Credits stand where they count: before the tax, which they lower, or after it.
        """
        say, money = self.say, self.money
        inclusive = invoice.tax_behavior == tax_pb2.TAX_BEHAVIOR_INCLUSIVE
        # Those used after the tax are no line's.
        before_tax_minor = sum(line.credit_minor for line in invoice.lines)
        after_tax_minor = invoice.credit_minor - before_tax_minor
        taxes = [(f"{tax.name} {self.say.number(tax.percent)} %", tax.tax_minor) for tax in invoice.taxes]
        contained = [(say("including", name), money(tax_minor)) for name, tax_minor in taxes if inclusive]
        # What corrects earlier invoices has its part of their discounts.
        in_force_minor = sum(discount.amount_minor for discount in invoice.discounts)
        steps = [
            (say("corrected_discounts"), in_force_minor - invoice.discount_minor),
            *((self._discount(discount), -discount.amount_minor) for discount in invoice.discounts),
            (say("credit"), -before_tax_minor),
            *(tax for tax in taxes if not inclusive),
        ]
        changes = [(name, money(amount_minor)) for name, amount_minor in steps if amount_minor]
        if changes or after_tax_minor:
            yield say("subtotal"), money(invoice.subtotal_minor)
        yield from changes
        if after_tax_minor:
            # They are part of what the credit is taken off, not of the total.
            yield from contained
            yield say("credit"), money(-after_tax_minor)
        yield say("total"), money(invoice.total_minor)
        if not after_tax_minor:
            yield from contained
        yield from self._settled(invoice)

    def _settled(self, invoice: pb.Invoice) -> Iterable[tuple[str, str]]:
        """Between the total and what is due."""
        taken_minor = (
            invoice.total_minor - invoice.prepaid_minor - invoice.amount_paid_minor - invoice.amount_due_minor
        )
        after = {
            # Below zero, it is what the customer has from now on.
            "prepaid" if invoice.prepaid_minor > 0 else "kept": invoice.prepaid_minor,
            "payments": invoice.amount_paid_minor,
            # Not what they gave back as credit.
            "credit_notes": taken_minor if invoice.credited_minor else 0,
        }
        for name, amount_minor in after.items():
            if amount_minor:
                yield self.say(name), self.money(-amount_minor)

    def _discount(self, discount: pb.InvoiceDiscount) -> str:
        if discount.kind != discount_pb2.DISCOUNT_KIND_PERCENT:
            return discount.name
        return f"{discount.name} {self.say.number(discount.percent)} %"

    def facts(self, invoice: pb.Invoice) -> Iterable[tuple[str, str]]:
        say = self.say
        yield say("invoice_number"), invoice.number or say("not_given_yet")
        if invoice.HasField("finalized_at"):
            yield say("issued"), say.day(instant(invoice.finalized_at), self._zone)
        if invoice.HasField("due_at"):
            yield say("due"), say.day(instant(invoice.due_at), self._zone)
        if invoice.HasField("paid_at"):
            yield say("paid_on"), say.day(instant(invoice.paid_at), self._zone)
        yield say("billing_period"), self._days(invoice.period)
        yield say("currency"), invoice.currency

    def line(self, line: pb.InvoiceLine) -> Mapping[str, Any]:
        exemption = _EXEMPTIONS.get(line.tax_exemption)
        return {
            "description": line.description,
            "period": self._days(line.period),
            "untaxed": self.say(exemption) if exemption else "",
            "quantity": self.say.number(line.quantity),
            "unit_price": self._unit_price(line.unit_amount, line.unit_size)
            if line.unit_amount
            else self.say("by_record" if line.HasField("by_record") else "tiered"),
            "amount": self.money(line.amount_minor),
            "tiers": [
                *(self._tier(tier, line.unit_size) for tier in line.tiers),
                # What no other cell holds goes last.
                *(
                    self._cell(cell, line.unit_size)
                    for cell in sorted(line.by_record.cells, key=lambda cell: not cell.properties)
                ),
                *self._transactions(line.by_record.transactions),
                *(self._step(step) for step in line.steps),
            ],
        }

    def _tier(self, tier: money_pb2.TierCharge, unit_size: str) -> Mapping[str, str]:
        unit_price = self._unit_price(tier.unit_amount, tier.block_size or unit_size)
        flat = Decimal(tier.flat_amount or 0)
        return {
            "range": self._range(tier),
            "quantity": self.say.number(tier.quantity),
            "unit_price": f"{self._amount(tier.flat_amount)} + {unit_price}" if flat else unit_price,
            "amount": self._amount(tier.amount),
        }

    def _cell(self, cell: money_pb2.CellCharge, unit_size: str) -> Mapping[str, str]:
        named = ", ".join(cell.properties[name] for name in sorted(cell.properties))
        return {
            "range": named or self.say("all_other"),
            "quantity": self.say.number(cell.quantity),
            "unit_price": self._unit_price(cell.unit_amount, unit_size),
            "amount": self._amount(cell.amount),
        }

    def _transactions(self, charged: money_pb2.TransactionCharge) -> Iterable[Mapping[str, str]]:
        """What the transactions of a percentage price came to; nothing of other prices."""
        say, paid = self.say, charged.paid_transactions
        share = say("share", say.number(charged.percent or "0"), self._amount(charged.paid_amount or "0"))
        fixed = say("each", self._amount(charged.fixed_amount or "0"))
        rows = (
            (share, charged.rate_amount),
            (fixed, charged.fixed_total),
            (say("least"), charged.floor_amount),
            (say("most"), charged.ceiling_amount),
        )
        shown = [(name, paid, amount) for name, amount in rows if Decimal(amount or 0)]
        if charged.free_transactions:
            shown.insert(0, (say("free"), charged.free_transactions, "0"))
        for name, count, amount in shown:
            yield {
                "range": name,
                "quantity": say.number(str(count)),
                "unit_price": "",
                "amount": self._amount(amount),
            }

    def _step(self, step: money_pb2.ChargeStep) -> Mapping[str, str]:
        return {
            "range": self.say(_STEPS[step.kind]) if step.kind in _STEPS else "",
            "quantity": "",
            "unit_price": "",
            "amount": self._amount(step.amount),
        }

    def _range(self, tier: money_pb2.TierCharge) -> str:
        say, start = self.say, tier.from_quantity
        if not tier.up_to:
            return say("over", say.number(start)) if Decimal(start) else say("all")
        if not Decimal(start):
            return say("first", say.number(tier.up_to))
        return say("over_to", say.number(start), say.number(tier.up_to))

    def _unit_price(self, unit_amount: str, unit_size: str) -> str:
        amount = self._amount(unit_amount)
        return amount if Decimal(unit_size) == 1 else self.say("per", amount, self.say.number(unit_size))

    def _amount(self, text: str) -> str:
        return self.say.amount(text, self._currency)

    def notes(self, invoice: pb.Invoice) -> Iterable[str]:
        if any(line.tax_exemption == tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE for line in invoice.lines):
            yield self.say("reverse_charge_note")
        match invoice.state:
            case pb.INVOICE_STATE_DRAFT:
                yield self.say("draft_note")
            case pb.INVOICE_STATE_VOID:
                yield self.say("void_note")
            case pb.INVOICE_STATE_UNCOLLECTIBLE:
                yield self.say("unpaid_note", invoice.number)
            case pb.INVOICE_STATE_OPEN if invoice.HasField("due_at"):
                day = self.say.day(instant(invoice.due_at), self._zone)
                yield self.say("pay_note", day, invoice.number)

    def _days(self, period: period_pb2.Period) -> str:
        """Both days belong to the period, of which the end does not."""
        start = instant(period.start)
        last = max(start, instant(period.end) - timedelta(microseconds=1))
        return f"{self.say.day(start, self._zone)} – {self.say.day(last, self._zone)}"
