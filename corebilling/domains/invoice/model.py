"""Invoices: what a customer owes for a billing cycle.

    draft ──> open ──> paid <──┐
      │        ├─────> uncollectible
      └────────┴─────> void

A draft has no number, also when it is discarded. An invoice of which nothing is due is opened and paid at
once; what one below zero gives back becomes a prepaid credit. One that is uncollectible was written off: what
is due of it is no longer expected, and a payment is a recovery.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from corebilling.errors import FailedPrecondition, InvalidArgument
from corebilling.values.integer import MAX_BIGINT
from corebilling.values.money import MAX_MINOR, major_units
from corebilling.values.period import time_zone


class InvoiceState(StrEnum):
    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"


_STEPS = {
    InvoiceState.DRAFT: {InvoiceState.OPEN, InvoiceState.VOID},
    InvoiceState.OPEN: {InvoiceState.PAID, InvoiceState.UNCOLLECTIBLE, InvoiceState.VOID},
    InvoiceState.UNCOLLECTIBLE: {InvoiceState.PAID},
    InvoiceState.PAID: set[InvoiceState](),
    InvoiceState.VOID: set[InvoiceState](),
}


_INSTEAD = {
    InvoiceState.DRAFT: "finalize it first",
    InvoiceState.OPEN: "it is final already",
    InvoiceState.PAID: "nothing of it is due any more; give back what is wrong with IssueCreditNote",
    InvoiceState.UNCOLLECTIBLE: "it was written off; RecordPayment takes what is paid of it all the same",
    InvoiceState.VOID: "it was withdrawn; make another with CreateInvoice",
}
"""What to do instead of a step that there is not."""


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A step of the lifecycle, announced as `invoice.status.changed`."""

    old: InvoiceState
    new: InvoiceState


def apply_lifecycle(old: InvoiceState, new: InvoiceState) -> StatusChange:
    """The step from one state to another.

    Raises:
        FailedPrecondition: INVOICE_TRANSITION_INVALID, naming both states, and what to do instead.
    """
    if new not in _STEPS[old]:
        raise _no_step(old, new)
    return StatusChange(old, new)


def _no_step(old: InvoiceState, new: InvoiceState) -> FailedPrecondition:
    named = "a draft" if old is InvoiceState.DRAFT else old
    return FailedPrecondition(
        "INVOICE_TRANSITION_INVALID",
        f"An invoice that is {named} cannot become {new}: {_INSTEAD[old]}.",
        {"from": old, "to": new},
    )


@dataclass(frozen=True, slots=True)
class Finalization:
    """The step a draft takes, by when it is to be paid, and the further step when nothing is due at all."""

    opened: StatusChange
    due_at: datetime
    paid: StatusChange | None


def decide_finalization(state: InvoiceState, *, due_minor: int, now: datetime, due_days: int) -> Finalization:
    """How a draft becomes final.

    Raises:
        FailedPrecondition: INVOICE_TRANSITION_INVALID when it is no draft.
    """
    opened = apply_lifecycle(state, InvoiceState.OPEN)
    paid = None if due_minor > 0 else apply_lifecycle(InvoiceState.OPEN, InvoiceState.PAID)
    return Finalization(opened, now + timedelta(days=due_days), paid)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What an invoice stands at after a payment; `change` when nothing is due any more.

    `recovered`: it had been written off.
    """

    amount_paid_minor: int
    amount_due_minor: int
    change: StatusChange | None
    recovered: bool = False


def decide_settlement(
    state: InvoiceState,
    *,
    amount_paid_minor: int,
    amount_due_minor: int,
    currency: str,
    payment_minor: int,
    payment_currency: str,
) -> Settlement:
    """What a payment does to an invoice.

    Raises:
        FailedPrecondition: INVOICE_TRANSITION_INVALID when the invoice is neither open nor uncollectible.
        InvalidArgument: PAYMENT_AMOUNT_INVALID when it is more than what is due, or in another currency.
    """
    paid = apply_lifecycle(state, InvoiceState.PAID)
    if payment_currency != currency or not 0 < payment_minor <= amount_due_minor:
        due = major_units(amount_due_minor, currency)
        raise InvalidArgument(
            "PAYMENT_AMOUNT_INVALID",
            f"A payment is in {currency}, above zero and at most the {due} that are due.",
            {"amount_due_minor": str(amount_due_minor)},
        )
    rest = amount_due_minor - payment_minor
    recovered = state is InvoiceState.UNCOLLECTIBLE
    return Settlement(amount_paid_minor + payment_minor, rest, None if rest else paid, recovered)


def decide_application(state: InvoiceState) -> StatusChange:
    """The step that an invoice takes if credits pay all that is due.

    Raises:
        FailedPrecondition: INVOICE_TRANSITION_INVALID when it is not open.
    """
    if state is InvoiceState.UNCOLLECTIBLE:
        raise _no_step(state, InvoiceState.PAID)
    return apply_lifecycle(state, InvoiceState.PAID)


def decide_write_off(
    state: InvoiceState, *, invoice_id: str, amount_due_minor: int, left_minor: int, credit_minor: int
) -> StatusChange:
    """The step that gives up what is due. It stays due, but is expected no more.

    What corrections gave back is not lost as long as the customer has credit to set off against it. Once that
    was used elsewhere, it is owed like the rest.

    Args:
        left_minor: The most that is due of the invoice, as corrections left it.
        credit_minor: The customer's prepaid credits that can be used now.

    Raises:
        FailedPrecondition: INVOICE_TRANSITION_INVALID when the invoice is not open, INVOICE_HAS_CORRECTIONS
            when what corrections gave back of it would be written off, too.
    """
    change = apply_lifecycle(state, InvoiceState.UNCOLLECTIBLE)
    if credit_minor and amount_due_minor > left_minor:
        raise FailedPrecondition(
            "INVOICE_HAS_CORRECTIONS",
            "Corrections gave back some of what it charged, which the customer has as credit: apply the "
            "customer's credits first (ApplyCredits), then write off what is still due.",
            {"invoice_id": invoice_id, "credit_minor": str(credit_minor)},
        )
    return change


def decide_void(state: InvoiceState, *, amount_paid_minor: int, credited_minor: int = 0) -> StatusChange:
    """The step that withdraws an invoice.

    Raises:
        FailedPrecondition: INVOICE_HAS_PAYMENTS when money was received for it, INVOICE_TRANSITION_INVALID
            when it is paid or void, INVOICE_HAS_CREDIT_NOTES when some of it was given back.
    """
    if credited_minor:
        raise FailedPrecondition(
            "INVOICE_HAS_CREDIT_NOTES",
            "Credit notes were issued for the invoice; give back the rest with another.",
            {"credited_minor": str(credited_minor)},
        )
    if amount_paid_minor:
        raise FailedPrecondition(
            "INVOICE_HAS_PAYMENTS",
            "Money was received for the invoice; issue a credit note instead.",
            {"amount_paid_minor": str(amount_paid_minor)},
        )
    return apply_lifecycle(state, InvoiceState.VOID)


MAX_TOTAL_MINOR = MAX_BIGINT
"""The largest amount that rows and messages hold, in minor units. No invoice has so many lines that it comes
near, since each line's amount is kept small where prices, quantities and usage come in."""


