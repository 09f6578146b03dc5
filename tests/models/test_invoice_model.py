from datetime import UTC, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corebilling.domains.invoice.model import (
    InvoiceState,
    Settlement,
    apply_lifecycle,
    decide_finalization,
    decide_settlement,
    decide_void,
    invoice_number,
    number_year,
)
from corebilling.errors import FailedPrecondition, InvalidArgument

NOW = datetime(2026, 4, 1, tzinfo=UTC)
ALLOWED = {("draft", "open"), ("draft", "void"), ("open", "paid"), ("open", "void")} | {
    ("open", "uncollectible"),
    ("uncollectible", "paid"),
}


@pytest.mark.parametrize(("old", "new"), list(product(InvoiceState, repeat=2)))
def test_only_the_drawn_steps_are_taken_and_others_name_both_states(
    old: InvoiceState, new: InvoiceState
) -> None:
    if (old, new) in ALLOWED:
        assert (apply_lifecycle(old, new).old, apply_lifecycle(old, new).new) == (old, new)
        return
    with pytest.raises(FailedPrecondition) as refused:
        apply_lifecycle(old, new)
    assert refused.value.reason == "INVOICE_TRANSITION_INVALID"
    assert refused.value.facts == {"from": old, "to": new}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("draft", "paid", "An invoice that is a draft cannot become paid: finalize it first."),
        (
            "paid",
            "void",
            (
                "An invoice that is paid cannot become void: nothing of it is due any more; "
                "give back what is wrong with IssueCreditNote."
            ),
        ),
        (
            "void",
            "void",
            "An invoice that is void cannot become void: it was withdrawn; make another with CreateInvoice.",
        ),
    ],
)
def test_a_step_that_there_is_not_is_refused_with_what_to_do_instead(
    old: str, new: str, message: str
) -> None:
    with pytest.raises(FailedPrecondition) as refused:
        apply_lifecycle(InvoiceState(old), InvoiceState(new))
    assert refused.value.message == message


def test_a_finalized_invoice_is_open_and_due_after_the_agreed_days() -> None:
    final = decide_finalization(InvoiceState.DRAFT, due_minor=100, now=NOW, due_days=30)
    assert (final.opened.new, final.paid) == (InvoiceState.OPEN, None)
    assert final.due_at == NOW + timedelta(days=30)


def test_an_invoice_over_nothing_is_paid_as_soon_as_it_is_final() -> None:
    final = decide_finalization(InvoiceState.DRAFT, due_minor=0, now=NOW, due_days=30)
    assert final.paid is not None
    assert (final.paid.old, final.paid.new) == (InvoiceState.OPEN, InvoiceState.PAID)


@pytest.mark.parametrize("state", [state for state in InvoiceState if state is not InvoiceState.DRAFT])
def test_only_drafts_are_finalized(state: InvoiceState) -> None:
    with pytest.raises(FailedPrecondition) as refused:
        decide_finalization(state, due_minor=1, now=NOW, due_days=30)
    assert refused.value.reason == "INVOICE_TRANSITION_INVALID"


def settle(
    payment: int,
    *,
    due: int = 100,
    paid: int = 0,
    state: InvoiceState = InvoiceState.OPEN,
    currency: str = "USD",
) -> Settlement:
    return decide_settlement(
        state,
        amount_paid_minor=paid,
        amount_due_minor=due,
        currency="USD",
        payment_minor=payment,
        payment_currency=currency,
    )


@given(st.lists(st.integers(1, 50), min_size=1, max_size=10))
def test_payments_in_parts_settle_an_invoice_with_the_last_one(parts: list[int]) -> None:
    paid, due = 0, sum(parts)
    for nr, part in enumerate(parts, start=1):
        settlement = settle(part, due=due, paid=paid)
        paid, due = settlement.amount_paid_minor, settlement.amount_due_minor
        assert paid + due == sum(parts)
        assert (settlement.change is not None) == (nr == len(parts))


@pytest.mark.parametrize(
    ("payment", "due", "currency"), [(101, 100, "USD"), (0, 100, "USD"), (-1, 100, "USD"), (1, 100, "EUR")]
)
def test_a_payment_that_does_not_fit_is_refused_with_what_is_due(
    payment: int, due: int, currency: str
) -> None:
    with pytest.raises(InvalidArgument) as refused:
        settle(payment, due=due, currency=currency)
    assert (refused.value.reason, refused.value.facts) == (
        "PAYMENT_AMOUNT_INVALID",
        {"amount_due_minor": str(due)},
    )


def test_an_invoice_that_owes_the_customer_takes_no_payment() -> None:
    with pytest.raises(InvalidArgument):
        settle(1, due=-100)


@pytest.mark.parametrize("state", [InvoiceState.DRAFT, InvoiceState.PAID, InvoiceState.VOID])
def test_invoices_that_are_neither_open_nor_written_off_are_not_paid(state: InvoiceState) -> None:
    with pytest.raises(FailedPrecondition) as refused:
        settle(1, state=state)
    assert refused.value.facts == {"from": state, "to": InvoiceState.PAID}


def test_a_payment_for_what_was_written_off_is_a_recovery() -> None:
    settlement = settle(60, state=InvoiceState.UNCOLLECTIBLE)
    assert (settlement.recovered, settlement.amount_due_minor, settlement.change) == (True, 40, None)
    assert not settle(60).recovered


@pytest.mark.parametrize("state", [InvoiceState.OPEN, InvoiceState.PAID])
def test_what_received_money_is_not_voided(state: InvoiceState) -> None:
    with pytest.raises(FailedPrecondition) as refused:
        decide_void(state, amount_paid_minor=7)
    assert (refused.value.reason, refused.value.facts) == ("INVOICE_HAS_PAYMENTS", {"amount_paid_minor": "7"})


@pytest.mark.parametrize(
    ("now", "timezone", "year"),
    [
        ("2026-12-31T23:59:59", "UTC", 2026),
        ("2027-01-01T00:00:00", "UTC", 2027),
        ("2026-12-31T15:00:00", "Asia/Tokyo", 2027),
        ("2027-01-01T07:59:59", "America/Los_Angeles", 2026),
    ],
)
def test_a_numbers_year_is_the_tenants_own(now: str, timezone: str, year: int) -> None:
    assert number_year(datetime.fromisoformat(now).replace(tzinfo=UTC), timezone) == year


def test_numbers_have_six_digits_and_more_when_they_must() -> None:
    assert invoice_number("INV", 2026, 1) == "INV-2026-000001"
    assert invoice_number("ACME", 2026, 1_000_000) == "ACME-2026-1000000"
