"""What became of an invoice: its payments and credit notes, what they leave due, and its state."""

from collections.abc import Iterator
from fractions import Fraction

from billing.invoice.v1 import bundle_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.tax.v1 import tax_pb2

from corebilling.domains.invoice.bundle_reading import named
from corebilling.domains.invoice.checks import Check, Checking
from corebilling.domains.invoice.model import InvoiceState
from corebilling.errors import InvalidArgument
from corebilling.values.credit_note import CreditNote, Invoiced, InvoicedLine, credit_invoice


def settlement_checks(
    bundle: bundle_pb2.InvoiceBundle, total_minor: int, prepaid_minor: int
) -> Iterator[Check]:
    """What is due follows from payments and notes, and the state from what is due and what was done."""
    invoice, payments, notes = bundle.invoice, bundle.payments, bundle.credit_notes
    check = Checking("invoice", "due")
    paid_minor = sum(payment.amount_minor for payment in payments)
    yield check.of("amount_paid_minor", invoice.amount_paid_minor, paid_minor)
    yield check.of("credited_minor", invoice.credited_minor, sum(note.total_minor for note in notes))
    due_minor = total_minor - prepaid_minor - paid_minor - sum(note.due_minor for note in notes)
    if invoice.HasField("voided_at"):
        due_minor = 0
    yield check.of("amount_due_minor", invoice.amount_due_minor, due_minor)
    for payment in payments:
        yield check.of(f"invoice of payment {payment.id}", payment.invoice_id, invoice.id)
        yield check.of(f"currency of payment {payment.id}", payment.currency, invoice.currency)
    yield from _notes(bundle)
    yield from _state(invoice, due_minor)


def _state(invoice: pb.Invoice, due_minor: int) -> Iterator[Check]:
    check, state = Checking("invoice", "state"), _state_of(invoice, due_minor)
    yield check.of("state", named(pb.InvoiceState, invoice.state, "state of the invoice"), state)
    final = invoice.HasField("finalized_at")
    yield check.of("has a number", bool(invoice.number), final)
    yield check.of("has a time to be paid by", invoice.HasField("due_at"), final)
    yield check.of("has a time of being paid", invoice.HasField("paid_at"), state is InvoiceState.PAID)


def _state_of(invoice: pb.Invoice, due_minor: int) -> InvoiceState:
    if invoice.HasField("voided_at"):
        return InvoiceState.VOID
    if not invoice.HasField("finalized_at"):
        return InvoiceState.DRAFT
    if due_minor <= 0:
        return InvoiceState.PAID
    return InvoiceState.UNCOLLECTIBLE if invoice.HasField("written_off_at") else InvoiceState.OPEN


def _notes(bundle: bundle_pb2.InvoiceBundle) -> Iterator[Check]:
    """Each comes to what its items do after those before it; all of them to no more than was invoiced."""
    invoice, check = bundle.invoice, Checking("invoice", "credit notes")
    invoiced, earlier = _invoiced(invoice), list[CreditNote]()
    for note in bundle.credit_notes:
        yield check.of(f"invoice of {note.number}", note.invoice_id, invoice.id)
        yield check.of(f"customer of {note.number}", note.customer_id, invoice.customer_id)
        yield check.of(f"currency of {note.number}", note.currency, invoice.currency)
        yield check.of(
            f"parts of {note.number}",
            note.total_minor,
            note.due_minor + note.refunded_minor + note.returned_minor,
        )
        items = {item.invoice_line_id: item.amount_minor for item in note.items}
        try:
            made = credit_invoice(invoiced, earlier, items)
        except InvalidArgument:
            yield check.of(f"items of {note.number}", "more than is left", "at most what is left")
            return
        yield check.of(f"subtotal of {note.number}", note.subtotal_minor, made.subtotal_minor)
        yield check.of(f"tax of {note.number}", note.tax_minor, made.tax_minor)
        yield check.of(f"total of {note.number}", note.total_minor, made.total_minor)
        earlier.append(made)


def _invoiced(invoice: pb.Invoice) -> Invoiced:
    """What was charged for the lines. Of amounts that contain their tax, the tax stands apart."""
    inclusive = invoice.tax_behavior == tax_pb2.TAX_BEHAVIOR_INCLUSIVE
    shares = [
        line.discount_minor + line.credit_minor + (line.tax_minor if inclusive else 0)
        for line in invoice.lines
    ]
    lines = (
        InvoicedLine(line.id, line.amount_minor, Fraction(share), Fraction(line.tax_minor))
        for line, share in zip(invoice.lines, shares, strict=True)
    )
    return Invoiced(tuple(lines), sum(shares), invoice.tax_minor)
