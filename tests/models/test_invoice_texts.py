"""The texts of a printed invoice, without the printing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from billing.branding.v1.branding_pb2 import Branding
from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.tax.v1 import tax_pb2
from billing.types.v1 import language_pb2, money_pb2, period_pb2
from billing_db.models import Customer

from corebilling.domains.invoice.facts import InvoiceFacts
from corebilling.domains.invoice.phrases import PHRASES, Speech
from corebilling.domains.invoice.texts import invoice_texts
from corebilling.mapping import timestamp

_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_PERIOD = period_pb2.Period(start=timestamp(_NOW), end=timestamp(_NOW))
_ADA = Customer(
    "ten_1",
    "cus_1",
    None,
    "USD",
    "UTC",
    "unspecified",
    "active",
    "Ada",
    "",
    "",
    "",
    None,
    False,
    None,
    _NOW,
    _NOW,
    1,
)
_VAT = pb.InvoiceTax(name="VAT", percent="20", tax_minor=2000)
_REVERSE_CHARGE = tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE


def texts(
    *lines: pb.InvoiceLine, language: language_pb2.Language = language_pb2.LANGUAGE_EN, **fields: Any
) -> Mapping[str, Any]:
    invoice = pb.Invoice(**{"currency": "USD", "period": _PERIOD, "lines": lines, **fields})
    return invoice_texts(InvoiceFacts(invoice, "Acme", _ADA, Branding(), language))


def line(**fields: Any) -> pb.InvoiceLine:
    return pb.InvoiceLine(description="Work", period=_PERIOD, quantity="1", unit_size="1", **fields)


def test_a_credit_stands_above_the_tax_that_it_lowers() -> None:
    shown = texts(
        line(credit_minor=1000),
        subtotal_minor=11000,
        credit_minor=1000,
        tax_minor=2000,
        total_minor=12000,
        taxes=[_VAT],
    )
    assert shown["sums"] == [
        ("Subtotal", "110.00"),
        ("Credit", "−10.00"),
        ("VAT 20 %", "20.00"),
        ("Total", "120.00"),
    ]


def test_a_credit_after_the_tax_stands_below_it() -> None:
    discount = pb.InvoiceDiscount(
        name="TEN", percent="10", kind=discount_pb2.DISCOUNT_KIND_PERCENT, amount_minor=1000
    )
    shown = texts(
        line(discount_minor=1000),
        subtotal_minor=11000,
        discounts=[discount],
        discount_minor=1000,
        credit_minor=3000,
        total_minor=9000,
        taxes=[_VAT],
    )
    assert shown["sums"] == [
        ("Subtotal", "110.00"),
        ("TEN 10 %", "−10.00"),
        ("VAT 20 %", "20.00"),
        ("Credit", "−30.00"),
        ("Total", "90.00"),
    ]


@pytest.mark.parametrize(
    ("credit_minor", "sums"),
    [
        (0, [("Total", "120.00"), ("including VAT 20 %", "20.00")]),
        (
            3000,
            [
                ("Subtotal", "120.00"),
                ("including VAT 20 %", "20.00"),
                ("Credit", "−30.00"),
                ("Total", "90.00"),
            ],
        ),
    ],
)
def test_a_contained_tax_stands_below_what_contains_it(
    credit_minor: int, sums: list[tuple[str, str]]
) -> None:
    shown = texts(
        line(),
        subtotal_minor=12000,
        credit_minor=credit_minor,
        total_minor=12000 - credit_minor,
        taxes=[_VAT],
        tax_behavior=tax_pb2.TAX_BEHAVIOR_INCLUSIVE,
    )
    assert shown["sums"] == sums


def test_untaxed_lines_say_why_and_a_reverse_charge_what_it_means() -> None:
    shown = texts(
        line(),
        line(tax_exemption=tax_pb2.TAX_EXEMPTION_EXEMPT),
        line(tax_exemption=_REVERSE_CHARGE),
        state=pb.INVOICE_STATE_VOID,
    )
    assert [one["untaxed"] for one in shown["lines"]] == ["", "Exempt from tax", "Reverse charge"]
    assert shown["notes"] == [
        "Reverse charge: the customer owes the tax.",
        "This invoice was withdrawn. Nothing is owed for it.",
    ]
    assert texts(line(tax_exemption=tax_pb2.TAX_EXEMPTION_EXEMPT))["notes"] == []


@pytest.mark.parametrize(
    ("language", "stamp"),
    [
        (language_pb2.LANGUAGE_EN, "Unpaid"),
        (language_pb2.LANGUAGE_DE, "Unbezahlt"),
        (language_pb2.LANGUAGE_FR, "Impayée"),
        (language_pb2.LANGUAGE_ES, "Impagada"),
        (language_pb2.LANGUAGE_AR, "غير مدفوعة"),
        (language_pb2.LANGUAGE_JA, "未払い"),
    ],
)
def test_one_that_was_written_off_is_shown_as_unpaid_and_can_be_paid(
    language: language_pb2.Language, stamp: str
) -> None:
    shown = texts(line(), state=pb.INVOICE_STATE_UNCOLLECTIBLE, number="INV-7", language=language)
    assert shown["stamp"] == stamp
    (note,) = shown["notes"]
    assert "INV-7" in note


def test_a_line_of_a_matrix_shows_what_each_cell_came_to() -> None:
    cells = [
        money_pb2.CellCharge(quantity="2.5", unit_amount="1", amount="0.0025"),
        money_pb2.CellCharge(
            properties={"size": "l", "region": "eu"}, quantity="1500", unit_amount="0.5", amount="0.75"
        ),
    ]
    evidence = money_pb2.RecordEvidence(cells=cells)
    charged = line(by_record=evidence)
    charged.unit_size = "1000"
    (shown,) = texts(charged)["lines"]
    assert shown["unit_price"] == "by record"
    assert [tuple(row.values()) for row in shown["tiers"]] == [
        ("eu, l", "1,500", "0.50 per 1,000", "0.75"),
        ("all other", "2.5", "1.00 per 1,000", "0.0025"),
    ]


def test_a_line_of_a_percentage_shows_what_its_transactions_came_to() -> None:
    charged = money_pb2.TransactionCharge(
        percent="2.9",
        fixed_amount="0.30",
        free_transactions=1,
        free_amount="10",
        paid_transactions=1200,
        paid_amount="5000",
        rate_amount="145",
        fixed_total="360",
        floor_amount="0.5",
        ceiling_amount="-20",
        amount="485.5",
    )
    (shown,) = texts(line(by_record=money_pb2.RecordEvidence(transactions=charged)))["lines"]
    assert [tuple(row.values()) for row in shown["tiers"]] == [
        ("free", "1", "", "0.00"),
        ("2.9 % of 5,000.00", "1,200", "", "145.00"),
        ("0.30 each", "1,200", "", "360.00"),
        ("minimum per transaction", "1,200", "", "0.50"),
        ("maximum per transaction", "1,200", "", "−20.00"),
    ]


LANGUAGES = [number for number in language_pb2.Language.values() if number]


@pytest.mark.parametrize("phrase", PHRASES)
def test_every_phrase_is_there_in_every_language_with_the_same_parts(phrase: str) -> None:
    said = PHRASES[phrase]
    assert len(said) == len(LANGUAGES)
    parts = {frozenset(part for part in ("{0}", "{1}") if part in text) for text in said}
    assert all(said)
    assert len(parts) == 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_of_the_contract_writes_an_invoice(language: language_pb2.Language) -> None:
    shown = texts(line(amount_minor=123456789), state=pb.INVOICE_STATE_DRAFT, language=language)
    assert shown["notes"]
    assert (shown["direction"] == "rtl") == (language == language_pb2.LANGUAGE_AR)


@pytest.mark.parametrize(
    ("language", "money", "day"),
    [
        (language_pb2.LANGUAGE_EN, "−1,234,567.89", "1 March 2026"),
        (language_pb2.LANGUAGE_DE, "−1.234.567,89", "1. März 2026"),
        (language_pb2.LANGUAGE_FR, "−1\u00a0234\u00a0567,89", "1 mars 2026"),
        (language_pb2.LANGUAGE_ES, "−1.234.567,89", "1 de marzo de 2026"),
        (language_pb2.LANGUAGE_AR, "−1,234,567.89", "1 مارس 2026"),
        (language_pb2.LANGUAGE_JA, "−1,234,567.89", "2026年3月1日"),
    ],
)
def test_figures_and_days_are_written_as_the_language_does(
    language: language_pb2.Language, money: str, day: str
) -> None:
    say = Speech(language)
    assert say.money(-123456789, "USD") == money
    assert say.day(_NOW, ZoneInfo("UTC")) == day


def test_amounts_keep_their_digits_however_many_they_are() -> None:
    say = Speech(language_pb2.LANGUAGE_DE)
    assert say.amount("12345678901234567890.123456789012", "USD") == (
        "12.345.678.901.234.567.890,123456789012"
    )
    assert say.amount("0.1234567890123", "USD") == "0,123456789012…"
    assert (say.amount("5", "JPY"), say.amount("5", "KWD")) == ("5", "5,000")


def test_the_branding_says_who_sells() -> None:
    invoice = pb.Invoice(currency="USD", period=_PERIOD)
    branding = Branding(
        legal_lines=["1 Main Street"], tax_id="DE123", accent_color="#ff0000", footer="Thank you."
    )
    shown = invoice_texts(InvoiceFacts(invoice, "Acme", _ADA, branding, language_pb2.LANGUAGE_DE))
    assert shown["seller_lines"] == ["1 Main Street", "Steuernummer DE123"]
    assert (shown["accent"], shown["footer"]) == ("#ff0000", "Thank you.")
