"""The texts of a printed invoice, without the printing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from billing.discount.v1 import discount_pb2
from billing.invoice.v1 import invoice_pb2 as pb
from billing.tax.v1 import tax_pb2
from billing.types.v1 import period_pb2
from billing_db.models import Customer

from corebilling.domains.invoice.pdf import invoice_texts
from corebilling.domains.invoice.service import InvoiceFacts
from corebilling.mapping import timestamp

_NOW = datetime(2026, 3, 1, tzinfo=UTC)
_PERIOD = period_pb2.Period(start=timestamp(_NOW), end=timestamp(_NOW))
_ADA = Customer("ten_1", "cus_1", None, "USD", "UTC", "active", "Ada", "", "", "", None, _NOW, _NOW, 1)
_VAT = pb.InvoiceTax(name="VAT", percent="20", tax_minor=2000)
_REVERSE_CHARGE = tax_pb2.TAX_EXEMPTION_REVERSE_CHARGE


def texts(*lines: pb.InvoiceLine, **fields: Any) -> Mapping[str, Any]:
    invoice = pb.Invoice(currency="USD", period=_PERIOD, lines=lines, **fields)
    return invoice_texts(InvoiceFacts(invoice, "Acme", _ADA))


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