def check_line(amount_minor: int) -> int:
    """The amount of a line that somebody wrote.

    Raises:
        InvalidArgument: VALUE_OUT_OF_RANGE when it is more than a line may come to.
    """
    if abs(amount_minor) > MAX_MINOR:
        raise InvalidArgument(
            "VALUE_OUT_OF_RANGE",
            "A line is larger than an invoice can hold; correct its quantity or amount.",
            {"field": "items", "limit": str(MAX_MINOR)},
        )
    return amount_minor


def check_total(amounts_minor: Sequence[int]) -> int:
    """The sum of an invoice's lines.

    Raises:
        InvalidArgument: VALUE_OUT_OF_RANGE when it, or a line, is more than an invoice can hold.
    """
    total_minor = sum(amounts_minor)
    if max(map(abs, [*amounts_minor, total_minor])) > MAX_TOTAL_MINOR:
        raise InvalidArgument(
            "VALUE_OUT_OF_RANGE",
            "An amount is larger than an invoice can hold; correct the price or the usage.",
            {"field": "total_minor", "limit": str(MAX_TOTAL_MINOR)},
        )
    return total_minor


@dataclass(frozen=True, slots=True)
class Crediting:
    """What a credit note does: it lowers what is due, turns what was paid into prepaid credit, and returns
    credits that were used after tax; perhaps it settles.
    """

    due_minor: int
    refunded_minor: int
    returned_minor: int
    change: StatusChange | None


def decide_crediting(
    state: InvoiceState, *, amount_due_minor: int, refundable_minor: int, note_minor: int
) -> Crediting:
    """What a note over an amount does to an invoice.

    Args:
        refundable_minor: What was paid, prepaid credits among it, and no earlier note gave back.

    Raises:
        FailedPrecondition: INVOICE_NOT_CREDITABLE when it is a draft, void, or written off.
    """
    if state not in (InvoiceState.OPEN, InvoiceState.PAID):
        raise FailedPrecondition(
            "INVOICE_NOT_CREDITABLE",
            f"An invoice that is {state} has nothing to be given back.",
            {"state": state},
        )
    due_minor = min(note_minor, max(0, amount_due_minor))
    settled = state is InvoiceState.OPEN and due_minor == amount_due_minor
    change = apply_lifecycle(state, InvoiceState.PAID) if settled else None
    refunded_minor = min(note_minor - due_minor, refundable_minor)
    return Crediting(due_minor, refunded_minor, note_minor - due_minor - refunded_minor, change)


def number_year(now: datetime, timezone: str) -> int:
    """The year that a number given now belongs to: the tenant's own, by its clock and time zone."""
    return now.astimezone(time_zone(timezone)).year


def invoice_number(prefix: str, year: int, ordinal: int) -> str:
    """`INV-2026-000001`."""
    return f"{prefix}-{year}-{ordinal:06d}"
